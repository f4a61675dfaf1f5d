"""What more training rows would change: scores against the number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probes.record import Record
from probes.scored import Score, Scored
from probes.trust.intervals import Bounds, around
from probes.trust.nesting import Nesting


@dataclass(frozen=True)
class Learning(Record):
    """Scores of probes that are trained on nested sets of groups, with the penalty of all rows.

    Attributes
    ----------
    rows, groups : of the sets, means over orders of the groups; the last has all.
    scores : split, validation included -> score for each set.
    rise : split -> score of all rows minus that of the set before, of about half as many: well
        above 0 where more data would help. NaN where all rows are the only set.
    orders : of the groups, averaged over.
    """

    rows: tuple[float, ...]
    groups: tuple[float, ...]
    scores: Mapping[str, tuple[Score, ...]]
    rise: Mapping[str, Score]
    orders: int


def learning(
    nestings: Sequence[Nesting],
    scored: Mapping[str, Sequence[Sequence[Scored]]],
    counts: Mapping[str, np.ndarray],
    bounds: Bounds,
) -> Learning:
    """The learning curve.

    Parameters
    ----------
    scored : split -> for each order the score of each set.
    counts : split -> [resamples, groups] how often each is drawn.
    bounds : of the score.
    """
    scores, rise = {}, {}
    for split, orders in scored.items():
        values = np.mean([[one.value for one in sets] for sets in orders], axis=0)
        drawn = np.mean([[one.resampled(counts[split]) for one in sets] for sets in orders], axis=0)
        groups = counts[split].shape[1]
        scores[split] = tuple(
            around(*one, groups, bounds) for one in zip(values, drawn, strict=True)
        )
        before = values[-2] if len(values) > 1 else np.nan
        rise[split] = around(
            values[-1] - before, drawn[-1] - (drawn[-2] if len(values) > 1 else np.nan), groups
        )
    sizes, groups = (
        tuple(np.mean([getattr(one, name) for one in nestings], axis=0).tolist())
        for name in ("sizes", "groups")
    )
    return Learning(sizes, groups, scores, rise, len(nestings))
