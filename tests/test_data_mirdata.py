"""mirdata's loaders as data sets: a stand-in with the interface it documents, and the package."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.datasets.mirdata import INDEX, Mirdata
from extract.errors import DataError

INTERVALS = np.array([[0.0, 0.5], [0.5, 2.0]])


def beats(unit="s", positions=(4, 1, 2), position_unit="bar_index"):
    times = np.array([0.25, 0.75, 1.25]) * (1000 if unit == "ms" else 1)
    return SimpleNamespace(
        times=times,
        time_unit=unit,
        positions=np.array(positions),
        position_unit=position_unit,
    )


def spans(labels, unit="s"):
    return SimpleNamespace(intervals=INTERVALS, interval_unit=unit, labels=labels)


def keys(*values):
    rows = np.array([[i, i + 1.0] for i in range(len(values))])
    return SimpleNamespace(intervals=rows, interval_unit="s", keys=list(values))


def notes(*pitches, unit="midi"):
    return SimpleNamespace(
        intervals=INTERVALS[: len(pitches)],
        interval_unit="s",
        pitches=np.array(pitches),
        pitch_unit=unit,
    )


def tempos(*values):
    shares = np.linspace(0.2, 0.8, len(values))
    return SimpleNamespace(tempos=np.array(values), confidence=shares)


def curve(unit="hz"):
    return SimpleNamespace(
        times=np.array([0.0, 0.5, 1.0]),
        time_unit="s",
        frequencies=np.array([220.0, 230.0, 0.0]),
        frequency_unit=unit,
        voicing=np.array([1.0, 0.0, 0.0]),
    )


class Track:
    """A track of mirdata: paths as attributes, labels as properties that read their files."""

    def __init__(self, loader, track_id):
        if track_id not in loader.index["tracks"]:
            raise ValueError(f"{track_id} is not a valid track_id")
        self.track_id, self._loader = track_id, loader
        (path, _) = loader.index["tracks"][track_id]["audio"]
        self.audio_path = None if path is None else f"{loader.data_home}/{path}"
        for name, value in loader.given.get(track_id, {}).items():
            setattr(self, name, value)

    @property
    def tempo(self):
        fault = "only 0-dimensional arrays can be\nconverted to Python scalars"
        raise TypeError(f"{self.audio_path}: {fault}")

    @property
    def audio(self):
        pytest.fail("audio is read here, not by mirdata")


class Loader:
    """A data set of mirdata, whose index may be set from outside."""

    version = "1.0"
    bibtex = "@inproceedings{x,\n  title={A {Set} of Recordings},\n  year={2020},\n}"
    _license_info = "CC BY 4.0\n  and more"
    given: dict = {}

    def __init__(self, data_home):
        self.data_home = data_home
        self.index_path = "/nowhere/mirdata/datasets/indexes/some_set_index_1.0.json"

    @property
    def index(self):
        with open(self.index_path, encoding="utf-8") as file:
            return json.load(file)

    @property
    def track_ids(self):
        return list(self.index["tracks"])

    def track(self, track_id):
        return Track(self, track_id)


@pytest.fixture
def package(monkeypatch):
    """The stand-in as the installed package; `given` is what its tracks know."""

    def initialize(name, data_home=None, version="default"):
        if name == "needs_more":
            raise ModuleNotFoundError("No module named 'DALI'")
        return Loader(data_home)

    module = SimpleNamespace(
        __version__="1.0.0",
        initialize=initialize,
        list_datasets=lambda: ["some_set", "needs_more"],
    )
    monkeypatch.setitem(sys.modules, "mirdata", module)
    monkeypatch.delenv(INDEX, raising=False)
    monkeypatch.setattr(Loader, "given", {})
    return Loader


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    paths = {name: [f"audio/{name}.wav", "md5"] for name in ("a", "b", "c, é")}
    for path, _ in paths.values():
        sound(folder / path, 2.0)
    tracks = {name: {"audio": path} for name, path in paths.items()}
    tracks |= {"gone": {"audio": ["audio/gone.wav", "md5"]}, "silent": {"audio": [None, None]}}
    text(folder / "some_set_index_1.0.json", json.dumps({"version": "1.0", "tracks": tracks}))
    return folder


def clip_of(root, track="a"):
    return {clip.track: clip for clip in open_dataset(f"mirdata:some_set:{root}").clips}[track]


def test_clips_card_splits_and_groups(package, root):
    package.given |= {
        "a": {"genre": "blues", "artist": "É. Piaf", "split": "train"},
        "b": {"genre": "jazz", "artist": "É. Piaf", "split": "validation"},
        "c, é": {"genre": "jazz", "artist": ["X", "Y"], "subset": "test"},
    }
    data = open_dataset(f"mirdata:some_set:{root}")
    assert [(c.track, c.split, c.group) for c in data.clips] == [
        ("a", "train", "É. Piaf"),
        ("b", "valid", "É. Piaf"),
        ("c, é", "test", "X, Y"),
    ]
    card = data.card
    assert card.name == "mirdata:some_set" and card.licence == "CC BY 4.0 and more"
    assert card.sources == "mirdata 1.0.0, loader some_set; A Set of Recordings"
    assert [label.name for label in card.labels] == ["genre"]
    assert card.caveats == (
        "mirdata could not give tempo of 3 recordings (TypeError: audio/a.wav: only 0-dimensional "
        "arrays can be converted to Python scalars)",
        "1 of its 4 recordings are not on this disk",
    )
    assert data.audio(data.clips[0], 8000).shape == (16000,)


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ({"key": "D major\n"}, {"key": "D major"}),
        ({"key": "F#", "mode": "minor"}, {"key": "F# minor"}),
        ({"key": "bb", "mode": "Major"}, {"key": "Bb major"}),
        ({"key": keys("Eb:minor")}, {"key": "Eb minor"}),
        ({"key": keys("C", "C")}, {"key": "C major"}),
        ({"key": ["A minor"], "genre": "x"}, {"key": "A minor", "genre": "x"}),
        ({"key": keys("C", "D:minor"), "genre": "x"}, {"genre": "x"}),
        ({"key": ["x"], "genre": "x"}, {"genre": "x"}),
        ({"key_mode": keys("G:mixolydian"), "genre": "x"}, {"genre": "x"}),
        ({"tempo_v2": tempos(60.0, 120.0)}, {"tempo": 120.0}),
        ({"instrument": ["cel"]}, {"instrument": "cel", "instruments": ("cel",)}),
        ({"instrument": ["pia", "cel"]}, {"instruments": ("cel", "pia")}),
        ({"instruments": {"banjo": 0.9, "bass": 0.1}}, {"instruments": ("banjo",)}),
        ({"instruments": "piano & bass", "genre": "x"}, {"genre": "x"}),
        ({"tags": ["slow", "calm"]}, {"tags": ("calm", "slow")}),
        ({"pitch_id": 61, "pitch": "C#4", "singer_id": 3}, {"pitch": 61.0, "singer": "3"}),
        ({"genre": "", "family": "Brass"}, {"family": "Brass"}),
        ({"pitch_id": {"note": 1}, "tempo_v2": "128", "genre": None}, {"tempo": 128.0}),
    ],
)
def test_labels_of_clips(package, root, given, labels):
    package.given["a"] = given
    assert clip_of(root).labels == labels


def test_labels_in_time(package, root):
    package.given |= {
        "a": {
            "beats": beats("ms"),
            "chords": spans(["N", "A:min"]),
            "sections": spans(None),
            "named_sections": spans(["intro", "verse"]),
            "notes": notes(60, 61.5),
            "f0": curve(),
        },
        "b": {
            "beats": beats(position_unit="global_index"),
            "sections_uppercase": SimpleNamespace(annotations=[None, spans(["A", "B"])]),
            "notes_a1": notes(440.0, unit="hz"),
            "notes": {"E": notes(1)},
            "chords": spans(["N", "N"], "ticks"),
            "pitch": curve("midi"),
        },
    }
    first, second = clip_of(root), clip_of(root, "b")
    assert first.events == {"beats": (0.25, 0.75, 1.25), "downbeats": (0.75,)}
    assert second.events == {"beats": (0.25, 0.75, 1.25)}
    chords, sections = first.segments["chord"], first.segments["section"]
    assert chords == (Segment(0.0, 0.5, "N"), Segment(0.5, 2.0, "A:min"))
    assert [s.value for s in sections] == ["intro", "verse"]
    assert [s.value for s in first.segments["notes"]] == [60, 61.5]
    assert first.curves["melody"].values.tolist() == [220.0, 0.0, 0.0]
    assert [s.value for s in second.segments["section"]] == ["A", "B"]
    assert second.segments["notes"] == (Segment(0.0, 0.5, 69),)
    assert "chord" not in second.segments and second.curves == {}


def test_the_index_is_found_where_it_may_be(package, root, tmp_path, monkeypatch):
    package.given["a"] = {"genre": "x"}
    index = root / "some_set_index_1.0.json"
    other = tmp_path / "unzipped" / "mirdata" / "indexes" / "some_set_index_1.json"
    other.parent.mkdir(parents=True)
    index.rename(other)
    text(other.with_name("some_set_index_1.0_sample.json"), "{}")
    cure = r"some_set_index_1.0.json is nowhere; mirdata==0.3.8 carries 63 .*pip download --no-deps"
    with pytest.raises(DataError, match=cure):
        open_dataset(f"mirdata:some_set:{root}")
    for place in (other, tmp_path / "unzipped"):
        assert Mirdata("some_set", root, index=place).clips
        monkeypatch.setenv(INDEX, str(place))
        assert open_dataset(f"mirdata:some_set:{root}").clips
    # one that does not hold it does not hide the folder's own
    monkeypatch.setenv(INDEX, str(tmp_path / "none"))
    other.rename(index)
    assert open_dataset(f"mirdata:some_set:{root}").clips
    text(index, "{")
    with pytest.raises(
        DataError, match=r"_1.0.json: not the index of this loader .JSONDecodeError"
    ):
        open_dataset(f"mirdata:some_set:{root}")


def test_what_is_missing_or_wrong_is_named(package, root, monkeypatch):
    with pytest.raises(DataError, match="no such loader; did you mean some_set"):
        open_dataset(f"mirdata:someset:{root}")
    with pytest.raises(DataError, match="cannot set it up .ModuleNotFoundError: No module"):
        open_dataset(f"mirdata:needs_more:{root}")
    with pytest.raises(DataError, match="has none of the labels genre, .*mirdata could not give"):
        open_dataset(f"mirdata:some_set:{root}")
    with pytest.raises(DataError, match="there is no folder"):
        open_dataset(f"mirdata:some_set:{root}/nowhere")
    for text_, said in (("mirdata", "LOADER"), ("mirdata:some_set", "some_set")):
        with pytest.raises(DataError, match=f"mirdata:{said}: say where it is"):
            open_dataset(text_)
    package.given["a"] = {"genre": "x"}
    monkeypatch.setenv("RSA_DATA", str(root.parent))
    root.rename(root.parent / "some_set")
    assert open_dataset("mirdata:some_set").clips
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(DataError, match=r"missing: pip install 'music-rsa\[mirdata\]'"):
        open_dataset("mirdata:some_set")


@pytest.mark.slow
def test_the_package_itself(tmp_path, monkeypatch):
    pytest.importorskip("mirdata")
    monkeypatch.delenv(INDEX, raising=False)
    sound(tmp_path / "audio" / "MusicDelta_Beethoven_MIX.wav", 2.0)
    for kind in ("melody1", "melody2", "melody3"):
        rows = "".join(f"{i / 100},{440.0 if i > 50 else 0.0}\n" for i in range(200))
        text(tmp_path / kind / f"MusicDelta_Beethoven_{kind.upper()}.csv", rows)
    facts = {"artist": "MusicDelta", "genre": "Classical"}
    text(
        tmp_path / "medleydb_melody_metadata.json",
        json.dumps({"MusicDelta_Beethoven": facts}),
    )
    files = {
        "audio": ["audio/MusicDelta_Beethoven_MIX.wav", "0"],
        **{
            kind: [f"{kind}/MusicDelta_Beethoven_{kind.upper()}.csv", "0"]
            for kind in ("melody1", "melody2", "melody3")
        },
    }
    text(
        tmp_path / "medleydb_melody_index_5.0.json",
        json.dumps({"version": "5.0", "tracks": {"MusicDelta_Beethoven": files}}),
    )
    (clip,) = open_dataset(f"mirdata:medleydb_melody:{tmp_path}").clips
    assert clip.group == "MusicDelta" and clip.labels == {"genre": "Classical"}
    assert clip.curves["melody"].values[[0, 100]].tolist() == [0.0, 440.0]
