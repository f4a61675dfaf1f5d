"""Rows: the stretches of clips that a representation has one vector for.

Kinds: `clips` (one row a clip), `frames:HZ` (a common time grid), `frames:HZ@LABEL,LABEL` (that
grid, of clips that have one of the labels; `LABEL+SUBSET+SUBSET` counts in these subsets alone),
`sketch:HZ:N` (N rows of that grid from each clip, drawn by the clip's name: frames at full rate
without keeping them all), `segments:LABEL` (one row for each segment of a label, a beat's chord for
instance). Two representations of one kind over one data set have the same rows in the same order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from extract.datasets.base import Clip
from extract.errors import DataError


def kind_of(rows: str, rate: float, sketch: int) -> str:
    """The kind that `clips`, `frames` or `sketch` is at a rate, `sketch` rows a clip."""
    kinds = {"clips": "clips", "frames": f"frames:{rate:g}", "sketch": f"sketch:{rate:g}:{sketch}"}
    return kinds[rows]


def stretches(clip: Clip, kind: str) -> np.ndarray:
    """Start and end of each row of one clip, [rows, 2] in seconds from the clip's start."""
    name, _, detail = kind.partition(":")
    if name == "clips" and not detail:
        return np.array([[0.0, clip.duration]])
    if name == "frames":
        rate, _, labels = detail.partition("@")
        try:
            step = 1.0 / float(rate)
        except (ValueError, ZeroDivisionError):
            raise DataError(f"rows {kind!r}: give a rate in Hz, as in frames:5") from None
        if labels and not any(_counts(clip, *one.split("+")) for one in labels.split(",")):
            return np.empty((0, 2))
        edges = np.arange(int(clip.duration / step + 1e-9)) * step
        return np.stack([edges, edges + step], axis=1)
    if name == "sketch":
        rate, _, count = detail.partition(":")
        if not count.isdecimal() or not int(count):
            raise DataError(f"rows {kind!r}: give a rate and a number of rows, as in sketch:25:8")
        table = stretches(clip, f"frames:{rate}")
        if len(table) <= int(count):
            return table
        seed = int.from_bytes(hashlib.sha256(clip.id.encode()).digest()[:8], "little")
        drawn = np.random.default_rng(seed).permutation(len(table))[: int(count)]
        return table[np.sort(drawn)]
    if name == "segments" and detail:
        table = [(s.start, s.end) for s in clip.segments.get(detail, ())]
        return np.array(table, dtype=float).reshape(-1, 2)
    raise DataError(
        f"rows {kind!r} are unknown: use clips, frames:HZ, frames:HZ@LABEL, "
        "sketch:HZ:N or segments:LABEL"
    )


def _counts(clip: Clip, label: str, *subsets: str) -> bool:
    return clip.has(label) and (not subsets or clip.subset in subsets)


@dataclass(frozen=True)
class Rows:
    """The rows of some clips, in order.

    Attributes
    ----------
    kind : see above.
    clips : the clips that have rows.
    clip : [rows] index into `clips`.
    spans : [rows, 2] seconds from the clip's start.
    """

    kind: str
    clips: tuple[Clip, ...]
    clip: np.ndarray
    spans: np.ndarray

    @classmethod
    def of(cls, clips: tuple[Clip, ...], kind: str) -> Rows:
        tables = [stretches(clip, kind) for clip in clips]
        counts = [len(table) for table in tables]
        spans = np.concatenate(tables) if tables else np.empty((0, 2))
        return cls(kind, tuple(clips), np.repeat(np.arange(len(clips)), counts), spans)

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def names(self) -> np.ndarray:
        """[rows] id of the clip of each row (str), with the start of a row that is a part of it."""
        whole = self.kind == "clips"
        return np.array(
            [
                self.clips[i].id if whole else f"{self.clips[i].id} @ {start:.2f} s"
                for i, start in zip(self.clip, self.spans[:, 0], strict=True)
            ],
            dtype=object,
        )

    @property
    def groups(self) -> np.ndarray:
        """[rows] group of each row (str)."""
        return np.array([c.group for c in self.clips], dtype=object)[self.clip]

    @property
    def splits(self) -> np.ndarray:
        """[rows] split of each row (str)."""
        return np.array([c.split for c in self.clips], dtype=object)[self.clip]

    @property
    def subsets(self) -> np.ndarray:
        """[rows] subset of each row (str)."""
        return np.array([c.subset for c in self.clips], dtype=object)[self.clip]

    def label(self, name: str) -> np.ndarray:
        """[rows] value of a label for each row, None where there is none.

        The segment's own value for rows `segments:NAME`; the clip's value otherwise.
        """
        if self.kind == f"segments:{name}":
            values = [s.value for c in self.clips for s in c.segments.get(name, ())]
        else:
            values = [self.clips[i].labels.get(name) for i in self.clip]
        out = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):  # a slice would take tags of equal number for a matrix
            out[row] = value
        return out
