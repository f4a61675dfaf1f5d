"""Why a layer is good at a task: all that is asked of one model, from its rows and its scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probes.errors import ProbeError
from probes.record import Record
from probes.results import ALL_LAYERS, ProbeResults, TaskResult
from probes.source import RowTable, Source
from probes.splits import settle
from probes.targets import NotProbed, Target, make_target
from probes.tasks.base import Task
from probes.why.choice import Choice, choice
from probes.why.conditional import Added, conditional
from probes.why.riding import Riding, riding
from probes.why.training import Training, training
from probes.why.transfer import Transfer, transfer

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Skipped(Record):
    """What could not be asked, and why, in one line."""

    what: str
    why: str


@dataclass(frozen=True)
class Rows(Record):
    """What the rows of one kind tell of a model: one entry a task."""

    riding: tuple[Riding, ...] = ()
    conditional: tuple[Added, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            self.riding + other.riding,
            self.conditional + other.conditional,
            self.skipped + other.skipped,
        )


@dataclass(frozen=True)
class Scores(Record):
    """What scores tell that are there already: one entry a task."""

    training: tuple[Training, ...] = ()
    choice: tuple[Choice, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Across(Record):
    """Probes of one model on another: one entry a task."""

    transfer: tuple[Transfer, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __add__(self, other: Across) -> Across:
        return Across(self.transfer + other.transfer, self.skipped + other.skipped)


def from_rows(
    source: Source,
    references: Source,
    rows: RowTable,
    tasks: Sequence[Task],
    results: ProbeResults,
    *,
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Rows:
    """Erases references and asks what is new in each layer, for tasks on rows of this kind.

    Parameters
    ----------
    source, references : over the rows.
    tasks : those for another kind of rows are passed over, and those without a result.
    results : of the probes, by which the selected layers are known.
    progress : called with (steps done, steps).

    Raises
    ------
    ProbeError : rows that do not match, values that are not finite.
    """
    targets, skipped = _targets(rows, tasks, results, seed)
    if not targets:
        return Rows(skipped=skipped)
    several = len(source.layers) > 1
    told = _Told(progress, 2 if several else 1)
    options = {"resamples": resamples, "seed": seed, "device": device}
    selected = {one.task: one.selected for one in results.tasks}
    selected = {t.task.name: selected[t.task.name] for t in targets}
    ridden = riding(
        source, references, targets, selected=selected, progress=told.part(0), **options
    )
    added: list[Added] = []
    if several:
        added = conditional(source, targets, progress=told.part(1), **options)
    else:
        skipped += (Skipped("what is new in a layer", f"{source.name} has one layer"),)
    return Rows(tuple(ridden), tuple(added), skipped)


def from_scores(
    results: ProbeResults, twin: ProbeResults | None, references: ProbeResults | None
) -> Scores:
    """What training added (where there is a twin), and which layer or head to take.

    Results without their curves are skipped: they were read from a folder that lacks them.
    """
    trained, chosen, skipped = [], [], []
    others = [{t.task: t for t in some.tasks} if some else {} for some in (twin, references)]
    for task in results.tasks:
        if task.curve is None:
            skipped.append(Skipped(f"task {task.task}", "no curves: probe again"))
            continue
        joined = {
            one.head: one.curve for one in results.heads if one.task == task.task and _whole(one)
        }
        chosen.append(choice(task.task, task.curve, joined))
        before, heard = (some.get(task.task) for some in others)
        if before is None:
            continue
        try:
            reference = heard.curve if heard else None
            trained.append(training(task.task, task.curve, before.curve, reference))
        except ProbeError as error:
            skipped.append(Skipped(f"what training added to {task.task}", str(error)))
    return Scores(tuple(trained), tuple(chosen), tuple(skipped))


def across(
    a: Source,
    b: Source,
    rows: RowTable,
    tasks: Sequence[Task],
    results: ProbeResults,
    *,
    resamples: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Across:
    """Probes of A on B for tasks on rows of this kind; arguments as in `from_rows`."""
    targets, skipped = _targets(rows, tasks, results, seed)
    if not targets:
        return Across(skipped=skipped)
    found = transfer(
        a, b, targets, resamples=resamples, seed=seed, device=device, progress=progress
    )
    return Across(tuple(found), skipped)


def _whole(task: TaskResult) -> bool:
    """Whether this head takes all layers at once."""
    return task.curve is not None and task.curve.layers == (ALL_LAYERS,)


def _targets(
    rows: RowTable, tasks: Sequence[Task], results: ProbeResults, seed: int
) -> tuple[list[Target], tuple[Skipped, ...]]:
    """Targets of the tasks that were probed on rows of this kind, on the same splits."""
    known = {one.task for one in results.tasks}
    splits, _ = settle(rows.splits, rows.groups, seed)
    targets, skipped = [], []
    for task in tasks:
        if task.rows != rows.kind or task.name not in known:
            continue
        try:
            targets.append(make_target(task, rows, splits))
        except NotProbed as reason:
            skipped.append(Skipped(f"task {task.name}", str(reason)))
    return targets, tuple(skipped)


@dataclass
class _Told:
    """One progress of several parts, each of which counts for as much."""

    progress: Progress | None
    parts: int

    def part(self, number: int) -> Progress | None:
        if self.progress is None:
            return None
        return lambda done, total: self.progress(number * total + done, self.parts * total)
