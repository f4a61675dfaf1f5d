"""MUSDB18 as wav files: 150 songs and, from their stems, when each source sounds.

Layout: `train/ARTIST - TITLE/mixture.wav` with `vocals.wav`, `drums.wav`, `bass.wav`, `other.wav`
beside it, and `test/...` alike: what `musdbconvert` of the musdb package writes, or MUSDB18-HQ.

Activity: a stem is cut into frames of 46 ms (2048 samples at 44.1 kHz) that follow each other. A
source sounds in a frame whose RMS, over both channels, is above -40 dB of the 95th percentile of
the stem's frames and above -70 dBFS, which the noise of lossy coding stays below. Neighbouring
frames of one kind are merged. Stems are read once and what was found is kept in the cache.

Splits: the official 100 and 50 songs; 14 of the 100 are the validation list of the musdb package
(MIT licence).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from extract.datasets.base import LabelCard, Segment
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError
from extract.jsontext import loads
from extract.weights import cache_dir
from extract.writing import write_text

SOURCE = "zenodo.org/records/1117372 (then musdbconvert) or zenodo.org/records/3338373"
STEMS = ("vocals", "drums", "bass", "other")
VALID = frozenset(
    (
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    )
)
FRAME = 2048 / 44100  # seconds
QUANTILE, BELOW, FLOOR = 0.95, 10 ** (-40 / 20), 10 ** (-70 / 20)
# part of the key of what is kept: another rule finds other stretches
RULE = f"{FRAME}|{QUANTILE}|{BELOW}|{FLOOR}"
BLOCK = 512  # frames read at once
log = logging.getLogger(__name__)


class Musdb18(OnDisk):
    """See the module."""

    name = "musdb18"
    title = "MUSDB18"
    sources = "Rafii et al. 2017 (doi:10.5281/zenodo.1117372)"
    licence = "for academic use only; songs under terms of their own, many CC BY-NC-SA 4.0"
    labels = tuple(
        LabelCard(
            f"{stem}_active",
            "segments",
            "silver",
            f"yes where the stem of the {stem} is above -40 dB of its loud frames, no elsewhere",
        )
        for stem in STEMS
    )
    needs = (
        Need("train/*/mixture.wav", "mixes to train on", SOURCE),
        Need("test/*/mixture.wav", "mixes to test on", SOURCE),
        *(Need(f"*/*/{stem}.wav", f"stems of the {stem}", SOURCE, needed=False) for stem in STEMS),
    )
    caveats = (
        "some artists are in two of the official splits (Skelpolu, Triviul); groups are artists",
        "a stem that sounds is not always heard in the mix",
    )
    clip_seconds = 30.0

    def recordings(self) -> Iterable[Recording]:
        for part in ("train", "test"):
            for mix in sorted((self.root / part).glob("*/mixture.wav")):
                track = mix.parent.name
                stems = {stem: mix.with_name(f"{stem}.wav") for stem in STEMS}
                yield Recording(
                    mix,
                    track,
                    "valid" if part == "train" and track in VALID else part,
                    group=track.partition(" - ")[0],
                    segments={
                        f"{stem}_active": activity(path)
                        for stem, path in stems.items()
                        if path.is_file()
                    },
                )


def activity(path: Path) -> tuple[Segment, ...]:
    """Stretches of a stem that follow each other, with `yes` where it sounds and `no` elsewhere.

    Kept in the cache; found again when the file or the rule has changed.
    """
    try:
        state = path.stat()
        # not by content: stems of one song are equally long and begin and end in silence
        text = f"{RULE}|{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"
        place = cache_dir("musdb18") / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
        rows = _kept(place)
        if rows is None:
            log.info("%s: finding where it sounds", path)
            rows = _stretches(path)
            _keep(place, rows)
    except (OSError, soundfile.LibsndfileError) as error:
        raise DataError(f"{path}: {error}; convert or fetch the file again") from None
    return tuple(Segment(*row) for row in rows)


def _stretches(path: Path) -> list[list]:
    """Start, end and `yes` or `no` of each stretch."""
    with soundfile.SoundFile(path) as file:
        rate, frame = file.samplerate, round(FRAME * file.samplerate)
        powers = []
        for block in file.blocks(BLOCK * frame, dtype="float32", always_2d=True):
            sums = np.add.reduceat(
                np.einsum("tc,tc->t", block, block, dtype=np.float64), range(0, len(block), frame)
            )
            powers.append(sums / (block.shape[1] * np.minimum(frame, _lengths(len(block), frame))))
        total = file.frames / rate
    if not powers:
        return []
    loud = np.sqrt(np.concatenate(powers))
    sounds = loud > max(np.quantile(loud, QUANTILE) * BELOW, FLOOR)
    edges = np.flatnonzero(np.diff(sounds)) + 1
    begins = [0, *edges.tolist()]
    ends = [*(edges * frame / rate).tolist(), total]
    return [
        [begin * frame / rate, end, "yes" if sounds[begin] else "no"]
        for begin, end in zip(begins, ends, strict=True)
    ]


def _lengths(total: int, frame: int) -> np.ndarray:
    """Samples in each frame of a block; the last may be short."""
    return total - np.arange(0, total, frame)


def _kept(place: Path) -> list[list] | None:
    try:
        return loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _keep(place: Path, rows: list[list]) -> None:
    """Whole or not at all: no other process reads a half."""
    write_text(place, json.dumps(rows))
