"""Labels over time of the data set mini, against the scores: right at every moment of every clip.

On a few dozen scores; on all of them when slow tests run.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("music21")
pytest.importorskip("pretty_midi")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from mini_pieces import Piece, Span, built, moments_apart, roll  # noqa: E402

from extract.datasets.base import Segment  # noqa: E402
from extract.datasets.mini import excerpts, sounds, timed  # noqa: E402
from extract.datasets.mini.midi import Note  # noqa: E402

CLOSE = 3e-4  # seconds: labels are rounded to a ten thousandth


@pytest.fixture(
    scope="module", params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["few", "all"]
)
def subsets(request) -> dict[str, list[Piece]]:
    return built(few=request.param)


@pytest.fixture(scope="module")
def pieces(subsets) -> list[Piece]:
    return [piece for rows in subsets.values() for piece in rows]


def as_played(piece: Piece, voices: list[int]) -> tuple[list[Span], list[Span]]:
    """Notes of the score at the pitch of the clip: sure and doubtful ones."""
    up = piece.moved()
    assert -6 <= up <= 5
    return tuple([(a, b, p + up) for a, b, p in spans] for spans in piece.written(voices))


# --- beats --------------------------------------------------------------------------------------


def test_beats_run_evenly_from_one_end_of_a_clip_to_the_other(pieces):
    for piece in pieces:
        beats = np.array(piece.clip.events["beats"])
        step = piece.score.beat * piece.quarter
        np.testing.assert_allclose(np.diff(beats), step, atol=CLOSE)
        # the first beat is there also where the clip begins with it, and none lies at its end
        assert 0.0 <= beats[0] < step + CLOSE and 8.0 - step - CLOSE < beats[-1] < 8.0


def test_beats_are_those_of_the_metre(pieces):
    """Quarters, but dotted quarters in 6/8 and halves in 2/2 and 3/2."""
    seen = set()
    for piece in pieces:
        quarters = {"2": 2.0, "4": 1.0, "8": 1.5}[piece.score.metre.split("/")[1]]
        step = np.mean(np.diff(piece.clip.events["beats"])) / piece.quarter
        assert step == pytest.approx(quarters, abs=1e-3)
        if "tempo" in piece.clip.labels:
            tempo = 60.0 / (step * piece.quarter)
            assert piece.clip.labels["tempo"] == pytest.approx(tempo, abs=0.005)
        seen.add(piece.score.metre)
    assert {"4/4", "6/8", "2/4", "2/2"} <= seen


def test_a_beat_at_the_very_beginning_is_a_beat():
    grid = excerpts._grid(1.0, 1.0, 5.0, 0.5)
    assert grid[0] == 0.0 and grid[-1] == 7.5
    # also where the division does not come out even
    assert excerpts._grid(1 / 3, 1 / 3, 7 / 3, 0.5)[0] == 0.0


def test_downbeats_are_beats_and_none_is_left_out(pieces):
    for piece in pieces:
        beats, downbeats = (list(piece.clip.events[n]) for n in ("beats", "downbeats"))
        assert set(downbeats) <= set(beats)
        a_bar = round(piece.score.bar / piece.score.beat)
        places = [beats.index(d) for d in downbeats]
        assert all(b - a == a_bar for a, b in zip(places, places[1:], strict=False))
        assert (places[0] if places else len(beats)) <= a_bar
        assert not places or len(beats) - places[-1] <= a_bar


def test_every_full_measure_begins_with_a_downbeat(pieces):
    """Also after an upbeat, and after a bar that is divided at a repeat."""
    upbeats = divided = 0
    for piece in pieces:
        downbeats = np.array(piece.clip.events["downbeats"])
        bars, full = piece.score.bars, piece.score.bar
        begins = [start * piece.quarter - piece.clip.start for start, _ in bars]
        for (_, length), begin in zip(bars, begins, strict=True):
            if abs(length - full) < 1e-3 and 0.0 <= begin < 8.0 - CLOSE:
                assert np.abs(downbeats - begin).min() < CLOSE, piece.clip.id
        upbeats += bars[0][1] < full - 1e-3
        divided += any(
            abs(a[1] + b[1] - full) < 1e-3 for a, b in zip(bars[1:-1], bars[2:], strict=False)
        )
    assert upbeats > 10 and divided > 3


# --- harmony and melody -------------------------------------------------------------------------


def test_chords_fill_the_whole_beats_without_gaps(subsets):
    for piece in subsets["chorale"]:
        chords, beats = piece.clip.segments["chord"], piece.clip.events["beats"]
        assert [c.start for c in chords] == list(beats[:-1])
        assert [c.end for c in chords] == list(beats[1:])
    assert not any("chord" in p.clip.segments for p in subsets["fiddle"] + subsets["voices"])


def test_the_melody_is_the_first_part_and_rests_where_it_rests(subsets):
    rests = 0.0
    for piece in subsets["chorale"] + subsets["fiddle"]:
        melody = [(s.start, s.end, s.value) for s in piece.clip.segments["melody"]]
        assert all(a[1] <= b[0] for a, b in zip(melody, melody[1:], strict=False))
        written, doubtful = as_played(piece, [0])
        times = moments_apart([*melody, *written], doubtful)
        wanted, found = roll(written, times), roll(melody, times)
        # the highest where more are struck together
        highest = np.where(wanted.any(axis=1), 127 - wanted[:, ::-1].argmax(axis=1), -1)
        told = np.where(found.any(axis=1), found.argmax(axis=1), -1)
        held = found.sum(axis=1) > 1
        assert not held.any()
        agree = told == highest
        assert agree.mean() > 0.99 if wanted.sum(axis=1).max() > 1 else agree.all(), piece.clip.id
        rests += (told < 0).mean() * 8.0
    assert rests > 0.5  # some voices do rest


def test_the_melody_is_the_highest_of_what_the_first_part_strikes_together():
    notes = [
        Note(0.0, 2.0, 60, 0), Note(0.0, 1.5, 67, 0),  # a double stop, held into the next note
        Note(1.0, 0.5, 64, 0), Note(2.0, 1.0, 65, 0),  # after a rest
        Note(0.0, 4.0, 80, 1),  # another part
    ]  # fmt: skip
    assert timed.melody(notes, 8.0) == (
        Segment(0.0, 1.0, 67.0), Segment(1.0, 1.5, 64.0), Segment(2.0, 3.0, 65.0)
    )  # fmt: skip


# --- notes --------------------------------------------------------------------------------------


def test_notes_are_the_pitches_of_the_score_at_every_moment(pieces):
    for piece in pieces:
        notes = [(s.start, s.end, s.value) for s in piece.clip.segments["notes"]]
        written, doubtful = as_played(piece, piece.voices)
        times = moments_apart([*notes, *written], doubtful)
        assert len(times) > 300
        assert (roll(notes, times) == roll(written, times)).all(), piece.clip.id
        # every onset of the score is one, and no other
        found, wanted = begins(notes), begins(written)
        assert found <= near(wanted | begins(doubtful)) and wanted <= near(found)


def begins(spans: list[Span]) -> set[tuple[int, int]]:
    """Onsets in milliseconds, and pitches."""
    return {(round(start * 1000), int(pitch)) for start, _, pitch in spans}


def near(onsets: set[tuple[int, int]]) -> set[tuple[int, int]]:
    return {(onset + d, pitch) for onset, pitch in onsets for d in (-1, 0, 1)}


def test_a_pitch_is_never_held_twice(pieces):
    for piece in pieces:
        last: dict[float, float] = {}
        for note in piece.clip.segments["notes"]:
            assert last.get(note.value, 0.0) <= note.start < note.end <= 8.0
            last[note.value] = note.end


def test_notes_of_single_sounds_are_all_held_alike():
    rows = [*sounds.build_note()["note"], *sounds.build_theory()["theory"]]
    for clip, sound in rows:
        notes = clip.segments["notes"]
        assert {(s.start, s.end) for s in notes} == {(0.0, sounds.HELD)}
        assert [s.value for s in notes] == sorted(n.pitch for n in sound.notes)
        assert len(notes) == (1 if clip.subset == "note" else 3)


NOTES = st.lists(
    st.builds(
        lambda onset, length, pitch, voice: Note(onset / 8, length / 8, pitch, voice),
        st.integers(0, 60), st.integers(1, 40), st.integers(60, 64), st.integers(0, 3),
    ), max_size=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(NOTES)
def test_unison_changes_neither_what_sounds_nor_what_begins(notes):
    heard = timed.heard(notes, 8.0)
    spans = [(n.onset, min(n.onset + n.duration, 8.0), n.pitch) for n in notes]
    times = np.arange(0.0, 8.0, 1 / 8) + 1 / 16
    assert (roll([(s.start, s.end, s.value) for s in heard], times) == roll(spans, times)).all()
    assert {(s.start, s.value) for s in heard} == {(a, p) for a, _, p in spans}
    starts = [(s.start, s.value) for s in heard]
    assert starts == sorted(set(starts))
    shares = timed.sounding(heard, 8.0)
    counts = np.bincount(roll(spans, times).sum(axis=1), minlength=len(shares)) / len(times)
    np.testing.assert_allclose(shares, counts, atol=1e-9)


def test_a_note_that_is_struck_again_ends_there():
    notes = [Note(0.0, 4.0, 60, 0), Note(1.0, 1.0, 60, 1), Note(1.0, 0.5, 60, 2)]
    assert timed.heard(notes, 8.0) == (Segment(0.0, 1.0, 60.0), Segment(1.0, 4.0, 60.0))


# --- phrases ------------------------------------------------------------------------------------


def test_phrase_ends_are_all_the_fermatas_whose_note_is_played(subsets):
    marked = 0
    for piece in subsets["chorale"]:
        if "phrase_ends" not in piece.clip.events:
            assert not excerpts.phrases_marked(piece.score)
            continue
        found = np.array(piece.clip.events["phrase_ends"])
        wanted = np.array(piece.score.phrase_ends) * piece.quarter - piece.clip.start
        wanted = wanted[(wanted >= excerpts.SHORTEST) & (wanted < 8.0)]
        np.testing.assert_allclose(found, wanted, atol=CLOSE)
        ends = np.array([s.end for s in piece.clip.segments["melody"]])
        assert all(np.abs(ends - end).min() < CLOSE for end in found)
        marked += len(found)
    assert marked > 20
    assert not any("phrase_ends" in p.clip.events for p in subsets["fiddle"] + subsets["voices"])
