"""Requests that fail for a moment are made again; what fails for good becomes one line.

Back ends of fsspec raise `OSError` or errors of their own libraries, so an error is judged by its
HTTP status where it has one, then by its kind, its number and at last by its name.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from extract.errors import RemoteError

Value = TypeVar("Value")

TRIES = 5
FIRST, GROWTH = 0.5, 3.0  # seconds before the second try, and how much longer each next wait is

_GONE = (404, 410)
_DENIED = (401, 403, 407)
_BUSY = (408, 409, 425, 429)
# of the disk on this side: nothing is wrong with the storage
_OWN_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_PASSING = (
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.EPIPE, errno.ESTALE, errno.ETIMEDOUT,
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETDOWN,
    errno.ENETRESET, errno.ENETUNREACH,
)  # fmt: skip
# parts of the names of exceptions that network libraries raise
_PASSING_NAMES = (
    "Timeout", "Connect", "Disconnected", "Payload", "Transport", "Throttl", "SlowDown", "Protocol",
    "IncompleteRead", "ResponseStream", "NetworkError", "ReadError", "WriteError",
)  # fmt: skip
_DENIED_NAMES = ("Credential", "Authentic", "Unauthori", "Refresh", "Forbidden", "GatedRepo")
_GONE_NAMES = ("NotFound", "NoSuch")

GONE, DENIED, PASSING, OWN_DISK, OTHER = "gone", "denied", "passing", "own disk", "other"


class Gone(RemoteError):
    """What was asked for is not there."""


class Denied(RemoteError):
    """The storage refuses to give it."""


class Unreachable(RemoteError):
    """The storage gave no answer, however often it was asked."""


class Retry:
    """Makes requests of one storage, again where they fail for a moment.

    Safe to call from several threads.

    Parameters
    ----------
    say : told the first time that something is tried again.
    """

    def __init__(self, say: Callable[[str], object] | None = None):
        self._say, self._said = say, False

    def __call__(self, place: str, work: Callable[[], Value]) -> Value:
        """What `work` returns.

        Parameters
        ----------
        place : for messages.

        Raises
        ------
        Gone, Denied, Unreachable, RemoteError : with the place and the cure.
        OSError : of this machine's own disk, as it was raised.
        """
        for count in range(1, TRIES + 1):
            try:
                return work()
            except RemoteError:
                raise
            except Exception as error:
                kind = judge(error)
                if kind == OWN_DISK:
                    raise
                if kind != PASSING or count == TRIES:
                    raise _told(place, error, kind) from error
                self._tell(place, error)
                # jittered, so that many processes do not come back at one moment
                time.sleep(FIRST * GROWTH ** (count - 1) * random.uniform(0.5, 1.0))
        raise AssertionError

    def _tell(self, place: str, error: Exception) -> None:
        if not self._said and self._say:
            self._said = True
            self._say(f"{place}: {_words(error)}; tried again, {TRIES} times at most")


def judge(error: BaseException) -> str:
    """`GONE`, `DENIED`, `PASSING` (worth another try), `OWN_DISK` or `OTHER`."""
    for one in _chain(error):
        if (status := _status(one)) is not None:
            return _of_status(status)
    number = getattr(error, "errno", None) if isinstance(error, OSError) else None
    if number in _OWN_DISK:
        return OWN_DISK
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return GONE
    if isinstance(error, PermissionError):
        return DENIED
    if isinstance(error, (TimeoutError, ConnectionError)) or number in _PASSING:
        return PASSING
    names = [kind.__name__ for kind in type(error).__mro__]
    for parts, kind in ((_DENIED_NAMES, DENIED), (_GONE_NAMES, GONE), (_PASSING_NAMES, PASSING)):
        if any(part in name for part in parts for name in names):
            return kind
    # an error of a library that says nothing more is given the benefit of the doubt
    return PASSING if isinstance(error, OSError) and (number is None or number < 0) else OTHER


def _of_status(status: int) -> str:
    if status in _GONE:
        return GONE
    if status in _DENIED:
        return DENIED
    return PASSING if status in _BUSY or status >= 500 else OTHER


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error carries, by the ways of the usual client libraries."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata")
        found = response.get("HTTPStatusCode") if isinstance(response, dict) else None
    else:
        found = getattr(response, "status_code", None)
    for value in (found, *(getattr(error, key, None) for key in ("status", "status_code", "code"))):
        try:
            number = int(value)
        except (TypeError, ValueError):
            continue
        if 400 <= number < 600:
            return number
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from; back ends wrap those of their libraries."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _told(place: str, error: Exception, kind: str) -> RemoteError:
    words = _words(error)
    if kind == GONE:
        return Gone(f"{place}: not there; check the URL")
    if kind == DENIED:
        return Denied(
            f"{place}: access is refused ({words}); give the credentials that its back end looks "
            "for (docs/storage.md), or ask the owner"
        )
    if kind == PASSING:
        return Unreachable(
            f"{place}: no answer in {TRIES} tries ({words}); see that the network is there, and "
            "run the same command again; finished work is kept"
        )
    return RemoteError(f"{place}: {words}; check the URL and the settings of its back end")


def _words(error: Exception) -> str:
    """Kind and first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
