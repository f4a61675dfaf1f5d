"""Requests that fail: again where that helps, one line where it does not."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile
from remote_folders import RATE, URL, emptied, heard, make_music
from small_model import SmallModel
from strange_storage import Busy, Strange

from extract.datasets import open_dataset
from extract.datasets.folder import Folder
from extract.errors import AudioError, RemoteError
from extract.pipeline import extract
from extract.remote import retrying
from extract.remote.ranges import Ranges
from extract.remote.retrying import DENIED, GONE, OTHER, OWN_DISK, PASSING, TRIES, Retry, judge
from extract.remote.root import Entry, connect


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    emptied(tmp_path, monkeypatch)


@pytest.fixture
def music(tmp_path) -> Path:
    return make_music(tmp_path / "disk" / "music")


def test_what_fails_for_a_moment_is_tried_again_and_told_once(music):
    Strange.copy_of(music)
    said = []
    Strange.faults["find"] = [TimeoutError("slow"), Busy("SlowDown")]
    Strange.faults["cat_file"] = [Busy("SlowDown"), ConnectionError("reset")]
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


def test_what_was_seen_before_no_answer_came_is_kept(music, monkeypatch):
    monkeypatch.setattr("extract.remote.tree.READERS", 1)
    Strange.copy_of(music)
    data = open_dataset(URL)
    asked = Strange.calls["cat_file"]
    Strange.anew().copy_of(music)  # all of it is new
    Strange.faults["cat_file"] = [*[None] * (asked - 1), *[Busy("SlowDown")] * TRIES]
    with pytest.raises(RemoteError, match="no answer in 5 tries"):
        open_dataset(URL)
    Strange.calls.clear()
    assert open_dataset(URL).card == data.card and 0 < Strange.calls["cat_file"] < 3


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


class Pieces(AbstractFileSystem):
    """As hf:// is: a file has a cache of its own, and there is no other way to a piece of it."""

    protocol = "pieces"
    content = np.random.default_rng(0).bytes(3_000_000)
    asked: list[tuple[int, int]] = []

    def info(self, path, **options):
        return {"name": path, "size": len(self.content), "type": "file"}

    def _open(self, path, mode="rb", block_size=None, **options):
        return Piece(self, path, mode=mode, block_size=block_size or "default", **options)


class Piece(AbstractBufferedFile):
    def _fetch_range(self, start, end):
        self.fs.asked.append((start, end))
        return self.fs.content[start:end]


def test_no_more_is_asked_for_than_is_read():
    fsspec.register_implementation("pieces", Pieces, clobber=True)
    Pieces.asked.clear()
    root, whole = connect("pieces://box"), Pieces.content
    stream = Ranges(root, Entry("a.mp3", "box/a.mp3", len(whole), ""))
    assert stream.read(8192) == whole[:8192] and Pieces.asked == [(0, 65536)]
    stream.seek(-8192, 2)
    assert stream.read(8192) == whole[-8192:] and len(Pieces.asked) == 2
    assert sum(end - start for start, end in Pieces.asked) <= 2 * 65536
    stream.seek(0)
    assert b"".join(iter(lambda: stream.read(4096), b"")) == whole  # in order: larger pieces
    assert len(Pieces.asked) <= 10 and stream.read(1) == b""
    for at in np.random.default_rng(1).integers(0, len(whole), 50):
        stream.seek(at)
        assert stream.read(100) == whole[at : at + 100]
    with pytest.raises(ValueError, match="before the start"):
        stream.seek(-1)
