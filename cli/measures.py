"""`rsa measures`: what can be computed between layers, and what each number says."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli import options

if TYPE_CHECKING:
    from rsa.measures.base import Measure


@click.command("measures")
@click.argument("name", required=False)
@options.as_json
def command(name, as_json):
    """List the measures of similarity, or show one with what it says and what not.

    NAME is a canonical name (svcca:var=0.99,mean; its numbers may be others), a beginning of one
    (svcca), a family, or several of these with commas between.
    """
    from cli.similarity import resolve_measures
    from rsa.measures import DEFAULT, MEASURES, measure

    if name is None:
        if as_json:
            click.echo(json.dumps([_as_json(m) for m in MEASURES.values()], indent=1))
        else:
            _show_all(list(MEASURES.values()), DEFAULT)
        return
    found = [measure(one) for one in resolve_measures(name, before="")]
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
    """A line a measure; where lines are narrow, without the last columns."""
    from cli.screen import line_width, show_table

    headings = ["name", "title", "family", "range", "direction", "needs"]
    rows = [
        [
            m.name + ("*" if m.name in default else ""), m.title, m.family, _range(m),
            "both" if m.symmetric else "x to y", m.needs,
        ]
        for m in measures
    ]  # fmt: skip
    # a column has a space on each side and a line after it; the first has one before it too
    widths = [3 + max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    room = line_width() - 1
    shown = max([n for n in range(1, len(widths) + 1) if sum(widths[:n]) <= room], default=1)
    caption = (
        "* in `default`; `all` is all of them; numbers in a name may be chosen; "
        "rsa measures NAME says what one tells"
    )
    if shown < len(headings):
        caption += f"; a wider window shows {', '.join(headings[shown:])} too"
    show_table("Measures", headings[:shown], [row[:shown] for row in rows], caption)


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
