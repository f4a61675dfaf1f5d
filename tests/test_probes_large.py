"""Layers that no process should hold: probed from sums over stretches of rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, here
from probe_folder import sounds

import cli.probing


def command(data: Path, out: Path) -> tuple:
    return (
        "probe", "--model", "vgg-mtt", "--untrained", "--device", "cpu", "--data", data,
        "--head", "knn", "--no-report", "--out", out,
    )  # fmt: skip


def probed(study: Path) -> dict:
    return json.loads((study / "probes" / "a.json").read_text())


def check_alike(found: dict, wanted: dict) -> None:
    """The same choices, and scores that differ by no more than a row or two."""
    assert [task["task"] for task in found["tasks"]] == [task["task"] for task in wanted["tasks"]]
    assert found["tasks"] and not found["heads"] and wanted["heads"]
    for mine, theirs in zip(found["tasks"], wanted["tasks"], strict=True):
        assert any("left out knn, checks" in note for note in mine["notes"])
        for one, other in zip(mine["layers"], theirs["layers"], strict=True):
            assert one["trust"] is None
            assert one["setting"] == other["setting"]
            assert one["valid"]["value"] == pytest.approx(other["valid"]["value"], abs=0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Data, and a study of it in which layers were held whole."""
    folder = tmp_path_factory.mktemp("whole")
    data = sounds(folder / "music")
    code, _, error = here(*command(data, folder / "study"), RSA_CACHE=str(folder / "cache"))
    assert code == 0, error
    return data, folder / "study", folder / "cache"


def test_one_process_says_what_it_leaves_out(whole, tmp_path, monkeypatch):
    data, study, _ = whole
    monkeypatch.setattr(cli.probing, "LARGEST", 100.0)
    cache = str(tmp_path / "cache")
    code, _, error = here(*command(data, tmp_path / "study"), RSA_CACHE=cache)
    assert code == 0, error
    assert "why: left out" in error and "--limit" in error
    check_alike(probed(tmp_path / "study"), probed(study))
    # and it is kept
    code, _, error = here(*command(data, tmp_path / "again"), RSA_CACHE=cache)
    assert code == 0, error
    assert probed(tmp_path / "again") == probed(tmp_path / "study")


@pytest.mark.scale
@pytest.mark.parametrize("size", [2, 4])
def test_several_processes_come_to_the_same(whole, tmp_path, size):
    data, study, cache = whole
    mine = tmp_path / "cache"
    shutil.copytree(cache / "activations", mine / "activations")
    worker = str(Path(__file__).parent / "large_worker.py")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
         str(size), worker, "100", *map(str, command(data, tmp_path / "study"))],
        capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "RSA_CACHE": str(mine), "OMP_NUM_THREADS": "1",
             "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_alike(probed(tmp_path / "study"), probed(study))
