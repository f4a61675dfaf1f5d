"""General MIDI programs of the data set: which are heard in training, which only in `test_inst`.

An instrument is recognised without effort when its very samples were in the training set, so the
pool of programs is divided once for all subsets. Each family has two programs that are seen and
one that is not. Chosen by measurement: each program sounds on every pitch in use, the period of
its tone is that of the notated pitch to within half a semitone (so the organ family is here its
free reeds: drawbar and church organ sound an octave lower as well), and none copies another.
"""

from __future__ import annotations

SEEN_SPLITS = ("train", "valid", "test")
UNSEEN_SPLIT = "test_inst"

# General MIDI family -> (seen, seen, unseen), 0-based program numbers
POOL: dict[str, tuple[int, int, int]] = {
    "piano": (0, 4, 2),  # acoustic grand, electric piano 1 | electric grand
    "chromatic percussion": (11, 12, 10),  # vibraphone, marimba | music box
    "organ": (20, 22, 23),  # reed organ, harmonica | tango accordion
    "guitar": (24, 26, 25),  # nylon, jazz | steel
    "strings": (40, 42, 41),  # violin, cello | viola
    "ensemble": (48, 52, 50),  # strings, choir aahs | synth strings
    "brass": (56, 60, 57),  # trumpet, horn | trombone
    "reed": (64, 71, 66),  # soprano saxophone, clarinet | tenor saxophone
    "pipe": (73, 75, 74),  # flute, pan flute | recorder
}
SEEN: tuple[int, ...] = tuple(p for pool in POOL.values() for p in pool[:2])
UNSEEN: tuple[int, ...] = tuple(pool[2] for pool in POOL.values())
FAMILY: dict[int, str] = {p: family for family, pool in POOL.items() for p in pool}

# chords need families that play several notes at once
CHORDAL = ("piano", "chromatic percussion", "organ", "guitar", "strings", "ensemble")
THEORY_SEEN: tuple[int, ...] = tuple(p for family in CHORDAL for p in POOL[family][:2])
THEORY_UNSEEN: tuple[int, ...] = tuple(POOL[family][2] for family in CHORDAL)


def programs_of(split: str) -> tuple[int, ...]:
    """The programs that may sound in a split."""
    return UNSEEN if split == UNSEEN_SPLIT else SEEN


def name_of(program: int) -> str:
    """How a program stands in ids and labels: `gm000` to `gm127`, 0-based."""
    return f"gm{program:03d}"
