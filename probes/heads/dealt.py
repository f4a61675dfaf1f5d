"""The linear head on a layer whose rows are dealt to several processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from probes.heads.base import Answers, asked
from probes.heads.linear import problem_of, spoken
from probes.solvers.summed import STRETCH, Share
from probes.source import Source, read_layer
from probes.splits import TRAIN
from probes.targets import Target
from probes.team import Team, stretch


def dealt_linear(
    source: Source,
    layer: str,
    targets: Sequence[Target],
    penalties: Sequence[float],
    team: Team,
    device: str,
) -> list[Answers]:
    """As `probes.heads.linear.linear`, of a layer that no process reads whole.

    A process reads a stretch of rows, 1 / `team.size` of all; all of them make the same call and
    come to the same answers.

    Parameters
    ----------
    targets : of all rows, that share their training rows.
    penalties : of the squared weights, against the loss summed over training rows.
    """
    first, last = stretch(team, len(source))

    def own(target: Target, split: str) -> np.ndarray:
        index = target.index[split]
        return index[(index >= first) & (index < last)]

    values = read_layer(source, layer, device, first, last)
    train = own(targets[0], TRAIN)
    share = Share.of(_pick(values, train - first), team)
    problems = []
    for target in targets:
        truth = torch.as_tensor(target.values[train], device=values.device)
        problems.append(problem_of(target, truth, penalties))
    fits = share.solve(problems)
    found = []
    for target, fit in zip(targets, fits, strict=True):
        outputs = {}
        for split in asked(target):
            rows = _pick(values, own(target, split) - first)
            parts = [
                spoken(target, share.design.rotate(some), fit) for some in rows.split(STRETCH)
            ]
            parts = team.gather(np.concatenate(parts, axis=1))
            outputs[split] = np.concatenate(parts, axis=1)
        found.append(Answers(outputs, fit.converged.cpu().numpy()))
    return found


def _pick(values: torch.Tensor, numbers: np.ndarray) -> torch.Tensor:
    return values[torch.as_tensor(numbers, device=values.device)]
