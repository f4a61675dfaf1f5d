"""One HTML file with everything inside: words, figures, fonts, and a few lines of script."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from string import Template

from reports.document import Card, Document, Section
from reports.figures.drawing import Plate
from reports.figures.hover import Area
from reports.findings import GRADES, Finding
from reports.formats import faces
from reports.formats.inline import inline
from reports.formats.prose import as_html, prose
from reports.tables import Cell, Rows, Table

_HERE = Path(__file__).parent
_POINTS = 96  # CSS pixels an inch


def html(document: Document) -> bytes:
    """The HTML of a report; reads the plates' `inline` files.

    Nothing is fetched: the page forbids itself the network. All text of the study is escaped; the
    script reads the words of its tooltips from a block of data and sets them as text.
    """
    writer = _Writer(document)
    body = "\n".join(writer.body())
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(document.title),
        policy=(
            f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
            "font-src data:; img-src data:"
        ),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        faces=faces.style(body),
        body=body,
        told=_data(writer.told),
        script=script,
    )
    return page.encode("utf-8", "replace")


class _Writer:
    """Writes one document; counts its figures and keeps what they tell."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.told: dict[str, list[dict]] = {}
        self.figures = 0
        self.cited = document.cited

    def body(self) -> Iterator[str]:
        one = self.document
        for stamp in one.stamps:
            yield f'<p class="stamp">{escape(stamp)}</p>'
        yield f"<header><h1>{escape(one.title)}</h1>"
        details = " \N{MIDDLE DOT} ".join(map(escape, one.details))
        yield f'<p class="details">{details}</p></header>'
        yield from self._contents()
        yield '<main><section id="summary">'
        if one.findings:
            yield _findings(one.findings, places=self._places())
            yield _grades()
        if one.shown:
            yield self._figure(one.shown)
        if one.caveats:
            yield '<aside class="caveats"><h2>Before you believe this</h2>'
            yield f"{_list(one.caveats)}</aside>"
        yield "</section>"
        for section in one.sections:
            yield from self._section(section)
        yield "</main>"

    def _places(self) -> dict[str, str]:
        return {s.anchor: s.question for s in self.document.sections}

    def _contents(self) -> Iterator[str]:
        yield '<nav aria-label="Contents"><details open><summary>Contents</summary><ol>'
        for section in self.document.sections:
            if section.part:
                yield f'<li class="part">{escape(section.part)}</li>'
            yield f'<li><a href="#{section.anchor}">{escape(section.question)}</a></li>'
        yield "</ol></details></nav>"

    def _section(self, section: Section) -> Iterator[str]:
        if section.part:
            yield f'<h2 class="part">{escape(section.part)}</h2>'
        yield f'<section id="{section.anchor}" class="{section.kind}">'
        yield f"<h2>{escape(section.question)}</h2>"
        if section.findings:
            yield _findings(section.findings)
        for paragraph in section.paragraphs:
            yield f"<p>{escape(paragraph)}</p>"
        for card in section.cards:
            yield _card(card)
        if section.kind == "methods":
            yield from self._methods()
        if section.kind == "papers":
            yield from self._papers(section)
        for block in section.blocks:
            yield self._figure(block) if isinstance(block, Plate) else _table(block)
        if section.warnings:
            title = f"<h3>{escape(section.warned)}</h3>" if section.warned else ""
            yield f'{title}<div class="warnings">{_list(section.warnings)}</div>'
        yield "</section>"

    def _figure(self, plate: Plate) -> str:
        self.figures += 1
        name = f"figure-{self.figures}"
        picture = inline(plate.files["inline"], f"f{self.figures}-", plate.alt)
        if plate.hover:
            self.told[name] = [_area(area) for area in plate.hover]
        wide = round(plate.size[0] * _POINTS * 1.15)
        return (
            f'<figure id="{name}" data-name="{escape(plate.name)}">'
            f'<div class="scroll"><div class="plate" style="max-width:{wide}px">{picture}</div>'
            f"</div><figcaption><b>Figure {self.figures}.</b> {escape(plate.caption)}"
            "</figcaption></figure>"
        )

    def _cite(self, key: str) -> str:
        if key not in self.cited:
            return ""
        return f'<a href="#paper-{key}">[{self.cited.index(key) + 1}]</a>'

    def _methods(self) -> Iterator[str]:
        told = prose().methods
        for key in self.document.methods["methods"]:
            title, text = told[key]
            yield f"<p><b>{escape(title)}.</b> {as_html(text, self._cite)}</p>"
        for part in self.document.methods["measures"]:
            yield f"<h3>{escape(part['title'])}</h3><dl class='measures'>"
            for row in part["rows"]:
                yield f"<dt><b>{escape(row['title'])}</b> <code>{escape(row['name'])}</code> "
                yield f'<span class="quiet">{escape(row["formula"])}</span></dt>'
                source = f' <span class="quiet">({escape(row["source"])})</span>'
                yield f"<dd>{escape(row['text'])}{source if row['source'] else ''}</dd>"
            yield "</dl>"
        if self.document.notes:
            yield f"<h3>Notes of the measures and tasks</h3>{_list(self.document.notes)}"

    def _papers(self, section: Section) -> Iterator[str]:
        told = prose().papers
        yield "<ol>"
        for key in self.cited:
            yield f'<li id="paper-{key}">{as_html(told[key], self._cite)}</li>'
        yield "</ol>"
        if section.papers:
            yield "<h3>Models</h3><ul>"
            for paper in section.papers:
                link = ""
                if paper.url:
                    link = f' <a href="{escape(paper.url)}" rel="noopener">{escape(paper.url)}</a>'
                yield f"<li>{escape(paper.text)}{link}</li>"
            yield "</ul>"


def _findings(findings: Iterable[Finding], places: dict[str, str] | None = None) -> str:
    out = []
    for one in findings:
        link = ""
        if places and one.anchor in places:
            question = escape(places[one.anchor])
            link = f' <a class="place" href="#{one.anchor}">{question}</a>'
        out.append(f"<li>{_mark(one.grade)}<span>{escape(one.claim)}{link}</span></li>")
    return f'<ul class="findings">{"".join(out)}</ul>'


def _mark(grade: str) -> str:
    kind = grade.replace(" ", "-")
    return f'<i class="mark {kind}" role="img" aria-label="{grade}" title="{grade}"></i>'


def _grades() -> str:
    return f'<p class="grades">{" ".join(f"{_mark(g)} {g}" for g in GRADES)}</p>'


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _card(card: Card) -> str:
    return f'<div class="card"><h3>{escape(card.title)}</h3>{_pairs(card.rows)}</div>'


def _pairs(rows: Rows) -> str:
    told = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f"<dl>{''.join(told)}</dl>"


def _table(table: Table) -> str:
    """A table whose columns sort.

    Rows sort one by one where a group's first cell only names it (each then shows that name);
    else whole groups do.
    """
    single = all(_titled(rows) for rows in table.groups)
    head = "".join(
        f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in table.head
    )
    groups = []
    for rows in table.groups:
        title = _cell(rows[0][0]).text
        lines = []
        for n, row in enumerate(rows):
            cells = [_cell(value) for value in row]
            first = f'<span class="again">{escape(title)}</span>' if n and single else ""
            told = [_td(cell, first if not k else "") for k, cell in enumerate(cells)]
            lines.append(f"<tr>{''.join(told)}</tr>")
        groups.append(f"<tbody>{''.join(lines)}</tbody>")
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    intro = f"<p>{escape(table.intro)}</p>" if table.intro else ""
    sort = "rows" if single else "groups"
    return (
        f'{title}{intro}<div class="scroll"><table data-sort="{sort}"><thead><tr>{head}</tr>'
        f"</thead>{''.join(groups)}</table></div>"
    )


def _titled(rows: Iterable[Iterable[str | Cell]]) -> bool:
    """Whether only the first row names the group."""
    return all(not _cell(row[0]).text for row in list(map(list, rows))[1:])


def _cell(value: str | Cell) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def _td(cell: Cell, first: str) -> str:
    names = [name for name in ("bold", "quiet", "mono") if getattr(cell, name)]
    kind = f' class="{" ".join(names)}"' if names else ""
    return f"<td{kind}>{first}{escape(cell.text)}</td>"


def _area(area: Area) -> dict:
    if area.rows:
        return {"box": area.box, "rows": area.rows, "columns": area.columns, "texts": area.texts}
    return {"box": area.box, "places": area.places, "texts": area.texts}


def _data(told: dict) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)
