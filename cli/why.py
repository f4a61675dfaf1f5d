"""Why a layer is good at a task, for the command line: writes why/X and why/X-Y of a study."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.answerable import FRAMES
from cli.known import content, digest, remembered
from cli.roles import is_model
from extract.writing import write_text

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.store import Activations
    from probes import ProbeResults
    from probes.tasks import Task

FORMAT = 1
INPUT = "log-mel"  # the layer of the references that stands for the input


def explain(
    activations: Mapping[str, Mapping[str, Activations]],
    tasks: Sequence[Task],
    results: Mapping[str, ProbeResults],
    rows: str,
    run: Run,
    folder: Path,
    screen: Screen,
    across: bool = False,
) -> None:
    """Writes what carries each task, what is new in each layer, what training added, what to take.

    Parameters
    ----------
    activations : role -> kind of rows -> activations; `ref` among the roles.
    results : role -> probes; twins (a0) and references among them.
    rows : kind of the rows that layers are described on.
    across : whether probes of each of the first two models are tried on the other.
    """
    from cli.probing import large
    from cli.processes import current

    models = list(filter(is_model, activations))
    if any(large(activations[role][rows]) for role in models):
        screen.warn(
            f"why: left out, {len(activations[models[0]][rows])} rows of a layer are more than is "
            "held at once; take fewer clips with --limit for it"
        )
        return
    pairs = [(models[0], models[1]), (models[1], models[0])] if across and results else []
    for place in current().turns(len(models) + len(pairs)):
        if place < len(models):
            _one(models[place], activations, tasks, results, rows, run, folder, screen)
        else:
            x, y = pairs[place - len(models)]
            _pair(x, y, activations, tasks, results, run, folder, screen)


def _one(
    role: str,
    activations: Mapping[str, Mapping[str, Activations]],
    tasks: Sequence[Task],
    results: Mapping[str, ProbeResults],
    rows: str,
    run: Run,
    folder: Path,
    screen: Screen,
) -> None:
    """All evidence about one model."""
    from probes.why.evidence import Rows, from_rows, from_scores

    found, references = activations[role], activations["ref"]
    name, result = found[rows].name, results.get(role)
    cure = "leave this out with --no-why, or name fewer --tasks"
    with screen.stage(f"why layers of {name} are good at what they are", cure=cure) as progress:
        about = _about_rows(found[rows], references[rows], run)
        told = Rows()
        whole: dict = {"training": [], "choice": []}
        if result is not None:
            scores = from_scores(result, results.get(f"{role}0"), results.get("ref"))
            whole = scores.as_json()
            kinds, known = _kinds(tasks), _scores(result)
            for number, kind in enumerate(kinds):

                def of_kind(kind: str = kind, number: int = number) -> Rows:
                    return from_rows(
                        found[kind], references[kind], found[kind].rows, tasks, result,
                        seed=run.seed, device=run.solver_device,
                        progress=lambda done, of: progress(number * of + done, len(kinds) * of),
                    )  # fmt: skip

                key = [content(found[kind]), content(references[kind]), kind, known]
                told += remembered("why", key, run.seed, Rows, of_kind)
        skipped = [*told.as_json()["skipped"], *whole.get("skipped", ()), *about.pop("skipped")]
        _write(
            folder / "why" / f"{role}.json",
            {
                "format": FORMAT, "role": role, "model": name, "rows": rows,
                **told.as_json(), **whole, **about,
                **_profiles(role, result, whole["choice"], references[rows], run, folder),
                "skipped": skipped,
            },
        )  # fmt: skip


def _about_rows(source: Activations, references: Activations, run: Run) -> dict:
    """Variance partitioned over the references, and the return to the input."""
    from rsa import RsaError
    from rsa.why.partition import partition
    from rsa.why.returning import MEASURE, to_input

    asked: dict[str, Callable[[], dict]] = {
        "between": lambda: partition(source, references, seed=run.seed).as_json(),
        "within": lambda: partition(source, references, within=True, seed=run.seed).as_json(),
        "returning": lambda: to_input(source, references, INPUT, seed=run.seed).as_json(),
    }
    found, skipped = {}, []
    for name, work in asked.items():
        key = [content(source), content(references), name]
        try:
            found[name] = remembered("why", key, run.seed, None, work)
        except RsaError as error:
            found[name] = None
            skipped.append({"what": name, "why": str(error)})
    back = found.pop("returning")
    return {
        "partition": found,
        "returning": back and {"measure": MEASURE, "input": INPUT, "found": back},
        "skipped": skipped,
    }


def _profiles(
    role: str,
    result: ProbeResults | None,
    choices: Sequence[dict],
    references: Activations,
    run: Run,
    folder: Path,
) -> dict:
    """Whether similarity to references and scores go together over depth, where both are known.

    Tasks that no layer is shown to read are left out: their profiles are noise.
    """
    import rsa
    from probes.tasks.content import CONTENT
    from rsa.comparison import MAIN
    from rsa.why.association import associations, specificity

    path = folder / "similarity" / f"{role}-ref.json"
    if result is None or not path.exists():
        return {"associations": None}
    similarity = rsa.Similarity.read(path)
    present = [one.measure for one in similarity.measures]
    main = next((name for name in MAIN if name in present), None)
    read = {one["task"] for one in choices if one["recommended"] is not None}
    known = [one for one in result.tasks if one.task in read]
    if main is None or not known:
        return {"associations": None}
    table = similarity[main].value
    like = {name: table[:, i] for i, name in enumerate(references.layers)}
    scores = {
        one.task: [layer.splits[one.headline].value for layer in one.layers] for one in known
    }
    family = {one.task: one.family for one in known}
    own = {name: tuple(r for r in some if r in like) for name, some in CONTENT.items()}
    return {
        "associations": {
            "measure": main,
            "pairs": [one.as_json() for one in associations(like, scores, run.seed)],
            "specificity": specificity(like, scores, family, own, run.seed).as_json(),
        }
    }


def _pair(
    x: str,
    y: str,
    activations: Mapping[str, Mapping[str, Activations]],
    tasks: Sequence[Task],
    results: Mapping[str, ProbeResults],
    run: Run,
    folder: Path,
    screen: Screen,
) -> None:
    """Probes of X on Y."""
    from probes.why.evidence import Across, across

    found, kinds, known = Across(), _kinds(tasks), _scores(results[x])
    names = [next(iter(activations[role].values())).name for role in (x, y)]
    with screen.stage(f"probes of {names[0]} on {names[1]}") as progress:
        for number, kind in enumerate(kinds):
            of_x, of_y = activations[x][kind], activations[y][kind]

            def of_kind(of_x=of_x, of_y=of_y, number: int = number) -> Across:
                return across(
                    of_x, of_y, of_x.rows, tasks, results[x], seed=run.seed,
                    device=run.solver_device,
                    progress=lambda done, of: progress(number * of + done, len(kinds) * of),
                )  # fmt: skip

            key = [content(of_x), content(of_y), kind, known]
            found += remembered("why", key, run.seed, Across, of_kind)
        path = folder / "why" / f"{x}-{y}.json"
        _write(path, {"format": FORMAT, "x": x, "y": y, **found.as_json()})


def _kinds(tasks: Sequence[Task]) -> list[str]:
    """Kinds of rows that tasks are asked of, but for frames."""
    return list(dict.fromkeys(t.rows for t in tasks if not t.rows.startswith(FRAMES)))


def _scores(result: ProbeResults) -> str:
    """A hash of the scores: they change with labels, splits and settings."""
    return digest(result.as_json()["tasks"])


def _write(path: Path, entry: dict) -> None:
    write_text(path, json.dumps(entry, indent=1, allow_nan=False) + "\n")
