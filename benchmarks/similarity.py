"""Speed and memory of similarity, in one run: python benchmarks/similarity.py --threads 2 --peers

Two nets of 13 layers (a shared latent of 128 dimensions that drifts from layer to layer, and noise
with a power-law spectrum) are compared layer by layer. Every contender runs in a process of its
own with the same number of threads; its values are held against a float64 reference first. Memory
is the peak of the process above what it held with the inputs made. Wall seconds are the fewest of
`--rounds`, one round of all contenders after the other; other programs on the machine only ever
add to them.

Contenders begin with what they compute: cka (debiased where the package has it), cca, procrustes.
The floors are the matrix products (cheaper of Gram matrices and features) or the decompositions
that the job cannot do without. Packages take part where they are installed (`--peers`); anatome and
netrep are not on the index: put clones of them on PYTHONPATH. What is known to print another value
is marked by its distance from the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import similarity_peers as peers

LAYERS = 13


def layers(rows: int, width: int, seed: int, count: int = LAYERS) -> list[np.ndarray]:
    """Layers [rows, width] float32 of one net; the latent is the same for every seed."""
    latent = np.random.default_rng(0).standard_normal((rows, 128), dtype=np.float32)
    rng = np.random.default_rng([seed, width])
    drift = rng.standard_normal((rows, 128), dtype=np.float32)
    spectrum = np.arange(1, width + 1, dtype=np.float32) ** -0.5
    out = []
    for i in range(count):
        part = i / max(count - 1, 1)
        z = np.float32(np.sqrt(1 - part)) * latent + np.float32(np.sqrt(part)) * drift
        mix = rng.standard_normal((128, width), dtype=np.float32) / np.float32(np.sqrt(128))
        noise = rng.standard_normal((rows, width), dtype=np.float32) * spectrum
        out.append(z @ mix + 2 * noise)
    return out


def centred(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x - x.mean(axis=0)


def debiased(x: np.ndarray, y: np.ndarray) -> float:
    """Debiased linear CKA in float64 from features: the reference."""
    x, y = centred(x), centred(y)
    n, a, b = len(x), (x**2).sum(axis=1), (y**2).sum(axis=1)

    def h(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return (c**2).sum() - n / (n - 2) * a @ b + a.sum() * b.sum() / ((n - 1) * (n - 2))

    return h(x.T @ y, a, b) / np.sqrt(h(x.T @ x, a, a)) / np.sqrt(h(y.T @ y, b, b))


def biased(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)
    norm = np.linalg.norm
    return norm(x.T @ y) ** 2 / norm(x.T @ x) / norm(y.T @ y)


def sources(a: list, b: list) -> list:
    import rsa

    return [
        rsa.Matrices(name, {f"{i:02d}": x for i, x in enumerate(side)})
        for name, side in (("a", a), ("b", b))
    ]


def ours(a: list, b: list, measures: tuple = ("cka:linear,debiased",), **options) -> np.ndarray:
    import rsa

    found = rsa.compare(*sources(a, b), measures=measures, pairs=[(0, 1)], **options)
    return found.between(0, 1).measures[0].value


def ours_bare(a: list, b: list) -> np.ndarray:
    return ours(a, b, draws=0, blocks=1)


def ours_inference(a: list, b: list) -> np.ndarray:
    return ours(a, b, stability=False, structure=False)


def ours_whole(a: list, b: list) -> np.ndarray:
    """As `rsa compare` does it: blocks, matches, subsets of rows, halves of units too."""
    return ours(a, b)


def floor(a: list, b: list) -> np.ndarray:
    """The products alone, in float32, in tiles: Gram matrices once, or all pairs of features."""
    n, sides = len(a[0]), a + b
    total = sum(x.shape[1] for x in sides)
    features = sum(x.shape[1] * y.shape[1] for x in a for y in b)
    features += sum(x.shape[1] ** 2 for x in sides)
    if n * (total + len(sides) ** 2) > 2 * features:
        for x in a:
            for y in b:
                np.vdot(c := x.T @ y, c)
        for x in sides:
            np.vdot(c := x.T @ x, c)
    else:
        for start in range(0, n, 256):
            grams = [x[start : start + 256] @ x[start:].T for x in sides]
            flat = np.stack(grams).reshape(len(sides), -1)
            flat @ flat.T
    return np.full((len(a), len(b)), np.nan)


def numpy_pairs(a: list, b: list) -> np.ndarray:
    """Plain NumPy: biased CKA, each layer with itself once, one product a pair, float64."""
    a, b = [centred(x) for x in a], [centred(x) for x in b]
    own = [[np.linalg.norm(x.T @ x) for x in side] for side in (a, b)]
    return np.array(
        [
            [np.linalg.norm(x.T @ y) ** 2 / own[0][i] / own[1][j] for j, y in enumerate(b)]
            for i, x in enumerate(a)
        ]
    )


def cca_ours(a: list, b: list) -> np.ndarray:
    names = ("svcca:var=0.99,mean", "pwcca:var=0.99,mean")
    return ours(a, b, measures=names, draws=0, blocks=1)


def _reduced(x: np.ndarray) -> np.ndarray:
    x = centred(x)
    left, size, _ = np.linalg.svd(x, full_matrices=False)
    power = np.cumsum(size**2) / (size**2).sum()
    return left[:, : int(np.searchsorted(power, 0.99 - 1e-12)) + 1]


def svcca(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.svd(_reduced(x).T @ _reduced(y), compute_uv=False).mean())


def cca_pairs(a: list, b: list) -> np.ndarray:
    """Two decompositions for each pair, as tools without a cache do."""
    return peers.some_pairs(a, b, svcca)


def procrustes(x: np.ndarray, y: np.ndarray) -> float:
    """Cosine of the angle that is left after the best rotation: the reference."""
    x, y = centred(x), centred(y)
    nuclear = np.linalg.svd(x.T @ y, compute_uv=False).sum()
    return float(nuclear / np.linalg.norm(x) / np.linalg.norm(y))


def procrustes_ours(a: list, b: list) -> np.ndarray:
    # the distance of layers of length 1 is sqrt(2 - 2 cos)
    distance = ours(a, b, measures=("procrustes:orthogonal",), draws=0, blocks=1)
    return 1 - distance**2 / 2


def cca_floor(a: list, b: list) -> np.ndarray:
    """An eigendecomposition a layer, a product and singular values a pair."""
    bases = []
    for side in (a, b):
        bases.append([])
        for x in side:
            x = centred(x)
            power, vectors = np.linalg.eigh(x.T @ x)
            share = np.cumsum(power[::-1]) / power.sum()
            k = int(np.searchsorted(share, 0.99 - 1e-12)) + 1
            bases[-1].append(x @ vectors[:, -k:] / np.sqrt(power[-k:]))
    for x in bases[0]:
        for y in bases[1]:
            np.linalg.svd(x.T @ y, compute_uv=False)
    return np.full((len(a), len(b)), np.nan)


PAIRS = -1.0
# name -> (function, package it needs, reference, most rows, factor from what is timed to the job)
Contender = tuple[Callable, str | None, Callable, int, float]
LOOPED = (peers.DRAWS + peers.BLOCKS) / peers.CALLS
CONTENDERS: dict[str, Contender] = {
    "cka: the products alone (floor)": (floor, None, debiased, 10**6, 1),
    "cka: rsa": (ours_bare, None, debiased, 10**6, 1),
    "cka: rsa, with interval, chance, p": (ours_inference, None, debiased, 10**6, 1),
    "cka: rsa, as `rsa compare` does it": (ours_whole, None, debiased, 10**6, 1),
    "cka: plain NumPy, float64, biased": (numpy_pairs, None, biased, 10**6, 1),
    "cka: pytorch-cka": (peers.pytorch_cka, "cka", debiased, 5000, 1),
    "cka: pytorch-cka, 99 draws, 32 blocks": (
        peers.pytorch_cka_looped, "cka", debiased, 5000, LOOPED,
    ),
    "cka: rsatoolbox cosine_cov, biased": (peers.rsatoolbox, "rsatoolbox", biased, 2500, 1),
    "cka: anatome": (peers.anatome_cka, "anatome", debiased, 10**6, PAIRS),
    "cka: netrep, biased": (peers.netrep_cka, "netrep", biased, 5000, PAIRS),
    "cka: torch-cka": (peers.torch_cka, "torch_cka", debiased, 5000, PAIRS),
    "cka: ckatorch, biased": (peers.ckatorch, "ckatorch", biased, 5000, PAIRS),
    "cca: decompositions and products alone (floor)": (cca_floor, None, svcca, 5000, 1),
    "cca: rsa, SVCCA and PWCCA": (cca_ours, None, svcca, 5000, 1),
    "cca: SVCCA pair by pair, NumPy": (cca_pairs, None, svcca, 5000, PAIRS),
    "cca: anatome, SVCCA and PWCCA": (peers.anatome_cca, "anatome", svcca, 5000, PAIRS),
    "procrustes: rsa": (procrustes_ours, None, procrustes, 5000, 1),
    "procrustes: anatome": (peers.anatome_procrustes, "anatome", procrustes, 5000, PAIRS),
    "procrustes: netrep": (peers.netrep_procrustes, "netrep", procrustes, 5000, PAIRS),
}  # fmt: skip
PEERS = {name for name, entry in CONTENDERS.items() if entry[1] is not None}


def alone(name: str, rows: int, width: int, other: int, count: int) -> dict:
    """One contender, in this process: seconds, memory and distance from the reference."""
    function, _, reference, _, factor = CONTENDERS[name]
    a, b = layers(rows, width, 1, count), layers(rows, other, 2, count)
    # what a first call loads is no part of the time or memory of the measured one
    small = [[x[:60, :20].copy() for x in side[:3]] for side in (a, b)]
    function(*small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, start = time.process_time(), time.perf_counter()
    values = np.asarray(function(a, b))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    scale = count**2 / peers.SOME if factor == PAIRS else factor
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    off = None
    if not np.isnan(values).all():
        off = max(float(abs(values[0, j] - reference(a[0], b[j]))) for j in (0, 2))
    return {"wall": wall * scale, "cpu": cpu * scale, "mb": peak, "off": off}


def measured(name: str, job: tuple, threads: int) -> dict | str:
    """`alone` in a process of its own, or why there is no number."""
    package, limit = CONTENDERS[name][1], CONTENDERS[name][3]
    if package is not None and find_spec(package) is None:
        return "absent"
    if job[0] > limit:
        return "not run: too large"
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | {variable: str(threads) for variable in variables}
    command = [sys.executable, __file__, "--alone", name, *map(str, job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return "failed: " + done.stderr.strip().splitlines()[-1][:80]
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(job: tuple, names: list[str], options: argparse.Namespace) -> list[str]:
    """One job's Markdown table."""
    best: dict[str, dict | str] = {}
    for _ in range(options.rounds):
        for name in names:
            found, so_far = measured(name, job, options.threads), best.get(name)
            slower = isinstance(so_far, dict) and isinstance(found, dict)
            if so_far is None or (slower and found["wall"] < so_far["wall"]):
                best[name] = found
    rows, width, other, count = job
    lines = [
        f"\n{count} x {count} layers, {rows} rows, width {width}"
        + (f" against {other}" if other != width else ""),
        "",
        "| contender | wall s | CPU s | MB above inputs | off the float64 reference |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in best.items():
        if isinstance(found, str):
            lines.append(f"| {name} | {found} | | | |")
            continue
        off = "" if found["off"] is None else f"{found['off']:.1e}"
        wrong = " (other value)" if (found["off"] or 0) > 1e-3 else ""
        factor = CONTENDERS[name][4]
        part = f"{peers.SOME} pairs" if factor == PAIRS else f"{peers.CALLS} calls"
        scaled = "" if factor == 1 else f" (scaled from {part})"
        lines.append(
            f"| {name}{scaled} | {found['wall']:.2f} | {found['cpu']:.2f} | {found['mb']:.0f} "
            f"| {off}{wrong} |"
        )
    return lines


class Stored:
    """Layers [rows, width] float16 in files of their own, read as they are asked for."""

    def __init__(self, name: str, folder: Path, rows: int, width: int, seed: int, count: int):
        self.name, self.groups = name, np.repeat(np.arange(-(-rows // 250)), 250)[:rows]
        self.layers = tuple(f"{i:02d}" for i in range(count))
        self._folder, self._width = folder, width
        for start in range(0, rows, 2000):
            part = layers(min(2000, rows - start), width, seed + start, count)
            for layer, x in zip(self.layers, part, strict=True):
                with self._path(layer).open("ab") as file:
                    x.astype(np.float16).tofile(file)

    def _path(self, layer: str) -> Path:
        return self._folder / f"{self.name}-{layer}"

    def __len__(self) -> int:
        return len(self.groups)

    def read(self, layer: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        stop = len(self) if stop is None else min(stop, len(self))
        count, offset = (stop - start) * self._width, 2 * start * self._width
        with self._path(layer).open("rb") as file:
            file.seek(offset)
            found = np.frombuffer(file.read(2 * count), np.float16)
        return found.reshape(-1, self._width).astype(np.float32)


def memory(rows: int, width: int = 768, count: int = 25) -> dict:
    """Peak of a process that compares two nets of 25 layers whose frames lie on disk."""
    import rsa

    with tempfile.TemporaryDirectory() as folder:
        a, b = (Stored(n, Path(folder), rows, width, s, count) for n, s in (("a", 1), ("b", 10**6)))
        start = time.perf_counter()
        rsa.compare(a, b, pairs=[(0, 1)], measures=["cka:linear,track-debiased"], stability=False)
        wall = time.perf_counter() - start
    return {"wall": wall, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def memory_table(options: argparse.Namespace) -> None:
    """Peak memory against rows."""
    print("\n25 x 25 layers of width 768, 250 frames a track, intervals, chance and p\n")
    print("| rows | as float32 GB | peak of the process GiB | wall s |\n|---:|---:|---:|---:|")
    for rows in options.memory:
        command = [sys.executable, __file__, "--alone-memory", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        size = rows * 50 * 768 * 4 / 1e9
        print(f"| {rows} | {size:.1f} | {found['gb']:.2f} | {found['wall']:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also packages that are installed")
    parser.add_argument("--jobs", default="2000:768:768,2000:1024:1024,2000:768:1024,20000:768:768")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--only", default="", help="contenders whose name has this in it")
    parser.add_argument("--scaling", action="store_true", help="cost against layers, rows, width")
    parser.add_argument("--memory", type=int, nargs="+", help="rows: peak memory for as many")
    parser.add_argument("--alone", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--alone-memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.alone[0], *map(int, options.alone[1:]))))
        return
    if options.alone_memory:
        print(json.dumps(memory(options.alone_memory)))
        return
    if options.memory:
        memory_table(options)
        return
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, {options.threads} threads, NumPy {np.__version__}", end=", ")
    print(f"fewest of {options.rounds} rounds")
    names = [n for n in CONTENDERS if (options.peers or n not in PEERS) and options.only in n]
    jobs = [(*map(int, job.split(":")), options.layers) for job in options.jobs.split(",")]
    if options.scaling:
        names = ["cka: rsa"]
        jobs = [(2000, 768, 768, n) for n in (3, 6, 13, 25)]
        jobs += [(n, 768, 768, 13) for n in (500, 1000, 4000, 8000, 16000)]
        jobs += [(2000, d, d, 13) for d in (128, 256, 512, 1024)]
    for job in jobs:
        print("\n".join(table(job, names, options)), flush=True)


if __name__ == "__main__":
    main()
