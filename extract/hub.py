"""Weights from the Hugging Face hub: a pinned revision, a checked file, one plain error."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from extract.errors import WeightsInvalid, WeightsMissing
from extract.weights import sha256_of_file


def cached(repo: str, filename: str, revision: str) -> Path | None:
    """The file in the hub's cache on this machine, or None; never asks the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, filename, revision=revision)
    return Path(found) if isinstance(found, str) else None


def fetch(
    repo: str,
    filename: str,
    revision: str,
    sha256: str | None = None,
    *,
    licence: str = "",
    offline: bool = False,
) -> Path:
    """A file of a hub repository, from the cache or downloaded into it.

    Parameters
    ----------
    revision : a commit; branches move.
    sha256 : what the content must hash to. Without it a file of the hub's large-file store is
        held against the hash that the hub itself names.
    offline : never ask the network.

    Raises
    ------
    WeightsMissing : not here and not to be had; says where it comes from and how to provide it.
    WeightsInvalid : the content has another hash.
    """
    path = cached(repo, filename, revision)
    if path is None:
        path = _download(repo, filename, revision, licence, offline)
    expected = sha256 or _named_hash(path)
    if expected and (found := sha256_of_file(path)) != expected:
        raise WeightsInvalid(
            f"{path}: damaged or another file (sha256 {found}, expected {expected}); "
            "delete it and let it be downloaded again"
        )
    return path


def missing(repo: str, filename: str, revision: str, licence: str, reason: str) -> WeightsMissing:
    """The error for weights that are not to be had, with the ways to provide them."""
    terms = f", licence {licence}" if licence else ""
    return WeightsMissing(
        f"{filename} is not on this machine and {reason}. It comes from the Hugging Face hub: "
        f"{repo}, revision {revision}{terms}. Ways to provide it: (1) let it be downloaded, with "
        "a network; (2) pass the file or its folder with --weights (compare: --weights-a, "
        "--weights-b); (3) put it in the hub's cache (HF_HOME). "
        "To rehearse without it: --untrained"
    )


def _download(repo: str, filename: str, revision: str, licence: str, offline: bool) -> Path:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if offline or constants.HF_HUB_OFFLINE:
        raise missing(repo, filename, revision, licence, "the network is not to be asked")
    if not _resolves(constants.ENDPOINT):
        raise missing(repo, filename, revision, licence, "the hub cannot be reached")
    try:
        return Path(hf_hub_download(repo, filename, revision=revision))
    except LocalEntryNotFoundError:
        reason = "the hub cannot be reached"
    except EntryNotFoundError:
        reason = "the hub no longer has it"
    except (OSError, ValueError) as error:
        # every error of the hub's client is one of these; the first line says what happened
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = f"the download failed ({first.rstrip('.')})"
    raise missing(repo, filename, revision, licence, reason)


def _resolves(endpoint: str) -> bool:
    """False when the hub's name is unknown here: its client would retry for half a minute.

    Behind a proxy names are the proxy's business, so the answer is then True.
    """
    address = urlsplit(endpoint)
    if urllib.request.getproxies() or address.hostname is None:
        return True
    try:
        socket.getaddrinfo(address.hostname, address.port or 443)
    except OSError:
        return False
    return True


def _named_hash(path: Path) -> str | None:
    """The cache names blobs of the large-file store by their sha256, others by a git hash."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None
