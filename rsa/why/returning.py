"""Do the last layers return towards the input?

In networks that are trained to restore what was masked, similarity to the first layers falls and
rises again (Pasad et al. 2021, arXiv:2107.04734). A return is claimed where the last layer is shown
to be more similar to the input than an earlier layer is, all earlier layers tested together: the
lowest of many is low by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rsa.errors import RsaError
from rsa.inference.simultaneous import Contrast, from_replicates, simultaneous
from rsa.measures import measure
from rsa.rows.joint import Joint
from rsa.source import Source

MEASURE = "cka:linear,track-debiased"


@dataclass(frozen=True)
class Returning:
    """One model.

    Attributes
    ----------
    layers : names in order of depth, without the input itself where that is a layer.
    similarity : of each to the input.
    back : last minus each earlier layer; one family.
    """

    layers: tuple[str, ...]
    similarity: tuple[float, ...]
    back: tuple[Contrast, ...]

    @property
    def turn(self) -> str | None:
        """The layer farthest from the input of those the last one is shown to have left."""
        far = [i for i, one in enumerate(self.back) if one.above]
        return self.layers[min(far, key=lambda i: self.similarity[i])] if far else None

    def as_json(self) -> dict:
        return {
            "layers": list(self.layers),
            "similarity": list(self.similarity),
            "back": [one.as_json() for one in self.back],
        }

    @classmethod
    def from_json(cls, entry: Mapping) -> Returning:
        """Reads what `as_json` wrote."""
        back = tuple(Contrast.from_json(one) for one in entry["back"])
        return cls(tuple(entry["layers"]), tuple(entry["similarity"]), back)


def returning(layers: Sequence[str], similarity: np.ndarray, replicates: np.ndarray) -> Returning:
    """From similarities to the input (the first layer, or log-mel) and the jackknife's.

    Parameters
    ----------
    layers : two at least, in order of depth; the input is not among them.
    similarity : [layers], larger is more similar.
    replicates : [blocks, layers] without each block of groups.
    """
    if len(layers) < 2:
        raise RsaError(f"{len(layers)} layer: a return needs two at least after the input")
    back = simultaneous(
        similarity[-1] - similarity[:-1], from_replicates(replicates[:, -1:] - replicates[:, :-1])
    )
    return Returning(tuple(layers), tuple(float(s) for s in similarity), tuple(back))


def to_input(
    source: Source,
    references: Source,
    layer: str,
    *,
    by: str = MEASURE,
    blocks: int = 32,
    seed: int = 0,
) -> Returning:
    """Whether a source returns to a layer of the references, by a measure that has replicates.

    Parameters
    ----------
    source, references : over the same rows and groups.
    layer : of the references, that stands for the input.
    blocks : of groups, left out in turn.

    Raises
    ------
    RsaError : one layer only, one group only, a measure whose interval is found in another way.
    """
    joint = Joint([source, _One(references, layer)], None, blocks, 0, seed, wanted=[(0, 1)])
    table = measure(by).estimate(joint)
    if table.replicates is None or len(table.replicates) < 2:
        raise RsaError(f"{by}: nothing was left out in turn, so that no return can be tested")
    return returning(source.layers, table.value[:-1, -1], table.replicates[:, :-1, -1])


class _One:
    """A source with one of its layers alone."""

    def __init__(self, source: Source, layer: str):
        if layer not in source.layers:
            known = ", ".join(source.layers)
            raise RsaError(f"{layer!r} is no layer of {source.name}: there are {known}")
        self.name, self.groups, self.layers = source.name, source.groups, (layer,)
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        return self._source.read(layer, start, stop)
