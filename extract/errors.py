"""What can go wrong between audio or weights and activations on disk.

Every message is one line: what is wrong, with which file, layer or option, and the cure.
"""

import unicodedata

from extract.urls import without_secrets

_JOINERS = "\u200c\u200d"  # within words of some scripts, and within emoji


def printable(text: str) -> str:
    """A text on one line, with what a terminal would obey or could not show written out.

    These are control characters, line ends, marks that turn the direction of writing, and halves
    of surrogate pairs, which stand for bytes of a file's name that are no UTF-8.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS:
        return character.encode("unicode_escape").decode("ascii")
    return character


class ExtractError(Exception):
    """Base of this package's errors; `exit_code` is what the command line ends with."""

    exit_code = 4

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(without_secrets(str(message))))


class AudioError(ExtractError):
    """A clip that cannot be used: unreadable, empty, too short, silent, not finite."""


class DataError(ExtractError):
    """A data set that cannot be built or read: a bad manifest, a missing package."""


class WeightsMissing(ExtractError):
    """Weights that are not on this machine and cannot be fetched."""

    exit_code = 3


class WeightsInvalid(ExtractError):
    """A weights file whose content is not what its layout promises."""

    exit_code = 3


class OptionUnsuitable(ExtractError):
    """An option that the model at hand cannot follow."""

    exit_code = 2


class RemoteError(ExtractError):
    """A place elsewhere that cannot be reached, read or written; see `extract.remote`."""


class StoreError(ExtractError):
    """Activations on disk that are damaged, or belong to something else."""


class ActivationsInvalid(ExtractError):
    """A network that put out values that are not finite; names the clip and the layer."""
