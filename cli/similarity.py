"""Similarity for the command line: which measures are meant, and the comparison of all roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.nearest import nearest, suggestion

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.store import Activations

# a0 and b0 are the untrained twins of a and b
PAIRS = (
    ("a", "a"), ("b", "b"), ("a", "b"), ("a", "ref"), ("b", "ref"),
    ("a", "a0"), ("b", "b0"), ("a0", "b0"), ("a0", "ref"), ("b0", "ref"),
)  # fmt: skip
# the layer of the references that stands for the input in deconfounded measures
INPUT = "log-mel"


def resolve_measures(text: str, before: str = "--measures: ") -> tuple[str, ...]:
    """Canonical names for `default`, `all`, families, beginnings (`svcca`) and names, by commas.

    A canonical name holds commas itself: a piece that is no word of its own goes with the name
    before it. Errors begin with `before`.
    """
    from rsa.errors import RsaError

    names: list[str] = []
    for piece in filter(None, map(str.strip, text.split(","))):
        if names and ":" in names[-1] and _part(piece):
            names[-1] += f",{piece}"
        else:
            names.append(piece)
    if not names:
        raise click.UsageError(
            f"{before}name a measure, a family or `default`; `rsa measures` lists them"
        )
    try:
        return tuple(dict.fromkeys(one for name in names for one in named(name)))
    except RsaError as error:
        raise click.UsageError(f"{before}{error}") from None


def named(name: str) -> list[str]:
    """Canonical names of what a word, a beginning or a canonical name stands for; else RsaError."""
    from rsa import measures
    from rsa.errors import RsaError
    from rsa.measures.base import FAMILIES

    known = measures.MEASURES
    if name in known:
        return [name]
    if found := measures.several(name):
        return found
    if one := measures.find(name):
        return [one.name]
    key, equals, _ = name.partition("=")
    piece = re.compile(f"[:,]{re.escape(key)}" + ("=" if equals else "(,|$)"))
    if whole := [n for n in known if piece.search(n)]:
        raise RsaError(f"{name!r} is a part of a name: write it whole, such as {whole[0]}")
    stems = dict.fromkeys(n.partition(":")[0] for n in known)
    words = ["default", "all", *stems, *FAMILIES, *known]
    meant = suggestion(name, words) if nearest(name, words) else ""
    raise RsaError(f"no measure {name!r}{meant}; `rsa measures` lists them")


def _part(piece: str) -> bool:
    """Whether a piece between commas belongs to the name before it (`pca=3`, `debiased`)."""
    from rsa.measures import MEASURES
    from rsa.measures.base import FAMILIES

    words = {"default", "all", *FAMILIES, *(name.partition(":")[0] for name in MEASURES)}
    if piece in words or ":" in piece:
        return False
    parts = {part for name in MEASURES for part in name.partition(":")[2].split(",")}
    return "=" in piece or bool(nearest(piece, parts, 0.8))


def compare_models(
    representations: dict[str, Activations],
    measures: tuple[str, ...],
    run: Run,
    folder: Path,
    screen: Screen,
) -> dict:
    """Writes similarity/X-Y of every pair of roles; returns kind and numbers of rows and groups.

    Pairs of representations that were compared before are taken from the cache. Several processes
    compare together; the first of them writes.
    """
    from cli.known import SIMILARITY, Known, chosen, joined, missing
    from cli.processes import current
    from extract.store import align
    from extract.weights import cache_dir

    team = current()
    align(*representations.values())
    roles = list(representations)
    first = representations[roles[0]]
    known = Known(
        cache_dir(SIMILARITY),
        {"seed": run.seed, "input": representations["ref"].store.plan.digest},
    )
    pairs = [(x, y) for x, y in PAIRS if x in roles and y in roles]
    found = {(x, y): known.find(representations[x], representations[y]) for x, y in pairs}
    wanted: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for pair in pairs:
        if todo := missing(found[pair], measures):
            wanted.setdefault(todo, []).append(pair)
    # what another process finds in the cache by now may be more
    plan = team.agreed([[todo, some] for todo, some in wanted.items()])
    cure = "name fewer --measures, keep fewer layers, or use fewer clips (--limit)"
    with screen.stage("similarity", unit="measure", cure=cure) as progress:
        total, done = sum(len(todo) for todo, _ in plan), 0
        for todo, some in plan:
            for part in families(todo):  # each is kept: an interruption costs one family
                parts = _compared(representations, part, some, run, progress, done, total)
                for pair, new in parts:
                    found[pair] = joined(found[pair], new)
                    if team.first:
                        known.keep(*(representations[role] for role in pair), found[pair])
                done += len(part)
    for x, y in pairs if team.first else ():
        chosen(found[x, y], measures).write(folder / "similarity", x, y)
    return {"kind": first.rows.kind, "rows": len(first), "groups": len(set(first.groups))}


def families(measures: Sequence[str]) -> list[tuple[str, ...]]:
    """The measures, those of one family together: they share most of their work."""
    from rsa.measures import measure

    parts: dict[str, list[str]] = {}
    for name in measures:
        parts.setdefault(measure(name).family, []).append(name)
    return [tuple(part) for part in parts.values()]


def _compared(representations, measures, pairs, run, progress, done, total):
    """(pair, similarity) of some pairs of roles, computed together."""
    import rsa
    from cli.processes import current

    pairs = [tuple(pair) for pair in pairs]
    present = {role for pair in pairs for role in pair} | {"ref"}
    roles = [role for role in representations if role in present]
    names: list[str] = []

    def begin(name: str) -> None:
        progress(done + len(names), total)
        names.append(name)

    places = [(roles.index(x), roles.index(y)) for x, y in pairs]
    comparison = rsa.compare(
        *(representations[role] for role in roles), measures=measures, pairs=places,
        seed=run.seed, device=run.solver_device, rows=representations["ref"].rows.kind,
        progress=begin, confound=(roles.index("ref"), INPUT), team=current(),
    )  # fmt: skip
    return [(pair, comparison.between(i, j)) for pair, (i, j) in zip(pairs, places, strict=True)]
