"""Similarity for the command line: which measures are meant, and the comparison of all roles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import suggestion

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.store import Activations

PAIRS = (("a", "a"), ("b", "b"), ("a", "b"), ("a", "ref"), ("b", "ref"))


def resolve_measures(text: str) -> tuple[str, ...]:
    """Canonical names for `default`, families (`cka`) and canonical names, separated by commas.

    Canonical names hold commas themselves, so the longest run of pieces that names a measure wins.
    """
    from rsa import measures
    from rsa.errors import RsaError

    if text in ("default", "all"):
        return measures.DEFAULT
    pieces, chosen, at = [p.strip() for p in text.split(",") if p.strip()], [], 0
    while at < len(pieces):
        for end in range(len(pieces), at, -1):
            name = ",".join(pieces[at:end])
            try:
                found = [measures.measure(name).name]
            except RsaError:
                found = [known for known in measures.MEASURES if known.startswith(f"{name}:")]
            if found:
                chosen += found
                at = end
                break
        else:
            families = dict.fromkeys(known.partition(":")[0] for known in measures.MEASURES)
            hint = suggestion(pieces[at], [*families, *measures.MEASURES])
            raise click.UsageError(f"--measures: no measure {pieces[at]!r}{hint}")
    if not chosen:
        raise click.UsageError("--measures: name at least one, or `default`")
    return tuple(dict.fromkeys(chosen))


def compare_models(
    representations: dict[str, Activations],
    measures: tuple[str, ...],
    run: Run,
    folder: Path,
    screen: Screen,
) -> dict:
    """Writes similarity/X-Y of every pair of roles; returns kind and numbers of rows and groups."""
    import rsa
    from extract.store import align

    align(*representations.values())
    roles = list(representations)
    first = representations[roles[0]]
    kind = first.rows.kind
    pairs = [(roles.index(x), roles.index(y)) for x, y in PAIRS]
    with screen.stage("similarity") as progress:
        names: list[str] = []

        def begin(name: str) -> None:
            names.append(name)
            progress(len(names) - 1, len(measures))

        comparison = rsa.compare(
            *representations.values(), measures=measures, pairs=pairs, seed=run.seed,
            device=run.solver_device, rows=kind, progress=begin,
        )  # fmt: skip
    for (x, y), (i, j) in zip(PAIRS, pairs, strict=True):
        comparison.between(i, j).write(folder / "similarity", x, y)
    return {"kind": kind, "rows": len(first), "groups": len(set(first.groups))}
