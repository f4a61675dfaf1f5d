"""The PDF read back: pages, words, links, metadata, fonts; and every kind of study."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from study_fixture import make_study

pypdf = pytest.importorskip("pypdf")

from reports import ReportError, Study, write_report  # noqa: E402
from reports.figures import landscape  # noqa: E402
from reports.findings import find, first_page  # noqa: E402

SMALL = {"layers": {"a": 4, "b": 5}, "tasks": 2, "measures": 3}


def text_of(path: Path) -> list[str]:
    """Text of each page: ligatures, hyphens at line ends and zero-width spaces undone."""
    import unicodedata

    pages = []
    for page in pypdf.PdfReader(path).pages:
        text = unicodedata.normalize("NFKC", page.extract_text())
        text = text.replace("\u200b", "").replace("\u00ad", "").replace("-\n", "")
        pages.append(" ".join(text.split()))
    return pages


def squeezed(text: str) -> str:
    return "".join(text.split()).replace("-", "")


@pytest.fixture(autouse=True)
def _quick_map(monkeypatch):
    """UMAP compiles for many seconds; the slow test below runs it."""
    monkeypatch.setattr(landscape, "FEWEST_FOR_UMAP", 10**9)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A full study and its report, made once."""
    folder = tmp_path_factory.mktemp("full") / "study"
    make_study(folder, layers={"a": 6, "b": 8}, tasks=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landscape, "FEWEST_FOR_UMAP", 10**9)
        return folder, write_report(folder)


def test_default_place_figures_and_size(made):
    folder, path = made
    assert path == folder / "report.pdf"
    assert path.stat().st_size < 10_000_000
    figures = {p.name for p in (folder / "figures").glob("*.pdf")}
    wanted = "overview cross probes-1 evidence-1 probe-1 weights-1 landscape".split()
    assert {f"{name}.pdf" for name in wanted} <= figures
    assert not list(folder.rglob("*.part"))


def test_pages_in_the_order_of_the_questions(made):
    pages = text_of(made[1])
    questions = [
        "What was compared, on what?",
        "How is each model organised inside?",
        "What is each layer like?",
        "Where do the models agree?",
        "How much information is shared?",
        "What does each layer resemble?",
        "What can be read out, and where?",
        "Who specialises in what?",
        "Can the probes be trusted?",
        "Does another head read more?",
        "What should I use?",
        "What does it look like?",
        "How were the numbers made?",
        "Can I trust and repeat it?",
        "References",
    ]
    at = [max(i for i, p in enumerate(pages) if q in p) for q in questions[:-1]]
    assert at == sorted(at)
    assert 10 <= len(pages) <= 21
    for question in questions:
        assert question in pages[0], "the contents list every question"
    for number, page in enumerate(pages, 1):
        assert f"{number} / {len(pages)}" in page
    assert "References" in pages[-2] + pages[-1]


def test_first_page_states_the_findings(made):
    folder, path = made
    front = squeezed(text_of(path)[0])
    shown = first_page(find(Study.read(folder)))
    assert len(shown) == 5
    for finding in shown:
        assert squeezed(finding.claim) in front
    assert squeezed("Scores are mostly chorales.") in front


def test_links_lead_to_pages(made):
    reader = pypdf.PdfReader(made[1])
    numbers = {page.indirect_reference.idnum: i for i, page in enumerate(reader.pages)}
    named = reader.named_destinations
    targets, web = [], []
    for note in reader.pages[0].get("/Annots", []):
        note = note.get_object()
        action = note.get("/A", {})
        place = note.get("/Dest", action.get("/D") if action else None)
        if isinstance(place, str):
            targets.append(reader.get_destination_page_number(named[place]))
        elif place is not None:
            targets.append(numbers[place.get_object()[0].idnum])
    assert len([t for t in targets if t > 0]) >= 5 + 8
    for page in reader.pages:
        for note in page.get("/Annots", []):
            action = note.get_object().get("/A", {})
            if "/URI" in action:
                web.append(action["/URI"])
    assert "https://example.org/model" in web
    assert reader.outline, "bookmarks"


def test_metadata_fonts_and_captions(made):
    reader = pypdf.PdfReader(made[1])
    assert reader.metadata.title == "Model A and Model B on mini"
    assert reader.metadata.author == "rsa"
    assert reader.metadata.creation_date.isoformat().startswith("2026-11-21T03:00")
    embedded, seen = _fonts(reader)
    assert seen
    assert embedded == seen
    assert any("Libertinus" in name for name in seen)
    whole = " ".join(text_of(made[1]))
    assert "cka:linear,track-debiased" in whole
    assert "Trustworthiness" in whole
    assert "1 means that the layers are equal up to what the measure ignores" in whole
    assert "corrected for all 48 cells (permutation of groups, 99 draws)" in whole
    assert "1/100 = 0.01" in whole
    assert "0123456789abcdef" * 4 in whole.replace(" ", "")


def _fonts(reader) -> tuple[set[str], set[str]]:
    """Names of embedded fonts and of all fonts, figures included."""
    embedded, seen, known = set(), set(), set()

    def visit(resources):
        resources = resources.get_object()
        if id(resources) in known:
            return
        known.add(id(resources))
        for font in (resources.get("/Font") or {}).values():
            font = font.get_object()
            for one in font.get("/DescendantFonts", [font]):
                one = one.get_object()
                if one.get("/Subtype") == "/Type3":
                    continue
                seen.add(one["/BaseFont"])
                described = one["/FontDescriptor"].get_object()
                if any(k in described for k in ("/FontFile", "/FontFile2", "/FontFile3")):
                    embedded.add(one["/BaseFont"])
        for item in (resources.get("/XObject") or {}).values():
            item = item.get_object()
            if "/Resources" in item:
                visit(item["/Resources"])

    for page in reader.pages:
        visit(page["/Resources"])
    return embedded, seen


def test_same_study_same_bytes_wherever_it_lies(made, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(made[0], moved)
    (moved / "report.pdf").unlink()
    again = write_report(moved)
    digest = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (made[1], again)]
    assert digest[0] == digest[1]


def test_stamp_on_every_page(tmp_path):
    stamp = "UNTRAINED WEIGHTS"
    folder = make_study(
        tmp_path / "s", layers={"a": 4, "b": 5}, tasks=2, stamps=(stamp,), measures=3
    )
    pages = text_of(write_report(folder))
    assert all(stamp in page for page in pages)
    assert "untrained; package" in " ".join(pages)


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        (
            {"probes": False},
            ["Where do the models agree?"],
            ["What can be read out", "Who specialises", "What should I use?", "be trusted?"],
        ),
        (
            {"trust": False, "published": False, "heads": False},
            ["What can be read out", "By every metric", "Balanced accuracy"],
            ["be trusted?", "another head", "Published numbers", "Codelength", "Selectivity"],
        ),
        pytest.param(
            {"similarity": False},
            ["What should I use?"],
            [
                "organised inside",
                "Where do the models agree",
                "resemble?",
                "look like",
            ],
            marks=pytest.mark.slow,
        ),
        (
            {"layers": {"a": 6}},
            ["organised inside", "What should I use?", "How much information"],
            ["Where do the models agree"],
        ),
        pytest.param(
            {"layers": {"a": 6}, "similarity": False, "references": False},
            ["What should I use?"],
            ["organised inside", "resemble?"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"layers": {"a": 4, "b": 5, "c": 4, "d": 5}, "similarity": False},
            ["Model D"],
            ["Where do the models agree"],
            marks=pytest.mark.slow,
        ),
        (
            {"probes": False, "similarity": False, "geometry": False, "information": False},
            ["What was compared", "Can I trust"],
            ["organised inside", "What should I use?", "layer like", "How much information"],
        ),
        pytest.param(
            {"probes": False, "similarity": False},
            ["What is each layer like?", "How much information"],
            ["organised inside", "Where do the models agree"],
            marks=pytest.mark.slow,
        ),
        (
            {"geometry": False, "information": False, "twins": False},
            ["Where do the models agree?"],
            ["What is each layer like?", "without training", "tells about labels"],
        ),
    ],
    ids=[
        "no probes",
        "scores only",
        "no similarity",
        "one model",
        "one model, probes only",
        "four models",
        "bare",
        "layers by themselves",
        "similarity as before",
    ],
)
def test_pages_adapt_to_what_the_study_holds(tmp_path, options, present, absent):
    whole = " ".join(text_of(write_report(make_study(tmp_path / "s", **{**SMALL, **options}))))
    for words in present:
        assert words in whole
    for words in absent:
        assert words not in whole


def test_words_of_a_measure_come_from_the_study(tmp_path):
    """A measure that this program has never heard of needs no change to it."""
    folder = make_study(tmp_path / "s", **SMALL, probes=False, twins=False)
    for file in (folder / "similarity").glob("*.json"):
        file.write_text(
            file.read_text()
            .replace("cka:linear,biased", "novel:thing,k=3")
            .replace("Linear CKA: tr", "Novel formula: tr")
            .replace('"title": "Linear CKA", "family": "cka"', '"title": "New", "family": "new"')
        )
    whole = " ".join(text_of(write_report(folder)))
    assert "New novel:thing,k=3 Novel formula: tr(K L)" in whole


def test_too_few_groups_for_gaussians_are_said(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4, "b": 5}, probes=False, twins=False)
    file = folder / "similarity" / "a-b.json"
    table = json.loads(file.read_text())
    for key, level in {"value": -40.0, "low": -60.0, "high": -20.0, "p": 0.6}.items():
        table["measures"][-1][key] = [[level] * 5] * 4
    table["n_groups"] = 9
    file.write_text(json.dumps(table))
    whole = " ".join(text_of(write_report(folder)))
    assert "No value is above 0: 9 groups are too few" in whole


def test_nulls_and_hostile_text(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 5, "b": 6}, tasks=2, nulls=True, hostile=True)
    pages = text_of(write_report(folder))
    assert "#set page() $x_$ <b>" in pages[0]
    assert "\x1b" not in "".join(pages)
    assert "nan" not in " ".join(pages).lower().replace("finance", "").split()


@pytest.mark.slow
def test_full_size(tmp_path):
    path = write_report(make_study(tmp_path / "s"))
    pages = text_of(path)
    assert 20 <= len(pages) <= 27
    assert len(list((tmp_path / "s" / "figures").glob("*.pdf"))) == 19


@pytest.mark.slow
def test_many_layers(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 25, "b": 72}, measures=28)
    path = write_report(folder)
    assert path.stat().st_size < 10_000_000
    whole = " ".join(text_of(path))
    assert "Layers (72)" in whole
    for measure in Study.read(folder).between("a", "b").measures.values():
        assert squeezed(f"{measure.title} {measure.name}") in squeezed(whole)


def test_web_addresses_only(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4}, similarity=False, probes=False)
    file = folder / "study.json"
    file.write_text(file.read_text().replace("https://example.org/model", "file:///etc/passwd"))
    reader = pypdf.PdfReader(write_report(folder))
    for page in reader.pages:
        for note in page.get("/Annots", []):
            assert "/URI" not in note.get_object().get("/A", {})


def test_out_is_made_and_bad_places_are_refused(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4}, similarity=False, probes=False)
    out = tmp_path / "deep" / "er" / "r.pdf"
    assert write_report(folder, out) == out
    assert out.read_bytes().startswith(b"%PDF")
    assert not (folder / "figures").exists()
    with pytest.raises(ReportError, match="is a folder"):
        write_report(folder, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written"):
        write_report(folder, tmp_path / "file" / "r.pdf")


@pytest.mark.slow
def test_map_by_umap(tmp_path, monkeypatch):
    monkeypatch.setattr(landscape, "FEWEST_FOR_UMAP", 8)
    study = Study.read(make_study(tmp_path / "s"))
    joint = landscape.distances(study)
    first, method, score = landscape.embed(joint.matrix, seed=1)
    again, _, _ = landscape.embed(joint.matrix, seed=1)
    assert method.startswith("UMAP")
    assert (first == again).all()
    assert 0.7 < score <= 1.0
