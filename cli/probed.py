"""Finished tasks of probing, kept so that a later command does not probe them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli import kept
from cli.known import PROBES, code_behind, content, digest
from extract.writing import write_whole

if TYPE_CHECKING:
    from extract.store import Activations
    from probes import ProbeResults
    from probes.results import TaskResult
    from probes.running import Watcher
    from probes.tasks import Task


class Probed:
    """A folder of results, one file for one task on the layers of one representation.

    Parameters
    ----------
    folder : made when something is kept.
    source : activations; the hash of their plan covers model, weights, layers and rows, and what is
        said of the clips counts as far as a task reads it.
    settings : what the numbers depend on beside source, task and code: protocol, heads, seed ...;
        what JSON has no form of counts by its `repr`.
    """

    def __init__(self, folder: Path, source: Activations, settings: Mapping[str, object]):
        self.folder, self.source, self.settings = folder, source, dict(settings)

    def path(self, task: Task) -> Path:
        """Where the result of a task is, or would be."""
        read = {task.label, task.known, *getattr(task, "labels", ())} - {""}
        about = [content(self.source, read), _facts(task), self.settings, code_behind(PROBES)]
        return self.folder / f"{digest(about)}.json"

    def find(self, tasks: Iterable[Task]) -> ProbeResults:
        """Results of those of the tasks that are finished (and whose files can be read)."""
        known = self._results()
        for task in tasks:
            if (one := self._read(self.path(task))) is not None:
                known = known.merge(one)
        return known

    def keep(self, task: Task, found: TaskResult, others: Sequence[TaskResult]) -> None:
        """Writes what all heads found: the file is there whole or not at all."""
        whole = self._results((found,), tuple(others))
        path = self.path(task)
        curves = None
        if any(one.curve for one in (found, *others)):
            curves = path.with_suffix(".npz")
            curves.parent.mkdir(parents=True, exist_ok=True)
            write_whole(curves, whole.write_curves)
        kept.write(path, whole.as_json(), code_behind(PROBES), beside=curves)

    def _read(self, path: Path) -> ProbeResults | None:
        from probes import ProbeResults
        from probes.curves import read_curves

        curves = path.with_suffix(".npz")
        entry = kept.read(path, beside=curves)
        if entry is None:
            return None
        found = ProbeResults.from_json(entry)
        return found.with_curves(read_curves(curves)) if curves.exists() else found

    def _results(
        self, tasks: tuple[TaskResult, ...] = (), heads: tuple[TaskResult, ...] = ()
    ) -> ProbeResults:
        from probes import ProbeResults

        layers = tuple(self.source.layers)
        return ProbeResults(self.source.name, layers, tasks, heads=heads)


class Recorder:
    """A `probes.running.Watcher` that keeps every finished task, and the study a batch a time.

    Parameters
    ----------
    shown : a watcher that is told the same.
    tasks : those that are probed.
    known : results from before.
    write : is given all results so far, after every batch but the last.
    """

    def __init__(
        self,
        shown: Watcher,
        kept: Probed,
        tasks: Iterable[Task],
        known: ProbeResults,
        write: Callable[[ProbeResults], object],
    ):
        self.shown, self.kept, self.write = shown, kept, write
        self.tasks = {task.name: task for task in tasks}
        self.known, self.fresh = known, False

    def layer(self, task: str, layer: str, valid: float) -> None:
        """The first layer after a finished task means that a batch is finished."""
        if self.fresh:
            self.write(self.known)
            self.fresh = False
        self.shown.layer(task, layer, valid)

    def task(self, found: TaskResult, others: Sequence[TaskResult] = ()) -> None:
        """A task is finished by all heads."""
        self.kept.keep(self.tasks[found.task], found, others)
        self.known = replace(
            self.known, tasks=(*self.known.tasks, found), heads=(*self.known.heads, *others)
        )
        self.fresh = True
        self.shown.task(found, others)


def _facts(task: Task) -> dict[str, object]:
    """The definition of a task; a function in it by its name, for the code counts as well."""
    values = {field.name: getattr(task, field.name) for field in fields(task)}
    return {
        name: f"{value.__module__}.{value.__qualname__}" if callable(value) else value
        for name, value in values.items()
    }
