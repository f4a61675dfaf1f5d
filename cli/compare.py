"""`rsa compare`: two models on the same rows, layer by layer, into a study folder and a PDF."""

from __future__ import annotations

import json

import click

from cli import options
from cli.processes import current, shared


@click.command("compare")
@click.option("--a", "a", required=True, metavar="NAME", help="First model; see `rsa models`.")
@click.option("--b", "b", required=True, metavar="NAME", help="Second model.")
@options.data
@options.tasks
@click.option("--measures", default="default", show_default=True, metavar="LIST",
              help="Similarity measures: `default`, or names and families separated by commas "
              "(cka, svcca, shape, mi); `all` for all of `rsa measures`.")
@options.rows
@click.option("--weights-a", type=options.PATH, metavar="FILE|FOLDER", help="Weights of A.")
@click.option("--weights-b", type=options.PATH, metavar="FILE|FOLDER", help="Weights of B.")
@click.option("--layers-a", metavar="LIST", help="Keep these layers of A only.")
@click.option("--layers-b", metavar="LIST", help="Keep these layers of B only.")
@click.option("--twins", is_flag=True,
              help="Compare each model with its untrained twin too: what training made alike.")
@options.why
@options.out
@options.report
@options.running
@options.dry_run
@options.as_json
@shared
@options.logged
def command(
    a, b, data, manifest, limit, tasks, measures, rows, grid, sketch, weights_a, weights_b,
    layers_a, layers_b, twins, why, out, formats, no_report, dry_run, as_json, screen,
    **running,
):  # fmt: skip
    """Compare two models layer by layer and write a report.

    One pass over the audio a model; similarity within and across the models and to references;
    probes on every layer; everything as JSON and CSV in the study folder, with report.pdf.
    """
    from cli.comparison import Comparison, compare, prepare
    from cli.formats import asked_formats, reported
    from cli.steps import Run, resolve_device

    team = current()
    names = asked_formats(formats, no_report)
    running["device"] = resolve_device(running["device"])
    comparison = Comparison(
        a=a, b=b, data=data if options.given("data") else None, manifest=manifest, limit=limit,
        tasks=tasks, measures=measures, rows=rows, grid=grid, sketch=sketch,
        weights_a=weights_a, weights_b=weights_b, layers_a=layers_a, layers_b=layers_b,
        twins=twins, why=why,
    )  # fmt: skip
    run = Run(**running)
    if dry_run:
        from cli import dryrun

        if team.first:
            ready = prepare(comparison, run, screen)
            dryrun.show(dryrun.of_comparison(ready, comparison, run), ready, as_json)
        return
    found = compare(comparison, run, out, screen)
    if not team.first:
        return
    reports = reported(found.folder, names, screen)
    if as_json:
        paths = [*map(str, reports)]
        summary = {
            "study": str(found.folder), "report": next(iter(paths), None), "reports": paths,
            **found.rows, "failed": len(found.failures), "timings": dict(screen.timings),
        }  # fmt: skip
        click.echo(json.dumps(summary, indent=1))
    else:
        for path in reports or (found.folder,):
            click.echo(path)
