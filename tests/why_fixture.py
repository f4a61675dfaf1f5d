"""Writes the folder `why/` of a planted study, with the records that the real programs write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from probes.scored import Score
from probes.why.choice import Choice, Option
from probes.why.conditional import Added
from probes.why.contrast import Contrast
from probes.why.course import Course
from probes.why.riding import Erased, Reference, Riding, Selected
from probes.why.training import Gain, Training
from probes.why.transfer import Pair, Transfer
from rsa.inference.simultaneous import Contrast as Shared
from rsa.why.association import Association, Specificity
from rsa.why.partition import Partition, Parts
from rsa.why.returning import Returning

REFERENCES = ("log-mel", "mfcc", "chroma", "onset", "tempogram", "loudness")
CONTROLS = ("random", "equal variance", "made up")
# (role, task) -> reference, drop, whether it is special among what is as strong
RIDES = {
    ("a", "instrument"): ("mfcc", 0.22, True),
    ("a", "pitch"): ("log-mel", 0.15, False),
    ("b", "pitch_class"): ("chroma", 0.3, True),
    ("b", "chord"): ("chroma", 0.34, True),
    ("b", "key"): ("chroma", 0.28, True),
    ("b", "instrument"): ("mfcc", 0.1, False),
}
NOTHING = {("a", "octave"), ("a", "density"), ("b", "density")}  # not above chance
HALF = 0.05


def contrast(value: float, half: float = HALF, kind: type = Contrast):
    """Shown to differ from zero where the interval excludes it."""
    p = 0.0002 if abs(value) > half else 0.35
    return kind(float(value), float(value - half), float(value + half), p)


def score(value: float, half: float = HALF) -> Score:
    return Score(float(value), float(value - half), float(value + half))


def make_why(
    study: Path,
    *,
    planted: bool = True,
    twins: bool = True,
    associated: bool = False,
    groups: int = 40,
    references: tuple[str, ...] = REFERENCES,
) -> Path:
    """Adds evidence to a study of `make_study`, for its tasks on clips; see `RIDES`."""
    tables = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((study / "probes").glob("?.json"))
    }
    for role, table in tables.items():
        tasks = [task for task in table["tasks"] if task["kind"] != "frames"]
        _write(study / "why" / f"{role}.json", {
            "format": 1,
            "role": role,
            "model": table["model"],
            "rows": "clips",
            "partition": {
                name: _partition(role, table["layers"], references, within=name == "within",
                                 planted=planted).as_json()
                for name in ("between", "within")
            },
            "riding": [
                _riding(role, task, references, planted, groups).as_json() for task in tasks
            ],
            "training": [
                _training(role, task, planted, groups).as_json() for task in tasks if twins
            ],
            "conditional": [_added(task, planted, groups).as_json() for task in tasks],
            "associations": _associations(tasks, references, associated),
            "returning": {
                "measure": "cka:linear,track-debiased",
                "input": "log-mel",
                "found": _returning(table["layers"], back=planted and role == "b").as_json(),
            },
            "choice": [_choice(role, task, planted, groups).as_json() for task in table["tasks"]],
            "skipped": [{"what": "riding of beat", "why": "tasks on frames are not erased"}],
            "notes": [],
        })  # fmt: skip
    for x, y in (("a", "b"), ("b", "a")):
        if {x, y} <= set(tables):
            pairs = zip(tables[x]["tasks"], tables[y]["tasks"], strict=True)
            found = [
                _transfer(one, other, planted, groups).as_json()
                for one, other in pairs
                if one["kind"] != "frames"
            ]
            _write(study / "why" / f"{x}-{y}.json", {
                "format": 1, "x": x, "y": y, "transfer": found, "skipped": [], "notes": [],
            })  # fmt: skip
    return study


def _write(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, allow_nan=False), encoding="utf-8")


def _curve(task: dict) -> np.ndarray:
    scores = [layer["splits"].get(task["headline"], {}).get("value") for layer in task["layers"]]
    return np.array([task["chance"] if s is None else s for s in scores], dtype=float)


def _names(task: dict) -> tuple[str, ...]:
    return tuple(layer["layer"] for layer in task["layers"])


def _riding(role: str, task: dict, references, planted: bool, groups: int) -> Riding:
    names, curve, chance = _names(task), _curve(task), task["chance"]
    on, most, special = RIDES.get((role, task["task"]), ("", 0.0, False))
    if not planted or (role, task["task"]) in NOTHING:
        on = ""
    at = names.index(task["selected"])
    lead = np.clip(curve - chance, 0, None)
    found = []
    for number, name in enumerate(references):
        share = most / max(lead[at], 1e-9) if name == on else 0.03 + 0.003 * number
        drops = np.minimum(share, 0.95) * lead
        controls = {"random": 0.02, "equal variance": 0.05, "made up": 0.03}
        if name == on and not special:
            controls["equal variance"] = share * 0.9
        layers = tuple(
            Erased(
                0.6 if name == on else 0.2,
                12.0,
                0.3,
                dict.fromkeys(CONTROLS, 0.28),
                score(curve[i] - drops[i]),
                score(drops[i], 0.03),
                {c: score(v * lead[i], 0.01) for c, v in controls.items()},
                {c: contrast(drops[i] - v * lead[i], 0.07) for c, v in controls.items()},
                {},
            )
            for i in range(len(names))
        )
        here = {c: contrast(drops[at] - v * lead[at], 0.04) for c, v in controls.items()}
        others = {
            g: contrast(0.2 if name == on else -0.2 if g == on else 0.0)
            for g in references
            if g != name
        }
        found.append(Reference(name, 12, 0.9, layers, Selected(here, others)))
    nothing = not planted or (role, task["task"]) in NOTHING
    before = tuple(score(chance + 0.01 if nothing else v) for v in curve)
    return Riding(
        task["task"], "least squares", task["metric"], task["headline"], chance, groups, 10,
        task["selected"], names, before, tuple(found),
    )  # fmt: skip


def _training(role: str, task: dict, planted: bool, groups: int) -> Training:
    names, lead = _names(task), np.clip(_curve(task) - task["chance"], 0, None)
    above = planted and (role, task["task"]) not in NOTHING
    gain = (0.65 if above else 0.0) * lead
    at = int(np.argmax(gain))
    gains = tuple(
        Gain(n, contrast(gain[i], 0.06), contrast(gain[i] - 0.02, 0.06), 0.8 if i == at else 0.01)
        for i, n in enumerate(names)
    )
    best = (contrast(gain[at]), contrast(gain[at] - 0.02))
    return Training(
        task["task"], groups, task["selected"], names[0], "mfcc", names[at], gains, best
    )


def _added(task: dict, planted: bool, groups: int) -> Added:
    names, lead = _names(task), np.clip(_curve(task) - task["chance"], 0, None) * planted
    bits = 2.0 * lead
    adds = np.diff(bits, prepend=0.0)
    best = int(np.argmax(bits))
    above = [contrast(v, 0.1) for v in bits]
    behind = [contrast(v - bits[best], 0.1) for v in bits]
    first = next((i for i, one in enumerate(above) if one.above), None)
    full = None if first is None else next(
        i for i in range(first, len(names)) if not behind[i].below
    )  # fmt: skip
    lost = None
    if first is not None and behind[-1].below:
        lost = 1 + max(i for i, one in enumerate(behind) if not one.below)
    course = Course(
        names, names[best], *(None if i is None else names[i] for i in (first, full, lost)),
        tuple(above), tuple(behind),
    )  # fmt: skip
    return Added(
        task["task"], task["headline"], groups, names, tuple(score(v, 0.08) for v in bits),
        tuple(contrast(v, 0.1) for v in adds), course,
    )  # fmt: skip


def _partition(role: str, names, references, *, within: bool, planted: bool) -> Partition:
    depth = np.linspace(0, 1, len(names))
    parts, total = {}, np.zeros(len(names))
    for number, name in enumerate(references):
        peak = 0.9 if (name == "chroma" and role == "b") else 0.1 * number
        unique = (0.12 if name in ("mfcc", "chroma") else 0.03) * np.exp(
            -((depth - peak) ** 2) / 0.1
        )
        unique = unique * (0.6 if within else 1.0) * planted
        total = total + unique
        parts[name] = tuple(
            Parts(contrast(v + 0.1, 0.02, Shared), contrast(v, 0.015, Shared), (0.1, 0.08, 0.12))
            for v in unique
        )
    whole = tuple((float(v + 0.2), float(v + 0.17), float(v + 0.23)) for v in total)
    return Partition(
        f"model-{role}", tuple(names), 700, 320, within, whole, parts, dict.fromkeys(references, 12)
    )


def _associations(tasks: list[dict], references, associated: bool) -> dict:
    pairs = [
        Association(
            reference, task["task"], len(task["layers"]), 0.85, 0.6, 3.1, 0.0004,
            0.02 if associated and (reference, task["task"]) == ("mfcc", "instrument") else 1.0,
        )
        for reference in references
        for task in tasks
    ]  # fmt: skip
    special = Specificity(("instrument", "pitch"), 0.3, 0.1, 24, 0.2)
    return {
        "measure": "cka:linear,track-debiased",
        "pairs": [one.as_json() for one in pairs],
        "specificity": special.as_json(),
    }


def _returning(names, *, back: bool) -> Returning:
    depth = np.linspace(0, 1, len(names))
    similarity = 0.8 - 0.7 * depth + (0.5 * (depth > 0.85) if back else 0.0)
    gaps = similarity[-1] - similarity[:-1]
    return Returning(
        tuple(names), tuple(map(float, similarity)),
        tuple(contrast(v, 0.06, Shared) for v in gaps),
    )  # fmt: skip


def _choice(role: str, task: dict, planted: bool, groups: int) -> Choice:
    names, curve, chance = _names(task), _curve(task), task["chance"]
    best, last = names.index(task["selected"]), len(names) - 1
    above = planted and (role, task["task"]) not in NOTHING
    lead = contrast(curve[best] - chance if above else 0.01)
    joined = {"weighting": 0.08 if task["task"] == "tempo" else -0.01, "concatenation": 0.01}
    rows = [("last layer", names[last], curve[last]), ("best layer", names[best], curve[best])]
    rows += [(name, "all", curve[best] + more) for name, more in joined.items()]
    options = tuple(
        Option(n, layer, score(v), contrast(v - curve[best]), contrast(v - curve[last]))
        for n, layer, v in rows
    )
    if not above:
        return Choice(task["task"], groups, lead, options, None, 1)
    if options[2].best.above:
        return Choice(task["task"], groups, lead, options, "weighting", 2)
    if best == last or options[0].best.low > -0.1 * lead.value:
        return Choice(task["task"], groups, lead, options, "last layer", 3)
    return Choice(task["task"], groups, lead, options, "best layer", 4)


def _transfer(one: dict, other: dict, planted: bool, groups: int) -> Transfer:
    chance = one["chance"]
    a, b = (np.clip(_curve(task) - chance, 0, None) * planted for task in (one, other))
    pairs = []
    for i in range(len(a)):
        row = []
        for j in range(len(b)):
            lead = 0.85 * min(a[i], b[j])
            kept = lead / a[i] if a[i] > HALF else None
            row.append(
                Pair(
                    score(chance + lead), contrast(lead), contrast(lead - b[j]),
                    Score(*3 * [np.nan]) if kept is None else score(kept, 0.12),
                )
            )  # fmt: skip
        pairs.append(tuple(row))
    return Transfer(
        one["task"], one["metric"], one["headline"], chance, groups, "model-a", "model-b",
        _names(one), _names(other), tuple(score(v + chance) for v in a),
        tuple(score(v + chance) for v in b), tuple(pairs),
    )  # fmt: skip
