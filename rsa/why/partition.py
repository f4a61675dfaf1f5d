"""What part of a layer's variance references explain: each alone, only it, and in common.

R2 of ridge regressions of a layer on groups that they were not fitted to (Hoerl and Kennard 1970),
from all references, from each, and from all but each; differences of these are the parts
(commonality analysis: Seibold and McPhee 1979). Parts may pass below zero, where a reference only
adds noise to the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference.intervals import linearized
from rsa.inference.simultaneous import Contrast, from_influence, simultaneous
from rsa.measures.folded import Rotation
from rsa.rows.grouping import Grouping
from rsa.rows.joint import principal_components
from rsa.source import Source, check_same_rows, read_layer
from rsa.threads import spread

FOLDS, FEWEST_FOLDS = 5, 3
# principal components of a reference, and of a layer, at most
INPUTS, OUTPUTS, SHARE = 20, 256, 0.999
# ridge penalties, as shares of the mean variance of the inputs
PENALTIES = 10.0 ** np.arange(-6, 4)

Trio = tuple[float, float, float]


@dataclass(frozen=True)
class Parts:
    """What one reference explains of one layer, as shares of its variance.

    Attributes
    ----------
    alone : R2 from this reference.
    unique : R2 from all minus R2 from all others; a family are all layers and references.
    common : alone - unique: what it shares with others.
    """

    alone: Contrast
    unique: Contrast
    common: Trio


@dataclass(frozen=True)
class Partition:
    """All layers of one source.

    Attributes
    ----------
    within : whether group means were taken off first, so that what tells tracks apart explains
        nothing.
    whole : layer by layer, R2 from all references, with interval.
    parts : reference -> layer by layer.
    directions : reference -> principal components that stand for it.
    """

    x: str
    layers: tuple[str, ...]
    rows: int
    groups: int
    within: bool
    whole: tuple[Trio, ...]
    parts: Mapping[str, tuple[Parts, ...]]
    directions: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def shared(self, layer: str) -> float:
        """What is explained by two references or more alike: R2 from all minus all unique parts."""
        at = self.layers.index(layer)
        return self.whole[at][0] - sum(parts[at].unique.value for parts in self.parts.values())

    def as_json(self) -> dict:
        """Numbers that do not exist are None."""
        return {
            "x": self.x,
            "layers": list(self.layers),
            "rows": self.rows,
            "groups": self.groups,
            "within": self.within,
            "whole": [_plain(one) for one in self.whole],
            "parts": {
                name: [
                    {
                        "alone": one.alone.as_json(),
                        "unique": one.unique.as_json(),
                        "common": _plain(one.common),
                    }
                    for one in some
                ]
                for name, some in self.parts.items()
            },
            "directions": dict(self.directions),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, entry: Mapping) -> Partition:
        """Reads what `as_json` wrote."""
        parts = {
            name: tuple(
                Parts(
                    Contrast.from_json(one["alone"]),
                    Contrast.from_json(one["unique"]),
                    _trio(one["common"]),
                )
                for one in some
            )
            for name, some in entry["parts"].items()
        }
        return cls(
            entry["x"],
            tuple(entry["layers"]),
            entry["rows"],
            entry["groups"],
            entry["within"],
            tuple(_trio(one) for one in entry["whole"]),
            parts,
            dict(entry["directions"]),
            tuple(entry["notes"]),
        )


def partition(
    source: Source,
    references: Source,
    *,
    within: bool = False,
    directions: int = INPUTS,
    seed: int = 0,
) -> Partition:
    """Partitions the variance of every layer over the references.

    Each reference enters as its leading principal components, columns standardised, all of them
    together with a variance of one, so that no reference weighs more for having more columns. The
    penalty is chosen on the fold after the one held out, by the others.

    Parameters
    ----------
    source, references : over the same rows and groups; a layer enters as it is, units with much
        variance decide, up to 256 leading components.
    within : rows minus the mean of their group, of groups with two rows at least.

    Raises
    ------
    RsaError : rows that do not match, fewer groups than folds, references that never vary.
    """
    check_same_rows([source, references])
    labels, kept = np.asarray(source.groups), np.arange(len(source))
    if within:
        _, owner, sizes = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
        kept = np.flatnonzero(sizes[owner] > 1)
        if not len(kept):
            raise RsaError(f"{source.name} has one row a group: nothing varies within groups")
        labels = labels[kept]
    grouping = Grouping.deal(labels, FOLDS, seed)
    if grouping.blocks < FEWEST_FOLDS:
        raise RsaError(
            f"{source.name}: {grouping.groups} groups, {FEWEST_FOLDS} are needed to hold some out"
        )
    kept = kept[grouping.order]
    blocks = {}
    for name in references.layers:
        rows = _centred(read_layer(references, name)[kept], grouping, within)
        blocks[name] = _block(name, rows, directions)
    fits = _Fits(blocks, grouping)

    def one(layer: str) -> tuple[np.ndarray, np.ndarray]:
        x = _centred(read_layer(source, layer)[kept], grouping, within)
        return fits.errors(x)

    found = spread(one, list(source.layers))
    errors, total = (np.stack([pair[k] for pair in found]) for k in (0, 1))
    return _result(source, grouping, blocks, within, errors, total)


def _centred(x: np.ndarray, grouping: Grouping, within: bool) -> np.ndarray:
    if not within:
        return x - x.mean(axis=0)
    return x - (grouping.sum_by_group(x) / grouping.sizes[:, None])[grouping.group_of_row]


def _block(name: str, x: np.ndarray, directions: int) -> np.ndarray:
    """[rows, k] leading components of standardised columns, with a variance of one in all."""
    spread_of = x.std(axis=0)
    alive = spread_of > 1e-9 * max(spread_of.max(), np.finfo(float).tiny)
    if not spread_of.max() > 0:
        raise RsaError(f"reference {name} never varies on these rows: leave it out")
    standard = x[:, alive] / spread_of[alive]
    basis = principal_components(standard, 1.0, 1)
    count = min(directions, basis.scores.shape[1])
    scores = basis.scores[:, :count] * np.sqrt((basis.loadings[:count] ** 2).sum(axis=1))
    return scores / np.sqrt((scores**2).sum() / len(scores))


class _Fits:
    """Regressions on subsets of references in every fold; what needs no layer is made once."""

    def __init__(self, blocks: Mapping[str, np.ndarray], grouping: Grouping):
        self.grouping = grouping
        self.z = np.concatenate(list(blocks.values()), axis=1)
        edges = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
        own = [np.arange(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]
        every = np.arange(edges[-1])
        # all; each alone; all but each
        self.subsets = [every, *own, *(np.setdiff1d(every, some) for some in own)]
        held = [np.zeros(grouping.rows, dtype=bool) for _ in range(grouping.blocks)]
        for mask, start, stop in zip(held, grouping.edges[:-1], grouping.edges[1:], strict=True):
            mask[start:stop] = True
        self.turn = Rotation(held)

    def errors(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[subsets, groups] squared error of a layer [rows, width] held out, and [groups] total."""
        grouping, turn = self.grouping, self.turn
        if x.any():
            basis = principal_components(x, SHARE, 1)
            count = min(OUTPUTS, basis.scores.shape[1])
            x = basis.scores[:, :count] * np.sqrt((basis.loadings[:count] ** 2).sum(axis=1))
        found = np.zeros((len(self.subsets), grouping.rows))
        total = np.zeros(grouping.rows)
        sums = [_Moments.of(self.z[mask], x[mask]) for mask in turn.held]
        for fold, test in enumerate(turn.held):
            early = _Moments.over([sums[i] for i in np.flatnonzero(turn.early(fold))])
            late = _Moments.over([sums[i] for i in np.flatnonzero(turn.late(fold))])
            after = sums[(fold + 1) % len(sums)]
            z, truth = self.z[test] - late.mean_z, x[test] - late.mean_x
            total[test] = (truth**2).sum(axis=1)
            for place, some in enumerate(self.subsets):
                if not len(some):
                    found[place, test] = total[test]
                    continue
                penalty = _penalty(early, after, some)
                guess = z[:, some] @ late.slope(some, [penalty])[0]
                found[place, test] = ((truth - guess) ** 2).sum(axis=1)
        by_group = grouping.sum_by_group
        return by_group(found, axis=1), by_group(total)


@dataclass(frozen=True)
class _Moments:
    """Sums over rows of predictors z and a layer x, and the second moments about their means."""

    rows: int
    mean_z: np.ndarray
    mean_x: np.ndarray
    zz: np.ndarray
    zx: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray, x: np.ndarray) -> _Moments:
        mean_z, mean_x = z.mean(axis=0), x.mean(axis=0)
        z, x = z - mean_z, x - mean_x
        return cls(len(z), mean_z, mean_x, z.T @ z, z.T @ x)

    @classmethod
    def over(cls, some: Sequence[_Moments]) -> _Moments:
        rows = sum(one.rows for one in some)
        mean_z = sum(one.rows * one.mean_z for one in some) / rows
        mean_x = sum(one.rows * one.mean_x for one in some) / rows
        zz = sum(one.zz + one.rows * np.outer(d := one.mean_z - mean_z, d) for one in some)
        zx = sum(
            one.zx + one.rows * np.outer(one.mean_z - mean_z, one.mean_x - mean_x) for one in some
        )
        return cls(rows, mean_z, mean_x, zz, zx)

    def slope(self, some: np.ndarray, penalties: Sequence[float]) -> list[np.ndarray]:
        """[k, q] ridge coefficients on some of the predictors, for each penalty."""
        power, axes = np.linalg.eigh(self.zz[np.ix_(some, some)])
        power = power.clip(0.0)
        along, mean = axes.T @ self.zx[some], max(power.mean(), np.finfo(float).tiny)
        return [axes @ (along / (power + p * mean)[:, None]) for p in penalties]


def _penalty(fit: _Moments, other: _Moments, some: np.ndarray) -> float:
    """The penalty with which a fit has the least squared error on other rows."""
    shift_z, shift_x = (other.mean_z - fit.mean_z)[some], other.mean_x - fit.mean_x
    zz = other.zz[np.ix_(some, some)] + other.rows * np.outer(shift_z, shift_z)
    zx = other.zx[some] + other.rows * np.outer(shift_z, shift_x)
    errors = [((zz @ w) * w).sum() - 2 * (zx * w).sum() for w in fit.slope(some, PENALTIES)]
    return float(PENALTIES[int(np.argmin(errors))])


def _result(
    source: Source,
    grouping: Grouping,
    blocks: Mapping[str, np.ndarray],
    within: bool,
    errors: np.ndarray,
    total: np.ndarray,
) -> Partition:
    """From squared errors [layers, subsets, groups] and totals [layers, groups]."""
    names, rows = list(blocks), grouping.rows
    count = len(names)
    mean = total.sum(axis=1) / rows
    alive = mean > 0
    mean = np.where(alive, mean, 1.0)
    # a row weighs on the fits of the other folds too: see rsa.measures.predictivity
    wider = grouping.blocks / (grouping.blocks - 1)

    def share(less: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[...] sums of `less` [layers, groups] as shares of the total, and their influence."""
        value = np.where(alive, less.sum(axis=1) / rows / mean, np.nan)
        influence = wider * (less - value[:, None] * total) / mean[:, None]
        return value, influence.T

    whole, around = share(total - errors[:, 0])
    low, high = linearized(whole, around, rows)
    alone = [share(total - errors[:, 1 + i]) for i in range(count)]
    unique = [share(errors[:, 1 + count + i] - errors[:, 0]) for i in range(count)]
    tests = []
    for some in (alone, unique):
        value = np.stack([one[0] for one in some])
        influence = np.stack([one[1] for one in some], axis=1)
        tests.append(simultaneous(value, from_influence(influence, rows)))
    parts = {}
    for i, name in enumerate(names):
        common = alone[i][0] - unique[i][0]
        ends = linearized(common, alone[i][1] - unique[i][1], rows)
        parts[name] = tuple(
            Parts(tests[0][i, at], tests[1][i, at], tuple(map(float, trio)))
            for at, trio in enumerate(zip(common, *ends, strict=True))
        )
    notes = []
    if grouping.blocks < FOLDS:
        notes.append(f"{grouping.blocks} folds: there are no more groups")
    if not alive.all():
        still = ", ".join(n for n, one in zip(source.layers, alive, strict=True) if not one)
        notes.append(f"never varies, nothing to explain: {still}")
    return Partition(
        source.name,
        tuple(source.layers),
        rows,
        grouping.groups,
        within,
        tuple(tuple(map(float, trio)) for trio in zip(whole, low, high, strict=True)),
        parts,
        {name: block.shape[1] for name, block in blocks.items()},
        tuple(notes),
    )


def _plain(trio: Trio) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in trio]


def _trio(entry: Sequence[float | None]) -> Trio:
    return tuple(np.nan if v is None else float(v) for v in entry)
