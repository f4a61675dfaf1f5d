"""The default data set: chorales, fiddle tunes, single notes and triads with exact labels.

Built on the user's machine from packages that hold scores (music21), a General MIDI font
(pretty_midi) and a renderer (midirenderer); nothing of these is shipped here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.datasets.mini.dataset import Mini

__all__ = ["Mini"]


def __getattr__(name: str):
    if name == "Mini":
        from extract.datasets.mini.dataset import Mini

        return Mini
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
