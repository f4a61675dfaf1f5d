"""The `rsa` command: finds the subcommand, runs it, turns errors into one line and an exit code.

Nothing heavy is imported here: `rsa --help` must answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

import click

from cli import processes
from cli.nearest import suggestion

# name -> (module that holds `command`, help line)
COMMANDS = {
    "compare": ("cli.compare", "Compare two models layer by layer and write a report."),
    "probe": ("cli.probe", "Train probes on every layer of one or more models."),
    "study": ("cli.study", "Run a whole investigation from one file, or a shipped one by name."),
    "report": ("cli.report", "Make the report again as PDF, HTML or Markdown, or join several."),
    "figure": ("cli.figure", "Write one figure or table of a report, or list them."),
    "extract": ("cli.extract", "Run a model over audio and keep the activations of every layer."),
    "store": ("cli.store", "List, check, mend and clear the activations on disk."),
    "models": ("cli.models", "List the models, or show one with its layers and licence."),
    "measures": ("cli.measures", "List the measures of similarity, or show what one says."),
    "tasks": ("cli.tasks", "List the probing tasks, or show what one asks and how it is scored."),
    "datasets": ("cli.datasets", "List the data sets, or show one with its labels and splits."),
    "doctor": ("cli.doctor", "Check this installation and say how to mend it."),
}

INTERRUPTED = "interrupted; finished work is kept, the same command goes on from there"
EPILOG = """\b
Exit codes: 0 done, 1 unexpected failure, 2 wrong usage, 3 weights missing or wrong,
4 data or files that cannot be used, 5 no comparison, probe or report possible,
130 interrupted."""


class Commands(click.Group):
    """Imports a subcommand's module only when it is called."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        if name not in COMMANDS:
            return None
        return import_module(COMMANDS[name][0]).command

    def resolve_command(self, ctx, args):
        if args and args[0] not in COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}{suggestion(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="music-rsa", prog_name="rsa")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def root(debug: bool) -> None:
    """What does each layer of a music model know, and why that layer?"""
    if debug:
        os.environ["RSA_DEBUG"] = "1"


def main() -> None:
    """Entry point of the console script."""
    interrupted = _watch()
    try:
        root(standalone_mode=False)
    except click.ClickException as error:
        if not processes.silent():
            error.message = _printable(error.message)
            error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say(INTERRUPTED)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if os.environ.get("RSA_DEBUG"):
            raise
        if interrupted:  # in the midst of an import, say, which reports it as its own failure
            _say(INTERRUPTED)
            sys.exit(130)
        code = getattr(error, "exit_code", None)
        if isinstance(code, int):
            _say(str(error))
            sys.exit(code)
        if isinstance(error, OSError) and error.errno:
            from extract.writing import cure

            about = f"{error.filename}: " if error.filename else ""
            _say(f"{about}{error.strerror}; {cure(error.errno)}")
            sys.exit(4)
        where = "; ".join(["rsa --debug ... shows where", *getattr(error, "__notes__", ())])
        _say(f"unexpected {type(error).__name__}: {error} ({where})")
        sys.exit(1)
    finally:
        _deaf()


def _watch() -> list[int]:
    """Becomes true with the first Ctrl-C, which still raises KeyboardInterrupt."""
    seen: list[int] = []

    def note(number: int, frame) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    return seen


def _deaf() -> None:
    """Nothing is left to stop: what libraries tidy up at exit would only report a Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(message: str) -> None:
    click.echo(f"rsa: {_printable(message)}", err=True)


def _printable(message: str) -> str:
    """On lines as they are, without what a terminal would obey: names of files may hold that."""
    from extract.errors import printable
    from extract.urls import without_secrets

    return "\n".join(map(printable, without_secrets(message).split("\n")))


if __name__ == "__main__":
    main()
