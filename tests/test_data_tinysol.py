"""TinySOL in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

COLUMNS = (
    "Path", "Fold", "Family", "Instrument (abbr.)", "Instrument (in full)", "Technique (abbr.)",
    "Technique (in full)", "Pitch", "Pitch ID", "Dynamics", "Dynamics ID", "Instance ID",
    "String ID (if applicable)", "Needed digital retuning",
)  # fmt: skip
NOTES = (
    "Winds/Oboe/ordinario/Ob-ord-A5-pp-N-T23d.wav,2,Winds,Ob,Oboe,{},A5,81,pp,0,0,,TRUE",
    "Strings/Viola/ordinario/Va-ord-A4-mf-2c-N.wav,4,Strings,Va,Viola,{},A4,69,mf,2,1,2.0,FALSE",
    "Strings/Viola/ordinario/Va-ord-A4-pp-3c-N.wav,3,Strings,Va,Viola,{},A4,69,pp,0,1,3.0,FALSE",
    "Winds/Flute/ordinario/Fl-ord-C4-mf-N-T14d.wav,0,Winds,Fl,Flute,{},C4,60,mf,2,0,,TRUE",
)
TABLE = "\r\n".join((",".join(COLUMNS), *(n.format("ord,ordinario") for n in NOTES), ""))


@pytest.fixture
def root(tmp_path):
    text(tmp_path / "annotation" / "TinySOL_metadata.csv", TABLE)
    for note in NOTES[:3]:
        sound(tmp_path / "audio" / note.split(",")[0], 0.5)
    return tmp_path


def test_labels_splits_and_groups(root):
    data = open_dataset(f"tinysol:{root}")
    oboe, viola, same = data.clips
    assert oboe.labels == {
        "instrument": "Oboe", "family": "Winds", "pitch": 81.0, "dynamics": "pp",
    }  # fmt: skip
    assert [clip.split for clip in data.clips] == ["train", "test", "valid"]
    assert viola.group == same.group == "Viola 69" and viola.track == "Va-ord-A4-mf-2c-N"
    assert data.audio(oboe, 8000).shape == (4000,)
    assert "1 of its 4 recordings are not on this disk" in data.card.caveats


def test_what_is_missing_or_wrong_is_named(root):
    with pytest.raises(DataError, match="TinySOL_metadata.csv .labels. is not there"):
        open_dataset(f"tinysol:{root / 'audio'}")
    table = root / "annotation" / "TinySOL_metadata.csv"
    text(table, TABLE.replace("A4,69,mf", "A4,A4,mf"))
    with pytest.raises(DataError, match="metadata.csv, line 3: 'A4' is no number"):
        open_dataset(f"tinysol:{root}")
    text(table, TABLE.replace("wav,2,Winds", "wav,7,Winds"))
    with pytest.raises(DataError, match="metadata.csv, line 2: '7' is none of 0, 1"):
        open_dataset(f"tinysol:{root}")
