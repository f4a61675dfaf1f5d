"""From frames of windows to rows: means over time, weighted by how long each frame lasts in a row.

Frames are reduced where they are, on the device; only sums leave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from extract.datasets.base import Clip
from extract.errors import ActivationsInvalid, DataError
from extract.models.base import Layer
from extract.rows import stretches
from extract.windows import Window, frame_weights


class ClipRows:
    """Rows of one clip, filled window by window.

    Parameters
    ----------
    kind : of rows; see `extract.rows`.
    layers : those that are kept.
    """

    def __init__(self, clip: Clip, kind: str, layers: Sequence[Layer]):
        self.clip = clip
        self.spans = stretches(clip, kind)
        self._layers = {layer.name: layer for layer in layers}
        # a row of a grid is the mean of a few frames; its sums would be most of the memory
        self._dtype = torch.float32 if kind.startswith(("frames:", "sketch:")) else torch.float64
        self._sums: dict[str, torch.Tensor] = {}
        self._seconds: dict[str, np.ndarray] = {}

    def met_by(self, window: Window) -> np.ndarray:
        """Numbers of the rows that lie, at least in part, in what a window owns."""
        first, last = window.owns
        return np.flatnonzero((self.spans[:, 1] > first) & (self.spans[:, 0] < last))

    def add(self, layer: str, rows: np.ndarray, sums: torch.Tensor, seconds: np.ndarray) -> None:
        """Sums [rows, width] of frames times seconds, and the seconds [rows], of one window."""
        if layer not in self._sums:
            shape = (len(self.spans), self._layers[layer].width)
            self._sums[layer] = torch.zeros(shape, dtype=self._dtype)
            self._seconds[layer] = np.zeros(len(self.spans))
        self._sums[layer][rows] += sums
        self._seconds[layer][rows] += seconds

    def means(self, layer: str, model: str) -> torch.Tensor:
        """[rows, width] float32.

        Raises
        ------
        DataError : a row lies outside the audio.
        ActivationsInvalid : a value is not finite.
        """
        if not len(self.spans):
            return torch.empty((0, self._layers[layer].width))
        seconds = torch.from_numpy(self._seconds.get(layer, np.zeros(len(self.spans))))
        if (seconds <= 0).any():
            raise DataError(f"clip {self.clip.id}: a labelled segment lies outside the audio")
        values = (self._sums[layer] / seconds[:, None].to(self._dtype)).float()
        if not torch.isfinite(values).all():
            raise ActivationsInvalid(
                f"{model}: layer {layer} put out values that are not finite for clip "
                f"{self.clip.id}; check the weights, or leave out --precision"
            )
        return values


@dataclass(frozen=True)
class Part:
    """What one window brings to the rows of its clip, for one layer."""

    target: ClipRows
    layer: str
    rows: np.ndarray
    sums: torch.Tensor
    seconds: np.ndarray

    def add(self) -> None:
        self.target.add(self.layer, self.rows, self.sums, self.seconds)


def pool(
    outputs: Mapping[str, torch.Tensor],
    layers: Sequence[Layer],
    members: Sequence[tuple[Window, Sequence[ClipRows]]],
) -> list[Part]:
    """Sums over time of a batch's frames, one transfer from the device a layer.

    Parameters
    ----------
    outputs : layer name -> [batch, frames, width], on any device.
    members : for each window of the batch, the rows (of several kinds) of its clip.

    Returns
    -------
    Parts in the order of members, then kinds, then layers.
    """
    met = [[(target, target.met_by(window)) for target in targets] for window, targets in members]
    counts = [[len(rows) for _, rows in one] for one in met]
    most = max((sum(count) for count in counts), default=0)
    if most == 0:
        return []
    made: dict[tuple, tuple[torch.Tensor, np.ndarray]] = {}  # most layers have the same frames
    sums, seconds = {}, {}
    for layer in layers:
        frames = outputs[layer.name].float()
        time = (frames.shape[1], layer.rate, layer.center)
        if time not in made:
            weights = np.zeros((len(members), most, frames.shape[1]))
            for i, (window, _) in enumerate(members):
                spans = np.concatenate([target.spans[rows] for target, rows in met[i]])
                place = (window.start, window.owns)
                weights[i, : len(spans)] = frame_weights(*time, *place, spans)
            made[time] = torch.from_numpy(weights).to(frames.device, torch.float32), weights.sum(2)
        weights, seconds[layer.name] = made[time]
        sums[layer.name] = torch.bmm(weights, frames).cpu()
    parts = []
    for i, one in enumerate(met):
        start = 0
        for target, rows in one:
            stop = start + len(rows)
            if len(rows):
                parts += [
                    Part(
                        target, x.name, rows, sums[x.name][i, start:stop],
                        seconds[x.name][i, start:stop],
                    )
                    for x in layers
                ]  # fmt: skip
            start = stop
    return parts
