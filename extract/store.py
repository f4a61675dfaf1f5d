"""Activations on disk: one folder for one (model, weights, clips, windowing, rows).

    manifest.json            the plan: model, weights hash, layers, clip table, rows, shard size
    shard-00000.safetensors  one tensor a layer, [rows of this shard, width]
    precision.json           with a reduced precision: how far each layer is from float32

A shard appears under its name only when it is whole (temporary name, sync, rename), so a killed
run loses at most the shard in hand. Each layer of each shard carries the hash of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from extract.datasets.base import Clip
from extract.errors import StoreError
from extract.plan import MANIFEST, Plan, manifest_text, read_plan
from extract.rows import Rows
from extract.writing import cure, write_text, write_whole

PRECISION = "precision.json"
ELSEWHERE = "elsewhere.json"  # of a store whose shards go elsewhere: where
FLOAT16_MAX = 65504.0
# what reading a damaged shard raises
_DAMAGE = (OSError, SafetensorError, KeyError, ValueError, TypeError)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Failure:
    """A clip that has no rows, and why."""

    clip: str
    file: str
    reason: str


@dataclass(frozen=True)
class Head:
    """What the header of a shard says: `about` in JSON, and the shape of each layer."""

    about: str
    shapes: Mapping[str, tuple[int, ...]]


class Elsewhere(Protocol):
    """Where the shards of a store are kept but on this disk; see `extract.remote.shards`."""

    url: str

    def begin(self, manifest: str) -> None: ...
    def there(self, shard: int, look: bool = False) -> bool: ...
    def head(self, shard: int) -> Head: ...
    def use(self, shard: int, read: Callable[[Path], Value]) -> Value: ...
    def keep(self, shard: int, path: Path) -> None: ...
    def text(self, name: str) -> str | None: ...
    def keep_text(self, name: str, text: str) -> None: ...


class Store:
    """A folder of shards that follow one plan.

    Parameters
    ----------
    folder : made if it does not exist; one that holds another plan raises `StoreError`.
    elsewhere : where shards are kept once they are written; in the folder if None.
    """

    def __init__(self, folder: Path, plan: Plan, elsewhere: Elsewhere | None = None):
        self.folder, self.plan, self.elsewhere = Path(folder), plan, elsewhere
        self._checked: set[tuple[int, str]] = set()
        manifest = self.folder / MANIFEST
        if manifest.exists():
            self._check(manifest)
        else:
            self._write(manifest, manifest_text(plan))
        if elsewhere is not None:
            elsewhere.begin(manifest_text(plan))
            self._write(self.folder / ELSEWHERE, json.dumps({"url": elsewhere.url}))
            self._send()

    @property
    def place(self) -> str:
        """Where its shards are: a path or a URL."""
        return self.elsewhere.url if self.elsewhere else str(self.folder)

    def _send(self) -> None:
        """What was finished here before goes elsewhere, if it is whole."""
        for shard in range(self.plan.shards):
            path = self.path(shard)
            try:
                if path.exists():
                    self.contents(shard)
                    for layer, _ in self.plan.layers:
                        self._layer(path, shard, layer)
                    self.elsewhere.keep(shard, path)
            except (StoreError, *_DAMAGE):
                continue  # whoever reads it is told

    def _check(self, manifest: Path) -> None:
        found = read_plan(manifest)
        if found != self.plan:
            raise StoreError(
                f"{manifest}: belongs to another extraction; delete the folder to extract again"
            )

    def keep_deviations(self, found: Mapping[str, float]) -> None:
        """Notes how far each layer is from float32 in the precision of the plan."""
        text = json.dumps(dict(found), indent=1)
        self._write(self.folder / PRECISION, text)
        if self.elsewhere is not None:
            self.elsewhere.keep_text(PRECISION, text)

    def deviations(self) -> dict[str, float] | None:
        """Relative deviation of each layer from float32; None in float32."""
        path = self.folder / PRECISION
        if self.elsewhere is not None and self.plan.precision != "float32" and not path.exists():
            if text := self.elsewhere.text(PRECISION):
                self._write(path, text)
        try:
            return json.loads(path.read_text()) if path.exists() else None
        except (OSError, ValueError):
            raise StoreError(f"{path}: damaged; delete it and run the command again") from None

    def _write(self, path: Path, text: str) -> None:
        try:
            write_text(path, text)
        except OSError as error:
            raise _unwritten(path, error.strerror, error.errno) from None

    def path(self, shard: int) -> Path:
        """Where a shard is written, and is unless it is kept elsewhere."""
        return self.folder / shard_name(shard)

    def there(self, shard: int, look: bool = False) -> bool:
        """Whether a shard is there, in the folder or elsewhere.

        Parameters
        ----------
        look : ask elsewhere again for what was not there.
        """
        if self.path(shard).exists():
            return True
        return self.elsewhere is not None and self.elsewhere.there(shard, look)

    def missing(self) -> list[int]:
        """Shards that are not there yet."""
        return [i for i in range(self.plan.shards) if not self.there(i)]

    def write(
        self,
        shard: int,
        layers: Mapping[str, torch.Tensor],
        clips: Sequence[str],
        failures: Sequence[Failure],
    ) -> None:
        """Writes one shard: layer name -> [rows, width] float32 for `clips`, in order."""
        tensors, hashes = {}, {}
        for name, values in layers.items():
            values = values.to("cpu", torch.float32).contiguous()
            if self.plan.dtype == "float16" and _fits_float16(values):
                values = values.half()
            tensors[name], hashes[name] = values, hash_of(values)
        about = {
            "clips": list(clips),
            "failures": [asdict(failure) for failure in failures],
            "sha256": hashes,
        }
        # one key: safetensors writes several in no fixed order, and equal runs give equal bytes
        metadata = {"rsa": json.dumps({**about, "about": _digest_of(about)})}
        path = self.path(shard)
        try:
            write_whole(path, lambda place: save_file(tensors, place, metadata))
        except OSError as error:
            raise _unwritten(path, error.strerror, error.errno) from None
        except SafetensorError as error:
            code = re.search(r"os error (\d+)", str(error))
            raise _unwritten(path, str(error), code and int(code[1])) from None
        if self.elsewhere is not None:
            self.elsewhere.keep(shard, path)

    def read_shard(self, shard: int, layer: str) -> torch.Tensor:
        """[rows, width] float32 of one layer of one shard; its hash is checked the first time."""
        try:
            return self._using(shard, lambda path: self._layer(path, shard, layer)).float()
        except _DAMAGE as error:
            raise StoreError(self._damaged(shard, str(error))) from None

    def _layer(self, path: Path, shard: int, layer: str) -> torch.Tensor:
        with safe_open(path, "pt") as file:
            wanted = json.loads(file.metadata()["rsa"])["sha256"][layer]
            values = file.get_tensor(layer)
        if (shard, layer) not in self._checked:
            if hash_of(values) != wanted:
                raise ValueError(f"layer {layer} does not match its hash")
            self._checked.add((shard, layer))
        return values

    def _using(self, shard: int, read: Callable[[Path], Value]) -> Value:
        """What `read` makes of a shard's file."""
        path = self.path(shard)
        if self.elsewhere is None:
            return read(path)
        if path.exists():
            try:
                return read(path)
            except _DAMAGE:
                if path.exists():
                    raise
                # it went elsewhere between the look and the reading
        return self.elsewhere.use(shard, read)

    def contents(self, shard: int) -> tuple[list[str], list[Failure]]:
        """Clips that have rows in a shard, and those that failed; checked against the plan."""
        try:
            head = self._head(shard)
            about = json.loads(head.about)
            # a shard of an older release has no hash of what is said of it
            if about.pop("about", None) not in (None, _digest_of(about)):
                raise ValueError("its header does not match its hash")
            clips, failures = about["clips"], [Failure(**failure) for failure in about["failures"]]
            self._check_shard(shard, clips, failures, head.shapes)
        except (*_DAMAGE, AttributeError) as error:
            raise StoreError(self._damaged(shard, str(error))) from None
        return clips, failures

    def _head(self, shard: int) -> Head:
        if self.elsewhere is not None and not self.path(shard).exists():
            return self.elsewhere.head(shard)  # no copy is made for it
        with safe_open(self.path(shard), "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
            return Head(file.metadata()["rsa"], shapes)

    def _check_shard(
        self,
        shard: int,
        clips: Sequence[str],
        failures: Sequence[Failure],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        """Raises `ValueError` where a shard is not what the manifest promises."""
        wanted = [self.plan.clips[i] for i in self.plan.shard(shard)]
        failed = {failure.clip for failure in failures}
        if list(clips) != [clip for clip, _ in wanted if clip not in failed]:
            raise ValueError("its clips are not those of the manifest")
        if not failed <= {clip for clip, _ in wanted}:
            raise ValueError("its failures are of clips that the manifest has elsewhere")
        rows = sum(count for clip, count in wanted if clip not in failed)
        layers = {name: (rows, width) for name, width in self.plan.layers}
        if set(shapes) != set(layers):
            raise ValueError("its layers are not those of the manifest")
        for name, shape in layers.items():
            if shapes[name] != shape:
                raise ValueError(f"layer {name} is {shapes[name]}, by the manifest {shape}")

    def _damaged(self, shard: int, reason: str) -> str:
        if self.elsewhere is not None and not self.path(shard).exists():
            return (
                f"{self.elsewhere.url}/{shard_name(shard)}: damaged shard ({reason}); delete it "
                "there, and give the command again; the rest is kept"
            )
        return (
            f"{self.path(shard)}: damaged shard ({reason}); delete it, or run "
            "`rsa store repair`, and give the command again; the rest is kept"
        )


class Activations:
    """One model's representation of some rows: what `rsa` and `probes` read.

    Attributes
    ----------
    name : of the model.
    layers : names, in order of depth.
    rows : the table of rows; clips that failed are not in it.
    groups : [rows] group of each row.
    """

    def __init__(self, name: str, store: Store, clips: Sequence[Clip]):
        self.name, self.store = name, store
        self.layers = tuple(layer for layer, _ in store.plan.layers)
        counts = dict(store.plan.clips)
        with suppress(OSError):  # when it was last used; a folder may be for reading only
            os.utime(store.folder / "manifest.json")
        self._where: dict[str, tuple[int, int, int]] = {}
        self._recent = threading.local()
        self.failures: list[Failure] = []
        for shard in range(store.plan.shards):
            present, failures = store.contents(shard)
            self.failures += failures
            offset = 0
            for clip in present:
                self._where[clip] = (shard, offset, counts[clip])
                offset += counts[clip]
        self._select([clip for clip in clips if clip.id in self._where])

    def _select(self, clips: Sequence[Clip]) -> None:
        self.rows = Rows.of(tuple(clips), self.store.plan.rows)
        self.groups = self.rows.groups
        places = [self._where[clip.id] for clip in self.rows.clips]
        self._shard = np.repeat([p[0] for p in places], [p[2] for p in places]).astype(int)
        self._offset = np.concatenate(
            [np.arange(first, first + count) for _, first, count in places] or [np.empty(0)]
        ).astype(int)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def widest(self) -> int:
        """Width of the widest layer."""
        return max(width for _, width in self.store.plan.layers)

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """[stop - start, width] float32 of one layer, in order of `rows`."""
        shard, offset = self._shard[start:stop], self._offset[start:stop]
        width = dict(self.store.plan.layers)[layer]
        out = torch.empty((len(shard), width))
        for index in np.unique(shard):
            here = np.flatnonzero(shard == index)
            out[here] = self._shard_of(int(index), layer)[offset[here]]
        return out

    def _shard_of(self, index: int, layer: str) -> torch.Tensor:
        """A layer of a shard. Each thread keeps its last: pieces in order end within shards."""
        key, values = getattr(self._recent, "shard", (None, None))
        if key != (index, layer):
            values = self.store.read_shard(index, layer)
            self._recent.shard = (index, layer), values
        return values


def align(*representations: Activations) -> None:
    """Keeps in each representation only the clips that all of them have."""
    shared = set.intersection(*({c.id for c in r.rows.clips} for r in representations))
    for representation in representations:
        representation._select([c for c in representation.rows.clips if c.id in shared])


def _fits_float16(values: torch.Tensor) -> bool:
    return values.numel() == 0 or values.abs().max().item() < FLOAT16_MAX


def hash_of(values: torch.Tensor) -> str:
    """SHA-256 of the bytes of a layer."""
    return hashlib.sha256(memoryview(values.reshape(-1).view(torch.uint8).numpy())).hexdigest()


def _digest_of(about: Mapping) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _unwritten(path: Path, reason: str | None, code: int | None) -> StoreError:
    return StoreError(f"{path}: cannot write: {reason}; {cure(code)}")


def shard_name(shard: int) -> str:
    return f"shard-{shard:05d}.safetensors"
