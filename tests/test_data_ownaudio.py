"""Audio of the user's own, matched to published labels; the functions of sections."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets.base import Segment
from extract.datasets.functions import function_of, sections
from extract.datasets.labelfiles import key_of, tonic_of
from extract.datasets.ownaudio import own_audio
from extract.errors import DataError


def test_letters_and_digits_count_and_folders_decide(tmp_path):
    home = tmp_path / "audio"
    first = sound(home / "02 - With the Beatles" / "01 It won’t be long.flac", 0.2)
    right = sound(home / "A" / "Intro.wav", 0.2)
    sound(home / "B" / "Intro.wav", 0.2)
    wave = sound(home / "Été.wav", 0.2)
    sound(home / "Été.mp3", 0.2)
    wanted = {
        "02_-_With_the_Beatles/01_-_It_Won't_Be_Long": (),
        "a/intro": (),
        "ete": (),
        "0003": ("Nobody - Nothing",),
    }
    files = own_audio(tmp_path, wanted)
    assert list(files.values()) == [first, right, wave, home / "0003.wav"]
    with pytest.raises(DataError, match="both fit 'intro'; say in audio.csv"):
        own_audio(tmp_path, {"intro": ()})


def test_folders_of_other_names_are_theirs_and_no_file_serves_twice(tmp_path):
    track = sound(tmp_path / "audio" / "disc 3" / "1.wav", 0.2)
    wanted = {"RM-P017": ("disc-2/1",), "RM-P033": ("disc-3/1",)}
    files = own_audio(tmp_path, wanted)
    assert files == {"RM-P017": tmp_path / "audio" / "RM-P017.wav", "RM-P033": track}
    with pytest.raises(DataError, match="1.wav fits both 'a/1' and 'b/1'; say in audio.csv"):
        own_audio(tmp_path, {"a/1": (), "b/1": ()})
    text(tmp_path / "audio.csv", "id,path\nb/1,audio/disc 3/1.wav\n")
    files = own_audio(tmp_path, {"a/1": (), "b/1": ()})
    assert files == {"a/1": tmp_path / "audio" / "a/1.wav", "b/1": track}


def test_other_names_serve_and_the_table_decides(tmp_path):
    named = sound(tmp_path / "audio" / "Some One - A Song, Really.wav", 0.2)
    other = sound(tmp_path / "discs" / "07.wav", 0.2)
    wanted = {"0003": ("Some One - A Song, Really",), "0004": ()}
    assert own_audio(tmp_path, wanted)["0003"] == named
    text(tmp_path / "audio.csv", "id,path\n0004,discs/07.wav\n")
    assert own_audio(tmp_path, wanted) == {"0003": named, "0004": other}
    for row, message in (
        ("0005,discs/07.wav", "line 2: no recording has the id '0005'"),
        ("0004,discs/08.wav", "line 2: there is no file 'discs/08.wav'"),
        ("0004", "line 2: 1 fields below 2 columns"),
    ):
        text(tmp_path / "audio.csv", f"id,path\n{row}\n")
        with pytest.raises(DataError, match=message):
            own_audio(tmp_path, wanted)
    text(tmp_path / "audio.csv", "song,path\n")
    with pytest.raises(DataError, match="no column 'id'"):
        own_audio(tmp_path, wanted)


def test_functions_of_sections():
    names = {
        "Pre-Chorus": "verse",
        "instchorus": "chorus",
        "fadein": "intro",
        "Fade-out": "outro",
        "transition": "bridge",
        "guitarsolo": "inst",
        "saxobeat": "inst",
        "nothing": "silence",
    }
    assert {name: function_of(name) for name in names} == names
    found = sections([Segment(0.0, 1.0, "Intro"), Segment(1.0, 2.0, "no_function")])
    assert [s.value for s in found["section"]] == ["intro", "no_function"]
    assert [s.value for s in found["function"]] == ["intro"]


def test_keys_and_tonics():
    assert [key_of(k) for k in ("E", "A:minor", "D:mixolydian", "Cb", "G:major", "c# minor")] == [
        "E major",
        "A minor",
        "D other",
        "B major",
        "G major",
        "C# minor",
    ]
    assert key_of("Silence") is None and key_of("-") is None
    assert [tonic_of(t) for t in ("C#", "Gb", "Cb", "?")] == ["Db", "F#", "B", None]
