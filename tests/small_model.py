"""A model and a data set small enough to check extraction by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from extract.datasets.base import Clip, DataCard, Dataset, LabelCard, Segment
from extract.errors import AudioError
from extract.models.base import Layer, Model, ModelCard, WeightsRecord

RATE = 1000


class SmallModel(Model):
    """Frames of 10 samples: their mean (`mean`), doubled (`double`), and the window's mean."""

    network = torch.nn.Identity()
    weights = WeightsRecord("0" * 64, "made for tests", trained=True)
    card = ModelCard(
        name="small", title="Small", cite="none", paper="none", url="", training_data="none",
        licence="MIT", parameters=0, sample_rate=RATE, weights_from="none", window=2.0,
        layers=(
            Layer("mean", 2, 100.0, 0, center=0.005),
            Layer("double", 2, 100.0, 1, center=0.005),
            Layer("window", 2, 0.5, 2, center=1.0),
        ),
    )  # fmt: skip

    def __init__(self, fixed: bool = False):
        self.card = replace(self.card, fixed=fixed)
        self.calls = 0

    def forward(self, values, until=None):
        self.calls += 1
        mean = values.unfold(-1, 10, 10).mean(-1)
        frames = torch.stack([mean, mean**2], -1)
        return {"mean": frames, "double": 2 * frames, "window": frames.mean(1, keepdim=True)}


class SmallData(Dataset):
    """Ramps: the value of a sample is its time in seconds plus the clip's number."""

    rate = RATE

    def __init__(self, seconds=(1.0, 2.0, 5.0, 0.5), bad=()):
        self.bad = set(bad)
        self.clips = tuple(
            Clip(
                f"clip{i:02d}", f"track{i // 2}", f"track{i // 2}", "", "train", 0.0, duration,
                labels={"number": float(i)},
                segments={"half": tuple(
                    Segment(k / 2, min((k + 1) / 2, duration), f"h{k}")
                    for k in range(math.ceil(duration * 2))
                )},
            )
            for i, duration in enumerate(seconds)
        )  # fmt: skip
        labels = (LabelCard("number", "number", "gold", "which"),
                  LabelCard("half", "segments", "gold", "half seconds"))  # fmt: skip
        self.card = DataCard("ramps", "Ramps", "made", "CC0", "1" * 64, labels)

    def audio(self, clip, sample_rate):
        number = int(clip.id[4:])
        if number in self.bad:
            raise AudioError(f"{clip.id}.wav: not audio; replace the file")
        return torch.arange(round(clip.duration * sample_rate)).float() / sample_rate + number
