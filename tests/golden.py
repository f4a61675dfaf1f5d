"""The rules behind the golden files in `tests/data`: which weights and which sounds went in.

The files hold only what the original implementations put out. Their inputs are not stored: both the
weights and the sounds follow from a seed, and are made again here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open

DATA = Path(__file__).parent / "data"
TONES = (110.0, 277.18, 440.0, 1318.51, 3520.0)
LOUDNESS = (0.20, 0.15, 0.10, 0.05, 0.03)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def draw_weights(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, torch.Tensor]:
    """Float32 weights for tensors of these names and shapes.

    Each tensor has a generator of its own, numbered by its place in the sorted names, so a name
    too many or too few changes what the later ones get.

    Parameters
    ----------
    shapes : name in the published checkpoint -> shape. Only what is drawn: no counters, no buffers.
    seed : the golden file's seed.
    """
    drawn = {}
    for place, name in enumerate(sorted(shapes)):
        shape, generator = tuple(shapes[name]), _generator(seed * 100003 + place)
        if name.endswith("running_var"):
            drawn[name] = torch.rand(shape, generator=generator) + 0.5
            continue
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_mean"):
            values = values * 0.1
        elif len(shape) > 1:
            values = values / math.sqrt(math.prod(shape[1:]))
        elif name.endswith("bias"):
            values = values * 0.05
        else:
            values = values * 0.1 + 1
        drawn[name] = values
    return drawn


def wave(n: int, sr: int, seed: int) -> torch.Tensor:
    """[n] float32: five sines with slow tremolos and a little noise."""
    time = torch.arange(n, dtype=torch.float64) / sr
    total = torch.zeros(n, dtype=torch.float64)
    for j, (tone, loud) in enumerate(zip(TONES, LOUDNESS, strict=True)):
        tremolo = 1 + torch.sin(2 * math.pi * (j + 1) * time)
        total += 0.5 * loud * tremolo * torch.sin(2 * math.pi * tone * time)
    return (total + 0.01 * torch.randn(n, generator=_generator(seed)).double()).float()


def relative_error(ours: torch.Tensor, golden: torch.Tensor) -> float:
    """L2 norm of the difference over the L2 norm of the golden values, in float64."""
    if ours.shape != golden.shape:
        raise ValueError(f"shapes differ: ours {tuple(ours.shape)}, golden {tuple(golden.shape)}")
    ours, golden = ours.detach().cpu().double(), golden.double()
    return float(torch.linalg.vector_norm(ours - golden) / torch.linalg.vector_norm(golden))


def read(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors of `tests/data/NAME.safetensors`, and its `info` with the key `tensor_names` added.

    `tensor_names` is the sorted list of drawn tensors (one list a variant where there are several).
    """
    with safe_open(DATA / f"{name}.safetensors", "pt") as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    info = json.loads(metadata.get("info", "{}"))
    return tensors, info | {"tensor_names": json.loads(metadata.get("tensor_names", "[]"))}
