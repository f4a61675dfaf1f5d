"""What a study would do, and what it lacks: known before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.comparison import Comparison
from cli.names import check_layers, known_labels
from cli.nearest import suggestion
from cli.studyfile import Step, StudyFile
from extract.urls import is_url

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run

TO_DO, FINISHED, LEFT_OUT = "to do", "finished", "left out"
# options that say where and how fast, not what
HOW = ("device", "workers", "offline", "compiled", "max_bad", "stores")
# families whose members are folders or files of the user's
PATHS = ("hf:", "music2vec:", "musichubert:", "mule:")
WEIGHTS, DATA = 3, 4  # exit codes
REHEARSAL = "rehearse without what is missing: --untrained --data mini"


class Incomplete(Exception):
    """Weights or data that a study needs are not here.

    Attributes
    ----------
    lacking : a line each, with the cure.
    """

    def __init__(self, name: str, lacking: Sequence[str], exit_code: int) -> None:
        self.lacking, self.exit_code = tuple(lacking), exit_code
        things = f"{len(lacking)} things are" if len(lacking) > 1 else "one thing is"
        super().__init__(f"{name}: {things} missing, nothing was computed; {REHEARSAL}")


@dataclass(frozen=True)
class Planned:
    """A step in its place.

    Attributes
    ----------
    folder : of its study.
    state : `TO_DO`, `FINISHED` or `LEFT_OUT`, for which `why` says why.
    dropped : tasks that the data cannot answer.
    """

    step: Step
    folder: Path
    state: str
    why: str = ""
    dropped: tuple[str, ...] = ()


def rehearsed(study: StudyFile, data: str | None, limit: int | None, untrained: bool) -> StudyFile:
    """The study on other data, on fewer clips, or with untrained weights: to see that it runs."""
    changes: dict[str, Any] = {}
    if data:
        changes |= {"data": data, "manifest": None}
    if limit:
        changes["limit"] = limit
    if untrained:
        changes["twins"] = False
    steps = []
    for step in study.steps:
        own = ("weights_a", "weights_b") if isinstance(step.asked, Comparison) else ("weights",)
        nothing = dict.fromkeys(own, {} if own == ("weights",) else None)
        steps.append(step.changed(**changes, **(nothing if untrained else {})))
    return replace(study, steps=tuple(steps))


def plan(study: StudyFile, out: Path, run: Run, *, trim: bool) -> list[Planned]:
    """Every step with its folder and state; names and options are checked on the way.

    Parameters
    ----------
    trim : leave out what the data has no labels for, as in a rehearsal, instead of refusing it.

    Raises
    ------
    click.UsageError : names the step and what is wrong.
    """
    planned = []
    for count, step in enumerate(study.steps, 1):
        folder = out / f"{count:02}-{step.name}"
        try:
            trimmed, dropped = _checked(step, run, trim)
        except click.UsageError as error:
            raise click.UsageError(f"{study.path.name}, {step.name}: {error.message}") from None
        if trimmed is None:
            why = f"the data has no labels for {', '.join(dropped)}"
            planned.append(Planned(step, folder, LEFT_OUT, why, dropped))
            continue
        step = trimmed
        state = FINISHED if _finished(step, folder, run) else TO_DO
        planned.append(Planned(step, folder, state, dropped=dropped))
    return planned


def missing(planned: Sequence[Planned], run: Run, *, fetch: bool) -> tuple[list[str], int]:
    """What the steps to do need and is not here, a line each; and the exit code that this means.

    Parameters
    ----------
    fetch : weights that are not here are fetched, and all are loaded once, so that a damaged file
        is found too; else only what is given by the user is looked for.
    """
    todo = [one.step for one in planned if one.state == TO_DO]
    weights = list(dict.fromkeys(_weights_missing(todo, run, fetch)))
    data = list(dict.fromkeys(line for step in todo for line in _data_missing(step, run)))
    return [*weights, *data], WEIGHTS if weights else DATA


def answered(
    planned: Sequence[Planned], name: str, run: Run, screen: Screen, *, rehearsal: bool
) -> list[Planned]:
    """The plan after a look at the labels, splits and frames of every step to do.

    Tasks that cannot be probed are told. A step that has nothing to do for that is left out of a
    rehearsal.

    Parameters
    ----------
    name : of the study file.

    Raises
    ------
    ProbeError, RsaError : such a step, where it is no rehearsal.
    """
    from cli.comparison import questions as of_comparison
    from cli.probingrun import questions as of_probing
    from probes import ProbeError
    from rsa import RsaError

    found = []
    for one in planned:
        if one.state == TO_DO:
            ask = of_comparison if isinstance(one.step.asked, Comparison) else of_probing
            try:
                ask(one.step.asked, run, screen)
            except (ProbeError, RsaError) as error:
                if not rehearsal:
                    raise type(error)(f"{name}, {one.step.name}: {error}") from None
                one = replace(one, state=LEFT_OUT, why=str(error))
        found.append(one)
    return found


def to_fetch(planned: Sequence[Planned], run: Run) -> list[str]:
    """Models whose weights are not here and would be fetched."""
    if run.untrained or run.offline:
        return []
    from cli.steps import check_model

    todo = [one.step for one in planned if one.state == TO_DO]
    found = []
    for name, path in _needed(todo).items():
        if path is None and not name.startswith(PATHS):
            spec = check_model(name)
            if not spec.present() and not spec.given:
                found.append(name)
    return found


def _checked(step: Step, run: Run, trim: bool) -> tuple[Step | None, tuple[str, ...]]:
    """The step with the tasks that its data can answer, None if it has no other; the others."""
    from cli.steps import check_data, check_model
    from extract import datasets

    own = [name for name, path in _needed([step]).items() if path is not None]
    for name in step.models:
        if not name.startswith(PATHS):  # a path is looked for with the weights
            check_layers(check_model(name), None if name in own else step.layers(name))
    wanted = step.asked.wanted()
    if wanted.data.partition(":")[0] in datasets.REGISTRY:  # else it is told with what is missing
        check_data(wanted.data, wanted.manifest)
    dropped = _unanswerable(step, trim)
    if dropped:
        kept = [name for name in step.asked.tasks.split(",") if name not in dropped]
        if not kept and not isinstance(step.asked, Comparison):
            return None, dropped
        step = step.changed(tasks=",".join(kept) or "none")
    step.asked.settings(run)  # names of measures, protocols and heads
    return step, dropped


def _unanswerable(step: Step, trim: bool) -> tuple[str, ...]:
    """Tasks that the data has no labels for; refused unless they are to be left out."""
    from cli.probing import resolve_tasks

    wanted = step.asked.wanted()
    known = known_labels(wanted.data, wanted.manifest)
    found = []
    for name in step.asked.tasks.split(",") if known is not None else ():
        try:
            resolve_tasks(replace(step.asked, tasks=name).wanted(), known[0])
        except click.UsageError:
            if not trim:
                raise
            found.append(name)
    return tuple(found)


def _finished(step: Step, folder: Path, run: Run) -> bool:
    """Whether the folder holds this step's study, made with the same options."""
    try:
        kept = json.loads((folder / "study.json").read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    asked = json.loads(json.dumps(step.asked.settings(run)))
    return {k: v for k, v in kept.items() if k not in HOW} == {
        k: v for k, v in asked.items() if k not in HOW
    }


def _needed(steps: Sequence[Step]) -> dict[str, Path | None]:
    """Every model of some steps, and its own weights."""
    found: dict[str, Path | None] = {}
    for step in steps:
        asked = step.asked
        if isinstance(asked, Comparison):
            found |= {asked.a: asked.weights_a, asked.b: asked.weights_b}
        else:
            found |= {name: asked.weights.get(name) for name in asked.models}
    return found


def _weights_missing(steps: Sequence[Step], run: Run, fetch: bool) -> Iterator[str]:
    from cli.steps import check_model
    from extract.errors import ExtractError
    from extract.models.base import Request

    for name, path in _needed(steps).items():
        try:
            spec = check_model(name)
            if not run.untrained and (fetch or path is not None or spec.given):
                model = spec.load(Request(path, False, run.seed, run.offline or not fetch))
                model.recut(run.window, run.hop)
        except ExtractError as error:
            yield f"{name}: {error}"


def _data_missing(step: Step, run: Run) -> Iterator[str]:
    from extract import datasets
    from extract.errors import DataError, ExtractError

    wanted = step.asked.wanted()
    name = wanted.data.partition(":")[0]
    known = datasets.REGISTRY.get(name)
    if wanted.manifest and not wanted.manifest.is_file():
        yield f"manifest {wanted.manifest}: there is no such file"
    if is_url(wanted.data):
        from extract.remote.root import connect

        try:
            connect(wanted.data, offline=run.offline).reach()
        except ExtractError as error:
            yield f"data {error}"
        return
    if known is None:
        if not Path(wanted.data).is_dir():
            hint = suggestion(name, datasets.names())
            yield f"data {wanted.data}: neither a data set nor a folder{hint}"
        return
    if not known.on_disk:
        from extract.datasets.mini import sources

        if lacking := sources.lacking():
            yield f"data {name}: the packages {', '.join(lacking)} are missing: {sources.CURE}"
        return
    needs = [need for need in getattr(known.load(), "needs", ()) if need.needed]
    try:
        place = datasets.place_of(wanted.data)
    except DataError as error:
        place, where = None, str(error)
    if place is not None and not place.is_dir():
        place, where = None, f"{name}: there is no folder {place}"
    if place is None:
        parts = "; ".join(f"{need.path} ({need.what}) from {need.source}" for need in needs)
        yield f"data {where}" + (f"; it should hold {parts}" if parts else "")
        return
    for need in needs:
        if not need.found(place):
            part = place / need.path
            yield f"data {name}: {part} ({need.what}) is not there; get it from {need.source}"
