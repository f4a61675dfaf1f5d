"""What each layer tells about labels: information of clusters, free of the bias of counting."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rsa.errors import RsaError
from rsa.inference.intervals import null_level, subsampled
from rsa.layerwise.expected import Contingency
from rsa.records import FAULTS, write_csv, write_json
from rsa.rows.grouping import Grouping, check_groups
from rsa.rows.joint import principal_components
from rsa.rows.streaming import Standard
from rsa.rows.thinning import read_rows
from rsa.source import Source, check_source, check_whole, checked
from rsa.threads import spread

FORMAT = 1
CLUSTERS, FEWEST_CLUSTERS = 64, 4
# (clusters - 1) (classes - 1) is at most this share of 2 N, N the rows
SHARE = 0.25
BINS = 8
FOLDS, SEEDS, DRAWS, SUBSETS = 3, 3, 99, 20
# components in which clusters are sought, and rows at most
COMPONENTS, ROWS = 32, 20_000
FEWEST_ROWS, FEWEST_GROUPS, FEWEST_PER_CLASS = 40, 6, 2


@dataclass(frozen=True)
class Label:
    """One label and all layers; the fields are those of `information/X.json` in docs/study.md."""

    label: str
    kind: str
    classes: int
    clusters: int
    n_rows: int
    n_groups: int
    entropy: float
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    floor: tuple[float, ...]
    floor_high: tuple[float, ...]
    adjusted: tuple[float, ...]
    p: tuple[float, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelInformation:
    """What the layers of one source tell about labels, in bits.

    Attributes
    ----------
    x : name of the source, or its role once written.
    skipped : label -> why it was left out.
    """

    x: str
    layers: tuple[str, ...]
    rows: int
    measure: str
    labels: tuple[Label, ...]
    skipped: Mapping[str, str]

    def __getitem__(self, name: str) -> Label:
        for one in self.labels:
            if one.label == name:
                return one
        why = self.skipped.get(name, f"there are {', '.join(a.label for a in self.labels)}")
        raise RsaError(f"no information about {name!r}: {why}")

    def as_json(self, role: str | None = None) -> dict:
        """As in docs/study.md; numbers that do not exist are None."""
        return {
            "format": FORMAT,
            "x": self.x if role is None else role,
            "layers": list(self.layers),
            "rows": self.rows,
            "measure": self.measure,
            "unit": "bits",
            "labels": [{k: _plain(v) for k, v in asdict(one).items()} for one in self.labels],
            "skipped": [{"label": name, "why": why} for name, why in self.skipped.items()],
        }

    def write(self, folder: Path, role: str) -> Path:
        """Writes `<role>.json` and `<role>.csv` into a folder; returns the path of the JSON."""
        path = write_json(folder, role, self.as_json(role))
        numbers = ("value", "low", "high", "floor", "floor_high", "adjusted", "p")
        lines = (
            (
                role,
                self.measure,
                one.label,
                layer,
                _plain(one.entropy),
                *(_plain(getattr(one, name)[place]) for name in numbers),
            )
            for one in self.labels
            for place, layer in enumerate(self.layers)
        )
        head = ("x", "measure", "label", "layer", "entropy", *numbers)
        write_csv(path.with_suffix(".csv"), head, lines)
        return path

    @classmethod
    def read(cls, path: Path) -> LabelInformation:
        """Reads what `write` wrote; `RsaError` names the file when it cannot."""
        try:
            entry = json.loads(Path(path).read_text("utf-8"))
            if entry["format"] != FORMAT:
                raise RsaError(f"{path}: format {entry['format']}, not {FORMAT}; compute it again")
            labels = tuple(
                Label(**{
                    key: tuple(math.nan if v is None else v for v in item)
                    if isinstance(item, list) else item
                    for key, item in one.items()
                })
                for one in entry["labels"]
            )  # fmt: skip
            skipped = {one["label"]: one["why"] for one in entry["skipped"]}
            return cls(
                entry["x"], tuple(entry["layers"]), entry["rows"], entry["measure"], labels, skipped
            )
        except FAULTS as error:
            raise RsaError(f"{path}: not information about labels ({error})") from None


def label_information(
    source: Source,
    labels: Mapping[str, Sequence],
    *,
    groups: Sequence | np.ndarray | None = None,
    clusters: int | None = None,
    bins: int = BINS,
    seed: int = 0,
    draws: int = DRAWS,
    seeds: int = SEEDS,
    progress: Callable[[str], None] | None = None,
) -> LabelInformation:
    """Bits about each label that the clusters of each layer hold beyond chance.

    k-means on whitened leading components, fitted on some groups; the rows of the others get the
    nearest centre, each group being held out once. The value is the mutual information of cluster
    and label less its expectation over all ways to deal the same labels to the same clusters
    (Vinh et al. 2010, J. Mach. Learn. Res. 11, eq. 24a), averaged over starts of k-means; rows,
    clusters and folds are the same for all layers. The floor is the same of labels that are dealt
    to other groups: rows of one group share label and cluster, so it may lie above 0.

    Parameters
    ----------
    labels : label -> [rows] values, None where a row has none; numbers are cut into `bins` bins of
        equal frequency.
    groups : [rows] labels instead of the source's own.
    clusters : of k-means; when None, 64 or fewer, so that the bias removed stays small.
    seed : of folds, starts, subsets and permutations.
    draws : permutations of labels over whole groups, the same for all layers.
    seeds : starts of k-means.
    progress : called with the name of each layer as it begins.

    Raises
    ------
    RsaError
        Columns of another length, fewer than 2 clusters, values that are not finite. A label with
        too little data is no error: it stands in `skipped` with the reason.
    """
    check_source(source)
    if not isinstance(labels, Mapping):
        raise RsaError('labels are needed by name: give {"name": values}, one value a row')
    names = check_groups(source.groups if groups is None else groups, len(source))
    if clusters is not None:
        check_whole("clusters", clusters, 2)
    for name, number, least in (
        ("bins", bins, 2), ("seed", seed, 0), ("draws", draws, 0), ("seeds", seeds, 1),
    ):  # fmt: skip
        check_whole(name, number, least)
    questions, skipped = [], {}
    for name, column in labels.items():
        sized = isinstance(column, Sized) and not isinstance(column, str)
        if not sized or getattr(column, "ndim", 1) != 1:
            raise RsaError(f"label {name} is no column: give one value a row")
        if len(column) != len(source):
            raise RsaError(
                f"label {name} has {len(column)} values for {len(source)} rows: give one a row"
            )
        found = _question(name, list(column), names, clusters, bins, seed, draws)
        if isinstance(found, str):
            skipped[name] = found
        else:
            questions.append(found)
    answers: list[list[_Answer]] = [[] for _ in questions]
    for layer in source.layers:
        if progress is not None:
            progress(layer)
        values, known = _Reading(source, layer), {}
        for question, given in zip(questions, answers, strict=True):
            key = (question.clusters, question.rows.tobytes())
            if key not in known:
                known[key] = question.cluster(values.of(question.rows), seed, seeds)
            given.append(question.ask(known[key]))
    done = tuple(q.result(a) for q, a in zip(questions, answers, strict=True))
    used = sorted({one.clusters for one in done})
    told = str(used[0]) if len(used) == 1 else "auto"
    return LabelInformation(
        source.name, tuple(source.layers), len(source), f"mi:kmeans,clusters={told},adjusted",
        done, skipped,
    )  # fmt: skip


class _Reading:
    """Some rows of a layer, read once where all rows together are few enough to be held."""

    def __init__(self, source: Source, layer: str):
        self.source, self.layer, self.whole = source, layer, None
        if len(source) <= 2 * ROWS:
            self.whole = self._read(np.arange(len(source)))

    def of(self, rows: np.ndarray) -> np.ndarray:
        return self._read(rows) if self.whole is None else self.whole[rows]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        values = read_rows(self.source, self.layer, rows)
        return checked(self.source, self.layer, values, len(rows))


@dataclass(frozen=True)
class _Answer:
    """One layer: value and its parts in bits, on subsets and under shuffled labels."""

    value: float
    adjusted: float
    subsets: np.ndarray
    drawn: np.ndarray


@dataclass(frozen=True)
class _Question:
    """One label on the rows that have it, in an order where groups are contiguous.

    Attributes
    ----------
    rows : [n] places in the source; codes : [n] classes; orders : [draws, n] rearrangements of
        them; masks : [subsets, n] halves of the groups; folds : [n] in which each is held out.
    """

    name: str
    kind: str
    classes: int
    clusters: int
    rows: np.ndarray
    codes: np.ndarray
    grouping: Grouping
    orders: np.ndarray
    masks: np.ndarray
    folds: np.ndarray
    notes: tuple[str, ...]

    def cluster(self, x: np.ndarray, seed: int, seeds: int) -> np.ndarray | None:
        """[starts, n] cluster of each of its rows of one layer [n, width]; None if it is constant.

        Whitened leading components; centres are those of rows in other folds.
        """
        from sklearn.cluster import MiniBatchKMeans

        standard = Standard.of([x])
        if standard.scale == 0.0:
            return None
        x = standard.apply(x)
        basis = principal_components(x, 0.0, COMPONENTS)
        scores = basis.scores[:, :COMPONENTS] * np.sqrt(len(x))
        out = np.empty((seeds, len(x)), dtype=int)
        starts = np.random.default_rng([seed, 9]).integers(2**31, size=seeds)

        def one(job: tuple[int, int]) -> None:
            number, fold = job
            test = self.folds == fold
            means = MiniBatchKMeans(
                self.clusters, random_state=int(starts[number]), n_init=1, batch_size=1024,
                max_iter=50,
            )  # fmt: skip
            out[number, test] = means.fit(scores[~test]).predict(scores[test])

        spread(one, [(number, fold) for number in range(seeds) for fold in range(FOLDS)])
        return out

    def ask(self, found: np.ndarray | None) -> _Answer:
        """What clusters [starts, n] of one layer tell."""
        if found is None:
            nothing = np.full(len(self.masks), np.nan), np.full(len(self.orders), np.nan)
            return _Answer(np.nan, np.nan, *nothing)
        parts = [
            self._count(cluster, self.folds == fold) for cluster in found for fold in range(FOLDS)
        ]
        return _Answer(*(_mean_of_folds(part) for part in zip(*parts, strict=True)))

    def _count(self, cluster: np.ndarray, test: np.ndarray) -> tuple:
        """The parts of an answer from the rows of one fold."""

        def table(which: np.ndarray, codes: np.ndarray) -> Contingency:
            return Contingency.of(cluster[which], codes[which], self.clusters, self.classes)

        held = table(test, self.codes)
        drawn = [table(test, self.codes[order]).information for order in self.orders]
        # only their spread matters; what chance adds is nearly the same in all
        subsets = [table(test & mask, self.codes).information for mask in self.masks]
        return held.beyond_chance, held.adjusted, subsets, np.array(drawn) - held.expected

    def result(self, answers: Sequence[_Answer]) -> Label:
        """All layers together: intervals, floors, p corrected for the best of all layers."""
        value = np.array([a.value for a in answers])
        drawn = np.array([a.drawn for a in answers]).T
        subsets = np.array([a.subsets for a in answers]).T
        groups = self.grouping.groups
        low, high = subsampled(value, subsets, groups // 2, groups)
        floor, level = null_level(drawn)
        p = _largest(value, drawn)
        share = np.bincount(self.codes) / len(self.codes)
        share = share[share > 0]
        notes = list(self.notes)
        if np.isnan(value).any():
            notes.append("layers that are the same in every row have no value")
        columns = (value, low, high, floor, level, [a.adjusted for a in answers], p)
        return Label(
            self.name, self.kind, self.classes, self.clusters, len(self.rows), groups,
            float(-(share * np.log2(share)).sum()),
            *(tuple(float(v) for v in column) for column in columns),
            tuple(notes),
        )  # fmt: skip


def _question(
    name: str,
    column: list,
    names: np.ndarray,
    clusters: int | None,
    bins: int,
    seed: int,
    draws: int,
) -> _Question | str:
    """The label made ready, or why it cannot be asked."""
    notes = []
    has = np.array([v is not None and v == v for v in column], dtype=bool)
    rows = np.flatnonzero(has)
    if len(rows) > ROWS:
        _, group, size = np.unique(names[rows], return_inverse=True, return_counts=True)
        chosen = np.random.default_rng([seed, 10]).permutation(len(size))
        fitting = max(1, np.searchsorted(np.cumsum(size[chosen]), ROWS))
        rows = rows[np.isin(group, chosen[:fitting])]
        notes.append(f"on {len(rows)} of {has.sum()} rows")
    numbers = [isinstance(column[i], (float, np.floating)) for i in rows]
    values = np.array([str(column[i]) for i in rows], dtype=object)
    kind = "classification"
    if numbers and all(numbers):
        kind = "regression"
        amounts = np.array([float(column[i]) for i in rows])
        edges = np.quantile(amounts, np.arange(1, bins) / bins)
        codes = np.unique(np.searchsorted(edges, amounts, side="right"), return_inverse=True)[1]
        notes.append(f"numbers cut into {codes.max(initial=0) + 1} bins of about equal frequency")
    else:
        kinds, codes, size = np.unique(values, return_inverse=True, return_counts=True)
        rare = size < FEWEST_PER_CLASS
        if rare.any():
            notes.append(f"{rare.sum()} classes with one row left out")
            keep = ~rare[codes]
            rows, codes = rows[keep], np.unique(codes[keep], return_inverse=True)[1]
    classes = int(codes.max(initial=-1)) + 1
    count = len(set(names[rows]))
    if classes < 2:
        return f"{classes} class{'es' if classes != 1 else ''} with rows enough: 2 are needed"
    if len(rows) < FEWEST_ROWS or count < FEWEST_GROUPS:
        return f"{len(rows)} rows in {count} groups: {FEWEST_ROWS} in {FEWEST_GROUPS} are needed"
    most = int(SHARE * 2 * (len(rows) / FOLDS) / (classes - 1)) + 1
    # a power of two: labels of the same rows then share their clusters more often
    k = min(CLUSTERS, most, len(rows) // (2 * FOLDS)) if clusters is None else clusters
    k = 2 ** int(np.log2(max(k, 1))) if clusters is None else k
    if k < FEWEST_CLUSTERS and clusters is None:
        return f"{len(rows)} rows are too few for {classes} classes"
    if k > len(rows) * (FOLDS - 1) // (2 * FOLDS):
        return f"{len(rows)} rows are too few for {k} clusters"
    if k > most:
        notes.append(f"{k} clusters and {classes} classes are many for {len(rows)} rows")
    grouping = Grouping.deal(names[rows], 1, seed)
    rows, codes = rows[grouping.order], codes[grouping.order]
    group = grouping.group_of_row
    dealt = Grouping.deal(group, FOLDS, seed)
    folds = np.empty(len(rows), dtype=int)
    folds[dealt.order] = np.repeat(np.arange(dealt.blocks), np.diff(dealt.edges))
    rng = np.random.default_rng([seed, 11])
    # groups change places within a fold, so that each fold's table has its own labels
    orders = np.tile(np.arange(len(rows)), (draws, 1))
    for fold in range(dealt.blocks):
        at = np.flatnonzero(folds == fold)
        inside = Grouping.deal(group[at], 1, seed)
        for order in orders:
            order[at[inside.order]] = at[inside.order[inside.permutation(rng)]]
    masks = np.zeros((SUBSETS, len(rows)), dtype=bool)
    for mask in masks:
        mask[:] = np.isin(group, rng.permutation(grouping.groups)[: grouping.groups // 2])
    return _Question(
        name, kind, classes, k, rows, codes, grouping, orders, masks, folds, tuple(notes)
    )


def _mean_of_folds(parts: Sequence) -> np.ndarray:
    """Mean over the first axis; half of the groups may leave a fold without a row, then NaN."""
    parts = np.array(parts, dtype=float)
    known = np.isfinite(parts)
    with np.errstate(invalid="ignore"):
        return np.where(known, parts, 0.0).sum(axis=0) / known.sum(axis=0)


def _largest(value: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    from rsa.inference.chance import largest_of_all

    return largest_of_all(value[None], drawn[:, None])[0]


def _plain(value):
    """Tuples as lists, NaN as None."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
