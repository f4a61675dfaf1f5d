"""Commands whose data lies elsewhere: what can be named, what is told, what is never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import fsspec
import pytest
from command import ROOT, here, rsa
from remote_folders import URL, copied, emptied, make_little, make_music
from strange_storage import Strange
from test_folder import manifest

from cli import studyfile
from cli.doctor.check import Asked
from cli.doctor.sources import storage
from cli.owntask import wanted_tasks
from cli.steps import Run
from cli.studyplan import missing, plan
from extract.datasets import is_here, open_dataset
from extract.datasets.folder import Folder
from extract.errors import DataError, ExtractError, OptionUnsuitable, RemoteError
from extract.urls import without_secrets


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    emptied(tmp_path, monkeypatch)


@pytest.fixture
def music(tmp_path) -> Path:
    return make_music(tmp_path / "disk" / "music")


@pytest.fixture
def little(tmp_path) -> Path:
    return make_little(tmp_path / "disk" / "music")


@pytest.mark.parametrize(
    "text, words",
    [
        ("http://host/music", "http cannot be listed; copy the folder"),
        ("nothing://host", "no storage is called nothing"),
        ("memory://nowhere", "no such folder, or nothing in it"),
        ("memory://a::file://b", "one URL inside another"),
        ("gtzan:memory://b", "read from a disk; copy memory://b to this machine"),
        ("mirdata:orchset:memory://b", "copy memory://b to this machine, and give mirdata:orchset"),
    ],
)
def test_what_cannot_be_named_is_one_line(text, words):
    with pytest.raises(ExtractError, match=words) as error:
        open_dataset(text)
    assert error.value.exit_code == 4 and "\n" not in str(error.value)


def test_the_network_is_not_asked_offline(music):
    with pytest.raises(OptionUnsuitable, match="strange://music: --offline asks no network"):
        open_dataset(URL, offline=True)
    assert open_dataset(copied(music, "memory"), offline=True).card == Folder(music).card
    assert open_dataset(copied(music, "file"), offline=True).card == Folder(music).card


def test_a_package_that_is_not_here_is_named_with_the_extra(monkeypatch):
    def absent(kind):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    for kind, extra in (("s3", "s3"), ("gs", "gs"), ("gcs", "gs")):
        with pytest.raises(RemoteError, match=rf"pip install 'music-rsa\[{extra}\]'"):
            open_dataset(f"{kind}://bucket/music")
    with pytest.raises(RemoteError, match="Install s3fs"):  # fsspec's own words for the others
        open_dataset("abfs://box/music")


@pytest.mark.parametrize(
    "text, shown",
    [
        ("s3://bucket/music", "s3://bucket/music"),
        ("see sftp://me:hidden@host/a b", "see sftp://host/a b"),
        ("s3://host/a?X-Amz-Signature=hidden&x=1", "s3://host/a"),
        ("'https://host/a?x=1&token=hidden'", "'https://host/a'"),
        ("https://zenodo.org/record/1?download=1", "https://zenodo.org/record/1?download=1"),
        ("abfs://box@account.net/a", "abfs://box@account.net/a"),
        ("abfs://box:hidden@account.net/a", "abfs://account.net/a"),
    ],
)
def test_urls_are_shown_without_secrets(text, shown):
    assert without_secrets(text) == shown == without_secrets(shown)


def test_a_column_of_the_manifest_of_a_folder_elsewhere_makes_a_task(little, monkeypatch):
    Strange.copy_of(little)
    monkeypatch.chdir(little)
    wanted = wanted_tasks("manifest.csv:mood,key", URL, None)
    assert (wanted.names, wanted.data, wanted.manifest) == (("mood", "key"), URL, None)
    own = manifest(little, "path,mood\na.wav,calm\n", "manifest.csv")
    assert wanted_tasks("manifest.csv:mood", URL, None).manifest == Path(own.name)
    with pytest.raises(click.UsageError, match="no file labels.csv"):
        wanted_tasks("labels.csv:mood", URL, None)


STUDY = """title = "t"
[[probe]]
name = "one"
models = ["crepe-tiny"]
data = "{url}"
"""


def test_a_study_looks_for_data_elsewhere_before_it_begins(little, tmp_path):
    run = Run("cpu", 0, 1, "float32", 0.5, True, False, None, None, "float32", False)
    secret = "strange://me:hidden@music"

    def lacking(url: str, **changes):
        (tmp_path / "s.toml").write_text(STUDY.format(url=url))
        changed = replace(run, **changes)
        planned = plan(studyfile.read(tmp_path / "s.toml"), tmp_path / "out", changed, trim=False)
        settings = json.dumps(planned[0].step.asked.settings(replace(run, stores=url)))
        assert "hidden" not in settings and settings.count(without_secrets(url)) == 2
        return missing(planned, changed, fetch=False)

    assert lacking(secret) == (["data strange://music: not there; check the URL"], 4)
    Strange.copy_of(little)
    assert lacking(secret)[0] == [] and Strange.fetched() == 0
    (line,) = lacking(secret, offline=True)[0]
    assert line.startswith("data strange://music: --offline asks no network")


def test_the_doctor_looks_at_the_place_of_stores(monkeypatch):
    def found(place: str, online: bool = False) -> list[tuple[str, str]]:
        monkeypatch.setenv("RSA_STORES", place)
        return [(check.state, check.found) for check in storage(Asked(online=online))]

    assert found("") == []
    secret = "strange://me:hidden@box/rsa"
    assert found(secret) == [("ok", "strange://box/rsa not asked (--online asks it)")]
    assert not Strange.calls
    assert found(secret, True) == [("warn", "strange://box/rsa: nothing there yet")]
    Strange.put_in("/box/rsa/manifest.json", b"{}")
    assert found(secret, True) == [("ok", "strange://box/rsa is there")]
    Strange.faults["info"] = [PermissionError("AccessDenied")]
    ((state, words),) = found(secret, True)
    assert state == "problem" and "access is refused" in words
    ((state, words),) = found("nothing://me:hidden@box", True)
    assert state == "problem" and words == "nothing://box: no storage is called nothing"


def test_data_sets_are_not_looked_for_on_a_storage(monkeypatch):
    monkeypatch.setenv("RSA_DATA", "memory://data")
    with pytest.raises(DataError, match="copy memory://data to this machine, and give gtzan:"):
        open_dataset("gtzan")
    assert not is_here("gtzan")


COMMAND = ("extract", "--model", "crepe-tiny", "--untrained", "--layers", "conv1")


def test_the_command_line_from_memory_and_without_secrets(little, tmp_path):
    Strange.copy_of(little)
    secret = "strange://me:hidden@music?token=hidden"
    code, out, error = here(*COMMAND, "--data", secret, "--dry-run", "--json")
    assert code == 0, error
    how = json.loads(out)["stages"][0]["how"]
    assert "on noise in place of" in how and Strange.calls["get_file"] == 0
    code, out, error = here(*COMMAND, "--data", secret, "--json")
    assert code == 0, error
    found = json.loads(out)
    assert (found["clips"], found["failed"]) == (2, 1)
    told = out + error + Path(found["log"]).read_text()
    assert "strange://music/empty.wav: empty (0 bytes)" in error and "hidden" not in told
    code, out, _ = here(*COMMAND, "--data", little, "--json")
    assert json.loads(out)["folder"] == found["folder"]  # the same activations
    code, out, _ = here("datasets", copied(little, "memory"), "--json")
    assert code == 0 and json.loads(out)["clips"] == 3
    Strange.put_in("/music/manifest.csv", b"path,mood\na.wav,calm\n")
    for form in ((), ("--json",)):
        code, out, error = here("tasks", "--data", secret, *form)
        assert code == 0 and "strange://music" in out and "hidden" not in out + error
    del Strange.store["/music/manifest.csv"]
    code, out, error = here("datasets", secret, "--json")
    assert code == 0 and json.loads(out)["name"] == "music" and "hidden" not in out
    code, _, error = here(*COMMAND, "--data", secret, "--offline")
    assert code == 2 and "--offline asks no network" in error and "hidden" not in error
    for files in ("remote", "logs", "activations"):
        for path in (tmp_path / "cache" / files).rglob("*.json*"):
            assert "hidden" not in path.read_text()


def test_the_command_line_from_a_mounted_folder(little, tmp_path):
    cache = {"RSA_CACHE": str(tmp_path / "cache")}
    code, out, error = rsa(*COMMAND, "--data", f"file://{little}", "--json", **cache)
    assert code == 0, error
    found = json.loads(out)
    assert (found["clips"], found["failed"]) == (2, 1)


def test_a_plain_folder_loads_no_file_systems(music):
    code = (
        "import sys; from extract.datasets import open_dataset;"
        f"d = open_dataset({str(music)!r}); d.audio(d.clips[0], 8000);"
        "print([m for m in sys.modules if m.startswith(('fsspec', 'extract.remote'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
