"""MedleyDB melody: 108 recordings of many genres with the fundamental frequency of the melody.

Layout: `audio/ARTIST_TITLE_MIX.wav`, `melody1/ARTIST_TITLE_MELODY1.csv` and
`melody2/ARTIST_TITLE_MELODY2.csv` (lines of seconds,Hz every 5.8 ms, 0 where there is no melody),
`medleydb_melody_metadata.json`. Definition 1 follows the one most predominant source, definition 2
whichever source has the melody.

Splits: the lists in common use for melody extraction, 66, 15 and 27 recordings, no artist in two of
them, as MARBLE has them (branch data/medleydb-archived, MIT licence). MARBLE trains on
MatthewEntwistle_DontYouEver, whose artist is in the test list; here it is tested on, as in other
copies of these lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from extract.datasets.base import LabelCard
from extract.datasets.labelfiles import curve
from extract.datasets.ondisk import Need, OnDisk, Recording
from extract.errors import DataError
from extract.jsontext import loads

METADATA = "medleydb_melody_metadata.json"
SOURCE = "zenodo.org/records/2628782 (on request)"
VALID = frozenset(
    """
    AmarLal_Rest AmarLal_SpringDay1 BrandonWebster_DontHearAThing BrandonWebster_YesSirICanFly
    ClaraBerryAndWooldog_AirTraffic ClaraBerryAndWooldog_Boys ClaraBerryAndWooldog_Stella
    ClaraBerryAndWooldog_TheBadGuys ClaraBerryAndWooldog_WaltzForMyVictims
    HezekiahJones_BorrowedHeart InvisibleFamiliars_DisturbingWildlife MichaelKropf_AllGoodThings
    NightPanther_Fire SecretMountains_HighHorse Snowmine_Curfews
    """.split()
)
TEST = frozenset(
    """
    AClassicEducation_NightOwl Auctioneer_OurFutureFaces CelestialShore_DieForUs
    ChrisJacoby_BoothShotLincoln ChrisJacoby_PigsFoot Creepoid_OldTree Debussy_LenfantProdigue
    MatthewEntwistle_DontYouEver MatthewEntwistle_FairerHopes MatthewEntwistle_ImpressionsOfSaturn
    MatthewEntwistle_Lontano MatthewEntwistle_TheArch MatthewEntwistle_TheFlaxenField
    Mozart_DiesBildnis MusicDelta_FusionJazz MusicDelta_Gospel MusicDelta_Pachelbel
    MusicDelta_SwingJazz Phoenix_BrokenPledgeChicagoReel Phoenix_ColliersDaughter
    Phoenix_ElzicsFarewell Phoenix_LarkOnTheStrandDrummondCastle Phoenix_ScotchMorris
    Phoenix_SeanCaughlinsTheScartaglen PortStWillow_StayEven Schubert_Erstarrung
    StrandOfOaks_Spacestation
    """.split()
)
# songs filed under their composer; two singers sing them (MedleyDB's artist index, MIT licence)
SINGERS = {
    "Debussy_LenfantProdigue": "NYU male singer",
    "Mozart_DiesBildnis": "NYU male singer",
    "Schubert_Erstarrung": "NYU male singer",
    "Handel_TornamiAVagheggiar": "NYU female singer",
    "Mozart_BesterJungling": "NYU female singer",
    "Schumann_Mignon": "NYU female singer",
    "Wolf_DieBekherte": "NYU female singer",
}


class MedleyDbMelody(OnDisk):
    """See the module."""

    name = "medleydb-melody"
    title = "MedleyDB melody"
    sources = "Bittner et al. 2014 (ISMIR); splits as in MARBLE (arXiv:2306.10548)"
    licence = "CC BY-NC-SA 4.0"
    labels = (
        LabelCard("melody", "curve", "gold", "melody of whichever source has it (2)", "Hz"),
        LabelCard("melody1", "curve", "gold", "melody of the one predominant source (1)", "Hz"),
        LabelCard("genre", "category", "gold", "one of nine genres, as filed by the authors"),
    )
    needs = (
        Need("audio/*_MIX.wav", "audio of the mixes", SOURCE),
        Need("melody2/*_MELODY2.csv", "melodies, definition 2", SOURCE),
        Need("melody1/*_MELODY1.csv", "melodies, definition 1", SOURCE, needed=False),
        Need(METADATA, "genres", SOURCE, needed=False),
    )
    clip_seconds = 30.0

    def recordings(self) -> Iterable[Recording]:
        kinds = {"melody": "melody2", "melody1": "melody1"}
        genres = _genres(self.root / METADATA)
        for labelled in sorted((self.root / "melody2").glob("*_MELODY2.csv")):
            track = labelled.name.removesuffix("_MELODY2.csv")
            files = {
                label: self.root / kind / f"{track}_{kind.upper()}.csv"
                for label, kind in kinds.items()
            }
            yield Recording(
                self.root / "audio" / f"{track}_MIX.wav",
                track,
                "valid" if track in VALID else "test" if track in TEST else "train",
                group=artist(track),
                labels={"genre": genres[track]} if track in genres else {},
                curves={label: curve(file) for label, file in files.items() if file.is_file()},
            )


def artist(track: str) -> str:
    """Who plays; MusicDelta is a company, whose recordings but for one series share nobody."""
    if track.startswith("MusicDelta_"):
        return "MusicDelta_Chinese" if track.startswith("MusicDelta_Chinese") else track
    # two different groups play songs of this composer
    return SINGERS.get(track) or (track if "BrandonWebster" in track else track.partition("_")[0])


def _genres(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    try:
        table = loads(path.read_text(encoding="utf-8"))
        return {track: facts["genre"] for track, facts in table.items() if facts.get("genre")}
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: {error}; fetch the file again") from None
