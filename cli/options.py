"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from functools import wraps
from pathlib import Path

import click

from cli.numbers import SEEDS, Finite

PATH = click.Path(path_type=Path)


def several(*options):
    """One decorator for a list of options, shown in this order."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def given(option: str) -> bool:
    """Whether an option of the running command was given by the user."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not click.core.ParameterSource.DEFAULT


data = several(
    click.option(
        "--data", default="mini", show_default=True, metavar="NAME|FOLDER|URL",
        help="A data set (`mini`, `mini:chorale,note`) or a folder of audio, also on a storage "
        "(s3://bucket/music).",
    ),
    click.option(
        "--manifest", type=PATH, metavar="FILE",
        help="CSV or JSONL with clips and labels of a folder [default: manifest.csv in it].",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N",
        help="Use N clips only, spread evenly over the data set.",
    ),
)

# of commands that `cli.processes.shared` decorates
device = several(
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps", "cuda:all"]),
                 default="auto", show_default=True,
                 help="Where networks and solvers run; cuda:all is a process for each GPU."),
    click.option("--processes", type=click.IntRange(min=1), metavar="N",
                 help="Share the work between N processes on this machine."),
)

workers = click.option(
    "--workers", type=click.IntRange(min=1), default=2, show_default=True,
    help="Threads that decode audio.",
)

untrained = click.option(
    "--untrained", is_flag=True,
    help="Random weights instead of trained ones; stamps every page and result.",
)  # fmt: skip

offline = click.option(
    "--offline", is_flag=True,
    help="Never ask the network for weights; refuse data and stores on it.",
)

# RSA_STORES, not a default: of processes on several machines each has its own environment
stores = click.option(
    "--stores", metavar="URL|FOLDER", envvar="RSA_STORES", show_envvar=True,
    help="Where activations are kept, as s3://bucket/rsa [default: in the cache].",
)

running = several(
    device,
    click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of everything drawn."),
    workers,
    click.option("--store-dtype", type=click.Choice(["float32", "float16"]), default="float32",
                 show_default=True, help="Type of the activations on disk."),
    click.option("--max-bad", type=Finite(0, 1), default=0.5, show_default=True,
                 help="Share of clips that may fail before the run is called off."),
    untrained,
    offline,
    stores,
    click.option("--window", type=Finite(min=0, min_open=True), metavar="SECONDS",
                 help="How much audio a network sees at once [default: the model's own]."),
    click.option("--hop", type=Finite(min=0, min_open=True), metavar="SECONDS",
                 help="From the start of a window to the next [default: the window]."),
    click.option("--precision", type=click.Choice(["float32", "tf32", "bf16", "fp16"]),
                 default="float32", show_default=True,
                 help="Of the networks; what a reduced one changes is measured and kept."),
    click.option("--compile", "compiled", is_flag=True,
                 help="Send a network's blocks through torch.compile: pays on long runs."),
)

rows = several(
    click.option(
        "--rows", type=click.Choice(["clips", "frames", "sketch"]), default="clips",
        show_default=True,
        help="Time-pooled clips, frames on a common time grid, or some of these of each clip.",
    ),
    click.option("--grid", type=Finite(min=0, min_open=True), default=5.0,
                 show_default=True, metavar="HZ", help="Rate of the grid of frames."),
    click.option("--sketch", type=click.IntRange(min=1), default=20, show_default=True,
                 metavar="N", help="Frames of each clip that --rows sketch keeps."),
)

layers = click.option(
    "--layers", metavar="LIST",
    help="Keep these layers only, separated by commas; the network runs no deeper.",
)

tasks = click.option(
    "--task", "--tasks", "tasks", default="all", show_default=True, metavar="LIST",
    help="Probing tasks: `all`, `none`, or names of `rsa tasks` and of labels separated by commas; "
    "a column of a manifest as manifest.csv:column.",
)

probing = several(
    click.option(
        "--protocol", default="linear", show_default=True, metavar="NAME",
        help="How probes are trained and chosen: linear (exact), marble, jukemir or tune.",
    ),
    click.option(
        "--head", "heads", default="weighting,concatenation", show_default=True, metavar="LIST",
        help="Further heads beside that of the protocol, separated by commas: mlp, weighting, "
        "concatenation, attentive, knn, centroid; or none.",
    ),
    click.option(
        "--checks/--no-checks", default=True, show_default=True,
        help="Control task, shuffled labels, code, learning curve, components and calibration of "
        "linear probes; scores alone take a fifth of the time.",
    ),
    click.option(
        "--max-frames", type=click.IntRange(min=1), metavar="N",
        help="Frames that a task on frames is trained on, from all clips [default: 20000].",
    ),
)

why = click.option(
    "--why/--no-why", default=True, show_default=True,
    help="Evidence for why a layer is good at a task: references erased and probed again, what "
    "is new in a layer, what training added, which layer to take.",
)

out = click.option(
    "--out", type=PATH, metavar="FOLDER",
    help="Study folder [default: study- and the names of the models].",
)

report = several(
    click.option(
        "--format", "formats", metavar="LIST",
        help="Of the report: pdf, html or md (Markdown); several by commas [default: pdf].",
    ),
    click.option("--no-report", is_flag=True, help="Numbers only, no report."),
)

dry_run = click.option(
    "--dry-run", is_flag=True,
    help="Say what would be done: clips, bytes, memory and time; start and write nothing.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")

quiet = click.option("--quiet", "-q", is_flag=True, help="No progress; errors only.")

log_level = click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info",
    show_default=True,
    help="What is shown while it works; the log of the run never has less than info.",
)  # fmt: skip


def logged(function):
    """The innermost decorator of a command that works for long: it gets `screen`, and has a log.

    Adds --log-level and --quiet. Of several processes the first alone is shown and has a log.
    """

    @log_level
    @quiet
    @wraps(function)
    def command(*arguments, quiet: bool, log_level: str, **options):
        import probes.memory
        import rsa.memory
        from cli.processes import current
        from cli.runlog import RunLog
        from cli.screen import Screen

        if not current().first:
            return function(*arguments, screen=Screen(True), **options)
        context = click.get_current_context()
        with RunLog(context.info_name, log_level, context.params) as log:
            results = not options.get("as_json")
            screen = Screen(quiet, results, log_level, log)
            for room in (rsa.memory, probes.memory):  # what becomes smaller is said, once
                room.tell[:] = [screen.warn]
            found = function(*arguments, screen=screen, **options)
            screen.finish()
            return found

    return command
