"""Data sets by name: one module and one line here each; a path is a folder of audio."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from extract.errors import DataError

if TYPE_CHECKING:
    from extract.datasets.base import Dataset

# name -> module:class; the class takes the subsets asked for (an empty tuple: all)
REGISTRY = {"mini": "extract.datasets.mini:Mini"}
SUBSETS = {"mini": ("chorale", "fiddle", "note", "theory")}
SUMMARIES = {
    "mini": "chorales, fiddle tunes, single notes and triads with exact labels, "
    "rendered on this machine from scores (needs music-rsa[demo])",
}


def names() -> list[str]:
    """Names of the data sets that need no path."""
    return list(REGISTRY)


def open_dataset(text: str, manifest: Path | None = None) -> Dataset:
    """`NAME`, `NAME:SUBSET,SUBSET` or the path of a folder of audio.

    Raises
    ------
    KeyError : neither a known name nor a folder.
    DataError : an unknown subset, or a data set that cannot be read.
    """
    name, _, detail = text.partition(":")
    if name in REGISTRY:
        subsets = tuple(filter(None, detail.split(",")))
        for subset in subsets:
            if subset not in SUBSETS[name]:
                known = ", ".join(SUBSETS[name])
                raise DataError(f"{text}: no subset {subset!r} in {name}; there are {known}")
        module, _, attribute = REGISTRY[name].partition(":")
        cls = getattr(import_module(module), attribute)
        return cls(subsets) if subsets else cls()
    if Path(text).is_dir():
        from extract.datasets.folder import Folder

        return Folder(Path(text), manifest=manifest)
    raise KeyError(text)
