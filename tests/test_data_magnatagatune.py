"""MagnaTagATune in its published layout."""

from __future__ import annotations

import pytest
from field_audio import sound, text

from extract.datasets import open_dataset
from extract.errors import DataError

TAGS = [f"tag {i}" for i in range(52)]
# clip id -> path, tags
CLIPS = {
    "2": ("f/bach_soloists-solo_cantatas-01-bwv54__i_aria-30-59.mp3", TAGS),
    "6": ("f/bach_soloists-solo_cantatas-01-bwv54__i_aria-146-175.mp3", TAGS[:50]),
    "10": ("0/tilopa-turkishly_delightful-07-sunset-0-29.mp3", []),
    "11": ("b/tilopa-turkishly_delightful-07-sunset-29-58.mp3", TAGS[1:3]),
    "12": ("c/rapoon-cidar-03-heel-59-88.mp3", TAGS[:1]),
    "35644": ("6/norine_braun-now_and_zen-08-gently-117-146.mp3", TAGS[3:5]),
}


def _quoted(fields):
    return "\t".join(f'"{field}"' for field in fields) + "\n"


@pytest.fixture
def root(tmp_path):
    lines = [_quoted(["clip_id", *TAGS, "mp3_path"])]
    for clip, (path, tags) in CLIPS.items():
        lines.append(_quoted([clip, *(int(t in tags) for t in TAGS), path]))
        if clip == "35644":
            (tmp_path / "mp3" / path).parent.mkdir(parents=True)
            (tmp_path / "mp3" / path).touch()
        elif clip != "12":
            sound(tmp_path / "mp3" / path, 0.5)
    text(tmp_path / "annotations_final.csv", "".join(lines))
    return tmp_path


def _info(root, clips):
    columns = (
        "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
        "original_url", "mp3_path",
    )  # fmt: skip
    lines = [_quoted(columns)]
    for clip, artist in clips.items():
        row = (clip, "01", "A, B", artist, "C", "http://x/", "30", "59", "", "")
        lines.append(_quoted(row))
    text(root / "clip_info_final.csv", "".join(lines))


def test_tags_and_splits(root):
    data = open_dataset(f"magnatagatune:{root}")
    clips = {clip.id.split("/", 1)[1]: clip for clip in data.clips}
    assert len(clips) == 4, "neither the corrupt nor the absent one"
    first = clips[CLIPS["2"][0]]
    assert first.labels == {"tags": tuple(TAGS[:50])} and first.split == "test"
    assert clips[CLIPS["10"][0]].labels == {"tags": ()}
    assert [clips[CLIPS[c][0]].split for c in ("10", "11", "6")] == ["train", "train", "test"]
    assert first.track == first.group == "bach_soloists-solo_cantatas-01-bwv54__i_aria"
    assert clips[CLIPS["6"][0]].track == first.track
    assert 0.4 < first.duration < 0.7 and data.audio(first, 8000).ndim == 1
    assert "1 of its 5 recordings are not on this disk" in data.card.caveats


def test_artists_are_the_groups_where_they_are_known(root):
    _info(root, {"2": "Bach Soloists", "10": "Tilopa", "11": "Tilopa", "99": "Nobody"})
    data = open_dataset(f"magnatagatune:{root}")
    groups = {clip.id.removeprefix("mp3/"): clip.group for clip in data.clips}
    assert groups[CLIPS["2"][0]] == "Bach Soloists"
    assert groups[CLIPS["10"][0]] == groups[CLIPS["11"][0]] == "Tilopa"
    assert groups[CLIPS["6"][0]].startswith("bach_soloists-")


def test_what_is_missing_or_wrong_is_named(root, tmp_path):
    with pytest.raises(DataError, match="magnatagatune: .*annotations_final.csv .tags. is not"):
        open_dataset(f"magnatagatune:{root / 'mp3'}")
    table = root / "annotations_final.csv"
    good = table.read_text()
    text(table, good.replace('"mp3_path"', '"path"'))
    with pytest.raises(DataError, match="annotations_final.csv, line 1: no column 'mp3_path'"):
        open_dataset(f"magnatagatune:{root}")
    text(table, good.replace('"10"\t"0"', '"10"\t"yes"'))
    with pytest.raises(DataError, match="annotations_final.csv, line 4: 'yes' is neither 0 nor 1"):
        open_dataset(f"magnatagatune:{root}")
    text(table, good.replace('"10"\t"0"', '"10"'))
    with pytest.raises(DataError, match="line 4: 53 fields below 54 columns"):
        open_dataset(f"magnatagatune:{root}")
    text(table, good.replace("c/rapoon", "g/rapoon"))
    with pytest.raises(DataError, match="line 6: 'g/rapoon.*' is no path of an excerpt"):
        open_dataset(f"magnatagatune:{root}")
