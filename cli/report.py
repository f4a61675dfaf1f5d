"""`rsa report`: the PDF again, from the study folder alone."""

from __future__ import annotations

import click

from cli import options


@click.command("report")
@click.argument("study", type=options.PATH)
@click.option("--out", type=options.PATH, metavar="FILE", help="[default: STUDY/report.pdf]")
@options.quiet
def command(study, out, quiet) -> None:
    """Make the PDF of a STUDY folder again; nothing else is read."""
    from cli.screen import Screen
    from reports import write_report

    with Screen(quiet).stage("report"):
        path = write_report(study, out)
    click.echo(path)
