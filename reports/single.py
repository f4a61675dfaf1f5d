"""One figure or table of a report by itself."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reports import style
from reports.document import Drawer, drawers, sections
from reports.errors import ReportError
from reports.figures.drawing import Drawing
from reports.plates import drawings
from reports.study import Study
from reports.tables import Cell, Table
from reports.whole import replace

PICTURES = ("svg", "pdf", "png")
TABLE = "csv"
# what the matrices of the main measure are called, too
ALSO = {"cka-across": "cross", "cka-within": "within"}


@dataclass(frozen=True)
class Entry:
    """A figure or table that a study has; `line` says what it is."""

    name: str
    line: str


def figures(study: Study) -> list[Entry]:
    """All figures of the report, in the order of its pages."""
    found = [one for drawer in drawers(study).values() for one in drawings(study, drawer)]
    return [Entry(one.name, one.alt) for one in found]


def tables(study: Study) -> list[Entry]:
    """All tables of the report, in the order of its pages."""
    return [Entry(name, one.title or question) for name, question, one in _tables(study)]


def write_figure(
    study: Study, name: str, kind: str | None = None, out: str | Path | None = None
) -> Path:
    """Writes one figure or table of a report.

    Parameters
    ----------
    name : as `figures` and `tables` list it; without the number of a page where there is one page.
    kind : of `PICTURES` for a figure, "csv" for a table; by default as `out` ends, else svg, csv.
    out : by default `NAME.KIND` in the current folder.

    Raises
    ------
    LookupError : there is no such figure or table; its argument is the names there are.
    ReportError : it has no such format, or cannot be written.
    """
    name = ALSO.get(name, name)
    table = next((one for known, _, one in _tables(study) if known == name), None)
    kinds = PICTURES if table is None else (TABLE,)
    if kind is None:
        ending = Path(out).suffix[1:].lower() if out is not None else ""
        kind = ending or kinds[0]
    drawer = None if table else _drawer(study, name)
    if kind not in kinds:
        what = "a figure" if table is None else "a table"
        raise ReportError(f"{name} is {what}: it can be written as {', '.join(kinds)}, not {kind}")
    target = Path(out) if out is not None else Path(f"{name}.{kind}")
    if target.is_dir():
        raise ReportError(f"{target}: is a folder; give the name of a file, such as {name}.{kind}")
    content = _csv(table) if table else _drawn(study, drawer, name, kind)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, content)
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written ({error.strerror or error}); give another place"
        ) from None
    return target


def _drawer(study: Study, name: str) -> Drawer:
    """What draws a figure of this name: names are those of drawers, most with a page's number."""
    known = drawers(study)
    fits = [one for one in known if re.match(re.escape(one) + r"(-.+)?$", name)]
    if not fits:
        raise LookupError([one.name for one in (*figures(study), *tables(study))])
    return known[max(fits, key=len)]


def _drawn(study: Study, drawer: Drawer, name: str, kind: str) -> bytes:
    drawing = _named(drawings(study, drawer), name)
    with style.look(), tempfile.TemporaryDirectory(prefix="rsa-figure-") as room:
        style.settle(drawing.figure)
        return style.save(drawing.figure, Path(room) / f"{drawing.name}.{kind}").read_bytes()


def _named(found: list[Drawing], name: str) -> Drawing:
    names = [one.name for one in found]
    if name in names:
        return found[names.index(name)]
    if len(found) == 1 and re.fullmatch(re.escape(name) + r"-\d+", names[0]):
        return found[0]
    if not found:
        raise ReportError(f"{name}: this study has no data for this figure")
    raise LookupError(names)


def _tables(study: Study) -> Iterator[tuple[str, str, Table]]:
    """Name, question of the section, table."""
    for section in sections(study):
        kept = [table for table in section.tables if table.groups]
        for n, table in enumerate(kept, 1):
            number = f"-{n}" if len(kept) > 1 else ""
            yield f"{section.anchor}-table{number}", section.question, table


def _inert(text: str) -> str:
    """A cell; a spreadsheet would run as a formula what begins like one and is no number."""
    formula = text[:1] in ("=", "+", "-", "@") and not re.fullmatch(r"[-+]?[\d.,%\s()eto+-]*", text)
    return f"'{text}" if formula else text


def _csv(table: Table) -> bytes:
    """Groups whose rows are named once carry the name in every row."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(map(_inert, table.head))
    for group in table.groups:
        title = ""
        for row in group:
            cells = [one.text if isinstance(one, Cell) else one for one in row]
            title = cells[0] or title
            rows.writerow(map(_inert, [title, *cells[1:]]))
    return out.getvalue().encode("utf-8", "replace")
