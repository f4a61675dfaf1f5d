"""Bytes of a store are known before it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from probe_folder import sounds
from small_model import SmallData, SmallModel

from cli.main import root
from extract.pipeline import Options, extract, make_plan, store_folder
from extract.rehearsal import extraction_memory, rehearse
from extract.sizes import present, rows_bytes, shard_bytes, store_bytes
from extract.store import Plan, Store


@pytest.mark.parametrize("kind", ["clips", "frames:5", "segments:half", "frames:5@half"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_store_is_as_large_as_was_said(tmp_path, kind, dtype):
    data, options = SmallData((1.0, 2.0, 5.0, 0.5) * 20), Options(dtype=dtype)
    plan = make_plan(SmallModel(), data, data.clips, kind, options)
    folder = store_folder(tmp_path, plan)
    assert present(folder, plan) == [] and not folder.exists()
    extract(SmallModel(), data, data.clips, [kind], tmp_path, options)
    files = [path for path in folder.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) == store_bytes(plan)
    assert present(folder, plan) == list(range(plan.shards))


def test_names_and_numbers_of_every_length_count(tmp_path):
    layers = (("block 1", 3), ("élan", 700), ('a "b" \\ c', 1), ("z", 20))
    clips = tuple((f'låt "{i}"\n\\', 1 + i * 37 % 11) for i in range(7))
    plan = Plan("m", "w", "d", "a", "clips", "s", 1.0, 1.0, layers, clips, 3, "float32",
                "float32", "1")  # fmt: skip
    store = Store(tmp_path, plan)
    for shard in range(plan.shards):
        some = [clips[i] for i in plan.shard(shard)]
        rows = sum(count for _, count in some)
        store.write(shard, {n: torch.ones(rows, w) for n, w in layers}, [c for c, _ in some], [])
        assert store.path(shard).stat().st_size == shard_bytes(plan, shard)
    assert rows_bytes(plan) == 4 * 724 * max(
        sum(clips[i][1] for i in plan.shard(s)) for s in range(plan.shards)
    )


def test_a_rehearsal_runs_the_network_and_writes_nothing(tmp_path):
    data, model = SmallData((1.0, 2.0) * 40), SmallModel()
    found = rehearse(model, data, data.clips, ["clips"], Options())
    assert model.calls and found.clips == 12 and found.seconds > 0
    assert found.audio == sum(data.clips[i * 80 // 12].duration for i in range(12))
    most = extraction_memory(found, model, data, data.clips, ["clips"], Options())
    assert most >= found.memory > 1e7 and not list(tmp_path.iterdir())


def test_a_dry_run_says_what_will_be_written_and_writes_nothing(tmp_path, monkeypatch):
    data, cache = sounds(tmp_path / "music", 40), tmp_path / "cache"
    command = ("extract", "--model", "vgg-mtt", "--untrained", "--device", "cpu", "--data", data)
    monkeypatch.setenv("RSA_CACHE", str(cache))

    def told(*more: str) -> dict:
        done = CliRunner().invoke(root, [*map(str, command), "--json", *more])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    said = told("--dry-run")
    assert not cache.exists()
    assert said["clips"] == 40 and said["to_write"] == said["bytes"] and said["seconds"] > 0
    assert said["audio"] == pytest.approx(20)
    folder = Path(told()["folder"])
    assert sum(path.stat().st_size for path in folder.iterdir()) == said["bytes"]
    again = told("--dry-run")
    assert again["to_write"] == 0 and again["seconds"] == 0
    assert again["bytes"] == said["bytes"] and again["stages"][0]["there"] == 2


@pytest.mark.scale
def test_a_dry_run_of_a_comparison_names_every_stage(tmp_path, monkeypatch):
    data, cache = sounds(tmp_path / "music", 40), tmp_path / "cache"
    monkeypatch.setenv("RSA_CACHE", str(cache))
    command = ("compare", "--a", "vgg-mtt", "--b", "vgg-msd", "--untrained", "--device", "cpu",
               "--data", str(data), "--measures", "cka", "--task", "place", "--dry-run", "--json",
               "--out", str(tmp_path / "study"))  # fmt: skip
    done = CliRunner().invoke(root, command)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    names = ["vgg-mtt, clips", "vgg-msd, clips", "references, clips", "similarity", "geometry",
             "information about labels", "probes", "why", "maps"]  # fmt: skip
    assert [stage["stage"] for stage in said["stages"]] == names
    assert all(stage["seconds"] > 0 and stage["memory"] > 0 for stage in said["stages"])
    assert not cache.exists() and not (tmp_path / "study").exists()
