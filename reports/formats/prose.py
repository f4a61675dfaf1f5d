"""The report's own words on methods and papers (methods.typ), for formats that are not Typst.

Typst itself takes its text apart; what it finds becomes HTML with MathML, or Markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

SOURCES = Path(__file__).parents[1]
_QUERY = '#import "methods.typ": methods, papers\n#metadata((methods, papers)) <told>\n'
_OPERATORS = (
    "()[]{}|,;=+<>/*" + "\N{MINUS SIGN}\N{LESS-THAN OR EQUAL TO}\N{GREATER-THAN OR EQUAL TO}"
)
Node = Mapping
Cite = Callable[[str], str]


@dataclass(frozen=True)
class Prose:
    """Methods as (title, text) by key, and papers by key, as Typst's trees."""

    methods: Mapping[str, tuple[str, Node]]
    papers: Mapping[str, Node]


@cache
def prose() -> Prose:
    """All of methods.typ."""
    import typst

    found = typst.query(_QUERY.encode(), "<told>", field="value", one=True, root=str(SOURCES))
    methods, papers = json.loads(found)
    return Prose({key: (title, body) for key, (title, body) in methods.items()}, papers)


def as_html(node: Node, cite: Cite) -> str:
    """A text as HTML; `cite` gives that of a reference to a paper by its key."""
    kind = node["func"]
    if kind == "equation":
        return f"<math>{_mathml(node['body'])}</math>"
    if kind == "ref":
        return cite(_target(node))
    if kind in ("emph", "strong"):
        tag = "em" if kind == "emph" else "strong"
        return f"<{tag}>{as_html(node['body'], cite)}</{tag}>"
    return _walk(node, lambda n: as_html(n, cite), escape)


def as_markdown(node: Node, cite: Cite, quoted: Callable[[str], str]) -> str:
    """A text as Markdown, formulas on one line as code; `quoted` escapes text."""
    kind = node["func"]
    if kind == "equation":
        return f"`{re.sub(' +', ' ', _linear(node['body'])).strip()}`"
    if kind == "ref":
        return cite(_target(node))
    if kind in ("emph", "strong"):
        mark = "*" if kind == "emph" else "**"
        return f"{mark}{as_markdown(node['body'], cite, quoted)}{mark}"
    return _walk(node, lambda n: as_markdown(n, cite, quoted), quoted)


def _walk(node: Node, inner: Callable[[Node], str], text: Callable[[str], str]) -> str:
    kind = node["func"]
    if kind == "sequence":
        return "".join(map(inner, node["children"]))
    if kind in ("text", "symbol"):
        return text(node["text"])
    if kind == "space":
        return " "
    if kind == "smartquote":
        return text('"' if node.get("double", True) else "\N{RIGHT SINGLE QUOTATION MARK}")
    if kind in ("styled", "lr"):
        return inner(node.get("child") or node["body"])
    raise ValueError(f"methods.typ: {kind!r} has no form outside of Typst; say it otherwise")


def _target(node: Node) -> str:
    return node["target"].strip("<>")


def _parts(node: Node) -> list[Node]:
    if node["func"] in ("sequence", "lr", "styled"):
        children = node.get("children") or [node.get("body") or node.get("child")]
        return [part for child in children for part in _parts(child)]
    return [node]


def _mathml(node: Node) -> str:
    return "".join(map(_mathml_one, _parts(node)))


def _mathml_one(node: Node) -> str:
    kind = node["func"]
    if kind == "space":
        return ""
    if kind in ("text", "symbol"):
        text = node["text"]
        if re.fullmatch(r"[\d.,]+", text) and text != ",":
            return f"<mn>{escape(text)}</mn>"
        if len(text) == 1 and not text.isalnum():
            return f'<mo stretchy="false">{escape(text)}</mo>'
        # One letter is a quantity; words stand upright.
        return f"<mi>{escape(text)}</mi>" if len(text) == 1 else f"<mtext>{escape(text)}</mtext>"
    if kind == "op":
        return f"<mi>{escape(_linear(node['text']))}</mi>"
    if kind == "attach":
        base = _mathml_row(node["base"])
        below, above = (_mathml_row(node[k]) if k in node else "" for k in ("b", "t"))
        if below and above:
            return f"<msubsup>{base}{below}{above}</msubsup>"
        return f"<msub>{base}{below}</msub>" if below else f"<msup>{base}{above}</msup>"
    if kind == "root":
        # The sign alone: a bar over what follows takes a font made for formulas.
        sign, left, right = (f'<mo stretchy="false">{c}</mo>' for c in "\N{SQUARE ROOT}()")
        return f"<mrow>{sign}{left}{_mathml(node['radicand'])}{right}</mrow>"
    if kind == "frac":
        return f"<mfrac>{_mathml_row(node['num'])}{_mathml_row(node['denom'])}</mfrac>"
    raise ValueError(f"methods.typ: {kind!r} in a formula has no form outside of Typst")


def _mathml_row(node: Node) -> str:
    return f"<mrow>{_mathml(node)}</mrow>"


def _linear(node: Node) -> str:
    """A formula on one line."""
    out = ""
    for one in _parts(node):
        kind = one["func"]
        if kind == "space":
            out += " "
        elif kind in ("text", "symbol"):
            out += one["text"]
        elif kind == "op":
            out += _linear(one["text"])
        elif kind == "attach":
            out += _linear(one["base"])
            out += "".join(
                mark + _grouped(one[side]) for side, mark in (("b", "_"), ("t", "^")) if side in one
            )
        elif kind == "root":
            out += f"\N{SQUARE ROOT}{_grouped(one['radicand'])}"
        elif kind == "frac":
            out += f"{_grouped(one['num'])}/{_grouped(one['denom'])}"
        else:
            raise ValueError(f"methods.typ: {kind!r} in a formula has no form outside of Typst")
    return out


def _grouped(node: Node) -> str:
    text = _linear(node).strip()
    return text if text.isalnum() else f"({text})"
