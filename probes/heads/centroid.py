"""The nearest mean of a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from probes.design import standardisation
from probes.heads.base import Answers, LayerHead, asked
from probes.splits import TRAIN, VALID
from probes.targets import Target

# of the inverse temperature, in units of one over the spread of distances: from hardly any
# difference between classes to none but the nearest
SHARPNESS = np.geomspace(1e-3, 1e2, 101)


@dataclass(frozen=True)
class Space:
    """Where distances are taken.

    Attributes
    ----------
    name : `euclidean`, columns standardised on training rows, or `cosine`, rows of length one.
    shrink : of how many standard errors each column of a centroid is moved towards the mean of all
        rows (Tibshirani et al. 2002), `shrink_threshold` of scikit-learn's NearestCentroid.
    """

    name: str = "euclidean"
    shrink: float = 0.0


@dataclass(frozen=True)
class Centroid(LayerHead):
    """Nearest centroid: the head for few labels, as there is hardly anything to learn.

    The probability of a class is its frequency in training times exp(-sharpness * squared distance
    to its centroid), normalised; the sharpness is the one with the least loss on validation. So the
    most probable class, frequencies aside, is the one with the nearest centroid. A tag is a
    question of two classes.
    """

    spaces: tuple[Space, ...] = (Space(), Space(shrink=1.0), Space("cosine"))
    name: str = "centroid"
    title: str = "Nearest centroid"
    meaning: str = "a few examples are enough: rows of a class lie about their own mean"
    source: str = "Tibshirani et al. 2002; Snell et al. 2017; MARBLE's few-shot probe"
    kinds = ("classification", "tags")

    @property
    def choices(self):
        return tuple({"space": one.name, "shrink": one.shrink} for one in self.spaces)

    def fit(self, layer, targets):
        if not targets:
            return []
        train = torch.as_tensor(targets[0].index[TRAIN], device=layer.device)
        placed = {name: _placed(layer, train, name) for name in {s.name for s in self.spaces}}
        found = []
        for target in targets:
            said = [_said(placed[one.name], target, one.shrink) for one in self.spaces]
            outputs = {split: np.stack([one[split] for one in said]) for split in asked(target)}
            found.append(Answers(outputs, np.ones(len(self.spaces), dtype=bool)))
        return found


def centroids(rows: torch.Tensor, member: torch.Tensor, shrink: float) -> torch.Tensor:
    """Means of classes [classes, width], from rows [rows, width] and membership [rows, classes]."""
    member = member.double()
    counts = member.sum(dim=0)
    means = member.T @ rows.double() / counts[:, None]
    if not shrink:
        return means
    n, classes = counts.sum(), len(counts)
    rows, whole = rows[member.any(dim=1)].double(), (counts @ means) / n
    scatter = rows.square().sum(dim=0) - (counts[:, None] * means.square()).sum(dim=0)
    spread = (scatter.clamp_min(0) / (n - classes).clamp_min(1)).sqrt()
    # the mean of the middle two, which torch's median is not
    spread = spread + spread.quantile(0.5)
    error = (1 / counts - 1 / n).sqrt()[:, None] * spread
    away = (means - whole) / torch.where(error > 0, error, 1.0)
    return whole + error * away.sign() * (away.abs() - shrink).clamp_min(0)


def _placed(layer: torch.Tensor, train: torch.Tensor, space: str) -> torch.Tensor:
    if space == "cosine":
        return torch.nn.functional.normalize(layer, dim=1)
    mean, scale = standardisation(layer[train])
    return ((layer.double() - mean) * scale).float()


def _said(layer: torch.Tensor, target: Target, shrink: float) -> dict[str, np.ndarray]:
    """split -> log-probabilities [rows, classes], or log-odds [rows, tags]."""
    truth = torch.as_tensor(target.of(TRAIN), device=layer.device)
    train = _rows(layer, target, TRAIN)
    if target.task.kind == "classification":
        means = centroids(train, torch.nn.functional.one_hot(truth, len(target.classes)), shrink)
        far = {split: _far(_rows(layer, target, split), means) for split in asked(target)}
        sharp = _sharpness(far[VALID], _class_loss(target))
        return {split: _log_chances(one, sharp, target.prior) for split, one in far.items()}
    pairs = [torch.stack([has == 0, has == 1], dim=1) for has in truth.T]
    # lacks and has the first tag, lacks and has the second ...
    means = torch.cat([centroids(train, pair, shrink) for pair in pairs])
    far = {split: _far(_rows(layer, target, split), means) for split in asked(target)}
    said: dict[str, list[np.ndarray]] = {split: [] for split in asked(target)}
    for tag, pair in enumerate(pairs):
        mine = slice(2 * tag, 2 * tag + 2)
        share = float(pair[:, 1].sum() / pair.sum())
        prior = np.array([1 - share, share])
        loss = _tag_loss(target, tag, prior)
        sharp = _sharpness(far[VALID][:, mine], loss)
        for split, one in far.items():
            chances = _log_chances(one[:, mine], sharp, prior)
            said[split].append(chances[:, 1] - chances[:, 0])
    return {split: np.stack(columns, axis=1) for split, columns in said.items()}


def _rows(layer: torch.Tensor, target: Target, split: str) -> torch.Tensor:
    return layer[torch.as_tensor(target.index[split], device=layer.device)]


def _far(rows: torch.Tensor, means: torch.Tensor) -> np.ndarray:
    """[rows, classes] squared distances, but for what is the same for all classes."""
    products = rows.double() @ means.T
    return (means.square().sum(dim=1) - 2 * products).cpu().numpy()


def _log_chances(far: np.ndarray, sharpness: float, prior: np.ndarray) -> np.ndarray:
    raw = np.log(prior) - sharpness * far
    return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)


def _sharpness(far: np.ndarray, loss) -> float:
    """The sharpness with the least validation loss, which is convex in it."""
    spread = float(np.std(far - far.mean(axis=1, keepdims=True)))
    grid = SHARPNESS / (spread if spread > 0 else 1.0)
    return float(grid[np.argmin([loss(far, one) for one in grid])])


def _class_loss(target: Target):
    truth = target.of(VALID)[:, None]

    def loss(far: np.ndarray, sharpness: float) -> float:
        chances = _log_chances(far, sharpness, target.prior)
        return -float(np.take_along_axis(chances, truth, axis=1).mean())

    return loss


def _tag_loss(target: Target, tag: int, prior: np.ndarray):
    truth = target.of(VALID)[:, tag]
    known = np.isfinite(truth)

    def loss(far: np.ndarray, sharpness: float) -> float:
        if not known.any():
            return 0.0
        chances = _log_chances(far[known], sharpness, prior)
        return -float(chances[np.arange(known.sum()), truth[known].astype(int)].mean())

    return loss
