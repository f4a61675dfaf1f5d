"""`rsa study`: comparisons and probing runs of one file, held against what was published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import options
from cli.processes import current, shared
from cli.record import refuse_files
from extract.urls import without_secrets
from extract.writing import write_text

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from cli.studycost import Costs
    from cli.studyfile import StudyFile
    from cli.studyplan import Planned
    from reports.expectations import Judged

COPY = "study.toml"  # of the study file, in the folder of its results


@click.command("study")
@click.argument("file", required=False, metavar="[FILE|NAME]")
@click.option(
    "--data",
    metavar="NAME|FOLDER|URL",
    help="This data in place of what the file names, for the tasks that it has labels for.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use N clips only in every step, spread evenly over its data.",
)
@options.untrained
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done, what it takes and what is missing."
)
@click.option(
    "--out", type=options.PATH, metavar="FOLDER", help="[default: study- and the name of the file]"
)
@options.device
@options.workers
@options.offline
@options.stores
@options.as_json
@shared
@options.logged
def command(
    file, data, limit, untrained, dry_run, out, device, workers, offline, stores, as_json,
    screen,
) -> None:  # fmt: skip
    """Run a whole investigation from one FILE, or a shipped one by NAME; without either, list them.

    All weights and data are looked for before anything is computed. Finished steps are kept: the
    same command goes on where it stopped. --untrained --data mini rehearses a study.
    """
    from cli import studyfile
    from cli.steps import Run, check_data, kept_stores, resolve_device
    from cli.studyplan import LEFT_OUT, TO_DO, Incomplete, answered, missing, plan, rehearsed

    team = current()
    if not file:
        if team.first:
            _list(as_json)
        return
    path = studyfile.find(file)
    if data is not None:
        check_data(data)
    study = rehearsed(studyfile.read(path), data, limit, untrained)
    kept = {"window": None, "hop": None, "precision": "float32", "store_dtype": "float32"}
    run = Run(
        device=resolve_device(device), seed=study.seed, workers=workers, max_bad=0.5,
        untrained=untrained, offline=offline, compiled=False, stores=stores,
        **{**kept, **study.running},
    )  # fmt: skip
    kept_stores(run)  # a place that cannot be is told before anything is looked for
    folder = _folder(out or Path(f"study-{path.stem}"))
    planned = plan(study, folder, run, trim=data is not None)
    if all(one.state == LEFT_OUT for one in planned):
        raise click.UsageError(f"--data {data}: it has no labels for any step of {path.name}")
    if dry_run:
        lacking, code = missing(planned, run, fetch=False)
        if lacking and team.first:
            _show_plan(study, planned, lacking, run, as_json)
    else:
        with screen.stage("weights and data looked for"):
            lacking, code = missing(planned, run, fetch=True)
    if lacking:
        if team.first and not (dry_run and as_json):
            for line in lacking:
                screen.error(f"missing: {line}")
        team.wait()  # so that one line ends all, after those of the first
        raise Incomplete(study.path.name, lacking, code)
    rehearsal = data is not None or limit is not None
    planned = answered(planned, path.name, run, screen, rehearsal=rehearsal)
    if all(one.state == LEFT_OUT for one in planned):
        reasons = "; ".join(f"{one.step.name}: {one.why}" for one in planned)
        raise click.UsageError(f"{path.name}: every step is left out: {reasons}")
    if dry_run:
        if team.first:
            from cli.studycost import Costs

            _show_plan(study, planned, (), run, as_json, Costs.of(planned, run, screen))
        return
    team.wait()  # until each has looked at the folder
    if team.first:
        write_text(folder / COPY, without_secrets(path.read_text(encoding="utf-8")))
        screen.log.open(folder)
    team.wait()
    _run(planned, run, screen)
    if not team.first:
        return
    before = _told(folder)
    judged = _hold(study, planned, folder)
    report = next(iter(folder.glob("report*.pdf")), None)
    if report is None or _told(folder) != before or any(one.state == TO_DO for one in planned):
        with screen.stage("report"):
            report = _report(planned, folder, study.title)
    if as_json:
        click.echo(json.dumps(_summary(report, planned, judged), indent=1))
    else:
        if not screen.quiet:
            _show_verdicts(judged)
        click.echo(report)


def _list(as_json: bool) -> None:
    """The shipped studies with their questions."""
    from cli import studyfile
    from cli.screen import show_table

    found = {name: studyfile.read(path) for name, path in studyfile.shipped().items()}
    if as_json:
        rows = [
            {"name": name, "title": s.title, "question": s.question, "file": str(s.path),
             "steps": [step.name for step in s.steps], "expectations": len(s.expectations)}
            for name, s in found.items()
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=1))
        return
    rows = [[name, s.question, len(s.steps), len(s.expectations)] for name, s in found.items()]
    caption = "rsa study NAME --dry-run shows what one needs; docs/studies.md: how to write one"
    show_table("Studies", ["name", "question", "steps", "published results"], rows, caption)


def _folder(folder: Path) -> Path:
    """The folder to write to; one that holds something else is refused."""
    refuse_files(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / COPY).exists():
        raise click.UsageError(
            f"--out {folder}: the folder is not empty and holds no {COPY}; name another"
        )
    return folder


def _run(planned: Sequence[Planned], run: Run, screen: Screen) -> None:
    """Runs what is to do; each step has its own timings."""
    from cli.comparison import Comparison, compare
    from cli.probingrun import probe
    from cli.studyplan import FINISHED, LEFT_OUT

    for one in planned:
        if one.state == FINISHED:
            screen.say(f"{one.folder.name}: finished before, kept")
            continue
        if one.state == LEFT_OUT:
            screen.warn(f"{one.folder.name}: left out: {one.why}")
            continue
        if one.dropped:
            screen.warn(f"{one.folder.name}: no labels for {', '.join(one.dropped)}: left out")
        screen.say(one.folder.name)
        work = compare if isinstance(one.step.asked, Comparison) else probe
        work(one.step.asked, run, one.folder, screen.anew())


def _hold(study: StudyFile, planned: Sequence[Planned], folder: Path) -> list[Judged]:
    """Writes what was published beside what was found, of each step and of all."""
    from cli.studyplan import LEFT_OUT
    from reports import Study, expectations, judging

    done = {one.step.name: one.folder for one in planned if one.state != LEFT_OUT}
    studies = {name: Study.read(place) for name, place in done.items()}
    judged = judging.judge(study.expectations, studies)
    about = {"title": study.title, "question": study.question}
    for name, place in done.items():
        (place / expectations.FILE).unlink(missing_ok=True)
        if mine := [one for one in judged if one.expectation.step == name]:
            expectations.write(place, mine, steps={name: "."}, **about)
    steps = {name: place.name for name, place in done.items()}
    expectations.write(folder, judged, steps=steps, **about)
    return judged


def _told(folder: Path) -> bytes:
    """What is published and found, as it stands in the folder."""
    from reports.expectations import FILE

    path = folder / FILE
    return path.read_bytes() if path.exists() else b""


def _report(planned: Sequence[Planned], folder: Path, title: str) -> Path:
    """One report of all steps, in the folder above them."""
    from cli.studyplan import LEFT_OUT
    from reports import write_report
    from reports.joined import write_joined

    places = [one.folder for one in planned if one.state != LEFT_OUT]
    if len(places) == 1:
        return write_report(places[0], folder / "report.pdf")
    return write_joined(places, folder, title=title)[0]


def _show_plan(
    study: StudyFile, planned: Sequence[Planned], lacking: Sequence[str], run: Run, as_json: bool,
    costs: Costs | None = None,
) -> None:  # fmt: skip
    from cli.comparison import Comparison
    from cli.screen import show_table
    from cli.studyplan import to_fetch

    fetched = to_fetch(planned, run)
    rows = []
    for one in planned:
        asked = one.step.asked
        what = "compare" if isinstance(asked, Comparison) else "probe"
        left = f"no labels: {', '.join(one.dropped)}" if one.dropped else one.why
        rows.append(
            {
                "step": one.folder.name,
                "what": what,
                "models": ", ".join(one.step.models),
                "data": without_secrets(asked.wanted().data)
                + (f", {asked.limit} clips" if asked.limit else ""),
                "tasks": asked.tasks.replace(",", ", "),
                "state": one.state + (f" ({left})" if left else ""),
            }
        )
    if as_json:
        content = {"title": study.title, "steps": rows, "fetched": fetched, "missing": [*lacking]}
        content |= {"costs": costs.as_json()} if costs else {}
        click.echo(json.dumps(content, indent=1))
        return
    caption = f"weights that would be fetched: {', '.join(fetched)}" if fetched else ""
    show_table(study.title, list(rows[0]), [list(row.values()) for row in rows], caption)
    if costs:
        costs.show()


def _show_verdicts(judged: Sequence[Judged]) -> None:
    from cli.screen import show_table

    rows = [
        [one.expectation.says, one.found or "-", "; ".join([one.verdict, *one.because])]
        for one in judged
    ]
    if rows:
        show_table("What was published", ["published", "found here", "verdict"], rows)


def _summary(report: Path, planned: Sequence[Planned], judged: Sequence[Judged]) -> dict:
    from cli.studyplan import LEFT_OUT

    return {
        "study": str(report.parent),
        "report": str(report),
        "steps": [
            {
                "step": one.step.name,
                "state": one.state,
                "folder": None if one.state == LEFT_OUT else str(one.folder),
                "left_out": list(one.dropped),
            }
            for one in planned
        ],
        "expectations": [
            {
                "says": one.expectation.says,
                "verdict": one.verdict,
                "because": list(one.because),
                "found": one.found,
            }
            for one in judged
        ],
    }
