"""`rsa models`: the registry as a table, one model's card, and a trial of a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cli import options
from cli.nearest import nearest
from cli.numbers import SEEDS, Finite

SLIP = 0.75  # likeness from which a name that is no model's is taken for a command


class Unnamed(click.Context):
    """Of a command whose name is not typed: usage lines speak of the group alone."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path


class Show(click.Command):
    context_class = Unnamed


class Models(click.Group):
    """A group whose unknown first argument is the name of a model to show."""

    def resolve_command(self, ctx, args):
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "show", show, args

    def list_commands(self, ctx):
        return ["check"]


@click.group("models", cls=Models, invoke_without_command=True, subcommand_metavar="[NAME | check]")
@options.as_json
@click.option("--markdown", is_flag=True, help="Print the table as GitHub's Markdown.")
@click.pass_context
def command(context: click.Context, as_json: bool, markdown: bool) -> None:
    """List the models, show the card of one (NAME), or try one out (check NAME).

    NAME is a name of the table, a member of a family (hf:ID_OR_FOLDER), or a model of your own as
    module:Attribute.
    """
    if context.invoked_subcommand:
        return
    from cli import modeltable

    specs = dict(_described())
    if as_json:
        cards = [_json(spec) for spec in specs.values()]
        click.echo(json.dumps(cards, indent=1))
    elif markdown:
        click.echo(modeltable.markdown_table(list(specs.values())))
    else:
        modeltable.show_models(list(specs.values()))


@click.command("show", cls=Show, hidden=True)
@click.argument("name")
@options.as_json
@click.pass_context
def show(context: click.Context, name: str, as_json: bool) -> None:
    """Show one model's card."""
    from cli import modeltable
    from cli.steps import check_model

    try:
        spec = check_model(name)
    except click.UsageError:
        if meant := nearest(name, command.commands, SLIP):
            raise click.UsageError(
                f"no model {name!r}; did you mean rsa models {meant[0]} NAME?"
            ) from None
        raise
    if as_json or context.parent.params.get("as_json"):
        click.echo(json.dumps(_json(spec), indent=1))
    else:
        modeltable.show_card(spec)


@command.command("check")
@click.argument("name")
@click.option("--weights", type=options.PATH, metavar="PATH", help="File or folder of weights.")
@click.option("--untrained", is_flag=True, help="Try the architecture with random weights.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="cpu",
    show_default=True, help="Where the network runs.",
)  # fmt: skip
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of untrained weights.")
@click.option("--offline", is_flag=True, help="Never ask the network for weights.")
@click.option(
    "--seconds", type=Finite(min=0), default=45.0, show_default=True,
    help="What the passes may take; checks that would go beyond are skipped.",
)  # fmt: skip
@options.as_json
@options.quiet
@click.pass_context
def check(
    context: click.Context,
    name: str,
    weights: Path | None,
    untrained: bool,
    device: str,
    seed: int,
    offline: bool,
    seconds: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Try a model before a long run: widths, rates, time stamps, threads, short input ...

    Exit code 1 when a check fails, 3 when the weights are missing or wrong.
    """
    from cli.screen import Screen
    from cli.steps import check_model, resolve_device
    from extract.errors import ExtractError
    from extract.models.base import Request
    from extract.trial.checks import FAILED, trial

    spec = check_model(name)
    request = Request(weights, untrained, seed, offline)
    screen, done, refused = Screen(quiet=quiet or as_json), [], None
    with screen.stage(f"trial of {spec.card.name}", unit="check") as progress:
        try:
            for each in trial(spec, request, device=resolve_device(device), seconds=seconds):
                done.append(each)
                progress(len(done), max(len(done), 17))
        except ExtractError as error:
            refused = error
    if as_json or (context.parent and context.parent.params.get("as_json")):
        rows = [{"check": c.name, "outcome": c.outcome, "detail": c.detail} for c in done]
        click.echo(json.dumps({"model": spec.card.name, "checks": rows}, indent=1))
    elif done:
        from cli.modeltable import show_checks

        show_checks(spec.card.name, done)
    if refused:
        raise refused
    if any(each.outcome == FAILED for each in done):
        sys.exit(1)


def _described() -> Iterator[tuple[str, object]]:
    """(name, entry) of all models; one of another package that is broken is only warned of."""
    from extract import models
    from extract.errors import ExtractError

    for name in models.names():
        try:
            yield name, models.spec(name)
        except ExtractError as error:
            click.echo(f"rsa: left out: {error}", err=True)


def _json(spec) -> dict:
    return {
        **spec.card.as_json(),
        "weights_present": spec.present(),
        "weights_given": spec.given,
    }
