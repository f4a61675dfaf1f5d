"""What each layer of a source is like by itself; the result writes and reads itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path

import numpy as np

from rsa.errors import RsaError
from rsa.layerwise.cloud import anisotropy, between_tracks, norms
from rsa.layerwise.dimension import NAMES, dimensions
from rsa.layerwise.novelty import novelty
from rsa.layerwise.spectrum import NAMES as SPREADS
from rsa.layerwise.spectrum import Spectrum, spread_of_variance
from rsa.layerwise.timescale import half_life
from rsa.records import read_json, write_csv, write_json
from rsa.rows.grouping import Grouping, check_groups
from rsa.rows.joint import check_enough
from rsa.rows.thinning import read_rows, thin
from rsa.source import Source, check_source, check_whole, checked, read_stretch
from rsa.threads import spread

FORMAT = 1
# rows at most, of whole layers; time-scales use all
ROWS = 5000

Trio = tuple[float, float, float]
# value, low, high of one layer, and notes
Found = tuple[Trio, list[str]]
_NOTHING = (math.nan,) * 3


@dataclass(frozen=True)
class Quantity:
    """One number a layer.

    Attributes
    ----------
    quantity, title, unit, range, source : canonical name, and what readers are told; a range has
        None where it is unbounded.
    value, low, high : one number a layer; NaN where not defined.
    notes : sentences for the reader.
    """

    quantity: str
    title: str
    unit: str
    range: tuple[float | None, float | None]
    source: str
    value: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict:
        return {
            "quantity": self.quantity,
            "title": self.title,
            "unit": self.unit,
            "range": list(self.range),
            "source": self.source,
            **{name: _plain(getattr(self, name)) for name in ("value", "low", "high")},
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, block: dict) -> Quantity:
        return cls(
            **{name: block[name] for name in ("quantity", "title", "unit", "source")},
            range=tuple(block["range"]),
            notes=tuple(block["notes"]),
            **{
                name: tuple(math.nan if v is None else float(v) for v in block[name])
                for name in ("value", "low", "high")
            },
        )


QUANTITIES = (
    Quantity(
        "effective_rank", "Effective rank", "directions", (1.0, None),
        "exp of the entropy of eigenvalue shares (Roy and Vetterli 2007, EUSIPCO)",
    ),
    Quantity(
        "participation_ratio", "Participation ratio", "directions", (1.0, None),
        "(sum of eigenvalues)^2 / sum of their squares (Gao et al. 2017, bioRxiv 214262); "
        "n independent rows give about 1 / (1/PR + 1/n)",
    ),
    Quantity(
        "first_component", "Share of the first component", "", (0.0, 1.0),
        "largest eigenvalue of the covariance over their sum, one over the stable rank",
    ),
    Quantity(
        NAMES[0], "Intrinsic dimension (TwoNN)", "dimensions", (0.0, None),
        "Facco et al. 2017 (Scientific Reports 7), by scikit-dimension, one row a track",
    ),
    Quantity(
        NAMES[1], "Intrinsic dimension (MLE)", "dimensions", (0.0, None),
        "Levina and Bickel 2004 (NIPS), inverses averaged, by scikit-dimension, one row a track",
    ),
    Quantity(
        "anisotropy", "Anisotropy", "", (-1.0, 1.0),
        "mean cosine of raw rows of different tracks (Ethayarajh 2019, arXiv:1909.00512)",
    ),
    Quantity(
        "norm", "Norm", "", (0.0, None),
        "mean Euclidean norm of raw rows",
    ),
    Quantity(
        "norm_spread", "Spread of the norm", "", (0.0, None),
        "standard deviation of the norm of raw rows over its mean",
    ),
    Quantity(
        "between_tracks", "Variance between tracks", "", (None, 1.0),
        "1 - squared distance of rows of one track over that of rows of different tracks "
        "(intraclass correlation)",
    ),
    Quantity(
        "half_life", "Time-scale", "s", (0.0, None),
        "lag at which frames of a clip are half as alike as a frame is to itself, "
        "beyond what frames half a clip apart share",
    ),
    Quantity(
        "novelty", "New against the layer before", "", (0.0, None),
        "1 - held-out R2 of a ridge regression on the layer before, folds of whole tracks",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Geometry:
    """Quantities of the layers of one source.

    Attributes
    ----------
    x : name of the source.
    layers : their names.
    rows : kind of the rows, as in `clips`.
    n_rows, n_groups : rows and groups.
    quantities : in the order of `QUANTITIES`; those that nothing was asked about are left out.
    """

    x: str
    layers: tuple[str, ...]
    rows: str
    n_rows: int
    n_groups: int
    quantities: tuple[Quantity, ...]

    def __getitem__(self, name: str) -> Quantity:
        for quantity in self.quantities:
            if quantity.quantity == name:
                return quantity
        have = ", ".join(quantity.quantity for quantity in self.quantities)
        raise RsaError(f"{self.x} has no quantity {name!r}: there is {have}")

    def as_json(self, role: str | None = None) -> dict:
        """As `geometry/X.json` of a study; the name stands in for a role that is not given."""
        return {
            "format": FORMAT,
            "x": role or self.x,
            "layers": list(self.layers),
            "rows": self.rows,
            "n_rows": self.n_rows,
            "n_groups": self.n_groups,
            "quantities": [quantity.as_json() for quantity in self.quantities],
        }

    def write(self, folder: Path | str, role: str) -> Path:
        """Writes ROLE.json and ROLE.csv into a folder; returns the path of the first."""
        path = write_json(folder, role, self.as_json(role))
        head = ("quantity", "x", "layer", "value", "low", "high", "unit")
        lines = (
            [
                q.quantity,
                role,
                layer,
                *(None if math.isnan(v) else float(v) for v in numbers),
                q.unit,
            ]
            for q in self.quantities
            for layer, *numbers in zip(self.layers, q.value, q.low, q.high, strict=True)
        )
        write_csv(path.with_suffix(".csv"), head, lines)
        return path

    @classmethod
    def read(cls, path: Path | str) -> Geometry:
        """Reads what `write` wrote; `RsaError` names the file when it is something else."""
        return read_json(path, FORMAT, "geometry", cls._from_json)

    @classmethod
    def _from_json(cls, content: dict) -> Geometry:
        return cls(
            **{name: content[name] for name in ("x", "rows", "n_rows", "n_groups")},
            layers=tuple(content["layers"]),
            quantities=tuple(Quantity.from_json(q) for q in content["quantities"]),
        )


def geometry(
    source: Source,
    *,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    rate: float | None = None,
    sequences: Sequence | np.ndarray | None = None,
    rows: str = "rows",
    progress: Callable[[str], None] | None = None,
) -> Geometry:
    """Rank, dimension, direction, size, time-scale and novelty of every layer.

    More than 5000 rows are thinned to about as many, from all groups; time-scales use all.
    Intervals, nominal 95 %, are over groups. What is not defined is NaN with a note.

    Parameters
    ----------
    groups : [rows] labels instead of the source's own.
    seed : of thinning, subsets and folds.
    rate, sequences : rows a second, and [rows] labels of the clip that each row is a frame of;
        the rows of a clip contiguous and in order. Without them there is no time-scale.
    rows : the kind of the rows, for the record.
    progress : called with the name of each layer as it begins.

    Raises
    ------
    RsaError
        Values that are not finite, fewer than 4 rows, labels that do not match the rows, a rate
        that is not positive.
    """
    check_source(source)
    check_whole("seed", seed, 0)
    labels = check_groups(source.groups if groups is None else groups, len(source))
    if sequences is not None:
        sequences = check_groups(sequences, len(source), "sequences")
    if rate is not None and not (isinstance(rate, Real) and math.isfinite(rate) and rate > 0):
        raise RsaError(f"rate {rate!r} is no number of rows a second: it must be above 0")
    check_enough(len(source))
    chosen = thin(labels, ROWS, seed) if len(source) > ROWS else np.arange(len(source))
    grouping = Grouping.deal(labels[chosen], 1, seed)
    order = chosen[grouping.order]
    timed = rate is not None and sequences is not None

    def of(place: int) -> tuple[dict[str, Found], Spectrum | None]:
        name = source.layers[place]
        if progress is not None:
            progress(name)
        x = checked(source, name, read_rows(source, name, order), len(order))
        spectrum = Spectrum.of(x)
        found = _found(x, spectrum, grouping, seed)
        if timed:
            found["half_life"] = half_life(
                lambda start, stop: read_stretch(source, name, start, stop), sequences, labels, rate
            )
        return found, spectrum

    layers = spread(of, range(len(source.layers)))
    spectra = [spectrum for _, spectrum in layers]

    def new(place: int) -> Found:
        before, layer = spectra[place - 1], spectra[place]
        if place == 0:
            return _NOTHING, ["no layer before it"]
        if before is None or layer is None:
            return _NOTHING, ["it, or the layer before, is the same in every row"]
        return novelty(before, layer, grouping, seed)

    for (found, _), added in zip(layers, spread(new, range(len(layers))), strict=True):
        found["novelty"] = added
    thinned = [f"on {len(chosen)} of {len(source)} rows"] if len(chosen) < len(source) else []
    return Geometry(
        x=source.name,
        layers=tuple(source.layers),
        rows=rows,
        n_rows=len(source),
        n_groups=grouping.groups,
        quantities=tuple(
            _filled(q, source.layers, [found[q.quantity] for found, _ in layers],
                    [] if q.quantity == "half_life" else thinned)
            for q in QUANTITIES
            if timed or q.quantity != "half_life"
        ),
    )  # fmt: skip


def _found(
    x: np.ndarray, spectrum: Spectrum | None, grouping: Grouping, seed: int
) -> dict[str, Found]:
    """Every quantity of one layer that needs no other layer and no order of the rows."""
    found: dict[str, Found] = {name: (trio, []) for name, trio in norms(x, grouping).items()}
    cosine, without = anisotropy(x, grouping)
    lost = f"{without} rows have norm zero and no direction"
    found["anisotropy"] = (cosine, [lost] if without else [])
    one = ["every track is one row"] if grouping.single else []
    found["between_tracks"] = (between_tracks(x, grouping), one)
    if spectrum is None:
        flat = (_NOTHING, ["it is the same in every row"])
        return found | dict.fromkeys((*SPREADS, *NAMES, "between_tracks"), flat)
    few = []
    if len(x) < x.shape[1]:
        few = [f"{len(x)} rows are fewer than its columns: as many directions at most, less one"]
    for name, trio in spread_of_variance(spectrum, grouping).items():
        found[name] = (trio, few)
    values, notes = dimensions(x, grouping, np.random.default_rng([seed, 5]))
    return found | {name: (trio, notes) for name, trio in values.items()}


def _filled(
    quantity: Quantity, names: Sequence[str], layers: list[Found], general: list[str]
) -> Quantity:
    """A quantity with its numbers, and one note for all layers that share it."""
    shared: dict[str, list[str]] = {}
    for name, (_, notes) in zip(names, layers, strict=True):
        for note in notes:
            shared.setdefault(note, []).append(name)
    notes = [*general]
    for note, about in shared.items():
        if len(about) == len(names):
            notes.append(note)
        else:
            more = f" and {len(about) - 1} more" if len(about) > 1 else ""
            notes.append(f"{about[0]}{more}: {note}")
    value, low, high = zip(*(trio for trio, _ in layers), strict=True)
    return replace(quantity, value=value, low=low, high=high, notes=tuple(notes))


def _plain(numbers: tuple[float, ...]) -> list[float | None]:
    return [v if math.isfinite(v) else None for v in numbers]
