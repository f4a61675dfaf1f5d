"""Each layer by itself, for the command line: its geometry, and what it tells about labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.roles import called

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.datasets.base import Dataset
    from extract.store import Activations


def describe_layers(
    representations: dict[str, Activations],
    dataset: Dataset,
    run: Run,
    folder: Path,
    screen: Screen,
) -> None:
    """Writes geometry/ROLE and information/ROLE of every role; each by one process."""
    import rsa
    from cli.processes import current

    roles = list(representations)
    for place in current().turns(len(roles)):
        role, rows = roles[place], representations[roles[place]]
        title = called(role, rows.name)
        name, _, rate = rows.rows.kind.partition(":")
        frames = name == "frames"
        with screen.stage(f"geometry of {title}", unit="layer") as progress:
            rsa.geometry(
                rows, seed=run.seed, rate=float(rate) if frames else None,
                sequences=rows.rows.clip if frames else None, rows=rows.rows.kind,
                progress=_counted(progress, rows.layers),
            ).write(folder / "geometry", role)  # fmt: skip
        if name != "clips":
            continue
        labels = {
            label.name: rows.rows.label(label.name)
            for label in dataset.card.labels
            if label.kind in ("category", "number")
        }
        if labels:
            about = f"information of {title} about labels"
            with screen.stage(about, unit="layer") as progress:
                rsa.label_information(
                    rows, labels, seed=run.seed, progress=_counted(progress, rows.layers)
                ).write(folder / "information", role)


def _counted(progress: Callable[[int, int], None], layers: Sequence[str]):
    """A callback for the names of layers as they begin, from one for numbers."""
    return lambda layer: progress(layers.index(layer), len(layers))
