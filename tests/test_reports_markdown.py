"""The Markdown report: read back by a Markdown parser; and words that are not Typst's."""

from __future__ import annotations

import json
import re

import pytest
from study_fixture import make_study

from reports import Study, write_reports
from reports.findings import find, first_page
from reports.formats.markdown import quoted
from reports.formats.prose import as_html, as_markdown, prose

markdown_it = pytest.importorskip("markdown_it")

HOSTILE = "](http://x.org) <b onclick=1> | *a* `b` &lt; \\ # $x_1$ https://x.org"


def parsed(text: str):
    return markdown_it.MarkdownIt("commonmark").enable("table").parse(text)


def inner(tokens) -> list:
    return [child for token in tokens for child in token.children or ()]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("md") / "study"
    make_study(folder, layers={"a": 4}, tasks=2, measures=1, trust=False, heads=False)
    for file in folder.rglob("*.json"):
        for name in ("block01", "Model A"):
            hostile = json.dumps(f"{name} {HOSTILE}")[1:-1]
            file.write_text(file.read_text().replace(name, hostile))
    (path,) = write_reports(folder, formats=("md",))
    return folder, path


def test_figures_are_beside_it(made):
    folder, path = made
    assert path == folder / "report.md"
    links = [t.attrs["src"] for t in inner(parsed(path.read_text())) if t.type == "image"]
    assert len(links) >= 4
    for link in links:
        assert link.startswith("figures/")
        assert (folder / link).read_text().startswith("<?xml")


def test_names_of_the_study_stay_text(made):
    tokens = parsed(made[1].read_text(encoding="utf-8"))
    kinds = {token.type for token in [*tokens, *inner(tokens)]}
    assert not kinds & {"fence", "code_block", "hr"}
    for token in tokens:
        if token.type == "html_block":
            assert re.fullmatch(r'<a id="[a-z-]+"></a>\n*', token.content)
    tags = {token.content for token in inner(tokens) if token.type == "html_inline"}
    assert {tag for tag in tags if not re.fullmatch(r'<a id="[a-z-]+">|</a>', tag)} == set()
    outside = [t.attrs["href"] for t in inner(tokens) if t.type == "link_open"]
    assert {link for link in outside if not link.startswith("#")} == {"https://example.org/model"}
    text = "".join(t.content for t in inner(tokens) if t.type in ("text", "text_special"))
    assert f"block01 {HOSTILE}" in text


def test_tables_are_whole_and_findings_are_listed(made):
    folder, path = made
    tokens = parsed(path.read_text(encoding="utf-8"))
    rows, width = 0, 0
    for token in tokens:
        if token.type == "tr_open":
            cells = 0
        elif token.type in ("th_open", "td_open"):
            cells += 1
        elif token.type == "tr_close":
            rows, width = rows + 1, max(width, cells)
    assert rows > 20 and width == 7
    text = "".join(t.content for t in inner(tokens) if t.type in ("text", "text_special"))
    for finding in first_page(find(Study.read(folder))):
        assert finding.claim in text
    assert any(token.type == "ordered_list_open" for token in tokens)


@pytest.mark.parametrize(
    "text",
    ["- a", "1. a", "+ b", "# c", "=== d", "> e", "a_b_c", "a *b* c", "&amp; x", "\\*", "~a~"],
)
def test_quoted_text_is_read_as_it_was_written(text):
    tokens = parsed(quoted(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    found = "".join(t.content for t in inner(tokens)).replace("\u200b", "")
    assert found == text


def test_all_methods_and_papers_have_a_form_outside_of_typst():
    told = prose()
    assert len(told.methods) > 10 and len(told.papers) > 15
    for _, text in told.methods.values():
        assert "{'func'" not in as_html(text, lambda key: f"[{key}]")
        for key in re.findall(r"\[([a-z]+)\]", as_markdown(text, lambda key: f"[{key}]", str)):
            assert key in told.papers
    for text in told.papers.values():
        assert as_markdown(text, str, str).endswith(".")
    chance = as_markdown(told.methods["chance"][1], str, str)
    assert "`max(0, (v − v_chance) / (v_equal − v_chance))`" in chance
    assert "\N{SQUARE ROOT}</mo>" in as_html(told.methods["chance"][1], str)
