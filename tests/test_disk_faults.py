"""Disks that are full, closed or damaged: one line that names the file, nothing lost, no litter."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from small_model import SmallData, SmallModel
from study_fixture import make_study

import probes
import rsa
from cli import kept, main
from cli.known import remembered
from cli.record import begin_study, claim
from cli.screen import Screen
from extract.datasets import open_dataset
from extract.errors import StoreError
from extract.pipeline import extract
from extract.writing import write_text
from probes.curves import Curve, read_curves, write_curves
from probes.errors import ProbeError
from reports import ReportError, Study, whole, write_reports
from rsa.records import write_csv, write_json

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail(*_, **__):
    raise FULL


def curves(path):
    drawn = np.random.default_rng(0)
    values = drawn.random(3)
    found = Curve(("x", "y", "z"), values, values, drawn.random((3, 40)), 7, 0.5, (0.0, 1.0))
    return write_curves(path, {("key", "linear"): found})


def results(path):
    return probes.ProbeResults("m", ("x",), ()).write(path.parent, path.stem)


RESULT = {
    "measure": "m", "title": "M", "family": "cca", "unit": "", "formula": "", "source": "",
    "says": "", "beware": "", "range": [0.0, 1.0], "symmetric": True,
    "larger_is_more_similar": True, "interval": 0.95, "chance_by": "", "notes": [],
    **{name: [[0.5]] for name in
       ("value", "low", "high", "chance", "chance_high", "score", "p")},
}  # fmt: skip
WRITERS = {
    "text of a study": lambda path: write_text(path, "new"),
    "a result in the cache": lambda path: kept.write(path, {"new": 1}, "code"),
    "numbers of similarity": lambda path: write_json(path.parent, path.stem, {"new": 1}),
    "a table of similarity": lambda path: write_csv(path, ["a"], [["b"]]),
    "probes": results,
    "curves of probes": curves,
    "a report": lambda path: whole.replace(path, b"new"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("place", ["os.replace", "builtins.open", "pathlib.Path.write_text"])
def test_a_full_disk_names_the_file_and_keeps_what_was_there(tmp_path, monkeypatch, name, place):
    path = tmp_path / "study" / ("a.npz" if "curves" in name else "a.json")
    WRITERS[name](path.parent / path.name) if "report" not in name else path.parent.mkdir()
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(place, fail)
        try:
            WRITERS[name](path)
            failed = ""
        except OSError as error:
            assert error.errno == errno.ENOSPC
            failed = error.filename
            assert Path(failed).with_suffix("") == path.with_suffix("")
    assert failed or place != "os.replace"  # not every writer goes through the others
    assert (path.read_bytes() == b"old") is (failed == str(path))
    assert not [one for one in path.parent.iterdir() if one.name.startswith(".")]


def test_a_report_that_cannot_be_written_names_its_file(tmp_path, monkeypatch):
    study = make_study(
        tmp_path / "study", layers={"a": 3, "b": 3}, tasks=1, measures=1, geometry=False,
        information=False, twins=False, references=False, trust=False, published=False,
        heads=False,
    )  # fmt: skip
    monkeypatch.setattr(whole.os, "replace", fail)
    with pytest.raises(ReportError, match="report.md: cannot be written .No space.*make room"):
        write_reports(study, formats=("md",))
    assert not list(study.glob(".report*"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/a-b.json"),
         "rsa: /x/a-b.json: No space left on device; make room on the disk and run the same"),
        (OSError(errno.EROFS, "Read-only file system", "/x/s"),
         "rsa: /x/s: Read-only file system; name a folder that can be written: --out"),
        (OSError(errno.EIO, "Input/output error"), "rsa: Input/output error; the disk fails"),
    ],
)  # fmt: skip
def test_an_error_of_the_disk_is_one_line_and_code_4(monkeypatch, capsys, error, line):
    def command(**_):
        raise error

    monkeypatch.setattr(main, "root", command)
    with pytest.raises(SystemExit) as end:
        main.main()
    said = capsys.readouterr().err
    assert end.value.code == 4 and said.startswith(line) and said.count("\n") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ImportError("numpy failed"), None])
def test_ctrl_c_ends_with_130_whatever_it_hit(monkeypatch, capsys, error):
    """An import that is interrupted may report it as its own failure."""

    def command(**_):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise error or KeyboardInterrupt from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.delenv("RSA_DEBUG", raising=False)
    monkeypatch.setattr(main, "root", command)
    try:
        with pytest.raises(SystemExit) as end:
            main.main()
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err
    assert end.value.code == 130 and said == f"rsa: {main.INTERRUPTED}\n"


def test_a_study_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory") as caught:
        claim(tmp_path / "file" / "study", Screen(True))
    assert caught.value.filename == str(tmp_path / "file" / "study")


# what is read


def test_a_kept_result_reads_back_or_as_not_there(tmp_path):
    path, beside = tmp_path / "a.json", tmp_path / "a.npz"
    beside.write_bytes(b"curves")
    content = {"value": [0.25, None, "x\n"], "n": 3}
    kept.write(path, content, "code", beside=beside)
    good = path.read_bytes()
    assert kept.read(path, beside=beside) == content and kept.code(path) == "code"
    for position in range(len(good)):
        path.write_bytes(good[:position])
        assert kept.read(path, beside=beside) is None
        path.write_bytes(good[:position] + bytes([good[position] ^ 2]) + good[position + 1 :])
        assert kept.read(path, beside=beside) in (None, content)
    path.write_bytes(good)
    beside.write_bytes(b"Curves")
    assert kept.read(path, beside=beside) is None
    beside.unlink()
    assert kept.read(path, beside=beside) is None and kept.read(tmp_path / "none") is None


def test_a_digit_changed_in_a_kept_result_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    made = []

    def work():
        made.append(1)
        return {"value": 1234.5}

    def found():
        return remembered("why", ["key"], 0, None, work)

    assert found() == found() == {"value": 1234.5} and len(made) == 1
    (path,) = (tmp_path / "why").iterdir()
    path.write_text(path.read_text().replace("1234.5", "1234.6"))
    assert found() == {"value": 1234.5} and len(made) == 2 and found() and len(made) == 2


def test_what_is_found_is_what_a_later_run_reads(tmp_path, monkeypatch):
    """A resumed study gives the same bytes: a count that was written as 6 is not read as 6.0."""
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    first, again = (
        remembered("why", ["key"], 0, None, lambda: {"pair": (1, 2), 3: 4.0}) for _ in range(2)
    )
    assert first == again == {"pair": [1, 2], "3": 4.0}
    counts = rsa.MeasureResult.from_json(RESULT | {"extra": {"components": [[1]]}})
    counts.extra["components"] = np.array([[6]])  # as a measure gives it
    found = rsa.Similarity("a", "b", ("x",), ("y",), "clips", 9, 9, 3, (counts,))
    text = json.dumps(found.as_json())
    assert json.dumps(rsa.Similarity.from_json(json.loads(text)).as_json()) == text


def test_damaged_curves_are_named(tmp_path):
    path = curves(tmp_path / "a.npz")
    good, wanted, noticed = path.read_bytes(), read_curves(path), 0
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        for content in (bytes(damaged), good[:position]) if position % 3 else (bytes(damaged),):
            path.write_bytes(content)
            try:
                found = read_curves(path)
            except ProbeError as error:
                assert str(error).startswith(f"{path}: ") and "probe again" in str(error)
                noticed += 1
            else:
                for key, curve in wanted.items():
                    np.testing.assert_array_equal(found[key].resampled, curve.resampled)
    assert noticed > len(good)


def test_every_file_of_a_study_that_breaks_off_is_named(tmp_path):
    folder = make_study(tmp_path / "study", layers={"a": 3, "b": 3}, tasks=2)
    files = sorted(folder.rglob("*.json"))
    assert {path.parent.name for path in files} >= {"study", "similarity", "probes", "geometry"}
    Study.read(folder)
    for path in files:
        good = path.read_bytes()
        for share in (0.0, 0.3, 0.9):
            path.write_bytes(good[: int(share * len(good))])
            with pytest.raises(ReportError) as caught:
                Study.read(folder)
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        path.write_bytes(good)
    Study.read(folder)


def test_a_similarity_that_breaks_off_is_named(tmp_path):
    path = tmp_path / "a-b.json"
    for text in ("", "{", '{"format": 2}', '{"format": 2, "x": "a", "measures": 3}', "[]", "\0"):
        path.write_text(text)
        with pytest.raises(rsa.RsaError, match="a-b.json.*again"):
            rsa.Similarity.read(path)


def test_audio_that_vanishes_after_the_listing_is_left_out_with_the_reason(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "music").mkdir()
    for name in "abcd":
        soundfile.write(tmp_path / "music" / f"{name}.wav", 0.1 * rng.standard_normal(4000), 4000)
    data = open_dataset(str(tmp_path / "music"), None)
    (tmp_path / "music" / "b.wav").unlink()
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "store")["clips"]
    assert [one.file for one in found.failures] == [str(tmp_path / "music" / "b.wav")]
    assert "no such file" in found.failures[0].reason and len(found) == 3


# a real small disk


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 KiB of its own; a function sets its size or closes it."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        done = subprocess.run(["mount", *options], capture_output=True)
        return done.returncode == 0

    if not mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)):
        pytest.skip("needs leave to mount a disk")
    yield place, lambda option: mount("-o", f"remount,{option}", str(place))
    subprocess.run(["umount", "-l", str(place)], check=True)


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_disk_that_fills_up_costs_the_shard_in_hand(disk, tmp_path):
    place, set_to = disk
    data = SmallData((2.0,) * 320)
    with pytest.raises(StoreError, match="shard-000.*No space.*make room"):
        extract(SmallModel(), data, data.clips, ["frames:10"], place)
    assert not list(place.rglob("*.part"))
    assert set_to("size=2m")
    extract(SmallModel(), data, data.clips, ["frames:10"], place)
    extract(SmallModel(), data, data.clips, ["frames:10"], tmp_path / "calm")
    assert files(place) == files(tmp_path / "calm")


def test_a_full_disk_takes_no_text_and_loses_none(disk):
    place, _ = disk
    write_text(place / "study.json", "old")
    for write in (write_text, lambda path, text: whole.replace(path, text.encode())):
        with pytest.raises(OSError, match="No space left") as caught:
            write(place / "study.json", "x" * 100_000)
        assert caught.value.filename == str(place / "study.json")
        assert files(place) == {"study.json": b"old"}


def test_a_closed_disk_is_read_and_not_written(disk):
    place, set_to = disk
    data = SmallData((1.0,) * 40)
    before = extract(SmallModel(), data, data.clips, ["clips"], place)["clips"]
    assert set_to("ro")
    found = extract(SmallModel(), data, data.clips, ["clips"], place)["clips"]
    assert (found.read("mean") == before.read("mean")).all()
    with pytest.raises(StoreError, match="manifest.json: cannot write: Read-only.*RSA_CACHE"):
        extract(SmallModel(), data, data.clips, ["frames:2"], place)
    assert set_to("rw")
    store = before.store
    del before, found  # which hold the files open
    gc.collect()
    store.path(1).unlink()
    assert set_to("ro")
    model = SmallModel()
    with pytest.raises(StoreError, match="cannot write: Read-only.*RSA_CACHE"):
        extract(model, data, data.clips, ["clips"], place)
    assert model.calls == 0
    assert set_to("rw")
    assert json.loads((store.folder / "manifest.json").read_text())["format"] == 1


def test_two_runs_do_not_write_one_study(tmp_path):
    """The second is refused while the first lives, whether it ends well or is killed."""
    folder = tmp_path / "study"
    code = (
        "import sys, time; from pathlib import Path; from cli.record import claim\n"
        "from cli.screen import Screen\n"
        "claim(Path(sys.argv[1]), Screen(True)); print('begun', flush=True); time.sleep(600)\n"
    )
    arguments = [sys.executable, "-c", code, str(folder)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root) as other:
        assert other.stdout.readline() == b"begun\n"
        (folder / "similarity").mkdir()
        with pytest.raises(click.UsageError, match="another run is writing this study"):
            claim(folder, Screen(True))
        assert (folder / "similarity").exists()
        other.kill()
        other.wait()
    claim(folder, Screen(True))
    claim(folder, Screen(True))  # again by the same process
    begin_study(folder)
    assert not (folder / "similarity").exists()
