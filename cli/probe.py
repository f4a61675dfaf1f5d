"""`rsa probe`: what can be read out of each layer of one or more models."""

from __future__ import annotations

import json

import click

from cli import options


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
@click.option("--no-report", is_flag=True, help="Numbers only, no PDF.")
@options.running
@options.as_json
@options.quiet
def command(
    names, weights, data, manifest, limit, tasks, protocol, heads, checks, max_frames, layers,
    twins, why, out, no_report, as_json, quiet, **running,
):  # fmt: skip
    """Train probes on every layer of one or more models and write a report.

    Settings of each probe and the layer are chosen on validation; scores are on test, with
    intervals over groups, beside chance and the references. Finished tasks are kept.
    """
    from cli.probing import show_probes
    from cli.probingrun import ProbingRun, probe
    from cli.screen import Screen
    from cli.steps import Run, resolve_device

    if weights and len(names) > 1:
        raise click.UsageError("--weights goes with one --model; run the command once for each")
    screen = Screen(quiet, results=not as_json)
    running["device"] = resolve_device(running["device"])
    asked = ProbingRun(
        models=names, weights={names[0]: weights} if weights else {},
        data=data if options.given("data") else None, manifest=manifest, limit=limit, tasks=tasks,
        protocol=protocol, heads=heads, checks=checks, max_frames=max_frames, layers=layers,
        twins=twins, why=why,
    )  # fmt: skip
    found = probe(asked, Run(**running), out, screen)
    report = None
    if not no_report:
        from reports import write_report

        with screen.stage("report"):
            report = write_report(found.folder)
    if as_json:
        results = {role: r.as_json() for role, r in found.results.items()}
        click.echo(json.dumps(results, indent=1))
    else:
        show_probes(found.results)
        click.echo(report or found.folder)
