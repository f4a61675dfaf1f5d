"""Mel spectrograms in plain PyTorch, as modules whose window and filterbank are buffers."""

from __future__ import annotations

import math

import torch


def htk_filterbank(sample_rate: int, n_fft: int, bands: int) -> torch.Tensor:
    """Triangular mel filters from 0 Hz to half the sample rate, each with a peak of 1.

    The mel scale is HTK's, 2595 log10(1 + f / 700); the filters are not normalised by area. The
    arithmetic is float32 on purpose: the models that use it were trained on exactly that.

    Returns
    -------
    [n_fft / 2 + 1, bands] float32.
    """
    top = 2595.0 * math.log10(1.0 + sample_rate / 2 / 700.0)
    edges = 700.0 * (10.0 ** (torch.linspace(0.0, top, bands + 2) / 2595.0) - 1.0)
    widths = edges[1:] - edges[:-1]
    offsets = edges[None] - torch.linspace(0.0, sample_rate // 2, n_fft // 2 + 1)[:, None]
    rising, falling = -offsets[:, :-2] / widths[:-1], offsets[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0.0)


class LogMel(torch.nn.Module):
    """Mel power in dB (reference 1, floor -100 dB, no clamp of the dynamic range).

    Frames are centred on multiples of the hop, with the signal reflected at its ends; the last
    frame is dropped, which leaves floor(samples / hop).

    Attributes
    ----------
    window : [n_fft] buffer; periodic Hann unless weights bring their own.
    filters : [n_fft / 2 + 1, bands] buffer; see `htk_filterbank`.
    """

    def __init__(self, sample_rate: int, n_fft: int, hop: int, bands: int) -> None:
        super().__init__()
        self.sample_rate, self.n_fft, self.hop, self.bands = sample_rate, n_fft, hop, bands
        for name, values in self.constants().items():
            self.register_buffer(name, values)

    def constants(self) -> dict[str, torch.Tensor]:
        """The buffers' own values, for a module that was made without memory or whose weights
        do not bring them."""
        with torch.device("cpu"):
            return {
                "window": torch.hann_window(self.n_fft),
                "filters": htk_filterbank(self.sample_rate, self.n_fft, self.bands),
            }

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """[batch, samples] -> [batch, bands, floor(samples / hop)] in dB, always in float32."""
        with torch.autocast(waveform.device.type, enabled=False):
            return self._decibels(waveform)

    def _decibels(self, waveform: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(
            waveform,
            self.n_fft,
            self.hop,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )[..., :-1]
        power = spectrum.real.square() + spectrum.imag.square()
        mel = self.filters.t() @ power
        return 10.0 * torch.log10(mel.clamp(min=1e-10))
