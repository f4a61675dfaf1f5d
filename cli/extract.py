"""`rsa extract`: activations of every layer of one model, kept for later commands."""

from __future__ import annotations

import json

import click

from cli import options
from cli.processes import current, shared
from extract.urls import without_secrets


@click.command("extract")
@click.option("--model", required=True, metavar="NAME", help="See `rsa models`.")
@click.option("--weights", type=options.PATH, metavar="FILE|FOLDER",
              help="Own weights in the published layout.")
@options.data
@options.rows
@options.layers
@options.running
@options.dry_run
@options.as_json
@shared
@options.logged
def command(
    model, weights, data, manifest, limit, rows, grid, sketch, layers, dry_run, as_json, screen,
    **running,
) -> None:
    """Run a model over audio once; compare and probe then start from its activations."""
    from cli.names import check_names, check_weights
    from cli.owntask import Wanted
    from cli.steps import (
        Run,
        deviations,
        extract_rows,
        kept_stores,
        load_model,
        open_data,
        resolve_device,
    )  # fmt: skip
    from extract.models.base import file_name
    from extract.rows import kind_of

    team = current()
    wanted = Wanted((), data=data, manifest=manifest)
    check_weights(weights, "--weights")
    check_names([(model, None if weights else layers, "--layers")], wanted, screen.warn)
    running["device"] = resolve_device(running["device"])
    run = Run(**running)
    kept_stores(run)  # a place that cannot be is told before anything is loaded
    dataset, clips = open_data(data, manifest, limit, screen.warn, run.offline)
    kind = kind_of(rows, grid, sketch)
    net = load_model(model, weights, run, layers)
    if dry_run:
        from cli import dryrun
        from cli.material import Ingredients

        if team.first:
            ready = Ingredients({"a": net}, {}, dataset, clips, [], [kind])
            dryrun.show(dryrun.of_extraction(ready, run), ready, as_json)
        return
    if team.first:
        screen.log.in_cache(f"extract-{file_name(net.name)}")
        about = {"model": net.name, "data": without_secrets(data), "rows": kind}
        screen.settings({**about, **run.told()})
    activations = extract_rows(net, dataset, clips, [kind], run, screen)[kind]
    if not team.first:
        return
    for failure in activations.failures:
        screen.warn(failure.reason)
    summary = {
        "model": net.name,
        "weights": net.weights.as_json(),
        "rows": len(activations),
        "clips": len(activations.rows.clips),
        "failed": len(activations.failures),
        "layers": {layer.name: layer.width for layer in net.layers},
        "deviations": deviations({kind: activations}),
        "folder": activations.store.place,
        "log": str(screen.log.path),
    }
    if as_json:
        click.echo(json.dumps(summary, indent=1))
    else:
        click.echo(
            f"{summary['rows']} rows of {len(net.layers)} layers from {summary['clips']} clips "
            f"({summary['failed']} failed) in {summary['folder']}"
        )
