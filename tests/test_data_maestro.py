"""MAESTRO in its published layout, and the reader of its MIDI files."""

from __future__ import annotations

import pytest
from field_audio import sound, text
from midi_files import PEDAL, midi, off, on, tempo

from extract.datasets import open_dataset
from extract.datasets.base import Segment
from extract.datasets.midifile import notes
from extract.datasets.published.maestro import Maestro
from extract.errors import DataError

HEADER = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"
ROWS = (
    ("Alban Berg", "Sonata Op. 1", "train", "2018/MIDI-Unprocessed_Chamber3_wav--1"),
    ("Alban Berg", "Sonata Op. 1", "train", "2008/MIDI-Unprocessed_03_R2_2008_wav--2"),
    ("Franz Liszt", '"Années de pèlerinage, No. 5"', "validation", "2018/MIDI-2"),
    ("Franz Schubert / Franz Liszt", "Erlkönig", "test", "2004/MIDI-3"),
)
META = [(0, tempo(0.5))]


@pytest.fixture
def root(tmp_path):
    rows = "".join(f"{c},{t},{s},2018,{n}.midi,{n}.wav,2.5\n" for c, t, s, n in ROWS)
    text(tmp_path / "maestro-v3.0.0.csv", HEADER + rows)
    for *_, name in ROWS[:3]:
        sound(tmp_path / f"{name}.wav", 2.5)
        midi(tmp_path / f"{name}.midi", META, [(480, on(60)), (960, off(60))])
    return tmp_path


def test_clips_labels_and_splits(root):
    data = open_dataset(f"maestro:{root}")
    assert [clip.split for clip in data.clips] == ["train", "train", "valid"]
    first, second, third = data.clips
    assert first.group == second.group == "Alban Berg: Sonata Op. 1"
    assert third.group == "Franz Liszt: Années de pèlerinage, No. 5"
    assert first.track == "2018/MIDI-Unprocessed_Chamber3_wav--1"
    assert first.labels == {"composer": "Alban Berg"}
    assert first.segments == {"notes": (Segment(0.5, 1.5, 60),)}
    assert data.audio(first, 8000).shape == (20000,)
    assert "1 of its 4 recordings are not on this disk" in data.card.caveats


def test_recitals_are_cut_with_their_notes(root, monkeypatch):
    monkeypatch.setattr(Maestro, "clip_seconds", 1.0)
    data = open_dataset(f"maestro:{root}")
    # the rest of half a second is kept
    assert [clip.start for clip in data.clips[:3]] == [0.0, 1.0, 2.0]
    assert [clip.segments["notes"] for clip in data.clips[:3]] == [
        (Segment(0.5, 1.0, 60),),
        (Segment(0.0, 0.5, 60),),
        (),
    ]
    assert len({clip.group for clip in data.clips[:6]}) == 1


def test_what_is_missing_or_wrong_is_named(root):
    name = root / f"{ROWS[0][3]}.midi"
    name.unlink()
    assert open_dataset(f"maestro:{root}").clips[0].segments == {}
    name.write_bytes(b"RIFF....")
    with pytest.raises(DataError, match="Chamber3_wav--1.midi: not a standard MIDI file"):
        open_dataset(f"maestro:{root}")
    text(root / "maestro-v3.0.0.csv", HEADER + "A,B,holdout,2018,a.midi,a.wav,1.0\n")
    with pytest.raises(DataError, match=r"v3.0.0.csv, line 2: 'holdout' is none of train,"):
        open_dataset(f"maestro:{root}")
    text(root / "maestro-v3.0.0.csv", HEADER + "A,B,train\n")
    with pytest.raises(DataError, match=r"v3.0.0.csv, line 2: 3 fields below 7"):
        open_dataset(f"maestro:{root}")
    text(root / "maestro-v3.0.0.csv", "composer,title\n")
    with pytest.raises(DataError, match="no column 'canonical_composer'"):
        open_dataset(f"maestro:{root}")
    (root / "maestro-v3.0.0.csv").unlink()
    with pytest.raises(DataError, match="maestro-v3.0.0.csv .table of recitals. is not there"):
        open_dataset(f"maestro:{root}")


def test_midi_with_tempi_running_status_and_pedals(tmp_path):
    track = [(0, PEDAL), (480, on(60)), (0, bytes((64, 64))), (480, off(60)), (960, off(64))]
    path = midi(tmp_path / "a.midi", [(0, tempo(0.5)), (960, tempo(1.0))], track)
    assert notes(path) == (Segment(0.5, 1.0, 60), Segment(0.5, 3.0, 64))


def test_midi_notes_that_overlap_repeat_or_never_end(tmp_path):
    track = [(0, on(60)), (240, on(60)), (240, off(60)), (0, on(61)), (480, on(61)), (0, off(61))]
    path = midi(tmp_path / "a.midi", [], [*track, (10, on(62)), (10, bytes((0x99, 35, 9)))])
    assert notes(path) == (Segment(0.0, 0.5, 60), Segment(0.25, 0.5, 60), Segment(0.5, 1.0, 61))
    assert notes(midi(tmp_path / "b.midi", [])) == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"MThd\x00\x00\x00\x06\x00\x02\x00\x01\x01\xe0", "format 2"),
        (b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\xe7\x28", "not parts of a quarter"),
        (b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\x00\x09\x00\x90", "too early"),
        (b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\x00\x02\x00\x40", "no status"),
    ],
)
def test_broken_midi_is_named(tmp_path, content, reason):
    path = tmp_path / "a.midi"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"a.midi: not a standard MIDI file .*{reason}"):
        notes(path)


def test_midi_as_an_independent_reader_has_it(tmp_path):
    pretty_midi = pytest.importorskip("pretty_midi")
    track = [(0, on(60))]
    for step in range(60):
        track += [(37 * step % 97, on(40 + step)), (3, PEDAL), (5 * step % 41, off(40 + step - 1))]
    path = midi(tmp_path / "a.mid", [(0, tempo(0.4)), (500, tempo(0.7)), (500, tempo(0.3))], track)
    other = pretty_midi.PrettyMIDI(str(path)).instruments[0].notes
    ours = [(s.start, s.end, s.value) for s in notes(path)]
    theirs = sorted((n.start, n.end, n.pitch) for n in other if n.end > n.start)
    assert sorted(ours) == [pytest.approx(row) for row in theirs]
