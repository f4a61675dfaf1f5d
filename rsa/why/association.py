"""Does one profile over depth follow another, beyond that both are smooth?

Two smooth curves over thirteen layers correlate strongly by chance: their layers are worth a few
independent ones. The null is that of Gaussian processes with the smoothness that a profile itself
shows, over all smoothnesses that are likely for it (three covariances, their length scales and
their noise, by restricted likelihood; a short profile does not fix them). It is asked twice, of the
profiles as they are and of what is left of both when a cubic over depth is taken off: two curves
that rise and level off agree by that alone. And with either profile made up anew. An association is
claimed where all four answers are beyond chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

from rsa.errors import RsaError

FEWEST = 8  # layers; with fewer a cubic leaves too little
DEGREES = (0, 3)  # of the polynomial over depth that is taken off
SURROGATES = 2000
SCALES, NOISES = 10, (0.001, 0.01, 0.05, 0.2, 0.5)
MOST = 10_000  # arrangements of families
FAMILIES = 5


@dataclass(frozen=True)
class Association:
    """Two profiles over the layers of one model.

    Attributes
    ----------
    correlation : Pearson's, over layers.
    beyond : the same when a cubic over depth is taken off both.
    effective : independent layers whose correlation would spread as much by chance, 1 + 1 / var.
    p : the largest of four; NaN where a profile is constant or too short.
    corrected : p for all pairs that were asked of together (Holm 1979).
    """

    x: str
    y: str
    layers: int
    correlation: float
    beyond: float
    effective: float
    p: float
    corrected: float

    @property
    def claimed(self) -> bool:
        """Beyond chance, and of one sign with and without the cubic."""
        return self.corrected <= 0.05 and self.correlation * self.beyond > 0

    def as_json(self) -> dict:
        """Numbers that do not exist are None."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, entry: Mapping) -> Association:
        """Reads what `as_json` wrote."""
        numbers = ("correlation", "beyond", "effective", "p", "corrected")
        return cls(**{**entry, **{name: _number(entry[name]) for name in numbers}})


@dataclass(frozen=True)
class Specificity:
    """Do profiles of tasks follow the reference of their own content rather than another's?

    Attributes
    ----------
    families : of tasks, each standing for one profile; they change places under the null.
    own, other : mean correlation of families with references of their content, and with the rest.
    p : share of arrangements with as large a difference. The layers stay as they are, so that
        smoothness over depth cannot make it.
    """

    families: tuple[str, ...]
    own: float
    other: float
    arrangements: int
    p: float

    def as_json(self) -> dict:
        """Numbers that do not exist are None."""
        return {**{k: _plain(v) for k, v in vars(self).items()}, "families": list(self.families)}

    @classmethod
    def from_json(cls, entry: Mapping) -> Specificity:
        """Reads what `as_json` wrote."""
        numbers = {name: _number(entry[name]) for name in ("own", "other", "p")}
        return cls(**{**entry, **numbers, "families": tuple(entry["families"])})


def associations(
    references: Mapping[str, Sequence[float]],
    tasks: Mapping[str, Sequence[float]],
    seed: int = 0,
) -> list[Association]:
    """Every reference with every task, in that order.

    Parameters
    ----------
    references : name -> similarity to it, layer by layer, in order of depth.
    tasks : name -> score, of the same layers.

    Raises
    ------
    RsaError : profiles of different lengths.
    """
    profiles = [*references.items(), *tasks.items()]
    lengths = {len(values) for _, values in profiles}
    if len(lengths) != 1:
        raise RsaError(f"profiles have {sorted(lengths)} layers: give all the same layers")
    rng = np.random.default_rng([seed, 15])
    left = [_Profile(np.asarray(v, float), rng) for v in references.values()]
    right = [_Profile(np.asarray(v, float), rng) for v in tasks.values()]
    found = [
        (x, y, *_pair(a, b))
        for x, a in zip(references, left, strict=True)
        for y, b in zip(tasks, right, strict=True)
    ]
    corrected = holm([one[-1] for one in found])
    (count,) = lengths
    return [
        Association(x, y, count, *numbers, float(p))
        for (x, y, *numbers), p in zip(found, corrected, strict=True)
    ]


def specificity(
    references: Mapping[str, Sequence[float]],
    tasks: Mapping[str, Sequence[float]],
    family: Mapping[str, str],
    content: Mapping[str, Sequence[str]],
    seed: int = 0,
) -> Specificity:
    """Whether families of tasks follow the references of their content.

    Profiles of one family of tasks are averaged, standardised: key and tonic are not two witnesses.

    Parameters
    ----------
    family : task -> family.
    content : family -> references that describe what it is about; families without one are left
        out.
    """
    names = tuple(dict.fromkeys(family[t] for t in tasks if content.get(family[t])))
    if len(names) < FAMILIES:
        return Specificity(names, math.nan, math.nan, 0, math.nan)
    mean = []
    for name in names:
        some = [_standard(np.asarray(v, float)) for t, v in tasks.items() if family[t] == name]
        mean.append(_standard(np.mean(some, axis=0)))
    ref = np.stack([_standard(np.asarray(v, float)) for v in references.values()])
    table = np.stack(mean) @ ref.T / ref.shape[1]
    own = np.array([[name in content[f] for name in references] for f in names])
    if own.all() or not own.any(axis=1).all():
        raise RsaError("content: every family needs a reference of its own, and one that is not")
    count = math.factorial(len(names))
    if count <= MOST:
        orders = np.array(list(permutations(range(len(names)))))
    else:
        rng = np.random.default_rng([seed, 16])
        orders = np.array([rng.permutation(len(names)) for _ in range(MOST)])
        orders[0] = np.arange(len(names))

    def means(order: np.ndarray) -> tuple[float, float]:
        some = table[order]
        return float(some[own].mean()), float(some[~own].mean())

    drawn = np.array([np.subtract(*means(order)) for order in orders])
    inside, outside = means(np.arange(len(names)))
    p = float((drawn >= inside - outside - 1e-12).mean())
    return Specificity(names, inside, outside, len(orders), p)


def holm(p: Sequence[float]) -> np.ndarray:
    """p of a family, corrected step by step (Holm 1979); NaN stay out of it."""
    values = np.asarray(p, dtype=float)
    out = np.full(values.shape, np.nan)
    some = np.flatnonzero(np.isfinite(values))
    order = some[np.argsort(values[some], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


class _Profile:
    """A profile over layers, what is left of it, and others that are as smooth."""

    def __init__(self, values: np.ndarray, rng: np.random.Generator):
        count = len(values)
        self.usable = bool(
            count >= FEWEST
            and np.isfinite(values).all()
            and np.ptp(values) > 1e-9 * np.abs(values).max()
        )
        self.left: list[np.ndarray] = []
        self.others: list[np.ndarray] = []
        if not self.usable:
            return
        factors, whiteners, sizes = _processes(count)
        for degree in DEGREES:
            basis = _polynomials(count, degree)
            weights = _likely(_standard(values), basis, whiteners, sizes)
            drawn = np.bincount(
                rng.choice(len(weights), SURROGATES, p=weights), minlength=len(weights)
            )
            made = [
                rng.standard_normal((n, count)) @ factors[i].T for i, n in enumerate(drawn) if n
            ]
            self.others.append(_unit(_without(np.concatenate(made), basis)))
            self.left.append(_unit(_without(values[None], basis))[0])


def _pair(x: _Profile, y: _Profile) -> tuple[float, float, float, float]:
    """Correlation, that beyond the cubic, effective layers, p."""
    if not (x.usable and y.usable):
        return (math.nan,) * 4
    found, p, spread = [], [], []
    for degree in range(len(DEGREES)):
        value = float(x.left[degree] @ y.left[degree])
        found.append(value)
        for one, other in ((x, y), (y, x)):
            drawn = other.others[degree] @ one.left[degree]
            reached = (np.abs(drawn) >= abs(value) - 1e-12).sum()
            p.append(float(1 + reached) / (1 + len(drawn)))
            if degree == 0:
                spread.append(float((drawn**2).mean()))
    return found[0], found[1], 1 + 1 / max(spread), max(p)


@lru_cache(maxsize=8)
def _processes(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors and inverse factors [processes, count, count] of covariances, and log determinants.

    Squared exponential, exponential and Matern 3/2, with length scales from less than a layer to
    twice the depth, and with noise.
    """
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    whole = []
    for scale in np.geomspace(0.4, 2 * count, SCALES):
        steps = apart / scale
        for kernel in (
            np.exp(-0.5 * steps**2),
            np.exp(-steps),
            (1 + math.sqrt(3) * steps) * np.exp(-math.sqrt(3) * steps),
        ):
            whole += [(1 - noise) * kernel + noise * np.eye(count) for noise in NOISES]
    factors = np.linalg.cholesky(np.stack(whole))
    sizes = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return factors, np.linalg.inv(factors), sizes


def _likely(
    values: np.ndarray, basis: np.ndarray, whiteners: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """[processes] weights by restricted likelihood, scale and polynomial integrated out."""
    white, x = whiteners @ basis, whiteners @ values
    inner = np.swapaxes(white, 1, 2) @ white
    along = np.einsum("gik,gi->gk", white, x)
    solved = np.linalg.solve(inner, along[..., None])[..., 0]
    rest = np.maximum((x**2).sum(axis=1) - (along * solved).sum(axis=1), 1e-12)
    freedom = len(values) - basis.shape[1]
    log = -0.5 * (sizes + np.linalg.slogdet(inner)[1] + freedom * np.log(rest))
    weights = np.exp(log - log.max())
    return weights / weights.sum()


def _polynomials(count: int, degree: int) -> np.ndarray:
    """[count, degree + 1] orthonormal polynomials over the layers."""
    place = np.linspace(-1, 1, count)
    return np.linalg.qr(place[:, None] ** np.arange(degree + 1))[0]


def _without(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return rows - (rows @ basis) @ basis.T


def _unit(rows: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 1e-12)


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def _plain(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
