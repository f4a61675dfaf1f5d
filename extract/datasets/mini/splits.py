"""Which pieces are the same music, and which split each such group goes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from extract.datasets.mini.draws import uniform
from extract.datasets.mini.programs import UNSEEN_SPLIT

GRAM = 7  # notes in a melodic n-gram
SHARED = 0.3  # of the shorter melody's n-grams, from which two pieces count as one melody
RATIOS = {"train": 0.60, "valid": 0.14, "test": 0.14, UNSEEN_SPLIT: 0.12}


def grams(pitches: Sequence[int]) -> set[tuple[int, ...]]:
    """Distinct runs of `GRAM` notes, as intervals, so that transposition does not matter."""
    steps = [b - a for a, b in zip(pitches, pitches[1:], strict=False)]
    return {tuple(steps[i : i + GRAM - 1]) for i in range(len(steps) - GRAM + 2)}


def melody_groups(*views: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Name of the group of each melody: that of its first member.

    Two melodies are joined when they share at least `SHARED` of the smaller set of n-grams; groups
    are the connected components (union-find), so that settings of one hymn tune stay together.

    Parameters
    ----------
    views : name -> pitches in order of time; with several views (all notes, the note on each
        beat), likeness in one of them is enough.
    """
    parent = {name: name for name in sorted(views[0])}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for view in views:
        sets = {name: grams(view[name]) for name in parent}
        holders: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name, found in sets.items():
            for gram in found:
                holders[gram].append(name)
        shared: Counter[tuple[str, str]] = Counter()
        for names in holders.values():
            shared.update((a, b) for i, a in enumerate(names) for b in names[i + 1 :])
        for (a, b), count in sorted(shared.items()):
            if count >= SHARED * min(len(sets[a]), len(sets[b])):
                first, second = sorted((root(a), root(b)))
                parent[second] = first
    return {name: root(name) for name in parent}


def assign(
    groups: Mapping[str, str],
    classes: Mapping[str, Iterable[str]],
    ratios: Mapping[str, float] = RATIOS,
) -> dict[str, str]:
    """Split of each item; whole groups only.

    Greedy: the largest groups first, then those with the rarest class, each to the split where it
    brings the counts of all items and of every class nearest to the target ratios. A hash split
    would leave small collections without test pieces and rare classes without a split.

    Parameters
    ----------
    groups : item -> group.
    classes : item -> what should be spread evenly over the splits (its mode, its metre ...).
    ratios : split -> share; sums to 1.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for item in sorted(groups):
        members[groups[item]].append(item)
    content = {
        group: Counter(["all", *(c for i in items for c in classes[i])])
        + Counter({"all": len(items) - 1})
        for group, items in members.items()
    }
    totals: Counter[str] = sum(content.values(), Counter())
    have = {split: Counter() for split in ratios}

    def rarest(group: str) -> int:
        return min(totals[c] for c in content[group])

    def cost(split: str, group: str) -> float:
        """How much nearer to the targets (in squared shares of them) the counts come."""
        change = 0.0
        for name, count in content[group].items():
            target = max(ratios[split] * totals[name], 1.0)
            before = (have[split][name] - target) / target
            change += ((before + count / target) ** 2 - before**2) * target
        return change

    order = sorted(members, key=lambda g: (-len(members[g]), rarest(g), uniform(g, "split"), g))
    out: dict[str, str] = {}
    for group in order:
        best = min(ratios, key=lambda split: (round(cost(split, group), 9), -ratios[split]))
        have[best] += content[group]
        out.update(dict.fromkeys(members[group], best))
    return out
