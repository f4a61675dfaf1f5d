"""Evidence for why a layer is good at a task, as a study's folder `why/` has it (docs/study.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from reports.numbers import Estimate

LEVEL = 0.05
LEAST_LEAD = 0.1  # of the way from chance to the best score: with less no share is told
RANDOM, EQUAL, MADE = "random", "equal variance", "made up"
CONTROLS = (RANDOM, EQUAL, MADE)


@dataclass(frozen=True)
class Contrast(Estimate):
    """A difference; interval and p hold for all differences of its family at once."""

    p: float = math.nan

    def __neg__(self) -> Contrast:
        return Contrast(-self.value, -self.high, -self.low, self.p)

    @property
    def above(self) -> bool:
        """Shown to be larger than zero."""
        return self.value > 0 and self.p <= LEVEL

    @property
    def below(self) -> bool:
        """Shown to be smaller than zero."""
        return self.value < 0 and self.p <= LEVEL


@dataclass(frozen=True)
class Erased:
    """What erasing one reference from one layer did.

    Attributes
    ----------
    carried : R2 of the reference from the layer.
    removed, variance : dimensions that went, and the share of the layer's variance in them.
    score, drop : what is left, and what that is less than before.
    controls : control -> what erasing these costs.
    above : control -> the drop minus that; a family are all layers and references.
    """

    carried: float
    removed: float
    variance: float
    score: Estimate
    drop: Estimate
    controls: Mapping[str, Estimate]
    above: Mapping[str, Contrast]


@dataclass(frozen=True)
class Reference:
    """A reference that was erased from every layer.

    Attributes
    ----------
    above, over : at the selected layer, the references there alone being the family: control, and
        other reference, -> the drop minus theirs.
    """

    name: str
    layers: tuple[Erased, ...]
    above: Mapping[str, Contrast]
    over: Mapping[str, Contrast]

    @property
    def needed(self) -> bool:
        """Erasing costs more than random subspaces and than made-up references."""
        return self.against(RANDOM).above and self.against(MADE).above

    @property
    def rides(self) -> bool:
        """And more than random subspaces with as much variance."""
        return self.needed and self.against(EQUAL).above

    @property
    def as_dear(self) -> tuple[str, ...]:
        """Other references that are not shown to cost less: it may be they that matter."""
        return tuple(name for name, gap in self.over.items() if not gap.above)

    @property
    def weakest(self) -> Contrast:
        """Of the two contrasts that riding needs the one that is nearer to nothing."""
        both = [self.against(RANDOM), self.against(MADE)]
        return min(both, key=lambda one: one.low if math.isfinite(one.low) else -math.inf)

    @property
    def p(self) -> float:
        """The larger p of the two: both have to be shown."""
        found = [self.against(RANDOM).p, self.against(MADE).p]
        return max(found) if all(map(math.isfinite, found)) else math.nan

    def against(self, control: str) -> Contrast:
        return self.above.get(control, Contrast(math.nan))


@dataclass(frozen=True)
class Riding:
    """What erasing references from every layer costs one task.

    Attributes
    ----------
    before : score of each layer with nothing erased, by the same head.
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
    before: tuple[Estimate, ...]
    references: tuple[Reference, ...]
    notes: tuple[str, ...] = ()

    @property
    def index(self) -> int:
        return self.layers.index(self.selected)

    @property
    def on(self) -> tuple[Reference, ...]:
        """References that the task needs at the selected layer, the largest drop first.

        Those that it rides on come first; one is left out when erasing another that it needs is
        shown to cost more.
        """
        here = {one.name: one for one in self.references if one.needed}
        found = [
            one
            for one in here.values()
            if not any(
                one.over[other].below for other in here if other != one.name and other in one.over
            )
        ]
        return tuple(
            sorted(found, key=lambda one: (not one.rides, -self.drop(one).value, one.name))
        )

    def here(self, reference: Reference) -> Erased:
        """What erasing it from the selected layer did."""
        return reference.layers[self.index]

    def drop(self, reference: Reference) -> Estimate:
        return self.here(reference).drop


@dataclass(frozen=True)
class Gain:
    """One layer: its score minus the twin's, and minus that of the best reference if there is one.

    `most` is the share of resamples in which this layer gains most over the twin.
    """

    layer: str
    twin: Contrast
    reference: Contrast | None
    most: float

    @property
    def learned(self) -> bool:
        """Above the untrained layer, and above what is near the surface of the sound."""
        return self.twin.above and (self.reference is None or self.reference.above)


@dataclass(frozen=True)
class Training:
    """What training added to one task.

    Attributes
    ----------
    selected, twin, reference : what validation chooses of the layers, the twin's, the references.
    most : the layer with the largest gain on validation.
    best : the selected layer minus the twin's own best, and minus the best reference.
    """

    task: str
    groups: int
    selected: str
    twin: str
    reference: str
    most: str
    gains: tuple[Gain, ...]
    best: tuple[Contrast, ...]

    def gain(self, layer: str) -> Gain | None:
        return next((one for one in self.gains if one.layer == layer), None)


@dataclass(frozen=True)
class Added:
    """What each layer adds to the one before about one task, in bits a row.

    Attributes
    ----------
    bits : of each layer alone.
    adds : a family are all layers; the first adds to nothing.
    best : the layer of most bits on validation.
    first, full, lost : layers where the bits appear, are all there, are lost; "" for none.
    end : the last layer minus the best.
    """

    task: str
    split: str
    groups: int
    layers: tuple[str, ...]
    bits: tuple[Estimate, ...]
    adds: tuple[Contrast, ...]
    best: str
    first: str
    full: str
    lost: str
    end: Contrast

    @property
    def new(self) -> tuple[str, ...]:
        """Layers that are shown to add something."""
        return tuple(name for name, one in zip(self.layers, self.adds, strict=True) if one.above)


@dataclass(frozen=True)
class Parts:
    """What one reference explains of one layer, as shares of its variance."""

    alone: Contrast
    unique: Contrast
    common: Estimate


@dataclass(frozen=True)
class Partition:
    """What references explain of the variance of each layer, uniquely and in common."""

    layers: tuple[str, ...]
    rows: int
    groups: int
    within: bool
    whole: tuple[Estimate, ...]
    parts: Mapping[str, tuple[Parts, ...]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Association:
    """Whether a task's profile over depth follows a reference's, beyond that both are smooth."""

    reference: str
    task: str
    layers: int
    correlation: float
    beyond: float
    corrected: float

    @property
    def claimed(self) -> bool:
        """Beyond chance, and of one sign with a cubic over depth taken off and without."""
        return self.corrected <= LEVEL and self.correlation * self.beyond > 0


@dataclass(frozen=True)
class Specificity:
    """Whether tasks follow the reference of their own content rather than another's."""

    own: float
    other: float
    arrangements: int
    p: float


@dataclass(frozen=True)
class Associations:
    """All pairs that were asked of one model."""

    measure: str
    pairs: tuple[Association, ...]
    specificity: Specificity | None


@dataclass(frozen=True)
class Returning:
    """Similarity of each layer to the input; `back` is the last layer minus each earlier one."""

    measure: str
    input: str
    layers: tuple[str, ...]
    similarity: tuple[float, ...]
    back: tuple[Contrast, ...]

    @property
    def turn(self) -> int | None:
        """The layer farthest from the input of those the last one is shown to have left."""
        far = [i for i, one in enumerate(self.back) if one.above]
        return min(far, key=lambda i: self.similarity[i]) if far else None


@dataclass(frozen=True)
class Option:
    """Something to take; `best`, `last` are its score minus the best and the last layer's."""

    name: str
    layer: str
    score: Estimate
    best: Contrast
    last: Contrast


@dataclass(frozen=True)
class Choice:
    """What to take for one task of one model; `recommended` is "" where nothing is above chance."""

    task: str
    groups: int
    above: Contrast
    options: tuple[Option, ...]
    recommended: str
    rule: int

    def option(self, name: str) -> Option | None:
        return next((one for one in self.options if one.name == name), None)


@dataclass(frozen=True)
class Pair:
    """A probe of a layer of X on a layer of Y, through the linear map from Y to X.

    Attributes
    ----------
    above : its score minus chance.
    own : its score minus that of Y's own probe.
    kept : share of the lead over chance; NaN where X's own probe has none.
    """

    score: Estimate
    above: Contrast
    own: Contrast
    kept: Estimate


@dataclass(frozen=True)
class Transfer:
    """Probes of all layers of X on all layers of Y, for one task; `own` are X's scores by layer."""

    task: str
    metric: str
    split: str
    chance: float
    groups: int
    layers_x: tuple[str, ...]
    layers_y: tuple[str, ...]
    pairs: tuple[tuple[Pair, ...], ...]
    own: tuple[Estimate, ...] = ()

    def share(self, layer_x: str, layer_y: str, best: float) -> Estimate:
        """Share of its lead over chance that a probe keeps; NaN where the lead is too small.

        That is: less than `LEAST_LEAD` of the way from chance to `best`, the highest score there
        can be (NaN where there is none), or so small that the share's interval is as wide as 1.
        """
        pair = self.pair(layer_x, layer_y)
        if pair is None or not pair.kept.bounded or pair.kept.high - pair.kept.low >= 1.0:
            return Estimate(math.nan)
        if self.own:
            lead = self.own[self.layers_x.index(layer_x)].value - self.chance
        else:
            lead = pair.above.value / pair.kept.value if pair.kept.value else math.nan
        small = lead < LEAST_LEAD * (best - self.chance) if math.isfinite(best) else False
        return Estimate(math.nan) if small else pair.kept

    def pair(self, layer_x: str, layer_y: str) -> Pair | None:
        if layer_x not in self.layers_x or layer_y not in self.layers_y:
            return None
        return self.pairs[self.layers_x.index(layer_x)][self.layers_y.index(layer_y)]


@dataclass(frozen=True)
class Why:
    """All of this about one model; what was not computed is empty."""

    role: str
    between: Partition | None = None
    within: Partition | None = None
    riding: Mapping[str, Riding] = field(default_factory=dict)
    training: Mapping[str, Training] = field(default_factory=dict)
    added: Mapping[str, Added] = field(default_factory=dict)
    associations: Associations | None = None
    returning: Returning | None = None
    choice: Mapping[str, Choice] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
