"""Scores of layers with what they are on resamples: what paired tests are made of, and its file."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from probes.errors import ProbeError
from probes.scored import Score, Scored
from probes.trust.intervals import around
from probes.writing import write_whole

FORMAT = 1
Key = tuple[str, str]  # task and head


@dataclass(frozen=True)
class Curve:
    """Scores of layers on one split and what they are on resamples of its groups.

    Attributes
    ----------
    layers : names in order of depth.
    valid : [layers] scores on validation, by which a layer is chosen.
    values : [layers] scores.
    resampled : [layers, resamples]; curves of the same groups and resamples are paired.
    groups : of the split.
    chance : score of answers that do not look at the rows.
    bounds : lowest and highest score there can be.
    """

    layers: tuple[str, ...]
    valid: np.ndarray
    values: np.ndarray
    resampled: np.ndarray
    groups: int
    chance: float = 0.0
    bounds: tuple[float | None, float | None] = (None, None)

    @classmethod
    def of(
        cls,
        layers: Sequence[str],
        valid: Sequence[float],
        scored: Sequence[Scored],
        counts: np.ndarray,
        chance: float = 0.0,
        bounds: tuple[float | None, float | None] = (None, None),
    ) -> Curve:
        """From scores of each layer and how often each group is drawn, [resamples, groups]."""
        return cls(
            tuple(layers),
            np.asarray(valid, dtype=float),
            np.array([one.value for one in scored], dtype=float),
            np.stack([one.resampled(counts) for one in scored]),
            counts.shape[1],
            chance,
            bounds,
        )

    @property
    def best(self) -> int:
        """Place of the layer that validation chooses; of equals the first."""
        return int(np.argmax(np.where(np.isfinite(self.valid), self.valid, -np.inf)))

    def place(self, layer: str) -> int:
        return self.layers.index(layer)

    def score(self, place: int) -> Score:
        """The score of a layer with its interval."""
        return around(self.values[place], self.resampled[place], self.groups, self.bounds)


def write_curves(path: Path, curves: Mapping[Key, Curve]) -> Path:
    """Writes curves of the headline splits as .npz; resampled scores are rounded to float32."""
    arrays, entries = {}, []
    for number, ((task, head), curve) in enumerate(curves.items()):
        entries.append(
            {
                "task": task,
                "head": head,
                "layers": curve.layers,
                "groups": curve.groups,
                "chance": curve.chance,
                "bounds": curve.bounds,
            }
        )
        arrays[f"valid{number}"] = curve.valid
        arrays[f"values{number}"] = curve.values
        arrays[f"resampled{number}"] = curve.resampled.astype(np.float32)
    about = json.dumps({"format": FORMAT, "curves": entries})
    path = Path(path)
    write_whole(path, lambda part: np.savez_compressed(part, about=np.array(about), **arrays))
    return path


def read_curves(path: Path) -> dict[Key, Curve]:
    """Reads what `write_curves` wrote; `ProbeError` names the file when it cannot."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["format"] != FORMAT:
                raise ProbeError(f"{path}: format {about['format']}, not {FORMAT}; probe again")
            return {
                (one["task"], one["head"]): Curve(
                    tuple(one["layers"]),
                    arrays[f"valid{number}"],
                    arrays[f"values{number}"],
                    arrays[f"resampled{number}"].astype(float),
                    one["groups"],
                    one["chance"],
                    tuple(one["bounds"]),
                )
                for number, one in enumerate(about["curves"])
            }
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError,
        NotImplementedError, RuntimeError, SyntaxError, BadZipFile, zlib.error, struct.error,
    ) as error:  # fmt: skip
        raise ProbeError(f"{path}: no curves of a probing run ({error}); probe again") from None
