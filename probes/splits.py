"""The split of each row; made here, whole groups at a time, where the data has none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from probes.errors import ProbeError

TRAIN, VALID, TEST, TEST_INST = "train", "valid", "test", "test_inst"
SPLITS = (TRAIN, VALID, TEST, TEST_INST)
EVALUATED = (TEST, TEST_INST)
RATIOS = {TRAIN: 0.6, VALID: 0.2, TEST: 0.2}


def assign(
    groups: Sequence[str], seed: int = 0, ratios: Mapping[str, float] = RATIOS
) -> np.ndarray:
    """Split of each row, whole groups only.

    Groups are put in the order of a hash of their name and the seed, and dealt in proportion to
    the ratios. So the split of a group depends on the set of groups alone: rows of another kind
    over the same groups get the same splits.

    Parameters
    ----------
    groups : [rows] names.
    ratios : split -> share; each split gets at least one group while there are enough.

    Returns
    -------
    [rows] object array of str.
    """
    order = sorted(set(groups), key=lambda g: hashlib.sha256(f"{seed}|{g}".encode()).digest())
    wanted = {name: share * len(order) for name, share in ratios.items()}
    counts = dict.fromkeys(ratios, 0)
    given = {}
    for group in order:
        # the split furthest below its share, relative to it: every split is served early
        best = min(ratios, key=lambda name: (counts[name] + 0.5) / max(wanted[name], 1e-9))
        counts[best] += 1
        given[group] = best
    return np.array([given[group] for group in groups], dtype=object)


def settle(
    splits: Sequence[str], groups: Sequence[str], seed: int = 0
) -> tuple[np.ndarray, list[str]]:
    """The splits to use and notes on what was made up.

    Rows without a split are left out where other rows have one. Where no row is in `valid`, a
    fifth of the training groups becomes it.
    """
    splits, groups = np.array(list(splits), dtype=object), np.array(list(groups), dtype=object)
    unknown = sorted(set(splits) - {*SPLITS, ""})
    if unknown:
        raise ProbeError(f"split {unknown[0]!r} is unknown: use {', '.join(SPLITS)}")
    if not any(splits):
        return assign(groups, seed), [f"splits drawn by group, 60/20/20, seed {seed}"]
    if VALID in splits or TRAIN not in splits:
        return splits, []
    train = splits == TRAIN
    splits[train] = assign(groups[train], seed, {TRAIN: 0.8, VALID: 0.2})
    return splits, [f"no validation split: a fifth of the training groups became it, seed {seed}"]
