"""The data set `mini`: its clips, its audio, its card."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

import numpy as np
import soxr
import torch

from extract.datasets.base import Clip, DataCard, Dataset
from extract.datasets.mini import render, sources, table
from extract.datasets.mini.excerpts import Sound
from extract.datasets.mini.labels import LABELS
from extract.errors import DataError
from extract.weights import cache_dir

SUBSETS: tuple[str, ...] = tuple(table.BUILDERS)
CAVEAT = "synthesised from scores with one General MIDI font; not evidence about recordings"
LICENCE = (
    "Nothing is shipped: all is built on this machine, and neither scores nor audio may be passed "
    "on under this program's licence. Scores: music21 corpus, with the permission of the encoders "
    "(chorales (c) Margaret Greentree, used by permission); some encodings exclude commercial "
    "use. Font: TimGM6mb.sf2, GPL-2, from pretty_midi. Renderer: midirenderer, MIT."
)


class Mini(Dataset):
    """Chorales, fiddle tunes, single notes and triads, rendered on this machine.

    The label table is built once (about a minute) and kept below the user's cache; audio is
    rendered clip by clip, some hundred times faster than it plays.

    Parameters
    ----------
    subsets : some of `chorale`, `fiddle`, `note`, `theory`, `voices`; the order does not matter.
    cache_audio : keep rendered clips as FLAC below the user's cache; the audio is the same.

    Raises
    ------
    DataError : a package is missing, or a subset is unknown.
    """

    labels = LABELS
    licence = LICENCE
    rate = render.RATE

    def __init__(self, subsets: Sequence[str] = SUBSETS, cache_audio: bool = True) -> None:
        wanted = (subsets,) if isinstance(subsets, str) else tuple(subsets)
        for name in wanted or ("",):
            if name not in SUBSETS:
                known = ", ".join(SUBSETS)
                raise DataError(f"mini: no subset {name!r}; there are {known}")
        rows = [row for name in SUBSETS if name in wanted for row in table.load(name)]
        self.clips = tuple(clip for clip, _ in rows)
        self._sounds: dict[str, Sound] = {clip.id: sound for clip, sound in rows}
        self._audio_key = [sources.font_hash(), sources.renderer(), render.RECIPE]
        self._folder = cache_dir("mini", "audio") if cache_audio else None
        self._processes, self._pool, self._lock = 0, None, Lock()
        present = {
            name for clip in self.clips for name in (*clip.labels, *clip.segments, *clip.events)
        }
        self.card = DataCard(
            name="mini",
            title="mini: chorales, fiddle tunes, notes and triads from one General MIDI font",
            sources=(
                (
                    f"music21 {sources.version_of('music21')} corpus (J. S. Bach, chorales; Ryan's "
                    "Mammoth Collection, 1883); "
                    if set(wanted) & set(table.FROM_SCORES)
                    else ""
                )
                + f"{sources.FONT} (sha256 {sources.font_hash()[:12]}); {sources.renderer()}"
            ),
            licence=LICENCE,
            identity=table.digest([table.encode(rows), *self._audio_key]),
            audio=table.digest([table.sounds(rows), *self._audio_key]),
            labels=tuple(card for card in LABELS if card.name in present),
            caveats=(CAVEAT,),
        )

    def sound(self, clip: Clip) -> Sound:
        """The notes, program and velocity that are rendered for a clip.

        Raises
        ------
        DataError : the clip is not of this data set.
        """
        sound = self._sounds.get(clip.id)
        if sound is None:
            raise DataError(f"clip {clip.id} is not of this data set: ask mini for its subset")
        return sound

    def audio(self, clip: Clip, sample_rate: int) -> torch.Tensor:
        """Mono float32 [duration * sample_rate], root mean square 0.08 at 24 kHz.

        Raises
        ------
        AudioError : the renderer failed.
        """
        return at_rate(self._samples(clip), sample_rate, clip.duration)

    @contextmanager
    def reading(self, workers: int) -> Iterator[None]:
        """Renders in as many processes: the renderer keeps a whole interpreter to itself."""
        sources.package_folder("loky")
        self._processes = workers
        try:
            yield
        finally:
            self._processes = 0
            if self._pool is not None:
                self._pool.shutdown(wait=False, kill_workers=True)
                self._pool = None

    def _render(self, *job) -> np.ndarray:
        if not self._processes:
            return render.rendered(*job)
        from loky import ProcessPoolExecutor

        with self._lock:
            if self._pool is None:  # not before something has to be rendered
                self._pool = ProcessPoolExecutor(
                    self._processes, initializer=render.end_with, initargs=(os.getpid(),)
                )
        return self._pool.submit(render.rendered, *job).result()

    def _samples(self, clip: Clip) -> np.ndarray:
        sound = self.sound(clip)
        if self._folder is None:
            return self._render(sound, clip.duration, clip.id, None)
        key = table.digest([sound.notes, sound.program, sound.velocity, clip.duration])
        path = self._folder / f"{table.digest([key, *self._audio_key])[:40]}.flac"
        samples = render.read_cached(path)
        if samples is None or len(samples) != round(clip.duration * render.RATE):
            samples = self._render(sound, clip.duration, clip.id, path)
        return samples


def at_rate(samples: np.ndarray, sample_rate: int, duration: float) -> torch.Tensor:
    """16-bit samples at `render.RATE` as float32 of exactly duration * sample_rate values."""
    wave = samples.astype(np.float32) / 32768.0
    if sample_rate != render.RATE:
        wave = soxr.resample(wave, render.RATE, sample_rate, quality="HQ")
    out = torch.zeros(round(duration * sample_rate))
    kept = torch.from_numpy(wave[: len(out)])
    out[: len(kept)] = kept
    return out
