"""A task of the user's own that needs no code: `--task manifest.csv:column`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import suggestion
from extract.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.base import LabelCard
    from probes.tasks import Task

FORM = re.compile(r"(.+\.(?:csv|tsv|jsonl))(?::([^:]*))?(?::([^:]*))?", re.IGNORECASE)
KINDS = ("category", "number", "tags")
DEFAULT = "mini"


@dataclass(frozen=True)
class Wanted:
    """What `--task`, `--data` and `--manifest` ask for together.

    Attributes
    ----------
    names : of tasks and of labels.
    kinds : column of the manifest -> kind that is asked for, "" where its values decide.
    data, manifest : as in `cli.steps.open_data`.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, str] = field(default_factory=dict)
    data: str = DEFAULT
    manifest: Path | None = None


def wanted_tasks(text: str, data: str | None, manifest: Path | None) -> Wanted:
    """Reads names by commas, among them `manifest.csv:column` or `manifest.csv:column:kind`.

    Where `data` is None, it is the folder of that manifest, or else `mini`.
    """
    if data is not None and not data.strip():
        raise click.UsageError("--data: it is empty; name a data set or a folder")
    pieces = list(filter(None, map(str.strip, text.split(","))))
    if not pieces:
        raise click.UsageError("--task: no task is named; name tasks, or use all")
    if "none" in pieces[1:] or pieces[0] == "none" and pieces[1:]:
        raise click.UsageError(f"--task {text}: none goes alone; drop it, or the others")
    names, kinds, beside = [], {}, None
    for piece in pieces:
        found = FORM.fullmatch(piece)
        if found is None:
            names.append(piece)
            continue
        path, column, kind = found[1], (found[2] or "").strip(), found[3]
        if not column:
            raise click.UsageError(f"--task {piece}: name a column, as in {path}:COLUMN")
        if kind is not None and kind not in KINDS:
            hint = suggestion(kind, KINDS)
            raise click.UsageError(f"--task {piece}: no kind {kind!r}{hint}")
        if _found_by_itself(path, data, manifest):
            names.append(column)
            kinds[column] = kind or ""
            continue
        place = _place(piece, path, data or beside)
        if manifest is not None and not _same(manifest, place):
            raise click.UsageError(
                f"--task {piece}: labels come from one manifest, and {manifest} is asked for too; "
                "join their columns in one file"
            )
        manifest = place
        beside = beside or str(place.parent)
        names.append(column)
        kinds[column] = kind or ""
    return Wanted(tuple(names), kinds, data or beside or DEFAULT, manifest)


def of_column(column: str, kind: str, labels: Sequence[LabelCard]) -> Task | None:
    """The task that the kind asked for makes of a column; None where its values decide.

    A column of numbers may be taken for classes; nothing else can be what its values are not.
    """
    from probes.tasks import Task

    cards = {card.name: card for card in labels}
    if column not in cards:
        hint = suggestion(column, cards) if cards else "; it has no columns of labels"
        raise click.UsageError(
            f"--task: the manifest has no label {column!r} with a value{hint}"
        )
    card = cards[column]
    if not kind:
        return None
    if kind != card.kind and (kind, card.kind) != ("category", "number"):
        why = {
            "number": "a value in it is none",
            "tags": "no value in it holds | or ;",
            "category": "values in it hold several",
        }[kind]
        raise click.UsageError(f"--task: {column} cannot be taken for {kind}: {why}")
    recode = {"recode": _named} if kind != card.kind else {}
    return Task.of_kind(column, kind, tier=card.tier, unit=card.unit, **recode)


def _named(value: float | str) -> str:
    """A number as the name of a class: 3 for 3.0."""
    return f"{value:g}" if isinstance(value, float) else value


def _found_by_itself(path: str, data: str | None, manifest: Path | None) -> bool:
    """Whether it is the manifest of a folder elsewhere, which is read with the folder."""
    if data is None or manifest is not None or not is_url(data) or Path(path).is_file():
        return False
    from extract.datasets.manifest import MANIFESTS

    return path in MANIFESTS


def _place(piece: str, path: str, data: str | None) -> Path:
    """Where the manifest is: as written, or below the folder of the data."""
    for place in (Path(path), *([Path(data) / path] if data else [])):
        if place.is_file():
            return place
    raise click.UsageError(f"--task {piece}: there is no file {path}")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)
