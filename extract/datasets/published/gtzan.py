"""GTZAN: 1,000 excerpts of 30 s in ten genres, with the beats and tempi of GTZAN-Rhythm.

Layout: `genres/blues/blues.00000.wav` (or `.au`; some mirrors say `genres_original`). Beats and
tempi: `gtzan_tempo_beat-main/beats/gtzan_blues_00000.beats`, `.../tempo/gtzan_blues_00000.bpm`.

Splits: the fault-filtered lists of Kereliuk, Sturm and Larsen (2015, arXiv:1507.04761), of 443, 197
and 290 excerpts: no repeats, no distortion, no artist in two splits. torchaudio carries them. What
is in none of them is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import beats, number
from extract.datasets.ondisk import Need, OnDisk, Recording

RHYTHM = "gtzan_tempo_beat-main"


class Gtzan(OnDisk):
    """See the module."""

    name = "gtzan"
    title = "GTZAN, fault-filtered"
    sources = (
        "Tzanetakis and Cook 2002 (IEEE Trans. Speech and Audio Processing 10); splits: Kereliuk "
        "et al. 2015; beats and tempi: Marchand et al. 2015 (GTZAN-Rhythm)"
    )
    licence = "none stated; excerpts of commercial recordings"
    labels = (
        LabelCard("genre", "category", "gold", "one of ten genres, as filed by the author"),
        LabelCard("tempo", "number", "gold", "median tempo", "bpm"),
        LabelCard("beats", "events", "gold", "beats"),
        LabelCard("downbeats", "events", "gold", "first beats of bars"),
    )
    needs = (
        Need("genres*/*/*.*", "audio", "the MARSYAS site or a mirror"),
        Need(
            f"{RHYTHM}/beats/*.beats",
            "beats",
            "github.com/TempoBeatDownbeat/gtzan_tempo_beat",
            needed=False,
        ),
    )
    caveats = ("labels of genre are known to hold errors (Sturm 2013)",)

    def recordings(self) -> Iterable[Recording]:
        from torchaudio.datasets import gtzan

        lists = {
            "train": gtzan.filtered_train,
            "valid": gtzan.filtered_valid,
            "test": gtzan.filtered_test,
        }
        home = next((p for p in sorted(self.root.glob("genres*")) if p.is_dir()), self.root)
        for split, tracks in lists.items():
            for track in tracks:
                genre, index = track.split(".")
                found = sorted((home / genre).glob(f"{track}.*"))
                label = self.root / RHYTHM
                stem = f"gtzan_{genre}_{index}"
                tempo = number(label / "tempo" / f"{stem}.bpm")
                yield Recording(
                    found[0] if found else home / genre / f"{track}.wav",
                    track,
                    split,
                    labels={"genre": genre} | ({} if tempo is None else {"tempo": tempo}),
                    events=beats(label / "beats" / f"{stem}.beats"),
                )
