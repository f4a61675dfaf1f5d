"""Where scores, font and renderer are on this machine, and which versions they have."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path

from extract.errors import DataError
from extract.weights import sha256_of_file

CURE = "pip install 'music-rsa[demo]'"
FONT = "TimGM6mb.sf2"
# scores, font, renderer, and what renders in processes
PACKAGES = ("music21", "pretty_midi", "midirenderer", "loky")


def lacking() -> list[str]:
    """Packages of `PACKAGES` that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def package_folder(package: str) -> Path:
    """Folder of an installed package, without importing it.

    Raises
    ------
    DataError : the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"data set mini needs the package {package}, which is missing: {CURE}")
    return Path(next(iter(spec.submodule_search_locations)))


def version_of(package: str) -> str:
    package_folder(package)
    return importlib.metadata.version(package)


def font_path() -> Path:
    """The General MIDI font that comes in pretty_midi's wheel."""
    path = package_folder("pretty_midi") / FONT
    if not path.is_file():
        raise DataError(f"{path} is missing: reinstall pretty_midi, or {CURE}")
    return path


def font_hash() -> str:
    return _hash_of(font_path())


@cache
def _hash_of(path: Path) -> str:
    return sha256_of_file(path)


def corpus(folder: str, pattern: str) -> list[Path]:
    """Files of one collection of music21's corpus, in order of name.

    Raises
    ------
    DataError : music21 is missing, or was installed without its corpus.
    """
    root = package_folder("music21") / "corpus" / folder
    files = sorted(root.glob(pattern), key=lambda path: path.name)
    if not files:
        raise DataError(f"{root} holds no {pattern}: reinstall music21 with its corpus, {CURE}")
    return files


def renderer() -> str:
    """Name and version of the program that turns MIDI into sound."""
    return f"midirenderer {version_of('midirenderer')}"
