"""The further fits that show what the score of a linear probe is worth, all in one solve.

Control tasks, shuffled labels, nested training sets and few components are more problems on the
same rows: columns beside each other. Each has the penalty that was chosen for the task itself.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes import inference
from probes.heads.base import Answers, asked
from probes.heads.linear import LinearLayer, spoken
from probes.metrics import Metric, metric
from probes.scored import Scored
from probes.solvers import Fit, solve
from probes.splits import TRAIN, VALID
from probes.targets import Target
from probes.trust import controls
from probes.trust.calibration import calibration
from probes.trust.codelength import codelength
from probes.trust.dimensions import dimensions, kept
from probes.trust.layer import LayerTrust
from probes.trust.learning import learning
from probes.trust.nesting import FRACTIONS, Nesting, nestings

LEAST_CELLS = 10
# of the gap to the optimum, relative; moves these scores by half a thousandth on average
TOLERANCE = 1e-5
CONTROLS = 31  # stream of the labels drawn, apart from that of the groups
# of training, drawn for the interval of the code; of more, several are one
MOST_GROUPS = 5000


@dataclass(frozen=True)
class Settings:
    """How much is done. Nothing of a piece whose number is 0.

    Attributes
    ----------
    controls : draws of labels for the control task, where there is something to take types from.
    cells : types of the control task; None for as many as the rows allow.
    shuffles : of the training labels; a p below 0.05 needs 19.
    orders : of the groups, for the learning curve and the code.
    fractions : of the training rows, for both.
    components : whether to keep fewer principal components.
    calibration : whether to compare probabilities with what happens.
    resamples : of groups, for the intervals.
    seed : of all draws.
    """

    controls: int = 5
    cells: int | None = None
    shuffles: int = 19
    orders: int = 1
    fractions: Sequence[float] = FRACTIONS
    components: bool = True
    calibration: bool = True
    resamples: int = 300
    seed: int = 0


@dataclass(frozen=True)
class _Case:
    """A target with all that is drawn for it, the same for every layer.

    Attributes
    ----------
    index : split, training included -> [rows] number of the group of each row.
    counts : split, training included -> [resamples, groups] how often each group is drawn.
    """

    target: Target
    controls: tuple[Target, ...]
    shuffles: tuple[Target, ...]
    nestings: tuple[Nesting, ...]
    index: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]

    def scored(self, target: Target, split: str, outputs: np.ndarray) -> Scored:
        """The score of outputs, as of one choice, for this target or one that was drawn for it."""
        return measure(target).scored(target.of(split), outputs, self.index[split])


class Checks:
    """What is checked of several targets that share their training rows, on any layer.

    Parameters
    ----------
    types_from : [all rows, width] what clips are alike by (log-mel spectra), for the types of the
        control task; without it there is none.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        settings: Settings = Settings(),
        types_from: np.ndarray | None = None,
    ):
        self.settings, self.cells = settings, 0
        self._drawn: dict[int, np.ndarray] = {}
        types = None
        if types_from is not None and settings.controls:
            types = controls.cells(
                types_from, targets[0].index[TRAIN], settings.seed, settings.cells
            )
            self.cells = int(types.max()) + 1
            # few types may be the classes themselves, and then there is nothing to learn by heart
            types = types if self.cells >= LEAST_CELLS else None
        self.cases = [self._case(target, types) for target in targets]

    def _case(self, target: Target, types: np.ndarray | None) -> _Case:
        s = self.settings
        rng = np.random.default_rng((s.seed, CONTROLS))
        draws = s.controls if types is not None else 0
        index = {split: target.group_index(split) for split in target.index}
        index[TRAIN] = index[TRAIN] % MOST_GROUPS
        return _Case(
            target,
            tuple(controls.control(target, types, rng) for _ in range(draws)),
            tuple(controls.shuffled(target, rng) for _ in range(s.shuffles)),
            nestings(target, s.orders, s.seed, s.fractions) if s.orders else (),
            index,
            {split: self._draw(int(one.max()) + 1) for split, one in index.items()},
        )

    def _draw(self, groups: int) -> np.ndarray:
        if groups not in self._drawn:
            self._drawn[groups] = inference.draw(
                groups, self.settings.resamples, self.settings.seed
            )
        return self._drawn[groups]

    def layer(
        self,
        ready: LinearLayer,
        answers: Sequence[Answers],
        choices: Sequence[int],
        penalties: Sequence[float],
    ) -> list[LayerTrust]:
        """What is found for each target on one layer.

        Parameters
        ----------
        ready : the layer, made ready for the targets.
        answers : of the linear head to each target, and the place of the chosen penalty.
        penalties : the chosen ones.
        """
        asking = [
            _Asking(case, ready, float(penalty), self.settings)
            for case, penalty in zip(self.cases, penalties, strict=True)
        ]
        problems = [problem for one in asking for problem in one.problems]
        fits = iter(solve(ready.design, problems, tolerance=TOLERANCE))
        return [
            self._found(one, [next(fits) for _ in one.problems], said, choice)
            for one, said, choice in zip(asking, answers, choices, strict=True)
        ]

    def _found(
        self, asking: _Asking, fits: Sequence[Fit], answers: Answers, choice: int
    ) -> LayerTrust:
        case, settings, fit = asking.case, self.settings, asking.sort(fits)
        target, counts, held = case.target, case.counts, asked(case.target)
        outputs = {split: answers.outputs[split][choice] for split in held}
        task = {split: case.scored(target, split, outputs[split]) for split in held}
        tested = {split: task[split] for split in target.evaluated}
        bounds = measure(target).range
        found: dict[str, object] = {}
        if case.controls:
            drawn = asking.drawn(case.controls, fit["control"])
            found["control"] = controls.selectivity(
                self.cells, tested, drawn, counts, bounds, settings.seed
            )
        if case.shuffles:
            drawn = asking.drawn(case.shuffles, fit["shuffled"])
            found["shuffled"] = controls.chance(tested, drawn, bounds)
        if case.nestings:
            steps = len(case.nestings[0].sizes) - 1
            orders = [
                fit["nested"][at * steps : (at + 1) * steps] for at in range(len(case.nestings))
            ]
            curves = {
                split: [[*asking.curve(split, some), task[split]] for some in orders]
                for split in held
            }
            found["learning"] = learning(case.nestings, curves, counts, bounds)
            found["codelength"] = codelength(
                target,
                case.nestings,
                [asking.blocks(*one) for one in zip(case.nestings, orders, strict=True)],
                case.index[TRAIN],
                counts[TRAIN],
            )
        if settings.components:
            curve = {
                split: [*asking.curve(split, fit["components"]), task[split]] for split in held
            }
            spectrum = asking.ready.design.eigenvalues.cpu().numpy()
            found["dimensions"] = dimensions(asking.kept, spectrum, curve, counts, bounds)
        if settings.calibration:
            spread = float(np.sqrt(answers.loss(target, VALID)[choice]))
            found["coverage" if target.regression else "calibration"] = {
                split: calibration(
                    target, split, outputs[split], spread, case.index[split], counts[split],
                    settings.seed,
                )
                for split in target.evaluated
            }  # fmt: skip
        return LayerTrust(**found)


class _Asking:
    """The problems of one target on one layer, in order, and how their answers are read."""

    def __init__(self, case: _Case, ready: LinearLayer, penalty: float, settings: Settings):
        self.case, self.ready, self.kinds, self.problems = case, ready, [], []
        self.kept = kept(ready.design.rows.shape[1])

        def ask(kind: str, target: Target, **changes) -> None:
            self.kinds.append(kind)
            self.problems.append(ready.problem(target, [penalty], **changes))

        for one in case.controls:
            ask("control", one)
        for one in case.shuffles:
            ask("shuffled", one)
        for nesting in case.nestings:
            for step in range(len(nesting.sizes) - 1):
                weights = torch.as_tensor(nesting.weights(step), device=ready.design.rows.device)
                ask("nested", known(case.target, nesting.rows(step)), weights=weights)
        for axes in self.kept[:-1] if settings.components else ():
            ask("components", case.target, axes=axes)

    def sort(self, fits: Sequence[Fit]) -> Mapping[str, list[Fit]]:
        """Fits by kind."""
        found = defaultdict(list)
        for kind, fit in zip(self.kinds, fits, strict=True):
            found[kind].append(fit)
        return found

    def drawn(self, targets: Sequence[Target], fits: Sequence[Fit]) -> list[dict[str, Scored]]:
        """Test scores of fits to targets of their own."""
        return [
            {split: self._scored(target, split, fit) for split in target.evaluated}
            for target, fit in zip(targets, fits, strict=True)
        ]

    def curve(self, split: str, fits: Sequence[Fit]) -> list[Scored]:
        """Scores of fits to the task itself."""
        return [self._scored(self.case.target, split, fit) for fit in fits]

    def _scored(self, target: Target, split: str, fit: Fit) -> Scored:
        return self.case.scored(target, split, self.ready.outputs(target, split, fit)[0])

    def blocks(self, nesting: Nesting, fits: Sequence[Fit]) -> list[np.ndarray]:
        """What the fit to each set says of the next block."""
        rows = self.ready.design.rows
        places = [
            torch.as_tensor(nesting.block(step + 1), device=rows.device)
            for step in range(len(fits))
        ]
        return [
            spoken(self.case.target, rows[some], fit)[0]
            for some, fit in zip(places, fits, strict=True)
        ]


def measure(target: Target) -> Metric:
    """The task's own metric; a class that was not drawn counts as half a row."""
    task, train = target.task, target.of(TRAIN)
    if task.kind != "classification":
        return metric(task.metric, target.classes)
    counts = np.bincount(train, minlength=len(target.classes)).clip(0.5, None)
    return metric(task.metric, target.classes, counts / counts.sum())


def known(target: Target, rows: np.ndarray) -> Target:
    """The target, with tags of which nothing is known in these training rows at their frequency."""
    if target.task.kind != "tags":
        return target
    train = target.of(TRAIN)
    blank = np.isnan(train[rows]).all(axis=0)
    if not blank.any():
        return target
    values = target.values.copy()
    at = target.index[TRAIN][rows]
    values[np.ix_(at, blank)] = np.nanmean(train[:, blank], axis=0)
    return dataclasses.replace(target, values=values)
