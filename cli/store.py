"""`rsa store`: the activations on disk: what there is, whether it is whole, and making room."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import options
from cli.numbers import Finite
from cli.storefacts import planned
from extract.urls import is_url

if TYPE_CHECKING:
    from extract.stores import StoreFolder

DAMAGED = 4  # exit code, as of other files that cannot be used
HOUR, DAY = 3600.0, 86400.0

# a text: a path would lose one of the slashes of a URL
folder_argument = click.argument("folder", required=False)
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.group("store")
def command() -> None:
    """Look after the activations that extraction keeps.

    FOLDER is a store or a folder of stores; without it, those in the cache. `info` and `verify`
    also take a URL, as s3://bucket/rsa.
    """


@command.command("info")
@folder_argument
@options.as_json
def info(folder: str | None, as_json: bool) -> None:
    """List stores: model, rows, what is there and what is missing, size, age."""
    from extract.plan import FORMAT
    from extract.stores import failures

    if is_url(folder or ""):
        from cli.remotestores import info

        return info(folder, as_json)
    stores = _found(folder)
    if as_json:
        click.echo(json.dumps([_facts(store, failures(store)) for store in stores], indent=1))
        return
    from cli.screen import show_table

    lines = []
    for store in stores:
        facts = _facts(store, failures(store))
        lines.append(
            [
                store.model,
                facts["rows"] or "?",
                "?" if facts["clips"] is None else facts["clips"],
                f"{facts['present']} of {facts['shards'] if store.plan else '?'}",
                "?" if facts["failures"] is None else facts["failures"],
                amount(store.bytes),
                _ago(store.written),
                _ago(store.used),
                _state(store),
                store.folder.name,
            ]
        )
    head = ["model", "rows", "clips", "shards", "failed", "size", "written", "used", "state",
            "folder"]  # fmt: skip
    places = sorted({str(store.folder.parent.parent) for store in stores})
    caption = f"{amount(sum(s.bytes for s in stores))} in {', '.join(places)}; format {FORMAT}"
    if stores:
        show_table("Stores of activations", head, lines, caption)
    else:
        click.echo(f"no stores in {_root(folder)}")


@command.command("verify")
@folder_argument
@options.as_json
def verify(folder: str | None, as_json: bool) -> None:
    """Read everything and check every hash; exit code 4 when something is wrong."""
    from extract.stores import verify

    if is_url(folder or ""):
        from cli.remotestores import verify

        if verify(folder, as_json):
            sys.exit(DAMAGED)
        return
    stores = _found(folder)
    faults = [fault for store in stores for fault in verify(store)]
    if as_json:
        rows = [{**asdict(fault), "path": str(fault.path)} for fault in faults]
        click.echo(json.dumps({"stores": len(stores), "faults": rows}, indent=1))
    else:
        for fault in faults:
            click.echo(f"{fault.path}: {fault.what}; {_cure(fault)}")
        what = f"{len(faults)} faults" if faults else "all whole"
        click.echo(f"{len(stores)} stores, {amount(sum(s.bytes for s in stores))}: {what}")
    if faults:
        sys.exit(DAMAGED)


@command.command("repair")
@folder_argument
@dry_run
def repair(folder: str | None, dry_run: bool) -> None:
    """Remove damaged shards and leftovers: the next run extracts just those again.

    Exit code 4 when something is left that only you can mend.
    """
    from extract.errors import StoreError
    from extract.stores import repair

    removed, left = 0, 0
    for store in _found(folder):
        try:
            faults = repair(store, dry_run)
        except StoreError as error:
            click.echo(f"left alone: {error}", err=True)
            left += 1
            continue
        for fault in faults:
            word = "would remove" if dry_run else "removed"
            click.echo(
                f"{word} {fault.path}: {fault.what}" if fault.mended
                else f"left alone: {fault.path}: {fault.what}; {fault.cure}"
            )  # fmt: skip
        removed += sum(fault.mended for fault in faults)
        left += sum(not fault.mended for fault in faults)
    word = "to remove" if dry_run else "removed"
    click.echo(f"{removed} {word}; the same commands extract what is missing")
    if left:
        sys.exit(DAMAGED)


@command.command("gc")
@folder_argument
@click.option("--older-than", type=Finite(min=0), metavar="DAYS",
              help="Stores that were not used for so many days.")
@click.option("--model", "name", metavar="NAME", help="Stores of this model.")
@click.option("--unfinished", is_flag=True, help="Stores with shards missing.")
@click.option("--all", "everything", is_flag=True, help="All stores.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run
def gc(folder, older_than, name, unfinished, everything, yes, dry_run) -> None:
    """Make room: list what would go, ask, delete.

    Without options: results of comparisons and probes that other code found, which no command
    reads any more, and what killed processes left. Options add stores; of several, those that
    fit all of them. A store that a process is writing, or that holds other files, stays.
    """
    from cli.oldresults import leftovers, stale
    from extract.stores import protected, remove
    from extract.weights import cache_dir

    _root(folder)
    wanted = []
    if everything or name or unfinished or older_than is not None:
        wanted = [
            store
            for store in _found(folder)
            if (not name or store.model == name)
            and (not unfinished or not store.finished)
            and (older_than is None or _idle(store) >= older_than * DAY)
        ]
    going = []
    for store in wanted:
        if reason := protected(store):
            click.echo(f"left alone: {store.folder}: {reason}", err=True)
        else:
            going.append(store)
            about = f"({_state(store)}, used {_ago(store.used)})"
            click.echo(f"{amount(store.bytes):>9}  {store.folder}  {about}")
    old = stale(cache_dir()) if folder is None else []
    parts = leftovers(cache_dir()) if folder is None else []
    size = sum(path.stat().st_size for path in old)
    if old:
        click.echo(f"{amount(size):>9}  {len(old)} files of results by other code in {cache_dir()}")
    if parts:
        click.echo(f"{'':>9}  {len(parts)} leftovers of killed processes in {cache_dir()}")
    if not (going or old or parts):
        click.echo("nothing to remove")
        return
    total = amount(size + sum(store.bytes for store in going))
    if dry_run:
        click.echo(f"{total} would be freed")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nothing was removed: give --yes where nobody can be asked")
        click.confirm(f"remove this ({total})?", abort=True)
    for store in going:
        remove(store)
    for path in old:
        path.unlink(missing_ok=True)
    for path in parts:
        shutil.rmtree(path, ignore_errors=True)
    click.echo(f"{total} freed")


def _root(folder: str | None) -> Path:
    from extract.weights import cache_dir

    if folder is None:
        return cache_dir("activations")
    if is_url(folder):
        raise click.UsageError(
            f"{folder}: nothing is changed on a storage; `rsa store verify` names what to delete "
            "there with its own tools"
        )
    folder = Path(folder)
    below = folder / "activations"  # the cache itself
    return below if below.is_dir() else folder


def _found(folder: str | None) -> list[StoreFolder]:
    from extract.stores import find

    return find(_root(folder))


def _facts(store: StoreFolder, failed: int | None) -> dict:
    return {
        **planned(store, str(store.folder), failed),
        "written": store.written,
        "used": store.used,
        "claimed": store.claimed,
        "elsewhere": store.elsewhere,
        "strange": list(store.strange),
        "problem": store.problem,
    }


def _state(store: StoreFolder) -> str:
    if store.plan is None:
        return "manifest unreadable"
    if store.claimed:
        return "being written"
    if store.elsewhere and not store.finished:
        return f"kept at {store.elsewhere}"
    return "finished" if store.finished else "unfinished"


def _cure(fault) -> str:
    return "rsa store repair mends it" if fault.mended else fault.cure


def _idle(store: StoreFolder) -> float:
    """Seconds since it was last used or written."""
    return time.time() - max(store.used, store.written)


def _ago(moment: float) -> str:
    if not moment:
        return "?"
    seconds = time.time() - moment
    return f"{seconds / DAY:.0f} d ago" if seconds >= 2 * DAY else f"{seconds / HOUR:.1f} h ago"


def amount(count: int) -> str:
    for unit, step in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count / 1024:.0f} KiB"
