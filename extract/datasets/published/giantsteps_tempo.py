"""GiantSteps tempo: 661 previews of electronic dance music with the tempi of a second annotation.

Layout, below the folder of the repository giantsteps-tempo-dataset: `audio/1030011.LOFI.mp3` (from
its script audio_dl.sh), `annotations_v2/tempo/1030011.LOFI.bpm`, `splits/fold01.txt` to
`fold10.txt`, each a list of names as `1030011.LOFI.mp3`. Of 664, three have the tempo 0 (none could
be told) and are left out.

Splits: tempo estimation uses the whole set as test; a probe has to be trained, so the publisher's
ten folds serve: fold 1 is test, fold 2 valid, the others train.
"""

from __future__ import annotations

from collections.abc import Iterable

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import lines, number
from extract.datasets.ondisk import Need, OnDisk, Recording

SOURCE = "github.com/GiantSteps/giantsteps-tempo-dataset"


class GiantstepsTempo(OnDisk):
    """See the module."""

    name = "giantsteps-tempo"
    title = "GiantSteps tempo, annotations of 2018"
    sources = "Knees et al. 2015 (ISMIR); tempi: Schreiber and Müller 2018 (ISMIR)"
    licence = "none stated; previews of commercial recordings"
    clip_seconds = 30.0
    labels = (LabelCard("tempo", "number", "gold", "tempo that most listeners tapped", "bpm"),)
    needs = (
        Need("annotations_v2/tempo/*.bpm", "tempi", SOURCE),
        Need("audio/*.LOFI.*", "audio", f"{SOURCE} (audio_dl.sh)"),
        Need("splits/fold*.txt", "folds", SOURCE, needed=False),
    )
    caveats = ("artists are not listed: one may be in several splits",)

    def recordings(self) -> Iterable[Recording]:
        split = {}
        for path in sorted(self.root.glob("splits/fold*.txt")):
            part = {"fold01": "test", "fold02": "valid"}.get(path.stem, "train")
            split |= {fields[0].split(".")[0]: part for _, fields in lines(path)}
        for path in sorted((self.root / "annotations_v2" / "tempo").glob("*.bpm")):
            track, tempo = path.name.split(".")[0], number(path)
            if not tempo:
                continue
            found = sorted((self.root / "audio").glob(f"{track}.LOFI.*"))
            yield Recording(
                found[0] if found else self.root / "audio" / f"{track}.LOFI.mp3",
                track,
                split.get(track, ""),
                labels={"tempo": tempo},
            )
