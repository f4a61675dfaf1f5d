"""Every measure of the registry is explained in docs/measures.md, with its figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rsa.measures import MEASURES

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "measures.md").read_text("utf-8")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", MEASURES)
def test_measure_is_explained_with_a_figure(name):
    figure = "measures/" + re.sub(r"[^a-z0-9.]+", "-", name) + ".png"
    assert f"`{name}`" in TEXT
    assert f"]({figure})" in TEXT
    assert (DOCS / figure).read_bytes().startswith(PNG)


def test_cases_of_the_text_are_those_of_the_benchmark():
    source = (DOCS.parent / "benchmarks" / "traps.py").read_text("utf-8")
    cases = re.findall(r"^def (\w+)\(rng", source, re.MULTILINE)
    assert len(cases) > 10
    assert [case for case in cases if f"`{case}`" not in TEXT and f" {case}`" not in TEXT] == []


def test_figures_are_those_of_the_text_and_small():
    linked = set(re.findall(r"\]\((measures/[^)]+)\)", TEXT))
    there = {f"measures/{path.name}" for path in (DOCS / "measures").iterdir()}
    assert linked == there
    assert sum((DOCS / name).stat().st_size for name in there) < 1_500_000
