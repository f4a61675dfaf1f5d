"""Probing for the command line: which tasks are meant, all roles probed, tables of scores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.answerable import FRAMES, refuse
from cli.nearest import suggestion
from cli.roles import called, is_model

if TYPE_CHECKING:
    from cli.liveprobes import LiveProbes
    from cli.owntask import Wanted
    from cli.probed import Probed
    from cli.screen import Screen
    from cli.steps import Run
    from extract.datasets.base import LabelCard
    from extract.store import Activations
    from probes import ProbeResults
    from probes.heads.base import Head
    from probes.protocols import Protocol
    from probes.running import Watcher
    from probes.tasks import Task
    from probes.trust.checks import Settings

POOLED = "frames:4"  # rows of heads that pool the frames of a clip
LARGEST = 4e9  # bytes of a layer beyond which each process reads its stretch of the rows alone
NOTHING: Mapping[str, str] = {}
TYPES_FROM = "log-mel"  # the reference by which clips are alike for the control task


def resolve_tasks(
    wanted: Wanted, labels: Sequence[LabelCard], subsets: Collection[str] = ()
) -> list[Task]:
    """Tasks for `all`, `none` or names, of what the data has labels for.

    Parameters
    ----------
    subsets : those of the clips that are used; none where that is not known yet.
    """
    from cli.owntask import of_column
    from probes import ProbeError, resolve

    if wanted.names == ("none",):
        return []
    own = {name: of_column(name, kind, labels) for name, kind in wanted.kinds.items()}
    tasks = []
    try:
        for name in wanted.names:
            tasks += [own[name]] if own.get(name) else resolve([name], labels, subsets)
    except ProbeError as error:
        raise click.UsageError(f"--task: {error}") from None
    return list({task.name: task for task in tasks}.values())


def task_kinds(tasks: Sequence[Task]) -> list[str]:
    """Kinds of rows that the tasks are asked of, without repeats."""
    return list(dict.fromkeys(task.rows for task in tasks))


def row_kinds(tasks: Sequence[Task], probing: Probing) -> list[str]:
    """Kinds of rows that tasks and heads need."""
    kinds = task_kinds(tasks)
    pooled = any(head.frames for head in probing.heads) and "clips" in kinds
    return [*kinds, POOLED] if pooled and POOLED not in kinds else kinds


@dataclass(frozen=True)
class Probing:
    """How layers are probed.

    Attributes
    ----------
    heads : beside those of the protocol.
    data : name of the data set, for what was published on it.
    max_frames : that a task on frames is trained on.
    checks : how much is done to see what scores are worth; None for nothing.
    """

    protocol: Protocol
    heads: tuple[Head, ...]
    data: str
    max_frames: int
    checks: Settings | None = None

    def of(self, kind: str, role: str) -> dict[str, object]:
        """The options of a run over rows of a kind, for a role."""
        if kind.startswith(FRAMES):
            return {"max_frames": self.max_frames, "data": self.data}
        heads = self.heads
        if role == "ref":  # weights of layers are about depth, which references have not
            heads = tuple(head for head in heads if head.name != "weighting")
        return {
            "protocol": self.protocol, "heads": heads, "data": self.data, "checks": self.checks,
        }  # fmt: skip


def resolve_probing(
    protocol: str,
    heads: str,
    data: str,
    seed: int,
    max_frames: int | None = None,
    checked: bool = False,
) -> Probing:
    """From names as on the command line; heads are separated by commas, `none` is no head.

    Parameters
    ----------
    data : name of the data set, for what was published on it; "" where it has none.
    seed : of everything that the checks draw.
    """
    from probes.framing.running import MAX_FRAMES
    from probes.heads import HEADS, head
    from probes.protocols import PROTOCOLS
    from probes.trust.checks import Settings

    if protocol not in PROTOCOLS:
        hint = suggestion(protocol, PROTOCOLS)
        raise click.UsageError(f"--protocol {protocol}: there is no such protocol{hint}")
    names = list(dict.fromkeys(filter(None, map(str.strip, heads.split(",")))))
    if not names:
        raise click.UsageError("--head: no head is named; name heads, or use none")
    if "none" in names and names[1:]:
        raise click.UsageError(f"--head {heads}: none goes alone; drop it, or the others")
    names = [] if names == ["none"] else names
    found = []
    for name in names:
        if name not in HEADS:
            raise click.UsageError(f"--head {name}: there is no such head{suggestion(name, HEADS)}")
        found.append(head(name))
    checks = Settings(seed=seed) if checked else None
    return Probing(PROTOCOLS[protocol], tuple(found), data, max_frames or MAX_FRAMES, checks)


def probe_models(
    activations: dict[str, dict[str, Activations]],
    tasks: Sequence[Task],
    probing: Probing,
    run: Run,
    folder: Path,
    screen: Screen,
    skipped: Mapping[str, str] = NOTHING,
) -> dict[str, ProbeResults]:
    """Probes every layer of every role on every task; writes probes/ROLE.json and .csv.

    The files grow with every batch of tasks. Tasks that were finished before, with the same
    activations, labels, settings and code, are taken from the cache. Several processes fill the
    cache together before.

    Parameters
    ----------
    skipped : further tasks -> why they cannot be probed, which the results say too.
    """
    from cli.processes import current
    from extract.store import align

    for kind in row_kinds(tasks, probing):
        align(*(found[kind] for found in activations.values()))
    if current().size > 1:
        _deal(activations, tasks, probing, run, screen)
    results = {}
    for role, found in activations.items() if tasks or skipped else ():
        ref = activations.get("ref")
        results[role] = _probed(role, found, ref, tasks, probing, run, folder, screen, skipped)
        if role == next(iter(activations)):
            for name, reason in results[role].skipped.items():
                if name not in skipped:  # of which it was told before
                    screen.warn(f"not probed: {reason}")
    return results


def check_probed(results: Mapping[str, ProbeResults]) -> None:
    """Raises `ProbeError` with the reasons where no task at all could be probed."""
    first = next(iter(results.values()))
    if not first.tasks:
        refuse(first.skipped)


def _probed(
    role: str,
    found: dict[str, Activations],
    ref: dict[str, Activations] | None,
    tasks: Sequence[Task],
    probing: Probing,
    run: Run,
    folder: Path,
    screen: Screen,
    skipped: Mapping[str, str],
) -> ProbeResults:
    """All tasks of one role; clips are alike for the control task by a layer of `ref`."""
    from cli.liveprobes import LiveProbes
    from cli.processes import current
    from probes import ProbeResults

    source = next(iter(found.values()))
    name = called(role, source.name)
    live = LiveProbes(screen, name, source.layers)
    parts: list[ProbeResults] = []
    left_out = ProbeResults(source.name, tuple(source.layers), (), dict(skipped), {})

    def write(part: ProbeResults) -> ProbeResults:
        first, *others = [*parts, part, left_out]
        whole = first.merge(*others)
        if current().first:
            whole.write(folder / "probes", role)
        return whole

    cure = (
        "name fewer --tasks or --layers at a time, or use --head none or --no-checks; finished "
        "tasks are kept"
    )
    if not tasks:
        return write(left_out)
    with screen.stage(f"probes of {name}", above=live, cure=cure) as progress:
        for kind in task_kinds(tasks):
            some = [task for task in tasks if task.rows == kind]
            part = _of_kind(role, found, ref, some, kind, probing, run, live, progress, write)
            whole = write(part)
            parts.append(part)
    return whole


def _of_kind(
    role: str,
    found: dict[str, Activations],
    ref: dict[str, Activations] | None,
    tasks: Sequence[Task],
    kind: str,
    probing: Probing,
    run: Run,
    live: LiveProbes,
    progress: Callable[[int, int], None] | None,
    write: Callable[[ProbeResults], object],
) -> ProbeResults:
    """Tasks of one role on rows of one kind; what was finished before is taken from the cache."""
    import probes
    from cli.probed import Recorder
    from cli.processes import current
    from probes.framing.running import run_frames
    from probes.heads.frames import FrameSource

    layers, alike = found[kind], _by_types(ref, kind, probing)
    kept, settings = _kept(role, found, ref, kind, probing, run)
    known = kept.find(tasks)
    team = current()
    dealt = too_large(layers, probing)
    if dealt:  # all begin with what each of them has found
        settings["team"] = team
        done = set.intersection(*team.gather({one.task for one in known.tasks}))
        known = kept.find(task for task in tasks if task.name in done)
    live.kept(known)
    watcher: Watcher = live
    if team.first or not dealt:
        watcher = Recorder(live, kept, tasks, known, write)
    if not dealt and alike and len(known.tasks) < len(tasks):
        settings["types_from"] = ref[kind].read(TYPES_FROM).numpy()
    if POOLED in found and kind == "clips":
        frames = found[POOLED]
        settings["frames"] = FrameSource(frames, frames.rows.clip, len(layers))
    work = run_frames if kind.startswith(FRAMES) else probes.run
    return work(
        layers, layers.rows, tasks, **settings, progress=progress, done=known,
        watcher=watcher,
    )  # fmt: skip


def too_large(layers: Activations, probing: Probing) -> bool:
    """Whether processes read a stretch of the rows each, for none should hold a layer whole."""
    from probes.heads.linear import Linear

    if layers.rows.kind.startswith(FRAMES):
        return False  # they are thinned to `max_frames`
    return large(layers) and isinstance(probing.protocol.head, Linear)


def large(layers: Activations) -> bool:
    """Whether a layer has more bytes than a process should hold several times over."""
    return 4.0 * len(layers) * layers.widest > LARGEST


def _by_types(ref: dict[str, Activations] | None, kind: str, probing: Probing) -> bool:
    """Whether there is a control task, whose types are of clips that are alike."""
    return bool(probing.checks and ref and not kind.startswith(FRAMES))


def _kept(
    role: str,
    found: dict[str, Activations],
    ref: dict[str, Activations] | None,
    kind: str,
    probing: Probing,
    run: Run,
) -> tuple[Probed, dict[str, object]]:
    """Where finished tasks are, and the settings of a run."""
    from cli.known import PROBES, content
    from cli.probed import Probed
    from extract.weights import cache_dir

    settings = {
        "seed": run.seed, "device": run.solver_device, "ordered": role != "ref",
        **probing.of(kind, role),
    }  # fmt: skip
    types = content(ref[kind]) if _by_types(ref, kind, probing) else None
    return Probed(cache_dir(PROBES), found[kind], {**settings, "types": types}), settings


def _deal(
    activations: dict[str, dict[str, Activations]],
    tasks: Sequence[Task],
    probing: Probing,
    run: Run,
    screen: Screen,
) -> None:
    """Fills the cache: every batch of tasks of every role by whichever process is free."""
    from cli.liveprobes import LiveProbes
    from cli.processes import current
    from probes.framing.running import frame_batches
    from probes.running import batches

    team, ref = current(), activations.get("ref")
    jobs = []
    for kind in task_kinds(tasks) if team.first else ():
        some = [task for task in tasks if task.rows == kind]
        for role, found in activations.items():
            if too_large(found[kind], probing):
                continue  # its rows are dealt, one task after the other
            kept, settings = _kept(role, found, ref, kind, probing, run)
            known = {one.task for one in kept.find(some).tasks}
            left, rows = [task for task in some if task.name not in known], found[kind].rows
            parts = (
                frame_batches(rows, left, probing.max_frames, run.seed)
                if kind.startswith(FRAMES)
                else batches(rows, left, run.seed)
            )
            jobs += [[kind, role, part] for part in parts]
    jobs = team.agreed(jobs)
    with screen.stage("probes, all processes") as progress:
        for place in team.turns(len(jobs)):
            progress(place, len(jobs))
            kind, role, names = jobs[place]
            found = activations[role]
            live = LiveProbes(screen, called(role, found[kind].name), found[kind].layers)
            some = [task for task in tasks if task.rows == kind and task.name in names]
            _of_kind(
                role, found, ref, some, kind, probing, run, live, None, lambda part: None
            )  # fmt: skip
        team.wait()


def show_probes(results: dict[str, ProbeResults]) -> None:
    """Scores on the test splits, two tables a model: a line a task, and every layer.

    Parameters
    ----------
    results : by role; twins (a0) and references (ref) stand beside the models.
    """
    from rich.console import Console

    from cli.scoretable import Line, layer_tables, summary
    from cli.screen import line_width

    width = line_width()
    console = Console(width=width, highlight=False)
    for role, result in results.items():
        if not is_model(role):
            continue
        beside = {"untrained": results.get(f"{role}0"), "references": results.get("ref")}
        console.print(summary(result, {k: v for k, v in beside.items() if v}))
        by_head: dict[str, list[Line]] = {}
        for task in (*result.tasks, *result.heads):
            if len(task.layers) == len(result.layers):  # and not one for all of them
                by_head.setdefault(task.head, []).extend(Line.all_of(task))
        for head, lines in by_head.items():
            title = f"{result.model}: every layer, {head}"
            for table in layer_tables(result.layers, lines, width, title):
                console.print(table)
