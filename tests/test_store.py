"""Shards appear whole or not at all; damage and mix-ups are named."""

import dataclasses
import json

import pytest
import torch

from extract.errors import StoreError
from extract.store import Failure, Plan, Store

PLAN = Plan("m", "w", "d", "i", "clips", "s", 1.0, 1.0, (("x", 3), ("y", 2)),
            tuple((f"c{i}", 1) for i in range(5)), 2, "float32", "float32", "1")  # fmt: skip


def fill(store, shard, offset=0.0):
    clips = [PLAN.clips[i][0] for i in PLAN.shard(shard)]
    layers = {"x": torch.rand(len(clips), 3) + offset, "y": torch.rand(len(clips), 2)}
    store.write(shard, layers, clips, [])
    return layers


def test_a_store_knows_what_is_missing_and_gives_back_what_it_got(tmp_path):
    store = Store(tmp_path, PLAN)
    assert store.missing() == [0, 1, 2]
    layers = fill(store, 1)
    again = Store(tmp_path, PLAN)
    assert again.missing() == [0, 2]
    assert torch.equal(again.read_shard(1, "x"), layers["x"])
    assert again.contents(1) == (["c2", "c3"], [])


def test_failures_travel_with_the_shard(tmp_path):
    store = Store(tmp_path, PLAN)
    failure = Failure("c1", "c1.wav", "silent")
    store.write(0, {"x": torch.ones(1, 3), "y": torch.ones(1, 2)}, ["c0"], [failure])
    assert store.contents(0) == (["c0"], [failure])


def test_another_plan_is_refused(tmp_path):
    Store(tmp_path, PLAN)
    with pytest.raises(StoreError, match="another extraction"):
        Store(tmp_path, dataclasses.replace(PLAN, weights="v"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 9, "digest": "x"}', "\0\1"])
def test_a_bad_manifest_is_named_with_its_cure(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match="manifest.json.*delete"):
        Store(tmp_path, PLAN)


def test_every_flipped_byte_of_the_tensors_is_noticed(tmp_path):
    store = Store(tmp_path, PLAN)
    fill(store, 0)
    path = store.path(0)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for position in range(header, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="shard-00000.*delete it.*repair"):
            store.read_shard(0, "x"), store.read_shard(0, "y")


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_truncated_shard_is_noticed(tmp_path, keep):
    store = Store(tmp_path, PLAN)
    fill(store, 0)
    path = store.path(0)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match="delete it"):
        store.contents(0), store.read_shard(0, "y")


def test_float16_is_used_only_where_it_fits(tmp_path):
    store = Store(tmp_path, dataclasses.replace(PLAN, dtype="float16"))
    layers = fill(store, 0)
    large = {"x": layers["x"] * 1e6, "y": layers["y"]}
    store.write(1, large, ["c2", "c3"], [])
    assert torch.equal(store.read_shard(1, "x"), large["x"])
    assert torch.equal(store.read_shard(1, "y"), large["y"].half().float())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        Store(tmp_path / "file" / "store", PLAN)


def test_the_manifest_can_be_read_by_people(tmp_path):
    Store(tmp_path, PLAN)
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert content["layers"] == [["x", 3], ["y", 2]] and content["format"] == 1
