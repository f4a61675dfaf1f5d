"""The whole table of the data set mini: a minute or more, so all of it is slow."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

pytest.importorskip("music21")
pytest.importorskip("pretty_midi")
pytest.importorskip("midirenderer")

from scipy import stats  # noqa: E402

from extract.datasets.base import SPLITS  # noqa: E402
from extract.datasets.mini import (  # noqa: E402
    Mini,
    harmony,
    programs,
    render,
    scores,
    sources,
)
from extract.datasets.mini.excerpts import Sound, pitch_weights  # noqa: E402
from extract.datasets.mini.midi import Note  # noqa: E402

pytestmark = pytest.mark.slow
CLASSES = {
    **{"key": 24, "tonic": 12, "mode": 4, "metre": 4, "compound": 2, "dance": 5, "family": 9},
    **{"pitch_class": 12, "octave": 3, "voices": 4},
    **{"triad_root": 12, "triad_quality": 4, "triad_inversion": 3},
}


@pytest.fixture(scope="module")
def mini():
    return Mini()


@pytest.fixture(scope="module")
def music(mini):
    return [c for c in mini.clips if c.subset in ("chorale", "fiddle")]


def test_sizes(mini):
    count = Counter(c.subset for c in mini.clips)
    assert 440 <= count["chorale"] <= 520 and 270 <= count["fiddle"] <= 300
    assert count["note"] == 486 and count["theory"] == 864 and count["voices"] == 240
    assert len({c.id for c in mini.clips}) == len(mini.clips)
    splits = Counter((c.subset, c.split) for c in mini.clips)
    for subset in ("chorale", "fiddle", "voices"):
        assert all(splits[subset, split] >= 30 for split in SPLITS)


@pytest.mark.parametrize("label", CLASSES)
def test_every_class_is_in_every_split(mini, label):
    found = {
        split: Counter(
            c.labels[label] for c in mini.clips if label in c.labels and c.split == split
        )
        for split in SPLITS
    }
    for split in SPLITS:
        assert len(found[split]) == CLASSES[label], f"{label} in {split}: {found[split]}"
    assert min(found["train"].values()) >= 10


def test_no_melody_is_in_two_splits_and_no_program_in_both_pools(mini):
    splits, pools = defaultdict(set), defaultdict(set)
    for clip in mini.clips:
        if clip.subset in ("chorale", "fiddle", "voices"):
            splits[clip.group].add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    for clip in mini.clips:
        pools[mini.sound(clip).program].add(clip.split == programs.UNSEEN_SPLIT)
    assert all(len(found) == 1 for found in pools.values())


def test_what_is_drawn_is_independent_of_the_piece(music):
    """Tempo, tonic and family against mode, metre, dance and each other, within the subsets."""
    values = []
    for subset in ("chorale", "fiddle"):
        clips = [c for c in music if c.subset == subset]
        slow = np.median([c.labels["tempo"] for c in clips])
        for drawn in ("tempo", "tonic", "family"):
            for given in ("mode", "metre", "dance", "tonic", "family"):
                if drawn == given or not all(given in c.labels for c in clips):
                    continue
                table = Counter(
                    (c.labels[drawn] > slow if drawn == "tempo" else c.labels[drawn],
                     c.labels[given])
                    for c in clips
                )  # fmt: skip
                rows, columns = sorted({a for a, _ in table}), sorted({b for _, b in table})
                grid = np.array([[table[a, b] for b in columns] for a in rows])
                values.append(stats.chi2_contingency(grid).pvalue)
    assert len(values) >= 12
    assert min(values) > 0.05 / len(values)  # Bonferroni


def test_another_build_gives_the_same_table(mini, tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    assert Mini().card.identity == mini.card.identity


def chroma(wave: np.ndarray, rate: int) -> np.ndarray:
    size = 1 << (len(wave) - 1).bit_length() + 1
    values = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size))
    frequency = np.fft.rfftfreq(size, 1.0 / rate)
    use = (frequency > 65.0) & (frequency < 1500.0)
    note = np.round(69.0 + 12.0 * np.log2(frequency[use] / 440.0)).astype(int)
    out = np.bincount(note % 12, weights=values[use] ** 2, minlength=12) ** 0.5
    return out / (out.sum() + 1e-12)


def test_a_linear_reader_of_chroma_finds_the_chords(mini):
    """Major and minor triads of beats, 24 classes, unseen melodies: chance is 1/24."""
    from sklearn.linear_model import LogisticRegression

    def beats(split: str, number: int) -> tuple[np.ndarray, np.ndarray]:
        clips = [c for c in mini.clips if c.subset == "chorale" and c.split == split]
        x, y = [], []
        for clip in clips[:: max(1, len(clips) // number)]:
            wave = mini.audio(clip, 16_000).numpy()
            for s in clip.segments["chord"]:
                if s.value.endswith((":maj", ":min")):
                    x.append(chroma(wave[int(s.start * 16_000) : int(s.end * 16_000)], 16_000))
                    y.append(s.value)
        return np.array(x), np.array(y)

    x, y = beats("train", 150)
    model = LogisticRegression(C=1000.0, max_iter=2000).fit(x, y)
    scores_of = {split: model.score(*beats(split, 40)) for split in ("test", "test_inst")}
    print(f"chord from chroma, {len(y)} beats to learn from: {scores_of}")
    assert scores_of["test"] > 0.7 and scores_of["test_inst"] > 0.6


def test_chords_agree_with_the_analyst():
    """Roots by template against the Roman numerals of the 16 chorales that align (A. Jones)."""
    from music21 import converter

    folder = sources.package_folder("music21") / "corpus" / "bach"
    names = {n: n for n in ("269", "347", "153.1", "86.6", "267", "281", "17.7", "40.8", "38.6",
                            "65.2", "33.6", "311", "318", "351", "302")}  # fmt: skip
    names["248(2).12"] = "248.12-2"
    right = total = pieces = 0
    for path in sorted((folder / "choraleAnalyses").glob("*.rntxt")):
        head = path.read_text(encoding="latin-1").split("BWV:", 1)[1].split("\n", 1)[0].strip()
        score = scores.parse(folder / f"bwv{names[head]}.mxl") if head in names else None
        if score is None:
            continue
        pieces += 1
        analysis = converter.parse(path, format="romanText", forceSource=True).flatten()
        numerals = [(float(r.offset), r) for r in analysis.getElementsByClass("RomanNumeral")]
        offsets = np.array([offset for offset, _ in numerals])
        end = max(max(n[0] + n[1] for n in part) for part in score.parts)
        for beat in np.arange(offsets[0], end, score.beat):
            numeral = numerals[int(np.searchsorted(offsets, beat + 1e-6)) - 1][1]
            weights = pitch_weights(score, beat, beat + score.beat)
            lowest = [n[2] for part in score.parts for n in part if n[0] <= beat < n[0] + n[1]]
            found = harmony.chord_of(weights, min(lowest) if lowest else None)
            total += 1
            wanted = harmony.PITCH_CLASSES[numeral.root().pitchClass]
            right += found.split(":")[0] == wanted
    print(f"{pieces} chorales, {total} beats, root agrees on {right / total:.3f}")
    assert pieces >= 15 and total > 700 and right / total > 0.8


def test_every_program_sounds_on_every_pitch_it_plays(mini):
    """A key range that a font leaves out would be a note in the labels and not in the sound."""
    pairs = sorted({(s.program, n.pitch) for s in map(mini.sound, mini.clips) for n in s.notes})
    assert len(pairs) > 900
    for program, pitch in pairs:
        sound = Sound((Note(0.0, 0.3, pitch, 0),), program, 80)
        assert render.render(sound, 0.4, f"program {program}, pitch {pitch}").any()
