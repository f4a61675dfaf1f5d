"""`rsa store info` and `rsa store verify` of a URL."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.store import amount
from cli.storefacts import planned

if TYPE_CHECKING:
    from extract.remote.stores import RemoteStore


def info(url: str, as_json: bool) -> None:
    """Lists the stores at a URL."""
    from cli.screen import show_table
    from extract.remote.stores import failures

    stores = _found(url)
    facts = [_facts(store, failures(store)) for store in stores]
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    lines = [
        [
            one["model"], _known(one["rows"]), _known(one["clips"]),
            f"{one['present']} of {_known(one['shards'])}", _known(one["failures"]),
            amount(one["bytes"]), _state(store), one["folder"],
        ]
        for store, one in zip(stores, facts, strict=True)
    ]  # fmt: skip
    head = ["model", "rows", "clips", "shards", "failed", "size", "state", "place"]
    show_table("Stores of activations", head, lines, amount(sum(s.bytes for s in stores)))


def verify(url: str, as_json: bool) -> int:
    """Fetches everything and checks every hash; how much is wrong."""
    from extract.remote.stores import verify

    stores = _found(url)
    faults = [fault for store in stores for fault in verify(store)]
    if as_json:
        rows = [asdict(fault) for fault in faults]
        click.echo(json.dumps({"stores": len(stores), "faults": rows}, indent=1))
        return len(faults)
    for fault in faults:
        click.echo(f"{fault.path}: {fault.what}; {fault.cure}")
    what = f"{len(faults)} faults" if faults else "all whole"
    click.echo(f"{len(stores)} stores, {amount(sum(s.bytes for s in stores))}: {what}")
    return len(faults)


def _found(url: str) -> list[RemoteStore]:
    from extract.remote.root import connect
    from extract.remote.stores import find

    return find(connect(url, say=lambda text: click.echo(text, err=True)))


def _facts(store: RemoteStore, failed: int | None) -> dict:
    return {
        **planned(store, store.url, failed),
        "strange": list(store.strange),
        "problem": store.problem,
    }


def _known(value: object) -> str:
    return "?" if value is None else str(value)


def _state(store: RemoteStore) -> str:
    if store.plan is None:
        return "manifest unreadable"
    return "finished" if store.finished else "unfinished"
