"""`rsa figure`: one figure or table of the report by itself."""

from __future__ import annotations

import click

from cli import options
from cli.nearest import suggestion


@click.command("figure")
@click.argument("study", type=options.PATH)
@click.argument("name", required=False)
@click.option(
    "--format", "kind", metavar="NAME",
    help="svg, pdf or png; csv for a table [default: as FILE ends, else svg or csv].",
)
@click.option(
    "--out", type=options.PATH, metavar="FILE",
    help="[default: NAME.FORMAT in the current folder]",
)
@options.quiet
def command(study, name, kind, out, quiet) -> None:
    """Write one figure or table of a STUDY's report; without NAME, list them all."""
    from cli.record import refuse_files
    from cli.screen import Screen, show_table
    from reports import Study
    from reports.single import PICTURES, TABLE, figures, tables, write_figure

    if kind is not None and kind not in (*PICTURES, TABLE):
        hint = suggestion(kind, (*PICTURES, TABLE))
        raise click.UsageError(f"--format {kind}: there is no such format{hint}")
    if out is not None:
        refuse_files(out, file=True)
    found = Study.read(study)
    if name is None:
        if kind is not None or out is not None:
            raise click.UsageError("--format and --out need the NAME of a figure")
        with Screen(quiet).stage("figures"):
            rows = [[one.name, "figure", one.line] for one in figures(found)]
        rows += [[one.name, "table", one.line] for one in tables(found)]
        show_table("Figures and tables", ["name", "", "what it is"], rows)
        return
    try:
        with Screen(quiet).stage("figure"):
            path = write_figure(found, name, kind, out)
    except LookupError as error:
        hint = suggestion(name, error.args[0])
        raise click.UsageError(f"{study} has no figure {name!r}{hint}") from None
    click.echo(path)
