"""Speed and memory of similarity, in one run: python benchmarks/similarity.py --threads 2 --peers

Two nets of 13 layers (a shared latent of 128 dimensions that drifts from layer to layer, and noise
with a power-law spectrum) are compared layer by layer. Every contender runs in a process of its
own with the same number of threads; its values are held against a float64 reference first. Memory
is the peak of the process above what it held with the inputs made. Wall seconds are the fewest of
`--rounds`, one round of all contenders after the other; other programs on the machine only ever
add to them.

floor     the matrix products alone, by the cheaper of Gram matrices and features
peers     packages where they are installed; others are listed as absent. "no cache" is the
          algorithm of tools that compare pair by pair: three feature products for each
inference interval, level of chance and p as well; for a peer, by 99 permutations of its rows
cca       SVCCA and PWCCA of ours, and from two decompositions anew for each pair
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np

LAYERS = 13
DRAWS = 99
# pairs timed where all of them would take too long
SOME = 3


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


def no_cache(a: list, b: list) -> np.ndarray:
    out = np.empty((len(a), len(b)))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            x_, y_ = x - x.mean(axis=0), y - y.mean(axis=0)
            norms = [np.linalg.norm(c) for c in (x_.T @ y_, x_.T @ x_, y_.T @ y_)]
            out[i, j] = norms[0] ** 2 / norms[1] / norms[2]
    return out


def pytorch_cka(a: list, b: list) -> np.ndarray:
    import torch
    from cka import cka_from_features

    x, y = ([torch.from_numpy(m) for m in side] for side in (a, b))
    return cka_from_features(x, y).numpy()


def ckatorch(a: list, b: list) -> np.ndarray:
    """A row of the first few pairs; the time is scaled up."""
    import torch

    cka_base = importlib.import_module("ckatorch.core").cka_base
    x, y = ([torch.from_numpy(m) for m in side] for side in (a, b))
    out = np.full((len(a), len(b)), np.nan)
    for j in range(SOME):
        out[0, j] = float(cka_base(x[0], y[j], "linear", method="fro_norm"))
    return out


def rsatoolbox(a: list, b: list) -> np.ndarray:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare

    x, y = (calc_rdm([Dataset(m) for m in side], method="euclidean") for side in (a, b))
    return compare(x, y, method="cosine_cov")


def torch_cka(a: list, b: list) -> np.ndarray:
    """The published arithmetic of `CKA._HSIC`, whose class takes only models, for a few pairs."""
    import torch

    module = importlib.import_module("torch_cka.cka")
    hsic = module.CKA._HSIC
    x, y = ([torch.from_numpy(m) for m in side] for side in (a, b))
    out = np.full((len(a), len(b)), np.nan)
    here = SimpleNamespace(device="cpu")
    k = x[0] @ x[0].T
    k.fill_diagonal_(0.0)
    for j in range(SOME):
        other = y[j] @ y[j].T
        other.fill_diagonal_(0.0)
        terms = [float(hsic(here, *two)) for two in ((k, other), (k, k), (other, other))]
        out[0, j] = terms[0] / np.sqrt(terms[1]) / np.sqrt(terms[2])
    return out


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
    """Two decompositions for each pair, as tools without a cache do; the first few pairs."""
    out = np.full((len(a), len(b)), np.nan)
    for j in range(SOME):
        out[0, j] = svcca(a[0], b[j])
    return out


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


# name -> (function, package it needs, reference, most rows, all pairs are computed)
Contender = tuple[Callable, str | None, Callable, int, bool]
CONTENDERS: dict[str, Contender] = {
    "floor: the products alone": (floor, None, debiased, 10**6, True),
    "rsa, debiased": (ours_bare, None, debiased, 10**6, True),
    "rsa, with interval, chance and p": (ours_inference, None, debiased, 10**6, True),
    "plain NumPy, float64, cached": (numpy_pairs, None, biased, 10**6, True),
    "no cache (as anatome, netrep)": (no_cache, None, biased, 10**6, True),
    "pytorch-cka": (pytorch_cka, "cka", debiased, 5000, True),
    "rsatoolbox cosine_cov": (rsatoolbox, "rsatoolbox", biased, 2500, True),
    "torch-cka": (torch_cka, "torch_cka", debiased, 5000, False),
    "ckatorch": (ckatorch, "ckatorch", biased, 5000, False),
    "anatome": (no_cache, "anatome", biased, 0, True),
    "netrep": (no_cache, "netrep", biased, 0, True),
    "cca floor": (cca_floor, None, svcca, 5000, True),
    "rsa, SVCCA and PWCCA": (cca_ours, None, svcca, 5000, True),
    "SVCCA pair by pair": (cca_pairs, None, svcca, 5000, False),
}
PEERS = {name for name, entry in CONTENDERS.items() if entry[1] is not None}


def alone(name: str, rows: int, width: int, other: int, count: int) -> dict:
    """One contender, in this process: seconds, memory and distance from the reference."""
    function, _, reference, _, whole = CONTENDERS[name]
    a, b = layers(rows, width, 1, count), layers(rows, other, 2, count)
    # what a first call loads is no part of the time or memory of the measured one
    small = [[x[:60, :20].copy() for x in side[:SOME]] for side in (a, b)]
    function(*small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, start = time.process_time(), time.perf_counter()
    values = np.asarray(function(a, b))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    scale = 1.0 if whole else count**2 / SOME
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    off = None
    if not np.isnan(values).all():
        off = max(float(abs(values[0, j] - reference(a[0], b[j]))) for j in (0, SOME - 1))
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
        scaled = "" if CONTENDERS[name][4] else f" (scaled from {SOME} pairs)"
        lines.append(
            f"| {name}{scaled} | {found['wall']:.2f} | {found['cpu']:.2f} | {found['mb']:.0f} "
            f"| {off}{wrong} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also packages that are installed")
    parser.add_argument("--jobs", default="2000:768:768,2000:1024:1024,2000:768:1024,20000:768:768")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--only", default="", help="contenders whose name has this in it")
    parser.add_argument("--scaling", action="store_true", help="cost against layers, rows, width")
    parser.add_argument("--alone", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.alone[0], *map(int, options.alone[1:]))))
        return
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, {options.threads} threads, NumPy {np.__version__}", end=", ")
    print(f"fewest of {options.rounds} rounds")
    names = [n for n in CONTENDERS if (options.peers or n not in PEERS) and options.only in n]
    jobs = [(*map(int, job.split(":")), options.layers) for job in options.jobs.split(",")]
    if options.scaling:
        names = ["rsa, debiased"]
        jobs = [(2000, 768, 768, n) for n in (3, 6, 13, 25)]
        jobs += [(n, 768, 768, 13) for n in (500, 1000, 4000, 8000, 16000)]
        jobs += [(2000, d, d, 13) for d in (128, 256, 512, 1024)]
    for job in jobs:
        print("\n".join(table(job, names, options)), flush=True)


if __name__ == "__main__":
    main()
