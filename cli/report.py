"""`rsa report`: the report again, from study folders alone."""

from __future__ import annotations

import click

from cli import options
from cli.nearest import suggestion


@click.command("report")
@click.argument("studies", nargs=-1, required=True, type=options.PATH, metavar="STUDY...")
@click.option(
    "--format", "formats", default="pdf", show_default=True, metavar="LIST",
    help="pdf, html (one file with everything in it) or md (Markdown); several by commas.",
)
@click.option(
    "--out", type=options.PATH, metavar="FILE",
    help="[default: STUDY/report.pdf] Of several studies: a FOLDER [default: the current one].",
)
@options.quiet
def command(studies, formats, out, quiet) -> None:
    """Make the report of a STUDY folder again; nothing else is read.

    Several folders make one report, report-joined.pdf, that begins with models x tasks.
    """
    from cli.screen import Screen
    from reports.joined import write_joined
    from reports.writing import FORMATS, write_reports

    names = tuple(dict.fromkeys(name.strip().lower() for name in formats.split(",")))
    for name in names:
        if name not in FORMATS:
            hint = suggestion(name, FORMATS)
            raise click.UsageError(f"--format {name}: there is no such format{hint}")
    with Screen(quiet).stage("report"):
        if len(studies) == 1:
            paths = write_reports(studies[0], out, names)
        else:
            paths = write_joined(studies, out, names)
    for path in paths:
        click.echo(path)
