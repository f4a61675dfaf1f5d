"""What a person sees while a command works: stages, progress with time left, tables."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from cli.pace import Pace, clock_time

if TYPE_CHECKING:
    from cli.runlog import RunLog

from extract.errors import printable

PIPED = 160  # characters of a line where no terminal sets a width
NOW_AND_THEN = 30.0  # seconds between lines on how far a stage is
LONG = 60.0  # seconds of a run that is told how long it took
LEVELS = ("debug", "info", "warning", "error")


class Below(Progress):
    """A bar of progress with something above it."""

    def __init__(self, *columns, above: RenderableType | None, **options):
        self.above = above
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterator[RenderableType]:
        if self.above is not None:
            yield self.above
        yield from super().get_renderables()


class _Words(ProgressColumn):
    """How far a stage is, how fast, when it will be done, and how long the whole run takes."""

    def __init__(self, pace: Pace, log: RunLog | None):
        super().__init__()
        self._pace, self._log = pace, log

    def render(self, task: Task) -> Text:
        words = self._pace.words() or clock_time(self._pace.seconds)
        since = f"  ({clock_time(self._log.seconds)})" if self._log else ""
        return Text.assemble(words, (since, "dim"))


class Screen:
    """Stages of a run on standard error and in its log, and how long each took.

    Parameters
    ----------
    quiet : nothing is shown.
    results : whether numbers are shown while they come.
    level : `debug`, `info`, `warning` or `error`: what is below is not shown.
    log : of the run; what is said is written there too.

    Attributes
    ----------
    timings : (stage, seconds) in order.
    """

    def __init__(
        self,
        quiet: bool = False,
        results: bool = True,
        level: str = "info",
        log: RunLog | None = None,
    ):
        self.quiet, self.level, self.log = quiet, level, log
        self.console = Console(
            stderr=True, highlight=False, file=log.screen if log else None
        )
        self.results = results and not quiet
        self.timings: list[tuple[str, float]] = []
        self._warned: set[str] = set()  # where there is no log that knows
        if log:
            log.on_noise = self._noise

    def anew(self) -> Screen:
        """The same place and log, with timings of its own."""
        return Screen(self.quiet, self.results, self.level, self.log)

    @property
    def live(self) -> bool:
        """Whether what is shown can be replaced: on a terminal."""
        return self.console.is_terminal and self._shows("info")

    @contextmanager
    def stage(
        self,
        name: str,
        above: RenderableType | None = None,
        unit: str = "step",
        cure: str = "use fewer clips (--limit)",
    ) -> Iterator:
        """Times a stage; yields a callback progress(done, total).

        Where no bar can be shown a line says that it begins, and one now and then how far it is.

        Parameters
        ----------
        above : on a terminal shown above the bar while the stage lasts.
        unit : of what progress counts, one of them.
        cure : what would help where memory runs out.

        Raises
        ------
        OutOfMemory : in the place of whatever says that memory ran out.
        """
        start, pace = time.perf_counter(), Pace(unit)
        if not self.live:
            self._show("info", f"{name} ...")
        outer, before = "", None
        if self.log:
            outer, before = self.log.stage, self.log.on_tick
            self.log.stage = name
            self.log.write("info", "stage", "begun")
            self.log.on_tick = _every(NOW_AND_THEN, lambda: self._now_and_then(name, pace))
        columns = (TextColumn("{task.description}"), BarColumn(20), _Words(pace, self.log))
        options = {
            "console": self.console, "transient": True, "disable": not self.live,
            "redirect_stderr": not (self.log and self.log.screen),
        }  # fmt: skip
        try:
            with Below(*columns, above=above, **options) as bar:
                task = bar.add_task(escape(name), total=None)

                def progress(done: int, total: int) -> None:
                    pace.update(done, total)
                    bar.update(task, completed=done, total=total)

                yield progress
        except Exception as error:
            from extract.memory import is_out_of_memory

            if is_out_of_memory(error):
                raise OutOfMemory(f"{name}: out of memory ({_first(error)}); {cure}") from error
            raise
        finally:
            if self.log:
                self.log.on_tick = before
        seconds = time.perf_counter() - start
        self.timings.append((name, seconds))
        if self.log:
            self.log.write("info", "stage", "done", seconds=round(seconds, 2), done=pace.done,
                           total=pace.total, unit=unit, rate=pace.rate)  # fmt: skip
            self.log.stage = outer
        self._show("info", f"{name} ({seconds:.1f} s)", f"{escape(name)} [dim]({seconds:.1f} s)[/]")

    def say(self, message: str) -> None:
        if self.log:
            self.log.write("info", "said", message)
        self._show("info", message)

    def warn(self, message: str) -> None:
        """Says what a user should know; once in a run."""
        if self.log:
            new = self.log.once("warning", "warning", message)
        else:
            new = message not in self._warned
            self._warned.add(message)
        if new:
            self._show("warning", message, f"[yellow]warning:[/yellow] {_shown(message)}")

    def error(self, message: str) -> None:
        """Says what is wrong, however quiet it is to be."""
        if self.log:
            self.log.write("error", "said", message)
        self.console.print(_shown(message), soft_wrap=True)

    def settings(self, settings: dict) -> None:
        """What a run does, as it was resolved, for its log."""
        if self.log:
            self.log.write("info", "settings", "as resolved", settings=settings)

    def finish(self) -> None:
        """The last lines of a run that went well."""
        if self.log is None:
            return
        for message, times in self.log.repeated():
            self._show("warning", f"said {times} times: {message}")
        if self.log.seconds >= LONG:
            self._show("info", self.log.summary())

    def _shows(self, level: str) -> bool:
        return not self.quiet and LEVELS.index(level) >= LEVELS.index(self.level)

    def _show(self, level: str, message: str, markup: str = "") -> None:
        if self._shows(level):
            self.console.print(markup or _shown(message), soft_wrap=True)

    def _now_and_then(self, name: str, pace: Pace) -> None:
        words = pace.words() or f"{clock_time(pace.seconds)} so far"
        since = clock_time(self.log.seconds)
        self.log.write("info", "progress", words, done=pace.done, total=pace.total, unit=pace.unit,
                       rate=pace.rate, left=pace.left)  # fmt: skip
        if not self.live:
            self._show("info", f"{name}: {words} (since the start {since})")

    def _noise(self, line: str, bar: bool) -> None:
        """What a library printed: of bars (a download) how far they are, the rest is in the log."""
        if bar and self.live:
            text = Text(printable(line), "dim")
            self.console.print(text, end="\r", overflow="crop", no_wrap=True)
        elif not bar and self._shows("debug"):
            self.console.print(Text(printable(line), "dim"), soft_wrap=True)


class OutOfMemory(Exception):
    """Memory ran out where there is no smaller piece of work to go on with."""

    exit_code = 5


def _every(seconds: float, work):
    """Calls `work` at most so often, and not before so long."""
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            work()

    return tick


def _first(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def _shown(text: str) -> str:
    """A text as rich prints it as it is, its lines apart, without what a terminal would obey."""
    return escape("\n".join(map(printable, text.split("\n"))))


def line_width() -> int:
    """Characters of a line on standard output: the terminal's, or COLUMNS, or PIPED."""
    if sys.stdout.isatty():
        return get_terminal_size().columns
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) else PIPED


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence],
    caption: str = "",
    widths: Sequence[int] | None = None,
    whole: bool = False,
) -> None:
    """A table on standard output; plain text where that is not a terminal.

    Parameters
    ----------
    columns : headings; no line of headings if all are empty.
    widths : characters of each column; as the content and the line want it if None.
    whole : no column is narrower than its longest word, which then is not broken.
    """
    table = Table(
        title=title, caption=caption, title_justify="left", caption_justify="left",
        show_header=any(columns),
    )  # fmt: skip
    for position, column in enumerate(columns):
        if widths:
            table.add_column(column, width=widths[position], overflow="fold")
        else:
            texts = [column, *(str(row[position]) for row in rows)] if whole else []
            longest = max((len(word) for text in texts for word in text.split()), default=None)
            table.add_column(
                column, no_wrap=position == 0, overflow="fold", min_width=longest
            )
    for row in rows:
        table.add_row(*(_shown(str(cell)) for cell in row))
    Console(width=line_width(), highlight=False).print(table)
