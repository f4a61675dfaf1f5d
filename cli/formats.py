"""Formats of a report, by their names on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import suggestion

if TYPE_CHECKING:
    from cli.screen import Screen


def named_formats(text: str) -> tuple[str, ...]:
    """Names of formats by commas, each once; a usage error for one that there is not."""
    from reports.writing import FORMATS

    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    for name in names:
        if name not in FORMATS:
            hint = suggestion(name, FORMATS)
            raise click.UsageError(f"--format {name}: there is no such format{hint}")
    return names


def asked_formats(text: str | None, no_report: bool) -> tuple[str, ...]:
    """Of a command that makes a report at its end, or none."""
    if no_report and text is not None:
        raise click.UsageError("--format goes with a report: drop --no-report")
    return () if no_report else named_formats("pdf" if text is None else text)


def reported(folder: Path, formats: tuple[str, ...], screen: Screen) -> tuple[Path, ...]:
    """Writes the report of a study in some formats; a path each."""
    if not formats:
        return ()
    from reports.writing import write_reports

    with screen.stage("report", cure=f"make it later: rsa report {folder}"):
        return write_reports(folder, formats=formats)
