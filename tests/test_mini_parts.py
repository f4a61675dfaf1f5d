"""The pieces that the data set mini is made with, without scores or audio."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest

from extract.datasets.mini import draws, excerpts, harmony, midi, music, programs, scores, splits
from extract.datasets.mini.midi import Note

QUARTERS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7))  # C F G C


def score(bars=None, mode="major", beats_a_bar=4, tonic=0, bars_count=16) -> scores.Score:
    """Block chords on every quarter: C F G C, in four bars over and over."""
    parts = [[], [], []]
    for beat in range(beats_a_bar * bars_count):
        for voice, interval in enumerate(reversed(QUARTERS[beat % 4])):
            parts[voice].append((float(beat), 1.0, 60 + interval))
    grid = tuple((float(beats_a_bar * k), float(beats_a_bar)) for k in range(bars_count))
    return scores.Score(
        name="blocks",
        parts=tuple(tuple(p) for p in parts),
        bars=bars or grid,
        metre=f"{beats_a_bar}/4",
        bar=float(beats_a_bar),
        beat=1.0,
        tonic=tonic,
        mode=mode,
        phrase_ends=(8.0, 16.0, 24.0, 32.0),
    )


def cut(piece: scores.Score, clip: str = "x/blocks/0", **options):
    options = {"program": 0, "tonic": 0, **options}
    return excerpts.cut(piece, clip=clip, subset="x", split="train", group="x/blocks", **options)


# --- midi ---------------------------------------------------------------------------------------


def test_midi_file_is_what_another_reader_finds_in_it():
    pretty_midi = pytest.importorskip("pretty_midi")
    notes = [
        Note(0.0, 0.5, 60, 0),
        Note(0.5, 0.5, 60, 0),  # repeated without a gap
        Note(0.25, 1.0, 60, 1),  # the same pitch held by another voice
        Note(1.2345, 0.1, 127, 3),
        Note(3.0, 4.9, 0, 2),
    ]
    data = midi.write(notes, program=71, velocity=99, end=8.0)
    read = pretty_midi.PrettyMIDI(io.BytesIO(data))
    assert {i.program for i in read.instruments} == {71}
    assert not any(i.is_drum for i in read.instruments)
    found = sorted((n.start, n.end, n.pitch, n.velocity) for i in read.instruments for n in i.notes)
    wanted = sorted((n.onset, n.onset + n.duration, n.pitch, 99) for n in notes)
    np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x81\x00"), (0x0FFFFFFF, b"\xff\xff\xff\x7f")],
)
def test_variable_length_numbers_of_the_midi_standard(value, data):
    assert midi.variable_length(value) == data


# --- draws --------------------------------------------------------------------------------------


def test_draws_are_uniform_and_those_of_two_factors_unrelated():
    a = np.array([draws.uniform(f"clip{i}", "tempo") for i in range(2000)])
    b = np.array([draws.uniform(f"clip{i}", "velocity") for i in range(2000)])
    assert 0 <= a.min() and a.max() < 1 and abs(a.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.07


def test_draws_are_the_same_on_every_machine():
    # sha256 of b"clip|tempo", first seven bytes, as any tool computes it
    assert draws.uniform("clip", "tempo") == 0x5B29EAA1981D92 / 2.0**56


def test_dealing_is_even_and_does_not_follow_the_order_of_items():
    items = [f"clip{i:03d}" for i in range(121)]
    dealt = draws.deal(items, "tonic", range(12))
    assert set(Counter(dealt.values()).values()) == {10, 11}
    assert dealt == draws.deal(reversed(items), "tonic", range(12))
    assert abs(np.corrcoef(np.arange(121), [dealt[i] for i in items])[0, 1]) < 0.3
    assert [dealt[i] for i in items[:12]] != sorted(dealt[i] for i in items[:12])


# --- harmony ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", harmony.QUALITIES)
@pytest.mark.parametrize("root", range(12))
def test_every_chord_is_recognised_from_its_own_notes(root, quality):
    weights = np.zeros(12)
    weights[[(root + i) % 12 for i in harmony.QUALITIES[quality]]] = 1.0
    assert harmony.chord_of(weights, root) == f"{harmony.PITCH_CLASSES[root]}:{quality}"


def test_a_short_passing_note_does_not_change_the_chord():
    weights = np.zeros(12)
    weights[[0, 4, 7]], weights[2] = (1.0, 0.5, 0.5), 0.25
    assert harmony.chord_of(weights, 0) == "C:maj"


def test_silence_and_clusters_have_no_chord():
    assert harmony.chord_of(np.zeros(12), None) == "N"
    assert harmony.chord_of(np.ones(12), 0) == "X"


@pytest.mark.parametrize("mode", harmony.PROFILES)
@pytest.mark.parametrize("tonic", range(12))
def test_key_of_a_scale_with_its_tonic_triad(tonic, mode):
    scale = (0, 2, 4, 5, 7, 9, 11) if mode == "major" else (0, 2, 3, 5, 7, 8, 11)
    triad = (0, 4, 7) if mode == "major" else (0, 3, 7)
    weights = np.zeros(12)
    weights[[(tonic + i) % 12 for i in scale]] += 1.0
    weights[[(tonic + i) % 12 for i in triad]] += 1.0
    assert harmony.key_of(weights) == (tonic, mode)


def test_key_and_chord_names_are_those_mir_eval_reads():
    mir_eval = pytest.importorskip("mir_eval")
    for tonic, mode in harmony.KEYS:
        mir_eval.key.validate_key(harmony.key_name(tonic, mode))
    names = [f"{harmony.PITCH_CLASSES[root]}:{quality}" for root, quality in harmony.CHORDS]
    for name in [*names, "N", "X"]:
        mir_eval.chord.validate_chord_label(name)
    for (root, quality), name in zip(harmony.CHORDS, names, strict=True):
        number, bitmap, _ = mir_eval.chord.encode(name)
        assert number == root and tuple(np.flatnonzero(bitmap)) == harmony.QUALITIES[quality]


# --- groups and splits --------------------------------------------------------------------------


def test_transposed_and_overlapping_melodies_are_one_group():
    rng = np.random.default_rng(0)
    one, other = rng.integers(55, 80, 60).tolist(), rng.integers(55, 80, 60).tolist()
    bridge = one[30:] + other[:30]
    melodies = {"a": one, "b": [p + 5 for p in one], "c": other, "d": rng.integers(55, 80, 60)}
    apart = splits.melody_groups(melodies)
    assert apart["a"] == apart["b"] == "a" and len(set(apart.values())) == 3
    joined = splits.melody_groups({**melodies, "e": bridge})
    assert joined["a"] == joined["c"] == joined["e"] and joined["d"] == "d"


def test_likeness_in_one_view_is_enough():
    rng = np.random.default_rng(1)
    plain = {"a": rng.integers(55, 80, 40).tolist(), "b": rng.integers(55, 80, 40).tolist()}
    tune = rng.integers(55, 80, 40).tolist()
    assert len(set(splits.melody_groups(plain).values())) == 2
    assert len(set(splits.melody_groups(plain, {"a": tune, "b": tune}).values())) == 1


def test_splits_keep_groups_whole_reach_the_ratios_and_spread_rare_classes():
    rng = np.random.default_rng(2)
    groups = {f"p{i:03d}": f"g{rng.integers(90)}" for i in range(220)}
    classes = {item: ("rare",) if k % 20 == 0 else ("major",) for k, item in enumerate(groups)}
    split = splits.assign(groups, classes)
    for group in set(groups.values()):
        assert len({split[i] for i in groups if groups[i] == group}) == 1
    counts = Counter(split.values())
    rare = Counter(split[i] for i in groups if "rare" in classes[i])
    for name, ratio in splits.RATIOS.items():
        assert abs(counts[name] / 220 - ratio) < 0.02
        assert rare[name] >= 1
    assert split == splits.assign(dict(reversed(groups.items())), classes)


def test_programs_of_test_inst_are_never_seen_and_their_families_are():
    assert not set(programs.SEEN) & set(programs.UNSEEN)
    assert len(set(programs.SEEN + programs.UNSEEN)) == 27
    assert {programs.FAMILY[p] for p in programs.UNSEEN} == {
        programs.FAMILY[p] for p in programs.SEEN
    }
    assert set(programs.THEORY_SEEN) <= set(programs.SEEN)
    assert set(programs.THEORY_UNSEEN) <= set(programs.UNSEEN)
    families = {programs.FAMILY[p] for p in programs.THEORY_SEEN}
    assert {programs.FAMILY[p] for p in programs.THEORY_UNSEEN} <= families
    for program, family in programs.FAMILY.items():
        general_midi = ("piano", "chromatic percussion", "organ", "guitar", "bass", "strings",
                        "ensemble", "brass", "reed", "pipe")  # fmt: skip
        assert general_midi[program // 8] == family


# --- bars and excerpts --------------------------------------------------------------------------


def test_an_upbeat_and_a_bar_split_at_a_repeat_keep_the_count():
    bars = ((0.0, 1.0), (1.0, 4.0), (5.0, 3.0), (8.0, 1.0), (9.0, 4.0), (13.0, 3.0))
    piece = score(bars=bars)
    assert excerpts.regular_stretch(piece) == (0.0, 16.0, 1.0)


def test_an_irregular_bar_ends_the_stretch():
    bars = ((0.0, 4.0), (4.0, 5.0), (9.0, 4.0), (13.0, 4.0), (17.0, 4.0))
    assert excerpts.regular_stretch(score(bars=bars)) == (9.0, 21.0, 1.0)
    extra_beat = ((0.0, 4.0), (4.0, 4.0), (8.0, 4.0), (12.0, 1.0), (13.0, 4.0), (17.0, 4.0))
    start, end, phase = excerpts.regular_stretch(score(bars=extra_beat))
    assert (start, end, phase) in {(0.0, 12.0, 0.0), (12.0, 21.0, 1.0)}


def test_a_piece_that_is_short_at_the_fastest_tempo_is_left_out():
    assert excerpts.long_enough(score(bars_count=6))
    assert not excerpts.long_enough(score(bars_count=5))


@pytest.mark.parametrize("number", range(6))
def test_the_excerpts_times_and_chords_follow_from_the_score(number):
    piece = score()
    clip, sound = cut(piece, clip=f"x/blocks/{number}", tonic=2)
    quarter = 60.0 / clip.labels["tempo"]
    start = clip.start / quarter
    beats = np.array(clip.events["beats"])
    np.testing.assert_allclose(np.diff(beats), quarter, atol=2e-4)
    in_score = beats / quarter + start
    np.testing.assert_allclose(in_score, np.round(in_score), atol=2e-3)
    downs = np.array(clip.events["downbeats"]) / quarter + start
    np.testing.assert_allclose(downs % 4 - np.round(downs % 4 / 4) * 4, 0, atol=2e-3)
    assert set(clip.events["downbeats"]) <= set(clip.events["beats"])
    ends = np.array(clip.events["phrase_ends"]) / quarter + start
    assert set(np.round(ends, 2)) <= {8.0, 16.0, 24.0, 32.0}
    # D G A D: the block chords, a whole tone up
    names = [("D", "G", "A", "D")[int(round(b)) % 4] + ":maj" for b in in_score]
    assert [s.value for s in clip.segments["chord"]] == names[:-1]
    assert clip.labels["key"] == "D major" and clip.labels["tonic"] == "D"
    assert all(0 <= n.onset and n.onset + n.duration <= 8.0001 for n in sound.notes)
    assert clip.labels["polyphony"] == pytest.approx(3.0, abs=0.03)
    assert clip.labels["density"] == pytest.approx(len(sound.notes) / 8.0, abs=1e-3)


def test_places_differ_and_may_begin_anywhere_in_a_beat():
    first = [cut(score(bars_count=40), clip=f"x/{k}")[0].events["beats"][0] for k in range(40)]
    tempi = [cut(score(bars_count=40), clip=f"x/{k}")[0].labels["tempo"] for k in range(40)]
    phase = np.array(first) * np.array(tempi) / 60.0
    assert phase.min() < 0.2 and phase.max() > 0.8 and phase.max() <= 1.0 + 1e-3
    assert excerpts.TEMPO[0] <= min(tempi) < 65 and 125 < max(tempi) <= excerpts.TEMPO[1]


def test_slots_follow_each_other_through_the_piece():
    piece = score(bars_count=40)
    starts = []
    for k in range(3):
        clip, _ = cut(piece, clip=f"x/blocks/{k}", slot=k, slots=3)
        starts.append((clip.start + 4.0) * clip.labels["tempo"] / 60.0)
    assert starts == sorted(starts)


def test_modal_tunes_have_tonic_and_mode_but_no_key():
    clip, _ = cut(score(mode="dorian"), tonic=7)
    assert clip.labels["mode"] == "dorian" and clip.labels["tonic"] == "G"
    assert "key" not in clip.labels


def test_a_key_is_trusted_when_three_witnesses_agree():
    assert music.trusted(score())
    assert not music.trusted(score(tonic=5))  # notated F, ends on C
    assert not music.trusted(score(mode="minor"))


def test_joined_ties_and_split_bars_of_a_real_reader(tmp_path):
    pytest.importorskip("music21")
    tune = "X:1\nT:t\nR:reel\nM:C|\nL:1/8\nK:Gdor\nG2|A4-A4|{c}B2 z2 d4-|d8|\n"
    path = tmp_path / "t.abc"
    path.write_text(tune)
    piece = scores.parse(path)
    assert piece.metre == "2/2" and piece.bar == 4.0 and piece.beat == 2.0
    # A tied over the half bar, the grace note gone, d tied over the bar line
    expected = ((0.0, 1.0, 67), (1.0, 4.0, 69), (5.0, 1.0, 70), (7.0, 6.0, 74))
    assert piece.parts == (expected,)
    assert piece.bars[:2] == ((0.0, 1.0), (1.0, 4.0))
    fields = scores.abc_fields(path)
    assert fields["R"] == ["reel"] and fields["K"] == ["Gdor"]


def test_tunes_that_change_key_or_metre_or_hide_them_are_left_out(tmp_path, monkeypatch):
    header = "X:1\nR: Highland Fling\nM: C|\nL:1/8\n"
    texts = {
        "plain": header + "K:Bbmix % two flats\nG8|\n",
        "metre": header + "K:Gm\nG8|\nM:3/4\nG6|\n",
        "key": header + "K:Gm\nG8|[K:Bb]G8|\n",
        "mode": header + "K:Glyd\nG8|\n",
        "dance": header.replace("Highland Fling", "waltz") + "K:G\nG8|\n",
        "slip": header.replace("C|", "9/8") + "K:G\nG9|\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.abc").write_text(text)
    monkeypatch.setattr(music.sources, "corpus", lambda *_: sorted(tmp_path.iterdir()))
    assert music._tunes() == {tmp_path / "plain.abc": ("strathspey", 10, "mixolydian")}
