"""Compares sources layer by layer, by several measures, on the same rows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from rsa.errors import RsaError
from rsa.inference.chance import verdict
from rsa.inference.stability import ceilings, on_fewer_groups
from rsa.inference.structure import Structure, across, within
from rsa.measures import DEFAULT, MEASURES, resolve, several
from rsa.measures.base import Measure, Table
from rsa.rows.grouping import check_groups
from rsa.rows.joint import DRAWS, Joint
from rsa.similarity import MeasureResult, Similarity
from rsa.source import Source, check_names, check_source, check_whole
from rsa.team import ALONE, Team

# measures that structure is taken from before any other, and whose stability is found
MAIN = ("cka:linear,track-debiased", "cka:linear,debiased")
# notes of one measure that are written out; the rest is counted
NOTES = 10


@dataclass(frozen=True)
class Comparison:
    """Similarities within and between sources.

    `comparison["a", "b"]` by the sources' names, `comparison.between(0, 1)` by their order; the
    same source twice is the comparison of its layers with each other.
    """

    names: tuple[str, ...]
    similarities: dict[tuple[int, int], Similarity]

    def between(self, i: int, j: int) -> Similarity:
        if (i, j) not in self.similarities:
            raise RsaError(f"sources {i} and {j} were not compared: add the pair to `pairs`")
        return self.similarities[i, j]

    def __getitem__(self, names: tuple[str, str]) -> Similarity:
        for name in names:
            if name not in self.names:
                raise RsaError(f"{name!r} was not compared: there are {', '.join(self.names)}")
            if self.names.count(name) > 1:
                raise RsaError(f"several sources are named {name!r}: use between(i, j)")
        return self.between(self.names.index(names[0]), self.names.index(names[1]))

    def __iter__(self):
        return iter(self.similarities.values())


def compare(
    *sources: Source,
    measures: str | Measure | Iterable[str | Measure] = DEFAULT,
    pairs: Iterable[tuple[int, int]] | None = None,
    groups: Sequence | np.ndarray | None = None,
    blocks: int = 32,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
    draws: int = DRAWS,
    rows: str = "rows",
    confound: tuple[int, str] | None = None,
    structure: bool = True,
    stability: bool = True,
    team: Team = ALONE,
    owners: np.ndarray | None = None,
) -> Comparison:
    """Similarity of all layers of all sources, within each and between each two.

    Parameters
    ----------
    sources : with the same rows and the same groups; see `rsa.source.Source`. Their names differ,
        unless `pairs` tells them apart by place.
    measures : canonical strings, stems, families, `default` or `all`; see `rsa.measures.MEASURES`.
    pairs : places of the sources to report, (i, i) for within; all when None.
    groups : [rows] labels instead of the sources' own.
    blocks : of groups that are left out in turn for the intervals.
    seed : of the dealing of groups into blocks and of the permutations.
    device : of the products of Gram tiles; anything but `cpu` needs torch.
    progress : called with the name of each measure as it begins.
    draws : permutations of whole groups for the levels of chance; 0 for none. Dear measures take
        fewer, and say so.
    rows : the kind of the rows, for the record.
    confound : place of a source and the name of its layer that stands for the input, for measures
        that take out what the input alone makes alike.
    structure, stability : whether blocks, clusters and matchings of layers are found, and what the
        main measure gives on fewer groups and on half of the units. The main measure is linear
        CKA, debiased by tracks if it is among `measures`, else by rows; without it there is no
        stability, and structure is that of the first measure of its family that has replicates.
    team : processes that all make this same call and share the work. Where layers fit in memory
        all digits are those of one process; where they do not, each reads the rows of its own
        groups alone and sums are added.
    owners : [rows] the process of `team` that can read each row, where not every one can read all.

    Raises
    ------
    RsaError
        Sources with different rows or groups, values that are not finite, unknown measures.
    """
    for place, source in enumerate(sources):
        check_source(source, f"source {place}")
    if pairs is None:
        check_names(sources)
    chosen = named(measures)
    for name, number, least in (("blocks", blocks, 1), ("draws", draws, 0), ("seed", seed, 0)):
        check_whole(name, number, least)
    if groups is not None and sources:
        groups = check_groups(groups, len(sources[0]))
    wanted = _places(pairs, len(sources))
    if confound is not None:
        _check_confound(confound, sources)
    share = max((getattr(m, "variance", 0.0) for m in chosen), default=0.0)
    joint = Joint(
        sources, groups, blocks, draws, seed, device, share, wanted, confound, team, owners
    )  # fmt: skip
    tables = []
    for measure in chosen:
        if progress is not None:
            progress(measure.name)
        tables.append((measure, measure.estimate(joint)))
    ends = np.cumsum([0, *(len(source.layers) for source in sources)])
    places = [np.arange(start, stop) for start, stop in zip(ends[:-1], ends[1:], strict=True)]
    main = _main(tables)
    fewer = {}
    if stability and main is not None and tables[main][0].name in MAIN and wanted:
        measure, table = tables[main]
        if progress is not None:
            progress("stability")
        extra = table.extra | {"ceiling": ceilings(measure, joint, seed)}
        tables[main] = (measure, replace(table, extra=extra))
        fewer = on_fewer_groups(measure, joint, places, wanted, table.value, seed)
    similarities = {
        (i, j): Similarity(
            x=sources[i].name,
            y=sources[j].name,
            layers_x=tuple(sources[i].layers),
            layers_y=tuple(sources[j].layers),
            rows=rows,
            n_rows=joint.rows,
            n_groups=joint.grouping.groups,
            blocks=joint.grouping.blocks,
            measures=tuple(_cut(m, table, places[i], places[j]) for m, table in tables),
            structure=(
                None
                if main is None or not structure
                else _structure(*tables[main], places[i], places[j], i == j, seed)
            ),
            stability=fewer.get((i, j)),
        )
        for i, j in wanted
    }
    return Comparison(tuple(source.name for source in sources), similarities)


def named(measures: str | Measure | Iterable[str | Measure]) -> list[Measure]:
    """Measures by name, stem (`svcca`), family, `default` or `all`, or as they are."""
    if isinstance(measures, (str, Measure)):
        measures = [measures]
    elif not isinstance(measures, Iterable):
        raise RsaError(f"measures={measures!r}: names are needed, rsa.MEASURES has them all")
    names: list[str | Measure] = []
    for name in measures:
        if not isinstance(name, (str, Measure)):
            raise RsaError(f"measure {name!r} is no name: rsa.MEASURES has them all")
        names += (
            [name] if isinstance(name, Measure) or name in MEASURES else several(name) or [name]
        )
    if not names:
        raise RsaError("no measure to compare by: name at least one, or 'default'")
    return resolve(names)


def _places(pairs: Iterable[tuple[int, int]] | None, count: int) -> list[tuple[int, int]]:
    """Pairs of places of sources; `RsaError` for what is none."""
    if pairs is None:
        return list(combinations_with_replacement(range(count), 2))
    wanted = []
    try:
        for pair in pairs:
            i, j = map(operator.index, pair)
            wanted.append((i, j))
    except (TypeError, ValueError):
        raise RsaError(f"pairs={pairs!r}: give places of two sources each, [(0, 1)]") from None
    for i, j in wanted:
        if not (0 <= i < count and 0 <= j < count):
            raise RsaError(f"pair ({i}, {j}) names no source: there are {count}")
    return wanted


def _check_confound(confound: tuple[int, str], sources: Sequence[Source]) -> None:
    """Raises `RsaError` unless it is the place of a source and the name of a layer of it."""
    try:
        place, layer = confound
        source = sources[place]
    except (TypeError, ValueError, IndexError):
        raise RsaError(
            "confound is no place of a source with the name of its layer: give (1, 'log-mel')"
        ) from None
    if layer not in source.layers:
        raise RsaError(f"confound {layer!r} is no layer: there are {', '.join(source.layers)}")


def _main(tables: Sequence[tuple[Measure, Table]]) -> int | None:
    """Place of the measure that structure is taken from."""
    names = [measure.name for measure, _ in tables]
    for place in (*(names.index(n) for n in MAIN if n in names), *range(len(tables))):
        measure, table = tables[place]
        if measure.family == "cka" and table.replicates is not None and len(table.replicates) > 1:
            return place
    return None


def _structure(
    measure: Measure, table: Table, x: np.ndarray, y: np.ndarray, same: bool, seed: int
) -> Structure | None:
    """Structure of one pair of sources; None across where nothing was held against chance."""
    at = np.ix_(x, y)
    value, replicates = table.value[at], table.replicates[(slice(None), *at)]
    if same:
        return within(measure.name, value, replicates, seed)
    found = verdict(measure, value, table.null, at)
    if np.isnan(found.p).all():
        return None
    return across(measure.name, value, replicates, found.level, found.p, seed)


def _concerns(about: frozenset[int], x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a note on one layer, or on a pair of them, belongs to the pairs of x and y."""
    first, second = set(x.tolist()), set(y.tolist())
    if len(about) == 2:
        one, other = about
        return (one in first and other in second) or (other in first and one in second)
    return about <= first | second


def _cut(measure: Measure, table: Table, x: np.ndarray, y: np.ndarray) -> MeasureResult:
    """One measure's table, cut to the layers of two sources and held against chance."""
    at = np.ix_(x, y)
    value = table.value[at]
    found = verdict(measure, value, table.null, at)
    extra = {} if measure.symmetric else {"reverse": table.value[np.ix_(y, x)].T}
    for name, array in table.extra.items():
        if array.ndim == 2:
            extra[name] = array[at]
        else:
            extra |= {f"{name}_x": array[x], f"{name}_y": array[y]}
    notes = [text for about, text in table.notes if _concerns(about, x, y)]
    if len(notes) > NOTES:
        notes[NOTES:] = [f"and {len(notes) - NOTES} more notes like the last"]
    return MeasureResult(
        measure=measure.name,
        title=measure.title,
        family=measure.family,
        unit=measure.unit,
        formula=measure.formula,
        source=measure.source,
        says=measure.says,
        beware=measure.beware,
        range=measure.range,
        symmetric=measure.symmetric,
        larger_is_more_similar=measure.larger_is_more_similar,
        chance_by=table.null.by,
        value=value,
        low=table.low[at],
        high=table.high[at],
        chance=found.chance,
        chance_high=found.level,
        score=found.score,
        p=found.p,
        extra=extra,
        notes=tuple(notes),
    )
