"""A folder elsewhere: its file system, its path there, and its address as it may be shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from extract.errors import OptionUnsuitable, RemoteError
from extract.remote.retrying import Gone, Retry
from extract.urls import is_url, protocol, without_secrets

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

HERE = ("file", "local", "memory")  # these ask no network
UNLISTED = ("http", "https", "data")
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}  # of this package, by protocol
# what tells one content of a file from another; the first that its storage says counts
_VERSIONS = (
    "ETag", "etag", "blob_id", "md5Hash", "content_md5", "checksum", "generation", "crc32c",
    "mtime", "LastModified", "last_modified", "modified", "created",
)  # fmt: skip

Say = Callable[[str], object]


@dataclass(frozen=True)
class Entry:
    """A file elsewhere.

    Attributes
    ----------
    name : relative to the folder, with slashes.
    path : as its file system spells it.
    size : in bytes; -1 where the storage does not say.
    version : changes with the content; "" where the storage says nothing of the kind.
    """

    name: str
    path: str
    size: int
    version: str


@dataclass(frozen=True, eq=False)
class Root:
    """A folder elsewhere.

    Attributes
    ----------
    path : as its file system spells it, without a slash at the end.
    url : its address, without anything secret.
    """

    fs: AbstractFileSystem
    path: str
    url: str
    retry: Retry

    @property
    def name(self) -> str:
        """Of the folder, or of the bucket; as a folder on a disk would be called."""
        return unicodedata.normalize("NFC", self.path.rpartition("/")[2]) or protocol(self.url)

    def shown(self, name: str) -> str:
        """The address of a file."""
        return f"{self.url}/{name}"

    def below(self, name: str) -> Root:
        return Root(self.fs, f"{self.path}/{name}", f"{self.url}/{name}", self.retry)

    def reach(self) -> None:
        """Asks whether it is there, and no more.

        Raises
        ------
        Gone, RemoteError : as `Retry`.
        """
        self.fs.invalidate_cache()
        # `exists` takes a refusal for an absence
        self.retry(self.url, lambda: self.fs.info(self.path))

    def list(self) -> dict[str, Entry]:
        """All files below it, name -> entry.

        Raises
        ------
        Gone : there is no such folder (where the storage knows folders) or bucket.
        RemoteError : it cannot be listed.
        """
        self.fs.invalidate_cache()
        try:
            found = self.retry(self.url, lambda: self.fs.find(self.path, detail=True))
        except RemoteError as error:
            if not isinstance(error.__cause__, NotImplementedError):
                raise
            raise RemoteError(f"{self.url}: this storage cannot be listed; {_COPY}") from None
        self.fs.invalidate_cache()  # a file is asked for anew, or a change would not be seen
        entries = [self._entry(path, info) for path, info in found.items()]
        return {entry.name: entry for entry in entries if entry}

    def entry(self, name: str) -> Entry:
        """A file as it is now.

        Raises
        ------
        Gone, RemoteError : as `Retry`.
        """
        path = f"{self.path}/{name}"

        def ask() -> Mapping[str, Any]:
            self.fs.invalidate_cache(path)
            return self.fs.info(path)

        entry = self._entry(path, self.retry(self.shown(name), ask))
        if entry is None:
            raise Gone(f"{self.shown(name)}: a folder, not a file; check the URL")
        return entry

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes [start, end) of a file, fewer where it is shorter; all of them without both."""
        path = f"{self.path}/{name}"

        def ask() -> bytes:
            if start is None or _has_ranges(self.fs):
                return self.fs.cat_file(path, start=start, end=end)
            # without its cache, which reads megabytes ahead
            with self.fs.open(path, "rb", cache_type="none") as file:
                file.seek(start)
                return file.read(end - start)

        return self.retry(self.shown(name), ask)

    def _entry(self, path: str, info: Mapping[str, Any]) -> Entry | None:
        if info.get("type") == "directory" or not path.startswith(f"{self.path}/"):
            return None
        if info.get("islink"):  # a listing says of a link when the link was made
            try:
                info = self.fs.info(path)
            except OSError:
                return None
        size = info.get("size")
        version = next((f"{key} {_plain(info[key])}" for key in _VERSIONS if info.get(key)), "")
        name = path[len(self.path) + 1 :]
        return Entry(name, path, size if isinstance(size, int) else -1, version)


def _has_ranges(fs: AbstractFileSystem) -> bool:
    """Whether a back end has a way of its own to ask for a piece of a file."""
    from fsspec import AbstractFileSystem

    return fs.async_impl or type(fs).cat_file is not AbstractFileSystem.cat_file


def _plain(value: object) -> str:
    """A version as text: a moment may be a time, a number or a text, in one storage even."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        value = value.timestamp()
    return f"{value:.6f}" if isinstance(value, float) else str(value)


_COPY = "copy the folder to this machine, or to a storage that can be listed (s3://, gs://, hf://)"


def connect(url: str, *, offline: bool = False, say: Say | None = None) -> Root:
    """The folder of a URL; nothing is asked of it yet.

    Parameters
    ----------
    url : of any protocol that fsspec knows; a path stands for a folder of this machine.
    offline : a storage on the network is refused.
    say : told when a request has to be made again.

    Raises
    ------
    OptionUnsuitable : the network is not to be asked.
    RemoteError : the protocol is unknown, needs a package that is not there, or cannot be listed.
    """
    if not is_url(url):
        import os

        url = f"file://{os.path.abspath(url)}"
    shown, kind = without_secrets(url).rstrip("/"), protocol(url)
    shown = shown if is_url(shown) else f"{kind}://"
    if "::" in url:
        raise RemoteError(f"{shown}: one URL inside another is not read; name the folder itself")
    if kind in UNLISTED:
        raise RemoteError(f"{shown}: {kind} cannot be listed; {_COPY}")
    if offline and kind not in HERE:
        raise OptionUnsuitable(
            f"{shown}: --offline asks no network; copy it to this machine, or drop --offline"
        )
    from fsspec import get_filesystem_class
    from fsspec.core import url_to_fs

    try:
        get_filesystem_class(kind)
    except ValueError:
        raise RemoteError(
            f"{shown}: no storage is called {kind}; there are s3, gs, hf, file and what else the "
            "installed fsspec knows"
        ) from None
    except ImportError as error:
        raise RemoteError(f"{shown}: {_package(kind, error)}") from None
    retry = Retry(say)
    fs, path = retry(shown, lambda: url_to_fs(url))
    return Root(fs, str(path).rstrip("/"), shown, retry)


def _package(kind: str, error: ImportError) -> str:
    if kind in EXTRAS:
        cure = f"pip install 'music-rsa[{EXTRAS[kind]}]'"
        return f"{kind} needs a package that is not installed; {cure}"
    return str(error).strip().splitlines()[0]
