"""`rsa extract`: activations of every layer of one model, kept for later commands."""

from __future__ import annotations

import json

import click

from cli import options


@click.command("extract")
@click.option("--model", required=True, metavar="NAME", help="See `rsa models`.")
@click.option("--weights", type=options.PATH, metavar="FILE|FOLDER",
              help="Own weights in the published layout.")
@options.data
@options.rows
@options.layers
@options.running
@options.as_json
@options.quiet
def command(
    model, weights, data, manifest, limit, rows, grid, layers, as_json, quiet, **running
) -> None:
    """Run a model over audio once; compare and probe then start from its activations."""
    from cli.screen import Screen
    from cli.steps import (
        Run,
        check_model,
        deviations,
        extract_rows,
        load_model,
        open_data,
        resolve_device,
    )  # fmt: skip

    screen = Screen(quiet)
    check_model(model)
    running["device"] = resolve_device(running["device"])
    run = Run(**running)
    dataset, clips = open_data(data, manifest, limit, screen.warn)
    kind = "clips" if rows == "clips" else f"frames:{grid:g}"
    net = load_model(model, weights, run, layers)
    activations = extract_rows(net, dataset, clips, [kind], run, screen)[kind]
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
        "folder": str(activations.store.folder),
    }
    if as_json:
        click.echo(json.dumps(summary, indent=1))
    else:
        click.echo(
            f"{summary['rows']} rows of {len(net.layers)} layers from {summary['clips']} clips "
            f"({summary['failed']} failed) in {summary['folder']}"
        )
