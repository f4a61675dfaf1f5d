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
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from extract.datasets.base import Clip
from extract.errors import StoreError
from extract.rows import Rows, stretches

FORMAT = 1
PRECISION = "precision.json"
FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class Plan:
    """What a store will hold; two runs with equal plans share a store.

    Attributes
    ----------
    audio : see `DataCard`. Labels count by the rows that they make alone, so that a further label
        extracts nothing again.
    spans : hash of where in its clip each row begins and ends.
    layers : (name, width) in order of depth.
    clips : (clip id, number of rows) in order.
    shard_clips : clips a shard.
    dtype : `float32` or `float16` (a layer outside float16's range stays float32).
    precision : of the network's arithmetic.
    """

    model: str
    weights: str
    data: str
    audio: str
    rows: str
    spans: str
    window: float
    hop: float
    layers: tuple[tuple[str, int], ...]
    clips: tuple[tuple[str, int], ...]
    shard_clips: int
    dtype: str
    precision: str
    version: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def shards(self) -> int:
        return -(-len(self.clips) // self.shard_clips)

    def shard(self, index: int) -> range:
        """Positions of the clips of one shard."""
        first = index * self.shard_clips
        return range(first, min(first + self.shard_clips, len(self.clips)))


@dataclass(frozen=True)
class Failure:
    """A clip that has no rows, and why."""

    clip: str
    file: str
    reason: str


class Store:
    """A folder of shards that follow one plan.

    Parameters
    ----------
    folder : made if it does not exist; one that holds another plan raises `StoreError`.
    """

    def __init__(self, folder: Path, plan: Plan):
        self.folder, self.plan = Path(folder), plan
        self._checked: set[tuple[int, str]] = set()
        manifest = self.folder / "manifest.json"
        if manifest.exists():
            self._check(manifest)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = {"format": FORMAT, "digest": plan.digest, **asdict(plan)}
            _write_whole(manifest, lambda path: path.write_text(json.dumps(content)))
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot write activations: {error.strerror}") from None

    def _check(self, manifest: Path) -> None:
        cure = "delete the folder to extract again"
        try:
            found = json.loads(manifest.read_text())
            form, digest = found["format"], found["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(f"{manifest}: unreadable manifest; {cure}") from None
        if form != FORMAT:
            raise StoreError(f"{manifest}: format {form}, this program writes {FORMAT}; {cure}")
        if digest != self.plan.digest:
            raise StoreError(f"{manifest}: belongs to another extraction; {cure}")

    def keep_deviations(self, found: Mapping[str, float]) -> None:
        """Notes how far each layer is from float32 in the precision of the plan."""
        text = json.dumps(dict(found), indent=1)
        _write_whole(self.folder / PRECISION, lambda path: path.write_text(text))

    def deviations(self) -> dict[str, float] | None:
        """Relative deviation of each layer from float32; None in float32."""
        path = self.folder / PRECISION
        try:
            return json.loads(path.read_text()) if path.exists() else None
        except (OSError, ValueError):
            raise StoreError(f"{path}: damaged; delete it and run the command again") from None

    def path(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:05d}.safetensors"

    def missing(self) -> list[int]:
        """Shards that are not there yet."""
        return [i for i in range(self.plan.shards) if not self.path(i).exists()]

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
            tensors[name], hashes[name] = values, _digest(values)
        about = {
            "clips": list(clips),
            "failures": [asdict(failure) for failure in failures],
            "sha256": hashes,
        }
        # one key: safetensors writes several in no fixed order, and equal runs give equal bytes
        metadata = {"rsa": json.dumps(about)}
        try:
            _write_whole(self.path(shard), lambda path: save_file(tensors, path, metadata))
        except (OSError, SafetensorError) as error:
            message = f"{self.path(shard)}: cannot write: {error}; is the disk full?"
            raise StoreError(message) from None

    def read_shard(self, shard: int, layer: str) -> torch.Tensor:
        """[rows, width] float32 of one layer of one shard; its hash is checked the first time."""
        try:
            with safe_open(self.path(shard), "pt") as file:
                wanted = json.loads(file.metadata()["rsa"])["sha256"][layer]
                values = file.get_tensor(layer)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise StoreError(self._damaged(shard, str(error))) from None
        if (shard, layer) not in self._checked:
            if _digest(values) != wanted:
                raise StoreError(self._damaged(shard, f"layer {layer} does not match its hash"))
            self._checked.add((shard, layer))
        return values.float()

    def contents(self, shard: int) -> tuple[list[str], list[Failure]]:
        """Clips that have rows in a shard, and those that failed."""
        try:
            with safe_open(self.path(shard), "pt") as file:
                about = json.loads(file.metadata()["rsa"])
            return about["clips"], [Failure(**failure) for failure in about["failures"]]
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise StoreError(self._damaged(shard, str(error))) from None

    def _damaged(self, shard: int, reason: str) -> str:
        return f"{self.path(shard)}: damaged shard ({reason}); delete it and run the command again"


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


def plan_rows(clips: Sequence[Clip], kind: str) -> tuple[tuple[str, int], ...]:
    """(clip id, number of rows) of each clip."""
    return tuple((clip.id, len(stretches(clip, kind))) for clip in clips)


def plan_spans(clips: Sequence[Clip], kind: str) -> str:
    """Hash of the stretches of all rows."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(stretches(clip, kind).tobytes())
    return digest.hexdigest()


def _fits_float16(values: torch.Tensor) -> bool:
    return values.numel() == 0 or values.abs().max().item() < FLOAT16_MAX


def _digest(values: torch.Tensor) -> str:
    return hashlib.sha256(memoryview(values.reshape(-1).view(torch.uint8).numpy())).hexdigest()


def _write_whole(path: Path, write) -> None:
    """Writes under a temporary name, syncs, renames: the file is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
