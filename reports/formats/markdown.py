"""A report as Markdown with its figures as SVG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from reports.document import Card, Document, Section
from reports.figures.drawing import Plate
from reports.findings import Finding
from reports.formats.prose import as_markdown, prose
from reports.tables import Cell, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def markdown(document: Document, figures: str) -> bytes:
    """The Markdown of a report; `figures` is the folder of the SVG files as links name it."""
    writer = _Writer(document, figures)
    return ("\n\n".join(writer.blocks()) + "\n").encode("utf-8", "replace")


def quoted(text: str) -> str:
    """Text that Markdown prints as it is, HTML and entities included."""
    text = _SPECIAL.sub(r"\\\1", text).replace("&", "&amp;")
    # What would begin a list, a heading's underline or a link of its own.
    text = re.sub(r"^(\s*)([-+=]|\d+[.)])(?=\s|$|-|=)", r"\1&#8203;\2", text)
    return re.sub(r"(?i)\b(https?|ftp)://|\bwww\.|@(?=\w)", _unlinked, text)


def _unlinked(found: re.Match) -> str:
    text = found[0]
    return f"{text[:-1]}&#{ord(text[-1])};"


class _Writer:
    def __init__(self, document: Document, figures: str) -> None:
        self.document, self.folder = document, figures
        self.figures = 0
        self.cited = document.cited

    def blocks(self) -> Iterator[str]:
        one = self.document
        yield from (f"**{quoted(stamp)}**" for stamp in one.stamps)
        yield f"# {quoted(one.title)}"
        yield " \N{MIDDLE DOT} ".join(map(quoted, one.details))
        if one.findings:
            yield _findings(one.findings)
        if one.shown:
            yield from self._figure(one.shown)
        if one.caveats:
            yield "**Before you believe this**"
            yield _list(one.caveats)
        yield "\n".join(
            f"- [{quoted(s.question)}](#{s.anchor})"
            if not s.part
            else f"- **{quoted(s.part)}**\n- [{quoted(s.question)}](#{s.anchor})"
            for s in one.sections
        )
        for section in one.sections:
            yield from self._section(section)

    def _section(self, section: Section) -> Iterator[str]:
        if section.part:
            yield f"# {quoted(section.part)}"
        yield f'<a id="{section.anchor}"></a>'
        yield f"## {quoted(section.question)}"
        if section.findings:
            yield _findings(section.findings)
        yield from map(quoted, section.paragraphs)
        for card in section.cards:
            yield from _card(card)
        if section.kind == "methods":
            yield from self._methods()
        if section.kind == "papers":
            yield from self._papers(section)
        for block in section.blocks:
            yield from self._figure(block) if isinstance(block, Plate) else _table(block)
        if section.warnings:
            if section.warned:
                yield f"### {section.warned}"
            yield _list(section.warnings)

    def _figure(self, plate: Plate) -> Iterator[str]:
        self.figures += 1
        link = f"{quote(self.folder)}/{quote(plate.files['svg'].name)}"
        yield f"![{quoted(plate.alt)}]({link})"
        yield f"**Figure {self.figures}.** {quoted(plate.caption)}"

    def _cite(self, key: str) -> str:
        return f"\\[{self.cited.index(key) + 1}\\]" if key in self.cited else ""

    def _methods(self) -> Iterator[str]:
        told = prose().methods
        for key in self.document.methods["methods"]:
            title, text = told[key]
            yield f"**{quoted(title)}.** {as_markdown(text, self._cite, quoted)}"
        for part in self.document.methods["measures"]:
            yield f"### {quoted(part['title'])}"
            rows = []
            for row in part["rows"]:
                parts = [row["name"], row["formula"], row["text"]]
                parts += [f"({row['source']})"] if row["source"] else []
                told_of = ". ".join(quoted(p) for p in parts if p)
                rows.append(f"- **{quoted(row['title'])}**: {told_of}")
            yield "\n".join(rows)
        if self.document.notes:
            yield "### Notes of the measures and tasks"
            yield _list(self.document.notes)

    def _papers(self, section: Section) -> Iterator[str]:
        told = prose().papers
        numbered = enumerate(self.cited, 1)
        yield "\n".join(f"{n}. {as_markdown(told[k], self._cite, quoted)}" for n, k in numbered)
        if section.papers:
            yield "### Models"
            links = (f" <{p.url}>" if p.url else "" for p in section.papers)
            texts = (quoted(p.text) for p in section.papers)
            yield "\n".join(f"- {t}{u}" for t, u in zip(texts, links, strict=True))


def _findings(findings: Iterable[Finding]) -> str:
    return "\n".join(f"- *{one.grade}*: {quoted(one.claim)}" for one in findings)


def _list(texts: Iterable[str]) -> str:
    return "\n".join(f"- {quoted(text)}" for text in texts)


def _card(card: Card) -> Iterator[str]:
    yield f"### {quoted(' '.join(card.title.split()))}"
    yield _rows(["", ""], [[quoted(name), quoted(text)] for name, text in card.rows])


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"### {quoted(table.title)}"
    if table.intro:
        yield quoted(table.intro)
    rows = [[_cell(value) for value in row] for group in table.groups for row in group]
    yield _rows([quoted(name) for name in table.head], rows)


def _cell(value: str | Cell) -> str:
    if not isinstance(value, Cell):
        return quoted(value)
    text = quoted(value.text)
    return f"**{text}**" if value.bold and text else text


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
