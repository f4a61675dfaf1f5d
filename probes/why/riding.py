"""What carries a task: references are erased from every layer, and every task is probed again.

A task rides on a reference where erasing that costs more than

- a random subspace of as many dimensions and as much variance of the same layer costs, and
- the same reference of other groups costs: training groups are few, so that any reference goes with
  the labels of some of them by chance, and erasing it takes from the task what it then predicts.

What it costs is held against the spread of these controls and of groups together. All layers and
references of a task are one family of tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from probes import inference
from probes.errors import ProbeError
from probes.heads.linear import PENALTIES, LinearLayer
from probes.metrics import metric
from probes.scored import Score, Scored
from probes.source import Source, read_layer
from probes.splits import TRAIN, VALID
from probes.targets import Target
from probes.threads import one_a_core
from probes.trust.intervals import around
from probes.trust.record import Record
from probes.why.erasure import DIRECTIONS, Concept, Eraser, carried
from probes.why.leastsquares import LeastSquares
from probes.why.reprobing import Reprobing
from probes.why.tested import Tested, tested

DRAWS = 20
Head = Literal["least squares", "linear"]


@dataclass(frozen=True)
class Erased(Record):
    """One reference, erased from one layer.

    Attributes
    ----------
    carried : R2 of the reference from the layer by ridge regression on validation rows: near 0,
        there was nothing to erase.
    removed, variance : dimensions that the layer lost, and the share of its variance in them.
    controlled : mean share of the variance that the random subspaces took.
    score : what is left on the headline split.
    drop : what that is less than before.
    random, dealt : what the controls cost: random subspaces; the reference of other groups.
    over_random, over_dealt : drop minus theirs; all layers and references are one family each.
    over : other reference -> drop minus what erasing that one costs; one family.
    """

    layer: str
    carried: float
    removed: int
    variance: float
    controlled: float
    score: Score
    drop: Score
    random: Score
    dealt: Score
    over_random: Tested
    over_dealt: Tested
    over: Mapping[str, Tested]

    @property
    def rides(self) -> bool:
        """Erasing costs more than both controls."""
        return self.over_random.above and self.over_dealt.above


@dataclass(frozen=True)
class Reference(Record):
    """A reference as it was erased.

    Attributes
    ----------
    directions : leading principal components of it, on training rows.
    share : of its variance that these hold.
    layers : in order of depth.
    """

    name: str
    directions: int
    share: float
    layers: tuple[Erased, ...]


@dataclass(frozen=True)
class Riding(Record):
    """What erasing references from every layer costs one task.

    Attributes
    ----------
    head : `least squares`, or `linear` for that of the protocol.
    before : score of each layer with nothing erased, by the same head.
    draws : of each control.
    notes : sentences for the reader.
    """

    task: str
    head: str
    metric: str
    split: str
    chance: float
    groups: int
    draws: int
    layers: tuple[str, ...]
    before: tuple[Score, ...]
    references: tuple[Reference, ...]
    notes: tuple[str, ...] = ()

    def at(self, layer: str) -> dict[str, Erased]:
        """Reference -> what erasing it from a layer does."""
        if layer not in self.layers:
            raise ProbeError(f"task {self.task} has no layer {layer}: {', '.join(self.layers)}")
        place = self.layers.index(layer)
        return {one.name: one.layers[place] for one in self.references}

    def on(self, layer: str) -> tuple[str, ...]:
        """References that the task rides on at a layer: more than on any other, or as much."""
        here = {name: one for name, one in self.at(layer).items() if one.rides}
        return tuple(
            name
            for name, one in here.items()
            if not any(one.over[other].below for other in here if other != name)
        )


def riding(
    source: Source,
    references: Source,
    targets: Sequence[Target],
    *,
    head: Head = "least squares",
    directions: int = DIRECTIONS,
    draws: int = DRAWS,
    penalties: Sequence[float] = PENALTIES,
    resamples: int = 1000,
    seed: int = 0,
    layers: Sequence[str] | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Riding]:
    """Erases each reference from each layer and probes every task again, with controls.

    The eraser is fitted on the training rows of the probe, and the penalty of every probe is chosen
    anew on validation.

    Parameters
    ----------
    source, references : layers over the same rows as the targets.
    head : `least squares` probes in closed form; `linear`, those of the protocol, through
        `probes.solvers.solve`, takes some hundred times as long: ask for few draws and layers.
    directions : principal components of a reference that are erased at most.
    draws : of random subspaces, and of dealings of a reference to other groups.
    layers : those to look at; all when None.

    Raises
    ------
    ProbeError : rows that do not match, references that never vary, values that are not finite.
    """
    if head not in ("least squares", "linear"):
        raise ProbeError(f"head {head!r} cannot be probed again: use least squares or linear")
    if len(source) != len(references):
        raise ProbeError(
            f"{source.name} has {len(source)} rows and {references.name} {len(references)}: "
            "extract both over the same clips and rows"
        )
    if draws < 2:
        raise ProbeError(f"draws {draws}: at least 2 are needed for a spread")
    layers = tuple(source.layers if layers is None else layers)
    names = tuple(references.layers)
    tables = {name: read_layer(references, name, device).double().cpu().numpy() for name in names}
    batches = defaultdict(list)
    for number, target in enumerate(targets):
        batches[target.index[TRAIN].tobytes()].append(number)
    plan = _Plan(head, directions, draws, tuple(penalties), resamples, seed, device)
    found: dict[int, Riding] = {}
    done = 0
    for numbers in batches.values():
        batch = _Batch([targets[i] for i in numbers], tables, plan)
        tallies = []
        with one_a_core(device) as pool:
            one_layer = pool.map(
                lambda at, batch=batch: batch.layer(read_layer(source, layers[at], device), at),
                range(len(layers)),
            )
            for some in one_layer:
                tallies.append(some)
                done += 1
                if progress:
                    progress(done, len(batches) * len(layers))
        for at, number in enumerate(numbers):
            table = [tally[at] for tally in tallies]
            found[number] = batch.result(batch.targets[at], layers, table)
    return [found[number] for number in range(len(targets))]


@dataclass(frozen=True)
class _Plan:
    head: str
    directions: int
    draws: int
    penalties: tuple[float, ...]
    resamples: int
    seed: int
    device: str


@dataclass(frozen=True)
class _Tally:
    """One task on one layer; of references in order, scores and resampled scores.

    Attributes
    ----------
    before : value and [resamples].
    after, random, dealt : [references] and [references, resamples]; of controls the mean over
        draws, and in each resample of groups one of the draws.
    facts : of each reference: R2, dimensions, variance, variance of the controls.
    """

    before: tuple[float, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]
    random: tuple[np.ndarray, np.ndarray]
    dealt: tuple[np.ndarray, np.ndarray]
    facts: list[tuple[float, int, float, float]]


class _Batch:
    """Targets that share their training rows."""

    def __init__(self, targets: list[Target], tables: Mapping[str, np.ndarray], plan: _Plan):
        self.targets, self.plan = targets, plan
        train = targets[0].index[TRAIN]
        self._valid = np.unique(np.concatenate([t.index[VALID] for t in targets]))
        self.concepts = {
            name: Concept.of(name, table[train], plan.directions) for name, table in tables.items()
        }
        self._train = {n: c.values(tables[n][train]) for n, c in self.concepts.items()}
        self._told = {n: c.values(tables[n][self._valid]) for n, c in self.concepts.items()}
        rng = np.random.default_rng([plan.seed, 11])
        groups = targets[0].groups[train]
        self._dealt = [deal(groups, rng) for _ in range(plan.draws)]
        self.training_groups = len(set(groups))
        self._counts = [
            inference.draw(t.count_groups(t.headline), plan.resamples, plan.seed) for t in targets
        ]

    def layer(self, values: torch.Tensor, place: int) -> list[_Tally]:
        """All targets on one layer."""
        plan = self.plan
        ready = LinearLayer(values, self.targets)
        probes = (LeastSquares if plan.head == "least squares" else Reprobing)(
            ready, plan.penalties
        )
        held = ready.design.rotate(values[torch.as_tensor(self._valid, device=values.device)])
        held = held.double().cpu().numpy()
        before = self._drawn([probes.probe(None)])
        after, random, dealt, facts = [], [], [], []
        for number, (name, concept) in enumerate(self.concepts.items()):
            train = self._train[name]
            told = carried(ready.design, concept, train, held, self._told[name])
            eraser = Eraser.of(ready.design, train, told.whitening)
            rng = np.random.default_rng([plan.seed, 12, place, number])
            spaces = [Eraser.at_random(ready.design, eraser, rng) for _ in range(plan.draws)]
            others = [Eraser.of(ready.design, train[o], told.whitening) for o in self._dealt]
            after.append(self._drawn([probes.probe(eraser)]))
            random.append(self._drawn([probes.probe(one) for one in spaces]))
            dealt.append(self._drawn([probes.probe(one) for one in others]))
            taken = float(np.mean([one.variance for one in spaces]))
            facts.append((told.r2, eraser.removed, eraser.variance, taken))
        return [
            _Tally(before[i], *(_stacked(some, i) for some in (after, random, dealt)), facts)
            for i in range(len(self.targets))
        ]

    def _drawn(self, draws: Sequence[Sequence[Scored]]) -> list[tuple[float, np.ndarray]]:
        """Mean over draws of each target's score, and resamples that take one draw each."""
        found = []
        for target, counts in enumerate(self._counts):
            drawn = np.empty(len(counts))
            for number, draw in enumerate(draws):
                some = slice(number, None, len(draws))
                drawn[some] = draw[target].resampled(counts[some])
            values = [draw[target].value for draw in draws]
            found.append((float(np.mean(values)), drawn))
        return found

    def result(self, target: Target, layers: tuple[str, ...], table: list[_Tally]) -> Riding:
        """Tests over all layers and references of one target."""
        names, task = tuple(self.concepts), target.task
        prior = target.prior if task.kind == "classification" else None
        one = metric(task.metric, target.classes, prior)
        groups = target.count_groups(target.headline)
        after, random, dealt = (
            (
                np.stack([getattr(tally, name)[0] for tally in table]),
                np.stack([getattr(tally, name)[1] for tally in table]),
            )
            for name in ("after", "random", "dealt")
        )
        over_random = tested(random[0] - after[0], random[1] - after[1], groups)
        over_dealt = tested(dealt[0] - after[0], dealt[1] - after[1], groups)
        pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i < j]
        first, second = (np.array([pair[k] for pair in pairs], dtype=int) for k in (0, 1))
        over = tested(
            after[0][:, second] - after[0][:, first],
            after[1][:, second] - after[1][:, first],
            groups,
        )
        reach = None if None in one.range else one.range[1] - one.range[0]
        ends = (None, None) if reach is None else (-reach, reach)

        def less(place: int, some: tuple[np.ndarray, np.ndarray], number: int) -> Score:
            value, drawn = table[place].before
            return around(
                value - some[0][place, number], drawn - some[1][place, number], groups, ends
            )

        def other(place: int, number: int) -> dict[str, Tested]:
            others = {}
            for at, (i, j) in enumerate(pairs):
                if i == number:
                    others[names[j]] = over[place, at]
                elif j == number:
                    others[names[i]] = _negative(over[place, at])
            return others

        found = []
        for number, (name, concept) in enumerate(self.concepts.items()):
            erased = []
            for place, layer in enumerate(layers):
                told, removed, variance, taken = table[place].facts[number]
                erased.append(
                    Erased(
                        layer,
                        told,
                        removed,
                        variance,
                        taken,
                        around(after[0][place, number], after[1][place, number], groups, one.range),
                        less(place, after, number),
                        less(place, random, number),
                        less(place, dealt, number),
                        over_random[place, number],
                        over_dealt[place, number],
                        other(place, number),
                    )
                )
            found.append(Reference(name, concept.axes.shape[1], concept.share, tuple(erased)))
        notes = []
        if self.training_groups < 10:
            notes.append(
                f"{self.training_groups} training groups: a reference can be dealt to others in "
                "few ways only"
            )
        return Riding(
            task.name,
            self.plan.head,
            task.metric,
            target.headline,
            one.chance(target.of(TRAIN), target.of(target.headline)),
            groups,
            self.plan.draws,
            layers,
            tuple(around(*tally.before, groups, one.range) for tally in table),
            tuple(found),
            tuple(notes),
        )


def deal(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[rows] the row that comes to each place when whole groups change places.

    Where two groups differ in size, the nearest rows of the one that moves in are taken, so that
    rows stay together and in their order.
    """
    owner = np.unique(groups.astype(str), return_inverse=True)[1]
    order = np.argsort(owner, kind="stable")
    sizes = np.bincount(owner)
    starts = np.cumsum(sizes) - sizes
    comes = rng.permutation(len(sizes))
    place = np.arange(len(owner)) - np.repeat(starts, sizes)
    nearest = (2 * place + 1) * np.repeat(sizes[comes], sizes) // (2 * np.repeat(sizes, sizes))
    found = np.empty(len(owner), dtype=int)
    found[order] = order[np.repeat(starts[comes], sizes) + nearest]
    return found


def _stacked(some: list[list[tuple[float, np.ndarray]]], target: int):
    return np.array([one[target][0] for one in some]), np.stack([one[target][1] for one in some])


def _negative(one: Tested) -> Tested:
    return Tested(-one.value, -one.high, -one.low, one.p)
