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

from extract import forward, store
from extract.errors import ActivationsInvalid, DataError, OptionUnsuitable
from extract.pipeline import SHARD_CLIPS, Options, extract, shard_clips
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


def places_of(activations):
    """(clip, start, end) of each row."""
    rows = activations.rows
    return [(clip, *span) for clip, span in zip(rows.clip, rows.spans.tolist(), strict=True)]


def test_a_sketch_has_the_very_frames_that_it_drew(tmp_path):
    data = SmallData()
    found = extract(SmallModel(), data, data.clips, ["frames:10", "sketch:10:4"], tmp_path)
    frames, sketch = found["frames:10"], found["sketch:10:4"]
    assert len(sketch) == 4 * 4 and len(frames) > 50
    table = {place: row for row, place in enumerate(places_of(frames))}
    places = [table[place] for place in places_of(sketch)]
    assert torch.equal(sketch.read("double"), frames.read("double")[places])


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
    monkeypatch.setitem(forward.BATCH_SECONDS, "cpu", 2.0)
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
        def forward(self, values, until=None):
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


def test_pieces_in_order_read_each_shard_once_and_check_it_once(tmp_path, monkeypatch):
    data = SmallData((1.0,) * 70)
    found = extract(SmallModel(), data, data.clips, ["frames:5"], tmp_path)["frames:5"]
    whole = found.read("mean")
    again = extract(SmallModel(), data, data.clips, ["frames:5"], tmp_path)["frames:5"]
    reads, checks = [], []
    read, digest = again.store.read_shard, store.hash_of
    monkeypatch.setattr(again.store, "read_shard", lambda *a: reads.append(a) or read(*a))
    monkeypatch.setattr(store, "hash_of", lambda values: checks.append(1) or digest(values))
    for _ in range(2):
        pieces = [again.read("mean", at, at + 35) for at in range(0, 350, 35)]
        assert torch.equal(torch.cat(pieces), whole)
    assert reads == [(shard, "mean") for shard in (0, 1, 2)] * 2
    assert len(checks) == 3


def test_shards_of_long_clips_hold_fewer(tmp_path):
    assert shard_clips(SmallData((8.0,) * 5).clips) == SHARD_CLIPS
    assert shard_clips(SmallData((30.0,) * 5).clips) == 16
    assert shard_clips(SmallData((240.0, 720.0)).clips) == 1
    assert shard_clips(SmallData((2000.0,)).clips) == 1
    assert shard_clips([]) == SHARD_CLIPS


def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path):
    """Kill -9 in the middle of extraction; finished shards are not touched again."""
    code = (
        "import sys, time, pathlib; sys.path[:0] = [sys.argv[2], sys.argv[3]]\n"
        "from small_model import SmallData, SmallModel\n"
        "from extract.pipeline import extract\n"
        "class Slow(SmallModel):\n"
        "    def forward(self, values, until=None):\n"
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


class Cramped(SmallModel):
    """A device on which two windows fit."""

    def __init__(self, error, room=2):
        super().__init__()
        self.error, self.room = error, room

    def forward(self, values, until=None):
        if len(values) > self.room:
            raise self.error
        return super().forward(values)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_means_smaller_batches_said_once(tmp_path, monkeypatch, error):
    monkeypatch.setitem(forward.BATCH_SECONDS, "cpu", 60.0)
    data, said = SmallData((2.0,) * 40), []
    tight = extract(
        Cramped(error), data, data.clips, ["clips"], tmp_path / "a", say=said.append
    )["clips"]
    wide = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "b")["clips"]
    assert torch.equal(tight.read("double"), wide.read("double"))
    (line,) = said
    assert "out of memory on cpu: going on with smaller batches" in line


def test_no_memory_for_one_window_names_the_cure(tmp_path):
    data = SmallData()
    with pytest.raises(ActivationsInvalid, match="small: out of memory.*--window"):
        extract(Cramped(MemoryError(), 0), data, data.clips, ["clips"], tmp_path, say=print)


def test_other_errors_are_not_taken_for_memory(tmp_path):
    data = SmallData()
    with pytest.raises(RuntimeError, match="shape"):
        extract(Cramped(RuntimeError("shape"), 0), data, data.clips, ["clips"], tmp_path)


def test_only_the_layers_asked_for_are_computed_and_kept(tmp_path):
    class Watched(SmallModel):
        def forward(self, values, until=None):
            seen.add(until)
            return super().forward(values)

    seen, data, model = set(), SmallData(), Watched()
    model.keep(["double", "mean"])
    some = extract(model, data, data.clips, ["clips"], tmp_path)["clips"]
    assert some.layers == ("mean", "double") and seen == {"double"}
    whole = extract(SmallModel(), data, data.clips, ["clips"], tmp_path)["clips"]
    assert torch.equal(some.read("double"), whole.read("double"))
    with pytest.raises(OptionUnsuitable, match="no layer 'dubble'; did you mean double"):
        model.keep(["dubble"])
    with pytest.raises(OptionUnsuitable, match="no layer 'x'; there are mean, double, window"):
        model.keep(["x"])
    with pytest.raises(OptionUnsuitable, match="--layers names no layer"):
        model.keep([])


def test_windows_of_the_users_length_cover_the_clip_once(tmp_path):
    data, model = SmallData((5.0, 1.0, 3.3)), SmallModel()
    model.recut(1.0, 0.4)
    found = extract(model, data, data.clips, ["clips"], tmp_path)["clips"]
    wanted = torch.tensor([ramp_mean(c, 0, c.duration) for c in data.clips])
    torch.testing.assert_close(found.read("mean")[:, 0], wanted, atol=1e-5, rtol=0)
    assert found.store.plan.window == 1.0 and found.store.plan.hop == 0.4


@pytest.mark.parametrize(
    ("window", "hop", "message"),
    [
        (1.0, 2.0, "--hop 2 is longer"),
        (0.0001, None, "--window 0.0001.*at least"),
        (float("nan"), None, "--window nan: give a number"),
        (None, 0.001, "--hop 0.001: a moment would be in more than 50.*at least 0.04"),
    ],
)
def test_windows_that_make_no_cut_are_refused(window, hop, message):
    with pytest.raises(OptionUnsuitable, match=message):
        SmallModel().recut(window, hop)


def test_a_fixed_window_stays_what_it_is():
    with pytest.raises(OptionUnsuitable, match="small cuts its windows itself"):
        SmallModel(fixed=True).recut(1.0, None)
    SmallModel(fixed=True).recut(None, None)


class Linear(SmallModel):
    """A product in the middle, for arithmetic of less precision."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.network = torch.nn.Linear(2, 2, bias=False)
        self.network.weight.data = scale * torch.tensor([[0.3, 0.7], [0.9, -0.2]])

    def forward(self, values, until=None):
        outputs = super().forward(values)
        outputs["double"] = self.network(outputs["mean"])
        return outputs


def test_a_reduced_precision_is_measured_on_the_audio_at_hand(tmp_path):
    data = SmallData((2.0, 5.0))
    exact = extract(Linear(), data, data.clips, ["clips"], tmp_path)["clips"]
    rough = extract(
        Linear(), data, data.clips, ["clips"], tmp_path, Options(precision="bf16")
    )["clips"]
    assert exact.store.folder != rough.store.folder and exact.store.deviations() is None
    found = rough.store.deviations()
    assert found["mean"] == 0 and 1e-4 < found["double"] < 1e-2  # bf16 keeps 8 bits
    off = (rough.read("double") - exact.read("double")).norm() / exact.read("double").norm()
    assert 0 < off < 1e-2


def test_a_layer_outside_the_range_of_fp16_is_named(tmp_path, monkeypatch):
    monkeypatch.delitem(forward.WITHOUT, "fp16")
    data = SmallData()
    with pytest.raises(ActivationsInvalid, match="fp16: layer double of small"):
        extract(
            Linear(1e6), data, data.clips, ["clips"], tmp_path, Options(precision="fp16")
        )


@pytest.mark.parametrize("precision", ["tf32", "fp16", "int8"])
def test_a_precision_the_device_has_not(tmp_path, precision):
    data = SmallData()
    with pytest.raises(OptionUnsuitable, match=f"--precision {precision}"):
        extract(
            SmallModel(), data, data.clips, ["clips"], tmp_path, Options(precision=precision)
        )


def test_only_a_model_with_blocks_can_be_compiled(tmp_path):
    data = SmallData()
    with pytest.raises(OptionUnsuitable, match="--compile: small cannot be compiled"):
        extract(SmallModel(), data, data.clips, ["clips"], tmp_path, Options(compiled=True))


def test_an_extraction_leaves_threads_and_number_formats_as_they_were(tmp_path):
    data = SmallData()
    before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    extract(SmallModel(), data, data.clips, ["clips"], tmp_path)
    assert (torch.get_num_threads(), torch.backends.cudnn.allow_tf32) == before
