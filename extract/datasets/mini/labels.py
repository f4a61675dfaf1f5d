"""What each label of the data set means and how far it can be trusted."""

from __future__ import annotations

from extract.datasets.base import LabelCard

NAMES = "C Db D Eb E F F# G Ab A Bb B"

LABELS: tuple[LabelCard, ...] = (
    LabelCard(
        "key",
        "category",
        "silver",
        f"tonic and mode, such as 'C major' or 'A minor'; tonics spelled {NAMES} in both modes; "
        "of the piece, transposed; chorales: notated key, last bass note and Krumhansl estimate "
        "agree; fiddle: as notated, major and minor tunes only",
    ),
    LabelCard("tonic", "category", "silver", f"tonic of the piece, one of {NAMES}"),
    LabelCard(
        "mode", "category", "silver", "major or minor; fiddle tunes also dorian and mixolydian"
    ),
    LabelCard("tempo", "number", "gold", "beats a minute, constant in a clip", "bpm"),
    LabelCard(
        "metre",
        "category",
        "gold",
        "time signature: 3/4, 4/4 (chorales), 2/4, 4/4, 6/8 (fiddle); 2/2 counts as 2/4, for a "
        "bar of two halves sounds like a bar of two quarters",
    ),
    LabelCard("compound", "category", "gold", "yes when a beat has three parts (6/8); fiddle only"),
    LabelCard(
        "dance",
        "category",
        "gold",
        "as the collection says: reel, hornpipe, jig, strathspey (with highland fling), clog",
    ),
    LabelCard("family", "category", "gold", "General MIDI family of the one program that plays"),
    LabelCard("program", "category", "gold", "General MIDI program, gm000 to gm127"),
    LabelCard("pitch", "number", "gold", "pitch of a single note", "MIDI number"),
    LabelCard("pitch_class", "category", "gold", f"pitch class of a single note, {NAMES}"),
    LabelCard("octave", "category", "gold", "octave of a single note; 4 begins at middle C"),
    LabelCard(
        "triad_root",
        "category",
        "gold",
        f"root of a triad, {NAMES}; absent for augmented triads, whose root cannot be heard",
    ),
    LabelCard("triad_quality", "category", "gold", "major, minor, diminished, augmented"),
    LabelCard(
        "triad_inversion",
        "category",
        "gold",
        "root, first, second; absent for augmented triads, whose inversions are root positions",
    ),
    LabelCard(
        "voices",
        "category",
        "gold",
        "how many voices of a chorale are played, 1 to 4; whichever they are, pitches are "
        "distributed alike, but more voices reach further from lowest to highest",
    ),
    LabelCard("density", "number", "gold", "notes that begin (or are held in), a second", "1/s"),
    LabelCard("polyphony", "number", "gold", "mean number of notes that sound at once", "notes"),
    LabelCard("register", "number", "gold", "mean pitch, weighted by duration", "MIDI number"),
    LabelCard(
        "chord",
        "segments",
        "silver",
        "chord of each whole beat in Harte's syntax (C:maj, A:min7, F#:hdim7), N for silence, X "
        "when no template fits; from the exact notes by template, not by an analyst; chorales",
    ),
    LabelCard(
        "melody",
        "segments",
        "gold",
        "notes of the tune (the soprano of chorales), MIDI number",
        "MIDI number",
    ),
    LabelCard(
        "notes",
        "segments",
        "gold",
        "every note that sounds, as the score says; voices in unison are one note, and a note ends "
        "where its pitch is struck again, so as many sound at once as pitches; what an instrument "
        "lets ring is not counted",
        "MIDI number",
    ),
    LabelCard("beats", "events", "gold", "beats; dotted quarters in 6/8; chorales, fiddle, voices"),
    LabelCard("downbeats", "events", "gold", "first beats of bars, a subset of the beats"),
    LabelCard(
        "phrase_ends",
        "events",
        "gold",
        "where a note under a fermata ends; chorales whose fermatas mark every phrase",
    ),
)
