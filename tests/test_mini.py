"""The data set mini as it is built here: labels that are true of the sound, splits that are fair.

The fast tests read a few dozen scores; those of the whole table are slow.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("music21")
pytest.importorskip("pretty_midi")
pytest.importorskip("midirenderer")

from mini_pieces import FEW, built  # noqa: E402

from extract.datasets.base import SPLITS  # noqa: E402
from extract.datasets.mini import (  # noqa: E402
    Mini,
    harmony,
    midi,
    music,
    programs,
    render,
    sounds,
    sources,
    table,
)
from extract.errors import AudioError, DataError  # noqa: E402

SEEN = SPLITS[:3]


@pytest.fixture(scope="module")
def few():
    """Clips and sounds of a few chorales and fiddle tunes: one small parse for all fast tests."""
    return {
        name: [(piece.clip, piece.sound) for piece in pieces]
        for name, pieces in built(few=True).items()
    }


@pytest.fixture(scope="module")
def single():
    return Mini(("note", "theory"))


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    return tmp_path


def spectrum(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    size = 1 << (len(wave) - 1).bit_length() + 1
    values = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size))
    return np.fft.rfftfreq(size, 1.0 / rate), values


def chroma(wave: np.ndarray, rate: int) -> np.ndarray:
    """[12] energy of a stretch of sound by pitch class, 65 to 1000 Hz."""
    frequency, values = spectrum(wave, rate)
    use = (frequency > 65.0) & (frequency < 1000.0)
    note = np.round(69.0 + 12.0 * np.log2(frequency[use] / 440.0)).astype(int)
    out = np.bincount(note % 12, weights=values[use] ** 2, minlength=12) ** 0.5
    return out / (out.sum() + 1e-12)


# --- single sounds ------------------------------------------------------------------------------


def test_sizes_and_labels_of_the_grids(single):
    clips = single.clips
    assert Counter(c.subset for c in clips) == {"note": 27 * 18, "theory": 864}
    assert len({c.id for c in clips}) == len(clips)
    assert all(c.split in SPLITS and c.duration == 1.5 for c in clips)
    names = {card.name for card in single.card.labels}
    assert names == {
        *("family", "program", "pitch", "pitch_class", "octave", "notes"),
        *("triad_root", "triad_quality", "triad_inversion"),
    }
    augmented = [c for c in clips if c.labels.get("triad_quality") == "augmented"]
    assert len(augmented) == 216
    assert not any("triad_root" in c.labels or "triad_inversion" in c.labels for c in augmented)


@pytest.mark.parametrize(
    "label",
    [
        *("family", "pitch", "pitch_class", "octave"),
        *("triad_root", "triad_quality", "triad_inversion"),
    ],
)
def test_every_class_of_single_sounds_is_in_every_split(single, label):
    found = {
        split: {c.labels[label] for c in single.clips if label in c.labels and c.split == split}
        for split in SPLITS
    }
    assert found["train"] == found["valid"] == found["test"] == found["test_inst"]
    assert len(found["train"]) >= 3


def test_no_sound_stands_in_two_splits(single):
    heard = defaultdict(set)
    for clip in single.clips:
        sound = single.sound(clip)
        heard[sound.program, tuple(sorted(n.pitch for n in sound.notes))].add(clip.split)
    # two clips may hold the same chord (C minor first inversion ...) only within one split
    assert all(len(found) == 1 for found in heard.values())


def test_triads_hold_the_notes_their_labels_say(single):
    for clip in single.clips:
        if "triad_root" not in clip.labels:
            continue
        root = harmony.PITCH_CLASSES.index(clip.labels["triad_root"])
        tones = harmony.QUALITIES[sounds.TRIADS[clip.labels["triad_quality"]]]
        pitches = sorted(n.pitch for n in single.sound(clip).notes)
        assert {p % 12 for p in pitches} == {(root + t) % 12 for t in tones}
        turn = sounds.INVERSIONS.index(clip.labels["triad_inversion"])
        assert pitches[0] % 12 == (root + tones[turn]) % 12


def semitones_off(wave: np.ndarray, pitch: float) -> float:
    """How far a tone (48 kHz) is from a MIDI pitch: its period is the first high peak of the
    autocorrelation."""
    size = len(wave)
    power = np.abs(np.fft.rfft(wave, 2 * size)) ** 2
    likeness = np.fft.irfft(power)[:size] / (size - np.arange(size))
    fine = np.arange(36.0, 98.0, 0.1)
    lags = 48_000 / (440.0 * 2.0 ** ((fine - 69.0) / 12.0))
    values = np.interp(lags, np.arange(size), likeness)
    inner = values[1:-1]
    peaks = np.flatnonzero((inner >= values[:-2]) & (inner >= values[2:])) + 1
    high = peaks[values[peaks] > 0.9 * values[peaks].max()]
    return float(fine[high.max()] - pitch)


@pytest.mark.parametrize("program", programs.SEEN + programs.UNSEEN)
def test_the_pitch_label_is_the_pitch_that_sounds(single, program):
    clips = [c for c in single.clips if c.group == f"note/{programs.name_of(program)}"]
    for clip in clips[::3]:
        pitch = clip.labels["pitch"]
        wave = single.audio(clip, 48_000).numpy()[4800:24000]
        assert abs(semitones_off(wave, pitch)) < 0.55, clip.id


# --- music --------------------------------------------------------------------------------------


def test_programs_of_music_follow_the_split(few):
    for rows in few.values():
        assert len(rows) >= 12
        for clip, sound in rows:
            assert sound.program in programs.programs_of(clip.split)
            if clip.subset == "voices":
                continue
            assert clip.labels["program"] == programs.name_of(sound.program)
            assert clip.labels["family"] == programs.FAMILY[sound.program]


def test_no_melody_is_in_two_splits(few):
    for rows in few.values():
        splits = defaultdict(set)
        for clip, _ in rows:
            splits[clip.group].add(clip.split)
        assert all(len(found) == 1 for found in splits.values())


def test_labels_of_music(few):
    for clip, sound in few["chorale"]:
        assert clip.labels["key"] == f"{clip.labels['tonic']} {clip.labels['mode']}"
        assert clip.labels["metre"] in ("3/4", "4/4", None) and len(sound.notes) > 10
        assert {"chord", "melody"} <= set(clip.segments)
        assert {"beats", "downbeats"} <= set(clip.events)
        assert {n.voice for n in sound.notes} == {0, 1, 2, 3}
    dances = set()
    for clip, _ in few["fiddle"]:
        dances.add(clip.labels["dance"])
        assert ("key" in clip.labels) == (clip.labels["mode"] in ("major", "minor"))
        assert (clip.labels["metre"] == "6/8") == (clip.labels["compound"] == "yes")
        assert clip.labels["polyphony"] < 1.5
    assert len(dances) == 5


def test_segments_are_in_order_and_inside_the_clip(few):
    for rows in few.values():
        for clip, _ in rows:
            for name, segments in clip.segments.items():
                edges = np.array([(s.start, s.end) for s in segments])
                assert (edges[:, 0] < edges[:, 1]).all()
                assert (np.diff(edges[:, 0]) >= 0.0).all()
                # notes sound together, all others follow each other
                assert name == "notes" or (edges[1:, 0] >= edges[:-1, 1] - 1e-9).all()
                assert edges.min() >= 0.0 and edges.max() <= clip.duration
            for moments in clip.events.values():
                assert list(moments) == sorted(moments)
                assert all(0.0 <= m <= clip.duration for m in moments)


def test_beats_are_heard_where_the_labels_say(few):
    """Onsets found in the sound of a struck instrument lie within 30 ms of beats with a note."""
    librosa = pytest.importorskip("librosa")
    hits = total = 0
    for clip, sound in few["chorale"][::9]:
        wave = render.render(replace(sound, program=0), clip.duration, clip.id) / 32768.0
        found = librosa.onset.onset_detect(y=wave, sr=render.RATE, hop_length=128, units="time")
        struck = {n.onset for n in sound.notes}
        for beat in clip.events["beats"]:
            if min(abs(beat - s) for s in struck) < 1e-3 and 0.2 < beat < clip.duration - 0.1:
                total += 1
                hits += np.abs(found - beat).min() < 0.030
    assert total > 20 and hits / total > 0.9


def test_chords_are_heard_where_the_labels_say(few):
    """Major and minor triads by the best template on the chroma of the sound, 24 classes."""
    right = total = 0
    shapes = ([0, 4, 7], [0, 3, 7])
    templates = np.zeros((24, 12))
    for k, row in enumerate(templates):
        row[[(k + tone) % 12 for tone in shapes[k // 12]]] = 1.0
    names = [f"{p}:{q}" for q in ("maj", "min") for p in harmony.PITCH_CLASSES]
    for clip, sound in few["chorale"][::3]:
        wave = render.render(sound, clip.duration, clip.id) / 32768.0
        for segment in clip.segments["chord"]:
            if segment.value in names:
                part = wave[int(segment.start * render.RATE) : int(segment.end * render.RATE)]
                total += 1
                found = int(np.argmax(templates @ chroma(part, render.RATE)))
                right += names[found] == segment.value
    assert total > 40
    assert right / total > 0.5  # chance: 1/24


def test_a_minor_piece_in_training_has_three_clips(few):
    count = Counter((c.track, c.labels["mode"], c.split) for c, _ in few["chorale"])
    for (_, mode, split), number in count.items():
        assert number == (3 if mode == "minor" and split == "train" else 2)


# --- audio --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [48_000, 44_100, 24_000, 22_050, 16_000])
def test_audio_has_the_exact_length_and_level(single, rate):
    wave = single.audio(single.clips[5], rate)
    assert wave.shape == (round(1.5 * rate),) and str(wave.dtype) == "torch.float32"
    assert float(wave.square().mean().sqrt()) == pytest.approx(0.08, rel=0.03)
    assert float(wave.abs().max()) < 1.0


def test_resampling_keeps_the_sound(single):
    """Below 7 kHz the spectrum at 16 kHz is that at 24 kHz."""
    clip = single.clips[700]
    _, fine = spectrum(single.audio(clip, 24_000).numpy(), 24_000)
    _, coarse = spectrum(single.audio(clip, 16_000).numpy(), 16_000)
    step = 24_000 / (2 * (len(fine) - 1))
    other = 16_000 / (2 * (len(coarse) - 1))
    grid = np.arange(50.0, 7000.0, 25.0)
    a = np.interp(grid, np.arange(len(fine)) * step, fine) / 1.5
    b = np.interp(grid, np.arange(len(coarse)) * other, coarse)
    assert np.linalg.norm(a - b) / np.linalg.norm(a) < 0.02


def test_threads_hear_the_same(single):
    clips = single.clips[::300] * 2
    one_by_one = [single.audio(c, 24_000) for c in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda c: single.audio(c, 24_000), clips))
    assert all(np.array_equal(a, b) for a, b in zip(one_by_one, together, strict=True))


def test_kept_audio_is_the_same_and_damage_is_repaired(single, fresh):
    kept = Mini(("note",), cache_audio=True)
    clip = kept.clips[40]
    plain = single.audio(clip, 24_000).numpy()
    assert np.array_equal(kept.audio(clip, 24_000), plain)
    (file,) = (fresh / "mini" / "audio").iterdir()
    before = file.stat().st_mtime_ns
    assert np.array_equal(kept.audio(clip, 24_000), plain) and file.stat().st_mtime_ns == before
    file.write_bytes(file.read_bytes()[:2000])
    assert np.array_equal(kept.audio(clip, 24_000), plain)
    assert np.array_equal(render.read_cached(file), render.render(kept.sound(clip), 1.5, clip.id))


def test_silence_is_an_error(single):
    sound = single.sound(single.clips[0])
    beyond = tuple(n._replace(onset=5.0) for n in sound.notes)
    with pytest.raises(AudioError, match="x/1"):
        render.render(replace(sound, notes=beyond), 1.5, "x/1")


# --- card, cache and errors ---------------------------------------------------------------------


def test_the_card_says_what_it_must(single):
    card = single.card
    words = "synthesised from scores with one General MIDI font; not evidence about recordings"
    assert card.caveats == (words,)
    assert "GPL-2" in card.licence and "music21" in card.licence
    assert "midirenderer" in card.sources and "TimGM6mb" in card.sources
    assert len(card.identity) == 64 and json.dumps(card.as_json())


def test_identity_is_of_the_clips_and_of_what_makes_the_audio(single, fresh, monkeypatch):
    assert Mini(("theory", "note")).card.identity == single.card.identity
    assert Mini(("note",)).card.identity != single.card.identity
    monkeypatch.setattr(sources, "renderer", lambda: "another 1.0")
    assert Mini(("theory", "note")).card.identity != single.card.identity


def test_two_builds_in_fresh_caches_are_equal(few, tmp_path, monkeypatch):
    """Also for scores read in one process instead of two."""
    again = music.parse_all
    monkeypatch.setattr(music, "parse_all", lambda paths: again(paths, processes=1))
    rows = music.build_fiddle(limit=FEW["fiddle"])["fiddle"]
    assert table.digest(table.encode(rows)) == table.digest(table.encode(few["fiddle"]))


def test_the_table_is_kept_and_a_damaged_one_is_built_again(fresh, monkeypatch):
    builds = []
    monkeypatch.setitem(table.BUILDERS, "note", lambda: builds.append(1) or sounds.build_note())
    first = table.load("note")
    assert table.load("note") == first and len(builds) == 1
    (file,) = (fresh / "mini").iterdir()
    whole = file.read_bytes()
    swapped = gzip.compress(gzip.decompress(whole).replace(b'"train"', b'"valid"', 1))
    for damaged in (b"", whole[:-200], whole[:500] + b"\0" * 50 + whole[550:], swapped, b"{}"):
        count = len(builds)
        file.write_bytes(damaged)
        assert table.load("note") == first and len(builds) == count + 1
    assert [p.name for p in (fresh / "mini").iterdir()] == [file.name]


@pytest.mark.parametrize("order", [("chorale", "voices"), ("voices", "chorale")])
def test_scores_are_read_once_for_all_that_is_made_of_them(few, fresh, monkeypatch, order):
    builds = []

    def build():
        builds.append(1)
        return {name: few[name] for name in order}

    for name in order:
        monkeypatch.setitem(table.BUILDERS, name, build)
    assert [table.load(name) for name in order] == [few[name] for name in order]
    assert len(builds) == 1


def test_a_new_version_of_the_scores_is_a_new_table(monkeypatch):
    old = {name: table.key_of(name) for name in table.BUILDERS}
    assert len(set(old.values())) == 5
    version = sources.version_of
    monkeypatch.setattr(sources, "version_of", lambda p: "99" if p == "music21" else version(p))
    changed = {name for name in old if table.key_of(name) != old[name]}
    assert changed == set(table.FROM_SCORES) == {"chorale", "fiddle", "voices"}


@pytest.mark.parametrize("package", ["music21", "pretty_midi", "midirenderer"])
def test_a_missing_package_is_named_with_its_cure(fresh, monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    # should the error not come, it must not take a minute to say so
    nothing = {name: [] for name in table.BUILDERS}
    monkeypatch.setattr(table, "BUILDERS", dict.fromkeys(table.BUILDERS, lambda: nothing))
    with pytest.raises(DataError, match=rf"{package}.*pip install 'music-rsa\[demo\]'"):
        Mini()


def test_single_sounds_do_not_need_the_scores(fresh, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "music21" else find(name)
    )
    assert len(Mini(("theory",)).clips) == 864


def test_unknown_subsets_and_clips(single):
    for wrong in (("notes",), (), ("note", "x")):
        with pytest.raises(DataError, match="chorale, fiddle, note, theory, voices"):
            Mini(wrong)
    with pytest.raises(DataError, match="chorale/bwv1.6/0"):
        single.audio(replace(single.clips[0], id="chorale/bwv1.6/0"), 24_000)


def test_a_failing_worker_is_one_line(tmp_path):
    files = [tmp_path / f"{k}.abc" for k in range(16)]
    with pytest.raises(DataError, match="music21 could not read"):
        music.parse_all(files, processes=2)


def test_midi_of_the_widest_clip_fits_its_channels(few):
    for rows in few.values():
        assert max(n.voice for _, s in rows for n in s.notes) < midi.CHANNELS
