"""Probing while it goes on: layers x tasks on a terminal, a line a finished task elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from cli import scores

if TYPE_CHECKING:
    from cli.screen import Screen
    from probes.results import ProbeResults, TaskResult

BAR = 5  # lines that stay free: title, headings, the bar of progress, what is left out
LONGEST = 18  # characters of a task's name


class LiveProbes:
    """A `probes.running.Watcher` that shows validation scores of one model as they come.

    On a terminal it is a table, best layer so far in bold, to be shown above the bar of a stage;
    elsewhere a line a task goes out when the task is done. Scores of test splits come at the end.
    """

    def __init__(self, screen: Screen, model: str, layers: Sequence[str]):
        self.screen, self.model, self.layers = screen, model, list(layers)
        self._lock = Lock()  # the table is drawn by a thread of its own
        self._valid: dict[str, dict[str, float]] = {}
        self._done: set[str] = set()

    def layer(self, task: str, layer: str, valid: float) -> None:
        """A layer was probed: its score on validation."""
        with self._lock:
            self._valid.setdefault(task, {})[layer] = valid

    def task(self, found: TaskResult, others: Sequence[TaskResult]) -> None:
        """A task was probed on all layers, by the main head and by others."""
        self._finish(found)
        if self.screen.results and not self.screen.live:
            self.screen.say(f"{self.model} {said(found)}")
            for other in others:
                self.screen.say(f"{self.model} {said(other, f', {other.head}')}")

    def kept(self, known: ProbeResults) -> None:
        """Tasks that an earlier run probed."""
        for one in known.tasks:
            self._finish(one)
        if known.tasks:
            self.screen.say(f"{self.model}: kept {', '.join(one.task for one in known.tasks)}")

    def _finish(self, found: TaskResult) -> None:
        with self._lock:
            self._valid[found.task] = {one.layer: one.valid.value for one in found.layers}
            self._done.add(found.task)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        with self._lock:
            valid = {task: dict(of) for task, of in self._valid.items()}
            done = set(self._done)
        if not valid or not self.screen.results:
            return
        room = max(2, console.height - BAR)
        order = list(valid)
        if len(order) > room:  # tasks in hand first, then those done last
            order = [t for t in order if t not in done] + [t for t in order[::-1] if t in done]
        shown = order[: room - 1] if len(order) > room else order
        table, unit = self._table(valid, shown, options.max_width)
        yield Text(f"{self.model}, on validation{unit} (best so far in bold)", "italic")
        yield table
        if len(shown) < len(order):
            yield Text(f"and {len(order) - len(shown)} more tasks", "dim")

    def _table(self, valid: dict, tasks: Sequence[str], width: int) -> tuple[Table, str]:
        """The scores, and what to say of their unit."""
        room = width - min(LONGEST, max(map(len, tasks)))
        short = scores.short_layers(self.layers)
        whole = max(6, max(map(len, self.layers)) + 1)
        ways = (
            (self.layers, scores.plain, whole),
            (short, scores.tight, 6),
            ([_two_lines(name) for name in short], scores.hundredths, 3),
        )
        fitting = (way for way in ways if way[2] * len(self.layers) <= room)
        names, text, cell = next(fitting, ways[-1])
        first, last = self._window(valid, room // cell)
        table = Table(box=None, padding=0, pad_edge=False)
        table.add_column("", max_width=LONGEST, no_wrap=True)
        for name in names[first:last]:
            table.add_column(Text(name), width=cell, justify="right", no_wrap=True)
        for task in tasks:
            found = [valid[task].get(layer) for layer in self.layers]
            best = max((v for v in found if v is not None and math.isfinite(v)), default=None)
            cells = (
                Text("" if v is None else text(v), "bold" if v == best else "")
                for v in found[first:last]
            )
            table.add_row(Text(task), *cells)
        return table, " in hundredths" if text is scores.hundredths else ""

    def _window(self, valid: dict, fit: int) -> tuple[int, int]:
        """Which layers to show where not all fit: up to the last that was probed."""
        count = len(self.layers)
        if fit >= count:
            return 0, count
        reached = max(map(len, valid.values()))
        last = min(count, max(fit, reached))
        return last - fit, last


def _two_lines(name: str) -> str:
    """A short name in two characters and two lines: b / 12."""
    parts = re.fullmatch(r"(\D*)(\d+)", name)
    return f"{parts[1][:2]}\n{parts[2]}" if parts else f"{name[:2]}\n"


def said(found: TaskResult, head: str = "") -> str:
    """A finished task in a line: the layer selected on validation, and its scores on test."""
    one = found.layer(found.selected)
    valid, chance = scores.tight(one.valid.value), scores.tight(found.chance)
    tests = ", ".join(f"{split} {scores.spread(score)}" for split, score in one.splits.items())
    return (
        f"{found.task}{head}: {found.selected}, {found.metric} {valid} on validation, {tests} "
        f"(chance {chance})"
    )
