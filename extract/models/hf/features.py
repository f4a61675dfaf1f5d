"""A transformers feature extractor as a function of a waveform, and the time of its frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from extract.signals import burst, noise


class Features:
    """Spectrogram (or whatever a model takes) of a window.

    Parameters
    ----------
    extractor : of the transformers library, from the model's own settings.
    key : name of the tensor that the network takes.

    Attributes
    ----------
    rate : samples a second that it wants.
    """

    def __init__(self, extractor: Any, key: str):
        self.extractor, self.key = extractor, key
        self.rate = int(extractor.sampling_rate)

    def __call__(self, waveform: torch.Tensor) -> torch.Tensor:
        """[samples] -> the network's input without its batch axis."""
        out = self.extractor(waveform.cpu().numpy(), sampling_rate=self.rate, return_tensors="np")
        values = torch.from_numpy(np.asarray(out[self.key], dtype=np.float32)[0])
        # extractors that divide by the variance of a band divide by zero where it is constant
        return torch.where(torch.isfinite(values), values, 0.0)

    def clock(self, samples: int) -> tuple[int, float, float]:
        """Axis of time in the features, samples from frame to frame, samples to frame 0's centre.

        Found with two bursts in noise of so many samples, so that it holds for any extractor.
        """
        plain = noise(samples)
        times = [0.3 * samples / self.rate, 0.7 * samples / self.rate]
        base = self(plain)
        seen = [(self(plain + burst(samples, self.rate, t)) - base).abs() for t in times]
        best = (-1.0, 0, 0.0, 0.0)
        for axis, size in enumerate(base.shape):
            others = [k for k in range(base.ndim) if k != axis]
            profiles = [each.sum(dim=others).double() for each in seen]
            if size < 4 or not all(profile.any() for profile in profiles):
                continue
            first, second = (_middle(profile) for profile in profiles)
            # on the axis of time the bursts lie four tenths of the window apart
            if second > first and (moved := (second - first) / size) > best[0]:
                best = (moved, axis, first, second)
        _, axis, first, second = best
        if second <= first:
            raise ValueError("no axis of the features moves with time")
        hop = (times[1] - times[0]) * self.rate / (second - first)
        hop = float(round(hop)) if hop > 20 else hop
        middle = sum(t * self.rate for t in times) / 2 - hop * (first + second) / 2
        return axis, hop, middle


def _middle(profile: torch.Tensor) -> float:
    """Centre of the part above half the height: norms over the window move all a little."""
    high = (profile - profile.max() / 2).clamp_min(0)
    return float((high * torch.arange(len(high))).sum() / high.sum())
