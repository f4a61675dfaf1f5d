"""Names of pitch classes, keys and chords; the key of a set of notes; the chord of a beat."""

from __future__ import annotations

import numpy as np

# one spelling for each pitch class, in keys of both modes and in chord roots
PITCH_CLASSES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

# probe-tone ratings: Krumhansl & Kessler 1982, the numbers of Krumhansl 1990, table 2.1
PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
KEYS: tuple[tuple[int, str], ...] = tuple((t, mode) for mode in PROFILES for t in range(12))

# intervals above the root, by Harte's shorthand
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
}
CHORDS: tuple[tuple[int, str], ...] = tuple((r, q) for r in range(12) for q in QUALITIES)

EXTRA_TONE, MISSING_TONE = 0.06, 0.10
ROOT_WEIGHT, ROOT_IN_BASS, PLAIN_TRIAD = 0.04, 0.03, 0.02
ACCEPTED = 0.35


def _key_templates() -> np.ndarray:
    rows = np.array([np.roll(PROFILES[mode], tonic) for tonic, mode in KEYS])
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _chord_templates() -> np.ndarray:
    rows = np.zeros((len(CHORDS), 12), dtype=bool)
    for row, (root, quality) in zip(rows, CHORDS, strict=True):
        row[[(root + interval) % 12 for interval in QUALITIES[quality]]] = True
    return rows


_KEYS, _CHORDS = _key_templates(), _chord_templates()
_ROOTS = np.array([root for root, _ in CHORDS])
_TONES = _CHORDS.sum(axis=1)
_PLAIN = np.array([quality in ("maj", "min") for _, quality in CHORDS])


def key_name(tonic: int, mode: str) -> str:
    return f"{PITCH_CLASSES[tonic % 12]} {mode}"


def key_correlations(weights: np.ndarray) -> np.ndarray:
    """Correlation of a pitch-class distribution [12] with the 24 profiles, in order of `KEYS`."""
    centred = np.asarray(weights, dtype=np.float64) - np.mean(weights)
    norm = np.linalg.norm(centred)
    return _KEYS @ (centred / norm) if norm > 0 else np.zeros(len(KEYS))


def key_of(weights: np.ndarray) -> tuple[int, str]:
    """Tonic and mode whose profile correlates best (Krumhansl-Schmuckler)."""
    return KEYS[int(np.argmax(key_correlations(weights)))]


def chord_of(weights: np.ndarray, bass: int | None) -> str:
    """The chord that explains the notes of a beat best, in Harte's syntax.

    The score of a chord is the share of sounding time on its tones minus the share on others,
    less something for tones beyond a triad and for tones that are not heard, plus little bonuses
    for a heard root, the root in the bass, and plain triads.

    Parameters
    ----------
    weights : [12] seconds (or any unit) that each pitch class sounds.
    bass : pitch class of the lowest note, or None.

    Returns
    -------
    str, such as `C:maj` or `F#:hdim7`; `N` when nothing sounds, `X` when nothing fits.
    """
    total = float(np.sum(weights))
    if total <= 0:
        return "N"
    share = np.asarray(weights, dtype=np.float64) / total
    inside = _CHORDS @ share
    missing = (_CHORDS & (share <= 0)[None]).sum(axis=1)
    score = inside - (1.0 - inside) - EXTRA_TONE * (_TONES - 3) - MISSING_TONE * missing
    score += ROOT_WEIGHT * share[_ROOTS] + PLAIN_TRIAD * _PLAIN
    if bass is not None:
        score += ROOT_IN_BASS * (_ROOTS == bass % 12)
    best = int(np.argmax(np.round(score, 9)))
    if score[best] < ACCEPTED:
        return "X"
    root, quality = CHORDS[best]
    return f"{PITCH_CLASSES[root]}:{quality}"
