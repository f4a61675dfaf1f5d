"""`rsa doctor`: what could go wrong on this machine, and the cure for each."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import click

from cli import options

# module: its checks, in the order in which they are shown
CHECKS = {
    "installed": ("name_clash", "versions", "torch_pair", "extras"),
    "machine": ("device", "memory", "processors", "shared_memory", "text"),
    "folders": ("disk", "locks", "stores"),
    "formats": ("audio", "pages"),
    "sources": ("weights", "hub", "storage"),
}


@click.command("doctor")
@click.option(
    "--out",
    type=options.PATH,
    metavar="FOLDER",
    default=Path(),
    help="Where studies are to be written [default: the current folder].",
)
@click.option(
    "--online", is_flag=True, help="Ask the hub, and the storage of RSA_STORES, for an answer."
)
@options.as_json
def command(out: Path, online: bool, as_json: bool) -> None:
    """Check versions, device, memory, audio formats, folders; exit code 1 on a problem.

    A warning is something that works, but not as well as it could.
    """
    from cli.doctor.check import Asked, examine

    asked = Asked(out, online)
    found = [
        check
        for module, names in CHECKS.items()
        for name in names
        for check in examine(getattr(import_module(f"cli.doctor.{module}"), name), asked)
    ]
    if as_json:
        click.echo(json.dumps([check.as_json() for check in found], indent=1))
    else:
        from cli.screen import show_table

        rows = [[check.name, check.state, check.found, check.cure] for check in found]
        show_table("rsa doctor", ["check", "", "found", "cure"], rows)
    if any(check.state == "problem" for check in found):
        sys.exit(1)
