"""Stores on a storage: sent whole, never read by half, not computed twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
import torch
from command import ROOT, here
from remote_folders import emptied
from small_model import SmallData, SmallModel
from strange_storage import Busy, Strange
from test_folder import write

from extract.claims import Claims
from extract.errors import OptionUnsuitable, RemoteError, StoreError
from extract.pipeline import Options, extract, open_store
from extract.remote.copies import copies
from extract.remote.shards import Stores

URL = "strange://box/rsa"
SECONDS = (1.0,) * 70  # three shards


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    emptied(tmp_path, monkeypatch)


class Counting(SmallModel):
    """Counts the clips that it is run on, which here are windows."""

    def forward(self, values, until=None):
        out = super().forward(values, until)
        self.calls += len(values) - 1
        return out


class Machine:
    """A cache and a folder of stores of their own, and one storage with all other machines."""

    def __init__(self, tmp_path: Path, monkeypatch, url: str = URL):
        self.home, self.patch, self.url = tmp_path, monkeypatch, url
        self.said: list[str] = []

    def run(self, name: str, seconds=SECONDS, **options):
        """(activations, clips that the network saw) of an extraction on a machine of this name."""
        home = self.home / name
        self.patch.setenv("RSA_CACHE", str(home))
        model, data, say = Counting(), SmallData(seconds), self.said.append
        found = extract(model, data, data.clips, ["clips"], home / "activations", say=say,
                        kept=Stores.at(self.url, say=say), **options)  # fmt: skip
        return found["clips"], model.calls

    def local(self):
        """The same on a disk, without a storage."""
        data = SmallData(SECONDS)
        return extract(SmallModel(), data, data.clips, ["clips"], self.home / "local")["clips"]


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def same(one, other) -> bool:
    return all(torch.equal(one.read(layer), other.read(layer)) for layer in one.layers)


def shards(found) -> list[Path]:
    return [found.store.path(shard) for shard in range(found.store.plan.shards)]


@pytest.mark.parametrize("kind", ["memory", "file", "folder", "strange"])
def test_shards_go_elsewhere_and_are_computed_once_for_all_machines(kind, tmp_path, monkeypatch):
    place = {"memory": "memory://box/rsa", "strange": URL, "folder": str(tmp_path / "nas"),
             "file": f"file://{tmp_path / 'nas'}"}[kind]  # fmt: skip
    machine = Machine(tmp_path, monkeypatch, place)
    disk = machine.local()
    first, calls = machine.run("one")
    assert calls and same(first, disk) and not any(path.exists() for path in shards(first))
    again, calls = machine.run("one")
    assert not calls and same(again, disk)
    other, calls = machine.run("two")
    assert not calls and same(other, disk) and other.store.place.endswith(disk.store.folder.name)
    fs, root = fsspec.url_to_fs(other.store.place)
    for path in (*shards(disk), disk.store.folder / "manifest.json"):
        assert fs.cat_file(f"{root}/{path.name}") == path.read_bytes()
    names = sorted(name.rpartition("/")[2] for name in fs.find(root))
    assert names == ["manifest.json", *(path.name for path in shards(disk))]


def test_the_manifest_goes_first_and_nothing_is_asked_twice(machine):
    found, _ = machine.run("one")
    assert Strange.sent == ["manifest.json", *(path.name for path in shards(found))]
    Strange.calls.clear()
    again, _ = machine.run("one")
    for _ in range(2):
        again.read("mean")
    # one listing and the manifest; headers and shards are known here
    assert (Strange.calls["find"], Strange.fetched(), Strange.calls["put_file"]) == (1, 1, 0)
    Strange.calls.clear()
    other, _ = machine.run("two")
    assert Strange.calls["get_file"] == 0 and Strange.calls["cat_file"] == 4
    for _ in range(2):
        other.read("mean"), other.read("window")
    assert Strange.calls["get_file"] == 3


def test_that_there_are_no_locks_is_said_where_it_matters(machine, monkeypatch):
    monkeypatch.setattr("extract.remote.shards._warned", set())
    machine.run("one")
    assert sum("have no locks" in line for line in machine.said) == 1
    machine.said.clear()
    machine.run("one")
    machine.run("two")
    machine.run("three", SECONDS[:40])  # other stores of the same place
    assert not machine.said


def test_what_breaks_on_the_way_is_sent_again(machine):
    disk = machine.local()
    Strange.faults["put_file"] = ["half", "short", None, "short", Busy("SlowDown")]
    Strange.faults["get_file"] = ["half", "short"]
    found, calls = machine.run("one")
    assert calls and same(found, disk)
    assert sum("tried again" in line for line in machine.said) == 1
    other, calls = machine.run("two")
    assert not calls and same(other, disk)


def test_what_could_not_be_sent_stays_and_is_sent_the_next_time(machine):
    for fault, words in ((PermissionError("AccessDenied"), "access is refused"),
                         (Busy("SlowDown"), "no answer in 5 tries")):  # fmt: skip
        Strange.anew()
        name = words[:6].strip()
        Strange.faults["put_file"] = [None, *[fault] * 5]
        with pytest.raises(RemoteError, match=f"strange://box/rsa/.*shard-00000.*: {words}"):
            machine.run(name)
        Strange.faults.clear()
        (left,) = (machine.home / name / "activations").rglob("shard-*")
        found, calls = machine.run(name)
        assert calls < 70 and not left.exists() and same(found, machine.local())


def test_half_of_a_shard_is_never_read(machine):
    found, _ = machine.run("one")
    disk = machine.local()
    path = next(path for path in Strange.store if path.endswith("shard-00001.safetensors"))
    whole = Strange.store[path].getvalue()
    for size in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        Strange.put_in(path, whole[:size])
        machine.said.clear()
        again, calls = machine.run(f"m{size}")
        assert calls == 32 and same(again, disk)  # that shard alone
        assert any("only part of it is there; made again" in line for line in machine.said)
        assert Strange.store[path].getvalue() == whole


def test_a_damaged_shard_is_named_and_a_damaged_copy_fetched_again(machine):
    machine.run("one")
    disk = machine.local()
    found, _ = machine.run("two")
    found.read("mean")
    for copy in copies().folder.iterdir():
        data = bytearray(copy.read_bytes())
        data[-1] ^= 1  # of the last layer of the file, in order of names
        copy.write_bytes(data)
    found, calls = machine.run("two")
    assert not calls and same(found, disk)
    path = next(path for path in Strange.store if path.endswith("shard-00002.safetensors"))
    data = bytearray(Strange.store[path].getvalue())
    data[-1] ^= 1
    Strange.put_in(path, bytes(data))
    found, calls = machine.run("three")
    words = r"strange://box/rsa/.*00002.* damaged shard \(layer window .* hash\); delete it there"
    with pytest.raises(StoreError, match=words):
        found.read("window")
    code, out, _ = here("store", "verify", URL)
    assert code == 4 and "layer window does not match its hash" in out and "1 faults" in out
    del Strange.store[path]
    found, calls = machine.run("four")
    assert calls == 6 and same(found, disk)


def test_copies_of_shards_stay_within_their_bound(machine, monkeypatch):
    disk = machine.local()
    size = shards(disk)[0].stat().st_size
    monkeypatch.setenv("RSA_REMOTE_GB", repr(1.5 * size / 1e9))
    for name in ("one", "two"):
        found, _ = machine.run(name)
        assert same(found, disk)
        kept = [path.stat().st_size for path in copies().folder.iterdir()]
        assert kept and sum(kept) <= 1.5 * size


def test_a_shard_that_another_machine_finishes_is_not_computed(machine, monkeypatch):
    disk = machine.local()
    machine.run("done")
    finished = dict(Strange.store)
    take = Claims.take

    def with_another(self):
        claim = take(self)
        if claim and claim.shard == 0:  # meanwhile, elsewhere
            Strange.store.update(finished)
        return claim

    Strange.anew()
    monkeypatch.setattr(Claims, "take", with_another)
    found, calls = machine.run("slow")
    assert calls == 32 and same(found, disk)


def test_what_was_on_this_disk_before_goes_too_if_it_is_whole(machine):
    disk = machine.local()
    folder = machine.home / "one" / "activations" / disk.store.folder.parent.name
    folder.mkdir(parents=True)
    disk.store.folder.rename(folder / disk.store.folder.name)
    path = folder / disk.store.folder.name / "shard-00001.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found, calls = machine.run("one")
    assert not calls and Strange.sent[1:] == ["shard-00000.safetensors", "shard-00002.safetensors"]
    with pytest.raises(StoreError, match=f"{path}: damaged shard"):
        found.read("window")
    path.unlink()
    found, calls = machine.run("one")
    assert calls == 32 and same(found, machine.local())


def test_another_plan_and_a_damaged_manifest_are_refused(machine):
    found, _ = machine.run("one")
    path = next(path for path in Strange.store if path.endswith("manifest.json"))
    text = Strange.store[path].getvalue()
    Strange.put_in(path, text.replace(b'"small"', b'"other"'))
    with pytest.raises(StoreError, match=f"{found.store.place}/manifest.json: damaged"):
        machine.run("two")
    Strange.put_in(path, b"{")
    with pytest.raises(StoreError, match="unreadable manifest"):
        machine.run("two")


def test_deviations_of_a_reduced_precision_travel_with_the_store(machine, monkeypatch):
    stores = []
    for name in ("one", "two"):
        monkeypatch.setenv("RSA_CACHE", str(machine.home / name))
        model, data = SmallModel(), SmallData()
        options = Options(precision="bf16")
        store = open_store(model, data, data.clips, "clips", machine.home / name, options,
                           Stores.at(URL))  # fmt: skip
        if not stores:
            assert store.deviations() is None
            store.keep_deviations({"mean": 0.5})
        stores.append(store.deviations())
    assert stores == [{"mean": 0.5}] * 2


KILLED = """
import os, sys
sys.path.insert(0, "tests")
from fsspec.implementations.local import LocalFileSystem
from remote_folders import emptied
from small_model import SmallData, SmallModel
from extract.pipeline import extract
from extract.remote.shards import Stores

put = LocalFileSystem.put_file

def killed(self, local, path, **options):
    if "shard-00001" in path:
        with open(local, "rb") as read, open(path, "wb") as half:
            half.write(read.read(1000))
        os._exit(9)
    return put(self, local, path, **options)

LocalFileSystem.put_file = killed
data = SmallData((1.0,) * 70)
extract(SmallModel(), data, data.clips, ["clips"], sys.argv[1], kept=Stores.at(sys.argv[2]))
"""


def test_a_kill_while_sending_leaves_nothing_that_is_read(tmp_path, monkeypatch):
    place = tmp_path / "nas"
    machine = Machine(tmp_path, monkeypatch, f"file://{place}")
    home = tmp_path / "one"
    monkeypatch.setenv("RSA_CACHE", str(home))
    command = [sys.executable, "-c", KILLED, str(home / "activations"), machine.url]
    assert subprocess.run(command, cwd=ROOT).returncode == 9
    assert [path.name for path in place.rglob("shard-*")] == ["shard-00000.safetensors"]
    (part,) = place.rglob(".*.part")
    other, calls = machine.run("two")
    assert calls == 38 and same(other, machine.local())
    found, calls = machine.run("one")  # the shard that was written and not sent is not needed
    assert not calls and same(found, machine.local())
    code, out, _ = here("store", "verify", machine.url, "--json")
    faults = json.loads(out)["faults"]
    assert code == 4 and [fault["what"] for fault in faults] == [
        "left by a process that was killed"
    ]
    assert faults[0]["path"].endswith(part.name)


def test_stores_on_the_network_are_refused_offline_and_what_is_no_place_is_named(tmp_path):
    with pytest.raises(OptionUnsuitable, match="--offline asks no network"):
        Stores.at(URL, offline=True)
    with pytest.raises(RemoteError, match="http cannot be listed"):
        Stores.at("http://host/rsa")


def test_the_command_line_keeps_stores_elsewhere(tmp_path):
    write(tmp_path / "music" / "a.wav", 1.0, 1)
    write(tmp_path / "music" / "b.wav", 1.0, 2)
    Strange.copy_of(tmp_path / "music")
    command = (
        "extract", "--model", "crepe-tiny", "--untrained", "--layers", "conv1", "--data",
        "strange://music", "--json",
    )  # fmt: skip
    url = "strange://me:hidden@box/rsa"
    dry = [json.loads(here(*command, "--dry-run", RSA_STORES=url)[1])["to_write"]]
    code, out, error = here(*command, RSA_STORES=url)
    assert code == 0, error
    found = json.loads(out)
    assert found["folder"].startswith("strange://box/rsa/crepe-tiny")
    log = Path(found["log"]).read_text()
    assert "hidden" not in out + error + log and '"stores": "strange://box/rsa"' in log
    dry.append(json.loads(here(*command, "--dry-run", "--stores", url)[1])["to_write"])
    assert dry[0] > 0 == dry[1]
    Strange.calls.clear()
    code, out, _ = here(*command, "--stores", url, RSA_CACHE=str(tmp_path / "other"))
    assert json.loads(out)["folder"] == found["folder"] and not Strange.calls["put_file"]
    code, out, _ = here("store", "info", url, "--json")
    (store,) = json.loads(out)
    assert (store["model"], store["clips"], store["present"], store["missing"]) == (
        "crepe-tiny", 2, 1, 0,
    )  # fmt: skip
    assert store["folder"] == found["folder"] and store["failures"] == 0
    code, out, _ = here("store", "info", url)
    assert code == 0 and "finished" in out and "hidden" not in out
    code, out, _ = here("store", "verify", url)
    assert code == 0 and "1 stores" in out and "all whole" in out
    for what in ("repair", "gc"):
        code, _, error = here("store", what, url)
        assert code == 2 and "nothing is changed on a storage" in error and "hidden" not in error
    code, out, _ = here("store", "info", COLUMNS="300")
    assert "kept at" in out
    code, _, error = here(*command[:-1], "--stores", "nothing://me:hidden@box")
    assert code == 4 and error == (
        "rsa: nothing://box: no storage is called nothing; there are s3, gs, hf, file and what "
        "else the installed fsspec knows\n"
    )
    code, _, error = here("store", "info", "strange://box/none")
    assert code == 4 and "nothing there" in error
