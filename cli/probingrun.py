"""A probing run, from options to a study folder; behind `rsa probe` and `rsa study`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.names import check_names, check_weights
from cli.owntask import Wanted, wanted_tasks
from extract.urls import without_secrets

if TYPE_CHECKING:
    from cli.answerable import Questions
    from cli.material import Ingredients
    from cli.probing import Probing
    from cli.screen import Screen
    from cli.steps import Run
    from probes import ProbeResults

ROLES = "abcdefgh"


@dataclass(frozen=True)
class ProbingRun:
    """What is probed, on what and how; the options of `rsa probe`.

    Attributes
    ----------
    models : names.
    weights : name of a model -> its own weights.
    data : None is the folder of a manifest that `tasks` names, or else `mini`.
    tasks, heads, layers : lists separated by commas.
    checks : whether it is measured what scores are worth.
    why : whether evidence is computed for why a layer is good at a task.
    max_frames : that a task on frames is trained on; None is the usual number.
    """

    models: tuple[str, ...]
    weights: Mapping[str, Path] = field(default_factory=dict)
    data: str | None = None
    manifest: Path | None = None
    limit: int | None = None
    tasks: str = "all"
    protocol: str = "linear"
    heads: str = "weighting,concatenation"
    checks: bool = True
    max_frames: int | None = None
    layers: str | None = None
    twins: bool = False
    why: bool = True

    def __post_init__(self) -> None:
        if len(self.models) > len(ROLES):
            raise click.UsageError(f"at most {len(ROLES)} models at a time")
        if self.tasks.strip() == "none":
            raise click.UsageError("--task none: nothing to probe; name tasks, or use all")

    def wanted(self) -> Wanted:
        """Tasks and data together."""
        return wanted_tasks(self.tasks, self.data, self.manifest)

    def probing(self, run: Run) -> Probing:
        """Protocol, heads and checks by their names."""
        from cli.probing import resolve_probing
        from cli.steps import known_name

        data = known_name(self.wanted().data)
        return resolve_probing(
            self.protocol, self.heads, data, run.seed, self.max_frames, self.checks
        )

    def settings(self, run: Run) -> dict:
        """All that was asked for, as `study.json` keeps it."""
        wanted = self.wanted()
        return {
            "models": list(self.models), "data": without_secrets(wanted.data), "limit": self.limit,
            "tasks": self.tasks, "protocol": self.protocol, "heads": self.heads,
            "checks": self.checks, "max_frames": self.probing(run).max_frames,
            "twins": self.twins, "why": self.why,
            "manifest": wanted.manifest and str(wanted.manifest),
            "weights": {name: str(path) for name, path in self.weights.items()},
            "layers": self.layers, **run.told(),
        }  # fmt: skip


@dataclass(frozen=True)
class Probed:
    """What came of it: the folder, and results by role."""

    folder: Path
    results: Mapping[str, ProbeResults]


def prepare(
    asked: ProbingRun, run: Run, screen: Screen, untrained: Collection[str] = ()
) -> Ingredients:
    """Loads the models and opens the data; `untrained` as in `cli.comparison.prepare`."""
    from cli.material import Ingredients
    from cli.steps import kept_stores, load_model, load_twins

    kept_stores(run)  # a place that cannot be is told before anything is loaded
    asked.probing(run)  # names of protocol and heads
    wanted = asked.wanted()
    for path in asked.weights.values():
        check_weights(path, "--weights")
    check_names(
        [(name, None if name in asked.weights else asked.layers, "--layers")
         for name in asked.models],
        wanted, screen.warn,
    )  # fmt: skip
    roles = dict(zip(ROLES, asked.models, strict=False))
    layers = {role: (name, asked.layers) for role, name in roles.items()}
    twins = load_twins(layers, run) if asked.twins else {}
    models = {}
    for role, name in roles.items():
        random = replace(run, untrained=run.untrained or name in untrained)
        models[role] = load_model(name, asked.weights.get(name), random, asked.layers)
    return Ingredients(models, twins, *questions(asked, run, screen))


def questions(asked: ProbingRun, run: Run, screen: Screen) -> Questions:
    """Opens the data; tasks that cannot be probed are left out, which is told.

    Raises
    ------
    ProbeError : none can be.
    """
    from cli.answerable import Questions, parted, refuse
    from cli.probing import resolve_tasks, row_kinds
    from cli.steps import open_data

    probing, wanted = asked.probing(run), asked.wanted()
    with screen.stage(f"data set {without_secrets(wanted.data)}"):
        dataset, clips = open_data(
            wanted.data, wanted.manifest, asked.limit, screen.warn, run.offline
        )
        chosen = resolve_tasks(
            wanted, dataset.card.labels, {clip.subset for clip in clips}
        )
    frames = [task.name for task in chosen if task.kind == "frames"]
    if frames and asked.protocol != "linear":
        screen.warn(
            f"--protocol {asked.protocol} has no head on frames: left out {', '.join(frames)}"
        )
        chosen = [task for task in chosen if task.name not in frames]
    if not chosen:
        raise click.UsageError(
            f"--data {wanted.data}: it has no labels to probe so; give a manifest with label "
            "columns"
        )
    chosen, skipped = parted(chosen, clips, run.seed, screen, probing.max_frames)
    if not chosen:
        refuse(skipped)
    kinds = row_kinds(chosen, probing)
    return Questions(dataset, clips, chosen, kinds, skipped)


def probe(asked: ProbingRun, run: Run, out: Path | None, screen: Screen) -> Probed:
    """Runs the models, probes every layer and writes the study folder, without a PDF.

    Several processes share the work; the first writes what it comes to.
    """
    from cli.answerable import FRAMES, impossible, refuse
    from cli.maps import map_clips
    from cli.probing import check_probed, probe_models
    from cli.processes import current
    from cli.record import begin_study, claim, default_folder, study_folder, write_study
    from cli.steps import data_name
    from cli.why import explain

    wanted = asked.wanted()
    probing = asked.probing(run)
    folder = study_folder(out, default_folder(*asked.models))
    ready = prepare(asked, run, screen)
    dataset, chosen, kinds = ready.dataset, ready.tasks, ready.kinds
    team = current()
    if team.first:
        claim(folder, screen)
        screen.settings(asked.settings(run))
    material = ready.gather(run, screen)
    activations = material.activations
    if material.failures:  # before results of an earlier run go
        failed = {failure["clip"] for failure in material.failures}
        left = [clip for clip in ready.clips if clip.id not in failed]
        gone = impossible(chosen, left, run.seed, probing.max_frames)
        if len(gone) == len(chosen):
            refuse({**ready.skipped, **gone})
    if team.first:
        begin_study(folder)
    team.wait()
    results = probe_models(
        activations, chosen, probing, run, folder, screen, ready.skipped
    )
    check_probed(results)
    rows = next((kind for kind in kinds if not kind.startswith(FRAMES)), None)
    if asked.why and rows:
        explain(activations, chosen, results, rows, run, folder, screen)
    team.wait()
    if not team.first:
        return Probed(folder, results)
    map_clips(activations, chosen, results, run, folder, screen)
    titles = ", ".join(model.card.title for model in ready.models.values())
    write_study(
        folder,
        material,
        title=f"{titles} probed on {data_name(wanted.data, dataset)}",
        rows={},
        settings=asked.settings(run),
        run=run,
        timings=screen.timings,
    )
    return Probed(folder, results)
