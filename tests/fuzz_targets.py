"""What is fuzzed: a reader, valid files to begin from, and the errors it may end with.

Imported by the test, which needs the seeds, and by the process in which the readers run.
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

BETWEEN = b"|the second file|"


@dataclass(frozen=True)
class Target:
    """A reader of one file.

    Attributes
    ----------
    seeds : contents that are valid.
    read : reads the file at a path.
    errors : what may come out, each in one line.
    name : of the file, as its kind wants it.
    tree : whether the content is JSON of which nodes are exchanged, too.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    errors: Callable[[], tuple[type[Exception], ...]]
    name: str = "file"
    tree: bool = False


def _extract() -> tuple[type[Exception], ...]:
    from extract.errors import ExtractError

    return (ExtractError,)


def _written(write: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


# audio


def _audio_seeds() -> list[bytes]:
    import soundfile
    from strange_audio import signal

    def of(rate: int, channels: int, **form) -> bytes:
        memory = io.BytesIO()
        values = signal(0.12, rate)[:, None].repeat(channels, 1)
        soundfile.write(memory, values, rate, **form)
        return memory.getvalue()

    return [
        of(8000, 1, format="WAV", subtype="PCM_16"), of(8000, 2, format="WAV", subtype="FLOAT"),
        of(8000, 1, format="WAV", subtype="MS_ADPCM"), of(8000, 1, format="RF64"),
        of(8000, 2, format="FLAC"), of(8000, 1, format="AIFF"), of(8000, 1, format="AU"),
        of(8000, 1, format="W64"), of(8000, 1, format="CAF"), of(16000, 1, format="OGG"),
        of(16000, 1, format="OGG", subtype="OPUS"), of(16000, 2, format="MP3"),
    ]  # fmt: skip


def _hear(path: Path) -> None:
    from extract import audio

    audio.probe(path)
    for start, duration in ((0.0, None), (0.02, 0.05)):
        found = audio.read(path, 16000, start, duration)
        assert found.ndim == 1 and found.isfinite().all()


# tables and texts


def _table_seeds() -> list[bytes]:
    return [
        b"path,start,duration,split,group,mood,tags,year\na.wav,0,0.05,train,g,calm,x|y,1999\n"
        b"a.wav,0.05,0.05,test,h,wild,|,nan\n",
        b'\xef\xbb\xbfpath;artist;tempo\n"a.wav";"K; Z";120.5\n',
    ]


def _line_seeds() -> list[bytes]:
    return [
        b'{"path": "a.wav", "start": 0, "tags": ["x", "y"], "mood": "calm", "n": 1.5}\n'
        b'{"path": "a.wav", "start": 0.05, "tags": [], "mood": null, "n": 2, "yes": true}\n'
    ]


def _folder(path: Path) -> None:
    import soundfile
    from strange_audio import signal

    from extract.datasets.folder import Folder

    sound = path.parent / "a.wav"
    if not sound.exists():
        soundfile.write(sound, signal(0.1), 16000)
    for clip in Folder(path.parent, path).clips:
        json.dumps(clip.said())


def _label_seeds() -> list[bytes]:
    return [
        b"0.0\t1\n0.51 2\n1.02 3\n", b"0.0 1.5 C:maj\n1.5 3.0 A:min/b3\n3.0 4.0 N\n",
        b"a\t0\nb\t1\nc\t2\n", b"0.000,0.0\n0.003,440.1\n0.006,441\n", b"# a remark\n128.5\n",
        b"0.0 silence\n1.0 verse\n9.5 end\n", b"id,path,mood\n1,a.wav,calm\n2,b.wav,\n",
        b"0.0\t2.0\tKey\tC:minor\n2.0\t3.0\tSilence\n", b"C:minor\nDb major\n", b"1.5 New Point\n",
    ]  # fmt: skip


def _labels(path: Path) -> None:
    from extract.datasets import isophonics, labelfiles
    from extract.errors import DataError

    readers = (
        labelfiles.beats, labelfiles.intervals, labelfiles.folds, labelfiles.boundaries,
        labelfiles.curve, labelfiles.number, labelfiles.line, isophonics.beats,
        isophonics.local_keys, lambda p: list(labelfiles.table(p, ("id",))),
        lambda p: labelfiles.intervals(p, value=labelfiles.chord_of, reversed=True),
        lambda p: labelfiles.intervals(p, value=isophonics.chord, reversed=True),
        lambda p: labelfiles.key_of(labelfiles.line(p)),
    )  # fmt: skip
    _all(path, readers, DataError)


def _midi_seeds() -> list[bytes]:
    track = (
        b"\x00\xff\x51\x03\x07\xa1\x20" b"\x00\x90\x3c\x40" b"\x60\x80\x3c\x00"
        b"\x00\xc0\x05" b"\x00\x90\x40\x40" b"\x81\x00\x40\x00" b"\x00\xff\x2f\x00"
    )  # fmt: skip
    head = b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x01\xe0"
    return [head + 2 * (b"MTrk" + len(track).to_bytes(4, "big") + track)]


def _midi(path: Path) -> None:
    from extract.datasets import midifile

    midifile.notes(path)


def _jams_seeds() -> list[bytes]:
    def part(namespace: str, data: object, source: str = "0") -> dict:
        return {"namespace": namespace, "data": data, "annotation_metadata": {
            "data_source": source}}  # fmt: skip

    rows = [{"time": 0.0, "duration": 1.0, "value": 60.1}]
    content = {"annotations": [
        part("key_mode", [{"time": 0, "duration": 9, "value": "C:major"}]),
        part("tempo", [{"time": 0, "duration": 9, "value": 120}]),
        part("chord", [{"time": 0, "duration": 9, "value": "C:maj"}]), part("note_midi", rows),
        part("beat_position", [{"time": 0.5, "duration": 0, "value": {"position": 1}}]),
        part("pitch_contour", {"time": [0.0, 0.1], "value": [
            {"voiced": True, "frequency": 440.0}, {"voiced": False, "frequency": 0.0}]}),
    ]}  # fmt: skip
    return [json.dumps(content).encode()]


def _jams(path: Path) -> None:
    from extract.datasets.published import guitarset

    guitarset.annotations(path)


def _toml_seeds() -> list[bytes]:
    folder = Path(__file__).parents[1] / "cli" / "studies"
    return [path.read_bytes() for path in sorted(folder.glob("*.toml"))]


def _toml(path: Path) -> None:
    from cli import studyfile

    studyfile.read(path)


def _usage() -> tuple[type[Exception], ...]:
    from click import UsageError

    return (UsageError,)


# weights


def _bundle_seeds() -> list[bytes]:
    from test_tfbundle import ARRAYS, bundle

    return [BETWEEN.join(bundle(ARRAYS, {"step": 9}, size)) for size in (1, 2, 10)]


def _bundle(path: Path) -> None:
    from extract import tfbundle

    index, _, data = path.read_bytes().partition(BETWEEN)
    for array in tfbundle.read(index, data, source="a bundle").values():
        assert array.nbytes <= len(data)


def _keras_seeds() -> list[bytes]:
    from test_kerasfile import _some, write

    return [
        _written(lambda p: write(p, _some()), "m.keras"),
        _written(lambda p: write(p, _some(), compression=zipfile.ZIP_DEFLATED), "m.keras"),
    ]


def _keras(path: Path) -> None:
    from extract import kerasfile

    for layer in kerasfile.read(path):
        assert all(values.numel() < 1e6 for values in layer.variables.values())


def _hdf5_seeds() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(_keras_seeds()[0])) as archive:
        return [archive.read("model.weights.h5")]


def _hdf5(path: Path) -> None:
    from extract import kerasfile

    kerasfile._arrays(path.read_bytes(), path)


def _torch_content() -> dict:
    import argparse

    import torch

    tensors = {
        "layer.weight": torch.arange(12.0).reshape(3, 4), "layer.bias": torch.zeros(3).half(),
        "step": torch.tensor(7),
    }  # fmt: skip
    inner = {"conv_feature_layers": "[(512,10,5)] + [(512,3,2)] * 4", "layer_norm_first": True}
    return {
        "state_dict": tensors, "model": tensors, "epoch": 3, "args": argparse.Namespace(lr=0.1),
        "cfg": {"model": inner, "task": {"sample_rate": 16000}},
    }  # fmt: skip


def _saved(zipped: bool) -> bytes:
    import torch

    memory = io.BytesIO()
    torch.save(_torch_content(), memory, _use_new_zipfile_serialization=zipped)
    return memory.getvalue()


def _torch_seeds() -> list[bytes]:
    return [_saved(True), _saved(False)]


def _torch(path: Path) -> None:
    from extract import checkpoint, fairseq, lightning
    from extract.errors import WeightsInvalid
    from extract.models import ownweights

    def held(read: Callable) -> Callable:
        def work(place: Path) -> None:
            for tensor in read(place).values():
                tensor.clone()  # has the memory that it claims

        return work

    readers = [held(each) for each in (checkpoint.read, lightning.read, ownweights.read)]
    _all(path, [*readers, _fairseq, fairseq.read], WeightsInvalid)


def _fairseq(path: Path) -> None:
    from extract import checkpoint, fairseq

    inside = fairseq.read(path)
    fairseq.settings(inside, str(path))
    fairseq.sample_rate(inside)
    fairseq.renamed(checkpoint.tensors_in(inside, path, under=("model", "state_dict")))


def _pickle_seeds() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(_saved(True))) as archive:
        inside = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
    return [inside, pickle.dumps({"a": [1, 2.5, "x", (None, True)]}, protocol=2)]


def _pickle(path: Path) -> None:
    """The pickle of a checkpoint alone is changed: its checksum is right."""
    around = path.parent / "whole.pt"
    with zipfile.ZipFile(io.BytesIO(_saved(True))) as old, zipfile.ZipFile(around, "w") as new:
        for name in old.namelist():
            changed = name.endswith("data.pkl")
            new.writestr(name, path.read_bytes() if changed else old.read(name))
    _torch(around)


def _safetensors_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    return [save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2).half()})]


def _safetensors(path: Path) -> None:
    from extract import checkpoint

    checkpoint.read(path)


def _zip_seeds() -> list[bytes]:
    out = []
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", kind) as archive:
            archive.writestr("net/weights.bin", b"12345678" * 40)
            archive.writestr("clmr_checkpoint_10000.pt", _saved(True))
        out.append(memory.getvalue())
    return out


def _zip(path: Path) -> None:
    from extract import checkpoint, wheels
    from extract.errors import WeightsInvalid
    from extract.models import clmr

    def held(place: Path) -> None:
        with clmr._out_of_archive(place) as file:
            checkpoint.read(file)

    _all(path, [lambda p: wheels.member(p, "net/weights.bin", 320), held], WeightsInvalid)


def _config_seeds() -> list[bytes]:
    speech = {
        "model_type": "hubert", "hidden_size": 32, "num_hidden_layers": 2, "conv_dim": [16, 16],
        "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_attention_heads": 2,
        "intermediate_size": 64, "feat_extract_norm": "group", "hidden_act": "gelu",
    }  # fmt: skip
    muq = {"encoder_dim": 16, "encoder_depth": 2, "conv_dim": 8, "w2v2_config": {
        "intermediate_size": 32, "num_attention_heads": 2}, "stat": {
        "melspec_2048_mean": 0.5, "melspec_2048_std": 2.0}}  # fmt: skip
    return [json.dumps(one).encode() for one in (speech, muq)]


def _config(path: Path) -> None:
    from extract.errors import WeightsInvalid
    from extract.models import muq, musichubert, wav2vec2
    from extract.models.hf.files import Source

    published = musichubert._FAMILY
    def speech(place: Path) -> None:
        settings = wav2vec2.read_config(published.card, published.kind, place)
        wav2vec2._build(published.kind, settings, place, device="meta")

    readers = (muq.read_config, speech, lambda p: Source("x", p.parent).json(p.name))
    _all(path, readers, WeightsInvalid)


# studies


def _study_files(pattern: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        return [path.read_bytes() for path in sorted(_study().glob(pattern))[:3]]

    return seeds


_KEPT: list[tempfile.TemporaryDirectory] = []


def _study() -> Path:
    """A whole study, made once in each process."""
    from study_fixture import make_study
    from why_fixture import make_why

    if not _KEPT:
        _KEPT.append(tempfile.TemporaryDirectory())
        folder = Path(_KEPT[0].name) / "study"
        make_study(folder, layers={"a": 3, "b": 4}, tasks=3, measures=2)
        make_why(folder, groups=12)
        _maps(folder)
    return Path(_KEPT[0].name) / "study"


def _maps(folder: Path) -> None:
    points = {"x": [0.0, 1.0, 2.0], "y": [0.5, 0.1, 0.2]}
    layer = {"layer": "final", "place": "last", "method": "umap", "trustworthiness": 0.9, **points}
    content = {"format": 1, "role": "a", "task": "key", "title": "Key",
               "classes": ["c", "d", "c"], "clips": ["1", "2", "3"], "layers": [layer]}  # fmt: skip
    (folder / "maps").mkdir()
    (folder / "maps" / "a.json").write_text(json.dumps(content))


def _reader(place: str) -> Callable | None:
    from reports import layers, maps, probing, reading, reading_why

    return {
        "similarity": reading.similarity, "geometry": layers.geometry,
        "information": layers.information, "probes": probing.probes, "maps": maps.maps,
        "why": reading_why.transfers if "-" in place else reading_why.why,
    }.get(place.partition("/")[0])  # fmt: skip


def _read_study(place: str) -> Callable[[Path], None]:
    """The file alone, and in one of eight cases all words of a report with it."""

    def read(path: Path) -> None:
        from reports import Study
        from reports.document import document

        content = path.read_bytes()
        if (alone := _reader(place)) and zlib.crc32(content) % 8:
            alone(path)
            return
        spot = _study() / place
        whole = spot.read_bytes()
        try:
            spot.write_bytes(content)
            document(Study.read(_study()), {})
        finally:
            spot.write_bytes(whole)

    return read


def _report() -> tuple[type[Exception], ...]:
    from reports.errors import ReportError

    return (ReportError,)


def _results(path: Path) -> None:
    """The readers of `rsa` and `probes` for the same files."""
    from probes import ProbeResults
    from probes.errors import ProbeError
    from rsa.errors import RsaError
    from rsa.layerwise.geometry import Geometry
    from rsa.layerwise.labels import LabelInformation
    from rsa.similarity import Similarity

    kinds = (ProbeResults, Similarity, Geometry, LabelInformation)
    _all(path, [kind.read for kind in kinds], ProbeError, RsaError)


def _found() -> tuple[type[Exception], ...]:
    from probes.errors import ProbeError
    from rsa.errors import RsaError

    return (ProbeError, RsaError)


def _result_seeds() -> list[bytes]:
    places = ("probes/a.json", "similarity/a-b.json", "geometry/a.json", "information/a.json")
    return [(_study() / place).read_bytes() for place in places]


def _all(path: Path, readers: Iterable[Callable], *errors: type[Exception]) -> None:
    """Every reader; the last refusal where none of them could read the file."""
    refused, read = None, False
    for each in readers:
        try:
            each(path)
            read = True
        except errors as error:
            text = str(error)
            assert text.strip() and "\n" not in text, f"{type(error).__name__}: {text!r}"
            refused = error
    if refused and not read:
        raise refused


def _part(place: str) -> Target:
    return Target(_study_files(place), _read_study(place), _report, Path(place).name, tree=True)


TARGETS = {
    "audio": Target(_audio_seeds, _hear, _extract, "sound.wav"),
    "manifest-csv": Target(_table_seeds, _folder, _extract, "manifest.csv"),
    "manifest-jsonl": Target(_line_seeds, _folder, _extract, "manifest.jsonl"),
    "label-files": Target(_label_seeds, _labels, _extract, "song.lab"),
    "midi": Target(_midi_seeds, _midi, _extract, "song.mid"),
    "jams": Target(_jams_seeds, _jams, _extract, "song.jams", tree=True),
    "study-file": Target(_toml_seeds, _toml, _usage, "study.toml"),
    "tensorflow": Target(_bundle_seeds, _bundle, _extract),
    "keras": Target(_keras_seeds, _keras, _extract, "model.keras"),
    "hdf5": Target(_hdf5_seeds, _hdf5, _extract, "weights.h5"),
    "torch": Target(_torch_seeds, _torch, _extract, "model.pt"),
    "pickle": Target(_pickle_seeds, _pickle, _extract, "data.pkl"),
    "safetensors": Target(_safetensors_seeds, _safetensors, _extract, "model.safetensors"),
    "archives": Target(_zip_seeds, _zip, _extract, "net.whl"),
    "configurations": Target(_config_seeds, _config, _extract, "config.json", tree=True),
    "study": _part("study.json"),
    "study-similarity": _part("similarity/a-b.json"),
    "study-within": _part("similarity/a-a.json"),
    "study-geometry": _part("geometry/a.json"),
    "study-information": _part("information/a.json"),
    "study-probes": _part("probes/a.json"),
    "study-why": _part("why/a.json"),
    "study-transfer": _part("why/a-b.json"),
    "study-maps": _part("maps/a.json"),
    "results": Target(_result_seeds, _results, _found, "a.json", tree=True),
}
