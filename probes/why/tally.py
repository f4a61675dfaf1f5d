"""Tasks that share their training rows, on one layer: nothing, references and controls erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from probes import inference
from probes.design import Design
from probes.errors import ProbeError
from probes.heads.linear import LinearLayer
from probes.splits import TRAIN, VALID
from probes.targets import Target
from probes.why.erasure import Concept, Eraser, carried
from probes.why.headline import Headline, Probed
from probes.why.leastsquares import LeastSquares
from probes.why.reprobing import Reprobing

RANDOM, EQUAL, MADE = "random", "equal variance", "made up"
CONTROLS = (RANDOM, EQUAL, MADE)
Head = Literal["least squares", "linear"]
FEW_GROUPS = 10  # of training


@dataclass(frozen=True)
class Settings:
    """See `probes.why.riding.riding`."""

    head: Head
    directions: int
    draws: int
    penalties: tuple[float, ...]
    resamples: int
    seed: int


@dataclass(frozen=True)
class Drawn:
    """A score that is a mean over draws.

    Attributes
    ----------
    resampled : [resamples] of groups; each takes one of the draws, in turn, so that their spread
        is that of groups and of draws together.
    """

    value: float
    resampled: np.ndarray


@dataclass(frozen=True)
class Facts:
    """What erasing one reference does to a layer; `taken` is the controls' `variance`."""

    carried: float
    removed: int
    variance: float
    taken: Mapping[str, float]


@dataclass(frozen=True)
class Tally:
    """One task on one layer.

    Attributes
    ----------
    loss : on validation, with nothing erased.
    after : reference, or (reference, control) -> score with that erased.
    facts : reference -> what erasing it does.
    """

    loss: float
    before: Drawn
    after: Mapping[str | tuple[str, str], Drawn]
    facts: Mapping[str, Facts]


class Batch:
    """Targets that share their training rows, and references of all rows."""

    def __init__(
        self, targets: Sequence[Target], tables: Mapping[str, np.ndarray], settings: Settings
    ):
        self.targets, self.settings = tuple(targets), settings
        self.headlines = [Headline(target) for target in targets]
        train = targets[0].index[TRAIN]
        self._valid = np.unique(np.concatenate([t.index[VALID] for t in targets]))
        self.concepts, still = {}, []
        for name, rows in tables.items():
            if np.ptp(rows[train], axis=0).any():
                self.concepts[name] = Concept.of(name, rows[train], settings.directions)
            else:
                still.append(name)
        if not self.concepts:
            raise ProbeError("no reference varies on training rows: there is nothing to erase")
        self._train = {n: c.values(tables[n][train]) for n, c in self.concepts.items()}
        self._told = {n: c.values(tables[n][self._valid]) for n, c in self.concepts.items()}
        groups = targets[0].groups[train]
        count = len(set(groups))
        self.notes = tuple(f"never varies on training rows, not erased: {name}" for name in still)
        if count < FEW_GROUPS:
            self.notes += (f"{count} training groups: references can be made up in few ways only",)
        rng = np.random.default_rng([settings.seed, 11])
        self._orders = [deal(groups, rng) for _ in range(settings.draws)]
        self._counts = [
            inference.draw(one.groups, settings.resamples, settings.seed) for one in self.headlines
        ]

    def layer(self, values: torch.Tensor, place: int) -> list[Tally]:
        """All targets on one layer, [all rows, width] float32."""
        settings = self.settings
        ready = LinearLayer(values, self.targets)
        kind = LeastSquares if settings.head == "least squares" else Reprobing
        probes = kind(ready, self.headlines, settings.penalties)
        held = ready.design.rotate(values[torch.as_tensor(self._valid, device=values.device)])
        held = held.double().cpu().numpy()
        whole = probes.probe(None)
        before = self._drawn([whole])
        after: list[dict] = [{} for _ in self.targets]
        facts = {}
        for number, (name, concept) in enumerate(self.concepts.items()):
            train = self._train[name]
            told = carried(ready.design, concept, train, held, self._told[name])
            eraser = Eraser.of(ready.design, train, told.whitening)
            rng = np.random.default_rng([settings.seed, 12, place, number])
            controls = {
                RANDOM: Eraser.at_random(ready.design, eraser, rng, settings.draws),
                EQUAL: Eraser.at_random(ready.design, eraser, rng, settings.draws, True),
                MADE: [
                    Eraser.of(ready.design, values, told.whitening)
                    for values in _made_up(ready.design, train, told.r2, self._orders, rng)
                ],
            }
            for key, erasers in ((name, [eraser]), *(((name, c), e) for c, e in controls.items())):
                drawn = self._drawn([probes.probe(one) for one in erasers])
                for one, found in zip(after, drawn, strict=True):
                    one[key] = found
            taken = {c: float(np.mean([e.variance for e in some])) for c, some in controls.items()}
            facts[name] = Facts(told.r2, eraser.removed, eraser.variance, taken)
        return [
            Tally(probed.loss, *both, facts)
            for probed, *both in zip(whole, before, after, strict=True)
        ]

    def _drawn(self, draws: Sequence[Sequence[Probed]]) -> list[Drawn]:
        """Each target's score over draws of what was erased."""
        found = []
        for target, counts in enumerate(self._counts):
            some = [draw[target].scored for draw in draws]
            resampled = np.empty(len(counts))
            for number, one in enumerate(some):
                turn = slice(number, None, len(some))
                resampled[turn] = one.resampled(counts[turn])
            found.append(Drawn(float(np.mean([one.value for one in some])), resampled))
        return found


def _made_up(
    design: Design,
    values: np.ndarray,
    r2: float,
    orders: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """References [train, k] of no meaning that a layer carries as well as one with this R2.

    That part of their variance lies along random axes of the whitened layer; the rest is that of
    the reference dealt to other groups.
    """
    power = design.eigenvalues.double().cpu().numpy()
    white = design.rows.double().cpu().numpy() / np.sqrt(power)
    part = float(np.clip(np.nan_to_num(r2), 0.0, 1.0))
    for order in orders:
        axes = np.linalg.qr(rng.standard_normal((len(power), values.shape[1])))[0]
        dealt = values[order][:, : axes.shape[1]]
        yield np.sqrt(part) * (white @ axes) + np.sqrt(1 - part) * dealt


def deal(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[rows] the row that comes to each place when whole groups change places.

    The rows of a group stay together and in their order, but start anywhere in it: where all groups
    are made alike (the same notes in the same order) they would else still fit. Where two groups
    differ in size, the nearest rows of the one that moves in are taken.
    """
    owner = np.unique(groups.astype(str), return_inverse=True)[1]
    order = np.argsort(owner, kind="stable")
    sizes = np.bincount(owner)
    starts = np.cumsum(sizes) - sizes
    comes = rng.permutation(len(sizes))
    shift = rng.integers(0, sizes)
    place = np.arange(len(owner)) - np.repeat(starts, sizes)
    theirs = np.repeat(sizes[comes], sizes)
    nearest = (2 * place + 1) * theirs // (2 * np.repeat(sizes, sizes))
    nearest = (nearest + np.repeat(shift[comes], sizes)) % theirs
    found = np.empty(len(owner), dtype=int)
    found[order] = order[np.repeat(starts[comes], sizes) + nearest]
    return found
