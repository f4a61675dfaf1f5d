"""What carries a task: references are erased from every layer, and every task is probed again.

A task rides on a reference where erasing that costs more than

- erasing a random subspace of as many dimensions of the same layer, and
- erasing made-up references that the layer carries as well, with the rest of the reference dealt to
  other groups (training groups are few: any reference goes with the labels of some of them by
  chance, and erasing what a layer does not carry takes from the task what that predicts), and
- erasing random subspaces that take as much variance away.

Without the third the task needs the reference's directions, or any that are as strong: where the
layer is made of the reference (chroma in a chord network) strong directions take it away as well.
What erasing costs is held against the spread of a control and of groups together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probes.errors import ProbeError
from probes.heads.linear import PENALTIES
from probes.record import Record
from probes.scored import Score
from probes.source import Source, read_layer
from probes.targets import Target, together
from probes.threads import one_a_core
from probes.trust.intervals import around
from probes.why.contrast import Contrast, contrasts
from probes.why.erasure import DIRECTIONS
from probes.why.headline import Headline
from probes.why.tally import CONTROLS, EQUAL, MADE, RANDOM, Batch, Drawn, Head, Settings, Tally

DRAWS = 10


@dataclass(frozen=True)
class Erased(Record):
    """One reference, erased from one layer.

    Attributes
    ----------
    carried : R2 of the reference from the layer by ridge regression on validation rows: near 0,
        there was nothing to erase.
    removed, variance : dimensions that the layer lost, and the share of its variance in them.
    taken : control -> mean share of the variance that went with it.
    score : what is left on the headline split.
    drop : what that is less than before.
    controls : `random`, `equal variance`, `made up` -> what erasing these costs.
    above : control -> drop minus the control's; a family are all layers and references.
    over : other reference -> drop minus what erasing that one costs; a family are all layers and
        pairs.
    """

    carried: float
    removed: int
    variance: float
    taken: Mapping[str, float]
    score: Score
    drop: Score
    controls: Mapping[str, Score]
    above: Mapping[str, Contrast]
    over: Mapping[str, Contrast]


@dataclass(frozen=True)
class Selected(Record):
    """One reference at the selected layer, tested with the other references there alone.

    Few tests find more than many; which layer is meant must be settled before the test rows are
    seen. Fields as in `Erased`.
    """

    above: Mapping[str, Contrast]
    over: Mapping[str, Contrast]

    @property
    def needed(self) -> bool:
        """Erasing costs more than random subspaces and than made-up references."""
        return self.above[RANDOM].above and self.above[MADE].above

    @property
    def rides(self) -> bool:
        """And more than random subspaces with as much variance."""
        return self.needed and self.above[EQUAL].above


@dataclass(frozen=True)
class Reference(Record):
    """A reference as it was erased.

    Attributes
    ----------
    directions : leading principal components of it, on training rows.
    share : of its variance that these hold.
    layers : in order of depth.
    """

    name: str
    directions: int
    share: float
    layers: tuple[Erased, ...]
    selected: Selected


@dataclass(frozen=True)
class Riding(Record):
    """What erasing references from every layer costs one task.

    Attributes
    ----------
    head : `least squares`, or `linear` for that of the protocol.
    draws : of each control.
    selected : a layer that was chosen on other rows.
    before : score of each layer with nothing erased, by the same head.
    notes : sentences for the reader.
    """

    task: str
    head: str
    metric: str
    split: str
    chance: float
    groups: int
    draws: int
    selected: str
    layers: tuple[str, ...]
    before: tuple[Score, ...]
    references: tuple[Reference, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Reference:
        for one in self.references:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.references)
        raise ProbeError(f"task {self.task}: {name} was not erased, only {known}")

    def erased(self, name: str, layer: str) -> Erased:
        """What erasing a reference from a layer does."""
        if layer not in self.layers:
            raise ProbeError(f"task {self.task} has no layer {layer}: {', '.join(self.layers)}")
        return self[name].layers[self.layers.index(layer)]

    @property
    def on(self) -> tuple[str, ...]:
        """References that the task needs at the selected layer, and may ride on.

        One is left out when erasing another that it needs is shown to cost more.
        """
        here = {one.name: one.selected for one in self.references if one.selected.needed}
        return tuple(
            name
            for name, one in here.items()
            if not any(one.over[other].below for other in here if other != name)
        )


def riding(
    source: Source,
    references: Source,
    targets: Sequence[Target],
    *,
    selected: Mapping[str, str] | None = None,
    head: Head = "least squares",
    directions: int = DIRECTIONS,
    draws: int = DRAWS,
    penalties: Sequence[float] = PENALTIES,
    resamples: int = 1000,
    seed: int = 0,
    layers: Sequence[str] | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Riding]:
    """Erases each reference from each layer and probes every task again, with controls.

    The eraser is fitted on the training rows of the probe, and the penalty of every probe is chosen
    anew on validation.

    Parameters
    ----------
    source, references : layers over the same rows as the targets.
    selected : task -> the layer that validation chose; where it is not named, the one with the
        least validation loss of these probes.
    head : `least squares` probes in closed form; `linear`, those of the protocol, through
        `probes.solvers.solve`, take a hundred times as long: for few layers and draws.
    directions : principal components of a reference that are erased at most.
    draws : of random subspaces, and of made-up references.
    layers : those to look at; all when None.

    Raises
    ------
    ProbeError : rows that do not match, values that are not finite.
    """
    if head not in ("least squares", "linear"):
        raise ProbeError(f"head {head!r} cannot be probed again: use least squares or linear")
    if len(source) != len(references):
        raise ProbeError(
            f"{source.name} has {len(source)} rows and {references.name} {len(references)}: "
            "extract both over the same clips and rows"
        )
    if draws < 2:
        raise ProbeError(f"draws {draws}: at least 2 are needed for a spread")
    layers = tuple(source.layers if layers is None else layers)
    for task, layer in (selected or {}).items():
        if layer not in layers:
            raise ProbeError(f"task {task}: no layer {layer} to look at; there are {layers}")
    tables = {
        name: read_layer(references, name, device).double().cpu().numpy()
        for name in references.layers
    }
    batches = together(targets)
    settings = Settings(head, directions, draws, tuple(penalties), resamples, seed)
    found: dict[int, Riding] = {}
    for number, some in enumerate(batches):
        batch, tallies = Batch(some, tables, settings), []

        def one(at: int, batch: Batch = batch) -> list[Tally]:
            return batch.layer(read_layer(source, layers[at], device), at)

        with one_a_core(device) as pool:
            for tally in pool.map(one, range(len(layers))):
                tallies.append(tally)
                if progress:
                    progress(number * len(layers) + len(tallies), len(batches) * len(layers))
        for headline, column in zip(batch.headlines, zip(*tallies, strict=True), strict=True):
            chosen = (selected or {}).get(headline.target.task.name)
            found[id(headline.target)] = _result(batch, headline, layers, column, chosen)
    return [found[id(target)] for target in targets]


def _result(
    batch: Batch,
    headline: Headline,
    layers: tuple[str, ...],
    table: Sequence[Tally],
    chosen: str | None,
) -> Riding:
    """Tests over all layers and references of one target, and over those of its layer."""
    names, task = tuple(batch.concepts), headline.target.task
    if chosen is None:
        chosen = layers[int(np.argmin([tally.loss for tally in table]))]
    place = layers.index(chosen)
    pairs = [(f, g) for i, f in enumerate(names) for g in names[i + 1 :]]
    above = {
        control: _family(table, [(f, (f, control)) for f in names], headline, place)
        for control in CONTROLS
    }
    over = _family(table, pairs, headline, place)
    both = {pair: one for pair, one in zip(pairs, over, strict=True)}
    both |= {(g, f): tuple(-one for one in some) for (f, g), some in both.items()}
    found = []
    for number, (name, concept) in enumerate(batch.concepts.items()):
        lines = []
        for at, tally in enumerate(table):
            facts = tally.facts[name]
            lines.append(
                Erased(
                    facts.carried,
                    facts.removed,
                    facts.variance,
                    dict(facts.taken),
                    _score(tally.after[name], headline),
                    _drop(tally, name, headline),
                    {c: _drop(tally, (name, c), headline) for c in CONTROLS},
                    {c: above[c][number][at] for c in CONTROLS},
                    {g: both[name, g][at] for g in names if g != name},
                )
            )
        here = Selected(
            {c: above[c][number][-1] for c in CONTROLS},
            {g: both[name, g][-1] for g in names if g != name},
        )
        kept = concept.axes.shape[1]
        found.append(Reference(name, kept, concept.share, tuple(lines), here))
    return Riding(
        task.name,
        batch.settings.head,
        task.metric,
        headline.target.headline,
        headline.chance,
        headline.groups,
        batch.settings.draws,
        chosen,
        layers,
        tuple(_score(tally.before, headline) for tally in table),
        tuple(found),
        batch.notes,
    )


def _score(drawn: Drawn, headline: Headline) -> Score:
    return around(drawn.value, drawn.resampled, headline.groups, headline.metric.range)


def _drop(tally: Tally, key, headline: Headline) -> Score:
    before, after = tally.before, tally.after[key]
    resampled = before.resampled - after.resampled
    return around(before.value - after.value, resampled, headline.groups, headline.reach)


def _family(
    table: Sequence[Tally], pairs: Sequence[tuple], headline: Headline, place: int
) -> list[tuple[Contrast, ...]]:
    """For each pair of what is erased, how much lower the score is with the first than the other.

    By layer, all pairs and layers one family; and last, at one layer, all pairs there.
    """
    if not pairs:
        return []
    some = [[(tally.after[g], tally.after[f]) for tally in table] for f, g in pairs]
    value = np.array([[a.value - b.value for a, b in line] for line in some])
    drawn = np.array([[a.resampled - b.resampled for a, b in line] for line in some])
    wide = contrasts(value, drawn, headline.groups)
    here = contrasts(value[:, place], drawn[:, place], headline.groups)
    return [(*line, one) for line, one in zip(wide, here, strict=True)]
