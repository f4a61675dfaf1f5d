"""What the stages after extraction take, from running each on made-up layers over the real rows.

Stages that do layer by layer are run on a few layers of three widths; similarity, whose cost is of
pairs of layers, on all layers and fewer rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from cli.answerable import FRAMES
from cli.madeup import Cost, Made, by_width, timed
from cli.maps import MOST_ROWS
from cli.roles import REFERENCES, is_model

if TYPE_CHECKING:
    from cli.material import Ingredients
    from cli.probing import Probing
    from cli.steps import Run
    from extract.datasets.base import Clip
    from extract.models.base import Model
    from extract.rows import Rows
    from probes.tasks import Task

# rows that layers are made up over at most; what takes longer with more is drawn out in proportion
MOST, MOST_FRAMES = 2500, 60_000
SMALL, ENOUGH = 60, 10.0  # rows that similarity begins with; seconds after which it is drawn out
LAYERS = "a few made-up layers over {rows} rows, drawn out by the widths"
ROWS = "all layers made up, over {rows} rows, drawn out by the rows"


class Later(NamedTuple):
    """A stage after extraction; `rows` of it are in `how`."""

    stage: str
    rows: int
    seconds: float
    memory: int
    how: str


@dataclass(frozen=True)
class Rehearsed:
    """The stages of a run whose networks have the layers of some models.

    Parameters
    ----------
    models : role -> model; twins and references among them.
    """

    models: Mapping[str, Model]
    ready: Ingredients
    run: Run

    @cached_property
    def roles(self) -> dict[str, list[int]]:
        """Widths of the layers of each role."""
        return {role: [layer.width for layer in m.layers] for role, m in self.models.items()}

    @cached_property
    def cores(self) -> int:
        """Layers that are done side by side."""
        import torch

        return torch.get_num_threads()

    def rows(self, kind: str, most: int | None = None) -> tuple[Rows, float]:
        """Rows of a kind, of clips that are spread evenly where they are many; and all over these.

        Parameters
        ----------
        most : rows.
        """
        from extract.plan import plan_rows
        from extract.rows import Rows

        clips = self.ready.clips
        count = sum(number for _, number in plan_rows(clips, kind))
        most = most or (MOST_FRAMES if kind.startswith(FRAMES) else MOST)
        share = max(count / most, 1.0)
        some = _spread(clips, max(round(len(clips) / share), 1))
        return Rows.of(tuple(some), kind), share

    def similarity(self, kind: str, measures: Sequence[str]) -> Later:
        """All pairs of layers; on more and more rows, as long as that is quick."""
        import rsa
        from cli.similarity import INPUT, PAIRS, families
        from extract.plan import plan_rows
        from rsa.rows.joint import MEMORY

        names = list(self.roles)
        places = [
            (names.index(x), names.index(y)) for x, y in PAIRS if x in names and y in names
        ]
        whole = sum(count for _, count in plan_rows(self.ready.clips, kind))

        def work(most: int) -> int:
            rows, _ = self.rows(kind, most)
            sources = [
                Made(role, widths, rows, seed=i)
                for i, (role, widths) in enumerate(self.roles.items())
            ]
            confound = None
            if REFERENCES in names:
                place = [layer.name for layer in self.models[REFERENCES].layers].index(INPUT)
                at = names.index(REFERENCES)
                confound = at, sources[at].layers[place]
            for part in families(measures):  # as the run does, which keeps each
                rsa.compare(*sources, measures=part, pairs=places, seed=self.run.seed,
                            device=self.run.solver_device, confound=confound)  # fmt: skip
            return len(rows)

        count, took = drawn_out(work, whole)
        width = sum(map(sum, self.roles.values()))
        # float32 rows, float64 rows that are kept, and their components
        memory = int(min(4.0 * whole * width, MEMORY) + 2 * min(8.0 * whole * width, MEMORY))
        return Later("similarity", whole, took, memory, ROWS.format(rows=count))

    def layers(self, kind: str) -> Iterator[Later]:
        """Geometry of every layer, and what clips' layers tell about labels."""
        import rsa

        rows, share = self.rows(kind)
        rate = float(kind.partition(":")[2]) if kind.startswith(FRAMES) else None

        def geometry(widths: Sequence[int]) -> None:
            rsa.geometry(
                Made("m", widths, rows), seed=self.run.seed, rate=rate, rows=kind,
                sequences=rows.clip if rate else None,
            )  # fmt: skip

        yield self._later("geometry", rows, share, self._cost(geometry))
        labels = {
            label.name: rows.label(label.name)
            for label in self.ready.dataset.card.labels
            if label.kind in ("category", "number")
        }
        if kind != "clips" or not labels:
            return

        def information(widths: Sequence[int]) -> None:
            rsa.label_information(Made("m", widths, rows), labels, seed=self.run.seed)

        yield self._later("information about labels", rows, share, self._cost(information))

    def probes(
        self, probing: Probing, why: bool, across: bool, rows_of_why: str | None
    ) -> Iterator[Later]:
        """Probes of all roles, evidence for why layers are good, and maps of clips.

        Parameters
        ----------
        across : whether the first two models are probed with each other's probes.
        rows_of_why : kind of the rows that layers are described on.
        """
        models = [widths for role, widths in self.roles.items() if is_model(role)]
        seconds, reasons, maps, seen = 0.0, 0.0, 0.0, 0
        for kind in dict.fromkeys(task.rows for task in self.ready.tasks):
            rows, share = self.rows(kind)
            seen = max(seen, len(rows))
            tasks = [task for task in self.ready.tasks if task.rows == kind]
            one = _Probed(self, kind, rows, tasks, probing)
            cost = self._cost(one.layers)
            seconds += share * (cost.of(list(self.roles.values())) + one.joined())
            if kind.startswith(FRAMES) or not why:
                continue
            reasons += share * self._cost(one.why, models).of(models)
            if across and len(models) > 1:
                reasons += share * 2 * one.across(*models[:2])
        rows, share = self.rows("clips")
        widest = max(max(widths) for widths in self.roles.values())
        if self.ready.tasks:
            # the layer, standardised in float64, in its own axes; a layer a core
            memory = int(32.0 * share * len(rows) * widest)
            yield Later("probes", len(self.ready.clips), seconds, memory,
                        LAYERS.format(rows=seen))  # fmt: skip
        if why and rows_of_why:
            about, part = self.rows(rows_of_why)
            reasons += part * self._cost(lambda some: self._described(about, some), models).of(
                models
            )
            yield self._later("why", about, part, reasons)
        if self.ready.tasks and "clips" in {task.rows for task in self.ready.tasks}:
            maps = self._maps(len(models))
            yield self._later("maps", rows, share, maps)

    def references(self, rows: Rows) -> Made:
        """The references over some rows, made up."""
        return Made("references", self.roles[REFERENCES], rows, seed=9)

    def _described(self, rows: Rows, widths: Sequence[int]) -> None:
        """What is found of a model's layers without any probe."""
        from rsa import RsaError
        from rsa.why.partition import partition
        from rsa.why.returning import to_input

        made, beside = Made("m", widths, rows), self.references(rows)
        for work in (
            lambda: partition(made, beside, seed=self.run.seed),
            lambda: partition(made, beside, within=True, seed=self.run.seed),
            lambda: to_input(made, beside, beside.layers[0], seed=self.run.seed),
        ):
            try:
                work()
            except RsaError:  # as in the run, which says so
                continue

    def _maps(self, models: int) -> float:
        from rsa import RsaError
        from rsa.layerwise.rowmap import row_map

        rows, _ = self.rows("clips", MOST_ROWS)
        made = Made("m", [64, 64], rows)

        def work(layer: str) -> None:
            try:
                row_map(made.read(layer), self.run.seed)
            except RsaError:
                return

        first, each = (timed(work, layer) for layer in made.layers)
        return max(first - each, 0.0) + 3 * models * each

    def _cost(
        self, work: Callable[[Sequence[int]], object], roles: Sequence[Sequence[int]] = ()
    ) -> Cost:
        return by_width(work, roles or list(self.roles.values()), self.cores)

    def _later(self, stage: str, rows: Rows, share: float, cost: Cost | float) -> Later:
        seconds = cost if isinstance(cost, float) else share * cost.of(list(self.roles.values()))
        widest = max(max(widths) for widths in self.roles.values())
        memory = int(24.0 * self.cores * len(rows) * widest)
        return Later(stage, round(share * len(rows)), seconds, memory,
                     LAYERS.format(rows=len(rows)))  # fmt: skip


class _Probed:
    """Tasks on rows of one kind, probed on made-up layers."""

    def __init__(
        self, of: Rehearsed, kind: str, rows: Rows, tasks: Sequence[Task], probing: Probing
    ) -> None:
        self.of, self.kind, self.rows, self.tasks, self.probing = of, kind, rows, tasks, probing
        self.labels = [task.label for task in tasks] if not kind.startswith(FRAMES) else []

    def made(self, widths: Sequence[int], seed: int = 0) -> Made:
        return Made("m", widths, self.rows, self.labels, seed)

    def layers(
        self, widths: Sequence[int], heads: Sequence | None = None, checks: bool = True
    ) -> None:
        """The main head, and those that take layer by layer."""
        import probes.running
        from probes.framing.running import run_frames

        run, made = self.of.run, self.made(widths)
        common = {"seed": run.seed, "device": run.solver_device}
        options = self.probing.of(self.kind, "a")
        if self.kind.startswith(FRAMES):
            run_frames(made, self.rows, self.tasks, **options, **common)
            return
        single = [head for head in self.probing.heads if not head.joins and not head.frames]
        options["heads"] = single if heads is None else heads
        options["checks"] = self.probing.checks if checks else None
        types = self.made([64], 1).read("layer000") if options["checks"] else None
        found = probes.run(made, self.rows, self.tasks, **options, types_from=types, **common)
        # what is known is written anew after every batch of tasks
        count = len(probes.running.batches(self.rows, self.tasks, run.seed))
        with TemporaryDirectory() as folder:
            for _ in range((count + 1) // 2 if checks else 0):
                found.write(Path(folder), "a")

    def joined(self) -> float:
        """Seconds of the heads that take all layers of a role at once."""
        heads = [head for head in self.probing.heads if head.joins]
        if not heads or self.kind.startswith(FRAMES):
            return 0.0
        known = sorted(width for some in self.of.roles.values() for width in some)
        middle, cores, seconds = known[len(known) // 2], self.of.cores, 0.0
        few, many = ([middle] * count for count in (cores, 2 * cores))
        alone = [timed(self.layers, some, (), False) for some in (few, many)]
        for head in heads:
            took = [
                max(timed(self.layers, some, (head,), False) - base, 0.0)
                for some, base in zip((few, many), alone, strict=True)
            ]
            slope = max(took[1] - took[0], 0.0) / cores
            once = max(took[0] - slope * cores, 0.0)
            for role, widths in self.of.roles.items():
                if role != REFERENCES or head.name != "weighting":
                    seconds += once + slope * len(widths)
        return seconds

    def why(self, widths: Sequence[int]) -> None:
        """What carries each task and what is new in each layer, but not what finds the probes."""
        from probes.why.evidence import from_rows

        run = self.of.run
        from_rows(
            self.made(widths), self.of.references(self.rows), self.rows, self.tasks,
            self._results(widths), seed=run.seed, device=run.solver_device,
        )  # fmt: skip

    def across(self, a: Sequence[int], b: Sequence[int]) -> float:
        """Seconds of the probes of one model on another: so many a layer, and so many a pair."""
        from probes.why.evidence import across

        run, cores = self.of.run, self.of.cores
        middle = sorted([*a, *b])[len([*a, *b]) // 2]

        def work(count: int) -> None:
            widths = [middle] * count
            across(self.made(widths), self.made(widths, 2), self.rows, self.tasks,
                   self._results(widths), seed=run.seed, device=run.solver_device)  # fmt: skip

        few, many = timed(work, cores), timed(work, 2 * cores)
        # few = 2 cores x + cores^2 y, many = 4 cores x + 4 cores^2 y
        pair = max(many - 2 * few, 0.0) / (2 * cores**2)
        layer = max(few - pair * cores**2, 0.0) / (2 * cores)
        return layer * (len(a) + len(b)) + pair * len(a) * len(b)

    def _results(self, widths: Sequence[int]):
        """Results that name a selected layer of each task; no probe is trained."""
        from probes import ProbeResults

        first = self.made(widths[:1]).layers[0]
        chosen = tuple(_Chosen(task.name, first) for task in self.tasks)
        return ProbeResults("m", tuple(self.made(widths).layers), chosen, {}, {})


class _Chosen(NamedTuple):
    """As much of a result as evidence asks for."""

    task: str
    selected: str


def drawn_out(work: Callable[[int], int], whole: int) -> tuple[int, float]:
    """Rows of the largest run, and seconds of work on so many rows as there are.

    Parameters
    ----------
    work : does it on so many rows at most; returns on how many.
    """
    points: list[tuple[int, float]] = []
    most = min(SMALL, whole)
    work(max(most // 2, min(whole, 8)))  # what is loaded and compiled
    while True:
        start = time.perf_counter()
        count = work(most)
        points.append((count, time.perf_counter() - start))
        if count >= whole or points[-1][1] > ENOUGH or most >= whole:
            break
        most = min(2 * most, whole)
    count, took = points[-1]
    if count >= whole or len(points) < 2:
        return count, took * max(whole / count, 1.0)
    before, less = points[-2]
    steep = math.log(max(took / less, 1.0)) / math.log(count / before)
    return count, took * (whole / count) ** min(max(steep, 0.5), 3.0)


def _spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """So many clips, spread evenly."""
    return [clips[i * len(clips) // count] for i in range(count)]
