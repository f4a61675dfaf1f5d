"""Texts that name a place elsewhere (`s3://bucket/music`), and what of them may be shown.

No file system is loaded here: plain paths cost nothing.
"""

from __future__ import annotations

import re

# one letter and a colon is a drive
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://([^\s'\"\\<>]*)")
# before the @ stands the container, as in abfs://container@account.dfs.core.windows.net
_CONTAINERS = ("abfs", "abfss", "adl", "az", "wasb", "wasbs")
_SECRET = re.compile(
    r"(?:^|[?&;])[^=&;]*(?:token|key|secret|sig|signature|passw|credential|auth)[^=&;]*=", re.I
)


def is_url(text: object) -> bool:
    """Whether a text names a place by a protocol, as in `s3://bucket/music`."""
    return _FORM.match(str(text)) is not None


def protocol(url: str) -> str:
    """`s3` of `s3://bucket`; "" of a path."""
    found = _FORM.match(url)
    return found[1].lower() if found else ""


def without_secrets(text: str) -> str:
    """A text in which no URL has a password, a user or a query that may hold a token."""
    return _ADDRESS.sub(_plain, text) if "://" in text else text


def _plain(found: re.Match) -> str:
    kind, rest = found[1], found[2]
    place, mark, query = rest.partition("?")
    host, slash, path = place.partition("/")
    user, at, name = host.rpartition("@")
    if at and (kind.lower() not in _CONTAINERS or ":" in user):
        host = name
    if mark and not _SECRET.search(query):
        path, slash = (path + mark + query, slash) if slash else (mark + query, "")
    return f"{kind}://{host}{slash}{path}"
