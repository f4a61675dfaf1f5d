"""All findings of a study, and the few that the first page shows.

The rules are written out in docs/method.md, "Findings". A rule never sees more than the study, and
the same study gives the same sentences.
"""

from __future__ import annotations

from collections.abc import Iterable

from reports.grades import GRADES, KINDS, STRONG, SUGGESTIVE, UNSUPPORTED, Finding, grade
from reports.rules_choice import choices
from reports.rules_depth import associations, news, partitions, returns
from reports.rules_evidence import (
    comparisons,
    drops,
    other_heads,
    selectivities,
    voices_heard,
)
from reports.rules_probes import advantages, baselines, gains, peaks
from reports.rules_similarity import informations, matches, novelties, resemblances
from reports.rules_why import ridings, trainings, transfers
from reports.study import Study

__all__ = [
    "GRADES",
    "KINDS",
    "STRONG",
    "SUGGESTIVE",
    "UNSUPPORTED",
    "Finding",
    "find",
    "first_page",
    "grade",
]

_ORDER = {kind: place for place, kind in enumerate(KINDS)}


def find(study: Study) -> tuple[Finding, ...]:
    """All findings of a study, strongest grade first, then by kind and size."""
    found = [
        *advantages(study),
        *peaks(study),
        *matches(study),
        *gains(study),
        *resemblances(study),
        *baselines(study),
        *voices_heard(study),
        *drops(study),
        *other_heads(study),
        *selectivities(study),
        *comparisons(study),
        *informations(study),
        *novelties(study),
        *ridings(study),
        *trainings(study),
        *transfers(study),
        *news(study),
        *partitions(study),
        *returns(study),
        *associations(study),
        *choices(study),
    ]
    return tuple(
        sorted(
            found, key=lambda f: (GRADES.index(f.grade), _ORDER[f.kind], -f.effect, f.claim)
        )
    )


def first_page(findings: Iterable[Finding], most: int = 5) -> tuple[Finding, ...]:
    """The findings for page 1: the largest of each kind in turn, supported ones first.

    At most two of a kind, and at most two that are not supported.
    """
    findings = tuple(findings)
    chosen: list[Finding] = []
    for supported in (True, False):
        pool = [f for f in findings if (f.grade != UNSUPPORTED) == supported]
        for turn in (0, 1):
            for kind in KINDS:
                same = [f for f in pool if f.kind == kind]
                known = sum(f.kind == kind for f in chosen)
                unsupported = sum(f.grade == UNSUPPORTED for f in chosen)
                if len(chosen) < most and len(same) > turn and known <= turn:
                    if supported or unsupported < 2:
                        chosen.append(same[turn])
    return tuple(sorted(chosen, key=lambda f: (GRADES.index(f.grade), _ORDER[f.kind])))


def of_section(findings: Iterable[Finding], anchor: str, most: int) -> tuple[Finding, ...]:
    """The findings a section begins with: the largest of each kind in turn, supported ones alone.

    One that says that there are none where no one is supported.
    """
    mine = [f for f in findings if f.anchor == anchor]
    pool = [f for f in mine if f.grade != UNSUPPORTED]
    turns: dict[int, list[Finding]] = {}
    for kind in KINDS:
        for turn, finding in enumerate(f for f in pool if f.kind == kind):
            turns.setdefault(turn, []).append(finding)
    chosen = [finding for turn in sorted(turns) for finding in turns[turn]][:most]
    return tuple(sorted(chosen, key=mine.index)) or tuple(mine[:1])


def not_supported(findings: Iterable[Finding], most: int = 6) -> dict[str, list[str]]:
    """Kind -> sentences that are not supported, the nearest to being so first.

    Parameters
    ----------
    most : of a kind; one more says how many there are besides.
    """
    pool = [f for f in findings if f.grade == UNSUPPORTED]
    told: dict[str, list[str]] = {}
    for kind in KINDS:
        same = [f.claim for f in pool if f.kind == kind]
        if same:
            told[kind] = same[:most]
        if len(same) > most:
            told[kind].append(f"And {len(same) - most} more.")
    return told
