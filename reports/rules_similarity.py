"""Rules about how alike layers are."""

from __future__ import annotations

import numpy as np

from reports.figures.within import novelty
from reports.grades import CLEAR_WIN, UNSUPPORTED, Finding, grade, named
from reports.numbers import Estimate, digits, number, percent, with_interval
from reports.results import Measure, Similarity
from reports.structure import Across
from reports.study import Study


def _cells(measure: Measure) -> tuple[int, int, int] | None:
    """Row and column of the largest cell, and how many cells there are."""
    usable = np.isfinite(measure.value) & np.isfinite(measure.low)
    if not usable.any():
        return None
    row, column = np.unravel_index(
        int(np.argmax(np.where(usable, measure.value, -np.inf))), measure.value.shape
    )
    return int(row), int(column), int(usable.sum())


def _null(measure: Measure, row: int, column: int) -> float:
    """The chance level, and never below 0: held-out information of chance can be negative."""
    level = float(measure.chance_high[row, column])
    return max(level, 0.0) if np.isfinite(level) else level


def _cell_grade(measure: Measure, row: int, column: int, cells: int, *, also: bool = True) -> str:
    """Grade of a cell: nothing without a small corrected p, then by the interval."""
    if not measure.above_chance[row, column]:
        return UNSUPPORTED
    best, null = measure.at(row, column), _null(measure, row, column)
    return grade(best, null, cells, interval=measure.interval, also=also)


def _others_agree(similarity: Similarity, main: Measure, row: int, column: int) -> bool:
    """Whether in every other family at least half of the measures are above chance in a cell."""
    votes: dict[str, list[bool]] = {}
    for measure in similarity.measures.values():
        if measure.family != main.family and np.isfinite(measure.p[row, column]):
            votes.setdefault(measure.family, []).append(bool(measure.above_chance[row, column]))
    return all(2 * sum(family) >= len(family) for family in votes.values())


def _stability(similarity: Similarity, row: int, column: int) -> float:
    """How often resamples agree that this column is the row's best; NaN where it is not known."""
    structure = similarity.structure
    match = structure.best_x[row] if isinstance(structure, Across) else None
    return match.stability if match is not None and match.layer == column else np.nan


def _kept(share: float) -> str:
    return f"; the same in {percent(share)} of resamples" if np.isfinite(share) else ""


def matches(study: Study) -> list[Finding]:
    """The most alike pair of layers across the models."""
    similarity = study.between("a", "b")
    measure = similarity.main() if similarity else None
    place = _cells(measure) if measure else None
    if place is None:
        return []
    row, column, cells = place
    best, null = measure.at(row, column), _null(measure, row, column)
    agree = _others_agree(similarity, measure, row, column)
    kept = _stability(similarity, row, column)
    steady = not kept < CLEAR_WIN  # also where it is not known
    verdict = _cell_grade(measure, row, column, cells, also=agree and steady)
    names = study.name_of("a"), study.name_of("b")
    if verdict == UNSUPPORTED and measure.above_chance[row, column]:
        p = number(float(measure.p[row, column]), 3)
        claim = (
            f"It is not sure how alike layers of {names[0]} and {names[1]} are: the largest "
            f"{measure.title} is above chance (p = {p}), but its interval, {with_interval(best)}, "
            f"is wide; chance reaches {number(null)}."
        )
    elif verdict == UNSUPPORTED:
        claim = (
            f"No layer of {names[0]} is more like a layer of {names[1]} than chance allows: the "
            f"largest {measure.title} is {with_interval(best)}, chance reaches {number(null)}."
        )
    else:
        have = (
            int(measure.above_chance.any(axis=1).sum()),
            int(measure.above_chance.any(axis=0).sum()),
        )
        claim = (
            f"The layers most alike are {named(similarity.layers_x[row])} of {names[0]} and "
            f"{named(similarity.layers_y[column])} of {names[1]}: {measure.title} "
            f"{with_interval(best)}, "
            f"chance reaches {number(null)}{_kept(kept)}; {have[0]} of "
            f"{len(measure.value)} layers of {names[0]} and {have[1]} of "
            f"{measure.value.shape[1]} of {names[1]} are above chance with some layer of the other."
        )
    return [
        Finding(
            "match",
            claim,
            best,
            null,
            cells,
            verdict,
            f"{measure.name}: p corrected for {cells} pairs of layers, interval widened for as "
            "many, half of every other family of measures above chance, the pair the same in "
            f"{percent(CLEAR_WIN)} of resamples",
            "cross",
            {"x": similarity.layers_x[row], "y": similarity.layers_y[column], "value": best.value},
        )
    ]


def resemblances(study: Study) -> list[Finding]:
    """Where a reference is most resembled, against the layer at the other end."""
    table = []
    for role in study.models:
        found = study.between(role, "ref")
        measure = found.main() if found else None
        if measure is None or len(found.layers_x) < 3:
            continue
        for column, name in enumerate(found.layers_y):
            values = measure.value[:, column]
            if np.isfinite(values).any():
                table.append((role, found, measure, column, name, int(np.nanargmax(values))))
    out = []
    for role, found, measure, column, name, peak in table:
        last = len(found.layers_x) - 1
        end = last if peak <= last / 2 else 0
        best, rest = measure.at(peak, column), measure.at(end, column)
        drop = best.minus(rest)
        above = bool(measure.above_chance[peak, column])
        looked = len(table) * len(found.layers_x)
        verdict = grade(drop, 0.0, looked, interval=measure.interval) if above else UNSUPPORTED
        title, places = study.name_of(role), digits(best, rest)
        if verdict == UNSUPPORTED:
            claim = (
                f"No layer of {title} resembles {named(name)} clearly more than its other end "
                "does: at most "
                f"{with_interval(best)} ({measure.title})."
            )
        else:
            fades = (
                "fades towards the output"
                if peak < last / 3
                else "grows towards the output"
                if peak > 2 * last / 3
                else "is strongest midway"
            )
            claim = (
                f"Resemblance to {named(name)} {fades} in {title}: {with_interval(best)} at "
                f"{named(found.layers_x[peak])}, {number(rest.value, places)} at "
                f"{named(found.layers_x[end])} "
                f"({measure.title}); difference {with_interval(drop, sign=True)}."
            )
        out.append(
            Finding(
                "resemblance",
                claim,
                drop,
                0.0,
                looked,
                verdict,
                f"difference of two layers, intervals taken as independent, widened for {looked} "
                "layers and references",
                "resemblance",
                {"role": role, "reference": name, "layer": found.layers_x[peak]},
            )
        )
    return out


def informations(study: Study) -> list[Finding]:
    """The pair of layers that shares most bits."""
    similarity = study.between("a", "b")
    measures = similarity.information() if similarity else ()
    place = _cells(measures[0]) if measures else None
    if place is None:
        return []
    measure = measures[0]
    row, column, cells = place
    best, null = measure.at(row, column), _null(measure, row, column)
    verdict = _cell_grade(measure, row, column, cells)
    unit = measure.unit or "bits"
    one, other = named(similarity.layers_x[row]), named(similarity.layers_y[column])
    pair = f"{one} of {study.name_of('a')} and {other} of {study.name_of('b')}"
    level = number(null, digits(best))
    text = f"{with_interval(best, unit)} ({measure.title}; chance reaches {level})"
    claim = (
        f"No two layers share more information than chance allows: at most {text}."
        if verdict == UNSUPPORTED
        else f"The most information is shared by {pair}: {text}."
    )
    return [
        Finding(
            "information",
            claim,
            best,
            null,
            cells,
            verdict,
            f"{measure.name}: p corrected for {cells} pairs of layers, interval widened for as "
            "many",
            "information",
            {"x": similarity.layers_x[row], "y": similarity.layers_y[column], "value": best.value},
        )
    ]


def novelties(study: Study) -> list[Finding]:
    """The largest step from one layer to the next inside a model."""
    out = []
    for role in study.models:
        similarity = study.between(role, role)
        measure = similarity.main() if similarity else None
        if measure is None or len(measure.value) < 3:
            continue
        steps = novelty(measure)
        if not np.isfinite(steps[:, 0]).any():
            continue
        at = int(np.nanargmax(steps[:, 0]))
        best = Estimate(*(float(v) for v in steps[at]))
        typical = float(np.nanmedian(steps[:, 0]))
        verdict = grade(best, typical, len(steps), interval=measure.interval)
        names = similarity.layers_x
        where = f"from {named(names[at])} to {named(names[at + 1])}"
        head = f"{study.name_of(role)} changes most {where}"
        if verdict == UNSUPPORTED:
            head = f"{study.name_of(role)} changes by no clear leap; most {where}"
        claim = (
            f"{head}: novelty (1 - {measure.title}) {with_interval(best)}, typical step "
            f"{number(typical, digits(best))}."
        )
        out.append(
            Finding(
                "novelty",
                claim,
                best,
                typical,
                len(steps),
                verdict,
                f"largest step against the median step, widened for {len(steps)} steps",
                "within",
                {"role": role, "from": names[at], "to": names[at + 1]},
            )
        )
    return out
