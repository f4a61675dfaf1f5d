"""What becomes of a similarity on fewer groups of rows, and on half of a layer's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from rsa.measures.base import Measure
from rsa.rows.joint import Joint
from rsa.source import Matrices
from rsa.team import dealt

# shares of the groups, and subsets of each
SHARES, SUBSETS = (0.25, 0.5), 8
# fewest groups of a subset
FEWEST = 8
# rows at most; for halves of units
ROWS, ROWS_OF_HALVES = 2000, 1000
# ways to halve the units of a layer, and fewest units
SPLITS, UNITS = 5, 4


@dataclass(frozen=True)
class Fewer:
    """A similarity matrix over some of the groups, held against that over all.

    Attributes
    ----------
    share, groups : of all groups, and how many that is.
    deviation : mean over subsets of the mean absolute difference of cells, and the 2.5 % and
        97.5 % quantiles of the subsets.
    correlation : of the cells' ranks (Spearman), mean over subsets.
    """

    share: float
    groups: int
    deviation: tuple[float, float, float]
    correlation: float


@dataclass(frozen=True)
class Stability:
    """The main measure on fewer groups; a layer's similarity to itself is left out."""

    measure: str
    shares: tuple[Fewer, ...]

    def as_json(self) -> dict:
        names = ("value", "low", "high")
        return {
            "measure": self.measure,
            "shares": [
                {
                    "share": s.share,
                    "groups": s.groups,
                    "deviation": dict(zip(names, map(_plain, s.deviation), strict=True)),
                    "correlation": _plain(s.correlation),
                }
                for s in self.shares
            ],
        }

    @classmethod
    def from_json(cls, block: dict | None) -> Stability | None:
        """Reads what `as_json` wrote."""
        if block is None:
            return None
        shares = tuple(
            Fewer(
                s["share"],
                s["groups"],
                tuple(_number(s["deviation"][name]) for name in ("value", "low", "high")),
                _number(s["correlation"]),
            )
            for s in block["shares"]
        )
        return cls(block["measure"], shares)


def on_fewer_groups(
    measure: Measure,
    joint: Joint,
    places: Sequence[np.ndarray],
    wanted: Sequence[tuple[int, int]],
    value: np.ndarray,
    seed: int,
) -> dict[tuple[int, int], Stability]:
    """A measure on random subsets of whole groups, the same for all pairs of sources.

    A subset is a part of the whole, so what it deviates by is less than what two samples of its
    size would differ by. Above 2000 rows all is done on as many, thinned from all groups.

    Parameters
    ----------
    places : for each source, the places of its layers in `joint`.
    wanted : pairs of sources.
    value : [layers, layers], the measure over all rows.

    Returns
    -------
    A `Stability` for each pair; shares of fewer than 8 groups are left out.
    """
    few = joint.thinned(ROWS)
    owner, groups = few.grouping.group_of_row, few.grouping.groups
    layers = [few.layer(i) for i in range(len(few))]

    def table(rows: np.ndarray) -> np.ndarray:
        sources = [
            Matrices(str(k), {str(i): layers[i][rows] for i in at}, owner[rows])
            for k, at in enumerate(places)
        ]
        return measure.estimate(_plainly(sources, wanted, seed, joint.device)).value

    if few is not joint:
        value = table(np.arange(few.rows))
    rng = np.random.default_rng([seed, 7])
    found: dict[tuple[int, int], list[Fewer]] = {tuple(pair): [] for pair in wanted}
    for share in SHARES:
        kept = int(round(share * groups))
        if kept < FEWEST:
            continue
        subsets = []
        for _ in range(SUBSETS):
            mask = np.zeros(groups, dtype=bool)
            mask[rng.permutation(groups)[:kept]] = True
            subsets.append(np.flatnonzero(mask[owner]))
        tables = dealt(joint.team, table, subsets, threads=False)
        for i, j in found:
            at = np.ix_(places[i], places[j])
            some = [_against(value[at], t[at], i == j) for t in tables]
            deviation, correlation = np.array(some).T
            low, high = np.quantile(deviation, [0.025, 0.975])
            trio = (float(deviation.mean()), float(low), float(high))
            found[i, j].append(Fewer(share, kept, trio, float(correlation.mean())))
    return {pair: Stability(measure.name, tuple(shares)) for pair, shares in found.items()}


def ceilings(measure: Measure, joint: Joint, seed: int) -> np.ndarray:
    """[layers] the measure between random halves of a layer's own units, mean of five splits.

    What two networks that sample units from one population could reach with half as many units
    each: sampling of units, unlike that of rows, is not corrected by debiasing (Chun et al. 2025,
    arXiv:2502.15104). NaN for fewer than 4 units. Above 1000 rows on as many, thinned.
    """
    few = joint.thinned(ROWS_OF_HALVES)

    def one(index: int) -> float:
        x = few.layer(index)
        width = x.shape[1]
        if width < UNITS or not x.any():
            return np.nan
        # the same for a layer whatever else is compared
        rng = np.random.default_rng([seed, 8])
        orders = [rng.permutation(width) for _ in range(SPLITS)]
        sides = [
            Matrices(
                side, {str(s): x[:, o[part]] for s, o in enumerate(orders)},
                few.grouping.group_of_row,
            )
            for side, part in (("one", np.s_[: width // 2]), ("other", np.s_[width // 2 :]))
        ]  # fmt: skip
        values = measure.estimate(_plainly(sides, [(0, 1)], seed, joint.device)).value
        return float(np.diagonal(values[:SPLITS, SPLITS:]).mean())

    return np.array(dealt(joint.team, one, range(len(few)), threads=False))


def _plainly(
    sources: Sequence[Matrices], wanted: Sequence[tuple[int, int]], seed: int, device: str
) -> Joint:
    """Sources for values alone: no intervals, no chance."""
    return Joint(sources, blocks=1, draws=0, seed=seed, device=device, wanted=wanted)


def _against(whole: np.ndarray, part: np.ndarray, within: bool) -> tuple[float, float]:
    """Mean absolute difference of the cells, and rank correlation."""
    known = np.isfinite(whole) & np.isfinite(part)
    if within:
        known &= np.triu(np.ones(known.shape, dtype=bool), 1)
    a, b = whole[known], part[known]
    if not len(a):
        return np.nan, np.nan
    varied = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    return float(np.abs(a - b).mean()), float(spearmanr(a, b)[0]) if varied else np.nan


def _plain(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
