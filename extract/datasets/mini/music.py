"""The subsets of real music: Bach's chorales and fiddle tunes, as clips of eight seconds."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from extract.datasets.base import Clip
from extract.datasets.mini import harmony, sources, voices
from extract.datasets.mini.draws import deal, uniform
from extract.datasets.mini.excerpts import METRES, Sound, cut, long_enough, pitch_weights
from extract.datasets.mini.programs import programs_of
from extract.datasets.mini.scores import Score, abc_fields, parse_all, part_count
from extract.datasets.mini.splits import assign, melody_groups

Rows = list[tuple[Clip, Sound]]

DANCES = {
    "reel": "reel",
    "hornpipe": "hornpipe",
    "jig": "jig",
    "clog": "clog",
    # the highland fling is danced to a strathspey
    "strathspey": "strathspey",
    "highland fling": "strathspey",
    "fling": "strathspey",
}
TUNES_A_DANCE = 64
SPARE = 8  # tunes read beyond that, for those that turn out too short or irregular
MODES = {
    "": "major",
    "maj": "major",
    "M": "major",
    "m": "minor",
    "min": "minor",
    "minor": "minor",
    "dor": "dorian",
    "dorian": "dorian",
    "mix": "mixolydian",
    "mixolydian": "mixolydian",
}


def build_chorales(limit: int | None = None) -> dict[str, Rows]:
    """Clips of the four-part chorales whose key three witnesses agree on: two subsets.

    `chorale` has two clips a piece, three for minor pieces in training, so that the modes are
    nearer to equal; `voices` is of the same pieces, in the same groups and splits.

    Parameters
    ----------
    limit : read only so many files, spread evenly over the corpus (for a quick look).
    """
    files = [path for path in sources.corpus("bach", "*.mxl") if part_count(path) == 4]
    everything = parse_all(_thin(files, limit))
    scores = [s for s in everything if trusted(s) and long_enough(s)]
    # pieces that are left out still tell which of the others are the same hymn
    joined = melody_groups(
        {s.name: [n[2] for n in s.parts[0]] for s in everything},
        {s.name: on_beats(s) for s in everything},
    )
    groups = {s.name: joined[s.name] for s in scores}
    split = assign(groups, {s.name: (s.mode, s.metre, s.mode + s.metre) for s in scores})
    wanted = {s.name: 3 if s.mode == "minor" and split[s.name] == "train" else 2 for s in scores}
    return {
        "chorale": _excerpts("chorale", scores, groups, split, wanted, {}),
        voices.SUBSET: voices.build(scores, groups, split),
    }


def build_fiddle(limit: int | None = None) -> dict[str, Rows]:
    """The subset `fiddle`: one clip of each of some tunes of Ryan's Mammoth Collection.

    Five dances, at most `TUNES_A_DANCE` of each; minor and modal tunes first, as most are in major.
    """
    tunes = _tunes()
    chosen: list[Path] = []
    for dance in sorted(set(DANCES.values())):
        order = sorted(
            (path for path, tune in tunes.items() if tune[0] == dance),
            key=lambda path: (tunes[path][2] == "major", uniform(path.stem, "tune")),
        )
        quota = None if limit is None else limit // 5
        chosen += order[: TUNES_A_DANCE + SPARE][:quota]
    facts = {path.stem: tunes[path] for path in chosen}
    scores, taken = [], defaultdict(int)
    for score in parse_all(chosen):
        dance, tonic, mode = facts[score.name]
        if long_enough(score) and taken[dance] < TUNES_A_DANCE:
            taken[dance] += 1
            scores.append(dataclasses.replace(score, tonic=tonic, mode=mode))
    groups = melody_groups({s.name: [n[2] for n in s.parts[0]] for s in scores})
    extra = {
        s.name: {
            "dance": facts[s.name][0],
            "compound": "yes" if s.metre.endswith("/8") else "no",
        }
        for s in scores
    }
    classes = {s.name: (s.mode, facts[s.name][0], METRES[s.metre]) for s in scores}
    split = assign(groups, classes)
    wanted = {s.name: 1 for s in scores}
    return {"fiddle": _excerpts("fiddle", scores, groups, split, wanted, extra)}


def trusted(score: Score) -> bool:
    """Whether notated key, last bass note and the notes' own key (Krumhansl) agree.

    The notated key alone is often wrong for modal pieces and for those that end on a half
    cadence; the rule keeps tonally clear pieces only.
    """
    key = (score.tonic, score.mode)
    last = max(score.parts[-1])[2] % 12
    return last == score.tonic and harmony.key_of(pitch_weights(score)) == key


def on_beats(score: Score) -> list[int]:
    """The first part's pitch on each beat: the hymn tune without its passing notes."""
    out, beat = [], 0.0
    for onset, duration, pitch in score.parts[0]:
        while beat < onset + duration - 1e-6:
            if beat >= onset - 1e-6:
                out.append(pitch)
            beat += score.beat
    return out


def _tunes() -> dict[Path, tuple[str, int, str]]:
    """Dance, tonic and mode of each tune whose header states them plainly.

    Tunes that change key or metre are left out: the reader of ABC overlooks such changes.
    """
    out = {}
    for path in sources.corpus("ryansMammoth", "*.abc"):
        fields = abc_fields(path)
        if len(fields.get("K", ())) != 1 or len(fields.get("M", ())) != 1:
            continue
        dance = DANCES.get(fields.get("R", [""])[0].lower())
        key = re.fullmatch(r"([A-G])([b#]?)\s*([A-Za-z]*)", fields["K"][0])
        metre = {"C": "4/4", "C|": "2/2"}.get(fields["M"][0], fields["M"][0])
        if dance is None or key is None or metre not in METRES:
            continue
        mode = MODES.get(key[3]) or MODES.get(key[3].lower())
        if mode is None:
            continue
        tonic = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[key[1]]
        out[path] = (dance, (tonic + {"": 0, "b": -1, "#": 1}[key[2]]) % 12, mode)
    return out


def _thin(files: list[Path], limit: int | None) -> list[Path]:
    if limit is None or limit >= len(files):
        return files
    return [files[k * len(files) // limit] for k in range(limit)]


def _excerpts(
    subset: str,
    scores: Sequence[Score],
    groups: Mapping[str, str],
    split: Mapping[str, str],
    wanted: Mapping[str, int],
    extra: Mapping[str, dict[str, str]],
) -> Rows:
    """All clips of a subset; tonic and program are dealt within each split."""
    order = sorted(scores, key=lambda s: s.name)
    clips = {f"{subset}/{s.name}/{k}": (s, k) for s in order for k in range(wanted[s.name])}
    by_split, by_mode = defaultdict(list), defaultdict(list)
    for clip, (score, _) in clips.items():
        by_split[split[score.name]].append(clip)
        by_mode[split[score.name], score.mode].append(clip)
    program: dict[str, int] = {}
    for name, members in by_split.items():
        program.update(deal(members, "program", programs_of(name)))
    tonic: dict[str, int] = {}
    for members in by_mode.values():
        tonic.update(deal(members, "tonic", range(12)))
    return [
        cut(
            score,
            clip=clip,
            subset=subset,
            split=split[score.name],
            group=f"{subset}/{groups[score.name]}",
            program=program[clip],
            tonic=tonic[clip],
            slot=k,
            slots=wanted[score.name],
            extra=extra.get(score.name),
        )
        for clip, (score, k) in clips.items()
    ]
