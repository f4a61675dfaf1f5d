"""What a person sees while a command works: stages, progress with time left, tables."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

PIPED = 160  # characters of a line where no terminal sets a width


class Below(Progress):
    """A bar of progress with something above it."""

    def __init__(self, *columns, above: RenderableType | None, **options):
        self.above = above
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterator[RenderableType]:
        if self.above is not None:
            yield self.above
        yield from super().get_renderables()


class Screen:
    """Stages of a run on standard error, and how long each took.

    Parameters
    ----------
    quiet : nothing is shown.
    results : whether numbers are shown while they come.

    Attributes
    ----------
    timings : (stage, seconds) in order.
    """

    def __init__(self, quiet: bool = False, results: bool = True):
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.results = results and not quiet
        self.timings: list[tuple[str, float]] = []

    @property
    def live(self) -> bool:
        """Whether what is shown can be replaced: on a terminal."""
        return self.console.is_terminal and not self.console.quiet

    @contextmanager
    def stage(self, name: str, above: RenderableType | None = None) -> Iterator:
        """Times a stage; yields a callback progress(done, total).

        Where no bar can be shown a line says that it begins.

        Parameters
        ----------
        above : on a terminal shown above the bar while the stage lasts.
        """
        start = time.perf_counter()
        if not self.live:
            self.say(f"{name} ...")
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        options = {"console": self.console, "transient": True, "disable": not self.live}
        with Below(*columns, above=above, **options) as bar:
            task = bar.add_task(escape(name), total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            yield progress
        seconds = time.perf_counter() - start
        self.timings.append((name, seconds))
        self.console.print(f"{escape(name)} [dim]({seconds:.1f} s)[/dim]")

    def say(self, message: str) -> None:
        self.console.print(escape(message), soft_wrap=True)

    def warn(self, message: str) -> None:
        self.console.print(f"[yellow]warning:[/yellow] {escape(message)}", soft_wrap=True)


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
        table.add_row(*(escape(str(cell)) for cell in row))
    Console(width=line_width(), highlight=False).print(table)
