"""Cases with known truth in which a measure misleads: the numbers of docs/measures.md.

    python benchmarks/traps.py [CASE ...]

Every case is one simulated pair of layers (seed 0) and the measures that the text quotes of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import rsa

CKA = ("cka:linear,biased", "cka:linear,debiased", "cka:linear,track-debiased")
SPACES = ("svcca:var=0.99,mean", "pwcca:var=0.99,mean", "cca:r2", "cca:mean")
SHAPES = ("procrustes:orthogonal", "bures:normalised", "shape:angular,alpha=1",
          "shape:angular,alpha=0.5")  # fmt: skip
RELATIONS = ("rdm:euclidean,spearman", "rdm:euclidean,whitened", "knn:mutual,k=10", "cknna:k=10",
             "dcor:track-debiased")  # fmt: skip
BITS = ("mi:gaussian,pca=20,held-out", "mi:ksg,pca=3,k=4")
CRITICS = ("mi:infonce,pca=32", "mi:smile,clip=5,pca=32")
SLICES = ("mi:sliced,slices=64,bins=8", "mi:max-sliced,bins=8,held-out")
RENYI = "mi:renyi,order=2,sigma={:g}"

Case = tuple[np.ndarray, np.ndarray, tuple[str, ...], dict]


def wide(rng: np.random.Generator) -> Case:
    """unrelated layers of 768 and 1,024 units, 2,000 rows"""
    x, y = rng.standard_normal((2000, 768)), rng.standard_normal((2000, 1024))
    return x, y, (*CKA[:2], "cca:r2", "cca:mean", "cca:r2,pca=50", *SHAPES), {"draws": 0}


def frames(rng: np.random.Generator) -> Case:
    """50 tracks of 20 frames; each layer has its own offset a track, nothing in common"""
    x, y = (
        np.repeat(rng.standard_normal((50, 64)), 20, axis=0) + rng.standard_normal((1000, 64))
        for _ in range(2)
    )
    names = (*CKA, "rdm:euclidean,spearman", "rdm:euclidean,whitened", "dcor:track-debiased",
             "cca:r2", "pwcca:ridge,pca=50,cv=10")  # fmt: skip
    return x, y, names, {"groups": np.repeat(np.arange(50), 20)}


def drawn_twice(rng: np.random.Generator) -> Case:
    """unrelated layers of 768 units, 500 rows drawn with replacement, as the bootstrap does"""
    x, y = rng.standard_normal((500, 768)), rng.standard_normal((500, 768))
    rows = rng.integers(0, 500, 500)
    return x[rows], y[rows], CKA[1:2], {"draws": 0}


def one_direction(rng: np.random.Generator) -> Case:
    """one direction with 90 % of the variance in common, the other 63 unrelated"""
    x, y = rng.standard_normal((500, 64)), rng.standard_normal((500, 64))
    y[:, 0] = x[:, 0]
    strong = np.r_[np.sqrt(9 * 63), np.ones(63)]
    names = (*CKA[2:], "cka:linear,track-debiased,without=1", *SPACES, *SHAPES, *RELATIONS,
             "predictivity:linear,cv=5")  # fmt: skip
    return x * strong, y * strong, names, {}


def all_but_one(rng: np.random.Generator) -> Case:
    """the reverse: 63 directions in common, the one with 90 % of the variance unrelated"""
    x = rng.standard_normal((500, 64))
    y = x.copy()
    y[:, 0] = rng.standard_normal(500)
    strong = np.r_[np.sqrt(9 * 63), np.ones(63)]
    names = (*CKA[2:], "cka:linear,track-debiased,without=1", *SPACES, *SHAPES, *RELATIONS,
             "predictivity:linear,cv=5")  # fmt: skip
    return x * strong, y * strong, names, {}


def far_row(rng: np.random.Generator) -> Case:
    """unrelated layers, one row far out in both"""
    x, y = rng.standard_normal((500, 64)), rng.standard_normal((500, 64))
    x[0] += 40
    y[0] += 40
    return x, y, (*CKA, *SPACES[:3], *SHAPES, *RELATIONS, *BITS), {}


def faint(rng: np.random.Generator) -> Case:
    """the same 16 units in both, and in each 100 units of its own of a hundredth of the size"""
    x = rng.standard_normal((500, 16))
    x, y = (np.c_[x, 0.01 * rng.standard_normal((500, 100))] for _ in range(2))
    return x, y, (*CKA[2:], *SPACES, "cca:r2,pca=50", *SHAPES), {}


def bent(rng: np.random.Generator) -> Case:
    """y is the square of x, unit by unit: no linear relation at all"""
    x = rng.standard_normal((1000, 3))
    names = (*CKA[2:], "cca:r2", "predictivity:linear,cv=5", *RELATIONS, *BITS, *CRITICS, *SLICES,
             RENYI.format(0.5))  # fmt: skip
    return x, x**2, names, {}


def part(rng: np.random.Generator) -> Case:
    """y is 4 of the 16 units of x"""
    x = rng.standard_normal((500, 16))
    names = (*CKA[2:], *SPACES, *SHAPES[:2], "predictivity:linear,cv=5")
    return x, x[:, :4], names, {}


def whole(rng: np.random.Generator) -> Case:
    """x and y of `part` exchanged"""
    y, x, _, _ = part(rng)
    return x, y, ("predictivity:linear,cv=5",), {}


def two_kinds(rng: np.random.Generator) -> Case:
    """two kinds of clips far apart in both layers; within a kind nothing in common"""
    kind = np.repeat([-1.0, 1.0], 250)[:, None]
    x, y = (rng.standard_normal((500, 32)) + 3 * kind for _ in range(2))
    return x, y, (*CKA[2:], *RELATIONS), {}


def widths(rng: np.random.Generator) -> Case:
    """y is x with as much noise, 32 units; kernels of other widths"""
    x = rng.standard_normal((500, 32))
    names = [f"cka:rbf,sigma={s:g},debiased" for s in (0.2, 0.5, 1, 5)] + ["cka:linear,debiased"]
    return x, x + rng.standard_normal((500, 32)), (*names, *map(RENYI.format, (0.2, 0.5, 1))), {}


def much(rng: np.random.Generator) -> Case:
    """16 units with noise of a quarter of their size: 32.7 bits"""
    x = rng.standard_normal((480, 16))
    names = (*BITS, *CRITICS, *SLICES, RENYI.format(0.5))
    return x, x + 0.25 * rng.standard_normal((480, 16)), names, {}


def little(rng: np.random.Generator) -> Case:
    """3 units with noise of their own size: 1.5 bits"""
    x = rng.standard_normal((480, 3))
    names = (*BITS, *CRITICS, *SLICES, RENYI.format(0.5))
    return x, x + rng.standard_normal((480, 3)), names, {}


def copies(rng: np.random.Generator) -> Case:
    """3 units with noise of a hundredth of their size: 19.9 bits"""
    x = rng.standard_normal((480, 3))
    return x, x + 0.01 * rng.standard_normal((480, 3)), BITS, {}


def sliced(width: int) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        x = rng.standard_normal((480, width))
        return x, x.copy(), SLICES[:1], {}

    case.__doc__ = f"a layer of {width} units and its copy"
    return case


def passed_on(rng: np.random.Generator) -> Case:
    """two layers with nothing in common but the input, which both pass on"""
    given = 2 * rng.standard_normal((500, 16))
    x, y = (np.c_[given, rng.standard_normal((500, 32))] for _ in range(2))
    return x, y, (CKA[2], "cka:linear,deconfounded"), {"confound": given}


def few_rows(rng: np.random.Generator) -> Case:
    """y is a rotation of x, of 64 units, 100 rows, with noise of half the size"""
    x = rng.standard_normal((100, 64))
    turned = x @ np.linalg.qr(rng.standard_normal((64, 64)))[0]
    names = (*CKA[:2], *SHAPES[:2], "predictivity:linear,cv=5", "pwcca:ridge,pca=50,cv=10",
             "mi:gaussian,pca=20,held-out")  # fmt: skip
    return x, turned + 0.5 * rng.standard_normal((100, 64)), names, {}


CASES = {
    case.__name__: case
    for case in (wide, frames, drawn_twice, one_direction, all_but_one, far_row, faint, bent, part,
                 whole, two_kinds, widths, much, little, copies, passed_on, few_rows)
} | {f"sliced_{width}": sliced(width) for width in (2, 16, 64)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    for name in parser.parse_args().cases or CASES:
        print(f"\n{name}: {CASES[name].__doc__}", flush=True)
        x, y, measures, options = CASES[name](np.random.default_rng(0))
        for measure in measures:
            given = options if "deconfounded" in measure or "confound" not in options else {}
            one = rsa.pair(x, y, measure, **given)
            ends = f"{one.low:.3f} to {one.high:.3f}"
            extra = {k: round(v, 3) for k, v in one.extra.items() if k != "components"}
            print(f"  {measure:36s}{one.value:8.3f}  {ends:18s} chance {one.chance:.3f}, "
                  f"5 % above {one.chance_high:.3f}, p {one.p:.2f}  {extra or ''}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
