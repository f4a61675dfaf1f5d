"""Damage to a store, injected: named in one line with its cure, found, mended, cleared."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from small_model import SmallData, SmallModel

from cli import kept
from cli.main import root
from extract import stores, writing
from extract.claims import FOLDER, locked
from extract.errors import StoreError
from extract.pipeline import Options, extract
from extract.store import Failure, Plan, Store, read_plan

PLAN = Plan("m", "w", "d", "i", "clips", "s", 1.0, 1.0, (("x", 3), ("y", 2)),
            tuple((f"c{i}", 1) for i in range(5)), 2, "float32", "float32", "1")  # fmt: skip


def filled(folder, plan=PLAN):
    """A finished store at the place that extraction would choose."""
    store = Store(folder / "m" / f"clips-{plan.digest[:12]}", plan)
    drawn = torch.Generator().manual_seed(0)
    for shard in range(plan.shards):
        clips = [plan.clips[i][0] for i in plan.shard(shard)]
        rows = sum(plan.clips[i][1] for i in plan.shard(shard))
        layers = {name: torch.rand(rows, w, generator=drawn) for name, w in plan.layers}
        store.write(shard, layers, clips, [])
    return store


def rsa(*arguments, **options):
    return CliRunner().invoke(root, ["store", *map(str, arguments)], **options)


def manifest(store, **changes):
    """Writes entries of the manifest anew, without the hash."""
    path = store.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# what a manifest or a shard may say against the other


@pytest.mark.parametrize(
    "changes",
    [
        {"clips": [["c0", 1], ["c9", 1], ["c2", 1], ["c3", 1], ["c4", 1]]},
        {"clips": [["c0", 2], ["c1", 1], ["c2", 1], ["c3", 1], ["c4", 1]]},
        {"layers": [["x", 3]]},
        {"layers": [["x", 4], ["y", 2]]},
        {"shard_clips": 3},
        {"dtype": "float16"},
        {"clips": 7},
        {"layers": [[[], {}]]},
    ],
)
def test_a_manifest_that_was_changed_is_not_believed(tmp_path, changes):
    store = filled(tmp_path)
    manifest(store, **changes)
    with pytest.raises(StoreError, match="manifest.json: damaged.*own hash.*store repair"):
        Store(store.folder, PLAN)


@pytest.mark.parametrize("entry", [{"pooling": "mean"}, {"audio": None}])
def test_a_manifest_with_other_entries_is_of_another_release(tmp_path, entry):
    store = filled(tmp_path)
    path = store.folder / "manifest.json"
    content = {**json.loads(path.read_text()), **entry}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    with pytest.raises(StoreError, match="another release.*store repair"):
        Store(store.folder, PLAN)


@pytest.mark.parametrize(("form", "part"), [(2, "a newer release wrote it: update rsa"), (0, "")])
def test_a_store_of_another_format_is_named(tmp_path, form, part):
    store = filled(tmp_path)
    manifest(store, format=form)
    with pytest.raises(StoreError, match=f"format {form}, this program writes 1; {part}.*delete"):
        Store(store.folder, PLAN)


@pytest.mark.parametrize(
    ("other", "part"),
    [
        ({"clips": tuple((f"d{i}", 1) for i in range(5))}, "its clips are not those"),
        ({"clips": tuple((f"c{i}", 2) for i in range(5))}, "layer x is"),
        ({"layers": (("x", 3), ("z", 2))}, "its layers are not those"),
        ({"layers": (("x", 3),)}, "its layers are not those"),
        ({"layers": (("x", 3), ("y", 4))}, "layer y is"),
        ({"shard_clips": 3}, "its clips are not those"),
    ],
)
def test_a_shard_of_another_plan_is_noticed(tmp_path, other, part):
    store, stranger = filled(tmp_path / "a"), dataclasses.replace(PLAN, **other)
    os.replace(filled(tmp_path / "b", stranger).path(0), store.path(0))
    with pytest.raises(StoreError, match=f"shard-00000.*{part}.*store repair"):
        store.contents(0)


def test_failures_of_clips_elsewhere_are_noticed(tmp_path):
    store = filled(tmp_path)
    layers = {"x": torch.ones(2, 3), "y": torch.ones(2, 2)}
    store.write(0, layers, ["c0", "c1"], [Failure("c4", "c4.wav", "silent")])
    with pytest.raises(StoreError, match="its failures are of clips"):
        store.contents(0)


def test_a_flipped_bit_anywhere_in_a_shard_is_noticed_or_changes_nothing(tmp_path):
    """Of the header too: what is said of clips and failures has a hash of its own."""
    store = filled(tmp_path)
    failure = Failure("c1", "c1.wav", "silent in the stretch that was asked for")
    store.write(0, {"x": torch.ones(1, 3), "y": torch.ones(1, 2)}, ["c0"], [failure])
    path = store.path(0)
    whole, noticed = path.read_bytes(), 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        fresh = Store(store.folder, PLAN)
        try:
            said = fresh.contents(0)
            values = [fresh.read_shard(0, "x"), fresh.read_shard(0, "y")]
        except StoreError as error:
            assert "\n" not in str(error) and "shard-00000" in str(error)
            noticed += 1
            continue
        assert said == (["c0"], [failure])
        assert all(torch.equal(one, torch.ones_like(one)) for one in values)
    # left over: spaces that pad the header, and the name of the header's hash
    assert noticed > 0.97 * len(whole)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_shard_is_noticed_when_the_store_is_opened(tmp_path, share):
    data = SmallData((1.0,) * 40)
    store = extract(SmallModel(), data, data.clips, ["clips"], tmp_path)["clips"].store
    path = store.path(1)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(StoreError, match="shard-00001.*damaged shard.*store repair"):
        extract(SmallModel(), data, data.clips, ["clips"], tmp_path)


def test_a_shard_that_vanishes_is_named(tmp_path):
    data = SmallData((1.0,) * 40)
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path)["clips"]
    found.store.path(1).unlink()
    with pytest.raises(StoreError, match="shard-00001.*give the command again"):
        found.read("mean")


# writing


def fail(code):
    def write(*_, **__):
        raise OSError(code, os.strerror(code))

    return write


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "make room on the disk"),
        (errno.EDQUOT, "make room on the disk"),
        (errno.EROFS, ".*RSA_CACHE"),
        (errno.EACCES, ".*RSA_CACHE"),
        (errno.EIO, "the disk fails"),
        (errno.ESTALE, "see that the disk is there"),
    ],
)
@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "pathlib.Path.mkdir"])
def test_a_manifest_or_shard_that_cannot_be_written_says_why(
    tmp_path, monkeypatch, place, code, cure
):
    data = SmallData((1.0,) * 3)
    with monkeypatch.context() as patch:
        patch.setattr(place, fail(code))
        with pytest.raises(StoreError, match=f"manifest.json: cannot write: .*; {cure}"):
            extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "a")
    extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "a")
    next(tmp_path.rglob("shard-*")).unlink()
    if place != "pathlib.Path.mkdir":  # which claims would need first
        with monkeypatch.context() as patch:
            patch.setattr(place, fail(code))
            with pytest.raises(StoreError, match=f"shard-00000.*: cannot write: .*; {cure}"):
                extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "a")
    extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "a")
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob(FOLDER))


def test_what_a_library_says_of_a_full_disk_is_understood(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def save(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("extract.store.save_file", save)
    with pytest.raises(StoreError, match="shard-00000.*make room on the disk"):
        filled(tmp_path)


def test_temporaries_of_dead_processes_go_and_those_of_the_living_stay(tmp_path):
    store = filled(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from extract.writing import write_whole\n"
        "def write(place):\n"
        "    place.with_name('of a library').write_text('half')\n"
        "    print('begun', flush=True); time.sleep(600)\n"
        "write_whole(Path(sys.argv[1]), write)\n"
    )
    arguments = [sys.executable, "-c", code, str(store.path(7))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as one:
        assert one.stdout.readline() == b"begun\n"
        (part,) = writing.temporaries(store.folder)
        writing.sweep(store.folder)
        assert part.exists() and not list(writing.abandoned(store.folder))
        one.kill()
        one.wait()
    assert list(writing.abandoned(store.folder)) == [part]
    writing.sweep(store.folder)
    assert not part.exists()


# rsa store


def damage(store):
    """A flipped byte of a layer, a stray temporary, an old claim."""
    path = store.path(1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    part = store.folder / f".shard-00002.safetensors.{writing._HOST}-{dead.pid}-0123abcd.part"
    part.mkdir()
    (part / "new.safetensors").write_text("half")
    (store.folder / FOLDER).mkdir()
    (store.folder / FOLDER / "00002").touch()
    return path, part


def test_verify_names_every_fault_and_repair_removes_just_those(tmp_path):
    store = filled(tmp_path)
    result = rsa("verify", tmp_path)
    assert result.exit_code == 0 and "1 stores" in result.output and "all whole" in result.output
    path, part = damage(store)
    result = rsa("verify", tmp_path)
    assert result.exit_code == 4 and "2 faults" in result.output
    assert f"{path}: damaged: layer y does not match its hash; rsa store repair" in result.output
    assert f"{part}: left by a killed process" in result.output
    faults = json.loads(rsa("verify", store.folder, "--json").output)["faults"]
    assert {fault["path"] for fault in faults} == {str(path), str(part)}

    result = rsa("repair", tmp_path, "--dry-run")
    assert result.exit_code == 0 and f"would remove {path}" in result.output and path.exists()
    result = rsa("repair", tmp_path)
    assert result.exit_code == 0 and f"removed {path}" in result.output
    assert not path.exists() and not part.exists() and not (store.folder / FOLDER).exists()
    assert Store(store.folder, PLAN).missing() == [1]
    assert rsa("verify", tmp_path).exit_code == 0


def test_after_a_repair_extraction_computes_only_what_was_damaged(tmp_path):
    data, model = SmallData((1.0,) * 160), SmallModel()
    store = extract(model, data, data.clips, ["clips"], tmp_path)["clips"].store
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    all_calls, model.calls = model.calls, 0
    store.path(3).write_bytes(before[store.path(3).name][:-1])
    with pytest.raises(StoreError, match="store repair"):
        extract(model, data, data.clips, ["clips"], tmp_path)
    assert rsa("repair", tmp_path).exit_code == 0
    extract(model, data, data.clips, ["clips"], tmp_path)
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before
    assert 0 < model.calls < all_calls


def test_an_unreadable_manifest_is_written_again_and_its_shards_stay(tmp_path):
    data, model = SmallData((1.0,) * 40), SmallModel()
    store = extract(model, data, data.clips, ["clips"], tmp_path)["clips"].store
    path = store.folder / "manifest.json"
    before, calls = path.read_bytes(), model.calls
    path.write_bytes(before[: len(before) // 2])
    result = rsa("verify", tmp_path)
    assert result.exit_code == 4 and "manifest.json: unreadable manifest" in result.output
    assert rsa("repair", tmp_path).exit_code == 0 and not path.exists()
    extract(model, data, data.clips, ["clips"], tmp_path)
    assert path.read_bytes() == before and model.calls == calls


def test_what_is_not_ours_stays_and_is_told(tmp_path):
    store = filled(tmp_path)
    (store.folder / "notes.txt").write_text("mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "manifest.json").write_text("{}")
    os.symlink(outside, store.folder.parent / f"clips-{'0' * 12}")
    for command in ("verify", "repair"):
        result = rsa(command, tmp_path)
        assert result.exit_code == 4 and "notes.txt: was not put there by rsa" in result.output
    result = rsa("gc", tmp_path, "--all", "--yes")
    assert "left alone" in result.output and "notes.txt" in result.output
    assert store.path(0).exists() and (outside / "manifest.json").exists()
    (store.folder / "notes.txt").unlink()
    os.symlink(outside / "manifest.json", store.folder / "shard-00009.safetensors")
    rsa("gc", tmp_path, "--all", "--yes")
    assert store.path(0).exists()
    (store.folder / "shard-00009.safetensors").unlink()
    assert "freed" in rsa("gc", tmp_path, "--all", "--yes").output
    assert not store.folder.exists() and (outside / "manifest.json").exists()


def test_a_store_that_is_being_written_is_neither_mended_nor_removed(tmp_path):
    store = filled(tmp_path)
    path, _ = damage(store)
    lock = locked(store.folder / FOLDER / "00001")
    result = rsa("repair", tmp_path)
    assert result.exit_code == 4 and "a process is writing it" in result.output and path.exists()
    result = rsa("gc", tmp_path, "--all", "--yes")
    assert "a process is writing it" in result.output and store.path(0).exists()
    assert json.loads(rsa("info", tmp_path, "--json").output)[0]["claimed"]
    lock.release()
    assert rsa("repair", tmp_path).exit_code == 0 and not path.exists()


def test_info_counts_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    store = filled(tmp_path)
    store.write(0, {"x": torch.ones(1, 3), "y": torch.ones(1, 2)}, ["c0"],
                [Failure("c1", "c1.wav", "silent")])  # fmt: skip
    store.path(2).unlink()
    (found,) = json.loads(rsa("info", tmp_path, "--json").output)
    wanted = {"model": "m", "data": "d", "rows": "clips", "clips": 5, "layers": 2, "shards": 3,
              "present": 2, "missing": 1, "failures": 1, "claimed": False,
              "problem": ""}  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    assert found["bytes"] == sum(path.stat().st_size for path in store.folder.iterdir())
    text = " ".join(rsa("info", store.folder).output.split())
    assert "2 of 3" in text and "unfinished" in text
    assert rsa("info", tmp_path / "nowhere").exception.exit_code == 4


def test_gc_removes_what_fits_all_its_options(tmp_path, monkeypatch):
    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    rooms = {}
    for name, change in (
        ("old", {"model": "m"}),
        ("new", {"weights": "v"}),
        ("half", {"data": "e"}),
    ):
        rooms[name] = filled(tmp_path / "activations", dataclasses.replace(PLAN, **change)).folder
    (rooms["half"] / "shard-00001.safetensors").unlink()
    for path in rooms["old"].iterdir():
        os.utime(path, (time.time() - 40 * 86400,) * 2)
    there = lambda: {name for name, room in rooms.items() if room.exists()}  # noqa: E731
    for options in (("--older-than", 30, "--unfinished"), ("--model", "other"), ()):
        assert "nothing to remove" in rsa("gc", *options, "--yes").output
    result = rsa("gc", "--older-than", 30, "--dry-run")
    assert str(rooms["old"]) in result.output and str(rooms["new"]) not in result.output
    assert "would be freed" in result.output and len(there()) == 3
    result = rsa("gc", "--older-than", 30)
    assert result.exit_code == 2 or "--yes" in str(result.exception)
    assert len(there()) == 3
    rsa("gc", "--older-than", 30, "--yes")
    assert there() == {"new", "half"}
    rsa("gc", "--unfinished", "--yes")
    assert there() == {"new"}
    rsa("gc", "--model", "m", "--yes")
    assert not there() and not (tmp_path / "activations" / "m").exists()


def test_gc_removes_results_of_code_that_is_no_more(tmp_path, monkeypatch):
    from cli.known import ROOMS, code_behind

    monkeypatch.setenv("RSA_CACHE", str(tmp_path))
    keep, go = [], []
    for number, room in enumerate(ROOMS):
        now, before, none, stray = (
            tmp_path / room / f"{number:x}{kind}{'0' * 62}.json" for kind in "abcd"
        )
        kept.write(now, {"a": 1}, code_behind(room))
        kept.write(before, {"a": 1}, "other code")
        none.write_text('{"a": 1}')  # as an earlier release wrote them
        now.with_suffix(".npz").touch(), before.with_suffix(".npz").touch()
        stray.with_suffix(".npz").touch()
        notes = tmp_path / room / "notes.json"
        notes.write_text("mine")
        keep += [now, now.with_suffix(".npz"), notes]
        go += [before, before.with_suffix(".npz"), none, stray.with_suffix(".npz")]
    result = rsa("gc", "--dry-run")
    assert f"{len(go)} files of results by other code" in result.output
    assert all(path.exists() for path in (*keep, *go))
    rsa("gc", "--yes")
    assert all(path.exists() for path in keep) and not any(path.exists() for path in go)


def test_reading_a_store_is_its_last_use(tmp_path):
    data = SmallData((1.0,) * 3)
    store = extract(SmallModel(), data, data.clips, ["clips"], tmp_path)["clips"].store
    path = store.folder / "manifest.json"
    os.utime(path, (1000.0, 1000.0))
    assert rsa("verify", tmp_path).exit_code == 0
    assert stores.look(store.folder).used == 1000.0
    extract(SmallModel(), data, data.clips, ["clips"], tmp_path)
    assert stores.look(store.folder).used > 1000.0
    assert read_plan(path) == store.plan and Options().dtype == store.plan.dtype
