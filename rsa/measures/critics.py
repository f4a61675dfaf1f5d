"""Variational bounds on mutual information: InfoNCE and SMILE, with trained critics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference.intervals import linearized
from rsa.measures.base import Measure, Null, Table, constant_note
from rsa.measures.heldout import (
    doubled_variance,
    folds,
    no_chance_note,
    orders,
    upright,
    whiten,
    widened_to_chance,
)
from rsa.measures.training import Critics, Setting
from rsa.rows.joint import COMPONENTS, Joint
from rsa.team import dealt

FOLDS = 3
# rows at most; a held-out fold is scored with all its rows against each other
ROWS = 1536
# share of the groups not held out on which training is stopped
STOPPING = 5
# steps of Adam of each critic: between these, so that all critics together take about BUDGET
LEAST, MOST, BUDGET = 40, 400, 60_000
# critics trained side by side, on a CPU and on another device
TOGETHER, TOGETHER_ELSEWHERE = 24, 256
FEWEST_HELD_OUT = 8


@dataclass(frozen=True, kw_only=True)
class CriticInformation(Measure):
    """A bound that a critic trained on some groups reaches on the others.

    Attributes
    ----------
    components : leading principal components of each layer, whitened, that the critic sees.
    clip : of the critic's logarithmic ratio (SMILE), in nats; 0 for InfoNCE.
    """

    components: int = 32
    clip: float = 0.0

    def check(self) -> None:
        if not 0 < self.components <= COMPONENTS:
            raise RsaError(f"measure {self.name!r}: 1 to {COMPONENTS} components are possible")
        if self.clip == 0 and "clip" in self.stem:
            raise RsaError(f"measure {self.name!r}: clip is above 0")

    def estimate(self, joint: Joint) -> Table:
        whole, joint = joint, joint.thinned(ROWS)
        count, rows = len(joint), joint.rows
        shape = (count, count)
        value, low, high, ceiling = (np.full(shape, np.nan) for _ in range(4))
        draws = np.empty((0, *shape))
        notes = constant_note(joint)
        masks = folds(joint, FOLDS)
        least = min((int(test.sum()) for test in masks), default=0)
        enough = len(masks) == FOLDS and least >= FEWEST_HELD_OUT
        cells = [(i, j) for i, j in joint.pairs() if i < j and not joint.constant[[i, j]].any()]
        if not enough:
            sentence = f"{rows} rows in {joint.grouping.groups} groups are too few to train critics"
            return Table(value, low, high, Null("", draws), {}, [*notes, (frozenset(), sentence)])
        notes.append((frozenset(), "a layer's information about itself has no finite value"))
        if cells:
            steps = int(np.clip(BUDGET / (FOLDS * len(cells)), LEAST, MOST))
            terms, drawn = self._train(joint, cells, masks, steps)
            sizes = joint.grouping.sizes
            terms = joint.grouping.sum_by_group(terms)
            mean = terms.sum(axis=0) / rows
            ends = linearized(mean, terms - sizes[:, None] * mean, rows)
            drawn = doubled_variance(drawn)
            # critics that see a relation are steep: on wrong pairs they say little of its error
            by_chance = mean <= drawn.max(axis=0, initial=-np.inf)
            wider = widened_to_chance(mean, *ends, drawn)
            ends = tuple(np.where(by_chance, w, e) for w, e in zip(wider, ends, strict=True))
            draws = np.full((len(drawn), *shape), np.nan)
            i, j = np.array(cells).T
            for matrix, line in zip((value, low, high, *draws), (mean, *ends, *drawn), strict=True):
                matrix[i, j] = matrix[j, i] = line
            notes += no_chance_note(joint, FOLDS, len(draws))
            notes.append((frozenset(), f"{FOLDS} folds of groups, up to {steps} steps a critic"))
        if joint is not whole:
            notes.append((frozenset(), f"on {rows} of {whole.rows} rows"))
        extra = {}
        if self.clip == 0:
            most = sum(np.log2(test.sum()) * test.sum() for test in masks) / rows
            extra["ceiling"] = np.where(np.isnan(value), np.nan, most)
            notes += self._full(joint, value, most)
        by = (
            f"held-out groups rearranged under the trained critics, {len(draws)} draws, variance "
            "doubled for the training; far below 0 where critics are sure"
        )
        return Table(value, low, high, Null(by, draws), extra, notes)

    def _full(
        self, joint: Joint, value: np.ndarray, most: float
    ) -> list[tuple[frozenset[int], str]]:
        with np.errstate(invalid="ignore"):
            near = np.argwhere(np.triu(value > 0.9 * most, 1))
        return [
            (
                frozenset((i, j)),
                f"{joint.name(i)} and {joint.name(j)} are within 10 % of the ceiling of "
                f"{most:.1f} bits: they may share much more",
            )
            for i, j in near.tolist()
        ]

    def _train(
        self, joint: Joint, cells: list[tuple[int, int]], masks: list[np.ndarray], steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bits of each row, [rows, pairs], and values under permutations, [draws, pairs]."""
        count, pairs = len(joint), np.array(cells)
        most = min(self.components, min(int((~test).sum()) for test in masks) // 4)
        scores, kept = np.zeros((joint.rows, count, most)), np.zeros(count, dtype=int)
        for i in np.flatnonzero(~joint.constant):
            basis = joint.basis(int(i)).scores[:, :most] * np.sqrt(joint.rows)
            kept[i] = basis.shape[1]
            scores[:, i, : kept[i]] = upright(basis)
        terms = np.zeros((joint.rows, len(pairs)))
        setting = Setting(steps, self.clip, joint.seed, joint.device)
        size = TOGETHER if joint.device == "cpu" else TOGETHER_ELSEWHERE
        parts = [slice(s, s + size) for s in range(0, len(pairs), size)]
        shuffles = orders(joint, masks)
        drawn = np.zeros((len(shuffles[0]), len(pairs)))
        for number, test in enumerate(masks):
            train, stop = _divided(joint, test, number)
            white = whiten(scores, train, kept).transpose(1, 0, 2)

            moved = shuffles[number]

            def part(at: slice, train=train, stop=stop, test=test, white=white, moved=moved):
                x, y = white[pairs[at, 0]], white[pairs[at, 1]]
                critics = Critics.start(x, y, train, stop, setting)
                critics.train()
                return critics.score(x[:, test], y[:, test], moved)

            found = dealt(joint.team, part, parts, threads=joint.device == "cpu")
            terms[test] = np.concatenate([f[0] for f in found]).T
            drawn += test.sum() * np.concatenate([f[1] for f in found], axis=1)
        return terms / np.log(2), drawn / joint.rows / np.log(2)


def _divided(joint: Joint, test: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to stop on, [rows] bool, by whole groups."""
    group = joint.grouping.group_of_row
    left = np.unique(group[~test])
    rng = np.random.default_rng([joint.seed, 5, number])
    chosen = rng.permutation(left)[: max(1, len(left) // STOPPING)]
    stop = np.isin(group, chosen)
    return ~test & ~stop, stop


_CRITIC = (
    "critic T: log ratio of two Gaussians, started from the canonical correlations, plus inner "
    "products and sums of one hidden layer each (32 tanh units, 16 outputs); Adam, stopped early "
    "on other groups; each group held out once"
)

INFONCE = CriticInformation(
    stem="mi:infonce,pca={components}",
    heading="InfoNCE bound",
    family="information",
    formula="log2 N + mean over held-out rows of log2 softmax of T over the N held-out rows, mean "
    "of both directions; " + _CRITIC,
    source="van den Oord et al. 2018, arXiv:1807.03748; Poole et al. 2019, arXiv:1905.06922",
    says="At least so many bits on average tell which row of one layer belongs to a row of the "
    "other, by any relation the critic found.",
    beware="A lower bound that cannot pass log2 of the number of held-out rows; with few tracks "
    "the critic learns little and the bound is loose.",
    range=(None, None),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=24,
    unit="bits",
)

SMILE = CriticInformation(
    stem="mi:smile,clip={clip:g},pca={components}",
    heading="SMILE estimate",
    family="information",
    formula="mean of T over held-out pairs - log2 of the mean over other pairs of exp T, T clipped "
    "there to +-clip nats; trained by the Jensen-Shannon bound; " + _CRITIC,
    source="Song and Ermon 2020, arXiv:1910.06222, eq. 13",
    says="Bits that a trained critic sees two layers share, without InfoNCE's ceiling.",
    beware="Neither an upper nor a lower bound: clipping trades variance for bias, so large values "
    "are rough; compare layers, not single numbers.",
    range=(None, None),
    invariances=frozenset({"translation", "isotropic scaling", "permutation", "orthogonal"}),
    minimum_rows=24,
    unit="bits",
    clip=5.0,
)

MEASURES = (INFONCE, SMILE)
