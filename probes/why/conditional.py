"""What is new in a layer: bits about a task that it adds to the layer before.

Conditional probing (Hewitt et al. 2021, arXiv:2109.09234): a probe of both layers against one that
sees the earlier layer and as many inputs that tell nothing more, rows of the later layer from other
groups. Either may leave the later layer out, if that is better on validation: so neither is a layer
credited with the harm that idle inputs do to the other probe, nor charged with that it does itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from probes import inference
from probes.curves import Curve
from probes.errors import ProbeError
from probes.heads.base import Answers, least
from probes.heads.linear import PENALTIES, linear
from probes.information import pointwise
from probes.record import Record
from probes.scored import Score, Sums, group_sums
from probes.source import Source, read_layer
from probes.splits import VALID
from probes.targets import Target, together
from probes.threads import one_a_core
from probes.trust.intervals import sure
from probes.why.contrast import Contrast, contrasts
from probes.why.course import Course, course
from probes.why.tally import deal


@dataclass(frozen=True)
class Added(Record):
    """Bits about one task a row, layer by layer, on the headline split.

    Attributes
    ----------
    bits : that a probe of the layer alone finds.
    adds : what the layer adds to the one before; the first one to nothing. A family are all layers.
    course : of `bits`: where they appear, are all there, are lost.
    """

    task: str
    split: str
    groups: int
    layers: tuple[str, ...]
    bits: tuple[Score, ...]
    adds: tuple[Contrast, ...]
    course: Course

    @property
    def new(self) -> tuple[str, ...]:
        """Layers that are shown to add something."""
        return tuple(name for name, one in zip(self.layers, self.adds, strict=True) if one.above)


def conditional(
    source: Source,
    targets: Sequence[Target],
    *,
    penalties: Sequence[float] = PENALTIES,
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Added]:
    """What every layer adds to the one before it, by probes of the linear head.

    Parameters
    ----------
    source : layers in order of depth, two at least.
    penalties : of every probe, chosen on validation.
    """
    if len(source.layers) < 2:
        raise ProbeError(f"{source.name} has one layer: none comes before it")
    batches = together(targets)
    found: dict[int, Added] = {}
    total, done = 2 * len(source.layers) * len(batches), 0
    for some in batches:
        order = _order(some, len(source), seed)

        def alone(at: int, some: Sequence[Target] = some) -> list[_Kept]:
            layer = read_layer(source, source.layers[at], device)
            return _kept(linear(layer, some, penalties), some)

        def both(at: int, some=some, order=order) -> list[tuple[_Kept, _Kept]]:
            before, layer = (read_layer(source, source.layers[i], device) for i in (at - 1, at))
            shuffled = layer[torch.as_tensor(order, device=layer.device)]
            real, idle = (
                _kept(linear(torch.cat([before, other], dim=1), some, penalties), some)
                for other in (layer, shuffled)
            )
            return list(zip(real, idle, strict=True))

        single, joint = [], []
        with one_a_core(device) as pool:
            for results, task, places in (
                (single, alone, range(len(source.layers))),
                (joint, both, range(1, len(source.layers))),
            ):
                for one in pool.map(task, places):
                    results.append(one)
                    done += 1
                    if progress:
                        progress(done, total - len(batches))
        for number, target in enumerate(some):
            found[id(target)] = _added(
                target,
                tuple(source.layers),
                [one[number] for one in single],
                [one[number] for one in joint],
                resamples,
                seed,
            )
    return [found[id(target)] for target in targets]


@dataclass(frozen=True)
class _Kept:
    """The choice of a head's grid with the least validation loss.

    Attributes
    ----------
    bits, valid : [rows] of the headline split, and of validation.
    """

    loss: float
    bits: np.ndarray
    valid: np.ndarray


def _kept(answers: Sequence[Answers], targets: Sequence[Target]) -> list[_Kept]:
    found = []
    for one, target in zip(answers, targets, strict=True):
        losses = one.loss(target, VALID)
        best = least(losses)
        bits, valid = (pointwise(target, s, one, best) for s in (target.headline, VALID))
        found.append(_Kept(float(np.nan_to_num(losses[best], nan=np.inf)), bits, valid))
    return found


def _order(targets: Sequence[Target], rows: int, seed: int) -> np.ndarray:
    """[all rows] the row that comes to each place when groups of a split change places."""
    order = np.arange(rows)
    rng = np.random.default_rng([seed, 13])
    for split in sorted({split for target in targets for split in target.index}):
        some = [target.index[split] for target in targets if split in target.index]
        here = np.unique(np.concatenate(some))
        order[here] = here[deal(targets[0].groups[here], rng)]
    return order


def _added(
    target: Target,
    layers: tuple[str, ...],
    single: Sequence[_Kept],
    joint: Sequence[tuple[_Kept, _Kept]],
    resamples: int,
    seed: int,
) -> Added:
    index = target.group_index(target.headline)
    gains = [single[0].bits]
    for before, pair in zip(single, joint, strict=False):
        real, idle = (one if one.loss < before.loss else before for one in pair)
        gains.append(real.bits - idle.bits)
    counts = inference.draw(int(index.max()) + 1, resamples, seed)
    own, gained = (
        [_mean(row, index) for row in rows] for rows in ([k.bits for k in single], gains)
    )
    curve = Curve.of(layers, [one.valid.mean() for one in single], own, counts)
    added = contrasts(
        np.array([one.value for one in gained]),
        np.stack([one.resampled(counts) for one in gained]),
        counts.shape[1],
    )
    bits = tuple(sure(one, counts) for one in own)
    return Added(
        target.task.name,
        target.headline,
        counts.shape[1],
        layers,
        bits,
        tuple(added),
        course(curve),
    )


def _mean(row: np.ndarray, index: np.ndarray) -> Sums:
    """Mean over rows [rows], by their groups."""
    sums = group_sums(np.stack([row, np.ones_like(row)], axis=1), index)
    return Sums(sums, lambda s: s[..., 0] / s[..., 1])
