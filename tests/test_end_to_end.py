"""The commands on real audio files and on rendered scores, from nothing to a PDF."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pypdf
import pytest
import soundfile
from command import ROOT, here, rsa
from golden import wave

RATE = 22050


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Eleven files that can be heard in five formats and rates, one broken, one silent."""
    folder = tmp_path_factory.mktemp("music")
    formats = [("wav", 44100), ("flac", 48000), ("ogg", 22050), ("mp3", 44100), ("wav", 16000)]
    rows = []
    for i in range(11):
        ending, rate = formats[i % 5]
        low = i % 2 == 0
        t = np.arange(4 * rate) / rate
        tone = np.sin(2 * np.pi * (110 if low else 1760) * (1 + i / 40) * t)
        sound = 0.2 * tone + 0.2 * wave(4 * rate, rate, i).numpy()
        sound = np.stack([sound, 0.5 * sound], 1) if i % 3 == 0 else sound
        name = f"låt {i}.{ending}"
        soundfile.write(folder / name, sound, rate)
        rows.append((name, "low" if low else "high", ("train", "train", "valid", "test")[i % 4]))
    (folder / "broken.mp3").write_bytes(bytes(range(256)) * 40)
    soundfile.write(folder / "silent.wav", np.zeros(2 * RATE), RATE)
    rows += [("broken.mp3", "low", "train"), ("silent.wav", "high", "train")]
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "place", "split"), *rows])
    return folder


def pages(path: Path) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(path).pages]


def test_a_folder_with_a_broken_and_a_silent_file_becomes_a_report(music, tmp_path):
    study = tmp_path / "study"
    arguments = ("compare", "--a", "musicnn-mtt", "--b", "chordnet", "--untrained", "--data", music,
                 "--measures", "cka", "--layers-b", "conv01,conv08,heads", "--out", study,
                 "--json")  # fmt: skip
    code, out, error = rsa(*arguments)
    assert code == 0, error
    summary = json.loads(out)
    assert summary["rows"] == 11 and summary["failed"] == 2
    assert "broken.mp3" in error and "silent.wav" in error

    content = json.loads((study / "study.json").read_text())
    assert {f["clip"] for f in content["failures"]} == {"broken.mp3", "silent.wav"}
    assert content["stamps"] == ["UNTRAINED WEIGHTS"]
    text = pages(study / "report.pdf")
    assert len(text) >= 4 and all("UNTRAINED WEIGHTS" in page for page in text)
    assert any("broken.mp3" in page for page in text)
    for room in ("geometry", "information"):
        for role in ("a", "b", "ref"):
            assert json.loads((study / room / f"{role}.json").read_text())["x"] == role
    assert not list(study.glob("a.*")) and any("What is each layer like?" in page for page in text)

    within = json.loads((study / "similarity" / "a-a.json").read_text())
    for measure in within["measures"]:
        if measure["measure"] == "cka:linear,biased":
            np.testing.assert_allclose(np.diag(np.array(measure["value"], float)), 1.0, atol=1e-9)

    before = (study / "similarity" / "a-b.json").read_bytes()
    code, _, error = here(*arguments, "--no-report")
    assert code == 0 and (study / "similarity" / "a-b.json").read_bytes() == before

    code, out, error = here("report", study, "--out", tmp_path / "again.pdf")
    assert code == 0 and len(pages(tmp_path / "again.pdf")) == len(text), error


def test_frames_on_a_common_grid_and_a_probe_of_the_user_s_label(music, tmp_path):
    code, out, error = here(
        "compare", "--a", "vgg-mtt", "--b", "chordnet", "--untrained", "--data", music, "--tasks",
        "place", "--rows", "frames", "--grid", "2", "--measures", "cka", "--out", tmp_path / "s",
        "--no-report", "--json",
    )  # fmt: skip
    assert code == 0, error
    assert json.loads(out)["rows"] == 11 * 8 and json.loads(out)["groups"] == 11


def test_nearly_right_tasks_measures_and_data_are_usage_errors(music):
    base = ("compare", "--a", "vgg-mtt", "--b", "vgg-mtt", "--untrained", "--data", music)
    for more, hint in (
        (("--tasks", "plac"), "did you mean place"),
        (("--measures", "ckaa"), "did you mean cka"),
    ):
        code, _, error = here(*base, *more)
        assert code == 2 and hint in error and "Traceback" not in error, error
    code, _, error = here("extract", "--model", "vgg-mtt", "--untrained", "--data", music / "nope")
    assert code == 2 and "neither a data set nor a folder" in error


def test_a_folder_of_nothing_but_broken_files_is_one_line(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.wav").write_bytes(b"RIFF not really")
    code, _, error = here("extract", "--model", "vgg-mtt", "--untrained", "--data", tmp_path)
    assert code == 4 and "3 of 3 clips" in error and "Traceback" not in error


def test_a_command_killed_in_extraction_goes_on_where_it_stopped(tmp_path):
    arguments = [sys.executable, "-m", "cli.main", "extract", "--model", "vgg-mtt", "--untrained",
                 "--data", "mini:note", "--limit", "160", "--json"]  # fmt: skip
    environment = {**os.environ, "RSA_CACHE": str(tmp_path)}
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (kept := list(tmp_path.rglob("shard-*.safetensors"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(ProcessLookupError):  # the processes it had started end by themselves
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    before = {path: path.stat().st_mtime_ns for path in kept}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, check=True)
    shards = list(Path(json.loads(done.stdout)["folder"]).glob("shard-*"))
    assert len(shards) == 5 and len(before) < 5
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())


@pytest.mark.slow
def test_two_taggers_agree_at_the_front_and_part_towards_the_end(tmp_path):
    """Trained weights on chorales: what is known of these two networks is found again."""
    study = tmp_path / "study"
    code, _, error = here(
        "compare", "--a", "musicnn-mtt", "--b", "musicnn-msd", "--data", "mini:chorale",
        "--limit", "120", "--tasks", "none", "--out", study, "--no-report",
    )  # fmt: skip
    assert code == 0, error
    content = json.loads((study / "similarity" / "a-b.json").read_text())
    layers = content["layers_x"]
    biased = next(m for m in content["measures"] if m["measure"] == "cka:linear,biased")
    value = {name: biased["value"][i][i] for i, name in enumerate(layers)}
    assert min(value["timbral"], value["temporal"]) > 0.85
    assert value["cnn3"] < min(value["timbral"], value["temporal"]) - 0.15


def test_too_few_clips_are_told_before_a_network_runs(music, tmp_path):
    arguments = ("compare", "--a", "clmr", "--b", "tune", "--untrained", "--data", music)
    code, _, error = here(*arguments, "--limit", "3", "--out", tmp_path / "study")
    assert code == 5 and "3 rows are too few to compare: at least 4" in error
    assert "activations" not in error and not (tmp_path / "study").exists()


def test_networks_of_other_rates_widths_and_depths_meet_on_the_clip(music, tmp_path):
    study = tmp_path / "study"
    arguments = ("compare", "--a", "clmr", "--b", "tune:vanilla-xs", "--untrained", "--data", music,
                 "--measures", "cka", "--tasks", "none", "--layers-a", "conv03,conv11",
                 "--layers-b", "Contr-2,Bot-U", "--precision", "bf16", "--out", study,
                 "--no-report")  # fmt: skip
    code, _, error = here(*arguments)
    assert code == 0, error
    cards = json.loads((study / "study.json").read_text())["models"]
    assert [[layer["name"] for layer in cards[role]["layers"]] for role in "ab"] == [
        ["conv03", "conv11"], ["Contr-2", "Bot-U"],
    ]  # fmt: skip
    for role in "ab":
        assert all(0 < off < 0.1 for off in cards[role]["deviations"].values())
    assert "relative deviation from float32: conv03" in error
    between = json.loads((study / "similarity" / "a-b.json").read_text())
    assert between["layers_x"] == ["conv03", "conv11"] and len(between["measures"][0]["value"]) == 2


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (("--layers", "conv3"), 2, "clmr has no layer 'conv3'; did you mean conv03?"),
        (("--layers", ","), 2, "--layers: no layer is named"),
        (("--window", "5"), 2, "clmr cuts its windows itself"),
        (("--precision", "fp16"), 2, "--precision fp16: not for cpu"),
        (("--compile",), 2, "--compile: clmr cannot be compiled"),
        (("--weights", "/nowhere/clmr.ckpt"), 2, "/nowhere/clmr.ckpt"),
    ],
)
def test_what_a_model_cannot_do_is_one_line(music, options, code, part):
    arguments = ["extract", "--model", "clmr", "--data", music, "--device", "cpu", *options]
    found, out, error = here(*arguments, *(() if "--weights" in options else ("--untrained",)))
    assert found == code and part in error.replace("\n", " ")
    assert "Traceback" not in error and not out
