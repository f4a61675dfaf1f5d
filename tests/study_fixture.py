"""Makes study folders with planted numbers, in the exact format of docs/study.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from probing_fixture import CLIP_TASKS, TASKS, probing, score
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

REFERENCES = ("log-mel", "mfcc", "chroma", "onset", "loudness")

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


# canonical string, title, family, unit, distance, symmetric, noise: the first six are a default run
MEASURES = (
    ("cka:linear,track-debiased", "Track-debiased linear CKA", "cka", "", False, True, 0.0),
    ("cka:linear,debiased", "Debiased linear CKA", "cka", "", False, True, 0.01),
    ("cka:linear,biased", "Linear CKA", "cka", "", False, True, 0.01),
    ("svcca:var=0.99,mean", "SVCCA", "cca", "", False, True, 0.03),
    ("pwcca:var=0.99,mean", "PWCCA", "cca", "", False, True, 0.03),
    ("mi:gaussian,pca=20,held-out", "Gaussian mutual information", "information", "bits", False,
     True, 0.05),
    ("cka:rbf,sigma=1", "RBF CKA", "cka", "", False, True, 0.02),
    ("cka:linear,deconfounded", "Deconfounded CKA", "cka", "", False, True, 0.1),
    ("cka:linear,debiased,without=1", "CKA without the first PC", "cka", "", False, True, 0.08),
    ("cca:r2,ridge", "CCA R2", "cca", "", False, True, 0.05),
    ("cca:mean,ridge", "Mean CCA, ridge", "cca", "", False, True, 0.05),
    ("pwcca:ridge", "PWCCA, ridge", "cca", "", False, True, 0.05),
    ("procrustes:size", "Procrustes distance", "shape", "", True, True, 0.02),
    ("bures:distance", "Bures distance", "shape", "", True, True, 0.02),
    ("shape:angular,alpha=0.5", "Angular shape distance", "shape", "rad", True, True, 0.02),
    ("predictivity:ridge,r2", "Linear predictivity", "shape", "", False, False, 0.05),
    ("rdm:euclidean,spearman", "RDM Spearman", "relations", "", False, True, 0.05),
    ("rdm:correlation,cosine", "RDM whitened cosine", "relations", "", False, True, 0.05),
    ("knn:mutual,k=10", "Mutual nearest neighbours", "relations", "", False, True, 0.1),
    ("cknna,k=10", "CKNNA", "relations", "", False, True, 0.15),
    ("dcor:debiased", "Distance correlation", "relations", "", False, True, 0.03),
    ("mi:ksg,pca=5,k=3", "KSG information", "information", "bits", False, True, 0.1),
    ("mi:infonce,pca=20", "InfoNCE bound", "information", "bits", False, True, 0.1),
    ("mi:smile,tau=5", "SMILE estimate", "information", "bits", False, True, 0.15),
    ("mi:sliced,slices=200", "Sliced information", "information", "bits", False, True, 0.1),
    ("mi:max-sliced,k=1", "Max-sliced information", "information", "bits", False, True, 0.1),
    ("mi:renyi,alpha=2", "Renyi information", "information", "bits", False, True, 0.1),
    ("mi:kmeans,clusters=64", "Clustered information", "information", "bits", False, True, 0.2),
)  # fmt: skip
NULL = 0.05  # likeness that chance reaches

# quantity: title, unit, size
QUANTITIES = {
    "rank:effective": ("Effective rank", "", 60.0),
    "dimension:two-nn": ("Intrinsic dimension", "", 14.0),
    "participation": ("Participation ratio", "", 22.0),
    "first-share": ("Share of the first component", "", 0.4),
    "anisotropy": ("Anisotropy", "", 0.6),
    "norm": ("Mean norm", "", 120_000.0),
    "sparsity": ("Sparsity", "", 0.3),
    "curvature": ("Curvature of trajectories", "rad", 1.4),
    "density": ("Neighbour density", "", 0.002),
}


def _table(matrix: np.ndarray, *, nulls: bool = False) -> list:
    rows = np.round(matrix, 6).tolist()
    rows = [[None if np.isnan(v) else v for v in row] for row in rows]
    if nulls:
        rows[0][-1] = None
    return rows


def _measure(
    about: tuple, likeness: np.ndarray, rng: np.random.Generator, *, nulls: bool, own: bool
) -> dict:
    """A measure whose every number follows from a planted likeness of layers, 0 to 1."""
    name, title, family, unit, distance, symmetric, noise = about
    moved = likeness + noise * rng.normal(size=likeness.shape) * (likeness > 2 * NULL)
    if own:
        moved = (moved + moved.T) / 2 if symmetric else moved
        np.fill_diagonal(moved, 1.0)
    moved = np.clip(moved, None, 1.0)

    def scaled(values: np.ndarray) -> np.ndarray:
        if unit == "bits":
            return -0.5 * np.log2(1 - np.clip(values, 0, 0.98) ** 2) * 8
        if unit == "rad":
            return np.arccos(np.clip(values, -1, 1))
        return 1 - values if distance else values

    half = 0.03
    ends = scaled(moved - half), scaled(moved + half)
    value, level = scaled(moved), scaled(np.full_like(moved, NULL))
    with np.errstate(invalid="ignore"):
        above = moved - half > NULL
    entry = {
        "measure": name,
        "title": title,
        "family": family,
        "unit": unit,
        "formula": f"{title}: tr(K L) / sqrt(tr(K K) tr(L L))",
        "source": "Doe and Roe 2020, arXiv:2001.00001, eq. 3",
        "says": "1 means that the layers are equal up to what the measure ignores",
        "beware": "Few rows against widths make it large",
        "range": [0, None if unit else 1],
        "symmetric": symmetric,
        "larger_is_more_similar": not distance,
        "interval": 0.95,
        "chance_by": "permutation of groups, 99 draws",
        "value": _table(value, nulls=nulls),
        "low": _table(np.minimum(*ends)),
        "high": _table(np.maximum(*ends)),
        "chance": _table(scaled(np.zeros_like(moved))),
        "chance_high": _table(level),
        "score": _table(np.clip((moved - NULL) / (1 - NULL), 0, 1)),
        "p": _table(np.where(above, 0.01, 0.46)),
        "extra": {} if symmetric else {"reverse": _table(value * 0.97)},
        "notes": ["blocks=32"],
    }
    if name.startswith("mi:infonce"):
        entry["extra"]["ceiling"] = _table(np.full_like(moved, np.log2(700)))
    return entry


def _likeness(
    x: str, y: str, names: dict, rng: np.random.Generator, *, planted: bool
) -> np.ndarray:
    u = np.linspace(0, 1, len(names[x]))
    v = np.linspace(0, 1, len(names[y]))
    trained = "0" not in x + y
    if x[0] != y[0] and y != "ref":
        v = v**1.4  # B reaches A's depth later
    if y == "ref":
        peaks = np.array([0.0, 0.1, 0.5 if x == "a" else 0.9, 0.4, 0.05])
        base = 0.75 * np.exp(-((u[:, None] - peaks) ** 2) / 0.18)
        base *= 1.0 if trained else 0.4
    else:
        step = 0.35 * planted * ((u[:, None] > 0.55) * 1.0 - (v[None] > 0.55))
        base = np.exp(-((u[:, None] - v + step) ** 2) / 0.12)
        base *= 1.0 if x == y else 0.7
    noise = rng.normal(0, 0.01, base.shape)
    if x == y:
        noise = (noise + noise.T) / 2
        np.fill_diagonal(noise, 0.0)
    value = base + noise if planted or x == y else 2 * noise
    return np.where(value < 0.02, np.abs(value) * 0.5, value)


def _structure(x: str, y: str, likeness: np.ndarray) -> dict:
    """Blocks past the middle and a path along the planted diagonal, as the study's files say."""
    head = {"measure": MEASURES[0][0], "resamples": 200}
    rows, columns = likeness.shape
    if x == y:
        far = np.clip(1 - likeness, 0, None)
        np.fill_diagonal(far, 0.0)
        tree = linkage(squareform((far + far.T) / 2, checks=False), "average")
        cut = int(np.argmax(np.linspace(0, 1, rows) > 0.55))
        blocks = [{"start": 0, "stability": 1.0}, {"start": cut, "stability": 0.97}]
        blocks += [{"start": rows - 1, "stability": 0.42}] if rows > cut + 2 else []
        shares = [round(max(0.35, 1 - 0.04 * k), 2) for k in range(len(tree))]
        return {**head, "blocks": blocks, "tree": tree.tolist(), "tree_stability": shares}
    above = likeness - 0.03 > NULL
    path: list[dict] = []
    for i in range(rows):
        j = round(i * (columns - 1) / max(rows - 1, 1))
        if above[i, j] and (not path or j > path[-1]["y"]):
            path.append({"x": i, "y": j, "stability": round(0.99 - 0.35 * (i % 4 == 3), 2)})

    def best(table: np.ndarray, usable: np.ndarray, key: str) -> list:
        return [
            {key: int(np.argmax(row)), "stability": 0.6 if k % 5 == 2 else 0.9}
            if on.any()
            else None
            for k, (row, on) in enumerate(zip(table, usable, strict=True))
        ]

    return {
        **head,
        "path": path,
        "order_kept": score(0.91, 0.04) if path else None,
        "best_x": best(likeness, above, "y"),
        "best_y": best(likeness.T, above.T, "x"),
    }


def _similarity(
    x: str,
    y: str,
    names: dict,
    rng: np.random.Generator,
    *,
    planted: bool,
    nulls: bool,
    measures: int,
) -> dict:
    likeness = _likeness(x, y, names, rng, planted=planted)
    done = [
        _measure(about, likeness, rng, nulls=nulls, own=x == y) for about in MEASURES[:measures]
    ]
    if done:
        depth = np.linspace(0, 1, len(names[x]))
        done[0]["extra"] |= {
            "first_share_x": (0.6 - 0.4 * depth).round(4).tolist(),
            "ceiling_x": (0.97 - 0.05 * depth).round(4).tolist(),
        }
    shares = [
        {"share": s, "groups": int(320 * s), "deviation": score(0.012 / s, 0.004),
         "correlation": 1 - 0.02 / s}
        for s in (0.25, 0.5)
    ]  # fmt: skip
    return {
        "format": 2,
        "x": x,
        "y": y,
        "layers_x": names[x],
        "layers_y": names[y],
        "rows": "clips",
        "n_rows": 700,
        "n_groups": 320,
        "blocks": 32,
        "measures": done,
        "structure": _structure(x, y, likeness) if done and y != "ref" else None,
        "stability": {"measure": MEASURES[0][0], "shares": shares} if done else None,
    }


def _geometry(role: str, names: list[str], rng: np.random.Generator) -> dict:
    depth = np.linspace(0, 1, len(names))
    quantities = []
    for at, (key, (title, unit, size)) in enumerate(QUANTITIES.items()):
        value = size * (0.5 + 0.5 * np.sin(3 * depth + at + 0.8 * (role[0] == "b")))
        value = size * 0.1 + value * (0.5 if role.endswith("0") else 1.0)
        value = value + rng.normal(0, 0.01 * size, len(depth))
        quantities.append(
            {
                "quantity": key,
                "title": title,
                "unit": unit,
                "range": [0, None],
                "source": "Doe 2021",
                "value": value.tolist(),
                "low": (value - 0.06 * size).tolist(),
                "high": (value + 0.06 * size).tolist(),
                "notes": [],
            }
        )
    return {
        "format": 1,
        "x": role,
        "layers": names,
        "rows": "clips",
        "n_rows": 700,
        "n_groups": 320,
        "quantities": quantities,
    }


def _information(role: str, names: list[str], *, planted: bool, tasks: int) -> dict:
    depth = np.linspace(0, 1, len(names))
    labels = []
    for key in list(CLIP_TASKS)[:tasks]:
        _, _, _, classes, peak_a, peak_b, best_a, best_b = TASKS[key]
        peak, best = (peak_a, best_a) if role[0] == "a" else (peak_b, best_b)
        entropy = float(np.log2(classes or 10))
        value = 0.8 * planted * best * entropy * np.exp(-((depth - peak) ** 2) / 0.2)
        value = value + 0.02 * entropy
        low, high = value - 0.05, value + 0.05
        floor = np.full(len(names), 0.03 * entropy)
        labels.append(
            {
                "label": key,
                "kind": "category" if classes else "number",
                "classes": classes or 10,
                "n_rows": 700,
                "n_groups": 320,
                "entropy": entropy,
                "value": value.tolist(),
                "low": low.tolist(),
                "high": high.tolist(),
                "floor": (floor / 2).tolist(),
                "floor_high": floor.tolist(),
                "p": np.where(low > floor, 0.01, 0.6).tolist(),
                "notes": [],
            }
        )
    return {
        "format": 1,
        "x": role,
        "layers": names,
        "rows": "clips",
        "measure": "mi:kmeans,clusters=64,labels",
        "unit": "bits",
        "labels": labels,
    }


def make_study(
    folder: Path,
    *,
    layers: dict[str, int] | None = None,
    planted: bool = True,
    references: bool = True,
    similarity: bool = True,
    probes: bool = True,
    geometry: bool = True,
    information: bool = True,
    twins: bool = True,
    measures: int = 6,
    nulls: bool = False,
    hostile: bool = False,
    stamps: tuple[str, ...] = (),
    tasks: int = len(TASKS),
    trust: bool = True,
    published: bool = True,
    heads: bool = True,
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
    untrained = {f"{r}0": _card(r, names[r], trained=False, title=titles[r]) for r in layers}
    twin_names = {f"{r}0": names[r] for r in layers} if twins else {}
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
        "twins": untrained if twins else {},
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
    told = {**names, **twin_names}
    if similarity:
        pairs = [(r, r) for r in roles] + ([("a", "b")] if "b" in roles else [])
        pairs += [(r, "ref") for r in roles] if references else []
        pairs += [(t, "ref") for t in twin_names] if references else []
        pairs += [(t[0], t) for t in twin_names]
        for x, y in pairs:
            table = _similarity(x, y, told, rng, planted=planted, nulls=nulls, measures=measures)
            _write(folder / "similarity" / f"{x}-{y}.json", table)
    if geometry:
        for role in (*roles, *twin_names):
            _write(folder / "geometry" / f"{role}.json", _geometry(role, told[role], rng))
    if information:
        for role in roles:
            table = _information(role, names[role], planted=planted, tasks=tasks)
            _write(folder / "information" / f"{role}.json", table)
    if probes:
        told = {**names, **twin_names}
        for role in told:
            table = probing(
                role, told[role], rng, tasks=tasks, planted=planted, nulls=nulls,
                trust=trust,
                published=published, heads=heads,
            )  # fmt: skip
            if hostile:
                _soil(table)
            _write(folder / "probes" / f"{role}.json", table)
    return folder


def _soil(table: dict) -> None:
    """Hostile text wherever a file of probes holds text that is printed."""
    first = table["tasks"][0]
    first["title"] = HOSTILE
    first["notes"] = [HOSTILE]
    for row in first.get("published", ()):
        row.update(protocol=HOSTILE, source=HOSTILE, note=HOSTILE)
    for layer in first["layers"]:
        layer["also"] = {HOSTILE: layer["splits"]}
    for head in table.get("heads", ())[:1]:
        head["head"] = HOSTILE


def _write(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
