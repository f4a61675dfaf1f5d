"""The function of a section in a song, from the name an annotator gave it."""

from __future__ import annotations

from collections.abc import Sequence

from extract.datasets.base import LabelCard, Segment

# Wang, Hung and Smith 2022 (arXiv:2205.14700), algorithm 1: the first word that a name holds
# decides. `nothing` is what RWC calls silence.
RULES = (
    ("silence", ("silence", "nothing")),
    ("verse", ("pre-chorus", "prechorus")),
    ("chorus", ("refrain", "chorus", "theme", "stutter")),
    ("verse", ("verse", "rap", "section", "slow", "build", "dialog")),
    ("intro", ("intro", "fadein", "opening")),
    ("bridge", ("bridge", "trans")),
    ("outro", ("out", "coda", "ending")),
    ("inst", ("break", "inst", "interlude", "impro", "solo")),
)
NONE = "no_function"
SECTION = LabelCard("section", "segments", "gold", "sections, by the names of the annotators")
FUNCTION = LabelCard(
    "function",
    "segments",
    "silver",
    "function of each section by its name: intro, verse, chorus, bridge, inst, outro, silence "
    "(Wang, Hung and Smith 2022)",
)


def function_of(name: str) -> str:
    """One of the seven functions; `inst` for names without any of the words."""
    name = name.lower()
    return next((kind for kind, words in RULES if any(word in name for word in words)), "inst")


def sections(segments: Sequence[Segment]) -> dict[str, tuple[Segment, ...]]:
    """`section` and `function` of named segments, lower case; a section that SALAMI says to have
    no function has none.
    """
    if not segments:
        return {}
    named = tuple(Segment(s.start, s.end, str(s.value).lower()) for s in segments)
    return {
        "section": named,
        "function": tuple(
            Segment(s.start, s.end, function_of(s.value)) for s in named if s.value != NONE
        ),
    }
