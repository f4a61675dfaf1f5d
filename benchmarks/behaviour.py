"""How each measure behaves where the truth is known: one figure a measure, for docs/measures.md.

    python benchmarks/behaviour.py [NAME ...] [--out docs/measures] [--seeds 3]

Four panels over simulated layers: growing noise, a growing part in common, more rows of unrelated
layers, and maps of a layer's units. Dots are means over seeds, bands the mean 95 % interval, grey
what chance passes in 5 % of cases.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

import rsa
from reports import style
from rsa.measures import MEASURES, measure

ROWS, WIDTH, DRAWS = 240, 16, 19
NOISES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
SHARED = (0, 4, 8, 12, 16)
COUNTS = (60, 120, 240, 480)
MAPS: dict[str, Callable] = {
    "rotation": lambda x, rng: x @ _orthogonal(rng),
    "scale x 100": lambda x, rng: 100 * x,
    "shift by 10": lambda x, rng: x + 10,
    "one unit x 10": lambda x, rng: x * np.r_[10.0, np.ones(WIDTH - 1)],
    "invertible map": lambda x, rng: x @ (_orthogonal(rng) * np.geomspace(1, 12, WIDTH)),
    "one row far out": lambda x, rng: np.r_[x[:1] + 40, x[1:]],
    "tanh of each unit": lambda x, rng: np.tanh(2 * x),
}


def _orthogonal(rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]


def layer(rng: np.random.Generator, rows: int = ROWS) -> np.ndarray:
    """[rows, WIDTH], units of falling variance, as layers have."""
    return rng.standard_normal((rows, WIDTH)) * np.geomspace(2, 0.5, WIDTH)


def noise(rng: np.random.Generator, amount: float) -> tuple[np.ndarray, np.ndarray]:
    x = layer(rng)
    return x, x + amount * layer(rng)


def shared(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = layer(rng), layer(rng)
    some = rng.permutation(WIDTH)[:count]
    y[:, some] = x[:, some]
    return x, y @ _orthogonal(rng)


def unrelated(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    return layer(rng, rows), layer(rng, rows)


def curve(name: str, cases: Callable, along: tuple, seeds: int) -> np.ndarray:
    """[along, 4]: value, low, high, chance_high; means over seeds."""
    table = []
    for setting in along:
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            x, y = cases(rng, setting)
            extra = {"confound": layer(rng, len(x))} if "deconfounded" in name else {}
            one = rsa.pair(x, y, name, draws=DRAWS, seed=seed, **extra)
            found.append((one.value, one.low, one.high, one.chance_high))
        table.append(np.mean(found, axis=0))
    return np.array(table)


def draw(name: str, seeds: int):
    """One measure's figure."""
    about = measure(name)
    with style.look():
        figure = style.canvas(1.9, 9.0)
        panels = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.15])
        _curve(panels[0], curve(name, noise, NOISES, seeds), range(len(NOISES)))
        panels[0].set_xticks(range(len(NOISES)), [f"{n:g}" for n in NOISES])
        panels[0].set_xlabel("noise added to y = x (times the signal)")
        plain = "value" if about.larger_is_more_similar else "distance"
        panels[0].set_ylabel(about.unit or plain)
        _curve(panels[1], curve(name, shared, SHARED, seeds), SHARED)
        panels[1].set_xticks(SHARED)
        panels[1].set_xlabel(f"units in common, of {WIDTH}")
        _curve(panels[2], curve(name, unrelated, COUNTS, seeds), range(len(COUNTS)))
        panels[2].set_xticks(range(len(COUNTS)), COUNTS)
        panels[2].set_xlabel("rows of unrelated layers")
        mapped = curve(name, lambda rng, key: _mapped(rng, key), tuple(MAPS), seeds)
        panels[3].plot(mapped[:, 0], range(len(MAPS)), "o", ms=4, color=style.ROLES["a"])
        panels[3].set_yticks(range(len(MAPS)), MAPS)
        panels[3].invert_yaxis()
        panels[3].set_xlabel("x against a map of x")
        best = 1.0 if about.larger_is_more_similar else 0.0
        if about.unit != "bits":
            panels[3].axvline(best, color=style.GREY, lw=0.8, ls=(0, (4, 3)))
        finite = mapped[np.isfinite(mapped[:, 0]), 0]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
        style.span(panels[3], min(low, best - 0.3), max(high, best + 0.05), "x")
    return figure


def _mapped(rng: np.random.Generator, key: str) -> tuple[np.ndarray, np.ndarray]:
    x = layer(rng)
    return x, MAPS[key](x, rng)


def _curve(axes, table: np.ndarray, along) -> None:
    along = np.array(list(along), dtype=float)
    colour = style.ROLES["a"]
    axes.plot(along, table[:, 3], color=style.GREY, lw=0.9, ls=(0, (4, 3)))
    axes.fill_between(along, table[:, 1], table[:, 2], color=colour, alpha=0.22, lw=0)
    axes.plot(along, table[:, 0], "o-", ms=3, color=colour)


def file_name(name: str) -> str:
    """`cka-linear-debiased` for `cka:linear,debiased`."""
    return re.sub(r"[^a-z0-9.]+", "-", name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="canonical names; all when none is given")
    parser.add_argument("--out", type=Path, default=Path("docs/measures"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or MEASURES:
        path = options.out / f"{file_name(name)}.png"
        figure = draw(name, options.seeds)
        with style.look():
            figure.savefig(path, dpi=130, metadata={"Software": None})
        print(path, flush=True)


if __name__ == "__main__":
    main()
