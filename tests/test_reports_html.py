"""The HTML report: one file, everything escaped, links that lead somewhere; and in a browser."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from study_fixture import make_study

from reports import Study, write_reports
from reports.figures import landscape
from reports.findings import find, first_page

HOSTILE = "</script><img src=x onerror=alert(1)><!-- & \"' ]]> -->\x00\u202e"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements with their attributes, and the text outside of script and style."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closes what is not open"

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study whose model and one of whose layers and tasks have hostile names."""
    folder = tmp_path_factory.mktemp("html") / "study"
    make_study(folder, layers={"a": 4, "b": 5}, tasks=2, measures=3)
    for file in folder.rglob("*.json"):
        text = file.read_text()
        for name in ("block01", "Model A", "Instrument family"):
            text = text.replace(name, json.dumps(f"{name} {HOSTILE}")[1:-1])
        file.write_text(text)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landscape, "FEWEST_FOR_UMAP", 10**9)
        (path,) = write_reports(folder, formats=("html",))
    assert path == folder / "report.html"
    return path


def test_one_file_that_needs_no_network(page):
    found = Page(page)
    assert found.open == []
    for tag, attributes in found.elements:
        for key, value in attributes.items():
            assert not key.startswith("on"), f"{tag} {key}"
            if key in ("src", "xlink:href", "href", "action", "data", "poster"):
                allowed = ("#", "data:image/png", "https://example.org/model")
                assert value.startswith(allowed), value
    assert {tag for tag, _ in found.elements} & {"link", "iframe", "object", "img", "form"} == set()
    assert len(found.scripts) == 2
    assert "@import" not in found.source
    addresses = re.findall(r"url\(([^)#]{4})", found.source)
    assert addresses and set(addresses) == {"data"}
    assert page.stat().st_size < 10_000_000


def test_hostile_names_are_text_everywhere(page):
    found = Page(page)
    shown = "block01 </script><img src=x onerror=alert(1)>"
    assert shown in found.text
    assert "<img" not in found.source
    told = json.loads(found.scripts[0])
    assert any(shown in text for areas in told.values() for one in areas for text in one["texts"])
    assert "\u202e" not in found.source and "\x00" not in found.source


def test_anchors_are_unique_and_links_lead_to_them(page):
    found = Page(page)
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    for _, attributes in found.elements:
        for key, value in attributes.items():
            if key in ("href", "xlink:href") and value.startswith("#"):
                assert value[1:] in ids
            for name in re.findall(r"url\(#([^)]+)\)", value or ""):
                assert name in ids
    contents = [a["href"] for tag, a in found.elements if tag == "a"]
    wanted = "cards within cross probes specialisation trust recommendation methods record papers"
    assert {f"#{name}" for name in wanted.split()} <= set(contents)


def test_findings_captions_methods_and_tables_are_there(folder, page):
    text = Page(page).text
    for finding in first_page(find(Study.read(folder))):
        assert " ".join(finding.claim.split()) in text
    for words in (
        "Figure 1.",
        "corrected for all 20 cells (permutation of groups, 99 draws)",
        "Rendered audio: the timbres",
        "By every metric",
        "Phipson, G. K. Smyth",
        "0123456789abcdef" * 4,
    ):
        assert words in text
    assert "<math><mi>p</mi>" in Page(page).source


def test_cells_and_layers_tell_their_numbers(folder, page):
    told = json.loads(Page(page).scripts[0])
    texts = [text for areas in told.values() for one in areas for text in one["texts"]]
    measure = Study.read(folder).between("a", "b").main()
    value = f"{measure.title}: {measure.value[0, 0]:.2f} ["
    cell = next(text for text in texts if text.startswith("frontend × frontend") and value in text)
    assert re.search(r"chance -?\d.*, p \d", cell)
    assert any(re.match(r"model-b, final\n.*\nchance \d", text) for text in texts)
    for areas in told.values():
        for one in areas:
            left, top, right, bottom = one["box"]
            assert 0 <= left < right <= 1.001 and 0 <= top < bottom <= 1.001
            count = one["rows"] * one["columns"] if "rows" in one else len(one["places"])
            assert len(one["texts"]) == count


def test_same_study_same_bytes(tmp_path):
    without = dict.fromkeys(("probes", "twins", "geometry", "information", "references"), False)
    folder = make_study(tmp_path / "s", layers={"a": 3}, measures=1, **without)
    first, again = (
        write_reports(folder, tmp_path / name, ("html",))[0].read_bytes() for name in "12"
    )
    assert first == again


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="no playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync.sync_playwright() as play:
        program = found or play.chromium.executable_path
        if not Path(program).exists():
            pytest.skip("no browser")
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_in_a_browser(browser, page):
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    faults, asked = [], []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("dialog", lambda dialog: faults.append("dialog"))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_function("document.fonts.status === 'loaded'")

    plate = tab.locator("#cross .plate").first
    plate.scroll_into_view_if_needed()
    box = plate.bounding_box()
    area = tab.evaluate("told[document.querySelector('#cross figure').id][0].box")
    x = box["x"] + box["width"] * (area[0] + 0.02)
    tab.mouse.move(x, box["y"] + box["height"] * (area[3] - 0.02))
    tip = tab.locator("#tip")
    assert tip.is_visible()
    assert tip.inner_text().startswith("frontend \N{MULTIPLICATION SIGN} frontend")
    tab.mouse.move(2, 2)
    assert not tip.is_visible()

    table = tab.locator("#recommendation table")
    button = table.locator("th button").nth(4)
    orders = []
    for _ in range(2):
        button.click()
        cells = table.locator("tbody tr td:nth-child(5)").all_inner_texts()
        orders.append([float(cell.split()[0]) for cell in cells])
    assert orders[0] == sorted(orders[0]) and orders[1] == sorted(orders[0], reverse=True)
    assert table.locator("th").nth(4).get_attribute("aria-sort") == "descending"

    for width in (1200, 390):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert len(tab.screenshot()) > 10_000
    tab.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []


def test_figures_on_why_tell_their_numbers(tmp_path):
    from why_fixture import make_why

    without = dict.fromkeys(
        ("similarity", "geometry", "information", "trust", "heads", "published"), False
    )
    folder = make_why(make_study(tmp_path / "s", layers={"a": 4, "b": 5}, tasks=3, **without))
    found = Page(write_reports(folder, formats=("html",))[0])
    told = json.loads(found.scripts[0])
    texts = [text for areas in told.values() for one in areas for text in one["texts"]]
    riding = next(text for text in texts if " erased from " in text)
    assert re.search(r"\ncost in .*: .* \[.*\]\nagainst the stronger control\n.*\np \d", riding)
    assert any(re.match(r"chroma, .*\nit alone: ", text) for text in texts)
    assert any("\nadds bits: " in text for text in texts)
    assert "Why there?" in found.text and "What was tested and not found?" in found.text
