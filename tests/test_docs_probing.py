"""What docs/probing.md says in Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "probing.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_example_runs(code):
    names: dict = {}
    exec(code, names)
    assert names["found"].selected == "late"
    assert names["found"].best.value > 0.8


def test_heads_and_protocols_are_all_named():
    from probes.heads import HEADS
    from probes.protocols import PROTOCOLS

    for name in {*HEADS, *PROTOCOLS} - {"linear"}:
        assert f"`{name}`" in TEXT
