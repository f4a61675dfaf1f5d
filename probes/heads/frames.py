"""Frames of a layer, which know their clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from probes.errors import ProbeError
from probes.source import Source, read_layer


@dataclass(frozen=True)
class Frames:
    """Frames of clips, one clip after the other.

    Attributes
    ----------
    rows : [frames, width] float32.
    first : [clips + 1] int64, where each clip begins; the last is the number of frames.
    """

    rows: torch.Tensor
    first: torch.Tensor

    @classmethod
    def of(cls, rows: torch.Tensor, clip: Sequence[int], clips: int) -> Frames:
        """From the number of its clip for every frame.

        Parameters
        ----------
        rows : [frames, width].
        clip : [frames] rising; the frames of a clip in order of time.
        clips : how many there are; some may have no frames.

        Raises
        ------
        ProbeError : frames of clips that are mixed or unknown.
        """
        number = torch.as_tensor(clip, dtype=torch.int64, device=rows.device)
        if len(number) != len(rows):
            raise ProbeError(f"{len(rows)} frames and {len(number)} clips of them; give one each")
        if len(number) and (bool((number.diff() < 0).any()) or int(number[0]) < 0):
            raise ProbeError("frames must be in the order of their clips; sort them by clip")
        if len(number) and int(number[-1]) >= clips:
            raise ProbeError(f"a frame of clip {int(number[-1])} of {clips}; number them from 0")
        counts = torch.bincount(number, minlength=clips)
        first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(rows, first)

    @property
    def width(self) -> int:
        return self.rows.shape[1]

    @property
    def lengths(self) -> torch.Tensor:
        """[clips] number of frames."""
        return self.first.diff()

    def inside(self, clips: torch.Tensor) -> torch.Tensor:
        """Numbers of all frames of some clips."""
        lengths = self.lengths[clips]
        starts = torch.repeat_interleave(self.first[clips], lengths)
        before = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        return starts + torch.arange(len(starts), device=self.rows.device) - before

    def padded(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Some clips as long as the longest of them.

        Returns
        -------
        [clips, frames, width], zeros after the end of a clip, and [clips, frames] bool, where there
        are frames.
        """
        lengths = self.lengths[clips]
        steps = torch.arange(int(lengths.max()), device=self.rows.device)
        there = steps < lengths[:, None]
        places = torch.where(there, self.first[clips][:, None] + steps, 0)
        return self.rows[places] * there[..., None], there


@dataclass(frozen=True)
class FrameSource:
    """Frames of the same model for rows that are clips.

    Attributes
    ----------
    source : layers over frames.
    row : [frames] number of the row that each frame belongs to, rising.
    rows : how many rows there are.
    """

    source: Source
    row: Sequence[int]
    rows: int

    def read(self, layer: str, device: str) -> Frames:
        """The frames of a layer."""
        return Frames.of(read_layer(self.source, layer, device), self.row, self.rows)
