"""Sets a report on pages: data.json for template.typ, compiled by Typst."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from reports.document import Document, Section
from reports.errors import ReportError
from reports.figures.drawing import Plate
from reports.findings import Finding
from reports.tables import Cell, Table
from reports.words import clean, soft

SOURCES = Path(__file__).parents[1]
_SOURCES = ("template.typ", "methods.typ")
_AUTHOR = "rsa"


def pdf(document: Document, work: Path) -> bytes:
    """The PDF of a report; figures, template and data are put in `work`."""
    import typst

    data = _data(document)
    (work / "data.json").write_text(json.dumps(data), encoding="utf-8")
    for name in _SOURCES:
        shutil.copyfile(SOURCES / name, work / name)
    try:
        return typst.compile(
            str(work / "template.typ"),
            root=str(work),
            timestamp=int(document.when.timestamp()),
            # Fonts of the system only where the embedded ones lack the script of some name.
            ignore_system_fonts=_covered(data),
        )
    except (typst.TypstError, RuntimeError) as error:
        raise ReportError(
            f"{document.source}: the pages cannot be set ({clean(error, 300)}); "
            "please report this with the study's study.json"
        ) from None


def _covered(values: Any) -> bool:
    """True when Latin, Greek, Cyrillic and common signs are all there is."""
    if isinstance(values, str):
        return all(ord(c) < 0x0530 or 0x1E00 <= ord(c) < 0x2600 for c in values)
    if isinstance(values, dict):
        return all(map(_covered, values.values()))
    return all(map(_covered, values)) if isinstance(values, list) else True


def _data(document: Document) -> dict:
    """Everything the template prints."""
    return {
        "title": soft(document.title),
        "author": _AUTHOR,
        "subtitle": soft("   \N{MIDDLE DOT}   ".join(document.details)),
        "running": soft(clean(document.title, 90)),
        "date": document.date,
        "stamps": soft(document.stamps),
        "caveats": soft(document.caveats),
        "findings": [_finding(f) for f in document.findings],
        "overview": _plate(document.shown) if document.shown else None,
        "sections": [_section(s) for s in document.sections],
        **document.methods,
        "measures": soft(document.methods["measures"]),
        "notes": soft(document.notes),
    }


def _section(section: Section) -> dict:
    return {
        "anchor": section.anchor,
        "question": section.question,
        "kind": section.kind,
        "fresh": section.fresh,
        "part": soft(section.part),
        "paragraphs": soft(section.paragraphs),
        "figures": [_plate(plate) for plate in section.plates],
        "tables": [_table(table) for table in section.tables],
        "warnings": soft(section.warnings),
        "findings": [_finding(f) for f in section.findings],
        "cards": [{"title": soft(c.title), "rows": soft(c.rows)} for c in section.cards],
        "models": [{"text": soft(p.text), "url": p.url} for p in section.papers],
    }


def _finding(one: Finding) -> dict:
    return {"claim": soft(one.claim), "grade": one.grade, "anchor": one.anchor}


def _plate(one: Plate) -> dict:
    return {"file": one.files["pdf"].name, "caption": soft(one.caption), "alt": one.alt}


def _table(one: Table) -> dict:
    return {
        "title": soft(one.title),
        "intro": soft(one.intro),
        "head": soft(list(one.head)),
        "widths": list(one.widths),
        "groups": [[[_cell(c) for c in row] for row in rows] for rows in one.groups],
    }


def _cell(value: str | Cell) -> dict:
    cell = value if isinstance(value, Cell) else Cell(value)
    return {"text": soft(cell.text), "bold": cell.bold, "quiet": cell.quiet, "mono": cell.mono}
