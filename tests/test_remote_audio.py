"""Audio on a storage: as on a disk, from a bounded cache, whatever the storage does meanwhile."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import fsspec
import numpy as np
import pytest
from command import ROOT, here, rsa
from small_model import SmallModel
from strange_storage import Busy, Strange
from test_folder import manifest, write

from cli import studyfile
from cli.owntask import wanted_tasks
from cli.steps import Run
from cli.studyplan import missing, plan
from extract.datasets import open_dataset
from extract.datasets.folder import Folder
from extract.errors import AudioError, DataError, ExtractError, OptionUnsuitable, RemoteError
from extract.pipeline import Options, extract
from extract.rehearsal import rehearse
from extract.remote import retrying
from extract.remote.copies import Copies, copies
from extract.remote.retrying import DENIED, GONE, OTHER, OWN_DISK, PASSING, TRIES, Retry, judge
from extract.urls import without_secrets

RATE = 8000
URL = "strange://music"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache of its own, an empty storage, and no waits."""
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retrying, "FIRST", 0.0)
    Strange.anew()
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield
    memory.store.clear()


@pytest.fixture
def music(tmp_path) -> Path:
    """Audio of all kinds, good and bad, with a manifest beside it that is not yet called so."""
    folder = tmp_path / "disk" / "music"
    write(folder / "b.wav", 2.0, 1)
    write(folder / "a" / "z.flac", 1.0, 2)
    write(folder / "a" / "y.mp3", 1.5, 3)
    write(folder / "a" / "X.OGG", 40.0, 4)
    write(folder / "big.aiff", 12.0, 6, rate=44100)
    write(folder / ".hidden.wav", 1.0, 5)
    write(folder / ".dots" / "c.wav", 1.0, 5)
    (folder / "notes.txt").write_text("no audio")
    whole = (folder / "b.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "bad.mp3").write_bytes(np.random.default_rng(0).bytes(9000))
    (folder / "empty.wav").write_bytes(b"")
    return folder


@pytest.fixture
def little(tmp_path) -> Path:
    """Two clips and one that is none."""
    folder = tmp_path / "disk" / "music"
    write(folder / "a.wav", 1.0, 1)
    write(folder / "b" / "c.flac", 1.0, 2)
    (folder / "empty.wav").write_bytes(b"")
    return folder


def heard(data) -> dict:
    """Clip -> samples, or why not without the place."""
    found = {}
    for clip in data.clips:
        try:
            found[clip.id] = data.audio(clip, 16000).tolist()
        except AudioError as error:
            place = data.file(clip)
            assert str(error).startswith(place)
            found[clip.id] = str(error).removeprefix(place)
    return found


def copied(folder: Path, protocol: str) -> str:
    """The same folder elsewhere, and its URL."""
    if protocol == "file":
        return f"file://{folder}"
    if protocol == "strange":
        Strange.copy_of(folder)
        return URL
    fsspec.filesystem("memory").put(f"{folder}/", "/music/", recursive=True)
    return "memory://music"


@pytest.mark.parametrize("protocol", ["memory", "file", "strange"])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_folder_elsewhere_is_that_folder(music, protocol, labelled):
    if labelled:
        manifest(
            music,
            "\ufeffpath,start,duration,artist,split,mood\r\n"
            'b.wav,0.5,1.0,Anna,train,"calm, slow"\r\n'
            "a\\z.flac,,,Ben,val,wild\r\n"
            "./a/X.OGG,,,Ben,val,\r\n"
            ".hidden.wav,,,Ben,test,wild\r\n",
        )
    disk, there = Folder(music), open_dataset(copied(music, protocol))
    assert there.clips == disk.clips and there.card == disk.card
    assert (there.rate, there.notes) == (disk.rate, disk.notes)
    assert heard(there) == heard(disk)
    assert there.file(there.clips[0]).startswith(f"{protocol}://")
    if not labelled:
        assert len(disk.clips) == 8 and sum(isinstance(x, str) for x in heard(disk).values()) == 3


def test_activations_are_the_same_bytes(music, tmp_path):
    for name in ("cut.wav", "bad.mp3", "empty.wav"):  # a failure names the place of the file
        (music / name).unlink()
    stores = []
    for data in (Folder(music), open_dataset(copied(music, "memory"))):
        place = tmp_path / str(len(stores))
        found = extract(SmallModel(), data, data.clips, ["clips", "frames:5"], place)
        stores.append({kind: one.store for kind, one in found.items()})
    for kind in ("clips", "frames:5"):
        one, other = (store[kind] for store in stores)
        assert one.plan == other.plan and one.folder.name == other.folder.name
        assert one.path(0).read_bytes() == other.path(0).read_bytes()


def test_the_second_time_the_listing_alone_is_asked_for(music):
    Strange.copy_of(music)
    data = open_dataset(URL)
    first = heard(data)
    assert Strange.calls["get_file"] == 8
    Strange.calls.clear()
    again = open_dataset(URL)
    assert heard(again) == first and again.card == data.card
    assert Strange.calls["find"] == 1 and Strange.fetched() == 0
    write(music / "b.wav", 3.0, 9)
    Strange.put_in("/music/b.wav", (music / "b.wav").read_bytes())
    changed = open_dataset(URL)
    assert changed.card == Folder(music).card != data.card
    assert heard(changed) == heard(Folder(music))
    assert Strange.calls["get_file"] == 1


def test_headers_alone_are_read_for_the_list_and_for_a_rehearsal(music):
    whole = write(music / "long.wav", 400.0, 7).read_bytes()
    Strange.copy_of(music)
    data = open_dataset(URL)
    (clip,) = (clip for clip in data.clips if clip.id == "long.wav")
    assert clip.duration == 30.0 and Strange.calls["get_file"] == 0
    found = rehearse(SmallModel(), data, data.clips, ["clips"], Options())
    assert not found.heard and found.clips > 1 and Strange.calls["get_file"] == 0
    assert rehearse(SmallModel(), Folder(music), data.clips[-1:], ["clips"], Options()).heard
    asked = []
    read = Strange.cat_file
    Strange.cat_file = lambda self, path, start=None, end=None, **o: (
        asked.append(end - start), read(self, path, start, end)
    )[1]  # fmt: skip
    try:
        Strange.put_in("/other/long.wav", whole)
        open_dataset("strange://other")
    finally:
        Strange.cat_file = read
    assert sum(asked) <= 3 * 65536 < len(whole) / 10


def test_what_fails_for_a_moment_is_tried_again_and_told_once(music):
    Strange.copy_of(music)
    said = []
    Strange.faults["find"] = [TimeoutError("slow"), Busy("SlowDown")]
    Strange.faults["cat_file"] = [Busy("SlowDown"), "short", ConnectionError("reset")]
    Strange.faults["cat_file"].remove("short")  # a short answer is another file, see below
    Strange.faults["get_file"] = ["half", "short", OSError("no number, no name")]
    data = open_dataset(URL, say=said.append)
    assert data.card == Folder(music).card and heard(data) == heard(Folder(music))
    assert len(said) == 1 and said[0] == f"{URL}: TimeoutError: slow; tried again, 5 times at most"


def test_no_answer_ends_the_run_and_is_no_fault_of_a_clip(music, tmp_path):
    Strange.copy_of(music)
    data = open_dataset(URL)
    Strange.faults["get_file"] = [Busy("SlowDown")] * 1000
    with pytest.raises(RemoteError, match="no answer in 5 tries .*finished work is kept") as error:
        extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "stores")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "stores").rglob("shard-*"))
    assert not list((tmp_path / "cache" / "remote").rglob("*.part"))
    Strange.faults.clear()
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "stores")["clips"]
    assert len(found.failures) == 3 and len(found) == 5


def test_what_fails_for_good_is_one_line_and_asked_once(music):
    Strange.copy_of(music)
    for fault, words in (
        (PermissionError("AccessDenied"), "access is refused .*credentials"),
        (FileNotFoundError("NoSuchBucket"), "not there; check the URL"),
        (ValueError("a strange answer"), "ValueError: a strange answer; check the URL"),
        (NotImplementedError(), "cannot be listed; copy the folder"),
    ):
        Strange.calls.clear()
        Strange.faults["find"] = [fault]
        with pytest.raises(RemoteError, match=words) as error:
            open_dataset(URL)
        assert str(error.value).startswith(URL) and "\n" not in str(error.value)
        assert Strange.calls["find"] == 1
    data = open_dataset(URL)
    Strange.faults["get_file"] = [PermissionError("ExpiredToken")]
    with pytest.raises(RemoteError, match="access is refused"):  # it could be read before
        data.audio(data.clips[0], RATE)


def test_a_file_that_may_not_be_read_is_a_clip_that_is_left_out(music, monkeypatch):
    Strange.copy_of(music)

    def closed(read):
        def ask(self, path, *arguments, **options):
            if path.endswith("b.wav"):
                raise PermissionError("AccessDenied")
            return read(self, path, *arguments, **options)

        return ask

    with monkeypatch.context() as patch:
        for name in ("cat_file", "get_file"):
            patch.setattr(Strange, name, closed(getattr(Strange, name)))
        data = open_dataset(URL)
        (clip,) = (clip for clip in data.clips if clip.id == "b.wav")
        assert clip.duration == 0
        with pytest.raises(AudioError, match="b.wav: access is refused"):
            data.audio(clip, RATE)
    assert open_dataset(URL).card == Folder(music).card  # open again: asked again


def test_a_file_that_changes_meanwhile_is_left_out_with_the_reason(music, tmp_path):
    whole = (music / "b.wav").read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for name, content in (("b.wav", changed), ("b.wav", whole + b"12"), ("b.wav", None)):
        Strange.anew().copy_of(music)
        data = open_dataset(URL)
        if content is None:
            del Strange.store[f"/music/{name}"]
        else:
            Strange.put_in(f"/music/{name}", content)
        words = "gone since it was listed" if content is None else "another file since"
        (clip,) = (clip for clip in data.clips if clip.id == name)
        with pytest.raises(AudioError, match=f"^{URL}/b.wav: {words}"):
            data.audio(clip, RATE)
        found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / f"{content!r:.9}")
        assert any(words in failure.reason for failure in found["clips"].failures)
    kept = [path.read_bytes() for path in copies().folder.iterdir()]
    assert kept and changed not in kept and whole + b"12" not in kept


def test_a_file_that_changes_while_it_is_looked_into_is_not_believed(music):
    Strange.copy_of(music)
    Strange.faults["cat_file"] = ["short"]
    data = open_dataset(URL)
    broken = [clip.id for clip in data.clips if clip.duration == 0]
    assert len(broken) == 3  # two that are bad, and the one
    assert open_dataset(URL).card == Folder(music).card


def test_copies_stay_within_their_bound(music, monkeypatch, tmp_path):
    Strange.copy_of(music)
    sizes = [len(file.getvalue()) for file in Strange.store.values()]
    limit = max(sizes) + 1000
    monkeypatch.setenv("RSA_REMOTE_GB", repr(limit / 1e9))
    data = open_dataset(URL)
    disk = heard(Folder(music))
    for _ in range(2):
        assert heard(data) == disk
        kept = list((tmp_path / "cache" / "remote" / "copies").iterdir())
        assert kept and sum(path.stat().st_size for path in kept) <= limit
    assert Strange.calls["get_file"] > 9
    monkeypatch.setenv("RSA_REMOTE_GB", "0")
    assert heard(data) == disk
    assert not any(path.stat().st_size for path in copies().folder.iterdir())
    monkeypatch.setenv("RSA_REMOTE_GB", "much")
    with pytest.raises(OptionUnsuitable, match="RSA_REMOTE_GB=much: not a number"):
        copies()


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    import os

    room = Copies(tmp_path, 30)
    for age, name in ((3, "a"), (1, "b"), (2, "c")):
        room.use(name, 10, lambda path: path.write_bytes(b"0123456789"), Path.read_bytes)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    room.use("d", 10, lambda path: path.write_bytes(b"0123456789"), Path.read_bytes)
    assert {path.name for path in tmp_path.iterdir()} == {"b", "c", "d"}

    def removed_by_another(path: Path, left=[2]) -> bytes:  # noqa: B006
        if left[0]:
            left[0] -= 1
            path.unlink()
        return path.read_bytes()

    assert room.use("b", 10, lambda path: path.write_bytes(b"9876543210"), removed_by_another) == (
        b"9876543210"
    )
    (tmp_path / "c").write_bytes(b"cut")
    again = room.use("c", 10, lambda path: path.write_bytes(b"0123456789"), Path.read_bytes)
    assert again == b"0123456789"


def test_names_of_a_storage_name_nothing_here(tmp_path, monkeypatch):
    sound = write(tmp_path / "disk" / "a.wav", 1.0).read_bytes()
    names = [
        "../../../../up.wav", "/etc/abs.wav", "a//b.wav", "nul\0.wav", "line\nend.wav",
        "\x1b[2Jclear.wav", "turn\u202e.wav", "~root.wav", "C:\\x.wav", "a" * 900 + ".wav",
        "half\ud800.wav",
    ]  # fmt: skip
    for name in names:
        Strange.put_in(f"/music/{name}", sound)
    before = {path for path in tmp_path.rglob("*")}
    monkeypatch.chdir(tmp_path)
    data = open_dataset(URL)
    assert len(data.clips) == len(names) - 1  # what begins with a dot is passed over
    assert all(clip.id.isprintable() for clip in data.clips)
    assert all(data.file(clip).startswith(f"{URL}/") for clip in data.clips)
    for clip in data.clips:
        assert len(data.audio(clip, RATE)) == RATE
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    cache = tmp_path / "cache" / "remote"
    assert made and all(path.parent.parent == cache for path in made)
    assert all(path.stem.isalnum() and len(path.stem) == 64 for path in made)
    for line in ("../x.wav", "/etc/passwd", "a/../../x.wav", "..\\..\\x.wav"):
        Strange.put_in("/music/manifest.csv", f"path\n{line}\n".encode())
        with pytest.raises(DataError, match="line 2: .* lies outside strange://music"):
            open_dataset(URL)
    Strange.put_in("/music/manifest.csv", b"path\nno.wav\n")
    with pytest.raises(DataError, match="line 2: no file no.wav in strange://music"):
        open_dataset(URL)


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


class Answer:
    def __init__(self, status):
        self.status_code = status


def _named(name, base=Exception, **fields):
    return type(name, (base,), fields)("words")


@pytest.mark.parametrize(
    "error, kind",
    [
        (TimeoutError(), PASSING), (ConnectionResetError(104, "x"), PASSING),
        (BrokenPipeError(32, "x"), PASSING), (OSError("no number"), PASSING),
        (OSError(errno.EBUSY, "SlowDown"), PASSING), (OSError(errno.EIO, "x"), PASSING),
        (socket.gaierror(socket.EAI_AGAIN, "x"), PASSING), (Busy("x"), PASSING),
        (_named("ServerDisconnectedError"), PASSING), (_named("ReadTimeout"), PASSING),
        (_named("EndpointConnectionError"), PASSING), (_named("TransportError"), PASSING),
        (_named("HttpError", code="429"), PASSING), (_named("HttpError", code=404), GONE),
        (_named("HTTPStatusError", response=Answer(502)), PASSING),
        (_named("HfHubHTTPError", OSError, response=Answer(401)), DENIED),
        (_named("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 503}}), PASSING),
        (_named("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 403}}), DENIED),
        (_named("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 400}}), OTHER),
        (_named("NoCredentialsError"), DENIED), (_named("RepositoryNotFoundError"), GONE),
        (PermissionError(13, "x"), DENIED), (FileNotFoundError(2, "x"), GONE),
        (OSError(errno.ENOSPC, "x"), OWN_DISK), (OSError(errno.EROFS, "x"), OWN_DISK),
        (OSError(errno.EINVAL, "x"), OTHER), (ValueError("x"), OTHER), (KeyError("x"), OTHER),
    ],
)  # fmt: skip
def test_errors_of_back_ends_are_told_apart(error, kind):
    assert judge(error) == kind


def test_waits_grow_and_no_two_processes_wait_alike(monkeypatch):
    waits = []
    monkeypatch.setattr(retrying, "FIRST", 0.5)
    monkeypatch.setattr(retrying.time, "sleep", waits.append)

    def busy():
        raise Busy("SlowDown")

    for _ in range(2):
        with pytest.raises(RemoteError, match="no answer"):
            Retry()("s3://bucket", busy)
    assert len(waits) == 2 * (TRIES - 1) and waits[:4] != waits[4:]
    for place, wait in enumerate(waits):
        longest = 0.5 * 3 ** (place % 4)
        assert longest / 2 <= wait <= longest


def test_a_full_disk_is_said_as_such_and_asked_once(music):
    Strange.copy_of(music)
    data = open_dataset(URL)
    Strange.calls.clear()
    Strange.faults["get_file"] = [OSError(errno.ENOSPC, "No space left on device")]
    with pytest.raises(OSError, match="No space left") as error:
        data.audio(data.clips[0], RATE)
    assert error.value.errno == errno.ENOSPC and "remote" in error.value.filename
    assert Strange.calls["get_file"] == 1


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
