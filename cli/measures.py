"""`rsa measures`: what can be computed between layers, and what each number says."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli import options
from cli.nearest import suggestion

if TYPE_CHECKING:
    from rsa.measures.base import Measure


@click.command("measures")
@click.argument("name", required=False)
@options.as_json
def command(name, as_json):
    """List the measures of similarity, or show one with what it says and what not.

    NAME is a canonical name (svcca:var=0.99,mean; its numbers may be others), a beginning of one
    (svcca) or a family.
    """
    from cli.similarity import named
    from rsa.errors import RsaError
    from rsa.measures import DEFAULT, MEASURES, measure

    if name is None:
        if as_json:
            click.echo(json.dumps([_as_json(m) for m in MEASURES.values()], indent=1))
        else:
            _show_all(list(MEASURES.values()), DEFAULT)
        return
    try:
        found = [measure(one) for one in named(name)]
    except RsaError as error:
        raise click.UsageError(str(error)) from None
    if not found:
        stems = dict.fromkeys(known.partition(":")[0] for known in MEASURES)
        raise click.UsageError(f"no measure {name!r}{suggestion(name, [*stems, *MEASURES])}")
    if as_json:
        click.echo(json.dumps([_as_json(m) for m in found], indent=1))
        return
    for one in found:
        _show(one)


def _as_json(measure: Measure) -> dict:
    return {
        "measure": measure.name,
        **asdict(measure),
        "invariances": sorted(measure.invariances),
        "range": list(measure.range),
    }


def _show_all(measures: list[Measure], default: tuple[str, ...]) -> None:
    from cli.screen import show_table

    rows = [
        [
            m.name + ("*" if m.name in default else ""), m.title, m.family, _range(m),
            "both" if m.symmetric else "x to y", m.needs,
        ]
        for m in measures
    ]  # fmt: skip
    show_table(
        "Measures",
        ["name", "title", "family", "range", "direction", "needs"],
        rows,
        "* in `default`; `all` is all of them; numbers in a name may be chosen; "
        "rsa measures NAME says what one tells",
    )


def _show(measure: Measure) -> None:
    from cli.screen import show_table

    facts = [
        ("family", measure.family),
        ("formula", measure.formula),
        ("source", measure.source),
        ("range", _range(measure)),
        ("more similar", "larger" if measure.larger_is_more_similar else "smaller"),
        ("symmetric", "yes" if measure.symmetric else "no: from x to y"),
        ("triangle inequality", "yes" if measure.metric else "no"),
        ("same under", ", ".join(sorted(measure.invariances))),
        ("needs", f"{measure.needs}, {measure.minimum_rows} of them at least"
         if measure.needs == "rows" else f"moments, {measure.minimum_rows} rows at least"),
        ("says", measure.says),
        ("beware", measure.beware),
    ]  # fmt: skip
    show_table(f"{measure.name}: {measure.title}", ["", ""], [f for f in facts if f[1]])


def _range(measure: Measure) -> str:
    low, high = measure.range
    if low is None and high is None:
        text = "unbounded"
    elif low is None or high is None:
        text = f"up to {high:g}" if low is None else f"{low:g} and up"
    else:
        text = f"{low:g} to {high:g}"
    return f"{text} {measure.unit}".strip()
