"""Probing for the command line: which tasks are meant, all roles probed, tables of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import suggestion

if TYPE_CHECKING:
    from cli.owntask import Wanted
    from cli.screen import Screen
    from cli.steps import Run
    from extract.datasets.base import Dataset
    from extract.store import Activations
    from probes import ProbeResults
    from probes.heads.base import Head
    from probes.protocols import Protocol
    from probes.tasks import Task


def resolve_tasks(wanted: Wanted, dataset: Dataset) -> list[Task]:
    """Tasks for `all`, `none` or names, of what the data has labels for."""
    from cli.owntask import of_column
    from probes import ProbeError, resolve

    labels = dataset.card.labels
    if wanted.names == ("none",):
        return []
    own = {name: of_column(name, kind, labels) for name, kind in wanted.kinds.items()}
    tasks = []
    try:
        for name in wanted.names:
            tasks += [own[name]] if own.get(name) else resolve([name], labels)
    except ProbeError as error:
        raise click.UsageError(f"--task: {error}") from None
    return list({task.name: task for task in tasks}.values())


@dataclass(frozen=True)
class Probing:
    """How layers are probed: the protocol, heads beside its own, and the data set's name."""

    protocol: Protocol
    heads: tuple[Head, ...] = ()
    data: str = ""


def resolve_probing(protocol: str, heads: str, data: str, seed: int) -> Probing:
    """From names as on the command line; heads are separated by commas.

    Parameters
    ----------
    data : name of the data set, for what was published on it; "" where it has none.
    seed : of everything that heads draw.
    """
    from probes.heads import HEADS, head
    from probes.protocols import PROTOCOLS

    if protocol not in PROTOCOLS:
        hint = suggestion(protocol, PROTOCOLS)
        raise click.UsageError(f"--protocol {protocol}: there is no such protocol{hint}")
    names = list(dict.fromkeys(filter(None, map(str.strip, heads.split(",")))))
    found = []
    for name in names:
        if name not in HEADS:
            raise click.UsageError(f"--head {name}: there is no such head{suggestion(name, HEADS)}")
        one = head(name)
        if one.frames:
            raise click.UsageError(f"--head {name}: it reads frames, and rows are clips")
        found.append(_seeded(one, seed))
    known = PROTOCOLS[protocol]
    known = replace(known, heads=tuple(_seeded(one, seed) for one in known.heads))
    return Probing(known, tuple(found), data)


def _seeded(head: Head, seed: int) -> Head:
    drawn = any(field.name == "seed" for field in fields(head))
    return replace(head, seed=seed) if drawn else head


def task_kinds(tasks: Sequence[Task]) -> list[str]:
    """Kinds of rows that the tasks are asked of, without repeats."""
    return list(dict.fromkeys(task.rows for task in tasks))


def probe_models(
    activations: dict[str, dict[str, Activations]],
    tasks: Sequence[Task],
    probing: Probing,
    run: Run,
    folder: Path,
    screen: Screen,
) -> dict[str, ProbeResults]:
    """Probes every layer of every role on every task; writes probes/ROLE.json and .csv.

    The files grow with every batch of tasks. Tasks that were finished before, with the same
    activations, labels, settings and code, are taken from the cache.
    """
    from extract.store import align

    for kind in task_kinds(tasks):
        align(*(found[kind] for found in activations.values()))
    results = {}
    for role, found in activations.items():
        if not tasks:
            break
        results[role] = _probed(role, found, tasks, probing, run, folder, screen)
        if role == next(iter(activations)):
            for reason in results[role].skipped.values():
                screen.warn(f"not probed: {reason}")
    return results


def _probed(
    role: str,
    found: dict[str, Activations],
    tasks: Sequence[Task],
    probing: Probing,
    run: Run,
    folder: Path,
    screen: Screen,
) -> ProbeResults:
    """All tasks of one role."""
    import probes
    from cli.liveprobes import LiveProbes
    from cli.probed import Probed, Recorder
    from extract.weights import cache_dir

    source = next(iter(found.values()))
    name = f"{source.name} (untrained twin)" if role.endswith("0") else source.name
    live = LiveProbes(screen, name, source.layers)
    parts: list[ProbeResults] = []

    def write(part: ProbeResults) -> ProbeResults:
        first, *others = [*parts, part]
        whole = first.merge(*others)
        whole.write(folder / "probes", role)
        return whole

    with screen.stage(f"probes of {name}", above=live) as progress:
        for kind in task_kinds(tasks):
            settings = {
                "seed": run.seed, "device": run.solver_device, "ordered": role != "ref",
                "data": probing.data,
            }  # fmt: skip
            some = [task for task in tasks if task.rows == kind]
            heads = {head.name: repr(head) for head in (*probing.protocol.heads, *probing.heads)}
            about = {**settings, "protocol": probing.protocol.name, "heads": heads}
            kept = Probed(cache_dir("probes"), found[kind], about)
            known = kept.find(some)
            live.kept(known)
            part = probes.run(
                found[kind], found[kind].rows, some, **settings, protocol=probing.protocol,
                heads=probing.heads, progress=progress, done=known,
                watcher=Recorder(live, kept, some, known, write),
            )  # fmt: skip
            whole = write(part)
            parts.append(part)
    return whole


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
        if role == "ref" or role.endswith("0"):
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
