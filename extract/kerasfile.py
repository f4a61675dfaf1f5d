"""Reading a `.keras` file of Keras 2 (2.12 and later), layer by layer, without TensorFlow.

The file is a zip of `metadata.json`, `config.json` and `model.weights.h5`. The first two describe
the network, the third holds the numbers, in HDF5. Nothing is unpacked to disk, no class of the file
is looked up, and what HDF5 allows beyond plain arrays of numbers is refused.

The groups of the HDF5 file do not bear the names of the layers. Keras walks the layers in the order
of `config.json` and numbers those of a class: `ws_conv`, `ws_conv_1`, ... A layer with
variables is met twice, under two keys of one dictionary, and so takes two numbers; one without
takes one, and leaves an empty group or none.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from extract.archive import FAULTS, member
from extract.errors import WeightsInvalid, WeightsMissing
from extract.jsontext import loads

SUFFIX = ".keras"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {CONFIG: 64 << 20, WEIGHTS: 2 << 30}  # name -> most bytes that are read
ROOT = "_layer_checkpoint_dependencies"
MOST_OBJECTS, MOST_DEPTH = 100_000, 16
POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class KerasLayer:
    """One layer of the network, in the order of `config.json`.

    Attributes
    ----------
    kind, name : its class, and its own name.
    variables : path inside the layer (`vars/0`, `layer/vars/0`) -> values, float32 or float64;
        empty for a layer without variables.
    """

    kind: str
    name: str
    variables: dict[str, torch.Tensor]

    @property
    def number(self) -> int:
        """The counter at the end of the name, which Keras raises with every layer made."""
        found = re.search(r"_(\d+)$", self.name)
        return int(found[1]) if found else 0


def read(path: Path) -> list[KerasLayer]:
    """Every layer of the network with its variables.

    Raises
    ------
    WeightsMissing : no such file.
    WeightsInvalid : not such a file, damaged, or with content that is not plain numbers.
    """
    described, content = _members(Path(path))
    return _joined(_described(described, path), _arrays(content, path), path)


def _members(path: Path) -> tuple[bytes, bytes]:
    """The two members that are needed; the zip's checksums are held against them."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(POINTER))
        if head == POINTER:
            raise WeightsInvalid(
                f"{path}: a Git LFS pointer, not the weights; run `git lfs pull`, or download "
                "the file itself"
            )
        with zipfile.ZipFile(path) as archive:
            found = [_member(archive, *each, path) for each in MEMBERS.items()]
        return found[0], found[1]
    except FileNotFoundError:
        raise WeightsMissing(f"{path}: there is no such file") from None
    except PermissionError:
        raise WeightsInvalid(f"{path}: may not be read; change its permissions") from None
    except WeightsInvalid:
        raise
    except FAULTS as error:
        raise WeightsInvalid(
            f"{path}: damaged, or not a Keras file ({_first(error)}); download it again"
        ) from None


def _member(archive: zipfile.ZipFile, name: str, most: int, path: Path) -> bytes:
    if name not in archive.namelist():
        raise WeightsInvalid(f"{path}: no {name} in it; is this a Keras file?")
    return member(archive, name, most)


def _described(text: bytes, path: Path) -> list[tuple[str, str]]:
    """(class, name) of every layer."""
    try:
        layers = loads(text)["config"]["layers"]
        return [
            (str(layer["class_name"]).rpartition(">")[2], str(layer["config"]["name"]))
            for layer in layers
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsInvalid(
            f"{path}: {CONFIG} does not describe a network layer by layer "
            f"({type(error).__name__}); is this the file of this very model?"
        ) from None


def _arrays(content: bytes, path: Path) -> dict[str, torch.Tensor | None]:
    """Path -> values of every array in the HDF5 file; None for a group without any."""
    import h5py

    try:
        # a file object: names of other files inside lead nowhere unless a link is followed
        with h5py.File(io.BytesIO(content), "r") as file:
            found: dict[str, torch.Tensor | None] = {}
            _walk(file, "", found, [len(content), MOST_OBJECTS])
            return found
    except WeightsInvalid as error:
        raise WeightsInvalid(f"{path}: {WEIGHTS}: {error}") from None
    except Exception as error:  # the library raises many kinds for damaged files
        raise WeightsInvalid(
            f"{path}: {WEIGHTS} is damaged ({_first(error)}); download it again"
        ) from None


def _walk(group, place: str, found: dict, left: list[int]) -> None:
    """Collects what is below a group; `left` counts down the bytes and objects still allowed."""
    import h5py

    for name in group:
        here = f"{place}/{name}" if place else name
        left[1] -= 1
        if left[1] < 0 or here.count("/") > MOST_DEPTH:
            raise WeightsInvalid("too many or too deeply nested groups; refused")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsInvalid(f"{here} is a link out of its place; refused")
        item = group[name]
        if isinstance(item, h5py.Group):
            found[here] = None
            _walk(item, here, found, left)
        elif isinstance(item, h5py.Dataset):
            found[here] = _array(item, here, left)
        else:
            raise WeightsInvalid(f"{here} is neither a group nor an array; refused")


def _array(item, here: str, left: list[int]) -> torch.Tensor | None:
    if item.external or item.is_virtual:
        raise WeightsInvalid(f"{here} has its values in another file; refused")
    if item.dtype.kind in "iu" and item.size <= 1:
        return None  # step counters of an optimiser
    if item.dtype.kind != "f" or item.dtype.itemsize not in (4, 8):
        raise WeightsInvalid(f"{here} holds {item.dtype}, not float32; refused")
    if item.compression is not None:
        raise WeightsInvalid(f"{here} is compressed, which Keras does not do; refused")
    left[0] -= item.nbytes
    if left[0] < 0:  # an array may be declared of any size without a byte of it being there
        raise WeightsInvalid(f"{here} of {item.nbytes} bytes is larger than what the file holds")
    # native byte order, which is what PyTorch takes; an array even where it is a single number
    return torch.from_numpy(np.array(item[()], dtype=item.dtype.newbyteorder("=")))


def _joined(
    described: list[tuple[str, str]], arrays: dict[str, torch.Tensor | None], path: Path
) -> list[KerasLayer]:
    if ROOT not in arrays:
        raise WeightsInvalid(f"{path}: {WEIGHTS} has no layers, or is not of Keras 2")
    groups: dict[str, dict[str, torch.Tensor]] = {}
    empty = []
    for place, values in arrays.items():
        top, _, rest = place.partition("/")
        group, _, inside = rest.partition("/")
        if top == ROOT and values is not None and inside:
            groups.setdefault(group, {})[inside] = values
        elif top == ROOT and values is None and group:
            empty.append(group)
    joined: list[KerasLayer | None] = [None] * len(described)
    for kind in dict.fromkeys(kind for kind, _ in described):
        stem = snake_case(kind)
        held = {n: g for g in groups if (n := _number(g, stem)) is not None}
        members = [i for i, (k, _) in enumerate(described) if k == kind]
        numbers = _numbers(sorted(held), len(members))
        seen = {n for group in empty if (n := _number(group, stem)) is not None}
        if len(held) < len(members) and seen - set(numbers):
            raise WeightsInvalid(
                f"{path}: layers of class {kind} are not numbered in Keras 2's way; which of them "
                "have variables cannot be told"
            )
        for i, number in zip(members, numbers, strict=True):
            taken = groups.pop(held.pop(number)) if number in held else {}
            joined[i] = KerasLayer(kind, described[i][1], taken)
    if groups:
        raise WeightsInvalid(
            f"{path}: {len(groups)} groups of {WEIGHTS} belong to no layer of {CONFIG}, the first "
            f"is {sorted(groups)[0]}; is this the file of this very model?"
        )
    return [layer for layer in joined if layer is not None]


def _numbers(held: list[int], layers: int) -> list[int]:
    """The number of each of a class's layers, from those of its groups that hold variables."""
    if len(held) == layers:
        return held
    numbers, number, has = [], 0, set(held)
    for _ in range(layers):
        numbers.append(number)
        number += 2 if number in has else 1
    return numbers


def _number(group: str, stem: str) -> int | None:
    if group == stem:
        return 0
    head, _, tail = group.rpartition("_")
    return int(tail) if head == stem and tail.isdecimal() else None


def snake_case(kind: str) -> str:
    """A class name as Keras writes it into names: `WSConv2D` is `ws_conv2d`."""
    kind = re.sub(r"\W+", "", kind)
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()


def creation_order(layers: list[KerasLayer], path: Path) -> list[KerasLayer]:
    """Layers of one class in the order in which the program made them, told by their names.

    Raises WeightsInvalid where names do not tell.
    """
    twice = [n for n, count in Counter(x.number for x in layers).items() if count > 1]
    if twice:
        same = [x.name for x in layers if x.number == twice[0]]
        raise WeightsInvalid(
            f"{path}: the names {same[0]} and {same[1]} do not tell which layer was made first"
        )
    return sorted(layers, key=lambda layer: layer.number)


def _first(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:120].rstrip(".")
