"""What a store will hold, and the manifest that says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from extract.datasets.base import Clip
from extract.errors import StoreError
from extract.rows import stretches

FORMAT = 1
MANIFEST = "manifest.json"
_AGAIN = "delete it, or run `rsa store repair`, and give the command again"


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


def manifest_text(plan: Plan) -> str:
    """What the manifest of a store holds."""
    return json.dumps({"format": FORMAT, "digest": plan.digest, **asdict(plan)})


def read_plan(manifest: Path) -> Plan:
    """The plan that a manifest holds.

    Raises
    ------
    StoreError : it cannot be read, is of another format, or is not what its hash promises.
    """
    try:
        text = Path(manifest).read_text("utf-8")
    except (OSError, ValueError):
        raise StoreError(f"{manifest}: unreadable manifest; {_AGAIN}") from None
    return plan_in(text, str(manifest))


def plan_in(text: str, manifest: str) -> Plan:
    """The plan in the text of a manifest, whose place is for messages; raises as `read_plan`."""
    try:
        found = json.loads(text)
        form, digest = found.pop("format"), found.pop("digest")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StoreError(f"{manifest}: unreadable manifest; {_AGAIN}") from None
    if form != FORMAT:
        newer = isinstance(form, int) and form > FORMAT
        fresh = "delete the folder to extract again"
        hint = f"a newer release wrote it: update rsa, or {fresh}" if newer else fresh
        raise StoreError(f"{manifest}: format {form}, this program writes {FORMAT}; {hint}")
    if set(found) != {field.name for field in fields(Plan)}:
        raise StoreError(f"{manifest}: its entries are those of another release; {_AGAIN}")
    try:
        pairs = {name: tuple((key, count) for key, count in found[name])
                 for name in ("layers", "clips")}  # fmt: skip
        plan = Plan(**{**found, **pairs})
        whole = plan.digest == digest
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise StoreError(f"{manifest}: damaged: it is not what its own hash promises; {_AGAIN}")
    return plan


def plan_rows(clips: Sequence[Clip], kind: str) -> tuple[tuple[str, int], ...]:
    """(clip id, number of rows) of each clip."""
    return tuple((clip.id, len(stretches(clip, kind))) for clip in clips)


def plan_spans(clips: Sequence[Clip], kind: str) -> str:
    """Hash of the stretches of all rows."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(stretches(clip, kind).tobytes())
    return digest.hexdigest()
