"""The table of what was published before, what was found here, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from reports.expectations import AGREES, CANNOT, DIFFERS, Judged
from reports.judging import published_words
from reports.tables import Cell, Table
from reports.words import abridged

# a number on other data is no number to compare; a pattern is one to tell
_HOLDS = {AGREES: "the same", DIFFERS: "another one"}


def expectations(judged: Sequence[Judged]) -> Table | None:
    """A row a published result; None where there is none."""
    if not judged:
        return None
    sources = [_source(one) for one in judged]
    groups = [
        [_row(one, "as above" if source == before else source)]
        for one, source, before in zip(judged, sources, ["", *sources], strict=False)
    ]
    return Table(
        "",
        "Each result was written down in the study file before anything was computed. The verdict "
        "follows a fixed rule: agrees where the whole interval does, differs where none of it "
        "does. None is given on other data, on a part of the data, by another protocol or with "
        "untrained weights: a pattern found there repeats no published result, and is no "
        "evidence against one.",
        ["Published", "Source", "Found here", "Verdict"],
        groups,
        [1.6, 1.25, 1.9, 1.15],
    )


def _source(one: Judged) -> str:
    expected = one.expectation
    return f"{expected.source}; {expected.note}" if expected.note else expected.source


def _row(one: Judged, source: str) -> list[str | Cell]:
    expected = one.expectation
    numbers = published_words(expected)
    says = f"{expected.says} ({numbers})" if numbers else expected.says
    return [says, Cell(source, quiet=True), one.found or "\N{EN DASH}", verdict(one)]


def verdict(one: Judged) -> Cell:
    """`agrees`, `differs`, or why it cannot be said and what the pattern is here."""
    if one.verdict != CANNOT:
        return Cell(one.verdict, bold=True)
    text = f"{CANNOT}: {'; '.join(abridged(reason, 160) for reason in one.because)}"
    untrained = "untrained weights" in one.because
    if one.rule in _HOLDS and one.expectation.kind != "number" and not untrained:
        text += f". The pattern here: {_HOLDS[one.rule]}"
    return Cell(text)
