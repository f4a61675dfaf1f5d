"""What each kind of frame task makes of labels, and of what a head says of frames."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.errors import ProbeError

if TYPE_CHECKING:
    from probes.framing.readers.base import Reader

# name -> module and class; imported when asked for
READERS = {
    "beats": ("rhythm", "Beats"),
    "downbeats": ("rhythm", "Downbeats"),
    "moments": ("structure", "Moments"),
    "boundaries": ("structure", "Boundaries"),
    "functions": ("structure", "Functions"),
    "chords": ("harmony", "Chords"),
    "melody": ("pitch", "Melody"),
    "pitches": ("pitch", "Pitches"),
    "sources": ("sources", "Sources"),
}


def reader(name: str, labels: Sequence[str]) -> Reader:
    """A reader by name, of some labels of the data.

    Raises
    ------
    ProbeError : the name is unknown.
    """
    if name not in READERS:
        raise ProbeError(f"frames cannot be read as {name!r}: use one of {', '.join(READERS)}")
    module, kind = READERS[name]
    return getattr(importlib.import_module(f"probes.framing.readers.{module}"), kind)(labels)
