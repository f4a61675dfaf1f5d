"""Frame tasks from the scores of `mini` to results, through audio, references and the store."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("music21")
pytest.importorskip("pretty_midi")
pytest.importorskip("midirenderer")

from extract.datasets.mini import Mini  # noqa: E402
from extract.models import references  # noqa: E402
from extract.pipeline import extract  # noqa: E402
from probes.framing.running import run_frames  # noqa: E402
from probes.tasks import resolve  # noqa: E402

pytestmark = pytest.mark.slow
MOST = {"train": 80, "valid": 24, "test": 24}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    mini, count, clips = Mini(("chorale",)), Counter(), []
    for clip in mini.clips:
        count[clip.split] += 1
        if count[clip.split] <= MOST.get(clip.split, 0):
            clips.append(clip)
    tasks = resolve(["beat", "melody", "chord_frames"], mini.card.labels)
    kinds = list(dict.fromkeys(task.rows for task in tasks))
    found = extract(references(), mini, clips, kinds, tmp_path_factory.mktemp("frames"))
    parts = [run_frames(found[kind], found[kind].rows, tasks, ordered=False) for kind in kinds]
    return parts[0].merge(*parts[1:])


def test_onsets_tell_beats_and_chroma_tells_chords(results):
    beat, chord = results["beat"], results["chord_frames"]
    score = {layer.layer: layer.splits["test"].value for layer in beat.layers}
    assert score["log-mel"] > beat.chance + 0.1 and score["onset"] > beat.chance
    score = {layer.layer: layer.splits["test"].value for layer in chord.layers}
    assert chord.selected in ("chroma", "log-mel")
    assert score["chroma"] > 0.35 > score["loudness"] + 0.1
    assert score["loudness"] < chord.chance + 0.1


def test_the_melody_is_told_by_the_spectrum(results):
    melody = results["melody"]
    assert melody.selected == "log-mel"
    assert melody.best.low > melody.chance + 0.1
    assert melody.n["test"] == 24 * 200
