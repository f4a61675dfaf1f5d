"""The subset voices: only the number of voices may tell its clips apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("music21")
pytest.importorskip("pretty_midi")

from mini_pieces import built  # noqa: E402

from extract.datasets.base import SPLITS  # noqa: E402
from extract.datasets.mini import programs, table, timed, voices  # noqa: E402


@pytest.fixture(
    scope="module", params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["few", "all"]
)
def subsets(request):
    return built(few=request.param)


@pytest.fixture(scope="module")
def fours(subsets):
    """The four clips of each excerpt."""
    found = defaultdict(list)
    for piece in subsets["voices"]:
        found[piece.clip.id.rsplit("/", 1)[0]].append(piece)
    assert len(found) >= 7
    return list(found.values())


def test_the_label_is_the_number_of_voices_that_are_played(fours):
    for four in fours:
        assert [p.clip.labels for p in four] == [{"voices": str(k)} for k in (1, 2, 3, 4)]
        assert [len(p.voices) for p in four] == [1, 2, 3, 4]
        for piece in four:
            assert piece.clip.id.endswith(f"/{piece.clip.labels['voices']}")


def test_the_clips_of_an_excerpt_differ_in_nothing_but_their_voices(fours):
    for four in fours:
        whole = four[-1]
        for piece in four:
            same = replace(piece.clip, id="", labels={}, segments=whole.clip.segments) == replace(
                whole.clip, id="", labels={}
            )
            assert same
            assert piece.sound.program == whole.sound.program
            assert piece.sound.velocity == whole.sound.velocity
            kept = tuple(n for n in whole.sound.notes if n.voice in piece.voices)
            assert piece.sound.notes == kept


def test_as_many_pitches_sound_as_there_are_voices(fours):
    """Voices seldom rest and are seldom in unison: the label is true of the sound."""
    for four in fours:
        for count, piece in enumerate(four, start=1):
            shares = timed.sounding(piece.clip.segments["notes"], 8.0)
            assert shares[count] >= voices.CLEAR, piece.clip.id


def test_groups_and_splits_are_those_of_the_chorales(subsets, fours):
    split = {p.clip.group: p.clip.split for p in subsets["chorale"]}
    of_piece = {p.clip.track: p.clip.group for p in subsets["chorale"]}
    for four in fours:
        clip = four[0].clip
        assert split[clip.group] == clip.split and of_piece[clip.track] == clip.group
    groups = [four[0].clip.group for four in fours]
    assert len(set(groups)) == len(groups)
    assert {four[0].clip.split for four in fours} == set(SPLITS)


def test_programs_of_test_inst_are_unseen(fours):
    for four in fours:
        assert four[0].sound.program in programs.programs_of(four[0].clip.split)


def test_every_choice_of_voices_is_as_frequent_as_every_other(fours):
    for split in SPLITS:
        for count, choices in ((1, 4), (2, 6), (3, 4)):
            members = [f[count - 1] for f in fours if f[0].clip.split == split]
            found = Counter(tuple(p.voices) for p in members)
            assert max(found.values()) - min(found.values()) <= 1
            assert len(found) == min(choices, len(members))


def test_the_order_of_the_scores_does_not_matter(subsets):
    chorales = [p for p in subsets["chorale"]]
    scores = list({p.score.name: p.score for p in chorales}.values())
    groups = {p.score.name: p.clip.group.split("/", 1)[1] for p in chorales}
    split = {p.score.name: p.clip.split for p in chorales}
    rows = voices.build(scores[::-1], groups, split)
    wanted = [(p.clip, p.sound) for p in subsets["voices"]]
    assert table.digest(table.encode(rows)) == table.digest(table.encode(wanted))


def test_an_excerpt_in_unison_is_not_taken(subsets):
    """Two parts that sing the same leave three pitches: such a piece gives no clips."""
    score = subsets["voices"][0].score
    doubled = replace(score, parts=(score.parts[0], score.parts[0], *score.parts[2:]))
    assert voices._clear([score]) is not None
    assert voices._clear([doubled]) is None


@pytest.mark.slow
def test_the_pitches_that_sound_do_not_tell_how_many_voices_do():
    """Mean pitch is alike and a reader of it at chance; what other readers reach is printed."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pieces = built(few=False)["voices"]
    assert len(pieces) == 4 * sum(voices.EXCERPTS.values())
    count = np.array([int(p.clip.labels["voices"]) for p in pieces])
    split = np.array([p.clip.split for p in pieces])
    cues, shares = defaultdict(list), []
    for piece, number in zip(pieces, count, strict=True):
        notes = piece.clip.segments["notes"]
        pitches = [n.value for n in notes]
        cues["mean pitch"].append([np.average(pitches, weights=[n.end - n.start for n in notes])])
        cues["lowest and highest pitch"].append([min(pitches), max(pitches)])
        cues["notes a second"].append([len(notes) / 8.0])
        cues["moments with onsets a second"].append([len({n.start for n in notes}) / 8.0])
        shares.append(timed.sounding(notes, 8.0)[number])
    reached = {}
    for name, values in cues.items():
        x = np.array(values)
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=5000))
        reader.fit(x[split == "train"], count[split == "train"])
        reached[name] = [
            balanced_accuracy_score(count[split == s], reader.predict(x[split == s]))
            for s in ("test", "test_inst")
        ]
        print(f"voices from {name}: {reached[name][0]:.2f}, unseen programs {reached[name][1]:.2f}")
    numbers = (1, 2, 3, 4)
    means = [np.mean(np.array(cues["mean pitch"])[count == k]) for k in numbers]
    print("mean pitch by voices", np.round(means, 1))
    as_many = [np.mean(np.array(shares)[count == k]) for k in numbers]
    print("share of time with as many pitches", np.round(as_many, 3))
    assert max(means) - min(means) < 1.0
    assert max(reached["mean pitch"]) < 0.35  # chance: 0.25
