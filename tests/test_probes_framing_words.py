"""Every score of a frame task is said in words."""

from __future__ import annotations

import pytest

from probes.errors import ProbeError
from probes.framing.words import score_in_words
from probes.tasks.frames import ENTRIES


@pytest.mark.parametrize("task", ENTRIES, ids=lambda task: task.name)
def test_scores_of_a_task_differ_in_words(task):
    said = [score_in_words(task.reader, name) for name in (task.metric, *task.also)]
    assert all(what and source for what, source in said)
    assert len(set(said)) == len(said)
    assert not any("{" in part for pair in said for part in pair)


def test_tolerances_and_voices_are_those_of_the_name():
    assert "within 3 s" in score_in_words("boundaries", "F 3")[0]
    assert "precision" in score_in_words("moments", "P 0.5")[0]
    assert "in which 3 sound" in score_in_words("pitches", "F 3")[0]
    assert "vocals" in score_in_words("sources", "F vocals")[0]


def test_a_score_that_nobody_described_is_an_error():
    with pytest.raises(ProbeError, match="say in probes/framing/words.py"):
        score_in_words("chords", "sevens")
