"""What a report says of its numbers: how they were made, and what to mind."""

from __future__ import annotations

import re
from pathlib import Path

from reports import glossary
from reports.figures import multiples
from reports.study import Study

_HERE = Path(__file__).parent
_ORDER = (
    "interval", "chance", "matching", "blocks", "labels", "probes", "selectivity", "codelength",
    "emergence", "paired", "curves", "calibration", "heads", "published", "map", "limits",
)  # fmt: skip
_NOTES = 40
_NAMED = 6


def methods(study: Study, anchors: set[str]) -> dict:
    """What the measures say of themselves, and which notes of the report's own go with them."""
    told: dict[str, dict[str, dict]] = {}
    for similarity in study.similarity.values():
        for one in similarity.measures.values():
            told.setdefault(one.family, {})[one.name] = {
                "title": one.title,
                "name": one.name,
                "formula": one.formula,
                "text": _sentences(one.says, one.beware),
                "source": one.source,
            }
    quantities: dict[str, dict] = {}
    for table in study.geometry.values():
        for one in table.quantities.values():
            quantities[one.key] = {
                "title": one.title,
                "name": one.key,
                "formula": "",
                "text": "",
                "source": one.source,
            }
    families = [*multiples.FAMILIES, *told]
    families = [f for f in dict.fromkeys(families) if f in told]
    names = {f: multiples.FAMILIES[f][0] if f in multiples.FAMILIES else f for f in families}
    measures = [{"title": names[f], "rows": list(told[f].values())} for f in families]
    scores = glossary.metrics(study)
    if scores:
        measures.append({"title": "Metrics of the probes", "rows": scores})
    if quantities:
        measures.append({"title": "Each layer by itself", "rows": list(quantities.values())})
    wanted = {"interval"} | ({"chance"} if study.similarity else set())
    wanted |= {"matching", "limits"} if "cross" in anchors else set()
    wanted |= {"blocks"} if "within" in anchors else set()
    wanted |= {"labels"} if study.information else set()
    wanted |= {"probes"} if "probes" in anchors else set()
    wanted |= _about_probes(study)
    wanted |= {"map"} if "landscape" in anchors else set()
    keys = [k for k in _ORDER if k in wanted]
    source = (_HERE / "methods.typ").read_text(encoding="utf-8")
    bodies = dict(re.findall(r'^  "([a-z-]+)": \(\n(.*?)^  \),', source, flags=re.S | re.M))
    cited = {k: re.findall(r"@([a-z]+)", bodies[k]) for k in keys}
    return {"methods": keys, "measures": measures, "cited": cited}


def _about_probes(study: Study) -> set[str]:
    """Which notes go with what the probes of a study have."""
    tasks = [task for key in study.task_keys() for task in study.probed(key).values()]
    chosen = [task.chosen.trust for task in tasks]
    there = {
        "selectivity": any(one.selectivity.exists or one.shuffled for one in chosen),
        "codelength": any(one.code for one in chosen),
        "emergence": any(task.trust.emergence for task in tasks),
        "paired": any(task.trust.comparison for task in tasks),
        "curves": any(one.learning or one.components for one in chosen),
        "calibration": any(one.calibration for one in chosen),
        "heads": any(study.probes[r].heads for r in study.models if r in study.probes),
        "published": any(task.published for task in tasks),
    }
    return {key for key, present in there.items() if present}


def _sentences(*parts: str) -> str:
    """Texts joined, each ending like a sentence."""
    ended = (p if p[-1] in ".!?" else f"{p}." for p in parts if p)
    return " ".join(p[0].upper() + p[1:] if i else p for i, p in enumerate(ended))


def notes(study: Study) -> list[str]:
    """Notes that measures carry, each once, with all that it is about."""
    about: dict[str, dict[str, None]] = {}
    for similarity in study.similarity.values():
        for measure in similarity.measures.values():
            for note in measure.notes:
                about.setdefault(note, {})[measure.name] = None
    for table in study.geometry.values():
        for one in table.quantities.values():
            for note in one.notes:
                about.setdefault(note, {})[one.title] = None
    for table in study.information.values():
        for one in table.labels.values():
            for note in one.notes:
                about.setdefault(note, {})[one.label] = None
    return _joined(about)


def task_notes(study: Study) -> list[str]:
    """Notes and warnings that tasks carry, likewise."""
    about: dict[str, dict[str, None]] = {}
    for table in study.probes.values():
        for task in table.tasks.values():
            for note in task.notes:
                about.setdefault(note, {})[task.title] = None
    return _joined(about, "tasks")


def _joined(about: dict[str, dict[str, None]], kind: str = "measures and tasks") -> list[str]:
    """Each note with what it is about; of notes that differ in numbers alone the first."""
    alike: dict[str, list[str]] = {}
    for note, names in about.items():
        who = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} {kind}"
        key = re.sub(r"\d[\d,.]*", "#", note.rpartition(": ")[2])
        alike.setdefault(key, []).append(f"{who}: {note}")
    notes = [
        some[0] + (f" (and {len(some) - 1} notes like it)" if some[1:] else "")
        for some in alike.values()
    ]
    more = [f"and {len(notes) - _NOTES} more in the study's files"] if len(notes) > _NOTES else []
    return notes[:_NOTES] + more
