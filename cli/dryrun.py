"""What a command would do, take and leave behind; nothing is started or written."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.roles import REFERENCES, called

if TYPE_CHECKING:
    from cli.comparison import Comparison
    from cli.material import Ingredients
    from cli.probing import Probing
    from cli.steps import Run
    from extract.models.base import Model
    from extract.plan import Plan
    from extract.remote.shards import Stores

# rows of the small runs on random layers from which similarity and probing are drawn out
SMALL = (100, 200)
MEASURED = "decoding and the network run on {clips} clips, {seconds:.0f} s of audio"
UNHEARD = (
    "the network runs on noise in place of {clips} clips, {seconds:.0f} s; fetching and decoding "
    "are not in it"
)
DRAWN_OUT = (
    "small runs on random layers of the same widths, drawn out by the rows: the order of magnitude"
)


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes
    ----------
    clips, audio : what is still to be done of it, and its seconds of audio.
    there, shards : shards that are on disk, of how many; 0 for stages without a store.
    bytes : of the store when it is whole.
    to_write : of these, those that are still to be written.
    seconds, memory : that it takes; bytes at the peak of a process.
    how : where seconds and memory come from.
    """

    stage: str
    clips: int
    audio: float
    there: int
    shards: int
    bytes: int
    to_write: int
    seconds: float
    memory: int
    how: str


def estimate(
    ready: Ingredients,
    run: Run,
    measures: Sequence[str] = (),
    rows: str = "clips",
    probing: Probing | None = None,
    references: bool = True,
) -> list[Stage]:
    """The stages of a run and what each takes.

    Parameters
    ----------
    measures : of similarity, on `rows`; none where nothing is compared.
    probing : None where nothing is probed.
    references : whether the references are extracted too.
    """
    from extract.models import references as load_references

    models = {**ready.models, **ready.twins}
    if references:
        models[REFERENCES] = load_references()
    stages = [
        stage for role, model in models.items() for stage in _extraction(role, model, ready, run)
    ]
    if measures:
        stages.append(_similarity(models, ready, rows, measures, run))
    if probing is not None and ready.tasks:
        stages.append(_probing(models, ready, probing, run))
    return stages


def of_comparison(ready: Ingredients, asked: Comparison, run: Run) -> list[Stage]:
    """The stages of `rsa compare`."""
    from cli.probing import resolve_probing
    from cli.similarity import resolve_measures
    from cli.steps import known_name

    probing = resolve_probing("linear", "none", known_name(asked.wanted().data), run.seed)
    return estimate(ready, run, resolve_measures(asked.measures), asked.kind, probing)


def _extraction(role: str, model: Model, ready: Ingredients, run: Run) -> list[Stage]:
    """One stage for each kind of rows; the network runs once for all, with the first."""
    from cli.steps import extraction_options, kept_stores
    from extract.pipeline import make_plan
    from extract.rehearsal import extraction_memory, rehearse
    from extract.sizes import shard_bytes, store_bytes
    from extract.weights import cache_path

    options, clips = extraction_options(run), ready.clips
    folder = cache_path("activations")
    plans = [make_plan(model, ready.dataset, clips, kind, options) for kind in ready.kinds]
    kept = kept_stores(run)
    there = [_present(folder, plan, kept) for plan in plans]
    open_ = [sorted(set(range(p.shards)) - set(t)) for p, t in zip(plans, there, strict=True)]
    missing = sorted(set().union(*open_))
    todo = [clips[i] for shard in missing for i in plans[0].shard(shard)]
    audio = sum(clip.duration for clip in todo)
    seconds, memory, how = 0.0, 0, "all of it is there"
    if todo:
        found = rehearse(model, ready.dataset, todo, ready.kinds, options)
        seconds = found.seconds / max(found.audio, 1e-9) * audio
        memory = extraction_memory(found, model, ready.dataset, todo, ready.kinds, options)
        how = (MEASURED if found.heard else UNHEARD).format(
            clips=found.clips, seconds=found.audio
        )
    stages = []
    for place, (plan, have, left) in enumerate(zip(plans, there, open_, strict=True)):
        write = store_bytes(plan) if not have else sum(shard_bytes(plan, i) for i in left)
        stages.append(
            Stage(
                f"{called(role, model.name)}, {plan.rows}",
                sum(len(plan.shard(i)) for i in left),
                audio if not place else 0.0,
                len(have),
                plan.shards,
                store_bytes(plan),
                write,
                seconds if not place else 0.0,
                memory,
                how if not place else "in the same pass",
            )
        )
    return stages


def _present(folder: Path, plan: Plan, kept: Stores | None) -> list[int]:
    """Shards of a plan that are there already, here or elsewhere."""
    from extract.pipeline import store_folder, store_name
    from extract.sizes import present

    found = set(present(store_folder(folder, plan), plan))
    if kept is not None:
        there = kept.of(plan, store_name(plan))
        found |= set(there.planned(there.list()))
    return sorted(found)


def _similarity(
    models: Mapping[str, Model], ready: Ingredients, kind: str, measures: Sequence[str], run: Run
) -> Stage:
    import rsa
    from cli.similarity import PAIRS
    from extract.plan import plan_rows
    from rsa.rows.joint import MEMORY

    rows = sum(count for _, count in plan_rows(ready.clips, kind))
    groups = len({clip.group for clip in ready.clips})
    roles = list(models)
    places = [(roles.index(x), roles.index(y)) for x, y in PAIRS if x in models and y in models]

    def work(count: int) -> None:
        owner = _spread(count, rows, groups)
        sources = [
            rsa.Matrices(role, _random(models[role], count, place), owner)
            for place, role in enumerate(roles)
        ]
        rsa.compare(*sources, measures=measures, pairs=places, seed=run.seed,
                    device=run.solver_device)  # fmt: skip

    width = sum(layer.width for model in models.values() for layer in model.layers)
    # float32 rows, float64 rows that are kept, and their components
    memory = int(min(4.0 * rows * width, MEMORY) + 2 * min(8.0 * rows * width, MEMORY))
    return Stage("similarity", len(ready.clips), 0.0, 0, 0, 0, 0, _drawn_out(work, rows), memory,
                 DRAWN_OUT)  # fmt: skip


def _probing(models: Mapping[str, Model], ready: Ingredients, probing: Probing, run: Run) -> Stage:
    import numpy as np

    import probes
    from probes import Matrices, Table, Task

    rows = len(ready.clips)

    def work(count: int) -> None:
        rng = np.random.default_rng(0)
        splits = np.array(("train", "train", "train", "valid", "test"), dtype=object)
        for place, (role, model) in enumerate(models.items()):
            source = Matrices(model.name, _random(model, count, place))
            table = Table(
                np.arange(count), {"word": [f"w{i % 2}" for i in range(count)]},
                splits[np.arange(count) % 5],
            )  # fmt: skip
            options = probing.of("clips", role)
            options["heads"] = [head for head in probing.heads if not head.frames]
            types = rng.standard_normal((count, 8)) if probing.checks else None
            probes.run(source, table, [Task.of_kind("word", "category")], **options,
                       types_from=types, seed=run.seed, device=run.solver_device)  # fmt: skip

    seconds = _drawn_out(work, rows) * len(ready.tasks)
    widest = max(layer.width for model in models.values() for layer in model.layers)
    # the layer, standardised in float64, in its own axes; a layer a core
    memory = int(32.0 * rows * widest)
    return Stage("probes", rows, 0.0, 0, 0, 0, 0, seconds, memory, DRAWN_OUT)


def _drawn_out(work: Callable[[int], None], rows: int) -> float:
    """Seconds of a piece of work on so many rows, from running it on few."""
    took = []
    for count in SMALL if rows > SMALL[-1] else (rows, rows):
        start = time.perf_counter()
        work(count)
        took.append(time.perf_counter() - start)
    if rows <= SMALL[-1]:
        return took[-1]
    steep = math.log(max(took[1] / took[0], 1.0)) / math.log(SMALL[1] / SMALL[0])
    return took[1] * (rows / SMALL[1]) ** max(steep, 1.0)


def _random(model: Model, rows: int, seed: int) -> dict:
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        layer.name: rng.standard_normal((rows, layer.width), dtype=np.float32)
        for layer in model.layers
    }


def _spread(count: int, rows: int, groups: int):
    """Groups of fewer rows, as large as those of all."""
    import numpy as np

    return np.arange(count) * min(count, max(2, round(groups * count / max(rows, 1)))) // count


def show(stages: Sequence[Stage], ready: Ingredients, as_json: bool) -> None:
    """Prints the stages, their sums, and what is free on the disk."""
    from extract.weights import cache_path

    folder = cache_path("activations")
    free = shutil.disk_usage(_existing(folder)).free
    total = {
        "clips": len(ready.clips),
        "audio": sum(clip.duration for clip in ready.clips),
        "bytes": sum(stage.bytes for stage in stages),
        "to_write": sum(stage.to_write for stage in stages),
        "seconds": sum(stage.seconds for stage in stages),
        "memory": max(stage.memory for stage in stages),
        "free": free,
        "folder": str(folder),
    }
    if as_json:
        click.echo(json.dumps({**total, "stages": [asdict(one) for one in stages]}, indent=1))
        return
    from cli.screen import show_table

    lines = [
        [
            one.stage, one.clips, f"{one.there}/{one.shards}" if one.shards else "",
            _size(one.to_write) if one.shards else "", _time(one.seconds),
            _size(one.memory) if one.memory else "", one.how,
        ]
        for one in stages
    ]  # fmt: skip
    caption = (
        f"{total['clips']} clips, {_time(total['audio'])} of audio; {_size(total['to_write'])} to "
        f"write of {_size(total['bytes'])}, {_size(free)} free in {folder}; about "
        f"{_time(total['seconds'])} in one process, {_size(total['memory'])} of memory at the peak"
    )
    heads = ["stage", "clips to do", "shards there", "to write", "time", "memory", "from"]
    show_table("What would be done", heads, lines, caption)
    if total["to_write"] > free:
        what = f"{_size(total['to_write'])} are to be written and {_size(free)} are free"
        cure = "free the rest, or set RSA_CACHE to another disk"
        click.echo(f"rsa: {what} in {folder}: {cure}", err=True)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 172800 else f"{seconds / 86400:.3g} days"
