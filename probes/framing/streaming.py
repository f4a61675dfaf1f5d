"""Frames of clips from a layer, a stretch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from probes.source import Source, read_layer

AT_ONCE = 10_000  # rows in memory at once; a clip is always read whole


def pieces(places: Sequence[int], edges: np.ndarray, most: int) -> Iterator[list[int]]:
    """Runs of clips whose rows, and those between them, are no more than `most`.

    Parameters
    ----------
    places : of the clips that are wanted, rising.
    edges : [clips + 1] first row of each clip.
    """
    run: list[int] = []
    for place in places:
        if run and edges[place + 1] - edges[run[0]] > most:
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def stream(
    source: Source,
    layer: str,
    places: Sequence[int],
    edges: np.ndarray,
    device: str,
    at_once: int = AT_ONCE,
) -> Iterator[tuple[list[int], int, torch.Tensor]]:
    """Runs of clips, the first row of the first, and the rows from there to the end of the last.

    Rows are [rows, width] float32 on the device.
    """
    for run in pieces(places, edges, at_once):
        start, stop = int(edges[run[0]]), int(edges[run[-1] + 1])
        yield run, start, read_layer(source, layer, device, start, stop)


def gather(
    source: Source,
    layer: str,
    rows: np.ndarray,
    places: Sequence[int],
    edges: np.ndarray,
    device: str,
    at_once: int = AT_ONCE,
) -> torch.Tensor:
    """Some rows of a layer, rising, [rows, width] float32; no more than a piece beside them.

    Parameters
    ----------
    places : of the clips that the rows lie in, rising.
    """
    found = []
    for _, start, values in stream(source, layer, places, edges, device, at_once):
        here = rows[(rows >= start) & (rows < start + len(values))] - start
        found.append(values[torch.as_tensor(here, device=values.device)])
    return torch.cat(found)
