"""Curves of a probing run in a file: what training added is asked when the twin was probed, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from probes.errors import ProbeError
from probes.why.contrast import Curve

FORMAT = 1
Key = tuple[str, str]  # task and head


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
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, about=np.array(about), **arrays)
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
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ProbeError(f"{path}: no curves of a probing run ({error}); probe again") from None
