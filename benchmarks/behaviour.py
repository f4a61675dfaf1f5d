"""How each measure behaves where the truth is known: one figure a measure, for docs/measures.md.

    python benchmarks/behaviour.py [NAME ...] [--out docs/measures] [--seeds 6]

Four panels over simulated layers: growing noise, a growing part in common, more rows of unrelated
layers, and maps of a noisy copy. Dots are means over seeds, bands the mean 95 % interval, grey
what chance passes in 5 % of cases, dotted the bits that the whole layers share.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import rsa
from reports import style
from rsa.measures import MEASURES, measure

ROWS, WIDTH, DRAWS = 240, 16, 39
NOISES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
SHARED = (0, 4, 8, 12, 16)
COUNTS = (80, 160, 320, 640)
# noise of what is in common where bits are asked for, and of the copy that is mapped
BLUR, COPY = 0.25, 0.5
# critics are trained anew in every case: fewer seeds for them
SLOW, FEWER = ("mi:infonce", "mi:smile"), 3
COLOURS = 48  # of a PNG
Pair = tuple[np.ndarray, np.ndarray]
MAPS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Pair]] = {
    "rotation": lambda x, y, rng: (x, y @ _orthogonal(rng, y.shape[1])),
    "scale × 100": lambda x, y, rng: (x, 100 * y),
    "shift by 10": lambda x, y, rng: (x, y + 10),
    "one unit × 10": lambda x, y, rng: (x, y * np.r_[10.0, np.ones(y.shape[1] - 1)]),
    "invertible map": lambda x, y, rng: (x, y @ _invertible(rng, y.shape[1])),
    "tanh of each unit": lambda x, y, rng: (x, np.tanh(2 * y)),
    "a row far out in y": lambda x, y, rng: (x, _far(y)),
    "the same row in both": lambda x, y, rng: (_far(x), _far(y)),
}


def _orthogonal(rng: np.random.Generator, width: int = WIDTH) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((width, width)))[0]


def _invertible(rng: np.random.Generator, width: int) -> np.ndarray:
    return _orthogonal(rng, width) * np.geomspace(1, 12, width)


def _far(x: np.ndarray) -> np.ndarray:
    return np.r_[x[:1] + 40, x[1:]]


def layer(rng: np.random.Generator, rows: int = ROWS) -> np.ndarray:
    """[rows, WIDTH], units of falling variance, as layers have."""
    return rng.standard_normal((rows, WIDTH)) * np.geomspace(2, 0.5, WIDTH)


def noise(rng: np.random.Generator, amount: float) -> Pair:
    x = layer(rng)
    return x, x + amount * layer(rng)


def shared(rng: np.random.Generator, count: int, blur: float = 0.0) -> Pair:
    x, y = layer(rng), layer(rng)
    some = rng.permutation(WIDTH)[:count]
    y[:, some] = x[:, some] + blur * layer(rng)[:, some]
    return x, y @ _orthogonal(rng)


def unrelated(rng: np.random.Generator, rows: int) -> Pair:
    return layer(rng, rows), layer(rng, rows)


def bits(units: float, amount: float) -> float:
    """Mutual information of so many units and their copies with noise."""
    return units * np.log2(1 + amount**-2) / 2 if amount else np.nan


def curve(name: str, cases: Callable, along: tuple, seeds: int) -> np.ndarray:
    """[along, 4]: value, low, high, chance_high; means over seeds."""
    table = []
    for setting in along:
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            x, y = cases(rng, setting)
            extra = {}
            if "deconfounded" in name:
                # both layers pass on the input; nothing else is common to unrelated ones
                given = layer(rng, len(x))
                x, y, extra = np.c_[x, given], np.c_[y, given], {"confound": given}
            if setting in MAPS:
                x, y = MAPS[setting](x, y, rng)
            one = rsa.pair(x, y, name, draws=DRAWS, seed=seed, **extra)
            found.append((one.value, one.low, one.high, one.chance_high))
        table.append(np.mean(found, axis=0))
    return np.array(table)


def draw(name: str, seeds: int):
    """One measure's figure."""
    about = measure(name)
    blur = BLUR if about.unit == "bits" else 0.0
    tables = [
        curve(name, noise, NOISES, seeds),
        curve(name, lambda rng, count: shared(rng, count, blur), SHARED, seeds),
        curve(name, unrelated, COUNTS, seeds),
    ]
    truths = [bits(WIDTH, a) for a in NOISES], [bits(n, blur) for n in SHARED], [0.0] * len(COUNTS)
    mapped = curve(name, lambda rng, _: noise(rng, COPY), ("none", *MAPS), seeds)[:, 0]
    with style.look():
        figure = style.canvas(1.95, 9.2)
        panels = figure.subplots(1, 4)
        places = (range(len(NOISES)), SHARED, range(len(COUNTS)))
        for axes, table, along, truth in zip(panels, tables, places, truths, strict=False):
            _curve(axes, table, np.array(along), truth if blur else None)
        cut = _limits(panels, tables, mapped, about)
        panels[0].set_xticks(places[0], [f"{n:g}" for n in NOISES])
        panels[0].set_xlabel("noise in y = x + noise")
        panels[0].set_ylabel(_axis(about))
        panels[1].set_xticks(SHARED)
        panels[1].set_xlabel(f"units in common, of {WIDTH}")
        panels[2].set_xticks(places[2], COUNTS)
        panels[2].set_xlabel("rows of unrelated layers")
        for row, (value, at) in enumerate(zip(mapped[1:], cut[1:], strict=True)):
            marker = "o" if value == at else "<" if value < at else ">"
            panels[3].plot(at, row, marker, ms=4, color=style.ROLES["a"], clip_on=False)
        panels[3].axvline(mapped[0], color=style.GREY, lw=0.9, ls=(0, (1, 1.5)))
        panels[3].set_yticks(range(len(MAPS)), MAPS)
        panels[3].set_ylim(len(MAPS) - 0.5, -0.5)
        panels[3].set_xlabel(f"{_axis(about)}, y mapped")
    return figure


def _axis(about) -> str:
    return about.unit or ("similarity" if about.larger_is_more_similar else "distance")


def _limits(panels, tables: list, mapped: np.ndarray, about) -> np.ndarray:
    """One scale for all panels, but for bits of unrelated layers; mapped values, cut to it."""
    drawn = np.concatenate([table.ravel() for table in tables[: 2 + (about.unit != "bits")]])
    low, high = min(0.0, np.nanmin(drawn)), np.nanmax(drawn)
    if about.unit == "bits":
        style.span(panels[2], *(f(tables[2], initial=0.0) for f in (np.nanmin, np.nanmax)))
        low, high = max(low, -0.3 * high), max(high, min(np.nanmax(mapped), 1.5 * high))
    else:
        high = 1.0 if about.larger_is_more_similar else about.range[1]
        style.span(panels[2], low, high)
    for axes in panels[:2]:
        style.span(axes, low, high)
    style.span(panels[3], low, high, "x")
    return np.clip(mapped, *panels[3].get_xlim())


def _curve(axes, table: np.ndarray, along: np.ndarray, truth: list | None) -> None:
    colour = style.ROLES["a"]
    if truth is not None:
        axes.plot(along, truth, color=style.ROLES["b"], lw=1.1, ls=(0, (1, 1.5)))
    axes.plot(along, table[:, 3], color=style.GREY, lw=0.9, ls=(0, (4, 3)))
    axes.fill_between(along, table[:, 1], table[:, 2], color=colour, alpha=0.22, lw=0)
    axes.plot(along, table[:, 0], "o-", ms=3, color=colour)


def file_name(name: str) -> str:
    """`cka-linear-debiased` for `cka:linear,debiased`."""
    return re.sub(r"[^a-z0-9.]+", "-", name)


def save(figure, path: Path) -> None:
    """A PNG of few colours: a third of the size."""
    drawn = io.BytesIO()
    with style.look():
        figure.savefig(drawn, dpi=130)
    image = Image.open(drawn).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="canonical names; all when none is given")
    parser.add_argument("--out", type=Path, default=Path("docs/measures"))
    parser.add_argument("--seeds", type=int, default=6)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or MEASURES:
        path = options.out / f"{file_name(name)}.png"
        seeds = min(options.seeds, FEWER) if name.startswith(SLOW) else options.seeds
        save(draw(name, seeds), path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
