"""`rsa probe`: what can be read out of each layer of one or more models."""

from __future__ import annotations

import json

import click

from cli import options
from cli.processes import current, shared


@click.command("probe")
@click.option("--model", "names", multiple=True, required=True, metavar="NAME",
              help="A model; give the option again for more.")
@click.option("--weights", type=options.PATH, metavar="FILE|FOLDER",
              help="Own weights (with one --model).")
@options.data
@options.tasks
@options.probing
@options.layers
@click.option("--twins", is_flag=True,
              help="Probe the untrained twin of each model too: what training made decodable.")
@options.why
@options.out
@options.report
@options.running
@options.dry_run
@options.as_json
@shared
@options.logged
def command(
    names, weights, data, manifest, limit, tasks, protocol, heads, checks, max_frames, layers,
    twins, why, out, formats, no_report, dry_run, as_json, screen, **running,
):  # fmt: skip
    """Train probes on every layer of one or more models and write a report.

    Settings of each probe and the layer are chosen on validation; scores are on test, with
    intervals over groups, beside chance and the references. Finished tasks are kept.
    """
    from cli.formats import asked_formats, reported
    from cli.probing import show_probes
    from cli.probingrun import ProbingRun, prepare, probe
    from cli.steps import Run, resolve_device

    if weights and len(names) > 1:
        raise click.UsageError("--weights goes with one --model; run the command once for each")
    team = current()
    endings = asked_formats(formats, no_report)
    running["device"] = resolve_device(running["device"])
    asked = ProbingRun(
        models=names, weights={names[0]: weights} if weights else {},
        data=data if options.given("data") else None, manifest=manifest, limit=limit, tasks=tasks,
        protocol=protocol, heads=heads, checks=checks, max_frames=max_frames, layers=layers,
        twins=twins, why=why,
    )  # fmt: skip
    run = Run(**running)
    if dry_run:
        from cli import dryrun

        if team.first:
            ready = prepare(asked, run, screen)
            dryrun.show(dryrun.of_probing(ready, asked, run), ready, as_json)
        return
    found = probe(asked, run, out, screen)
    if not team.first:
        return
    reports = reported(found.folder, endings, screen)
    if as_json:
        results = {role: r.as_json() for role, r in found.results.items()}
        click.echo(json.dumps(results, indent=1))
    else:
        show_probes(found.results)
        for path in reports or (found.folder,):
            click.echo(path)
