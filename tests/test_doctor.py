"""`rsa doctor`: on this machine all is well; for each check a fault that it must find."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import urllib.error
from importlib import import_module, metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from small_model import SmallData, SmallModel

from cli import doctor
from cli.doctor import folders, formats, installed, machine, sources
from cli.doctor.check import Asked, Check, examine
from cli.main import root
from extract import memory
from extract.pipeline import extract

GIB = 1 << 30
TORCH = {
    "torch": "2.14.1", "cuda": None, "hip": None, "threads": 2, "mps": False, "mps_built": False,
    "arches": [], "gpus": [],
}  # fmt: skip
GPU = {"name": "H200", "memory": 139 * GIB, "free": 130 * GIB, "capability": "9.0"}
ASKED = Asked()
DRIVER = ({"name": "H200", "driver": "550.54", "cuda": "12.4"},)


def run(check, asked=ASKED) -> list[Check]:
    return list(examine(check, asked))


def only(check, asked=ASKED) -> Check:
    (found,) = run(check, asked)
    assert "\n" not in found.found and (found.cure or found.state == "ok")
    return found


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def torch_says(monkeypatch):
    """Puts in what torch and the driver say."""

    def say(error="", driver=(), **found):
        monkeypatch.setattr(installed, "nvidia", lambda: driver)
        for module in (installed, machine):
            monkeypatch.setattr(module, "look_at_torch", lambda: ({**TORCH, **found}, error))

    return say


def test_here_every_check_says_what_it_found(cache):
    done = CliRunner().invoke(root, ["doctor", "--json"])
    rows = json.loads(done.stdout)
    by_name = {row["check"]: row for row in rows}
    for name in ("import name rsa", "torch and torchaudio", "audio formats", "typst (the PDF)",
                 "cache", "file locks", "hub"):  # fmt: skip
        assert by_name[name]["state"] == "ok", by_name[name]
    assert all(row["found"] and (row["cure"] or row["state"] == "ok") for row in rows)
    assert done.exit_code == int(any(row["state"] == "problem" for row in rows))
    for module, names in doctor.CHECKS.items():
        assert all(hasattr(import_module(f"cli.doctor.{module}"), name) for name in names)


def test_a_warning_is_no_problem_and_a_problem_is_exit_code_1(monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", {"machine": ("memory",)})
    for free, code, state in ((2 * GIB, 0, "warn"), (GIB // 2, 1, "problem")):
        monkeypatch.setattr(memory, "available", lambda free=free: free)
        done = CliRunner().invoke(root, ["doctor"], env={"COLUMNS": "150"})
        assert done.exit_code == code and state in done.stdout and "close other" in done.stdout


def test_a_check_that_fails_by_itself_is_a_problem_and_hides_no_other():
    def broken(asked):
        raise RuntimeError("two\nlines")

    found = only(broken)
    assert (found.state, found.found) == ("problem", "RuntimeError: two")


# what is installed


@pytest.mark.parametrize("how", ["their package", "their files", "nothing"])
def test_the_other_package_of_this_name(tmp_path, monkeypatch, how):
    (tmp_path / "__init__.py").write_text("")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    if how == "their package":
        monkeypatch.setattr(installed, "version", lambda name: "4.9")
    else:
        gone = None if how == "nothing" else spec
        monkeypatch.setattr(installed.util, "find_spec", lambda name: gone)
    found = only(installed.name_clash)
    assert found.state == "problem" and "Python-RSA" in found.cure


def test_versions_out_of_bounds_and_missing_are_named_with_the_bounds(monkeypatch):
    needs = ["torch<2.15,>=2.11", "click>=8.1", "numpy>=1.26", 'music21==10.5.*; extra == "demo"']
    have = {"torch": "2.15.0", "click": "8.1.7", "music-rsa": "0.1.0"}
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    monkeypatch.setattr(installed, "version", have.get)
    by_name = {check.name: check for check in run(installed.versions)}
    assert by_name["torch"].state == by_name["numpy"].state == "problem"
    assert "torch<2.15,>=2.11" in by_name["torch"].cure and by_name["torch"].found == "2.15.0"
    assert by_name["numpy"].found == "not installed" and "click" not in by_name
    have |= {"torch": "2.14.1+cu130", "numpy": "2.0"}
    assert only(installed.versions).state == "ok"
    monkeypatch.setattr(installed.platform, "python_version", lambda: "3.9.1")
    assert run(installed.versions)[0].name == "Python"

    def nowhere(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", nowhere)
    assert only(installed.versions).state == "warn"


@pytest.mark.parametrize(
    ("says", "state", "words"),
    [
        ({"error": "ends Python by signal 11"}, "problem", "signal 11"),
        ({"error": "OSError: undefined symbol: x"}, "problem", "undefined symbol"),
        ({"driver": DRIVER}, "warn", "built for the CPU only, beside H200"),
        ({"driver": DRIVER, "cuda": "13.0"}, "warn", "driver 550.54 runs up to 12.4"),
        ({"cuda": "13.0", "gpus": [GPU], "gpu_error": "no kernel image"}, "problem", "no kernel"),
        ({"cuda": "13.0", "gpus": [GPU], "driver": DRIVER}, "ok", "built for CUDA 13.0"),
        ({}, "ok", "built for the CPU"),
    ],
)  # fmt: skip
def test_torch_with_torchaudio_and_the_driver(torch_says, says, state, words):
    torch_says(**says)
    found = only(installed.torch_pair)
    assert found.state == state and words in found.found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ends Python by signal 11"),
        ("raise OSError('undefined symbol')", "OSError: undefined symbol"),
    ],
)
def test_a_pair_that_ends_python_does_not_end_the_doctor(monkeypatch, code, words):
    monkeypatch.setattr(installed, "LOOK", f'print(\'{{"torch": "2.12"}}\', flush=True); {code}')
    assert installed.look_at_torch.__wrapped__() == ({"torch": "2.12"}, words)


def test_what_the_driver_says_is_read(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ $# = 0 ] && echo "| CUDA Version: 12.4 |" || '
                       'echo "NVIDIA H200, 550.54.15"\n')  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (gpu,) = installed.nvidia.__wrapped__()
    assert gpu == {"name": "NVIDIA H200", "driver": "550.54.15", "cuda": "12.4"}
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert installed.nvidia.__wrapped__() == ()


def test_extras_say_what_lacks_without_them(monkeypatch):
    needs = ['music21==10.5.*; extra == "demo"', 'mirdata>=1.0; extra == "mirdata"']
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    monkeypatch.setattr(installed, "version", {"music21": "9.1"}.get)
    demo, mirdata = run(installed.extras)
    assert (demo.state, mirdata.state) == ("warn", "ok")
    assert "no data set mini" in demo.found and "music-rsa[mirdata]" in mirdata.cure


# the machine


@pytest.mark.parametrize(
    ("says", "state", "words"),
    [
        ({"gpus": [GPU], "arches": ["sm_80", "sm_90a"]}, "ok", "130.0 GiB of 139.0 GiB free"),
        ({"gpus": [{**GPU, "capability": "12.0"}], "arches": ["sm_90"]}, "warn", "sm_90"),
        ({"gpus": [{**GPU, "free": GIB}], "arches": []}, "warn", "1.0 GiB of 139.0 GiB free"),
        ({"mps": True}, "ok", "mps"),
        ({}, "ok", "cpu"),
    ],
)
def test_devices(torch_says, says, state, words):
    torch_says(**says)
    found = only(machine.device)
    assert found.state == state and words in found.found


def test_memory_is_that_of_the_container(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2 * GIB)
    monkeypatch.setattr(memory, "total", lambda: 3 * GIB)
    monkeypatch.setattr(memory, "limited_by_container", lambda: 3 * GIB)
    found = only(machine.memory)
    assert found.state == "warn" and "a container's limit: 3.0 GiB" in found.found
    assert "give the container more" in found.cure


def test_more_threads_than_cores_and_idle_cores(torch_says, monkeypatch):
    torch_says(threads=16)
    monkeypatch.setattr(machine, "_blas", lambda: {"openblas": 4})
    for cores, state, cure in (
        (4, "warn", "OMP_NUM_THREADS=4"),
        (16, "ok", ""),
        (64, "warn", "unset"),
    ):  # noqa: E501
        monkeypatch.setattr(machine, "usable_cores", lambda cores=cores: cores)
        monkeypatch.setenv("OMP_NUM_THREADS", "16")
        found = only(machine.processors)
        assert found.state == state and cure in found.cure


def test_no_shared_memory(monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=4096))
    found = only(machine.shared_memory)
    assert found.state == "warn" and "--shm-size" in found.cure

    def none():
        raise OSError(errno.ENOSYS, "sem_open")

    monkeypatch.setattr("multiprocessing.get_context", lambda: SimpleNamespace(Lock=none))
    assert "no locks between processes" in only(machine.shared_memory).found


@pytest.mark.parametrize("where", ["files", "terminal"])
def test_a_terminal_or_file_system_without_letters(monkeypatch, where):
    if where == "files":
        monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    else:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    found = only(machine.text)
    assert found.state == "warn" and "PYTHONUTF8=1" in found.cure


# folders


def test_folders_that_cannot_be_written_or_are_full(cache, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "file"))
    by_name = {check.name: check for check in run(folders.disk, Asked(tmp_path / "file" / "s"))}
    for name in ("cache", "studies"):
        assert by_name[name].state == "problem" and by_name[name].cure, name
    monkeypatch.setenv("RSA_CACHE", str(cache))
    for free, state in ((10 * GIB, "ok"), (GIB, "warn"), (GIB // 1000, "problem")):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(folders.shutil, "disk_usage", lambda path, usage=usage: usage)
        (found,) = (c for c in run(folders.disk, Asked(tmp_path)) if c.name == "cache")
        assert found.state == state
    assert not list(cache.iterdir())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert all(check.state == "problem" for check in run(folders.disk, Asked(tmp_path)))


def test_locks_that_are_none(cache, monkeypatch):
    import fcntl

    assert only(folders.locks).state == "ok"

    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    for flock, words in ((unsupported, "No locks"), (lambda *_: None, "given twice")):
        monkeypatch.setattr(fcntl, "flock", flock)
        found = only(folders.locks)
        assert found.state == "warn" and words in found.found and "local disk" in found.cure
    assert not list(cache.iterdir())


@pytest.mark.parametrize("fault", ["format", "manifest", "shard"])
def test_stores_that_are_damaged_or_of_another_version_are_counted(cache, fault):
    data = SmallData()
    extract(SmallModel(), data, data.clips, ["clips"], cache / "activations")
    held, found = run(folders.stores)
    assert (found.state, found.found) == ("ok", "1 stores") and "activations" in held.found
    (manifest,) = cache.rglob("manifest.json")
    (shard,) = cache.rglob("shard-*.safetensors")
    if fault == "shard":
        shard.write_bytes(shard.read_bytes()[:20])
    else:
        content = json.loads(manifest.read_text()) | {"format": 99}
        manifest.write_text(json.dumps(content) if fault == "format" else "{")
    _, found = run(folders.stores)
    said = "0 damaged, 1 of another" if fault == "format" else "1 damaged, 0 of another"
    assert found.state == "warn" and said in found.found and "rsa store" in found.cure


# formats


@pytest.mark.parametrize("fault", ["refused", "noise", "short"])
def test_a_format_that_is_not_read_rightly(monkeypatch, fault):
    import soundfile

    from extract import audio

    real = audio.read

    def read(path, rate):
        if not str(path).endswith(".mp3"):
            return real(path, rate)
        if fault == "refused":
            raise soundfile.SoundFileError("unknown format")
        values = real(path, rate)
        if fault == "short":
            return values[:100]
        return values.new_tensor(np.random.default_rng(0).normal(size=len(values)))

    assert only(formats.audio).state == "ok"
    monkeypatch.setattr(audio, "read", read)
    found = only(formats.audio)
    assert found.state == "problem" and "mp3: " in found.found and "wav" not in found.found


def test_pages_without_their_face_or_without_typst(monkeypatch, tmp_path):
    import typst

    template = tmp_path / "template.typ"
    template.write_text('#set text(font: "No Such Face")')
    monkeypatch.setattr(formats, "TEMPLATE", template)
    found = only(formats.pages)
    assert found.state == "warn" and "no such face" in found.found

    def fail(*_, **__):
        raise RuntimeError("broken wheel")

    monkeypatch.setattr(typst, "compile_with_warnings", fail)
    assert only(formats.pages).state == "problem"
    monkeypatch.setattr(typst, "compile_with_warnings", lambda *_, **__: (b"", []))
    assert "no PDF" in only(formats.pages).found
    monkeypatch.setitem(sys.modules, "typst", None)
    assert only(formats.pages).state == "problem"


# where weights come from


def test_a_model_that_cannot_be_described_is_a_warning(monkeypatch):
    from extract import models

    def spec(name):
        if name == "muq":
            raise RuntimeError("broken")
        return SimpleNamespace(present=lambda: name == "clmr")

    monkeypatch.setattr(models, "spec", spec)
    found = only(sources.weights)
    assert found.state == "warn" and "muq" in found.found and "here: clmr" in found.found


def test_offline_and_a_hub_that_does_not_answer(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

    def fail(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(sources.urllib.request, "urlopen", fail)
    assert only(sources.hub).state == "ok"
    for error in (
        urllib.error.URLError("no route"), TimeoutError("timed out"),
        urllib.error.HTTPError("x", 503, "busy", {}, None),
    ):  # fmt: skip

        def raising(*_, error=error, **__):
            raise error

        monkeypatch.setattr(sources.urllib.request, "urlopen", raising)
        assert only(sources.hub, Asked(Path(), True)).state == "warn"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = only(sources.hub, Asked(Path(), True))
    assert found.state == "warn" and "unset HF_HUB_OFFLINE" in found.cure
