"""Files of the hub: from its cache, downloaded at a pinned revision, or plainly missing."""

from __future__ import annotations

import shutil

import conformer_files as files
import huggingface_hub
import huggingface_hub.errors
import pytest
from conformer_files import TINY
from huggingface_hub import constants

from extract import hub, models
from extract.errors import WeightsInvalid, WeightsMissing
from extract.models import muq, musicfm
from extract.models.base import Request
from extract.weights import sha256_of_file


def _one_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.fixture(scope="module")
def published():
    """kind -> tensors of a tiny file."""
    return {kind: files.tensors_of(kind, TINY, 11) for kind in ("musicfm", "muq")}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and no way out."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_resolves", lambda endpoint: False)
    return folder


def _put(cache, repo, revision, path, blob=None):
    """A file into the cache, as the hub's client leaves it."""
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "blobs").mkdir(parents=True, exist_ok=True)
    (place / "snapshots" / revision).mkdir(parents=True, exist_ok=True)
    stored = place / "blobs" / (blob or sha256_of_file(path))
    shutil.copy(path, stored)
    (place / "snapshots" / revision / path.name).symlink_to(stored)
    return stored


@pytest.mark.parametrize(
    ("name", "file", "repo", "revision", "licence"),
    [
        ("musicfm", "pretrained_msd.pt", musicfm.REPO, musicfm.REVISION, "MIT"),
        ("musicfm-fma", "pretrained_fma.pt", musicfm.REPO, musicfm.REVISION, "MIT"),
        ("muq", "model.safetensors", muq.REPO, muq.REVISION, "CC-BY-NC-4.0"),
    ],
)
@pytest.mark.parametrize("offline", [True, False])
def test_no_network_and_no_file(name, file, repo, revision, licence, offline, cache):
    assert not models.spec(name).present()
    with pytest.raises(WeightsMissing) as error:
        models.load(name, Request(offline=offline))
    reason = "not to be asked" if offline else "cannot be reached"
    ways = ("--weights-a", "HF_HOME", "--untrained")
    _one_line(error, file, repo, revision, licence, reason, *ways)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (huggingface_hub.errors.LocalEntryNotFoundError("x"), "cannot be reached"),
        (huggingface_hub.errors.EntryNotFoundError("x"), "no longer has it"),
        (OSError("No space left on device\nmore"), "No space left on device"),
    ],
)
def test_download_that_fails(failure, reason, cache, monkeypatch):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(hub, "_resolves", lambda endpoint: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(WeightsMissing) as error:
        models.load("musicfm", Request())
    _one_line(error, "pretrained_msd.pt", reason, "--untrained")


def test_download_asks_for_the_pinned_revision(cache, monkeypatch, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"abc")
    asked = []

    def give(repo, filename, revision):
        asked.append((repo, filename, revision))
        return str(path)

    monkeypatch.setattr(hub, "_resolves", lambda endpoint: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", give)
    digest = sha256_of_file(path)
    assert hub.fetch("a/b", "file.bin", "f" * 40, digest) == path
    assert asked == [("a/b", "file.bin", "f" * 40)]
    with pytest.raises(WeightsInvalid) as error:
        hub.fetch("a/b", "file.bin", "f" * 40, "0" * 64)
    _one_line(error, str(path), digest, "delete it")


def test_cached_muq_needs_no_network(published, cache, tmp_path):
    folder = files.write_muq(tmp_path, published["muq"], TINY)
    _put(cache, muq.REPO, muq.REVISION, folder / "config.json", blob="a" * 40)
    assert not models.spec("muq").present()
    stored = _put(cache, muq.REPO, muq.REVISION, folder / "model.safetensors")
    assert models.spec("muq").present()
    model = models.load("muq", Request(offline=True))
    assert model.weights.sha256 == models.load("muq", Request(weights=folder)).weights.sha256
    assert model.weights.source == "hub OpenMuQ/MuQ-large-msd-iter@0562a578 model.safetensors"
    with open(stored, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x99")
    with pytest.raises(WeightsInvalid, match="damaged"):
        models.load("muq", Request(offline=True))


def test_cached_musicfm_must_have_the_published_hash(published, cache, tmp_path, monkeypatch):
    path = files.write_musicfm(tmp_path, published["musicfm"])
    _put(cache, musicfm.REPO, musicfm.REVISION, path)
    assert models.spec("musicfm").present()
    with pytest.raises(WeightsInvalid) as error:
        models.load("musicfm", Request())
    _one_line(error, "218b483a0256", sha256_of_file(path))


def test_a_name_that_resolves_and_one_that_does_not(monkeypatch):
    """Behind a proxy the question is not asked."""
    monkeypatch.setattr(hub.urllib.request, "getproxies", dict)
    assert hub._resolves("http://localhost:8080")
    assert not hub._resolves("https://hub.invalid")
    monkeypatch.setattr(hub.urllib.request, "getproxies", lambda: {"https": "proxy"})
    assert hub._resolves("https://hub.invalid")
