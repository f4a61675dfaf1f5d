"""The back end of s3:// against a server of its protocol on this machine, where both are installed.

`pip install 'music-rsa[storage]'`
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from remote_folders import heard, make_music
from test_folder import write
from test_remote_stores import Machine, same

from extract.datasets import open_dataset
from extract.datasets.folder import Folder
from extract.errors import AudioError, DataError, RemoteError
from extract.remote import retrying
from extract.remote.root import connect

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A client and a bucket called `box` on a server of its own."""
    import boto3
    import s3fs

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for key, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing"),
                       ("DEFAULT_REGION", "us-east-1"), ("ENDPOINT_URL", f"http://{host}:{port}")):
        monkeypatch.setenv(f"AWS_{key}", value)
    monkeypatch.setenv("RSA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retrying, "FIRST", 0.0)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="box")
    yield client
    server.stop()


def put(client, folder: Path, to: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{to}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket="box", Key=key, Body=path.read_bytes())


def test_a_folder_in_a_bucket_is_that_folder(bucket, tmp_path):
    music = make_music(tmp_path / "disk" / "music")
    write(music / "a" / "Dvořák – 100% #1?.wav", 1.0, 8)
    put(bucket, music, "music")
    disk, there = Folder(music), open_dataset("s3://box/music")
    assert there.clips == disk.clips and there.card == disk.card and heard(there) == heard(disk)
    (clip,) = (clip for clip in there.clips if clip.id == "b.wav")
    for copy in (Path(os.environ["RSA_CACHE"]) / "remote" / "copies").iterdir():
        copy.unlink()
    whole = (music / "b.wav").read_bytes()
    bucket.put_object(Bucket="box", Key="music/b.wav", Body=whole[:-9000] + whole[-8999:] + b"1")
    with pytest.raises(AudioError, match="s3://box/music/b.wav: another file since"):
        there.audio(clip, 8000)
    bucket.delete_object(Bucket="box", Key="music/b.wav")
    with pytest.raises(AudioError, match="s3://box/music/b.wav: gone since"):
        there.audio(clip, 8000)
    with pytest.raises(DataError, match="s3://box/nothing: no such folder"):
        open_dataset("s3://box/nothing")
    connect("s3://box").reach()
    connect("s3://box/music/a").reach()
    for look in (open_dataset, lambda url: connect(url).reach()):
        with pytest.raises(RemoteError, match="s3://other/music: not there"):
            look("s3://other/music")


def test_stores_in_a_bucket_are_computed_once(bucket, tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch, "s3://box/rsa")
    disk = machine.local()
    found, calls = machine.run("one")
    assert calls == 70 and same(found, disk)
    found, calls = machine.run("two")
    assert not calls and same(found, disk)
    listed = bucket.list_objects_v2(Bucket="box", Prefix="rsa")["Contents"]
    key = next(one["Key"] for one in listed if "00001" in one["Key"])
    body = bucket.get_object(Bucket="box", Key=key)["Body"].read()
    bucket.put_object(Bucket="box", Key=key, Body=body[: len(body) // 2])
    found, calls = machine.run("three")
    assert calls == 32 and same(found, disk)
