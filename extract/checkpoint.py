"""Reading published weights files: safetensors and PyTorch pickles, never running their code."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from extract.errors import WeightsInvalid, WeightsMissing

SAFE = ".safetensors"


def locate(given: Path, filenames: tuple[str, ...]) -> Path:
    """The weights file that the user means: the file itself, or the first of `filenames` in it.

    Raises WeightsMissing when there is none.
    """
    given = Path(given)
    if given.is_file():
        return given
    if not given.is_dir():
        raise WeightsMissing(f"{given}: no such file or folder; give the file or its folder")
    for filename in filenames:
        if (given / filename).is_file():
            return given / filename
    raise WeightsMissing(f"{given}: none of {', '.join(filenames)} in it; give the file itself")


class Inert:
    """Stands in for a class that a training program pickled beside its weights.

    Takes whatever it is built with and does nothing: the class itself is neither needed nor run.
    """

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


class InertMapping:
    """Stands in for a class of dictionaries: torch puts items into none but the standard ones."""

    def __new__(cls, *args, **kwargs):
        return OrderedDict()


def read(
    path: Path,
    *,
    under: tuple[str, ...] = ("state_dict",),
    inert: Iterable[str] = (),
    mappings: Iterable[str] = (),
) -> dict[str, torch.Tensor]:
    """Tensors of a `.safetensors` file or of a PyTorch checkpoint, on the CPU, mapped if possible.

    Whatever is not a tensor is left out.

    Parameters
    ----------
    under : keys under which checkpoints of this kind keep their tensors; the first that is there
        is unwrapped.
    inert, mappings : see `content`.

    Raises
    ------
    WeightsInvalid : damaged, not weights at all, or a pickle that would run code.
    """
    return tensors_in(content(path, inert=inert, mappings=mappings), path, under=under)


def content(path: Path, *, inert: Iterable[str] = (), mappings: Iterable[str] = ()) -> object:
    """Everything that a weights file holds, tensors and what a training program put beside them.

    Parameters
    ----------
    inert : full names of classes that checkpoints of this kind are known to hold beside the
        tensors. Each becomes an `Inert`; a pickle that asks for anything else is refused.
    mappings : the same for classes of dictionaries, which are pickled item by item.

    Raises
    ------
    WeightsInvalid : damaged, not weights at all, or a pickle that would run code.
    """
    try:
        if reason := _not_weights(path):
            raise WeightsInvalid(f"{path}: {reason}; get the file itself")
        return _load(path, inert, mappings)
    except WeightsInvalid:
        raise
    except MemoryError:
        raise WeightsInvalid(
            f"{path}: takes more memory than there is, or claims to; if its size is right, free "
            "some, else get it again from its source"
        ) from None
    except PermissionError:
        raise WeightsInvalid(f"{path}: may not be read; change its permissions") from None
    except Exception as error:  # the readers raise many kinds for damaged files
        raise WeightsInvalid(f"{path}: {unreadable(error)}") from None


def tensors_in(
    content: object, path: Path, *, under: tuple[str, ...] = ("state_dict",)
) -> dict[str, torch.Tensor]:
    """The named tensors in the content of a file; see `read`."""
    for key in under:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise WeightsInvalid(f"{path}: holds a {type(content).__name__}, not named tensors")
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    for name, value in tensors.items():
        if reason := _unreal(value):
            raise WeightsInvalid(f"{path}: {name[:80]} {reason}; get it again from its source")
    if not tensors:
        raise WeightsInvalid(f"{path}: holds no tensors; is this the weights file?")
    return tensors


def _unreal(tensor: torch.Tensor) -> str:
    """What is wrong with a tensor that has not one number in memory for each it claims to hold."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return "is no plain tensor"
    held = tensor.untyped_storage().nbytes()
    claimed = tensor.numel() * tensor.element_size()
    return f"claims {claimed} bytes, of which the file holds {held}" if claimed > held else ""


def _check_zip(path: Path) -> None:
    """PyTorch packs nothing, so what an archive claims to hold cannot be more than the file."""
    with zipfile.ZipFile(path) as archive:
        claimed = sum(info.file_size for info in archive.infolist())
        packed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    if packed or claimed > path.stat().st_size:
        raise WeightsInvalid(
            f"{path}: refused: its parts are packed, or claim {claimed} bytes in a file of "
            f"{path.stat().st_size}, which PyTorch never writes; unpack it"
        )


def _load(path: Path, inert: Iterable[str], mappings: Iterable[str]) -> object:
    if path.suffix == SAFE:
        from safetensors.torch import load_file

        return load_file(path)
    # a class of its own for each name: torch looks the names up by class
    kinds = [(name, Inert) for name in inert] + [(name, InertMapping) for name in mappings]
    stands = [(type(name.rpartition(".")[2], (kind,), {}), name) for name, kind in kinds]
    with torch.serialization.safe_globals(stands):
        # only the zip form can be mapped instead of read
        mapped = zipfile.is_zipfile(path)
        if mapped:
            _check_zip(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said in one line, by `content`
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def unreadable(error: Exception) -> str:
    """What a reader's exception means, and the cure, in one line."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        if found := re.search(r"GLOBAL (\w[\w.]*\w)|(?:global|class) (\w[\w.]*\w)", text):
            return (
                f"refused: the pickle asks for {found[1] or found[2]}, which is no weight and "
                "could run code; convert the file to safetensors where you trust it"
            )
        return "no weights file of PyTorch, or damaged: get it again from its source"
    first = re.split(r"[.:] |$", text, maxsplit=1, flags=re.M)[0]
    said = f" ({first})" if re.search(r"[a-z]{4}", first) and "Errno" not in first else ""
    return (
        f"no weights file of PyTorch or safetensors, or damaged{said}: get it again from its source"
    )


def _not_weights(path: Path) -> str:
    """What a file is that is not weights at all, from its first bytes; "" if unknown."""
    with open(path, "rb") as file:
        head = file.read(64).lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights"
    if head.startswith((b"<!doctype", b"<html")):
        return "a web page, not the weights"
    return "" if head else "empty"
