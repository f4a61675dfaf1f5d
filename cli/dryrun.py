"""What a command would do, take and leave behind; nothing is started or written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.roles import REFERENCES, called

if TYPE_CHECKING:
    from cli.comparison import Comparison
    from cli.laterstages import Later
    from cli.material import Ingredients
    from cli.probingrun import ProbingRun
    from cli.steps import Run
    from extract.models.base import Model
    from extract.plan import Plan
    from extract.remote.shards import Stores

MEASURED = "decoding and the network run on {clips} clips, {seconds:.0f} s of audio"
UNHEARD = (
    "the network runs on noise in place of {clips} clips, {seconds:.0f} s; fetching and decoding "
    "are not in it"
)
SHARED = "the store of a step before"


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


def of_extraction(ready: Ingredients, run: Run) -> list[Stage]:
    """The stages of `rsa extract`."""
    return _extractions(ready.models, ready, run, set())


def of_comparison(
    ready: Ingredients, asked: Comparison, run: Run, known: set[Path] | None = None
) -> list[Stage]:
    """The stages of `rsa compare`.

    Parameters
    ----------
    known : stores that stages before fill, which are not filled again; those of this run are added.
    """
    from cli.laterstages import Rehearsed
    from cli.probing import resolve_probing
    from cli.similarity import resolve_measures
    from cli.steps import known_name

    probing = resolve_probing("linear", "none", known_name(asked.wanted().data), run.seed)
    models = _with_references(ready)
    stages = _extractions(models, ready, run, set() if known is None else known)
    later = Rehearsed(models, ready, run)
    found = [later.similarity(asked.kind, resolve_measures(asked.measures))]
    found += later.layers(asked.kind)
    found += later.probes(probing, asked.why, True, asked.kind)
    return stages + [_later(one, len(ready.clips)) for one in found]


def of_probing(
    ready: Ingredients, asked: ProbingRun, run: Run, known: set[Path] | None = None
) -> list[Stage]:
    """The stages of `rsa probe`; `known` as in `of_comparison`."""
    from cli.answerable import FRAMES
    from cli.laterstages import Rehearsed

    models = _with_references(ready)
    stages = _extractions(models, ready, run, set() if known is None else known)
    rows = next((kind for kind in ready.kinds if not kind.startswith(FRAMES)), None)
    later = Rehearsed(models, ready, run).probes(asked.probing(run), asked.why, False, rows)
    return stages + [_later(one, len(ready.clips)) for one in later]


def _with_references(ready: Ingredients) -> dict[str, Model]:
    from extract.models import references

    return {**ready.models, **ready.twins, REFERENCES: references()}


def _later(found: Later, clips: int) -> Stage:
    return Stage(
        found.stage, clips, 0.0, 0, 0, 0, 0, found.seconds, found.memory, found.how
    )  # fmt: skip


def _extractions(
    models: Mapping[str, Model], ready: Ingredients, run: Run, known: set[Path]
) -> list[Stage]:
    return [
        stage
        for role, model in models.items()
        for stage in _extraction(role, model, ready, run, known)
    ]


def _extraction(
    role: str, model: Model, ready: Ingredients, run: Run, known: set[Path]
) -> list[Stage]:
    """One stage for each kind of rows; the network runs once for all, with the first."""
    from cli.steps import extraction_options, kept_stores
    from extract.pipeline import make_plan, store_folder
    from extract.rehearsal import extraction_memory, rehearse
    from extract.sizes import shard_bytes, store_bytes
    from extract.weights import cache_path

    options, clips = extraction_options(run), ready.clips
    folder = cache_path("activations")
    plans = [make_plan(model, ready.dataset, clips, kind, options) for kind in ready.kinds]
    kept = kept_stores(run)
    folders = [store_folder(folder, plan) for plan in plans]
    there = [_present(folder, plan, kept) for plan in plans]
    open_ = [
        [] if place in known else sorted(set(range(plan.shards)) - set(have))
        for place, plan, have in zip(folders, plans, there, strict=True)
    ]
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
        shared = folders[place] in known
        known.add(folders[place])
        new = store_bytes(plan) if not have else sum(shard_bytes(plan, i) for i in left)
        write = 0 if shared else new
        stages.append(
            Stage(
                f"{called(role, model.name)}, {plan.rows}",
                sum(len(plan.shard(i)) for i in left),
                audio if not place else 0.0,
                len(have),
                plan.shards,
                0 if shared else store_bytes(plan),
                write,
                seconds if not place else 0.0,
                memory,
                SHARED if shared else how if not place else "in the same pass",
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


@dataclass(frozen=True)
class Total:
    """Sums over stages.

    Attributes
    ----------
    clips, audio : of the data, and its seconds.
    bytes, to_write : of all stores, and what is still to be written.
    seconds, memory : in one process; at the peak.
    free : bytes on the disk of `folder`, where stores lie.
    """

    clips: int
    audio: float
    bytes: int
    to_write: int
    seconds: float
    memory: int
    free: int
    folder: str

    @classmethod
    def of(cls, stages: Sequence[Stage], ready: Sequence[Ingredients]) -> Total:
        """Of stages; clips of data that several steps use are counted once."""
        from extract.weights import cache_path

        folder = cache_path("activations")
        clips = {(one.dataset.card.identity, c.id): c.duration for one in ready for c in one.clips}
        return cls(
            len(clips), sum(clips.values()), sum(stage.bytes for stage in stages),
            sum(stage.to_write for stage in stages), sum(stage.seconds for stage in stages),
            max((stage.memory for stage in stages), default=0),
            shutil.disk_usage(_existing(folder)).free, str(folder),
        )  # fmt: skip

    def said(self) -> str:
        """In a line."""
        return (
            f"{self.clips} clips, {clock(self.audio)} of audio; {size(self.to_write)} to write "
            f"of {size(self.bytes)}, {size(self.free)} free in {self.folder}; about "
            f"{clock(self.seconds)} in one process, {size(self.memory)} of memory at the peak; "
            "without the report"
        )

    def warn(self) -> None:
        """Tells where the disk is too full."""
        if self.to_write > self.free:
            what = f"{size(self.to_write)} are to be written and {size(self.free)} are free"
            cure = "free the rest, or set RSA_CACHE to another disk"
            click.echo(f"rsa: {what} in {self.folder}: {cure}", err=True)


def show(stages: Sequence[Stage], ready: Ingredients, as_json: bool) -> None:
    """Prints the stages, their sums, and what is free on the disk."""
    total = Total.of(stages, [ready])
    if as_json:
        content = {**asdict(total), "stages": [asdict(one) for one in stages]}
        click.echo(json.dumps(content, indent=1))
        return
    show_stages("What would be done", stages, total.said())
    total.warn()


def show_stages(title: str, stages: Sequence[Stage], caption: str) -> None:
    """A table of stages."""
    from cli.screen import show_table

    lines = [
        [
            one.stage, one.clips, f"{one.there}/{one.shards}" if one.shards else "",
            size(one.to_write) if one.shards else "", clock(one.seconds),
            size(one.memory) if one.memory else "", one.how,
        ]
        for one in stages
    ]  # fmt: skip
    heads = ["stage", "clips to do", "shards there", "to write", "time", "memory", "from"]
    show_table(title, heads, lines, caption)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def clock(seconds: float) -> str:
    """A stretch of time in words."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 172800 else f"{seconds / 86400:.3g} days"
