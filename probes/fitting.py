"""Heads trained on every layer, for targets that share their training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from probes.errors import ProbeError
from probes.heads.base import Answers, Head, JoiningHead, LayerHead, PoolingHead
from probes.heads.dealt import dealt_linear
from probes.heads.frames import FrameSource
from probes.heads.linear import Linear, LinearLayer
from probes.heads.memory import limit
from probes.judging import Judge
from probes.protocols import Protocol
from probes.results import ALL_LAYERS
from probes.scoring import Judged
from probes.source import Source, read_layer
from probes.splits import TRAIN, VALID
from probes.targets import Target
from probes.team import Team
from probes.threads import one_a_core
from probes.trust.checks import Checks
from probes.trust.warnings import Columns, of_layers


@dataclass(frozen=True)
class Fitted:
    """One head on one layer, for one target.

    Attributes
    ----------
    losses : [choices] on validation.
    choice : place in the head's grid.
    converged : whether training of the choice ended as it should.
    columns : what the layer's dimensions are like, where the head looked.
    """

    judged: Judged
    losses: np.ndarray
    choice: int
    converged: bool
    columns: Columns | None = None


@dataclass(frozen=True)
class Column:
    """One head for one target: layer by layer, or once if it joins them."""

    head: Head
    layers: tuple[str, ...]
    fitted: tuple[Fitted, ...]


Tell = Callable[[str, Sequence[Fitted]], None]
Step = Callable[[], None]


@dataclass(frozen=True)
class Batch:
    """Targets that share their training rows, and the heads that are trained for them.

    Parameters
    ----------
    heads : beside the main one of the protocol.
    checks : what is checked of linear probes; None for nothing.
    frames : of the same clips, for heads that pool them.
    team : whose processes read a stretch of the rows each; None reads whole layers.
    """

    source: Source
    targets: Sequence[Target]
    protocol: Protocol
    heads: Sequence[Head]
    device: str
    checks: Checks | None = None
    frames: FrameSource | None = None
    team: Team | None = None

    @property
    def further(self) -> list[JoiningHead | PoolingHead]:
        """Heads that are trained after all layers."""
        return [head for head in self.heads if not isinstance(head, LayerHead)]

    @property
    def steps(self) -> int:
        """Pieces of work of which each, when it is done, is told: layers, then further heads."""
        return len(self.source.layers) + len(self.further)

    def fit(self, tell: Tell, step: Step) -> tuple[list[list[Column]], list[str]]:
        """Trains everything; every layer is read once, and once more for each head that joins them.

        Parameters
        ----------
        tell : called with every layer and what the main head came to, target by target.
        step : called when one of the further heads is trained.

        Returns
        -------
        Columns of each target, the main head's first; and what makes the numbers of this batch
        uncertain, or why a further head could not be trained.
        """
        every = [self.protocol.head, *self.heads]
        layered = [head for head in every if isinstance(head, LayerHead)]
        columns: list[list[Column]] = [[] for _ in self.targets]
        table = list(self._layers(layered, tell) if self.team is None else self._dealt(tell))
        notes = self._of_layers([line[0][0] for line in table])
        for place, head in enumerate(layered):
            for number in range(len(self.targets)):
                fitted = [line[place][number] for line in table]
                if fitted[0] is not None:
                    names = tuple(self.source.layers)
                    columns[number].append(Column(head, names, tuple(fitted)))
        with one_a_core(self.device) as pool:
            for found in pool.map(self._further, self.further):
                step()
                if isinstance(found, ProbeError):
                    notes.append(str(found))
                    continue
                for number, one in enumerate(found):
                    if one is not None:
                        columns[number].append(one)
        return columns, notes

    def _further(self, head: JoiningHead | PoolingHead) -> list[Column | None] | ProbeError:
        """A column a target, or why there are none."""
        try:
            return self._joined(head) if head.joins else self._pooled(head)
        except ProbeError as reason:
            return reason

    def _joined(self, head: JoiningHead) -> list[Column | None]:
        found = self._judged(head, partial(head.fit, self._read()))
        return [one and Column(head, (ALL_LAYERS,), (one,)) for one in found]

    def _pooled(self, head: PoolingHead) -> list[Column | None]:
        if self.frames is None:
            raise ProbeError(f"head {head.name} pools frames, and none were given: leave it out")
        names = tuple(self.source.layers)
        table = [
            self._judged(head, partial(head.fit, self.frames.read(name, self.device)))
            for name in names
        ]
        return [
            None if column[0] is None else Column(head, names, column)
            for column in zip(*table, strict=True)
        ]

    def _layers(
        self, heads: Sequence[LayerHead], tell: Tell
    ) -> Iterator[list[list[Fitted | None]]]:
        """For each layer, by head and target."""

        def fit(names: Sequence[str]) -> list[list[list[Fitted | None]]]:
            values = [read_layer(self.source, name, self.device) for name in names]
            by_head = []
            for head in heads:
                if head is self.protocol.head and isinstance(head, Linear):
                    by_head.append([self._linear(head, layer) for layer in values])
                    continue
                asked = [target for target in self.targets if not head.refuses(target)]
                found = iter(head.fit_layers(values, asked) if asked else [[]] * len(names))
                by_head.append([self._judged(head, lambda _, one=one: one) for one in found])
            return [list(line) for line in zip(*by_head, strict=True)]

        with one_a_core(self.device) as pool:
            groups = self._groups()
            for names, found in zip(groups, pool.map(fit, groups), strict=True):
                for name, line in zip(names, found, strict=True):
                    tell(name, line[0])
                    yield line

    def _dealt(self, tell: Tell) -> Iterator[list[list[Fitted]]]:
        """As `_layers`, of the main head alone, one layer after the other."""
        head = self.protocol.head
        for name in self.source.layers:
            answers = dealt_linear(
                self.source, name, self.targets, head.penalties, self.team, self.device
            )
            line = [self._one(head, *pair) for pair in zip(self.targets, answers, strict=True)]
            tell(name, line)
            yield [line]

    def _linear(self, head: Linear, layer: torch.Tensor) -> list[Fitted]:
        """The main head where it is linear: one decomposition serves it and all checks."""
        ready = LinearLayer(layer, self.targets)
        answers = head.answers(ready)
        fitted = [self._one(head, *pair) for pair in zip(self.targets, answers, strict=True)]
        if self.checks is not None:
            choices = [one.choice for one in fitted]
            penalties = [head.penalties[choice] for choice in choices]
            trust = self.checks.layer(ready, answers, choices, penalties)
            fitted = [
                replace(one, judged=replace(one.judged, trust=found))
                for one, found in zip(fitted, trust, strict=True)
            ]
        columns = Columns.of(ready.design)
        return [replace(one, columns=columns) for one in fitted]

    def _of_layers(self, fitted: Sequence[Fitted]) -> list[str]:
        """Warnings on dimensions, of what the main head saw of each layer."""
        seen = {
            name: one.columns
            for name, one in zip(self.source.layers, fitted, strict=True)
            if one.columns is not None
        }
        return of_layers(seen, len(self.targets[0].index[TRAIN])) if seen else []

    def _groups(self) -> list[list[str]]:
        """Layers that are trained at once: one, or on a GPU as many as its memory holds."""
        names = list(self.source.layers)
        if self.device != "cuda":
            return [[name] for name in names]
        room, groups, taken = limit(torch.device("cuda")) // 4, [[]], 0
        for name in names:
            size = 4 * len(self.source) * read_layer(self.source, name, "cpu", 0, 1).shape[1]
            if groups[-1] and taken + size > room:
                groups.append([])
                taken = 0
            groups[-1].append(name)
            taken += size
        return groups

    def _read(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name in self.source.layers:
            yield name, read_layer(self.source, name, self.device)

    def _judged(
        self, head: Head, fit: Callable[[Sequence[Target]], Sequence[Answers]]
    ) -> list[Fitted | None]:
        """What a head answers for each target; None where it cannot."""
        asked = [target for target in self.targets if not head.refuses(target)]
        answers = iter(fit(asked) if asked else ())
        return [
            None if head.refuses(target) else self._one(head, target, next(answers))
            for target in self.targets
        ]

    def _one(self, head: Head, target: Target, answers: Answers) -> Fitted:
        judge = Judge(target)
        selection = self.protocol.selection if head is self.protocol.head else "loss"
        choice = judge.choose(answers, selection)
        judged = judge.judge(answers, choice, head.choices[choice])
        losses = answers.loss(target, VALID)
        return Fitted(judged, losses, choice, bool(answers.converged[choice]))
