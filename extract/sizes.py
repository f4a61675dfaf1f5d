"""How many bytes a store will take, before any network has run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from extract.plan import FORMAT, Plan

BYTES = {"float32": ("F32", 4), "float16": ("F16", 2)}
HASH = 64  # characters of a SHA-256 in hexadecimal


def shard_bytes(plan: Plan, shard: int) -> int:
    """Bytes of a shard's file, if all of its clips can be read.

    A safetensors file: the length of the header in 8 bytes, the header in JSON, padded to 8 bytes,
    and the tensors one after the other, in the order of their names. A layer outside float16's
    range, kept in float32, takes twice what is said here.
    """
    clips = [plan.clips[place] for place in plan.shard(shard)]
    rows = sum(count for _, count in clips)
    code, each = BYTES[plan.dtype]
    about = {
        "clips": [clip for clip, _ in clips],
        "failures": [],
        "sha256": {name: "0" * HASH for name, _ in plan.layers},
        "about": "0" * HASH,
    }
    header: dict = {"__metadata__": {"rsa": json.dumps(about)}}
    end = 0
    for name, width in sorted(plan.layers, key=lambda layer: layer[0].encode()):
        start, end = end, end + rows * width * each
        header[name] = {"dtype": code, "shape": [rows, width], "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + -(-len(text) // 8) * 8 + end


def store_bytes(plan: Plan) -> int:
    """Bytes of all shards and the manifest."""
    manifest = json.dumps({"format": FORMAT, "digest": plan.digest, **asdict(plan)})
    return len(manifest.encode()) + sum(shard_bytes(plan, i) for i in range(plan.shards))


def rows_bytes(plan: Plan) -> int:
    """Bytes in memory, as float32, of the rows of the largest shard."""
    width = sum(width for _, width in plan.layers)
    counts = [sum(plan.clips[i][1] for i in plan.shard(s)) for s in range(plan.shards)]
    return 4 * width * max(counts, default=0)


def present(folder: Path, plan: Plan) -> list[int]:
    """Shards of a plan that are there already; nothing is made."""
    return [i for i in range(plan.shards) if (folder / f"shard-{i:05d}.safetensors").exists()]
