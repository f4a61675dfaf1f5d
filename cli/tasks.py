"""`rsa tasks`: what can be asked of a layer, how it is scored, and which data can answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli import options
from cli.nearest import SLIP, suggestion
from extract.urls import without_secrets

if TYPE_CHECKING:
    from cli.tasktable import Entry


@click.command("tasks")
@click.argument("name", required=False)
@click.option(
    "--data",
    metavar="NAME|FOLDER",
    help="Only tasks that this data can answer; a folder is opened for its labels.",
)
@click.option("--manifest", type=options.PATH, metavar="FILE", help="CSV or JSONL of a folder.")
@options.as_json
@click.option("--markdown", is_flag=True, help="Print the page docs/tasks.md.")
def command(name: str | None, data: str | None, manifest, as_json: bool, markdown: bool) -> None:
    """List the probing tasks, or show one: what a high score says, metric, data, published numbers.

    NAME is a task, or another name of one (bpm, chords).
    """
    from cli import tasktable

    if markdown:
        from cli.taskpage import task_page

        if name or data:
            raise click.UsageError("--markdown prints all tasks: drop NAME and --data")
        click.echo(task_page(), nl=False)
        return
    if manifest and not data:
        raise click.UsageError("--manifest goes with --data FOLDER")
    found = _of_data(data, manifest) if data else tasktable.entries()
    data = data and without_secrets(data)
    if name:
        found = [_named(name, found, data)]
    if as_json:
        cards = [tasktable.as_json(entry) for entry in found]
        click.echo(json.dumps(cards[0] if name else cards, indent=1, ensure_ascii=False))
    elif name:
        tasktable.show_card(found[0])
    elif found:
        tasktable.show_tasks(found, f"Tasks on {data}" if data else "Tasks")
    else:
        click.echo(f"no tasks on {data}: it has no labels that can be asked for")


def _of_data(data: str, manifest) -> list[Entry]:
    """The tasks that the data can answer; a folder's own labels among them."""
    from cli.steps import open_data
    from cli.tasktable import Carrier, Entry, answerable
    from extract import datasets
    from probes import resolve

    known = datasets.REGISTRY.get(data)
    if known and not manifest:  # closed: what it can have
        home = known.load()
        labels, licence, here = home.labels, home.licence, datasets.is_here(data)
    else:
        card = open_data(data, manifest, None)[0].card
        labels, licence, here = card.labels, card.licence, True
    tasks = {task.name: task for task in (*answerable(labels), *resolve("all", labels))}
    data = without_secrets(data)
    return [Entry(task, {data: Carrier(task.tier, licence, here)}) for task in tasks.values()]


def _named(name: str, found: Sequence[Entry], data: str | None) -> Entry:
    """The entry of a task by its name or another one."""
    from probes.tasks import ALIASES

    by_name = {entry.task.name: entry for entry in found}
    for text in (name, ALIASES.get(name, "")):
        if text in by_name:
            return by_name[text]
    where, lists = (f" on {data}", f"rsa tasks --data {data}") if data else ("", "rsa tasks")
    hint = suggestion(name, [*by_name, *ALIASES], SLIP, lists)
    raise click.UsageError(f"no task {name!r}{where}{hint}")
