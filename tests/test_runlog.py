"""The log of a run: what stands in it, what stays off the screen, that nothing is lost of it."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text
from study_fixture import make_study

from cli import options, screen
from cli.main import root
from cli.runlog import FILE, MOST, RunLog
from cli.screen import OutOfMemory, Screen

ROOT = Path(__file__).parent.parent


def entries(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def of(found: list[dict], event: str) -> list[dict]:
    return [entry for entry in found if entry["event"] == event]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def work(body, *given: str):
    """Runs a command with a log around `body`; (result of click, what it returned)."""

    @click.command("toil")
    @options.as_json
    @options.logged
    def command(as_json, screen):
        body(screen)

    return CliRunner().invoke(command, given)


def test_a_run_is_told_from_beginning_to_end(tmp_path):
    def body(screen):
        screen.say("before there is a place")
        screen.log.open(tmp_path)
        screen.settings({"seed": 3})
        with screen.stage("toil", unit="clip") as progress:
            progress(3, 4)
            progress(4, 4)

    assert work(body).exit_code == 0
    found = entries(tmp_path / FILE)
    assert [entry["event"] for entry in found] == [
        "begin", "said", "settings", "stage", "stage", "end",
    ]  # fmt: skip
    begin, said, settings, _, stage, end = found
    assert begin["command"] == "toil" and begin["options"]["log_level"] == "info"
    assert {"torch", "numpy"} <= set(begin["packages"]) and begin["python"] and begin["memory"]
    assert said["message"] == "before there is a place" and settings["settings"] == {"seed": 3}
    assert (stage["stage"], stage["message"], stage["done"], stage["total"]) == (
        "toil", "done", 4, 4,
    )  # fmt: skip
    assert end["message"] == "done" and end["exit_code"] == 0 and end["peak_memory"] > 1 << 20
    assert all(entry["run"] == begin["run"] and entry["time"].endswith("Z") for entry in found)


def test_a_further_run_is_appended(tmp_path):
    for _ in range(2):
        assert work(lambda screen: screen.log.open(tmp_path)).exit_code == 0
    assert len(of(entries(tmp_path / FILE), "begin")) == 2


def test_a_warning_is_said_once_and_counted(tmp_path):
    def body(screen):
        screen.log.open(tmp_path)
        for _ in range(3):
            screen.warn("left out: x.wav")
            warnings.warn("a library's", UserWarning, stacklevel=1)
        screen.warn("another")

    done = work(body)
    assert done.stderr.count("warning: left out: x.wav") == 1
    assert "said 3 times: left out: x.wav" in done.stderr and "a library's" not in done.stderr
    found = entries(tmp_path / FILE)
    assert [entry["message"] for entry in of(found, "warning")] == ["left out: x.wav", "another"]
    assert of(found, "repeats")[0]["times"] == 2
    (noise,) = of(found, "py.warnings")
    assert "UserWarning: a library's" in noise["message"] and noise["level"] == "warning"


def test_ever_new_warnings_do_not_fill_the_memory(tmp_path):
    with RunLog("toil") as log:
        log.open(tmp_path)
        for i in range(MOST + 500):
            log.once("info", "noise", f"line {i}")
        assert len(log._said) <= MOST
    assert of(entries(tmp_path / FILE), "repeats")[0]["times"] == 500


def test_libraries_have_to_be_louder_than_this_program(tmp_path):
    def body(screen):
        screen.log.open(tmp_path)
        for name in ("extract.datasets", "transformers_like"):
            logger = logging.getLogger(name)
            logger.info("info of %s", name)
            logger.warning("warning of %s", name)

    assert work(body).exit_code == 0
    said = [entry["message"] for entry in entries(tmp_path / FILE)]
    assert "info of extract.datasets" in said and "info of transformers_like" not in said
    assert "warning of transformers_like" in said
    assert logging.getLogger("extract").level == logging.NOTSET


def test_an_unexpected_error_is_in_the_log_with_its_traceback(tmp_path):
    def body(screen):
        screen.log.open(tmp_path)
        raise KeyError("surprise")

    done = work(body)
    assert isinstance(done.exception, KeyError)
    assert str(tmp_path / FILE) in done.exception.__notes__[0]
    error, end = entries(tmp_path / FILE)[-2:]
    assert "in body" in error["traceback"] and error["type"] == "KeyError"
    assert (end["message"], end["exit_code"]) == ("failed", 1)


def test_an_error_before_there_is_a_place_goes_to_the_cache_only_if_it_is_unexpected(cache):
    def usage(screen):
        raise click.UsageError("no such thing")

    def surprise(screen):
        raise KeyError("surprise")

    assert work(usage).exit_code == 2 and not cache.exists()
    work(surprise)
    (file,) = (cache / "logs").iterdir()
    assert of(entries(file), "error")[0]["traceback"]


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (KeyboardInterrupt(), "interrupted", 130),
        (SystemExit(0), "done", 0),
        (click.UsageError("no"), "failed", 2),
        (OutOfMemory("full"), "failed", 5),
    ],
)
def test_how_a_run_ended(tmp_path, error, message, code):
    with pytest.raises(type(error)), RunLog("toil") as log:
        log.open(tmp_path)
        raise error
    end = entries(tmp_path / FILE)[-1]
    assert (end["message"], end["exit_code"]) == (message, code)
    assert not any("traceback" in entry for entry in entries(tmp_path / FILE))


def test_how_loud_the_screen_is_and_that_the_log_always_has_it_all(tmp_path):
    def body(screen):
        screen.log.open(tmp_path)
        with screen.stage("toil"):
            screen.warn("beware")
        screen.error("missing")

    heard = {}
    for given in (("--log-level", "warning"), ("--log-level", "error"), ("--quiet",), ()):
        heard[given] = work(body, *given).stderr.split("\n")[:-1]
    assert heard["--log-level", "warning"] == ["warning: beware", "missing"]
    assert heard["--log-level", "error"] == heard[("--quiet",)] == ["missing"]
    assert heard[()][0] == "toil ..." and len(heard[()]) == 4
    runs = of(entries(tmp_path / FILE), "stage")
    assert len(runs) == 8


def test_debug_brings_the_fine_print(tmp_path):
    def body(screen):
        screen.log.open(tmp_path)
        logging.getLogger("extract").debug("fine print")
        logging.getLogger("transformers_like").info("more")

    work(body, "--log-level", "debug")
    said = [entry["message"] for entry in entries(tmp_path / FILE)]
    assert "fine print" in said and "more" in said
    assert logging.getLogger().level == logging.WARNING


def test_a_place_that_cannot_be_written_is_no_error(tmp_path, cache):
    (tmp_path / "file").write_text("")
    assert work(lambda screen: screen.log.open(tmp_path / "file")).exit_code == 0
    assert len(entries(next((cache / "logs").iterdir()))) == 2
    cache_file = tmp_path / "no-cache"
    cache_file.write_text("")
    os.environ["RSA_CACHE"] = str(cache_file)
    assert work(lambda screen: screen.log.open(tmp_path / "file")).exit_code == 0


def test_where_there_is_no_terminal_a_line_now_and_then_says_how_far(tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "NOW_AND_THEN", 0.0)
    monkeypatch.setattr("cli.runlog.TICK", 0.01)
    seen = threading.Event()

    def body(screen):
        screen.log.open(tmp_path)
        real = screen._now_and_then
        screen._now_and_then = lambda *given: (real(*given), seen.set())
        with screen.stage("toil", unit="clip") as progress:
            progress(0, 10)
            progress(5, 10)
            assert seen.wait(10)

    done = work(body)
    assert "toil: 5/10 clips, " in done.stderr and " left (since the start 0:00:" in done.stderr
    told = of(entries(tmp_path / FILE), "progress")[-1]
    assert (told["done"], told["total"], told["unit"]) == (5, 10, "clip") and told["rate"] > 0


def test_on_a_terminal_a_bar_says_how_far_and_how_long(tmp_path):
    with RunLog("toil") as log:
        shown = Screen(log=log)
        shown.console = Console(file=io.StringIO(), force_terminal=True, width=120)
        with shown.stage("toil [x]", unit="clip") as progress:
            progress(0, 4)
            progress(3, 4)
    text = Text.from_ansi(shown.console.file.getvalue()).plain
    assert "toil [x] " in text and "3/4 clips, " in text and " left" in text and "(0:00:0" in text
    assert "toil ..." not in text and text.rstrip().endswith("s)")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 4 bytes")],
)
def test_a_stage_without_memory_is_one_line_with_the_cure(tmp_path, error):
    def body(screen):
        screen.log.open(tmp_path)
        with screen.stage("similarity", cure="name fewer --measures"):
            raise error

    done = work(body)
    assert isinstance(done.exception, OutOfMemory)
    said = str(done.exception)
    assert said.startswith("similarity: out of memory (") and said.endswith("fewer --measures")
    assert "\n" not in said
    with pytest.raises(ValueError), Screen(True).stage("x"):
        raise ValueError("can't allocate memory")


NOISY = """
import ctypes, os, sys, warnings
from cli import options
import click

@click.command("toil")
@options.as_json
@options.logged
def command(as_json, screen):
    from pathlib import Path
    screen.log.open(Path(sys.argv[1]))
    with screen.stage("toil"):
        for _ in range(3):
            os.write(2, b"[src/libmpg123/parse.c] error: bad header\\n")
        print("a bar 10%\\ra bar 20%\\r", end="", file=sys.stderr)
        warnings.warn("of a library")
        os.system("echo of a child >&2")
        screen.warn("of ours")
    {more}

sys.argv[2:] = []
command(sys.argv[2:], standalone_mode=False)
"""


def noisy(tmp_path, more: str = ""):
    return subprocess.run(
        [sys.executable, "-c", NOISY.format(more=more), tmp_path], capture_output=True, text=True,
        cwd=ROOT,
    )  # fmt: skip


def test_what_libraries_print_is_in_the_log_and_not_on_the_screen(tmp_path):
    done = noisy(tmp_path)
    assert done.returncode == 0, done.stderr
    *_, stage = done.stderr.splitlines()
    assert done.stderr.startswith("toil ...\nwarning: of ours\n") and stage.startswith("toil (")
    found = entries(tmp_path / FILE)
    noise = [entry["message"] for entry in of(found, "noise")]
    assert noise[:1] == ["[src/libmpg123/parse.c] error: bad header"] and "of a child" in noise[-1]
    assert of(found, "repeats")[0]["times"] == 2
    assert not any("bar 10%" in message for message in noise)


def test_a_traceback_that_is_asked_for_reaches_the_screen(tmp_path):
    done = noisy(tmp_path, "raise KeyError('surprise')")
    assert "KeyError: 'surprise'" in done.stderr and done.returncode == 1


def test_a_crash_of_a_library_says_where_on_the_screen(tmp_path):
    done = noisy(tmp_path, "import faulthandler; faulthandler._sigsegv()")
    assert done.returncode < 0 and "Segmentation fault" in done.stderr
    (left,) = [e for e in entries(tmp_path / FILE) if e["event"] == "begin"]
    assert Path(left["stderr"]).exists()
    Path(left["stderr"]).unlink()


def test_a_report_is_noted_in_its_study(tmp_path):
    study = make_study(
        tmp_path / "study", layers={"a": 3, "b": 3}, tasks=1, measures=1, geometry=False,
        information=False, twins=False, references=False, trust=False, published=False, heads=False,
    )  # fmt: skip
    done = CliRunner().invoke(root, ["report", str(study), "--format", "md"])
    assert done.exit_code == 0, done.output
    noted = [entry["event"] for entry in entries(study / FILE)]
    assert [one for one in noted if one != "progress"] == ["begin", "stage", "stage", "end"]
