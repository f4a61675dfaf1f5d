"""Tiny audio files in the places where published data sets have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def sound(path: Path, seconds: float = 1.0, rate: int = 8000, seed: int = 0) -> Path:
    """A file of noise; its format is that of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * rate))
    soundfile.write(path, noise, rate)
    return path


def text(path: Path, content: str) -> Path:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
