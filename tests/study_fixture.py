"""Makes study folders with planted numbers, in the exact format of docs/study.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

REFERENCES = ("log-mel", "mfcc", "chroma", "onset", "loudness")

# task: title, metric, classes, where it peaks in A and in B (relative depth), best scores
TASKS = {
    "instrument": ("Instrument family", "balanced accuracy", 8, 0.1, 0.3, 0.85, 0.72),
    "pitch": ("Pitch", "R2", None, 0.1, 0.4, 0.70, 0.80),
    "pitch_class": ("Pitch class", "balanced accuracy", 12, 0.3, 0.6, 0.40, 0.75),
    "octave": ("Octave", "balanced accuracy", 6, 0.2, 0.3, 0.75, 0.70),
    "register": ("Register", "R2", None, 0.2, 0.3, 0.80, 0.70),
    "density": ("Note density", "R2", None, 0.5, 0.3, 0.65, 0.45),
    "polyphony": ("Polyphony", "R2", None, 0.6, 0.4, 0.60, 0.55),
    "tempo": ("Tempo", "R2", None, 0.7, 0.5, 0.45, 0.20),
    "metre": ("Metre", "balanced accuracy", 3, 0.8, 0.5, 0.60, 0.50),
    "key": ("Key", "weighted key score", 24, 0.4, 0.8, 0.35, 0.75),
    "chord": ("Chord", "balanced accuracy", 24, 0.4, 0.92, 0.30, 0.78),
    "mode": ("Mode", "balanced accuracy", 2, 0.5, 0.9, 0.65, 0.85),
}
HOSTILE = "#set page() $x_$ <b>\x00\x1b[31m\u202e *a* `b` \\ \u00e9\u4e2d\U0001f3b5 " + "long" * 60


def layer_names(count: int) -> list[str]:
    return ["frontend", *(f"block{i:02d}" for i in range(1, count - 1)), "final"]


def _card(role: str, names: list[str], *, trained: bool, title: str) -> dict:
    return {
        "role": role,
        "name": f"model-{role}",
        "title": title,
        "paper": "Doe and Roe 2024, ISMIR",
        "url": "https://example.org/model",
        "training_data": "1,000 hours of music",
        "licence": "MIT",
        "parameters": 3_200_000,
        "sample_rate": 16000,
        "weights_from": "example.org",
        "notes": "BN after ReLU",
        "weights": {"sha256": "0123456789abcdef" * 4, "source": "package", "trained": trained},
        "layers": [
            {"name": n, "width": 64 * (1 + i % 3), "rate": 62.5, "depth": i, "center": 0.0}
            for i, n in enumerate(names)
        ],
    }


def _measure(
    name: str,
    title: str,
    family: str,
    value: np.ndarray,
    *,
    half: float,
    chance: float,
    unit: str = "",
    top: float | None = 1.0,
    nulls: bool = False,
) -> dict:
    def table(matrix: np.ndarray) -> list:
        rows = np.round(matrix, 6).tolist()
        if nulls:
            rows[0][-1] = None
        return rows

    ones = np.ones_like(value)
    return {
        "measure": name,
        "title": title,
        "family": family,
        "unit": unit,
        "range": [0, top],
        "symmetric": True,
        "interval": 0.95,
        "chance_by": "permutation of groups, 20 draws",
        "value": table(value),
        "low": table(value - half),
        "high": table(value + half),
        "chance": table(ones * chance / 2),
        "chance_high": table(ones * chance),
        "extra": {},
        "notes": ["blocks=32"],
    }


def _similarity(
    x: str, y: str, names: dict, rng: np.random.Generator, *, planted: bool, nulls: bool
) -> dict:
    u = np.linspace(0, 1, len(names[x]))
    v = np.linspace(0, 1, len(names[y]))
    if x != y and "ref" not in (x, y):
        v = v**1.4  # B reaches A's depth later
    if y == "ref":
        peaks = np.array([0.0, 0.1, 0.5 if x == "a" else 0.9, 0.4, 0.05])
        base = 0.75 * np.exp(-((u[:, None] - peaks) ** 2) / 0.18)
    else:
        step = 0.35 * planted * ((u[:, None] > 0.55) * 1.0 - (v[None] > 0.55))
        base = np.exp(-((u[:, None] - v + step) ** 2) / 0.12)
        base *= 1.0 if x == y else 0.7
    noise = rng.normal(0, 0.01, base.shape)
    if x == y:
        noise = (noise + noise.T) / 2
        np.fill_diagonal(noise, 0.0)
    value = base + noise if planted or x == y else 2 * noise
    value[value < 0.02] = np.abs(value[value < 0.02]) * 0.5
    bits = -0.5 * np.log2(1 - np.clip(value, 0, 0.98) ** 2) * 12
    measures = [
        _measure(
            "cka:linear,track-debiased",
            "Track-debiased linear CKA",
            "cka",
            value,
            half=0.03,
            chance=0.05,
            nulls=nulls,
        ),
        _measure(
            "cka:linear,debiased",
            "Debiased linear CKA",
            "cka",
            value * 0.97,
            half=0.03,
            chance=0.05,
        ),
        _measure(
            "cka:linear,biased", "Linear CKA", "cka", 0.1 + 0.9 * value, half=0.03, chance=0.12
        ),
        _measure("svcca:var=0.99,mean", "SVCCA", "cca", 0.2 + 0.6 * value, half=0.04, chance=0.25),
        _measure("pwcca:var=0.99,mean", "PWCCA", "cca", 0.25 + 0.6 * value, half=0.04, chance=0.3),
        _measure(
            "mi:gaussian,pca=32,held-out",
            "Gaussian mutual information",
            "information",
            bits,
            half=0.6,
            chance=0.8,
            unit="bits",
            top=None,
        ),
    ]
    return {
        "format": 1,
        "x": x,
        "y": y,
        "layers_x": names[x],
        "layers_y": names[y],
        "rows": "clips",
        "n_rows": 700,
        "n_groups": 320,
        "blocks": 32,
        "measures": measures,
    }


def _score(value: float, half: float) -> dict:
    low, high = value - half, value + half
    return {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6)}


def _task(
    key: str, role: str, names: list[str], rng: np.random.Generator, *, planted: bool, nulls: bool
) -> dict:
    title, metric, classes, peak_a, peak_b, best_a, best_b = TASKS[key]
    chance = 1 / classes if classes else 0.0
    if role == "ref":
        lift = 0.3 * (best_a - chance) if planted else 0.0
        curve = chance + lift * np.linspace(1.0, 0.6, len(names))
    else:
        peak, best = (peak_a, best_a) if role in "ac" else (peak_b, best_b)
        u = np.linspace(0, 1, len(names))
        shape = np.exp(-((u - peak) ** 2) / 0.08)
        curve = chance + (best - chance) * (0.25 + 0.75 * shape) if planted else chance + 0 * u
    curve = curve + rng.normal(0, 0.004, len(names))
    selected = int(np.argmax(curve))
    if planted:
        wins = np.exp(60 * (curve - curve.max()))
    else:
        wins = np.ones(len(names))
    wins = wins / wins.sum()
    half = 0.035
    layers = [
        {
            "layer": n,
            "penalty": 1.0,
            "valid": _score(curve[i] + 0.01, half),
            "splits": {"test": _score(curve[i], half), "test_inst": _score(curve[i] * 0.93, half)},
            "wins": {"test": round(float(wins[i]), 4), "test_inst": round(float(wins[i]), 4)},
        }
        for i, n in enumerate(names)
    ]
    if nulls:
        layers[1]["splits"]["test"] = {"value": None, "low": None, "high": None}
        layers[2]["splits"] = {}
    gain = float(curve[selected] - curve[-1])
    return {
        "task": key,
        "title": title,
        "label": key,
        "kind": "classification" if classes else "regression",
        "metric": metric,
        "range": [0, 1] if classes else [None, 1],
        "chance": chance,
        "tier": "silver",
        "classes": classes,
        "unit": "",
        "rows": "segments:chord" if key == "chord" else "clips",
        "subsets": ["chorale"],
        "n": {"train": 400, "valid": 120, "test": 180, "test_inst": 160},
        "groups": {"train": 200, "valid": 60, "test": 60, "test_inst": 60},
        "headline": "test_inst" if key == "instrument" else "test",
        "selected": names[selected],
        "layers": layers,
        "gain_over_last": {"test": _score(gain, 0.02), "test_inst": _score(gain, 0.02)},
        "notes": [],
    }


def make_study(
    folder: Path,
    *,
    layers: dict[str, int] | None = None,
    planted: bool = True,
    references: bool = True,
    similarity: bool = True,
    probes: bool = True,
    nulls: bool = False,
    hostile: bool = False,
    stamps: tuple[str, ...] = (),
    tasks: int = len(TASKS),
    seed: int = 0,
) -> Path:
    """Writes a study; the same arguments give the same bytes.

    Planted (see TASKS): `chord` peaks late in B and B beats A on it, `instrument` peaks early in A
    and A beats B; B's depth lags A's; both models break into two blocks past the middle. With
    `planted=False` every number across models and tasks is at chance.
    """
    rng = np.random.default_rng(seed)
    layers = layers or {"a": 9, "b": 14}
    names = {role: layer_names(count) for role, count in layers.items()}
    titles = {role: f"Model {role.upper()}" for role in layers}
    if hostile:
        titles = {role: f"{role} {HOSTILE}" for role in layers}
        names = {role: [f"{n} {HOSTILE}" for n in table] for role, table in names.items()}
    cards = {r: _card(r, names[r], trained=not stamps, title=titles[r]) for r in layers}
    ref = _card("ref", list(REFERENCES), trained=True, title="References") if references else None
    folder.mkdir(parents=True, exist_ok=True)
    study = {
        "format": 1,
        "title": HOSTILE if hostile else " and ".join(titles.values()) + " on mini",
        "created": "2026-11-21T03:00:00+00:00",
        "command": "rsa study model-a model-b" + (f" {HOSTILE}" if hostile else ""),
        "stamps": list(stamps),
        "caveats": ["Rendered audio: the timbres are those of one General MIDI font."]
        + ([HOSTILE] if hostile else []),
        "models": cards,
        "references": ref,
        "data": {
            "name": "mini",
            "title": "mini (rendered scores)",
            "sources": "music21 10.5 corpus",
            "licence": "public domain scores",
            "identity": "fedcba9876543210" * 4,
            "caveats": ["Scores are mostly chorales."],
            "labels": [
                {"name": k, "kind": "category", "tier": "silver", "description": v[0], "unit": ""}
                for k, v in TASKS.items()
            ],
            "clips": 700,
            "tracks": 320,
            "groups": 320,
            "hours": 1.556,
            "splits": {"train": 400, "valid": 120, "test": 180, "test_inst": 160},
            "subsets": {"chorale": 400, "note": 300},
        },
        "rows": {"kind": "clips", "rows": 700, "groups": 320},
        "failures": [
            {"clip": "c17", "file": HOSTILE if hostile else "c17.wav", "reason": "silent"}
        ],
        "settings": {"seed": seed, "measures": "default"},
        "provenance": {
            "version": "0.1.0",
            "commit": "0" * 40,
            "python": "3.11.7",
            "platform": "Linux",
            "packages": {"torch": "2.11.0", "numpy": "2.2.0"},
            "device": "cpu",
            "threads": 2,
            "seed": seed,
        },
        "timings": [{"stage": "extract a", "seconds": 61.2}, {"stage": "probes", "seconds": 40.1}],
    }
    _write(folder / "study.json", study)
    roles = list(layers)
    if references:
        names["ref"] = list(REFERENCES)
    if similarity:
        pairs = [(r, r) for r in roles] + ([("a", "b")] if "b" in roles else [])
        pairs += [(r, "ref") for r in roles] if references else []
        for x, y in pairs:
            table = _similarity(x, y, names, rng, planted=planted, nulls=nulls)
            _write(folder / "similarity" / f"{x}-{y}.json", table)
    if probes:
        for role in names:
            kept = list(TASKS)[:tasks]
            done = [_task(k, role, names[role], rng, planted=planted, nulls=nulls) for k in kept]
            if hostile:
                done[0]["title"] = HOSTILE
            table = {
                "format": 1,
                "role": role,
                "model": f"model-{role}",
                "protocol": "linear",
                "layers": names[role],
                "tasks": done,
            }
            _write(folder / "probes" / f"{role}.json", table)
    return folder


def _write(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
