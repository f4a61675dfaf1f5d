"""Audio on a storage: as on a disk, from a bounded cache, whatever the storage does meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from remote_folders import RATE, URL, copied, emptied, heard, make_music
from small_model import SmallModel
from strange_storage import Strange
from test_folder import manifest, write

from extract.datasets import open_dataset
from extract.datasets.folder import Folder
from extract.errors import AudioError, DataError, OptionUnsuitable
from extract.pipeline import Options, extract
from extract.rehearsal import rehearse
from extract.remote.copies import Copies, copies


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    emptied(tmp_path, monkeypatch)


@pytest.fixture
def music(tmp_path) -> Path:
    return make_music(tmp_path / "disk" / "music")


@pytest.mark.parametrize("protocol", ["memory", "file", "strange"])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_folder_elsewhere_is_that_folder(music, protocol, labelled):
    if labelled:
        manifest(
            music,
            "\ufeffpath,start,duration,artist,split,mood\r\n"
            'b.wav,0.5,1.0,Anna,train,"calm, slow"\r\n'
            "a\\z.flac,,,Ben,val,wild\r\n"
            "./a/X.OGG,,,Ben,val,\r\n"
            ".hidden.wav,,,Ben,test,wild\r\n",
        )
    disk, there = Folder(music), open_dataset(copied(music, protocol))
    assert there.clips == disk.clips and there.card == disk.card
    assert (there.rate, there.notes) == (disk.rate, disk.notes)
    assert heard(there) == heard(disk)
    assert there.file(there.clips[0]).startswith(f"{protocol}://")
    if not labelled:
        assert len(disk.clips) == 8 and sum(isinstance(x, str) for x in heard(disk).values()) == 3


def test_activations_are_the_same_bytes(music, tmp_path):
    for name in ("cut.wav", "bad.mp3", "empty.wav"):  # a failure names the place of the file
        (music / name).unlink()
    stores = []
    for data in (Folder(music), open_dataset(copied(music, "memory"))):
        place = tmp_path / str(len(stores))
        found = extract(SmallModel(), data, data.clips, ["clips", "frames:5"], place)
        stores.append({kind: one.store for kind, one in found.items()})
    for kind in ("clips", "frames:5"):
        one, other = (store[kind] for store in stores)
        assert one.plan == other.plan and one.folder.name == other.folder.name
        assert one.path(0).read_bytes() == other.path(0).read_bytes()


def test_the_second_time_the_listing_alone_is_asked_for(music):
    Strange.copy_of(music)
    data = open_dataset(URL)
    first = heard(data)
    assert Strange.calls["get_file"] == 8
    Strange.calls.clear()
    again = open_dataset(URL)
    assert heard(again) == first and again.card == data.card
    assert Strange.calls["find"] == 1 and Strange.fetched() == 0
    write(music / "b.wav", 3.0, 9)
    Strange.put_in("/music/b.wav", (music / "b.wav").read_bytes())
    changed = open_dataset(URL)
    assert changed.card == Folder(music).card != data.card
    assert heard(changed) == heard(Folder(music))
    assert Strange.calls["get_file"] == 1


def test_headers_alone_are_read_for_the_list_and_for_a_rehearsal(music):
    whole = write(music / "long.wav", 400.0, 7).read_bytes()
    Strange.copy_of(music)
    data = open_dataset(URL)
    (clip,) = (clip for clip in data.clips if clip.id == "long.wav")
    assert clip.duration == 30.0 and Strange.calls["get_file"] == 0
    found = rehearse(SmallModel(), data, data.clips, ["clips"], Options())
    assert not found.heard and found.clips > 1 and Strange.calls["get_file"] == 0
    assert rehearse(SmallModel(), Folder(music), data.clips[-1:], ["clips"], Options()).heard
    asked = []
    read = Strange.cat_file
    Strange.cat_file = lambda self, path, start=None, end=None, **o: (
        asked.append(end - start), read(self, path, start, end)
    )[1]  # fmt: skip
    try:
        Strange.put_in("/other/long.wav", whole)
        open_dataset("strange://other")
    finally:
        Strange.cat_file = read
    assert sum(asked) <= 3 * 65536 < len(whole) / 10


def test_files_are_fetched_ahead_and_several_at_a_time(tmp_path, monkeypatch):
    for i in range(8):
        write(tmp_path / "music" / f"{i}.wav", 1.0, i)
    Strange.copy_of(tmp_path / "music")
    data, get = open_dataset(URL), Strange.get_file
    together = threading.Barrier(4)

    def waiting(self, *arguments, **options):
        together.wait(60)  # for three more
        return get(self, *arguments, **options)

    monkeypatch.setattr(Strange, "get_file", waiting)
    options = Options(workers=1)
    found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / "s", options)["clips"]
    assert len(found) == 8 and Strange.calls["get_file"] == 8


def test_a_file_that_changes_meanwhile_is_left_out_with_the_reason(music, tmp_path):
    whole = (music / "b.wav").read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for name, content in (("b.wav", changed), ("b.wav", whole + b"12"), ("b.wav", None)):
        Strange.anew().copy_of(music)
        data = open_dataset(URL)
        if content is None:
            del Strange.store[f"/music/{name}"]
        else:
            Strange.put_in(f"/music/{name}", content)
        words = "gone since it was listed" if content is None else "another file since"
        (clip,) = (clip for clip in data.clips if clip.id == name)
        with pytest.raises(AudioError, match=f"^{URL}/b.wav: {words}"):
            data.audio(clip, RATE)
        found = extract(SmallModel(), data, data.clips, ["clips"], tmp_path / f"{content!r:.9}")
        assert any(words in failure.reason for failure in found["clips"].failures)
    kept = [path.read_bytes() for path in copies().folder.iterdir()]
    assert kept and changed not in kept and whole + b"12" not in kept


def test_a_file_that_changes_while_it_is_looked_into_is_not_believed(music):
    Strange.copy_of(music)
    Strange.faults["cat_file"] = ["short"]
    data = open_dataset(URL)
    broken = [clip.id for clip in data.clips if clip.duration == 0]
    assert len(broken) == 3  # two that are bad, and the one
    assert open_dataset(URL).card == Folder(music).card


def test_copies_stay_within_their_bound(music, monkeypatch, tmp_path):
    Strange.copy_of(music)
    sizes = [len(file.getvalue()) for file in Strange.store.values()]
    limit = max(sizes) + 1000
    monkeypatch.setenv("RSA_REMOTE_GB", repr(limit / 1e9))
    data = open_dataset(URL)
    disk = heard(Folder(music))
    for _ in range(2):
        assert heard(data) == disk
        kept = list((tmp_path / "cache" / "remote" / "copies").iterdir())
        assert kept and sum(path.stat().st_size for path in kept) <= limit
    assert Strange.calls["get_file"] > 9
    monkeypatch.setenv("RSA_REMOTE_GB", "0")
    assert heard(data) == disk
    assert not any(path.stat().st_size for path in copies().folder.iterdir())
    monkeypatch.setenv("RSA_REMOTE_GB", "much")
    with pytest.raises(OptionUnsuitable, match="RSA_REMOTE_GB=much: not a number"):
        copies()


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    import os

    room = Copies(tmp_path, 30)
    for age, name in ((3, "a"), (1, "b"), (2, "c")):
        room.use(name, 10, lambda path: path.write_bytes(b"0123456789"), Path.read_bytes)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    room.use("d", 10, lambda path: path.write_bytes(b"0123456789"), Path.read_bytes)
    assert {path.name for path in tmp_path.iterdir()} == {"b", "c", "d"}

    def removed_by_another(path: Path, left=[2]) -> bytes:  # noqa: B006
        if left[0]:
            left[0] -= 1
            path.unlink()
        return path.read_bytes()

    assert room.use("b", 10, lambda path: path.write_bytes(b"9876543210"), removed_by_another) == (
        b"9876543210"
    )
    (tmp_path / "c").write_bytes(b"cut")
    again = room.use("c", 10, lambda path: path.write_bytes(b"0123456789"), Path.read_bytes)
    assert again == b"0123456789"


def test_threads_share_copies_within_the_bound(tmp_path):
    room = Copies(tmp_path, 25)
    brought = []

    def use(count: int) -> bool:
        name = f"{count * 7 % 5}"

        def bring(path: Path) -> None:
            brought.append(name)
            path.write_bytes(name.encode() * 10)

        return room.use(name, 10, bring, Path.read_bytes) == name.encode() * 10

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(300)))
    assert {name for name in brought} == set("01234")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 25


def test_names_of_a_storage_name_nothing_here(tmp_path, monkeypatch):
    sound = write(tmp_path / "disk" / "a.wav", 1.0).read_bytes()
    names = [
        "../../../../up.wav", "/etc/abs.wav", "a//b.wav", "nul\0.wav", "line\nend.wav",
        "\x1b[2Jclear.wav", "turn\u202e.wav", "~root.wav", "C:\\x.wav", "a" * 900 + ".wav",
        "half\ud800.wav",
    ]  # fmt: skip
    for name in names:
        Strange.put_in(f"/music/{name}", sound)
    before = {path for path in tmp_path.rglob("*")}
    monkeypatch.chdir(tmp_path)
    data = open_dataset(URL)
    assert len(data.clips) == len(names) - 1  # what begins with a dot is passed over
    assert all(clip.id.isprintable() for clip in data.clips)
    assert all(data.file(clip).startswith(f"{URL}/") for clip in data.clips)
    for clip in data.clips:
        assert len(data.audio(clip, RATE)) == RATE
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    cache = tmp_path / "cache" / "remote"
    assert made and all(path.parent.parent == cache for path in made)
    assert all(path.stem.isalnum() and len(path.stem) == 64 for path in made)
    for line in ("../x.wav", "/etc/passwd", "a/../../x.wav", "..\\..\\x.wav"):
        Strange.put_in("/music/manifest.csv", f"path\n{line}\n".encode())
        with pytest.raises(DataError, match="line 2: .* lies outside strange://music"):
            open_dataset(URL)
    Strange.put_in("/music/manifest.csv", b"path\nno.wav\n")
    with pytest.raises(DataError, match="line 2: no file no.wav in strange://music"):
        open_dataset(URL)
