"""The subset of polyphony: one excerpt of a chorale with one, two, three and four of its voices.

The four clips of an excerpt share place, tempo, key, program and velocity, so nothing but the
voices tells them apart. Which voices are left is dealt within each split: every single voice,
every pair and every three are as frequent as every other, so the pitches that sound are
distributed alike whatever the number of voices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from extract.datasets.base import Clip
from extract.datasets.mini import timed
from extract.datasets.mini.draws import deal, shuffled
from extract.datasets.mini.excerpts import SECONDS, Excerpt, Sound
from extract.datasets.mini.programs import programs_of
from extract.datasets.mini.scores import Score

SUBSET = "voices"
# excerpts of a split, at most; multiples of 12 deal four voices, six pairs and four threes evenly
EXCERPTS = {"train": 24, "valid": 12, "test": 12, "test_inst": 12}
ALL = range(4)
CLEAR = 0.9  # share of the time in which four different pitches must sound


def build(
    scores: Sequence[Score], groups: Mapping[str, str], split: Mapping[str, str]
) -> list[tuple[Clip, Sound]]:
    """Four clips of one piece of each of some groups, which keep the split they have.

    Parameters
    ----------
    scores : chorales in four parts.
    groups, split : by name of the score, as the subset `chorale` has them; groups with its name.
    """
    found: dict[str, list[Excerpt]] = defaultdict(list)
    members = defaultdict(list)
    for score in sorted(scores, key=lambda s: s.name):
        members[groups[score.name]].append(score)
    for group in shuffled(members, SUBSET):
        place = split[members[group][0].name]
        if len(found[place]) < EXCERPTS[place]:
            chosen = _clear(members[group])
            found[place] += [chosen] if chosen else []
    rows = []
    for place in EXCERPTS:
        rows += _clips(found[place], place, groups)
    return rows


def _clear(scores: Sequence[Score]) -> Excerpt | None:
    """An excerpt in which all voices sound, and seldom in unison; None if the group has none."""
    by_name = {score.name: score for score in scores}
    for name in shuffled(by_name, SUBSET):
        score = by_name[name]
        excerpt = Excerpt.drawn(score, f"{SUBSET}/{name}", score.tonic)
        shares = timed.sounding(timed.heard(excerpt.notes(), SECONDS), SECONDS)
        if shares[len(ALL) : len(ALL) + 1].sum() >= CLEAR:
            return excerpt
    return None


def _clips(
    excerpts: Sequence[Excerpt], split: str, groups: Mapping[str, str]
) -> list[tuple[Clip, Sound]]:
    """The clips of a split, by name of the piece and number of voices."""
    by_name = {excerpt.score.name: excerpt for excerpt in excerpts}
    program = deal(by_name, f"{SUBSET} program", programs_of(split))
    tonic = deal(by_name, f"{SUBSET} tonic", range(12))
    kept = {
        count: deal(by_name, f"{count} voices", tuple(combinations(ALL, count)))
        for count in range(1, len(ALL) + 1)
    }
    rows = []
    for name in sorted(by_name):
        excerpt = replace(by_name[name], tonic=tonic[name])
        for count, parts in kept.items():
            notes = excerpt.notes(parts[name])
            clip = Clip(
                id=f"{SUBSET}/{name}/{count}",
                track=f"chorale/{name}",
                group=f"chorale/{groups[name]}",
                subset=SUBSET,
                split=split,
                start=excerpt.first,
                duration=SECONDS,
                labels={"voices": str(count)},
                segments={"notes": timed.heard(notes, SECONDS)},
                events=excerpt.grid(),
            )
            rows.append((clip, Sound(notes, program[name], excerpt.velocity)))
    return rows
