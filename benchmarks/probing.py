"""Speed and memory of linear probes, in one run: python benchmarks/probing.py --threads 2

(a) One task on every layer: 13 layers x 5 penalties, 2800 training rows of width 768, 10 classes.
Every contender runs in a process of its own, from raw float32 rows to weights. Its objective is
held against the lowest that any contender reached and its accuracy against theirs; what is further
off than 0.1 % of the objective, or one standard error of the accuracy, is marked.

(b) A whole study: 13 layers x 10 tasks x 5 penalties x 5 folds, each with the true labels and 20
permutations of them. scikit-learn is timed on a random sample of the fits and scaled: for each
task, penalty, and true or permuted labels, the mean of `--sample` fits times how many there are.
The same fits are looked up among ours, and their objectives compared.

Features are synthetic: a power-law spectrum in random directions, six outlier dimensions, and
classes whose distance grows and falls with depth. CPU seconds count all threads and child
processes; on a shared machine they say more than wall seconds. Memory is the peak of a process
above what it held with the inputs made, and for several processes that of the parent plus as many
times the largest child.
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
from functools import partial
from pathlib import Path

import numpy as np
import probing_peers as peers

ROWS, TRAIN, VALID, WIDTH, CLASSES = 4000, 2800, 600, 768, 10
PENALTIES = (1e4, 1e3, 1e2, 1e1, 1.0)  # 1 / C
FOLDS, PERMUTATIONS = 5, 20


def latents(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What the rows are about: [rows, 24], and the class of each, [rows]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=rows)
    return rng.normal(size=(CLASSES, 24))[labels], labels


def layer(about: np.ndarray, depth: float, width: int, seed: int) -> np.ndarray:
    """A layer [rows, width] float32; it tells most at depth 0.55."""
    rng = np.random.default_rng([seed, int(1000 * depth)])
    rows = len(about)
    strength = 0.3 + 0.4 * np.exp(-(((depth - 0.55) / 0.3) ** 2))
    inner = rng.normal(size=(rows, width))
    inner[:, rng.permutation(width // 4)[:24]] += strength * about
    inner *= np.arange(1, width + 1) ** -0.6
    x = 10 * inner @ np.linalg.qr(rng.normal(size=(width, width)))[0]
    outliers = rng.permutation(width)[:6]
    x[:, outliers] = x[:, outliers] * rng.uniform(10, 50, size=6) + rng.uniform(50, 200, size=6)
    return (x + rng.normal(size=width)).astype(np.float32)


def make(folder: Path, layers: int, rows: int, width: int) -> None:
    """Writes the inputs of both jobs."""
    about, labels = latents(rows)
    np.savez(folder / "labels.npz", labels=labels, about=about)
    for i in range(layers):
        np.save(folder / f"{i:02d}.npy", layer(about, i / max(layers - 1, 1), width, 0))


def read(folder: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Layers, class of each row, and what the rows are about."""
    found = np.load(folder / "labels.npz")
    layers = [np.load(path) for path in sorted(folder.glob("??.npy"))]
    return layers, found["labels"], found["about"]


# (a)


def ours(layers: list, y: np.ndarray, threads: int, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights of standardised columns, as `probes` finds them: a layer to a core."""
    import torch

    from probes.design import Design
    from probes.solvers import Problem, solve
    from probes.threads import one_a_core

    torch.set_num_threads(threads)
    target = torch.as_tensor(y)

    def fit(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        design = Design.of(torch.as_tensor(x).to(device))
        (one,) = solve(design, [Problem(target, "softmax", PENALTIES, CLASSES)])
        return (design.axes @ one.weights).cpu().numpy(), one.intercepts.cpu().numpy()

    with one_a_core(device) as pool:
        found = list(pool.map(fit, layers))
    weights, intercepts = zip(*found, strict=True)
    return np.stack(weights), np.stack(intercepts)


def theirs(function: Callable) -> Callable:
    def run(layers: list, y: np.ndarray, threads: int, device: str):
        return function(peers.standardise(layers), y, CLASSES, PENALTIES, threads)

    return run


SHORT: dict[str, Callable] = {
    "rsa": ours,
    "scikit-learn, a process a core": theirs(peers.sklearn_processes),
    "scikit-learn, a process a core, default tolerance": theirs(
        partial(peers.sklearn_processes, tolerance=1e-4)
    ),
    "scikit-learn, one process, default threads": theirs(peers.sklearn_default),
    "torch.optim.LBFGS, a loop": theirs(peers.torch_lbfgs),
    "nn.Linear and Adam, a loop, 50 epochs": theirs(peers.torch_adam),
}


def seconds(function: Callable) -> tuple[object, dict]:
    """What it returns, and what it took: seconds, and MB above what was held before."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    before = [resource.getrusage(kind) for kind in kinds]
    start = time.perf_counter()
    found = function()
    wall = time.perf_counter() - start
    after = [resource.getrusage(kind) for kind in kinds]
    cpu = sum(
        b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime
        for a, b in zip(before, after, strict=True)
    )
    peak = after[0].ru_maxrss - before[0].ru_maxrss
    if after[1].ru_utime > before[1].ru_utime:  # a child counts whole: it has its own inputs
        peak += peers.cores() * after[1].ru_maxrss
    return found, {"wall": wall, "cpu": cpu, "mb": peak / 1024}


def short_alone(name: str, folder: Path, threads: int, device: str) -> dict:
    """One contender of (a), in this process."""
    layers, labels, _ = read(folder)
    train, valid = int(0.7 * len(labels)), int(0.85 * len(labels))
    inputs = [np.ascontiguousarray(x[:train]) for x in layers]
    SHORT[name]([x[:200, :20].copy() for x in inputs[:1]], labels[:200], threads, device)
    (weights, intercepts), took = seconds(
        lambda: SHORT[name](inputs, labels[:train], threads, device)
    )
    objectives, accuracies = [], []
    for x, w, b in zip(layers, weights, intercepts, strict=True):
        mean, spread = x[:train].mean(axis=0, dtype=float), x[:train].std(axis=0, dtype=float)
        z = (x - mean) / spread @ w.astype(float) + b[:, None]
        objectives.append(
            [
                entropy(one[:train], labels[:train])
                + p / (2 * train) * np.square(v, dtype=float).sum()
                for one, v, p in zip(z, w, PENALTIES, strict=True)
            ]
        )
        right = z.argmax(axis=2) == labels
        best = right[:, train:valid].mean(axis=1).argmax()
        accuracies.append(float(right[best, valid:].mean()))
    return took | {"objective": objectives, "accuracy": accuracies, "tested": len(labels) - valid}


def entropy(z: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy of logits [rows, classes]."""
    top = z.max(axis=1)
    return float((np.log(np.exp(z - top[:, None]).sum(1)) + top - z[np.arange(len(y)), y]).mean())


def short(options: argparse.Namespace, folder: Path) -> None:
    """(a), as a Markdown table."""
    found: dict[str, dict] = {}
    for _ in range(options.rounds):
        for name in SHORT:
            if options.only in name:
                one = in_own_process("a", name, folder, options)
                print(f"{name}: {one['cpu']:.1f} CPU s", file=sys.stderr, flush=True)
                if name not in found or one["cpu"] < found[name]["cpu"]:
                    found[name] = one
    best = np.min([one["objective"] for one in found.values()], axis=0)
    middle = np.median([one["accuracy"] for one in found.values()], axis=0)
    print(
        "\n| contender | wall s | CPU s | MB | above the best objective: mean, most "
        "| accuracy on test |\n|---|---:|---:|---:|---:|---:|"
    )
    for name, one in found.items():
        above = np.array(one["objective"]) / best - 1
        error = np.sqrt(middle * (1 - middle) / one["tested"])
        apart = np.mean(np.abs(np.array(one["accuracy"]) - middle)) > error.mean()
        mark = (" (not at the optimum)" if above.max() > 1e-3 else "") + (
            " (other accuracy)" if apart else ""
        )
        print(
            f"| {name} | {one['wall']:.1f} | {one['cpu']:.1f} | {one['mb']:.0f} "
            f"| {above.mean():.0e}, {above.max():.0e}{mark} | {np.mean(one['accuracy']):.4f} |"
        )
        if name in ("rsa", "scikit-learn, a process a core") and mark:
            raise SystemExit(f"{name}: {mark}: no ratio is worth anything")
    ratios(found)


def ratios(found: dict[str, dict]) -> None:
    if "rsa" in found:
        for name, one in found.items():
            if name != "rsa":
                wall, cpu = (one[k] / found["rsa"][k] for k in ("wall", "cpu"))
                print(f"\n{name}: {wall:.1f} times our wall seconds, {cpu:.1f} times our CPU")


# (b)


def tasks(labels: np.ndarray, about: np.ndarray) -> list[tuple[str, str, int, np.ndarray]]:
    """(name, loss, classes, target of each row) of ten tasks on the same rows."""
    rng = np.random.default_rng(5)
    n, found = len(labels), []
    for classes in (2, 4, 8, 10, 12, 24):
        mix = about @ rng.normal(size=(24, classes)) / 5 + np.linspace(0, 1.5, classes)
        target = (mix + rng.gumbel(size=mix.shape)).argmax(axis=1)
        found.append((f"{classes} classes", "softmax", classes, target))
    scores = about @ rng.normal(size=(24, 20)) / 5 - np.linspace(0.5, 3, 20)
    tags = (scores + rng.logistic(size=scores.shape) > 0).astype(float)
    found.append(("20 tags", "sigmoid", 0, tags))
    for name, outputs in (("tempo", 1), ("valence and arousal", 2), ("loudness", 1)):
        numbers = about @ rng.normal(size=(24, outputs)) / 5 + rng.normal(size=(n, outputs))
        found.append((name, "squared", 0, numbers))
    return found


def orders(n: int) -> np.ndarray:
    """[1 + permutations, rows]; the first is the identity."""
    rng = np.random.default_rng(11)
    return np.stack([np.arange(n), *(rng.permutation(n) for _ in range(PERMUTATIONS))])


def kept(n: int) -> np.ndarray:
    """[folds, rows] which rows each fold trains on."""
    fold = np.random.default_rng(12).permutation(n) % FOLDS
    return np.stack([fold != f for f in range(FOLDS)])


def long_alone(folder: Path, threads: int, device: str, asked: list) -> dict:
    """(b) by `probes`: seconds, and the weights of the fits asked for (in a file)."""
    import torch

    from probes.design import Design
    from probes.solvers import Problem, solve
    from probes.threads import one_a_core

    torch.set_num_threads(threads)
    layers, labels, about = read(folder)
    train = int(0.7 * len(labels))
    inputs = [np.ascontiguousarray(x[:train]) for x in layers]
    jobs, order, folds = tasks(labels[:train], about[:train]), orders(train), kept(train)

    def fit(number: int) -> tuple[dict, list[int]]:
        design = Design.of(torch.as_tensor(inputs[number]).to(device))
        problems, names = [], []
        for fold, rows in enumerate(folds):
            weights = torch.as_tensor(rows).float()
            for task, (_, loss, classes, target) in enumerate(jobs):
                for permutation, some in enumerate(order):
                    of = torch.as_tensor(target[some])
                    problems.append(Problem(of, loss, PENALTIES, classes, weights))
                    names.append((task, permutation, fold))
        fits = solve(design, problems)
        place = {name: i for i, name in enumerate(names)}
        found = {}
        for key in asked:
            if key[0] == number:
                one, p = fits[place[tuple(key[1:4])]], key[4]
                weights = (design.axes @ one.weights[p]).cpu().numpy()
                found["-".join(map(str, key))] = (weights, one.intercepts[p].cpu().numpy())
        steps = sum(int(one.steps.sum()) for one in fits)
        return found, [steps, sum(int((~one.converged).sum()) for one in fits)]

    def run() -> list:
        with one_a_core(device) as pool:
            return list(pool.map(fit, range(len(inputs))))

    found, took = seconds(run)
    arrays = {}
    for some, _ in found:
        for key, (weights, intercepts) in some.items():
            arrays[f"{key}-w"], arrays[f"{key}-b"] = weights, intercepts
    np.savez(folder / "ours.npz", **arrays)
    return took | {"early": sum(counts[1] for _, counts in found)}


def long_theirs(folder: Path, asked: list) -> list[tuple[float, float]]:
    """The fits asked for by scikit-learn: CPU seconds, and our objective over its, less one."""
    layers, labels, about = read(folder)
    train = int(0.7 * len(labels))
    standard = peers.standardise([x[:train] for x in layers])
    jobs, order, folds = tasks(labels[:train], about[:train]), orders(train), kept(train)
    mine, found = np.load(folder / "ours.npz"), []
    for key in asked:
        number, task, permutation, fold, p = key
        _, loss, _, target = jobs[task]
        x, rows = standard[number][folds[fold]], folds[fold]
        own = target[order[permutation]][rows]
        if loss == "squared":  # all permutations are outputs of one fit
            together = np.concatenate([target[some] for some in order], axis=1)[rows]
            taken, w, b = peers.timed_fit(x, together, loss, PENALTIES[p])
            which = slice(permutation * target.shape[1], (permutation + 1) * target.shape[1])
            w, b = w[:, which], b[which]
        else:
            taken, w, b = peers.timed_fit(x, own, loss, PENALTIES[p])
        if loss == "softmax" and w.shape[1] == 1:
            w, b = np.concatenate([-w, w], axis=1) / 2, np.concatenate([-b, b]) / 2
        name = "-".join(map(str, key))
        ours = objective(x, own, loss, PENALTIES[p], mine[f"{name}-w"], mine[f"{name}-b"])
        found.append((taken, ours / objective(x, own, loss, PENALTIES[p], w, b) - 1))
    return found


def objective(x, target, loss: str, penalty: float, w, b) -> float:
    """Mean loss and penalty, float64."""
    z = x @ w.astype(float) + b
    ridge = penalty / (2 * len(x)) * np.square(w, dtype=float).sum()
    if loss == "softmax":
        return entropy(z, target) + ridge
    if loss == "sigmoid":
        return (np.logaddexp(0, z) - target * z).sum(axis=1).mean() + ridge
    return 0.5 * np.square(target - z).sum(axis=1).mean() + ridge


def long(options: argparse.Namespace, folder: Path) -> None:
    """(b), as a Markdown table."""
    layers, labels, about = read(folder)
    train, rng = int(0.7 * len(labels)), np.random.default_rng(2)
    jobs = tasks(labels[:train], about[:train])
    # (task, penalty, permuted) -> how many fits of scikit-learn there are, and which are timed
    strata, asked = {}, []
    for task, (_, loss, _, _) in enumerate(jobs):
        for p in range(len(PENALTIES)):
            for permuted in (False, True):
                if loss == "squared" and permuted:
                    continue  # the fit of the true labels holds them
                many = len(layers) * FOLDS * (PERMUTATIONS if permuted else 1)
                strata[task, p, permuted] = many
                for _ in range(options.sample):
                    number, fold = int(rng.integers(len(layers))), int(rng.integers(FOLDS))
                    which = int(rng.integers(1, 1 + PERMUTATIONS)) if permuted else 0
                    asked.append([number, task, which, fold, p])
    (folder / "asked.json").write_text(json.dumps(asked))
    mine = in_own_process("b", "rsa", folder, options)
    found = in_own_process("b", "scikit-learn", folder, options)["fits"]
    total, spread, gaps = 0.0, 0.0, [gap for _, gap in found]
    for i, many in enumerate(strata.values()):
        taken = [one for one, _ in found[i * options.sample : (i + 1) * options.sample]]
        total += many * float(np.mean(taken))
        if len(taken) > 1:
            spread += many**2 * float(np.var(taken, ddof=1)) / len(taken)
    all_fits = len(layers) * len(jobs) * len(PENALTIES) * FOLDS * (1 + PERMUTATIONS)
    print(
        f"\n{all_fits} fits; {len(found)} by scikit-learn timed, {total:.0f} CPU s in all", end=""
    )
    print(f", standard error {spread**0.5:.0f}" if options.sample > 1 else "")
    print(f"our objective over theirs, less one: {min(gaps):.0e} to {max(gaps):.0e}", end="")
    print(f"; not converged: {mine['early']}")
    if max(gaps) > 1e-3:
        raise SystemExit("not the same optimum: no ratio is worth anything")
    wall = total / options.threads
    print(
        "\n| contender | wall s | CPU s | MB |\n|---|---:|---:|---:|\n"
        f"| rsa | {mine['wall']:.0f} | {mine['cpu']:.0f} | {mine['mb']:.0f} |\n"
        f"| scikit-learn, scaled; wall as if shared out evenly | {wall:.0f} | {total:.0f} | |"
    )
    ratios({"rsa": mine, "scikit-learn": {"wall": wall, "cpu": total}})


def in_own_process(job: str, name: str, folder: Path, options: argparse.Namespace) -> dict:
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | {variable: str(options.threads) for variable in variables}
    command = [
        sys.executable, __file__, "--alone", job, name, str(folder),
        "--threads", str(options.threads), "--device", options.device,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def alone(job: str, name: str, folder: Path, options: argparse.Namespace) -> dict:
    if job == "a":
        return short_alone(name, folder, options.threads, options.device)
    asked = json.loads((folder / "asked.json").read_text())
    if name == "rsa":
        return long_alone(folder, options.threads, options.device, asked)
    return {"fits": long_theirs(folder, asked)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--rounds", type=int, default=1, help="of (a); the fewest CPU seconds count"
    )
    parser.add_argument("--sample", type=int, default=2, help="fits of (b) for each kind of them")
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--device", default="cpu", help="of our side")
    parser.add_argument("--small", action="store_true", help="2 layers, 800 rows, width 128")
    parser.add_argument("--jobs", default="ab", help="a, b or ab")
    parser.add_argument("--only", default="", help="contenders of (a) whose name has this in it")
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        job, name, folder = options.alone
        print(json.dumps(alone(job, name, Path(folder), options)))
        return
    layers, rows, width = (2, 800, 128) if options.small else (options.layers, ROWS, WIDTH)
    machine = f"{platform.processor() or platform.machine()}, {peers.cores()} cores"
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"{machine}, {options.threads} threads, load {load}; {layers} layers, {rows} rows", end=""
    )
    print(f", width {width}, device {options.device}")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), layers, rows, width)
        if "a" in options.jobs:
            short(options, Path(folder))
        if "b" in options.jobs:
            long(options, Path(folder))


if __name__ == "__main__":
    main()
