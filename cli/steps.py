"""Steps that commands share: open the data, load a model, extract its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import suggestion
from extract.urls import is_url, without_secrets

if TYPE_CHECKING:
    from cli.screen import Screen
    from extract.datasets.base import Clip, Dataset
    from extract.models.base import Model, ModelSpec
    from extract.pipeline import Options
    from extract.remote.shards import Stores
    from extract.store import Activations


@dataclass(frozen=True)
class Run:
    """The options that decide how networks are run; see `cli.options.running`."""

    device: str
    seed: int
    workers: int
    store_dtype: str
    max_bad: float
    untrained: bool
    offline: bool
    window: float | None
    hop: float | None
    precision: str
    compiled: bool
    stores: str | None = None

    @property
    def solver_device(self) -> str:
        """Where float64 solvers run: Apple's GPUs have no float64."""
        return "cpu" if self.device == "mps" else self.device

    def told(self) -> dict:
        """All of them, as results and logs keep them."""
        return {**asdict(self), "stores": self.stores and without_secrets(self.stores)}


def resolve_device(name: str) -> str:
    """The device that `auto` stands for here; an absent one is a usage error."""
    import torch

    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if present[device])
    if not present[name]:
        raise click.UsageError(f"--device {name}: there is none here; use --device auto")
    return name


def open_data(
    text: str,
    manifest: Path | None,
    limit: int | None,
    say: Callable[[str], object] | None = None,
    offline: bool = False,
) -> tuple[Dataset, list[Clip]]:
    """The data set and the clips to use, spread evenly over it when limited.

    Parameters
    ----------
    say : is told what a user should know of the data.
    offline : data on the network is refused.
    """
    from extract import datasets

    check_data(text, manifest)
    dataset = datasets.open_dataset(text, manifest, offline=offline, say=say)
    for note in dataset.notes if say else ():
        say(note)
    clips = list(dataset.clips)
    if limit and limit < len(clips):
        clips = [clips[i * len(clips) // limit] for i in range(limit)]
    return dataset, clips


def check_data(text: str, manifest: Path | None = None) -> None:
    """A usage error for data that are neither a folder nor known, or have no such subset."""
    from extract import datasets

    name, _, detail = text.partition(":")
    known = datasets.REGISTRY.get(name)
    if known is None:
        elsewhere = is_url(text)
        if not elsewhere and (not text.strip() or not Path(text).is_dir()):
            if text.strip() and Path(text).exists():
                raise click.UsageError(f"--data {text}: a file; give the folder that holds it")
            hint = suggestion(name, datasets.names())
            raise click.UsageError(f"--data {text}: neither a data set nor a folder{hint}")
        if manifest is not None and not manifest.is_file():
            raise click.UsageError(f"--manifest {manifest}: there is no such file")
        return
    if manifest:
        raise click.UsageError(f"--manifest goes with a folder; {name} has its own labels")
    for subset in [] if known.on_disk else filter(None, detail.split(",")):
        if subset not in known.subsets:
            hint = suggestion(subset, known.subsets)
            raise click.UsageError(f"--data {text}: no subset {subset!r} in {name}{hint}")


def data_name(text: str, dataset: Dataset) -> str:
    """What a title calls the data: as asked for, or a folder's own name."""
    return text if known_name(text) else dataset.card.name


def known_name(text: str) -> str:
    """The name of a data set that has one; "" of a folder of the user's."""
    from extract import datasets

    name = text.partition(":")[0]
    return name if name in datasets.REGISTRY else ""


def check_model(name: str) -> ModelSpec:
    """The entry of a model; a usage error with the nearest name for an unknown one."""
    from extract import models

    try:
        return models.spec(name)
    except KeyError:
        known = [*models.names(), *models.ALIASES, *(f"{family}:" for family in models.FAMILIES)]
        raise click.UsageError(f"no model {name!r}{suggestion(name, known)}") from None


def load_model(name: str, weights: Path | None, run: Run, layers: str | None = None) -> Model:
    """The model, cut and kept as the options say; `layers` are names separated by commas."""
    from extract.models.base import Request

    request = Request(weights, run.untrained, run.seed, run.offline)
    model = check_model(name).load(request)
    model.recut(run.window, run.hop)
    if layers is not None:
        model.keep([layer.strip() for layer in layers.split(",") if layer.strip()])
    return model


def load_twins(kept: Mapping[str, tuple[str, str | None]], run: Run) -> dict[str, Model]:
    """The untrained twin `a0`, `b0` ... of every role, from its model and the layers to keep."""
    if run.untrained:
        raise click.UsageError("--twins goes with trained weights: drop --untrained")
    random = replace(run, untrained=True)
    return {
        f"{role}0": load_model(name, None, random, layers) for role, (name, layers) in kept.items()
    }


def extract_rows(
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    kinds: Sequence[str],
    run: Run,
    screen: Screen,
) -> dict[str, Activations]:
    """Activations of a model for each kind of rows, from the cache where they are there."""
    from cli.processes import current
    from extract.pipeline import extract
    from extract.weights import cache_dir

    options = extraction_options(run)
    twin = "" if model.weights.trained or run.untrained else " (untrained twin)"
    cure = "give a shorter --window, --workers 1 or fewer --layers"
    name = f"activations of {model.name}{twin}"
    with screen.stage(name, unit="clip", cure=cure) as progress:
        found = extract(
            model, dataset, clips, kinds, cache_dir("activations"), options, progress, screen.warn,
            current(), kept_stores(run, screen.warn),
        )  # fmt: skip
    if off := deviations(found):
        each = ", ".join(f"{layer} {value:.1e}" for layer, value in off.items())
        screen.say(f"{model.name} in {run.precision}, relative deviation from float32: {each}")
    return found


def kept_stores(run: Run, say: Callable[[str], object] | None = None) -> Stores | None:
    """Where activations are kept but in the cache; None where that is nowhere else."""
    if not run.stores:
        return None
    from extract.remote.shards import Stores

    return Stores.at(run.stores, offline=run.offline, say=say)


def extraction_options(run: Run) -> Options:
    """What of the options extraction takes."""
    from extract.pipeline import Options

    return Options(
        run.device, run.workers, run.store_dtype, run.max_bad, run.precision, run.compiled
    )


def deviations(activations: dict[str, Activations]) -> dict[str, float] | None:
    """How far each layer is from float32, where it was computed in less."""
    return next(iter(activations.values())).store.deviations()


def gather_failures(
    activations: dict[str, dict[str, Activations]], screen: Screen, shown: int = 10
) -> list[dict]:
    """Every clip that some model could not use, once, with the reason; warns of the first."""
    from dataclasses import asdict

    failures = {}
    for kinds in activations.values():
        for representation in kinds.values():
            for failure in representation.failures:
                failures.setdefault(failure.clip, asdict(failure))
    for failure in list(failures.values())[:shown]:
        screen.warn(f"left out: {failure['reason']}")
    if len(failures) > shown:
        screen.warn(f"left out: {len(failures) - shown} more clips, see study.json")
    return list(failures.values())
