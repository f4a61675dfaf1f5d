"""Does a probe of one model work on another through the linear map between their layers?

The map from a layer of B to one of A is a ridge regression on training rows, without labels. A
linear probe after a linear map is one matrix, and its least-squares fit is the regression of the
probe's outputs on B's layer: so all pairs of layers cost one product each. The outputs that are
regressed are those of probes trained on other folds of the training groups: outputs on the rows a
probe was trained on would carry their labels over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from probes import inference
from probes.errors import ProbeError
from probes.heads.base import least
from probes.heads.linear import PENALTIES, LinearLayer, standard
from probes.record import Record
from probes.scored import Score, Scored
from probes.solvers import Fit, solve
from probes.source import Source, read_layer
from probes.splits import TRAIN, VALID
from probes.targets import Target, together
from probes.threads import one_a_core
from probes.trust.intervals import around, sure
from probes.why.contrast import Contrast, contrasts
from probes.why.headline import Headline

FOLDS = 5


@dataclass(frozen=True)
class Pair(Record):
    """A probe of a layer of A on a layer of B, through the map from B to A.

    Attributes
    ----------
    score : of the mapped probe on the headline split.
    above : that minus chance; a family are all pairs, here and below.
    own : that minus the score of B's own probe.
    kept : (mapped - chance) / (A's own - chance); NaN where A's probe is not above chance.
    """

    score: Score
    above: Contrast
    own: Contrast
    kept: Score


@dataclass(frozen=True)
class Transfer(Record):
    """One task, all pairs of layers.

    Attributes
    ----------
    a, b : names of the models.
    scores_a, scores_b : of each layer's own probe.
    pairs : [layers of A][layers of B].
    """

    task: str
    metric: str
    split: str
    chance: float
    groups: int
    a: str
    b: str
    layers_a: tuple[str, ...]
    layers_b: tuple[str, ...]
    scores_a: tuple[Score, ...]
    scores_b: tuple[Score, ...]
    pairs: tuple[tuple[Pair, ...], ...]

    def pair(self, layer_a: str, layer_b: str) -> Pair:
        return self.pairs[self.layers_a.index(layer_a)][self.layers_b.index(layer_b)]


def transfer(
    a: Source,
    b: Source,
    targets: Sequence[Target],
    *,
    layers_a: Sequence[str] | None = None,
    layers_b: Sequence[str] | None = None,
    penalties: Sequence[float] = PENALTIES,
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Transfer]:
    """Probes of A on B for all pairs of layers and every task.

    Parameters
    ----------
    a, b : over the same rows as the targets.
    layers_a, layers_b : those to look at; all when None.
    penalties : of probes, chosen by validation loss; and of maps, chosen by how well they give the
        outputs of A's probe on validation rows, labels unseen.
    """
    if len(a) != len(b):
        raise ProbeError(
            f"{a.name} has {len(a)} rows and {b.name} {len(b)}: extract both over the same clips"
        )
    names = tuple(layers_a or a.layers), tuple(layers_b or b.layers)
    batches = together(targets)
    found: dict[int, Transfer] = {}
    places = [(a, layer, True) for layer in names[0]] + [(b, layer, False) for layer in names[1]]
    for number, some in enumerate(batches):
        batch = _Batch(some, penalties, resamples, seed, device)
        sides: list[_Side] = []
        with one_a_core(device) as pool:
            for side in pool.map(batch.probe, places):
                sides.append(side)
                if progress:
                    progress(number * len(places) + len(sides), len(batches) * len(places))
            of_a, of_b = sides[: len(names[0])], sides[len(names[0]) :]
            taught = [side.taught for side in of_a]
            mapped = list(pool.map(partial(batch.mapped, taught=taught), of_b))
        for place, headline in enumerate(batch.headlines):
            table = [[column[i][place] for column in mapped] for i in range(len(names[0]))]
            own = [[side.scores[place] for side in some] for some in (of_a, of_b)]
            found[id(headline.target)] = batch.result(place, (a.name, b.name), names, own, table)
    return [found[id(target)] for target in targets]


@dataclass(frozen=True)
class _Side:
    """One layer with its own probes.

    Attributes
    ----------
    ready : the layer in its axes.
    scores : of each target, by its own probe.
    taught : of A, for each target, outputs [train, columns] of probes of other folds, and
        [valid, columns] of the probe of all training rows.
    """

    ready: LinearLayer
    scores: list[Scored]
    taught: list[tuple[np.ndarray, np.ndarray]]


class _Batch:
    """Targets that share their training rows."""

    def __init__(
        self,
        targets: Sequence[Target],
        penalties: Sequence[float],
        resamples: int,
        seed: int,
        device: str,
    ):
        self.targets, self.penalties = tuple(targets), tuple(penalties)
        self._device = device
        self.headlines = [Headline(target) for target in targets]
        groups = targets[0].groups[targets[0].index[TRAIN]]
        owner = np.unique(groups.astype(str), return_inverse=True)[1]
        folds = min(FOLDS, int(owner.max()) + 1)
        dealt = np.random.default_rng([seed, 14]).permutation(int(owner.max()) + 1) % folds
        self._folds = [dealt[owner] == fold for fold in range(folds)]
        self._counts = [inference.draw(one.groups, resamples, seed) for one in self.headlines]

    def probe(self, place: tuple[Source, str, bool]) -> _Side:
        """Own probes of a layer of a source, and if so asked the outputs that B is to give."""
        source, layer, crossed = place
        ready = LinearLayer(read_layer(source, layer, self._device), self.targets)
        problems = [ready.problem(target, self.penalties) for target in self.targets]
        fits = solve(ready.design, problems)
        scores, chosen = [], []
        for headline, fit in zip(self.headlines, fits, strict=True):
            target = headline.target
            answers = ready.answers(target, fit)
            chosen.append(least(answers.loss(target, VALID)))
            scores.append(headline.scored(answers.outputs[target.headline][chosen[-1]]))
        taught = []
        if crossed:
            crossings = [
                ready.problem(
                    target,
                    [self.penalties[best]],
                    weights=torch.as_tensor(~fold, dtype=torch.float64),
                )
                for target, best in zip(self.targets, chosen, strict=True)
                for fold in self._folds
            ]
            halves = iter(solve(ready.design, crossings))
            for target, fit, best in zip(self.targets, fits, chosen, strict=True):
                outputs = np.empty((len(self._folds[0]), fit.weights.shape[2]))
                for fold in self._folds:
                    outputs[fold] = _logits(ready, target, TRAIN, next(halves), 0)[fold]
                taught.append((outputs, _logits(ready, target, VALID, fit, best)))
        return _Side(ready, scores, taught)

    def mapped(self, side: _Side, taught: Sequence[Sequence]) -> list[list[Scored]]:
        """[layers of A][targets] scores of their probes on one layer of B."""
        design = side.ready.design
        rows = design.rows.double().cpu().numpy()
        power = len(rows) * design.eigenvalues.double().cpu().numpy()
        held = {}
        for place, target in enumerate(self.targets):
            for split in (VALID, target.headline):
                held[place, split] = side.ready.rows(target, split).double().cpu().numpy()
        every = np.concatenate([train for layer in taught for train, _ in layer], axis=1)
        mean = every.mean(axis=0)
        moment, start, found = rows.T @ (every - mean), 0, []
        for layer in taught:
            line = []
            for place, (train, valid) in enumerate(layer):
                stop = start + train.shape[1]
                some, level = moment[:, start:stop], mean[start:stop]
                start = stop
                near = held[place, VALID]
                errors = [
                    np.square(near @ (some / (power + p)[:, None]) + level - valid).sum()
                    for p in self.penalties
                ]
                best = self.penalties[int(np.argmin(errors))]
                headline = self.headlines[place]
                said = held[place, headline.target.headline] @ (some / (power + best)[:, None])
                line.append(headline.scored(_outputs(headline.target, said + level)))
            found.append(line)
        return found

    def result(
        self,
        place: int,
        models: tuple[str, str],
        names: tuple[tuple[str, ...], tuple[str, ...]],
        own: Sequence[Sequence[Scored]],
        table: Sequence[Sequence[Scored]],
    ) -> Transfer:
        """Tests over all pairs of one task."""
        headline, counts = self.headlines[place], self._counts[place]
        groups, chance, bounds = headline.groups, headline.chance, headline.metric.range
        value = np.array([[one.value for one in line] for line in table])
        drawn = np.array([[one.resampled(counts) for one in line] for line in table])
        of_a, of_b = (np.array([one.value for one in side]) for side in own)
        drawn_a, drawn_b = (np.array([one.resampled(counts) for one in side]) for side in own)
        above = contrasts(value - chance, drawn - chance, groups)
        against = contrasts(value - of_b, drawn - drawn_b, groups)
        lead_a = contrasts(of_a - chance, drawn_a - chance, groups)
        pairs = []
        for i, line in enumerate(table):
            row = []
            for j in range(len(line)):
                kept = Score(np.nan, np.nan, np.nan)
                if lead_a[i].above:
                    with np.errstate(divide="ignore", invalid="ignore"):
                        ratio = (drawn[i, j] - chance) / (drawn_a[i] - chance)
                    share = (value[i, j] - chance) / (of_a[i] - chance)
                    kept = around(share, np.where(np.isfinite(ratio), ratio, np.nan), groups)
                score = around(value[i, j], drawn[i, j], groups, bounds)
                row.append(Pair(score, above[i, j], against[i, j], kept))
            pairs.append(tuple(row))
        task = headline.target.task
        return Transfer(
            task.name,
            task.metric,
            headline.target.headline,
            chance,
            groups,
            *models,
            *names,
            *(tuple(sure(one, counts, bounds) for one in side) for side in own),
            tuple(pairs),
        )


def _logits(ready: LinearLayer, target: Target, split: str, fit: Fit, choice: int) -> np.ndarray:
    """[rows, columns] what a probe says before it is turned into probabilities."""
    said = ready.rows(target, split) @ fit.weights[choice] + fit.intercepts[choice]
    return said.double().cpu().numpy()


def _outputs(target: Target, said: np.ndarray) -> np.ndarray:
    """Outputs of a head, as in `probes.heads.base.Answers`, from what it says."""
    if target.regression:
        mean, spread = standard(target)
        return said[:, 0] * spread + mean
    if target.task.kind == "tags":
        return said
    return said - np.logaddexp.reduce(said, axis=1, keepdims=True)
