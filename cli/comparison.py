"""A comparison of two models, from options to a study folder; behind `rsa compare`, `rsa study`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.owntask import Wanted, wanted_tasks
from extract.urls import without_secrets

if TYPE_CHECKING:
    from cli.answerable import Questions
    from cli.material import Ingredients
    from cli.screen import Screen
    from cli.steps import Run


@dataclass(frozen=True)
class Comparison:
    """What is compared, and on what; the options of `rsa compare`.

    Attributes
    ----------
    a, b : names of models.
    data : None is the folder of a manifest that `tasks` names, or else `mini`.
    tasks, measures, layers_a, layers_b : lists separated by commas.
    rows : `clips`, `frames` (`grid` times a second) or `sketch` (so many of these a clip).
    why : whether evidence is computed for why a layer is good at a task.
    """

    a: str
    b: str
    data: str | None = None
    manifest: Path | None = None
    limit: int | None = None
    tasks: str = "all"
    measures: str = "default"
    rows: str = "clips"
    grid: float = 5.0
    sketch: int = 20
    weights_a: Path | None = None
    weights_b: Path | None = None
    layers_a: str | None = None
    layers_b: str | None = None
    twins: bool = False
    why: bool = True

    @property
    def kind(self) -> str:
        """Kind of rows, as the store calls it."""
        from extract.rows import kind_of

        return kind_of(self.rows, self.grid, self.sketch)

    def wanted(self) -> Wanted:
        """Tasks and data together."""
        return wanted_tasks(self.tasks, self.data, self.manifest)

    def settings(self, run: Run) -> dict:
        """All that was asked for, as `study.json` keeps it."""
        from cli.similarity import resolve_measures

        wanted = self.wanted()
        return {
            "a": self.a, "b": self.b, "data": without_secrets(wanted.data), "limit": self.limit,
            "rows": self.kind, "tasks": self.tasks,
            "measures": list(resolve_measures(self.measures)),
            "twins": self.twins, "why": self.why,
            "manifest": wanted.manifest and str(wanted.manifest),
            "weights": [path and str(path) for path in (self.weights_a, self.weights_b)],
            "layers": [self.layers_a, self.layers_b], **run.told(),
        }  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """What came of it: the folder, kind and numbers of rows, clips that could not be used."""

    folder: Path
    rows: dict
    failures: Sequence[dict]


def prepare(
    asked: Comparison, run: Run, screen: Screen, untrained: Collection[str] = ()
) -> Ingredients:
    """Loads both models and opens the data.

    Parameters
    ----------
    untrained : models that get random weights: where those of `asked` are not here, and only what
        a run takes is asked.
    """
    from cli.material import Ingredients
    from cli.names import check_names, check_weights
    from cli.similarity import resolve_measures
    from cli.steps import kept_stores, load_model, load_twins

    kept_stores(run)  # a place that cannot be is told before anything is loaded
    wanted = asked.wanted()
    resolve_measures(asked.measures)
    sides = (
        (asked.a, asked.layers_a, asked.weights_a, "--layers-a"),
        (asked.b, asked.layers_b, asked.weights_b, "--layers-b"),
    )
    for side, (_, _, own, _) in zip("ab", sides, strict=True):
        check_weights(own, f"--weights-{side}")
    check_names(
        [(name, None if own else kept, option) for name, kept, own, option in sides],
        wanted, screen.warn,
    )  # fmt: skip
    layers = {"a": (asked.a, asked.layers_a), "b": (asked.b, asked.layers_b)}
    twins = load_twins(layers, run) if asked.twins else {}
    models = {}
    for (role, (name, kept)), (_, _, own, _) in zip(layers.items(), sides, strict=True):
        random = replace(run, untrained=run.untrained or name in untrained)
        models[role] = load_model(name, own, random, kept)
    return Ingredients(models, twins, *questions(asked, run, screen))


def questions(asked: Comparison, run: Run, screen: Screen) -> Questions:
    """Opens the data; tasks that cannot be probed are left out, which is told.

    Raises
    ------
    RsaError : too few clips.
    """
    from cli.answerable import Questions, parted
    from cli.probing import resolve_tasks, task_kinds
    from cli.steps import open_data

    wanted = asked.wanted()
    with screen.stage(f"data set {without_secrets(wanted.data)}"):
        dataset, clips = open_data(
            wanted.data, wanted.manifest, asked.limit, screen.warn, run.offline
        )
        tasks = resolve_tasks(
            wanted, dataset.card.labels, {clip.subset for clip in clips}
        )
        if wanted.names == ("all",):  # frames have rows of their own: by name, or `rsa probe`
            tasks = [task for task in tasks if task.kind != "frames"]
    if asked.rows == "clips":  # known before any network has run
        from rsa.rows.joint import check_enough

        check_enough(len(clips))
    tasks, skipped = parted(tasks, clips, run.seed, screen)
    kinds = list(dict.fromkeys([asked.kind, *task_kinds(tasks)]))
    return Questions(dataset, clips, tasks, kinds, skipped)


def compare(comparison: Comparison, run: Run, out: Path | None, screen: Screen) -> Compared:
    """Runs both models, compares them, probes them and writes the study folder, without a PDF.

    Several processes share the work; the first writes what it comes to.
    """
    from cli.layers import describe_layers
    from cli.maps import map_clips
    from cli.probing import probe_models, resolve_probing
    from cli.processes import current
    from cli.record import begin_study, claim, default_folder, study_folder, write_study
    from cli.similarity import compare_models, resolve_measures
    from cli.steps import data_name, known_name
    from cli.why import explain

    asked = comparison
    chosen = resolve_measures(asked.measures)
    wanted = asked.wanted()
    folder = study_folder(out, default_folder(asked.a, asked.b))
    ready = prepare(asked, run, screen)
    dataset, tasks, kind = ready.dataset, ready.tasks, asked.kind
    team = current()
    if team.first:
        claim(folder, screen)
        screen.settings(asked.settings(run))
    material = ready.gather(run, screen)
    activations = material.activations

    if team.first:
        begin_study(folder)
    team.wait()
    rows = compare_models(material.of(kind), chosen, run, folder, screen)
    describe_layers(material.of(kind), dataset, run, folder, screen)
    probing = resolve_probing("linear", "none", known_name(wanted.data), run.seed)
    results = probe_models(activations, tasks, probing, run, folder, screen, ready.skipped)
    if asked.why:
        explain(activations, tasks, results, kind, run, folder, screen, across=True)
    team.wait()
    found = Compared(folder, rows, material.failures)
    if not team.first:
        return found
    map_clips(activations, tasks, results, run, folder, screen)
    titles = " and ".join(model.card.title for model in ready.models.values())
    write_study(
        folder,
        material,
        title=f"{titles} on {data_name(wanted.data, dataset)}",
        rows=rows,
        settings=asked.settings(run),
        run=run,
        timings=screen.timings,
    )
    return found
