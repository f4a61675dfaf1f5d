"""Frames of clips from a layer, a stretch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from probes.source import Source, read_layer

AT_ONCE = 10_000  # rows in memory at once, unless a clip has more: it is always read whole


def stream(
    source: Source,
    layer: str,
    places: Sequence[int],
    edges: np.ndarray,
    device: str,
    at_once: int = AT_ONCE,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Runs of clips, and their rows one clip after the other, [rows, width] float32.

    Parameters
    ----------
    places : of the clips that are wanted, rising.
    edges : [clips + 1] first row of each clip of the table.
    at_once : rows that are read at once, those of clips between the wanted ones included.
    """
    for run in runs(places, edges, at_once):
        start, stop = int(edges[run[0]]), int(edges[run[-1] + 1])
        values = read_layer(source, layer, device, start, stop)
        rows = np.concatenate([np.arange(edges[p], edges[p + 1]) for p in run]) - start
        if len(rows) < len(values):
            values = values[torch.as_tensor(rows, device=values.device)]
        yield run, values


def runs(places: Sequence[int], edges: np.ndarray, most: int) -> Iterator[list[int]]:
    """Runs of clips from the first to the last row of which there are no more than `most`."""
    run: list[int] = []
    for place in places:
        if run and edges[place + 1] - edges[run[0]] > most:
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def gather(
    source: Source,
    layer: str,
    places: Sequence[int],
    frames: Sequence[np.ndarray],
    edges: np.ndarray,
    device: str,
    at_once: int = AT_ONCE,
) -> torch.Tensor:
    """Some frames of some clips, [frames, width] float32; no more than a piece is held beside them.

    Parameters
    ----------
    frames : of each clip, rising.
    """
    kept = dict(zip(places, frames, strict=True))
    found = []
    for run, values in stream(source, layer, places, edges, device, at_once):
        starts = np.cumsum([0, *(edges[p + 1] - edges[p] for p in run)])
        rows = np.concatenate([start + kept[p] for p, start in zip(run, starts, strict=False)])
        found.append(values[torch.as_tensor(rows, device=values.device)])
    return torch.cat(found)
