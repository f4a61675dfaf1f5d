"""Names of models, layers, data and tasks, checked before anything is loaded, shown or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import suggestion

if TYPE_CHECKING:
    from cli.owntask import Wanted
    from extract.datasets.base import LabelCard
    from extract.models.base import ModelSpec


def check_names(
    models: Sequence[tuple[str, str | None, str]],
    wanted: Wanted,
    say: Callable[[str], object],
) -> None:
    """A usage error for the first model, layer, data set or task that there is not.

    Parameters
    ----------
    models : name; layers to keep of it, by commas, None for all, and for a network of the user's
        own size, whose layers are known when it is loaded; and the option that names them.
    wanted : tasks and data; what can be known of them before the data is opened.
    say : is told what is odd in a manifest, where a task is not found in it.
    """
    from cli.steps import check_data, check_model
    from extract.datasets import check_place

    for name, layers, option in models:
        check_layers(check_model(name), layers, option)
    check_data(wanted.data, wanted.manifest)
    check_place(wanted.data)
    check_tasks(wanted, say)


def check_weights(path: Path | None, option: str) -> None:
    """A usage error for weights that are not there."""
    if path is not None and not path.exists():
        raise click.UsageError(f"{option} {path}: there is no such file or folder")


def check_layers(spec: ModelSpec, layers: str | None, option: str = "") -> None:
    """A usage error for a list of layers that a model has not."""
    if layers is None:
        return
    before = f"{option}: " if option else ""
    known = [layer.name for layer in spec.card.layers]
    names = [name.strip() for name in layers.split(",") if name.strip()]
    if not names:
        raise click.UsageError(f"{before}no layer is named{suggestion('', known)}")
    for name in names:
        if name not in known:
            hint = suggestion(name, known)
            raise click.UsageError(f"{before}{spec.card.name} has no layer {name!r}{hint}")


def check_tasks(wanted: Wanted, say: Callable[[str], object] = lambda note: None) -> None:
    """A usage error for a task that there is not, or that the data have no labels for."""
    from cli.probing import resolve_tasks

    found = known_labels(wanted.data, wanted.manifest)
    if found is None:
        return
    labels, notes = found
    try:
        resolve_tasks(wanted, labels)
    except click.UsageError:
        for note in notes:
            say(note)
        raise


def known_labels(
    data: str, manifest: Path | None = None
) -> tuple[Sequence[LabelCard], Sequence[str]] | None:
    """What data have labels for, and notes on them, where that is known before they are opened.

    Of a data set with a name it is in the registry, of a folder in its manifest.

    Raises
    ------
    DataError : a manifest that cannot be read.
    """
    from extract import datasets

    known = datasets.REGISTRY.get(data.partition(":")[0])
    if known is not None:
        return None if known.family else (known.load().labels, ())
    if not Path(data).is_dir() or (manifest is not None and not manifest.is_file()):
        return None
    from extract.datasets.files import Disk
    from extract.datasets.folder import table_of

    table = table_of(Disk(Path(data)), manifest)
    return (table.labels, table.notes) if table else ((), ())
