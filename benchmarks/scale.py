"""Cost and memory against clips, layers, width and processes: python benchmarks/scale.py --plot F

Every point is a run of its own: a tiny network over made-up audio into a store (`extract`),
debiased linear CKA of all pairs of layers of a store that was filled with made-up activations
(`compare`), and linear probes of a class and of a number from sums over rows (`probe`), two clips a
track. `compare` is given `--memory` bytes for layers; beyond them it reads rows in stretches; a
process that probes holds its stretch of one layer. Seconds are of the work, without starting
Python; memory is the peak of a process above what it held before the work. With several processes
on fewer cores no gain can be seen.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RATE, SECONDS = 1000, 2.0
CLIPS, LAYERS, WIDTH = 1000, 4, 64  # where something else is varied
SPLITS = ("train", "train", "train", "valid", "test")
ASKED = (("word", "category"), ("number", "number"))
JOBS = ("extract", "compare", "probe")


def small_model(layers: int, width: int):
    """A network of random matrices over frames of 10 ms."""
    from extract.models.base import Layer, Model, ModelCard, WeightsRecord

    class Small(Model):
        network = torch.nn.Identity()
        weights = WeightsRecord("0" * 64, "random matrices", trained=False)
        card = ModelCard(
            name="small", title="Small", cite="none", paper="none", url="", training_data="none",
            licence="MIT", parameters=0, sample_rate=RATE, weights_from="none", window=SECONDS,
            layers=tuple(Layer(f"block{i:02d}", width, 100.0, i, center=0.005)
                         for i in range(layers)),
        )  # fmt: skip

        def __init__(self):
            drawn = torch.Generator().manual_seed(0)
            self.first = torch.randn(10, width, generator=drawn)
            self.mixes = [torch.randn(width, width, generator=drawn) / width**0.5
                          for _ in range(layers - 1)]  # fmt: skip

        def forward(self, values, until=None):
            x = torch.tanh(values.unfold(-1, 10, 10) @ self.first)
            found = {"block00": x}
            for i, mix in enumerate(self.mixes, 1):
                found[f"block{i:02d}"] = x = torch.tanh(x @ mix)
            return found

    return Small()


def noise(clips: int):
    """A data set of noise, two clips a track."""
    from extract.datasets.base import Clip, DataCard, Dataset

    class Noise(Dataset):
        rate = RATE

        def __init__(self):
            drawn = np.random.default_rng(0).integers(100, size=clips)
            self.clips = tuple(
                Clip(f"c{i:07d}", f"t{i // 2}", f"t{i // 2}", "", SPLITS[i // 2 % 5], 0.0, SECONDS,
                     {"word": "abcd"[drawn[i] % 4], "number": float(drawn[i])})
                for i in range(clips)
            )  # fmt: skip
            self.card = DataCard("noise", "Noise", "made", "CC0", "1" * 64, ())

        def audio(self, clip, sample_rate):
            drawn = torch.Generator().manual_seed(int(clip.id[1:]))
            return 0.1 * torch.randn(int(SECONDS * sample_rate), generator=drawn)

    return Noise()


def fill(folder: Path, clips: int, layers: int, width: int):
    """A store of made-up activations, layer after layer drifting from a common part."""
    from extract.pipeline import Options, open_store
    from extract.store import Activations

    model, data = small_model(layers, width), noise(clips)
    store = open_store(model, data, data.clips, "clips", folder, Options())
    for shard in store.missing():
        some = [data.clips[i] for i in store.plan.shard(shard)]
        rng = np.random.default_rng(shard)
        x, values = rng.standard_normal((len(some), width), dtype=np.float32), {}
        for i in range(layers):
            own = rng.standard_normal((len(some), width), dtype=np.float32)
            values[f"block{i:02d}"] = torch.from_numpy(x + np.float32(i / layers) * own)
        store.write(shard, values, [clip.id for clip in some], [])
    return Activations(model.name, store, data.clips)


def one(point: dict, folder: Path) -> dict | None:
    """Runs one point in this process; what the first of several processes measured."""
    import probes
    import rsa
    import rsa.rows.joint
    from cli.processes import joined
    from extract.pipeline import extract
    from extract.rehearsal import peak

    clips, layers, width = point["clips"], point["layers"], point["width"]
    rsa.rows.joint.MEMORY = point["memory"]
    model, data = small_model(layers, width), noise(clips)
    with joined() as team:
        if point["job"] != "extract":
            made = fill(folder, clips, layers, width) if team.first else None
            team.wait()
            made = made or fill(folder, clips, layers, width)
        team.wait()
        before, start = peak(), time.perf_counter()
        if point["job"] == "extract":
            extract(model, data, data.clips, ["clips"], folder, share=team)
        elif point["job"] == "probe":
            tasks = [probes.Task.of_kind(name, kind) for name, kind in ASKED]
            probes.run(made, made.rows, tasks, resamples=100, team=team)
        else:
            rsa.compare(
                made, measures=("cka:linear,track-debiased",), draws=0, stability=False,
                structure=False, team=team,
            )  # fmt: skip
        team.wait()
        seconds = time.perf_counter() - start
        memory = max(team.gather(peak() - before))
    return {**point, "seconds": seconds, "memory_used": memory}


def measured(point: dict) -> dict:
    """Runs one point in processes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        about = {**os.environ, "WORLD_SIZE": str(point["processes"]), "MASTER_PORT": str(port),
                 "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}  # fmt: skip
        command = [sys.executable, __file__, "--one", json.dumps(point), "--folder", folder]
        ranks = [
            subprocess.Popen(command, env={**about, "RANK": str(rank)}, stdout=subprocess.PIPE)
            for rank in range(point["processes"])
        ]
        outs = [rank.communicate()[0] for rank in ranks]
        if any(rank.returncode for rank in ranks):
            raise SystemExit(f"{point} failed")
        return json.loads(outs[0])


def points(args) -> list[dict]:
    """Each axis by itself, the others at their usual values."""
    usual = {"clips": CLIPS, "layers": LAYERS, "width": WIDTH, "processes": 1}
    axes = {"clips": args.clips, "layers": args.layers, "width": args.width,
            "processes": args.processes}  # fmt: skip
    return [
        {**usual, axis: value, "axis": axis, "job": job, "memory": args.memory}
        for job in JOBS
        for axis, values in axes.items()
        for value in values
    ]


def draw(found: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    axes = list(dict.fromkeys(point["axis"] for point in found))
    figure, panels = plt.subplots(2, len(axes), figsize=(3 * len(axes), 5), squeeze=False)
    for column, axis in enumerate(axes):
        for line, (key, label, unit) in enumerate(
            (("seconds", "seconds", 1.0), ("memory_used", "memory (MB)", 1e6))
        ):
            panel = panels[line, column]
            for job in JOBS:
                some = [p for p in found if p["axis"] == axis and p["job"] == job]
                panel.plot([p[axis] for p in some], [p[key] / unit for p in some], "o-", label=job)
            panel.set_xscale("log")
            ticks = sorted({point[axis] for point in found if point["axis"] == axis})
            panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=7)
            panel.tick_params(axis="x", which="minor", length=0, labelbottom=False)
            panel.tick_params(axis="y", which="minor", labelleft=False)
            panel.set_yscale("log" if key == "seconds" else "linear")
            panel.set_ylim(bottom=None if key == "seconds" else 0)
            panel.set_xlabel(axis)
            panel.set_ylabel(label if not column else "")
    panels[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, nargs="*", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--layers", type=int, nargs="*", default=[2, 4, 8, 16])
    parser.add_argument("--width", type=int, nargs="*", default=[32, 64, 128, 256])
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--memory", type=float, default=2e6, help="bytes for layers in compare")
    parser.add_argument("--plot", type=Path, help="where the figure goes")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(json.loads(args.one), args.folder)))
        return
    print(f"{'job':8} {'axis':10} {'clips':>7} {'layers':>6} {'width':>5} {'processes':>9} "
          f"{'seconds':>8} {'clips/s':>8} {'MB':>7}")  # fmt: skip
    found = []
    for point in points(args):
        point = measured(point)
        found.append(point)
        print(f"{point['job']:8} {point['axis']:10} {point['clips']:7} {point['layers']:6} "
              f"{point['width']:5} {point['processes']:9} {point['seconds']:8.2f} "
              f"{point['clips'] / point['seconds']:8.0f} {point['memory_used'] / 1e6:7.1f}",
              flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    if args.plot:
        draw(found, args.plot)


if __name__ == "__main__":
    main()
