"""Every measure of the registry is explained in docs/measures.md, with its figure."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

import rsa
from rsa.measures import MEASURES
from rsa.rows.joint import DRAWS, FEWEST_DRAWS

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "measures.md").read_text("utf-8")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", MEASURES)
def test_measure_is_explained_with_a_figure(name):
    figure = "measures/" + re.sub(r"[^a-z0-9.]+", "-", name) + ".png"
    assert f"`{name}`" in TEXT
    assert f"]({figure})" in TEXT
    assert (DOCS / figure).read_bytes().startswith(PNG)


def test_code_of_the_text_prints_what_it_says():
    names, said = {}, io.StringIO()
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    expected = re.findall(r"^ *(?:print\(.*\)  )?# (.*)$", "\n".join(blocks), re.MULTILINE)
    with contextlib.redirect_stdout(said):
        for block in blocks:
            exec(block, names)
    assert said.getvalue().splitlines() == expected and len(expected) == 10

    track, biased = names["both"].measures
    assert track is names["both"]["cka:linear,track-debiased"] is names["cka"]
    assert round(199 * track.p[1, 0]) == 19 and round(199 * track.p[1, 1]) == 1
    assert track.score[1, 0] > 0 and not track.above_chance[1, 0] and track.above_chance[1, 1]
    assert track.extra["first_share_x"][1] == pytest.approx(0.18, abs=0.005)
    assert biased.value[1] == pytest.approx([0.11, 0.81], abs=0.005) and biased.score[1, 0] == 0
    assert biased.chance[1, 0] == pytest.approx(0.097, abs=0.0005)


def test_a_layer_and_its_copy_in_bits_as_the_text_has_them():
    x = np.random.default_rng(0).standard_normal((480, 16))
    found = [rsa.pair(x, x.copy(), name) for name in ("mi:sliced", "mi:max-sliced", "mi:renyi")]
    assert [round(one.score, 2) for one in found] == [0.21, 0.99, 0.90]
    few = rsa.pair(x[:80], x[:80].copy(), "mi:max-sliced", draws=0)
    assert (round(found[1].value, 2), round(few.value, 2)) == (3.03, 3.18)


def test_rearrangements_are_as_many_as_the_text_says():
    assert (DRAWS, FEWEST_DRAWS) == (99, 39)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 240, 6))
    y[:, :3] = x[:, :3]
    for name, fewest in (("mi:ksg", 0.01), ("svcca", 0.01), ("knn:mutual,k=10", 1 / 199)):
        name = next(known for known in MEASURES if known.startswith(name))
        assert rsa.pair(x, y, name, groups=np.arange(240) // 2).p == pytest.approx(fewest)


def test_cases_of_the_text_are_those_of_the_benchmark():
    source = (DOCS.parent / "benchmarks" / "traps.py").read_text("utf-8")
    cases = re.findall(r"^def (\w+)\(rng", source, re.MULTILINE)
    assert len(cases) > 10
    assert [case for case in cases if f"| `{case}` |" not in TEXT] == []


def test_figures_are_those_of_the_text_and_small():
    linked = set(re.findall(r"\]\((measures/[^)]+)\)", TEXT))
    there = {f"measures/{path.name}" for path in (DOCS / "measures").iterdir()}
    assert linked == there
    assert sum((DOCS / name).stat().st_size for name in there) < 1_500_000
