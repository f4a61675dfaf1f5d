"""How long an extraction takes and how much memory, from running it on a few clips."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from extract.audio import SHORTEST
from extract.datasets.base import Clip, Dataset
from extract.errors import AudioError
from extract.forward import Forward
from extract.models.base import Model
from extract.pipeline import AHEAD, AHEAD_SECONDS, IN_WORK, Options, _begin, _decoded, make_plan
from extract.sizes import rows_bytes

CLIPS, SECONDS = 12, 120.0  # of a rehearsal at most


@dataclass(frozen=True)
class Rehearsal:
    """What a few clips cost.

    Attributes
    ----------
    clips, audio : how many, and their seconds.
    seconds : that decoding and the network took, side by side as in the run itself.
    memory : bytes of the process at its peak so far, the loaded network included.
    heard : whether it was their audio; noise, where it would have to be fetched.
    """

    clips: int
    audio: float
    seconds: float
    memory: int
    heard: bool = True


def rehearse(
    model: Model, dataset: Dataset, clips: Sequence[Clip], kinds: Sequence[str], options: Options
) -> Rehearsal:
    """Runs a few clips, spread over all, through all but the writing.

    They are run twice, the first time to warm up; what the second takes counts. Of data elsewhere
    nothing is fetched.
    """
    heard = not dataset.elsewhere
    dataset = dataset if heard else _Noise(dataset)
    some, audio = [], 0.0
    count = min(CLIPS, len(clips))
    for i in range(count):
        clip = clips[i * len(clips) // count]
        if some and audio + clip.duration > SECONDS:
            continue
        some.append(clip)
        audio += clip.duration
    took = 0.0
    with Forward(
        model, options.device, precision=options.precision, compiled=options.compiled
    ) as forward:
        for _ in range(2):
            start = time.perf_counter()
            with _decoded(model, dataset, some, options.workers) as stream:
                shard = _begin(model, list(stream), kinds, 0, forward, dataset)
                for part in shard.parts:
                    for one in part.result():
                        one.add()
            took = time.perf_counter() - start
    return Rehearsal(len(some), audio, took, peak(), heard)


class _Noise(Dataset):
    """Clips as long as those of a data set, of noise."""

    def __init__(self, like: Dataset):
        self.card, self.clips = like.card, like.clips

    def audio(self, clip: Clip, sample_rate: int) -> torch.Tensor:
        if clip.duration < SHORTEST:
            raise AudioError(f"{clip.id}: too short, or not to be opened")
        generator = torch.Generator().manual_seed(0)
        return 0.1 * torch.randn(round(clip.duration * sample_rate), generator=generator)


def peak() -> int:
    """Bytes of this process at its peak."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def extraction_memory(
    found: Rehearsal,
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    kinds: Sequence[str],
    options: Options,
) -> int:
    """Bytes at the peak of the whole run: the rehearsal's, shards in work, clips decoded ahead."""
    shards = IN_WORK * sum(
        rows_bytes(make_plan(model, dataset, clips, kind, options)) for kind in kinds
    )
    mean = sum(clip.duration for clip in clips) / max(len(clips), 1)
    ahead = min(AHEAD * mean, AHEAD_SECONDS, mean * len(clips))
    audio = 4 * model.sample_rate * max(ahead - found.audio, 0.0)
    return int(found.memory + shards + audio)
