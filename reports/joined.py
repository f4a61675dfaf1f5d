"""One report of several studies: models x tasks, then each study with its findings."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports import across
from reports.document import Document, Section, document, drawers
from reports.errors import ReportError
from reports.figures.drawing import Plate
from reports.figures.side_by_side import side_by_side
from reports.grades import GRADES, UNSUPPORTED, Finding
from reports.plates import planned, plates
from reports.study import Study
from reports.words import listed
from reports.writing import FORMATS, write

NAME = "report-joined"
_ENDING = ("methods", "papers")  # once for all studies
_MOST = 8  # findings on the first page
_INTRO = (
    "The best layer of every model on every task: its score on the quoted split with its 95 % "
    "interval, and below it the layer, chosen on validation. Scores stand in one row only where "
    "data, rows, split, score, protocol and head are the same. Chance: what the score is without "
    "any knowledge of the clip. Bold: the model with the best validation score of the row, which "
    "was chosen without the scores shown and need not have the highest of them."
)


def write_joined(
    folders: Sequence[str | Path],
    out: str | Path | None = None,
    formats: Sequence[str] = ("pdf",),
    title: str = "",
) -> tuple[Path, ...]:
    """Makes one report of several studies.

    Parameters
    ----------
    folders : two or more studies, in the order of the report.
    out : folder for `report-joined.FORMAT`; by default the current one.
    title : by default the models' names.

    Raises
    ------
    ReportError : names the folder that is no study or was given twice, or what cannot be written.
    """
    studies = [Study.read(folder) for folder in folders]
    places = [study.folder.resolve() for study in studies]
    twice = next((s for s, p in zip(studies, places, strict=True) if places.count(p) > 1), None)
    if twice:
        raise ReportError(f"{twice.folder}: given twice; name every study once")
    folder = Path(out) if out is not None else Path()
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder}: is a file; several studies need a folder for --out")
    targets = {name: folder / f"{NAME}.{name}" for name in formats}
    comparison = across.compare(studies)
    with tempfile.TemporaryDirectory(prefix="rsa-report-") as room:
        work = Path(room)
        kinds = {FORMATS[name] for name in formats}
        plans = [{"": side_by_side(comparison)}]
        plans += [planned(study, drawers(study)) for study in studies]
        prefixes = ["", *(f"s{n}-" for n, _ in enumerate(studies, 1))]
        (first, *drawn) = plates(plans, work, kinds, prefixes)
        parts = [document(study, some) for study, some in zip(studies, drawn, strict=True)]
        names = [card.name for study in studies for card in study.models.values()]
        title = title or f"{len(studies)} studies of {listed(list(dict.fromkeys(names)))}"
        write(join(parts, comparison, first[""], title), work, targets, None)
    return tuple(targets.values())


def join(
    parts: Sequence[Document], comparison: across.Comparison, shown: Sequence[Plate], title: str
) -> Document:
    """One document of several; anchors of study n begin with `sn-`."""
    sections = _top(comparison, shown)
    for number, part in enumerate(parts, 1):
        sections += _study(part, number)
    papers = {paper: None for part in parts for s in part.sections for paper in s.papers}
    sections.append(Section("methods", "How were the numbers made?", "methods", fresh=True))
    sections.append(Section("papers", "References", "papers", papers=list(papers)))
    caveats: dict[str, list[int]] = {}
    for number, part in enumerate(parts, 1):
        for caveat in part.caveats:
            caveats.setdefault(caveat, []).append(number)
    latest = max(parts, key=lambda part: part.when)
    return Document(
        title=title,
        details=(f"joined from {len(parts)} studies", latest.date),
        when=latest.when,
        date=latest.date,
        stamps=tuple(dict.fromkeys(stamp for part in parts for stamp in part.stamps)),
        caveats=[_of(caveat, numbers, len(parts)) for caveat, numbers in caveats.items()],
        findings=_first_page(parts),
        shown=None,
        sections=sections,
        methods=_methods([part.methods for part in parts]),
        notes=list(dict.fromkeys(note for part in parts for note in part.notes)),
        source=", ".join(part.source for part in parts),
    )


def _top(comparison: across.Comparison, shown: Sequence[Plate]) -> list[Section]:
    found = [table for table in across.tables(comparison) if table.groups]
    notes = [*([_INTRO] if found else []), *(f"{note}." for note in comparison.notes)]
    if not found:
        notes = ["No study has probes: there are no scores to compare."]
    question = "Which model knows what?"
    top = [Section("models", question, "tables", paragraphs=notes, tables=found, fresh=True)]
    if shown:
        question = "Who specialises in what, side by side?"
        top.append(Section("side-by-side", question, plates=list(shown)))
    return top


def _study(part: Document, number: int) -> list[Section]:
    """The sections of one study under its title, its first page before them."""
    first = Section(
        "summary",
        "What did this study find?",
        findings=part.findings,
        plates=[part.shown] if part.shown else [],
        fresh=True,
        part=f"Study {number}: {part.title}",
    )
    return [
        replace(
            section,
            anchor=f"s{number}-{section.anchor}",
            findings=[replace(f, anchor=f"s{number}-{f.anchor}") for f in section.findings],
        )
        for section in [first, *part.sections]
        if section.anchor not in _ENDING
    ]


def _first_page(parts: Sequence[Document]) -> list[Finding]:
    """What is best supported on the first pages of the studies, each sentence once."""
    told: dict[str, Finding] = {}
    for number, part in enumerate(parts, 1):
        for one in part.findings:
            told.setdefault(one.claim, replace(one, anchor=f"s{number}-{one.anchor}"))
    supported = [one for one in told.values() if one.grade != UNSUPPORTED]
    return sorted(supported, key=lambda one: GRADES.index(one.grade))[:_MOST]


def _of(caveat: str, numbers: list[int], studies: int) -> str:
    """A caveat, and whose it is where it is not everybody's."""
    if len(numbers) == studies:
        return caveat
    return f"{'studies' if numbers[1:] else 'study'} {', '.join(map(str, numbers))}: {caveat}"


def _methods(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several studies say of their methods, each thing once."""
    keys = list(dict.fromkeys(key for part in parts for key in part["methods"]))
    measures: dict[str, dict[str, dict]] = {}
    for part in parts:
        for family in part["measures"]:
            known = measures.setdefault(family["title"], {})
            for row in family["rows"]:
                known.setdefault(row["name"], row)
    told = [{"title": title, "rows": list(rows.values())} for title, rows in measures.items()]
    cited = {key: names for part in parts for key, names in part["cited"].items()}
    return {"methods": keys, "measures": told, "cited": cited}
