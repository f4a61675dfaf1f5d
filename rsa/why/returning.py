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
