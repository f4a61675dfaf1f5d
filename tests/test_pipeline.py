"""Extraction: rows are exact means over time, work is not repeated, a kill loses one shard."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_model import RATE, SmallData, SmallModel

from extract import pipeline
from extract.errors import ActivationsInvalid, DataError
from extract.pipeline import Options, extract
from extract.store import align


def ramp_mean(clip, start, end):
    return int(clip.id[4:]) + (start + end) / 2 - 0.5 / RATE


def test_clip_rows_are_means_over_the_whole_clip_whatever_the_windows(tmp_path):
    data = SmallData((1.0, 2.0, 5.0, 0.5, 3.7))
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path)["clips"]
    wanted = torch.tensor([ramp_mean(c, 0, c.duration) for c in data.clips])
    torch.testing.assert_close(found.read("mean")[:, 0], wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.read("double"), 2 * found.read("mean"))


def test_frame_and_segment_rows_sit_at_their_time(tmp_path):
    data = SmallData()
    found = extract(SmallModel(), data, data.clips, ["frames:5", "segments:half"], tmp_path)
    for representation in found.values():
        rows = representation.rows
        pairs = zip(rows.clip, rows.spans, strict=True)
        wanted = [ramp_mean(rows.clips[i], *span) for i, span in pairs]
        got = representation.read("mean")[:, 0]
        torch.testing.assert_close(got, torch.tensor(wanted).float(), atol=1e-4, rtol=0)


def test_padding_of_a_fixed_window_counts_for_nothing(tmp_path):
    data = SmallData((0.5,))
    found = extract(SmallModel(fixed=True), data, data.clips, ["clips"], tmp_path)["clips"]
    assert found.read("mean")[0, 0].item() == pytest.approx(ramp_mean(data.clips[0], 0, 0.5))


def test_a_second_run_computes_nothing_and_new_rows_reuse_the_plan(tmp_path):
    data, model = SmallData(), SmallModel()
    extract(model, data, data.clips, ["clips"], tmp_path)
    calls = model.calls
    extract(model, data, data.clips, ["clips"], tmp_path)
    assert model.calls == calls


def test_batches_do_not_change_a_clip(tmp_path, monkeypatch):
    data = SmallData((2.0,) * 9)
    one = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "a")["clips"]
    monkeypatch.setitem(pipeline.BATCH_SECONDS, "cpu", 2.0)
    two = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "b")["clips"]
    assert torch.equal(one.read("mean"), two.read("mean"))


def test_bad_clips_are_left_out_counted_and_aligned(tmp_path):
    data, other = SmallData(bad=[1]), SmallData(bad=[2])
    one = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "a")["clips"]
    two = extract(SmallModel(), other, other.clips, ["clips"], tmp_path / "b")["clips"]
    assert [f.clip for f in one.failures] == ["clip01"] and "not audio" in one.failures[0].reason
    assert len(one) == 3
    align(one, two)
    assert [c.id for c in one.rows.clips] == [c.id for c in two.rows.clips] == ["clip00", "clip03"]
    assert torch.equal(one.read("mean"), two.read("mean"))


def test_too_many_bad_clips_end_the_run(tmp_path):
    data = SmallData(bad=[0, 1, 2])
    with pytest.raises(DataError, match="3 of 4 clips.*clip00.wav"):
        extract(SmallModel(), data, data.clips, ["clips"], tmp_path)


def test_values_that_are_not_finite_name_clip_and_layer(tmp_path):
    class Broken(SmallModel):
        def forward(self, values):
            outputs = super().forward(values)
            outputs["double"] = outputs["double"] / (values.max() < 2)
            return outputs

    data = SmallData()
    with pytest.raises(ActivationsInvalid, match="layer double.*clip0"):
        extract(Broken(), data, data.clips, ["clips"], tmp_path)


def test_reading_a_slice_is_reading_the_whole(tmp_path):
    data = SmallData((1.0,) * 70)
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path)["clips"]
    assert torch.equal(found.read("mean", 20, 50), found.read("mean")[20:50])


def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path):
    """Kill -9 in the middle of extraction; finished shards are not touched again."""
    code = (
        "import sys, time, pathlib; sys.path[:0] = [sys.argv[2], sys.argv[3]]\n"
        "from small_model import SmallData, SmallModel\n"
        "from extract.pipeline import extract\n"
        "class Slow(SmallModel):\n"
        "    def forward(self, values):\n"
        "        time.sleep(0.2)\n"
        "        return super().forward(values)\n"
        "data = SmallData((1.0,) * 320)\n"
        "extract(Slow(), data, data.clips, ['clips'], pathlib.Path(sys.argv[1]))\n"
    )
    here = Path(__file__).parent
    arguments = [sys.executable, "-c", code, str(tmp_path / "killed"), str(here), str(here.parent)]
    process = subprocess.Popen(arguments)
    deadline = time.monotonic() + 60
    while len(shards := list((tmp_path / "killed").rglob("shard-*"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in shards}

    data = SmallData((1.0,) * 320)
    resumed = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "killed")["clips"]
    whole = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "whole")["clips"]
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert len(kept) < resumed.store.plan.shards
    for index in range(whole.store.plan.shards):
        assert resumed.store.path(index).read_bytes() == whole.store.path(index).read_bytes()


def test_float16_stores_read_back_as_float32(tmp_path):
    data = SmallData()
    options = Options(dtype="float16")
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path, options)["clips"]
    assert found.read("mean").dtype == torch.float32
