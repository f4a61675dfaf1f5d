"""Planted results of probing, in the exact format of docs/study.md, probes/X.json."""

from __future__ import annotations

import numpy as np

# task: title, family, metric, classes, where it peaks in A and in B (relative depth), best scores
CLIP_TASKS = {
    "instrument": ("Instrument family", "instrumentation", "balanced accuracy", 8, 0.1, 0.3,
                   0.85, 0.72),
    "pitch": ("Pitch", "pitch", "R2", None, 0.1, 0.4, 0.70, 0.80),
    "pitch_class": ("Pitch class", "pitch", "balanced accuracy", 12, 0.3, 0.6, 0.40, 0.75),
    "octave": ("Octave", "pitch", "balanced accuracy", 6, 0.2, 0.3, 0.75, 0.70),
    "register": ("Register", "sonority", "R2", None, 0.2, 0.3, 0.80, 0.70),
    "density": ("Note density", "sonority", "R2", None, 0.5, 0.3, 0.65, 0.45),
    "polyphony": ("Polyphony", "sonority", "R2", None, 0.6, 0.4, 0.60, 0.55),
    "tempo": ("Tempo", "tempo", "R2", None, 0.7, 0.5, 0.45, 0.20),
    "metre": ("Metre", "beat", "balanced accuracy", 3, 0.8, 0.5, 0.60, 0.50),
    "key": ("Key", "key", "weighted key score", 24, 0.4, 0.8, 0.35, 0.75),
    "chord": ("Chord", "chord", "balanced accuracy", 24, 0.4, 0.92, 0.30, 0.78),
    "mode": ("Mode", "key", "balanced accuracy", 2, 0.5, 0.9, 0.65, 0.85),
}  # fmt: skip
FRAME_TASKS = {
    "beat": ("Beats", "beat", "F", None, 0.6, 0.4, 0.62, 0.70),
    "downbeat": ("Downbeats", "beat", "F", None, 0.7, 0.5, 0.35, 0.45),
    "melody": ("Melody", "pitch", "OA", None, 0.3, 0.5, 0.55, 0.68),
    "multipitch": ("Pitches that sound", "pitch", "F", None, 0.3, 0.5, 0.50, 0.66),
    "chord_frames": ("Chords in time", "chord", "majmin", None, 0.4, 0.8, 0.35, 0.72),
    "section": ("Section boundaries", "structure", "F 0.5", None, 0.8, 0.9, 0.30, 0.34),
}
TASKS = {**CLIP_TASKS, **FRAME_TASKS}
# further metric -> (what it adds to the score above chance, its own chance)
ALSO = {
    "balanced accuracy": {"accuracy": (0.03, None)},
    "weighted key score": {"accuracy": (-0.08, None)},
    "beat": {"F peaks": (-0.05, 0.2), "CMLt": (-0.15, 0.05), "AMLt": (0.05, 0.1)},
    "downbeat": {"F peaks": (-0.05, 0.1)},
    "melody": {"RPA": (0.02, 0.05), "RCA": (0.08, 0.1), "VR": (0.2, 0.5), "VFA": (-0.3, 0.1)},
    "multipitch": {"P": (0.06, 0.15), "R": (-0.04, 0.1), "F 1": (0.15, 0.12), "F 2": (0.02, 0.14),
                   "F 3": (-0.1, 0.15), "F 4": (-0.22, 0.16)},
    "chord_frames": {"root": (0.05, 0.1), "sevenths": (-0.1, 0.02)},
    "section": {"F 3": (0.2, 0.3), "P 0.5": (0.02, 0.1), "R 0.5": (-0.02, 0.1)},
    "tempo": {"Acc1": (0.1, 0.15), "Acc2": (0.25, 0.3)},
}  # fmt: skip
FALL = {"pitch_class": 0.72}  # share of the score above chance that is left on test_inst
EASY = {"mode"}  # tasks whose probe does as well on control labels
HELPED = {"tempo": 0.12}  # what an MLP adds
HEADS = ("weighting", "concatenation", "knn", "centroid", "mlp")
JOINED = ("weighting", "concatenation")
HALF = 0.035
GONE = {"value": None, "low": None, "high": None}


def score(value: float, half: float) -> dict:
    low, high = value - half, value + half
    return {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6)}


def probing(
    role: str,
    names: list[str],
    rng: np.random.Generator,
    *,
    tasks: int,
    planted: bool,
    nulls: bool,
    trust: bool,
    published: bool,
    heads: bool,
) -> dict:
    """One file of `probes/`; `a0` is the untrained twin of `a`."""
    kept = list(TASKS)[:tasks]
    drawn = {key: _curve(key, role, len(names), rng, planted=planted) for key in kept}
    told = role != "ref" and not role.endswith("0")
    done = [_task(key, role, names, drawn[key], planted=planted, nulls=nulls) for key in kept]
    for task in done:
        if told and published:
            task["published"] = _published(task, planted=planted)
        if told and trust:
            _trusted(task, drawn[task["task"]], planted=planted)
    found = {
        "format": 2,
        "role": role,
        "model": f"model-{role}",
        "protocol": "linear",
        "settings": {"seed": 0, "resamples": 1000},
        "layers": names,
        "tasks": done,
        "heads": [],
        "skipped": [],
    }
    if told and heads:
        some = [key for key in kept if key in CLIP_TASKS]
        found["heads"] = [
            head
            for key in some
            for name in HEADS
            if (head := _head(name, key, role, names, drawn[key], rng, planted=planted))
        ]
    return found


def _chance(key: str) -> float:
    classes = TASKS[key][3]
    return 1 / classes if classes else 0.12 if key in FRAME_TASKS else 0.0


def _curve(
    key: str, role: str, layers: int, rng: np.random.Generator, *, planted: bool
) -> np.ndarray:
    """[layers] scores on the quoted split."""
    *_, peak_a, peak_b, best_a, best_b = TASKS[key]
    chance = _chance(key)
    if role == "ref":
        lift = 0.3 * (best_a - chance) if planted else 0.0
        curve = chance + lift * np.linspace(1.0, 0.6, layers)
    else:
        peak, best = (peak_a, best_a) if role[0] in "ac" else (peak_b, best_b)
        shape = np.exp(-((np.linspace(0, 1, layers) - peak) ** 2) / 0.08)
        size = (best - chance) * (0.35 if role.endswith("0") else 1.0)
        curve = chance + size * (0.25 + 0.75 * shape) * planted
    return curve + rng.normal(0, 0.004, layers)


def _scores(value: float, inst: float) -> dict:
    return {"test": score(value, HALF), "test_inst": score(inst, HALF)}


def _task(
    key: str, role: str, names: list[str], curve: np.ndarray, *, planted: bool, nulls: bool
) -> dict:
    title, family, metric, classes = TASKS[key][:4]
    chance = _chance(key)
    selected = int(np.argmax(curve))
    wins = np.exp(60 * (curve - curve.max())) if planted else np.ones(len(names))
    wins = wins / wins.sum()
    left = FALL.get(key, 0.97) if planted else 1.0
    inst = chance + left * (curve - chance)
    more = ALSO.get(key) or ALSO.get(metric, {})
    also_chance = {m: chance if c is None else c for m, (_, c) in more.items()}
    layers = []
    for i, name in enumerate(names):
        also = {}
        for other, (added, _) in more.items():
            lift = (curve[i] - chance) * (1 + added / 0.6) + added * 0.2 * planted
            also[other] = {"valid": score(also_chance[other] + lift + 0.01, HALF)} | _scores(
                also_chance[other] + lift, also_chance[other] + left * lift
            )
        share = float(round(wins[i], 4))
        layer = {
            "layer": name,
            "setting": {"penalty": 1.0},
            "valid": score(curve[i] + 0.01, HALF),
            "splits": _scores(curve[i], inst[i]),
            "wins": {"test": share, "test_inst": share},
            "also": also,
            "information": {},
            "facts": {},
        }
        if classes:
            bits = float((curve[i] - chance) / (1 - chance) * np.log2(classes))
            layer["information"] = {"test": score(bits, 0.06), "test_inst": score(bits, 0.06)}
        layers.append(layer)
    if nulls:
        layers[1]["splits"]["test"] = {"value": None, "low": None, "high": None}
        layers[2]["splits"] = {}
        layers[1]["also"] = {m: {"test": None} for m in more}
    gain = score(float(curve[selected] - curve[-1]), 0.02)
    framed = key in FRAME_TASKS
    return {
        "task": key,
        "title": title,
        "family": family,
        "label": key,
        "kind": "frames" if framed else "classification" if classes else "regression",
        "head": "linear",
        "metric": metric,
        "range": [None, 1] if metric == "R2" else [0, 1],
        "chance": chance,
        "also_chance": also_chance,
        "tier": "silver",
        "classes": classes,
        "unit": "",
        "rows": "frames:25" if framed else "segments:chord" if key == "chord" else "clips",
        "subsets": ["chorale"],
        "n": {"train": 400, "valid": 120, "test": 180, "test_inst": 160},
        "groups": {"train": 200, "valid": 60, "test": 60, "test_inst": 60},
        "headline": "test_inst" if key == "instrument" else "test",
        "selected": names[selected],
        "layers": layers,
        "gain_over_last": {"test": gain, "test_inst": gain},
        "notes": [],
        "published": [],
    }


def _trusted(task: dict, curve: np.ndarray, *, planted: bool) -> None:
    """What makes the scores of a task trustworthy: adds to its layers and to itself."""
    key, names, chance = task["task"], [one["layer"] for one in task["layers"]], task["chance"]
    best = int(np.argmax(curve))
    above = curve - chance
    for layer, lift in zip(task["layers"], above, strict=True):
        layer["trust"] = _layer_trust(task, float(lift), planted=planted)
    worse = [name for name, gap in zip(names, curve[best] - curve, strict=True) if gap > 0.06]
    comparison = {
        "differences": [
            {"layer": n, "other": names[best], **score(float(c - curve[best]), 0.06), "p": 0.5}
            for n, c in zip(names, curve, strict=True)
            if n != names[best]
        ],
        "not_worse": [name for name in names if name not in worse],
        "one_error": names[int(np.argmax(curve >= curve[best] - 0.02))],
        "groups": 60,
    }
    task["comparisons"] = {"test": comparison, "test_inst": comparison}
    if key in FRAME_TASKS:
        return
    decodable = np.clip(0.5 + 0.5 * above / (1 - chance), 0, 1)
    found = {
        "layers": names,
        "decodable": [score(v, 0.05) for v in decodable],
        "right": [],
        "stays": [score(1 / (len(names) + 1), 0.02)] * len(names),
        "lost": [score(0.0, 0.0)] * len(names),
        "never": score(1 / (len(names) + 1), 0.02),
        "expected": score(0.6 * best, 0.3) if planted else GONE,
        "one_error": names[best],
    }
    task["emergence"] = {"test": found, "test_inst": found}
    rows = tuple(f"clip{i}" for i in range(3))
    bits = {"rows": rows, "groups": rows, "bits": [[0.1, -0.2, 0.3]] * len(names)}
    task["pointwise"] = {"test": bits, "test_inst": bits}
    if key == "metre":
        task["notes"] = ["train: classes are unequal, duple has 300 rows and triple 20"]


def _layer_trust(task: dict, above: float, *, planted: bool) -> dict:
    key, chance, classes = task["task"], task["chance"], task["classes"]
    both = ("test", "test_inst")
    learnt = above if key in EASY or not planted else 0.1 * above
    grown = chance + above * (1 - 0.8 * 0.5 ** np.arange(5))
    kept = [1, 2, 4, 8, 16, 32, 64]
    few = 3.0 + 9 * (key in ("tempo", "chord", "key"))
    held = chance + above * (1 - np.exp(-np.array(kept) / few))
    steps = [20.0, 50.0, 100.0, 200.0, 400.0]
    found = {
        "control": {
            "cells": 40,
            "draws": 5,
            "score": {s: score(chance + learnt, HALF) for s in both},
            "selectivity": {s: score(above - learnt, HALF) for s in both},
        },
        "shuffled": {
            "draws": 19,
            "chance": dict.fromkeys(both, chance),
            "level": dict.fromkeys(both, chance + 0.03),
            "p": dict.fromkeys(both, 0.05 if above > 0.04 else 0.4),
        },
        "codelength": None,
        "learning": {
            "rows": steps,
            "groups": [s / 2 for s in steps],
            "scores": {s: [score(v, HALF) for v in grown] for s in both},
            "rise": {s: score(grown[-1] - grown[-2], 0.02) for s in both},
            "orders": 3,
        },
        "dimensions": {
            "components": kept,
            "variance": (1 - 0.6 ** np.arange(1, 8)).round(3).tolist(),
            "scores": {s: [score(v, HALF) for v in held] for s in both},
            "enough": {"test": int(4 * few) if above > 0.1 else 1, "test_inst": None},
        },
        "calibration": {},
        "coverage": {},
    }
    if key in FRAME_TASKS:
        return found
    prior = float(np.log2(classes)) if classes else 2.05
    saved = 0.7 * prior * max(above, 0.0) / (1 - chance) * planted
    found["codelength"] = {
        "rows": [20, 50, 100, 200, 400],
        "blocks": [prior] * 5,
        "bits": score(prior - saved, 0.05),
        "uniform": prior,
        "prior": prior,
        "compression": score(prior / (prior - saved), 0.05) if classes else GONE,
        "saved": score(saved, 0.05),
        "orders": 3,
    }
    if not classes:
        levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
        covered = {"levels": levels, "covered": [score(v, 0.06) for v in levels], "spread": 0.4}
        return found | {"coverage": {"test": covered}}
    stated = np.linspace(0.15, 0.95, 8)
    observed = stated * (0.7 if key == "metre" else 1.0)
    bins = [
        {"stated": float(v), "observed": score(w, 0.08), "rows": 22}
        for v, w in zip(stated, observed, strict=True)
    ]
    off = float(np.abs(observed - stated).mean())
    error = {"value": max(off, 0.04), "chance": 0.04, "p": 0.002 if key == "metre" else 0.4}
    return found | {"calibration": dict.fromkeys(both, {"bins": bins, "error": error})}


def _published(task: dict, *, planted: bool) -> list[dict]:
    """Numbers on key by the task's metric and on instruments by a further one."""
    metric = {"key": "weighted key score", "instrument": "accuracy"}.get(task["task"])
    if metric is None:
        return []
    chosen = next(one for one in task["layers"] if one["layer"] == task["selected"])
    own = chosen["splits"] if metric == task["metric"] else chosen["also"][metric]
    same = (own.get(task["headline"]) or {}).get("value") or 0.55
    protocol = "MARBLE constrained: frozen, MLP of 512 units, best of six learning rates, one run"
    paper = "MARBLE, arXiv:2306.10548, table 3"
    rows = [
        ("model-a", 0.55 if planted else same, None),
        ("Jukebox-5B", 0.638, None),
        ("mule", 0.649, 0.004),
    ]
    return [
        {"task": task["label"], "dataset": "mini", "model": model, "metric": metric,
         "value": value, "spread": spread, "protocol": protocol, "source": paper,
         "note": "290 test excerpts"}
        for model, value, spread in rows
    ] + [
        {"task": task["label"], "dataset": "mini", "model": "MusicFM (MSD)", "metric": metric,
         "value": 0.639, "spread": None, "protocol": "MuQ: frozen, one or two layers",
         "source": "MuQ, arXiv:2501.01108, table 1", "note": ""}
    ]  # fmt: skip


def _head(
    name: str,
    key: str,
    role: str,
    names: list[str],
    curve: np.ndarray,
    rng: np.random.Generator,
    *,
    planted: bool,
) -> dict | None:
    if name == "centroid" and not TASKS[key][3]:
        return None
    chance = _chance(key)
    rest = {"weighting": -0.01, "concatenation": 0.0, "knn": -0.08, "centroid": -0.1, "mlp": 0.005}
    added = (HELPED.get(key, rest[name]) if name == "mlp" else rest[name]) * planted
    moved = np.maximum(curve + added, chance * planted) + rng.normal(0, 0.002, len(curve))
    joined = name in JOINED
    layers, scores = (["all"], moved.max(keepdims=True)) if joined else (names, moved)
    entry = _task(key, role, layers, scores, planted=planted, nulls=False)
    entry |= {"head": name, "gain_over_last": {}, "published": []}
    gain = score(float(moved.max() - curve.max()), 0.025)
    entry["gain_over_single"] = {"test": gain, "test_inst": gain}
    if name == "weighting":
        weights = np.exp((curve - curve.max()) / 0.1)
        weights /= weights.sum()
        entry["layers"][0]["facts"] = {
            "layers": names,
            "weights": weights.round(4).tolist(),
            "entropy": round(float(-(weights * np.log(weights)).sum()), 3),
            "entropy_of_equal_weights": round(float(np.log(len(weights))), 3),
            "agreement": 0.83,
        }
    return entry
