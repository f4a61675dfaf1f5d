"""The table of what was published before, what was found here, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from reports.expectations import AGREES, CANNOT, DIFFERS, Judged
from reports.tables import Cell, Table
from reports.verdicts import published_words
from reports.words import abridged

_HOLDS = {AGREES: "as published", DIFFERS: "not as published"}


def expectations(judged: Sequence[Judged]) -> Table | None:
    """A row a published result; None where there is none."""
    if not judged:
        return None
    groups = [[_row(one)] for one in judged]
    return Table(
        "",
        "Each result was written down in the study file before anything was computed. The verdict "
        "follows a fixed rule: agrees where the whole interval does, differs where none of it "
        "does. None is given on other data, on a part of the data, by another protocol or with "
        "untrained weights: what the numbers are there is no repetition of the published result, "
        "and no evidence against it.",
        ["Published", "Source", "Found here", "Verdict"],
        groups,
        [1.6, 1.25, 1.9, 1.15],
    )


def _row(one: Judged) -> list[str | Cell]:
    expected = one.expectation
    numbers = published_words(expected)
    says = f"{expected.says} ({numbers})" if numbers else expected.says
    source = f"{expected.source}. {expected.note}" if expected.note else expected.source
    return [says, Cell(source, quiet=True), one.found or "\N{EN DASH}", verdict(one)]


def verdict(one: Judged) -> Cell:
    """`agrees`, `differs`, or why it cannot be said and what the numbers are like here."""
    if one.verdict != CANNOT:
        return Cell(one.verdict, bold=True)
    text = f"{CANNOT}: {'; '.join(abridged(reason, 160) for reason in one.because)}"
    if one.rule in _HOLDS and "untrained weights" not in one.because:
        text += f". The numbers here: {_HOLDS[one.rule]}"
    return Cell(text)
