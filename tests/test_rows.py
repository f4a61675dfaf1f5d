"""Kinds of rows and the labels that belong to them."""

from dataclasses import replace

import numpy as np
import pytest
from small_model import SmallData

from extract.errors import DataError
from extract.rows import Rows


def test_clips_frames_and_segments_count_what_they_say():
    clips = SmallData().clips
    assert len(Rows.of(clips, "clips")) == 4
    assert len(Rows.of(clips, "frames:5")) == 5 + 10 + 25 + 2
    assert len(Rows.of(clips, "segments:half")) == 2 + 4 + 10 + 1


def test_frames_of_labelled_clips_only():
    clips = list(SmallData().clips)
    clips[1] = replace(clips[1], events={"beats": (0.5,)})
    clips[3] = replace(clips[3], curves={"melody": None})
    rows = Rows.of(tuple(clips), "frames:5@beats,melody")
    assert len(rows) == 10 + 2
    assert set(rows.clip) == {1, 3}
    assert len(Rows.of(tuple(clips), "frames:5@nothing")) == 0
    clips = tuple(replace(clip, subset="abcd"[i]) for i, clip in enumerate(clips))
    assert set(Rows.of(clips, "frames:5@beats+a+b,melody").clip) == {1, 3}
    assert set(Rows.of(clips, "frames:5@beats+a+b,melody+a").clip) == {1}
    assert len(Rows.of(clips, "frames:5@beats+a")) == 0


def test_labels_follow_rows():
    rows = Rows.of(SmallData().clips, "segments:half")
    assert list(rows.label("half")[:3]) == ["h0", "h1", "h0"]
    assert list(rows.label("number")[:3]) == [0.0, 0.0, 1.0]
    assert rows.label("none")[0] is None
    assert list(rows.groups[:3]) == ["track0"] * 3
    assert rows.names[1] == f"{rows.clips[0].id} @ {rows.spans[1, 0]:.2f} s"
    assert list(Rows.of(SmallData().clips, "clips").names) == [c.id for c in SmallData().clips]


def test_a_sketch_is_some_frames_of_each_clip_and_always_the_same():
    clips = SmallData().clips
    frames, sketch = Rows.of(clips, "frames:10"), Rows.of(clips, "sketch:10:8")
    assert [int((sketch.clip == i).sum()) for i in range(4)] == [8, 8, 8, 5]
    for i in range(4):
        whole, some = frames.spans[frames.clip == i], sketch.spans[sketch.clip == i]
        places = [np.flatnonzero((whole == span).all(axis=1))[0] for span in some]
        assert places == sorted(set(places))
    # each clip by its own name, whatever the others are
    alone = Rows.of(clips[2:3], "sketch:10:8")
    assert np.array_equal(alone.spans, sketch.spans[sketch.clip == 2])
    renamed = Rows.of((replace(clips[2], id="another"),), "sketch:10:8")
    assert not np.array_equal(alone.spans, renamed.spans)


@pytest.mark.parametrize(
    "kind", ["bars", "frames:", "frames:0", "segments:", "sketch:5", "sketch:5:0", "sketch:0:5"]
)
def test_unknown_kinds_are_refused(kind):
    with pytest.raises(DataError):
        Rows.of(SmallData().clips, kind)


def test_no_clip_no_rows():
    assert len(Rows.of((), "clips")) == 0
    assert np.array(Rows.of((), "clips").label("x")).shape == (0,)
