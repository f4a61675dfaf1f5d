"""The pages on why, read back from the PDF."""

from __future__ import annotations

from itertools import chain

import pytest
from study_fixture import make_study
from test_reports_pdf import squeezed, text_of
from why_fixture import make_why

from reports import Study, write_report
from reports.figures import why
from reports.findings import find, not_supported
from reports.verdicts import verdict

pytest.importorskip("pypdf")
# quick: nothing but what the pages on why need
BARE = {
    "similarity": False, "geometry": False, "information": False, "trust": False, "heads": False,
    "published": False,
}  # fmt: skip


def test_pages_and_sentences(tmp_path):
    folder = make_why(make_study(tmp_path / "s", layers={"a": 4, "b": 5}, tasks=4, **BARE))
    pages, study = text_of(write_report(folder)), Study.read(folder)
    questions = [
        "Who specialises in what?",
        "Why there?",
        "What is each layer made of, and what is new in it?",
        "What should I use?",
        "What was tested and not found?",
    ]
    at = [max(i for i, page in enumerate(pages) if q in page) for q in questions]
    assert at == sorted(at) and at[0] > 0
    whole = squeezed(" ".join(pages))
    order = why.explained(study)
    assert len(order) == 4
    for key in order:
        assert squeezed(verdict(study, key)) in whole
    assert squeezed(why.unexplained(study)[0]) in whole
    told = not_supported(f for f in find(study) if f.kind in ("riding", "transfer", "choice"))
    assert told
    for sentence in chain(*told.values()):
        assert squeezed(sentence) in whole
    assert squeezed("As good") in whole and squeezed("Untrained") in whole
    assert "Perfectlinearconcepterasure".lower() in whole.lower()
    names = {path.name for path in (folder / "figures").glob("*.pdf")}
    assert {"riding-1.pdf", "partition-1.pdf", "new-1.pdf", f"why-{order[0]}.pdf"} <= names


def test_pages_without_reasons_are_left_out(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4}, tasks=1, twins=False, **BARE)
    whole = " ".join(text_of(write_report(folder)))
    assert "Why there?" not in whole and "made of" not in whole
    assert "What should I use?" in whole


def test_hostile_names_and_one_model(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 3}, tasks=2, hostile=True, **BARE)
    pages = text_of(write_report(make_why(folder)))
    assert any("Why there?" in page for page in pages[1:])


@pytest.mark.slow
def test_many_layers_tasks_and_references_stay_few_pages(tmp_path):
    names = tuple(f"reference {i}" for i in range(9))
    folder = make_study(tmp_path / "s", layers={"a": 25, "b": 25}, tasks=6, **BARE)
    pages = text_of(write_report(make_why(folder, references=(*names, "mfcc", "chroma"))))
    first = next(i for i, page in enumerate(pages) if i > 1 and "Why there?" in page)
    last = next(i for i, page in enumerate(pages) if i > 1 and "made of, and" in page)
    assert last - first <= 3
