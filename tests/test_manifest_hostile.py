"""Manifests and listings of a stranger: refused in one line, or printable from there on."""

from __future__ import annotations

import json

import pytest
import soundfile
from strange_audio import signal

from extract.datasets.folder import Folder
from extract.errors import DataError


@pytest.fixture
def music(tmp_path):
    soundfile.write(tmp_path / "a.wav", signal(0.2), 16000)
    return tmp_path


REFUSED = {
    "deep.jsonl": ('{"path": ' + "[" * 100_000, "nested too deeply"),
    "digits.jsonl": ('{"path": "a.wav", "n": ' + "9" * 5000 + "}", "a number of 5000 digits"),
    "half.jsonl": ('{"path": "a.wav", "mood": "\\ud800"}', "half a character"),
    "half-name.jsonl": ('{"path": "a.wav", "\\udfff": "x"}', "half a character"),
    "half-tag.jsonl": ('{"path": "a.wav", "tags": ["\\ud800"]}', "half a character"),
    "zero.jsonl": ('{"path": "a\\u0000.wav"}', "no file"),
    "up.csv": ("path\n../../etc/passwd\n", "lies outside"),
    "root.csv": ("path\n/etc/passwd\n", "lies outside"),
    "far.csv": ("path,start\na.wav,1e400\n", "start '1e400' is wrong"),
    "name.csv": (f"path,{'x' * 300}\na.wav,1\n", "a name of 300 characters"),
    "same.csv": ("path,a\x1b,a\\x1b\na.wav,1,2\n", "two columns have one name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_manifest_that_is_refused(music, name):
    text, reason = REFUSED[name]
    (music / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError) as caught:
        Folder(music, music / name)
    assert reason in str(caught.value) and str(caught.value).isprintable()


def test_labels_are_printable_from_where_they_are_read(music):
    rows = {"path": "a.wav", "mo\x1b[31mod": "line\nforged \u202e \x07", "t": ["\x9b2J", "ok"]}
    (music / "manifest.jsonl").write_text(json.dumps(rows))
    (clip,) = (data := Folder(music)).clips
    said = [*clip.labels, clip.labels["mo\\x1b[31mod"], *clip.labels["t"]]
    assert all(text.isprintable() for text in said) and "line\\nforged" in said[2]
    assert [card.name for card in data.card.labels] == ["mo\\x1b[31mod", "t"]


def test_a_stretch_of_a_thousand_years_is_a_bad_clip_not_a_dead_run(music):
    from extract.errors import AudioError

    (music / "manifest.csv").write_text("path,start,duration\na.wav,0,31557600000\n")
    (clip,) = (data := Folder(music)).clips
    with pytest.raises(AudioError, match="8.77e[+]06 h in one stretch|lasts 0.20 s"):
        data.audio(clip, 16000)
