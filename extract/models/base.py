"""What every model is to the rest of the program: named layers over windows of audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from extract.windows import Window, cut


@dataclass(frozen=True)
class Layer:
    """One place in a network whose output is kept.

    Attributes
    ----------
    name : as it stands in every result (`frontend`, `block01`, `final`, ...).
    width : number of channels.
    rate : frames per second of audio, in Hz.
    depth : 0 for the first layer, rising along the forward pass.
    center : seconds from the start of a window to the centre of frame 0.
    """

    name: str
    width: int
    rate: float
    depth: int
    center: float = 0.0


@dataclass(frozen=True)
class ModelCard:
    """What a reader must know of a model before believing a number about it."""

    name: str
    title: str
    paper: str
    url: str
    training_data: str
    licence: str
    parameters: int
    sample_rate: int
    layers: tuple[Layer, ...]
    weights_from: str
    notes: str = ""

    def as_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class WeightsRecord:
    """Which weights a model carries: where they came from and the hash of what was loaded."""

    sha256: str
    source: str
    trained: bool

    def as_json(self) -> dict:
        return asdict(self)


class Model(ABC):
    """A network with its weights, ready to be run over windows.

    Attributes
    ----------
    card, weights : see `ModelCard`, `WeightsRecord`.
    network : the module; in evaluation mode, float32.
    window : seconds of audio the network sees at once (longer audio is cut).
    fixed : True when a window must be exactly that long (shorter audio is padded with silence),
        False when shorter audio goes in as it is.
    minimum : the fewest samples the network accepts.
    """

    card: ModelCard
    weights: WeightsRecord
    network: torch.nn.Module
    window: float
    fixed: bool = False
    minimum: int = 1

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def sample_rate(self) -> int:
        return self.card.sample_rate

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.card.layers

    def windows(self, waveform: torch.Tensor) -> list[Window]:
        """Cuts a mono waveform [samples] at `sample_rate` into what `forward` takes.

        A model whose input is not the waveform (patches of a spectrogram, say) overrides this.
        Runs in a worker thread on the CPU.
        """
        return cut(waveform, self.sample_rate, self.window, fixed=self.fixed, minimum=self.minimum)

    @abstractmethod
    def forward(self, values: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """values [batch, ...] (windows' values, stacked) -> layer name: [batch, frames, width]."""

    def to(self, device: str | torch.device) -> Model:
        self.network.to(device)
        return self


@dataclass(frozen=True)
class ModelSpec:
    """A registry entry: the card, and how to make the model.

    `load` takes the keyword arguments of `Request` and returns a `Model`; it raises
    `WeightsMissing` or `WeightsInvalid`.
    """

    card: ModelCard
    load: Callable[[Request], Model]
    present: Callable[[], bool] = field(default=lambda: False)


@dataclass(frozen=True)
class Request:
    """How the user wants a model: own weights, untrained, offline.

    Attributes
    ----------
    weights : file or folder in the published layout, or None for the usual source.
    untrained : run the architecture with random weights drawn from `seed`.
    offline : never ask the network.
    """

    weights: Path | None = None
    untrained: bool = False
    seed: int = 0
    offline: bool = False
