"""Folders of audio: what is found, how it is cut, what a manifest adds, and what is refused."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from extract.datasets import open_dataset
from extract.datasets.folder import Folder
from extract.errors import AudioError, DataError
from extract.rows import Rows

RATE = 8000


def write(path: Path, seconds: float, seed: int = 0, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
    soundfile.write(path, wave, rate)
    return path


@pytest.fixture
def music(tmp_path) -> Path:
    folder = tmp_path / "music"
    write(folder / "b.wav", 2.0, 1)
    write(folder / "a" / "z.flac", 1.0, 2)
    write(folder / "a" / "y.mp3", 1.5, 3)
    write(folder / "a" / "X.OGG", 1.2, 4)
    write(folder / ".hidden.wav", 1.0, 5)
    (folder / "notes.txt").write_text("no audio")
    return folder


def manifest(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_files_are_found_in_order_and_can_be_heard(music):
    data = Folder(music)
    assert [clip.id for clip in data.clips] == ["a/X.OGG", "a/y.mp3", "a/z.flac", "b.wav"]
    assert [clip.duration for clip in data.clips] == pytest.approx([1.2, 1.5, 1.0, 2.0], abs=0.05)
    assert all(clip.track == clip.group == clip.id for clip in data.clips)
    assert data.rate == RATE and data.card.labels == () and data.card.caveats == ()
    for clip in data.clips:
        assert len(data.audio(clip, 16000)) == round(clip.duration * 16000)
        assert data.file(clip) == str(music / clip.id)
    assert isinstance(open_dataset(str(music)), Folder)


def test_long_files_are_cut_from_the_middle(tmp_path):
    write(tmp_path / "long.wav", 10.5)
    (clip,) = Folder(tmp_path, clip_seconds=3.0).clips
    assert (clip.id, clip.start, clip.duration) == ("long.wav", 3.75, 3.0)
    data = Folder(tmp_path, clip_seconds=3.0, clips_per_track=2)
    assert [c.id for c in data.clips] == ["long.wav#2.25", "long.wav#5.25"]
    assert [c.start for c in data.clips] == [2.25, 5.25]
    assert {c.group for c in data.clips} == {"long.wav"}
    assert [c.start for c in Folder(tmp_path, clip_seconds=3.0, clips_per_track=None).clips] == [
        0.75, 3.75, 6.75,
    ]
    whole = soundfile.read(tmp_path / "long.wav", dtype="float32")[0]
    heard = data.audio(data.clips[1], RATE).numpy()
    assert np.allclose(heard, whole[round(5.25 * RATE) : round(8.25 * RATE)], atol=1e-6)


def test_links_are_followed_once_and_loops_end(music):
    (music / "a" / "loop").symlink_to(music, target_is_directory=True)
    (music / "0-again.wav").symlink_to(music / "b.wav")
    (music / "self").symlink_to("self")
    outside = write(music.parent / "elsewhere" / "c.wav", 1.0, 9)
    (music / "link").symlink_to(outside.parent, target_is_directory=True)
    ids = [clip.id for clip in Folder(music).clips]
    assert ids == ["a/X.OGG", "a/y.mp3", "a/z.flac", "b.wav", "link/c.wav"]


def test_a_broken_file_is_listed_and_fails_when_heard(music):
    (music / "broken.mp3").write_bytes(np.random.default_rng(0).bytes(9000))
    (music / "dangling.wav").symlink_to(music / "gone.wav")
    data = Folder(music)
    broken = {c.id: c for c in data.clips if c.duration == 0}
    assert set(broken) == {"broken.mp3", "dangling.wav"}
    for clip in broken.values():
        with pytest.raises(AudioError, match=clip.id):
            data.audio(clip, 16000)
    assert data.rate == RATE and len(data.clips) == 6


def test_names_beyond_ascii_have_one_spelling(tmp_path):
    spelled = "Dvořák – 交響曲.wav"
    write(tmp_path / unicodedata.normalize("NFD", spelled), 1.0)
    data = Folder(tmp_path)
    assert data.clips[0].id == unicodedata.normalize("NFC", spelled)
    assert len(data.audio(data.clips[0], RATE)) == RATE


def test_identity_depends_on_content_only(tmp_path):
    one, two = tmp_path / "one" / "m", tmp_path / "two" / "m"
    for folder in (one, two):
        write(folder / "a.wav", 1.0, 1)
        write(folder / "b.wav", 30.0, 2)
    os.utime(two / "a.wav", (0, 0))
    same = Folder(one).card.identity
    assert Folder(two).card.identity == same
    assert Folder(two, clip_seconds=10).card.identity != same
    manifest(two, "path,mood\na.wav,calm\nb.wav,wild\n")
    labelled = Folder(two).card.identity
    manifest(two, "path,mood\na.wav,calm\nb.wav,calm\n")
    assert len({same, labelled, Folder(two).card.identity}) == 3
    assert Folder(two).card.audio == Folder(one).card.audio != Folder(two).card.identity
    assert Folder(two, clip_seconds=10).card.audio != Folder(two).card.audio
    (two / "manifest.csv").unlink()
    write(two / "a.wav", 1.0, 3)
    assert Folder(two).card.identity != same
    assert Folder(two).card.audio != Folder(one).card.audio


def test_nothing_to_hear_is_refused(tmp_path):
    with pytest.raises(DataError, match="no audio files below it"):
        Folder(tmp_path)
    (tmp_path / "song.m4a").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1 \.m4a; convert"):
        Folder(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        Folder(tmp_path / "gone")
    write(tmp_path / "a.wav", 1.0)
    with pytest.raises(DataError, match="impossible"):
        Folder(tmp_path, clip_seconds=0)


def test_a_manifest_says_which_stretches_and_labels(music):
    manifest(
        music,
        "\ufeffpath,start,duration,artist,split,mood,bpm,nothing\r\n"
        'b.wav,0.5,1.0,Anna,train,"calm, slow",120,\r\n'
        "b.wav,1.0,,Anna,train,,1e2,\r\n"
        "\r\n"
        "a\\z.flac,,,Ben,val,wild,nan,\r\n",
    )
    data = Folder(music)
    first, second, third = data.clips
    assert [c.id for c in data.clips] == ["b.wav#0.5", "b.wav#1", "a/z.flac"]
    assert (first.start, first.duration, first.group, first.split) == (0.5, 1.0, "Anna", "train")
    assert (second.start, second.duration, second.track) == (1.0, 1.0, "b.wav")
    assert (third.start, third.duration, third.split) == (0.0, 1.0, "valid")
    assert first.labels == {"mood": "calm, slow", "bpm": 120.0}
    assert second.labels == {"bpm": 100.0} and third.labels == {"mood": "wild"}
    assert {c.name: c.kind for c in data.card.labels} == {"mood": "category", "bpm": "number"}
    assert all(card.tier == "user" for card in data.card.labels)
    whole = soundfile.read(music / "b.wav", dtype="float32")[0]
    assert torch.allclose(data.audio(first, RATE), torch.from_numpy(whole[4000:12000]))


def test_a_number_that_is_none_is_a_label_that_is_missing(music):
    manifest(
        music,
        "path,start,duration,bpm,energy,key,nothing\n"
        "b.wav,0,0.5,,1,C,inf\n"
        "b.wav,0.5,0.5,90,inf,nan,\n"
        "b.wav,1,0.5,100,NaN,G,NaN\n",
    )
    data = Folder(music)
    assert [clip.labels for clip in data.clips] == [
        {"energy": 1.0, "key": "C"}, {"bpm": 90.0}, {"bpm": 100.0, "key": "G"},
    ]  # fmt: skip
    assert {card.name for card in data.card.labels} == {"bpm", "energy", "key"}
    assert data.notes == (
        "manifest.csv: column energy: 2 values are not numbers (first: line 3), taken as missing",
        "manifest.csv: column nothing: 2 values are not numbers (first: line 2), taken as missing",
    )
    assert set(data.notes) <= set(data.card.caveats)
    manifest(music, "path,bpm\nb.wav,-inf\na/z.flac,90\n")
    (note,) = Folder(music).notes
    assert "column bpm: 1 value is no number (first: line 2), taken as missing" in note


def test_the_group_is_the_group_the_artist_or_the_track(music):
    lines = [("group", "g"), ("artist", "a"), ("track", "t")]
    for drop, expected in enumerate(("g", "a", "t", "b.wav")):
        columns = lines[drop:]
        head = ",".join(["path", *(name for name, _ in columns)])
        row = ",".join(["b.wav", *(value for _, value in columns)])
        manifest(music, f"{head}\n{row}\n")
        (clip,) = Folder(music).clips
        assert clip.group == expected
        assert clip.track == ("t" if columns else "b.wav")
        assert clip.labels == ({"artist": "a"} if drop == 0 else {})


@pytest.mark.parametrize("name,text", [
    ("manifest.csv", "path;mood\nb.wav;calm, slow\n"),
    ("manifest.tsv", "path\tmood\nb.wav\tcalm, slow\n"),
    ("manifest.jsonl", '{"path": "b.wav", "mood": "calm, slow", "start": null}\n\n'),
    ("other.jsonl", '\ufeff{"path": "b.wav", "mood": "calm, slow"}'),
])
def test_other_ways_to_write_a_manifest(music, name, text):
    path = manifest(music, text, name)
    data = Folder(music, manifest=path if name.startswith("other") else None)
    assert [c.id for c in data.clips] == ["b.wav"]
    assert data.clips[0].labels == {"mood": "calm, slow"}


BAD = [
    ("path,mood\nb.wav,calm\nc.wav,wild\n", r"line 3: no file c\.wav"),
    ("path\n../x.wav\n", "line 2: .* lies outside"),
    ("path\nb.wav\nb.wav\n", "line 3: the same clip as on line 2"),
    ("path,start\nb.wav,1\nb.wav,1.0\n", "line 3: the same clip as on line 2"),
    ("path,start\nb.wav,one\n", "line 2: start 'one' is wrong"),
    ("path,start\nb.wav,-1\n", "line 2: start '-1' is wrong"),
    ("path,duration\nb.wav,0\n", "line 2: duration '0' is wrong"),
    ("path,duration\nb.wav,inf\n", "line 2: duration 'inf' is wrong"),
    ("path,split\nb.wav,holdout\n", "line 2: no split 'holdout'; there are train, valid, test"),
    ("path,split\nb.wav,train\na/z.flac,\n", "line 3: no split, but other lines"),
    ("path,mood\nb.wav,calm,slow\n", "line 2: 3 cells, but 2 columns"),
    ("path,mood\nb.wav\n", "line 2: 1 cells, but 2 columns"),
    ("path,mood,mood\nb.wav,a,b\n", "column mood stands twice"),
    ("path,\nb.wav,a\n", "a column without a name"),
    ("file\nb.wav\n", "no column `path`; there are file"),
    ("path,mood\n,calm\n", "line 2: no path"),
    ('path,mood\nb.wav,"calm\n', "check the quotes"),
    ("path\n", "no rows"),
    ("", "no rows"),
]


@pytest.mark.parametrize("text,reason", BAD)
def test_a_wrong_manifest_is_refused_by_line(music, text, reason):
    path = manifest(music, text)
    with pytest.raises(DataError, match=reason) as caught:
        Folder(music)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text,reason", [
    ('{"path": "b.wav"\n', "line 1: not JSON"),
    ('{"path": "b.wav"}\n["b.wav"]\n', "line 2: not an object"),
    ('{"path": "b.wav", "mood": {"calm": 1}}\n', "line 1: mood is a dict"),
    ('{"path": "b.wav", "mood": ["calm", 1]}\n', "line 1: mood is a list; its tags are texts"),
    ('{"path": "b.wav", "mood": ["calm|slow"]}\n', "line 1: mood is a list; its tags are texts"),
    ('{"path": ["b.wav"]}\n', "line 1: path is a list"),
])
def test_wrong_json_lines_are_refused(music, text, reason):
    manifest(music, text, "manifest.jsonl")
    with pytest.raises(DataError, match=reason):
        Folder(music)


@pytest.mark.parametrize("name,text", [
    ("manifest.csv", "path,mood\nb.wav,calm| slow |calm\na/z.flac,wild\na/y.mp3,|\na/X.OGG,\n"),
    ("manifest.csv", "path,mood\nb.wav,calm;slow\na/z.flac,wild\na/y.mp3,;\na/X.OGG,nan\n"),
    ("manifest.csv", 'path;mood\nb.wav;"calm;slow"\na/z.flac;wild\na/y.mp3;"; ;"\na/X.OGG;\n'),
    ("manifest.jsonl", '{"path": "b.wav", "mood": ["calm", "slow"]}\n'
     '{"path": "a/z.flac", "mood": "wild"}\n{"path": "a/y.mp3", "mood": []}\n'
     '{"path": "a/X.OGG"}\n'),
])
def test_tags_are_told_from_a_category_by_what_separates_them(music, name, text):
    manifest(music, text, name)
    data = Folder(music)
    assert [(card.name, card.kind) for card in data.card.labels] == [("mood", "tags")]
    assert {clip.id: clip.labels.get("mood") for clip in data.clips} == {
        "b.wav": ("calm", "slow"), "a/z.flac": ("wild",), "a/y.mp3": (), "a/X.OGG": None,
    }


def test_where_a_bar_separates_tags_a_semicolon_is_a_part_of_one(music):
    manifest(music, "path,mood,size\nb.wav,calm; low|slow,1\na/z.flac,wild,2\n")
    data = Folder(music)
    assert data.clips[0].labels == {"mood": ("calm; low", "slow"), "size": 1.0}


def test_tags_of_equal_number_are_one_value_a_row(music):
    manifest(music, "path,mood\nb.wav,calm|slow\na/z.flac,wild|fast\n")
    rows = Rows.of(Folder(music).clips, "clips")
    assert list(rows.label("mood")) == [("calm", "slow"), ("wild", "fast")]


def test_a_manifest_that_cannot_be_chosen_or_read(music):
    manifest(music, "path\nb.wav\n")
    manifest(music, '{"path": "b.wav"}', "manifest.jsonl")
    with pytest.raises(DataError, match=r"manifest\.csv and manifest\.jsonl are both there"):
        Folder(music)
    with pytest.raises(DataError, match="No such file"):
        Folder(music, manifest=music / "gone.csv")
    (music / "latin.csv").write_bytes("path,mood\nb.wav,fr\xf6hlich\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        Folder(music, manifest=music / "latin.csv")


def test_a_stretch_longer_than_its_file_fails_alone(music):
    manifest(music, "path,start,duration\nb.wav,1.5,1.0\na/z.flac,0,1\n")
    data = Folder(music)
    with pytest.raises(AudioError, match=r"b\.wav: lasts 2\.00 s, wanted 1\.50 to 2\.50 s"):
        data.audio(data.clips[0], RATE)
    assert len(data.audio(data.clips[1], RATE)) == RATE


def test_a_group_in_two_splits_is_a_caveat(music):
    manifest(music, "path,split,artist\nb.wav,train,A\na/z.flac,test,A\na/y.mp3,test,B\n")
    (caveat,) = Folder(music).card.caveats
    assert caveat.startswith("1 of 2 groups have clips in more than one split")
