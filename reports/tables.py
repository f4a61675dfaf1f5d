"""Tables of the report as rows of text: cards, recommendations, provenance."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from reports.grades import ENOUGH
from reports.numbers import count, number, with_interval
from reports.probing import Task
from reports.results import LayerCard, ModelCard
from reports.study import Study
from reports.words import clean, named_rows

Rows = list[tuple[str, str]]
DASH = "\N{EN DASH}"
MOST_FAILURES = 12
MOST_SKIPPED = 4
MOST_SMALL = 3
FEW_GROUPS = 30  # for similarity
_ADVICE_WIDTHS = (1.3, 1.35, 1.15, 1.1, 1.35, 1.35, 1.1)
_ADVICE = (
    "For each task the model and layer with the best validation score, its score on the quoted "
    "test split, and what the layer brings over the last layer of the same model (paired over "
    "groups). Intervals are 95 %. The last column is what the best representation without a "
    "network reaches."
)


@dataclass(frozen=True)
class Cell:
    """Text of a table; `quiet` is grey, `mono` for names of layers."""

    text: str
    bold: bool = False
    quiet: bool = False
    mono: bool = False


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    groups : rows that belong together; lines are drawn between groups.
    widths : shares of the page's width.
    """

    title: str
    intro: str
    head: Sequence[str]
    groups: Sequence[Sequence[Sequence[str | Cell]]]
    widths: Sequence[float]


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(k, 60)} {_plain(v)}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(v) for v in value)
    return clean(value, 600)


def _kept(rows: Rows) -> Rows:
    return [(name, text) for name, text in rows if text and text != DASH]


def layers_in_words(layers: Sequence[LayerCard]) -> str:
    """`frontend (512 wide, 50 Hz); block01 to block12 (1024 wide, 25 Hz)`."""
    parts = []
    for (width, rate), group in groupby(layers, key=lambda layer: (layer.width, layer.rate)):
        names = [layer.name for layer in group]
        facts = [f"{width} wide"] if width else []
        facts += [f"{count(rate) if rate >= 1000 else f'{rate:.3g}'} Hz"] if rate else []
        span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        parts.append(span + (f" ({', '.join(facts)})" if facts else ""))
    return "; ".join(parts)


def model_card(card: ModelCard) -> Rows:
    """What page 2 says about one model."""
    facts = card.facts
    weights = facts.get("weights") if isinstance(facts.get("weights"), dict) else {}
    source = clean(weights.get("source") or facts.get("weights_from"), 200)
    state = "" if card.trained or source.startswith("untrained") else "untrained; "
    trained_on = clean(facts.get("training_data"), 300)
    if not card.trained:
        trained_on = f"nothing here: random weights (the published ones: {trained_on})"
    digest = clean(weights.get("sha256"), 64)[:16]
    rate = facts.get("sample_rate")
    parameters = facts.get("parameters")
    return _kept(
        [
            ("Name", card.name),
            ("Paper", clean(facts.get("paper"), 300)),
            ("Trained on", trained_on),
            ("Parameters", count(parameters) if isinstance(parameters, (int, float)) else ""),
            ("Audio", f"{count(rate)} Hz" if isinstance(rate, (int, float)) else ""),
            ("Windows", _windows(facts)),
            ("Precision", _precision(facts)),
            (f"Layers ({len(card.layers)})", layers_in_words(card.layers)),
            ("Weights", f"{state}{source}" + (f"; sha256 {digest}" if digest else "")),
            ("Licence", clean(facts.get("licence"), 200)),
            ("Notes", clean(facts.get("notes"), 500)),
        ]
    )


def _windows(facts: Mapping) -> str:
    """`5 s, one every 2.5 s`."""
    window, hop = facts.get("window"), facts.get("hop")
    if not isinstance(window, (int, float)):
        return ""
    apart = isinstance(hop, (int, float)) and hop != window
    return f"{window:.4g} s" + (f", one every {hop:.4g} s" if apart else "")


def _precision(facts: Mapping) -> str:
    """How far the layers are from float32, where they were computed in less."""
    found = facts.get("deviations")
    if not isinstance(found, Mapping) or not found:
        return ""
    off = {k: v for k, v in found.items() if isinstance(v, (int, float))}
    worst = max(off, key=lambda layer: off[layer], default=None)
    if worst is None:
        return ""
    return f"reduced; relative deviation from float32 at most {off[worst]:.1e} ({clean(worst, 40)})"


def data_card(study: Study) -> Rows:
    """What page 2 says about the data."""
    data = study.raw.get("data")
    if not isinstance(data, dict):
        return []
    hours = data.get("hours")
    size = [
        f"{count(data.get(k))} {k}"
        for k in ("clips", "tracks", "groups")
        if isinstance(data.get(k), (int, float))
    ]
    size += [f"{hours:.2g} hours"] if isinstance(hours, (int, float)) else []
    labels: dict[str, list[str]] = {}
    for label in data.get("labels") or []:
        if isinstance(label, dict):
            labels.setdefault(clean(label.get("tier"), 20) or "user", []).append(
                clean(label.get("name"), 60)
            )
    rows = study.raw.get("rows") if isinstance(study.raw.get("rows"), dict) else {}
    compared = (
        f"{count(rows.get('rows'))} {named_rows(clean(rows.get('kind'), 40))} in "
        f"{count(rows.get('groups'))} groups"
        if rows.get("rows")
        else ""
    )
    failures = study.raw.get("failures")
    failed = len(failures) if isinstance(failures, list) else 0
    return _kept(
        [
            ("Data", clean(data.get("title") or data.get("name"), 200)),
            ("Sources", clean(data.get("sources"), 400)),
            ("Size", ", ".join(size)),
            ("Splits", _plain(data.get("splits") or {})),
            ("Subsets", _plain(data.get("subsets") or {})),
            ("Labels", "; ".join(f"{tier}: {', '.join(n)}" for tier, n in sorted(labels.items()))),
            ("Similarity on", compared),
            ("Unusable clips", f"{failed}" if failed else "none"),
            ("Licence", clean(data.get("licence"), 200)),
            ("Identity", clean(data.get("identity"), 64)[:16]),
        ]
    )


def reservations(study: Study) -> list[str]:
    """What the numbers of this study make a reader doubt: little data, and data left out."""
    out = [f"lost from the folder: {lost}; run the command again"] if (lost := _lost(study)) else []
    groups = max((s.n_groups for s in study.similarity.values()), default=FEW_GROUPS)
    if groups < FEW_GROUPS:
        out.append(
            f"similarity rests on {groups} groups: intervals and chance levels are rough, and "
            "measures that need many rows are missing"
        )
    out += [text] if (text := small_samples(study)) else []
    failed = study.raw.get("failures")
    if isinstance(failed, list) and failed:
        out.append(f"clips that could not be used: {len(failed)}, listed at the end")
    skipped: dict[str, str] = {}
    for probes in study.probes.values():
        skipped |= probes.skipped
    why = "; ".join(f"{task} ({reason})" for task, reason in list(skipped.items())[:MOST_SKIPPED])
    if skipped:
        more = len(skipped) - MOST_SKIPPED
        out.append(f"not probed: {why}" + (f"; and {more} more" if more > 0 else ""))
    return out


def _lost(study: Study) -> str:
    """Results that the run made, by the stages it was timed for, and that are not there."""
    stages = [stage for stage, _ in timings(study)]
    lost = []
    if "similarity" in stages:
        pairs = [(x, y) for x in study.models for y in study.models if x <= y]
        if any(study.between(x, y) is None for x, y in pairs[:3]):
            lost.append("similarity")
    for folder, begins, found in (
        ("probes", "probes of ", study.probes),
        ("why", "why layers of ", study.why),
    ):
        some = any(stage.startswith(begins) and " on " not in stage for stage in stages)
        if some and study.models.keys() - found.keys():
            lost.append(folder)
    return " and ".join(lost)


def small_samples(study: Study) -> str:
    """Tasks that rest on the fewest groups; "" where all have enough."""
    few = []
    for key in study.task_keys():
        task = min(study.probed(key).values(), key=lambda one: one.groups.get(one.headline, 0))
        groups = task.groups.get(task.headline, 0)
        if 0 < groups < ENOUGH:
            valid = task.n.get("valid", 0)
            chosen = f"chosen on {valid} validation rows, " if valid else ""
            few.append((groups, f"{clean(task.title, 40)}: {chosen}quoted on {groups} groups"))
    few.sort(key=lambda one: one[0])
    told = "; ".join(text for _, text in few[:MOST_SMALL])
    if not told:
        return ""
    more = f"; and {len(few) - MOST_SMALL} more tasks" if len(few) > MOST_SMALL else ""
    return (
        f"few data ({told}{more}): intervals from fewer than {ENOUGH} groups are too narrow to be "
        "believed, most of all those of no width"
    )


def recommendations(study: Study) -> Table:
    """One row a task: the model and layer of best validation score, and what choosing it brings.

    The choice among models is by validation score too; nothing looks at the test data.
    """
    groups = []
    for key in study.task_keys():
        role, task = max(study.probed(key).items(), key=lambda item: validation(item[1]))
        gain = task.gain.get(task.headline)
        is_last = task.index == len(task.layers) - 1
        row = [
            task.title,
            f"{task.metric}, {task.headline}",
            study.name_of(role),
            Cell(task.selected, mono=True),
            with_interval(task.best()),
            "is the last" if is_last else with_interval(gain, sign=True) if gain else DASH,
            reference(study, key),
        ]
        groups.append([row])
    head = ["Task", "Metric, split", "Model", "Layer", "Score", "Gain over last layer"]
    return Table("", _ADVICE, [*head, "Best reference"], groups, _ADVICE_WIDTHS)


def validation(task: Task) -> float:
    """Score of the selected layer on validation, by which models are chosen."""
    value = task.layers[task.index].valid.value
    return value if math.isfinite(value) else -math.inf


def reference(study: Study, key: str) -> str:
    """Score and name of the best reference."""
    task = study.probes["ref"].tasks.get(key) if "ref" in study.probes else None
    if task is None or not task.best().exists:
        return DASH
    return f"{number(task.best().value)} {task.selected}"


def provenance(study: Study) -> Rows:
    """Who, with what, when: enough to do it again."""
    found = study.raw.get("provenance")
    found = found if isinstance(found, dict) else {}
    known = {k: _plain(found[k]) for k in found}
    rows = [("Command", study.command), ("Made", study.created)]
    rows += [(name.capitalize(), text) for name, text in known.items()]
    for card in (*study.models.values(), study.references):
        weights = card.facts.get("weights") if card else None
        if isinstance(weights, dict) and weights.get("sha256"):
            rows.append((f"Weights of {card.name}", f"sha256 {clean(weights['sha256'], 64)}"))
    data = study.raw.get("data")
    if isinstance(data, dict) and data.get("identity"):
        rows.append((f"Identity of {clean(data.get('name'), 60)}", clean(data["identity"], 64)))
    settings = study.raw.get("settings")
    if isinstance(settings, dict) and settings:
        told = {k: v for k, v in settings.items() if v is not None}
        words = (f"{clean(k, 40)} = {_plain(v)}" for k, v in told.items())
        rows.append(("Settings", "; ".join(words)))
    return _kept(rows)


def timings(study: Study) -> Rows:
    """Stage and seconds."""
    entries = study.raw.get("timings")
    rows = []
    for entry in entries if isinstance(entries, list) else []:
        seconds = entry.get("seconds") if isinstance(entry, dict) else None
        if isinstance(seconds, (int, float)):
            rows.append((clean(entry.get("stage"), 80), f"{seconds:.1f} s"))
    return rows


def steadiness(study: Study) -> Rows:
    """How far fewer groups would change the main matrices."""
    rows = []
    for (x, y), similarity in study.similarity.items():
        found = similarity.stability
        if found is None or not found.shares or not {x, y} <= set(study.models):
            continue
        parts = []
        for one in sorted(found.shares, key=lambda s: -s.share):
            part = f"on {number(one.share, 2)} of the groups ({count(one.groups)})"
            if one.deviation.exists:
                part += f" cells move by {with_interval(one.deviation)} on average"
            if math.isfinite(one.correlation):
                part += f", rank correlation {number(one.correlation)}"
            parts.append(part)
        name = study.name_of(x) if x == y else f"{study.name_of(x)} and {study.name_of(y)}"
        rows.append((name, "; ".join(parts)))
    return rows


def smallest_p(study: Study) -> Rows:
    """The smallest p that measures can have, and what sets it."""
    found: dict[str, set[str]] = {}
    for similarity in study.similarity.values():
        for measure in similarity.measures.values():
            if measure.chance_by:
                found.setdefault(measure.chance_by, set()).add(measure.name)
    ways: dict[int, list[str]] = {}
    for by, names in found.items():
        draws = re.search(r"\b(\d+) draws", by)
        many = int(draws[1]) * (2 if "inverses" in by else 1) + 1 if draws else 0
        text = f"{len(names)} measure{'s' * (len(names) > 1)} ({by})"
        ways.setdefault(many, []).append(text)
    rows = []
    for many, texts in sorted(ways.items(), key=lambda item: (item[0] > 0, -item[0])):
        floor = f"1/{many} = {1 / many:.2g}" if many else "by formula"
        blind = "; no cell can be above chance" if 0 < many < 20 else ""
        if many == 1:
            floor, blind = "no p", "; no group could be rearranged"
        rows.append((floor, "; ".join(texts) + blind))
    return rows


def failures(study: Study) -> Rows:
    """Clips that could not be used; the first `MOST_FAILURES`, and how many more."""
    entries = study.raw.get("failures")
    entries = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    rows = [
        (clean(e.get("clip") or e.get("file"), 80), clean(e.get("reason"), 200))
        for e in entries[:MOST_FAILURES]
    ]
    if len(entries) > MOST_FAILURES:
        rows.append((f"and {len(entries) - MOST_FAILURES} more", "see study.json"))
    return rows
