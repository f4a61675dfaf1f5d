"""`rsa models`: the registry as a table, or one model's card with its layers."""

from __future__ import annotations

import json

import click

from cli import options


@click.command("models")
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, as_json: bool) -> None:
    """List the models, or show the card of one with its layers."""
    from extract import models

    if name:
        from cli.steps import check_model

        check_model(name)
        _show_one(models.spec(name), as_json)
        return
    specs = [models.spec(each) for each in models.names()]
    if as_json:
        cards = [{**s.card.as_json(), "weights_present": s.present()} for s in specs]
        click.echo(json.dumps(cards, indent=1))
        return
    from cli.screen import show_table

    columns = ["name", "layers x width", "rate", "parameters", "trained on", "licence", "weights"]
    show_table(
        "Models",
        columns,
        [_row(spec) for spec in specs],
        "here: weights are on this machine; fetch: they will be fetched; rsa models NAME: card",
    )


def _row(spec) -> list[str]:
    card = spec.card
    widths = sorted({layer.width for layer in card.layers})
    span = f"{widths[0]}" if len(widths) == 1 else f"{widths[0]}-{widths[-1]}"
    return [
        card.name,
        f"{len(card.layers)} x {span}",
        f"{card.sample_rate / 1000:g} kHz",
        f"{card.parameters / 1e6:.2f} M",
        card.training_data,
        card.licence,
        "here" if spec.present() else "fetch",
    ]


def _show_one(spec, as_json: bool) -> None:
    card = spec.card
    if as_json:
        click.echo(json.dumps({**card.as_json(), "weights_present": spec.present()}, indent=1))
        return
    from cli.screen import show_table

    where = "on this machine" if spec.present() else "not on this machine yet"
    facts = [
        ["name", card.name],
        ["paper", card.paper],
        ["source", card.url],
        ["trained on", card.training_data],
        ["parameters", f"{card.parameters:,}"],
        ["sample rate", f"{card.sample_rate} Hz"],
        ["licence", card.licence],
        ["weights", f"{card.weights_from} ({where})"],
        ["notes", card.notes],
    ]
    show_table(card.title, ["", ""], [fact for fact in facts if fact[1]])
    layers = [[la.depth, la.name, la.width, f"{la.rate:.4g}"] for la in card.layers]
    show_table("Layers", ["depth", "layer", "width", "frames/s"], layers)
