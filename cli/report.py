"""`rsa report`: the report again, from study folders alone."""

from __future__ import annotations

import click

from cli import options
from cli.formats import named_formats
from cli.record import refuse_files


@click.command("report")
@click.argument("studies", nargs=-1, required=True, type=options.PATH, metavar="STUDY...")
@click.option(
    "--format", "formats", metavar="LIST",
    help="pdf, html (one file with everything in it) or md (Markdown); several by commas "
    "[default: as FILE ends, else pdf].",
)
@click.option(
    "--out", type=options.PATH, metavar="FILE",
    help="[default: STUDY/report.pdf] Of several studies: a FOLDER [default: the current one].",
)
@options.logged
def command(studies, formats, out, screen) -> None:
    """Make the report of a STUDY folder again; nothing else is read.

    Several folders make one report, report-joined.pdf, that begins with models x tasks.
    """
    from reports.joined import write_joined
    from reports.writing import FORMATS, write_reports

    ending = out.suffix[1:].lower() if out is not None and len(studies) == 1 else ""
    if formats is None:
        formats = ending or "pdf"
        if formats not in FORMATS or (out is not None and len(studies) == 1 and not ending):
            raise click.UsageError(
                f"--out {out}: a report ends in .pdf, .html or .md; name it so, or give --format"
            )
    names = named_formats(formats)
    if ending in FORMATS and len(names) == 1 and ending != names[0]:
        raise click.UsageError(f"--out {out} ends in .{ending}, --format is {names[0]}: drop one")
    if out is not None:
        refuse_files(out, file=len(studies) == 1)
    if len(studies) == 1 and studies[0].is_dir():
        screen.log.open(studies[0])
    with screen.stage("report", cure="leave out --format, or close other programs"):
        if len(studies) == 1:
            paths = write_reports(studies[0], out, names)
        else:
            paths = write_joined(studies, out, names)
    for path in paths:
        click.echo(path)
