"""What the scores of frame tasks are, in words."""

from __future__ import annotations

from probes.errors import ProbeError

_BEATS = "Davies, Degara and Plumbley 2009; mir_eval.beat"
_SEGMENTS = "mir_eval.segment, trimmed"
_CHORDS = "mir_eval.chord"
_MELODY = "Salamon et al. 2014; mir_eval.melody"
_PITCHES = "mir_eval.multipitch"
_FRAMES = "frames of all clips in one"
_TRACKED = (
    "F measure of moments within 70 ms, after the first 5 s of clips of 10 s or more; mean over "
    "clips"
)
_HITS = "{0} of boundaries within {1} s, start and end of a clip not counted; mean over clips"
_NAMES = {"F": "F measure", "P": "precision", "R": "recall"}

# reader -> score -> (what it is, source), but for those whose names say how far or how many
_SCORES: dict[str, dict[str, tuple[str, str]]] = {
    "beats": {
        "F": (_TRACKED, _BEATS),
        "F peaks": (f"{_TRACKED}; of peaks alone, without a model of metre", _BEATS),
        "CMLt": (
            "share of beats that are within 17.5 % of an interval of their place, as is the beat "
            "before, at the right level; mean over clips",
            _BEATS,
        ),
        "AMLt": ("as CMLt, but double, half and off-beat levels count too", _BEATS),
    },
    "functions": {
        "accuracy": ("share of frames whose function is right", _FRAMES),
        "PW F": (
            "F measure of pairs of frames that are in sections of one kind; mean over clips",
            "Levy and Sandler 2008; mir_eval.segment",
        ),
    },
    "chords": {
        "majmin": (
            "share of the seconds with a major, a minor or no chord in which it is right",
            _CHORDS,
        ),
        "root": ("share of the seconds with a chord in which its root is right", _CHORDS),
    },
    "melody": {
        "OA": ("share of frames whose pitch is within 50 cents, or rightly none", _MELODY),
        "RPA": ("share of voiced frames whose pitch is within 50 cents", _MELODY),
        "RCA": ("as RPA, octaves aside", _MELODY),
        "VR": ("share of voiced frames that are said to be voiced", _MELODY),
        "VFA": (
            "share of unvoiced frames that are said to be voiced: the less, the better",
            _MELODY,
        ),
    },
    "sources": {
        "F": ("F measure of frames in which a source sounds, of all sources", _FRAMES),
    },
}


def score_in_words(reader: str, score: str) -> tuple[str, str]:
    """What a score of a frame task is, and its source.

    Raises
    ------
    ProbeError : nothing is known of it.
    """
    known = _SCORES.get({"downbeats": "beats"}.get(reader, reader), {})
    if score in known:
        return known[score]
    name, _, detail = score.partition(" ")
    if reader in ("moments", "boundaries", "functions") and name in _NAMES and detail:
        return _HITS.format(_NAMES[name], detail), _SEGMENTS
    if reader == "pitches" and name in _NAMES:
        which = f"in frames in which {detail} sound at once" if detail else "of all frames"
        return f"{_NAMES[name]} of pitches {which}, a semitone each", _PITCHES
    if reader == "sources" and name == "F":
        return f"F measure of frames in which {detail} sounds", _FRAMES
    raise ProbeError(f"score {score!r} of {reader}: say in probes/framing/words.py what it is")
