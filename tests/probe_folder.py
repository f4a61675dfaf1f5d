"""A folder of short sounds with a manifest, small enough to probe in a second or two."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
SPLITS = ("train", "train", "train", "valid", "test")


def sounds(folder: Path, clips: int = 60) -> Path:
    """Tones below 400 Hz or above 1 kHz; the manifest says which, and more.

    Columns: `place` (a word), `hertz` (a number), `moods` (tags), `digit` (a class written as a
    number), `some` (a word, for two thirds of the clips only: other training rows).
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(clips):
        low = i % 2 == 0
        hertz = rng.uniform(150, 400) if low else rng.uniform(1000, 3000)
        wave = 0.2 * np.sin(2 * np.pi * hertz * np.arange(RATE // 2) / RATE)
        soundfile.write(folder / f"{i:02}.wav", wave + 0.02 * rng.standard_normal(len(wave)), RATE)
        place, moods = (
            ("low", "dark|calm") if low else ("high", "bright" if i % 3 else "bright|calm")
        )
        some = "" if i % 3 == 1 else place
        rows.append(
            (f"{i:02}.wav", SPLITS[i // 2 % 5], place, f"{hertz:.1f}", moods, 1 + low, some)
        )
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        head = ("path", "split", "place", "hertz", "moods", "digit", "some")
        csv.writer(file).writerows([head, *rows])
    return folder
