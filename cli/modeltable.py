"""Models as tables: on a terminal of any width, as Markdown, one card, one trial."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli.screen import line_width, show_table

if TYPE_CHECKING:
    from extract.models.base import ModelCard, ModelSpec
    from extract.trial.checks import Check

WIDE = 140  # characters that one line a model needs
CAPTION = (
    "weights: here = on this machine, fetch = will be fetched, give = with --weights; "
    "rsa models NAME shows a card"
)
BORDERS = 16  # characters of the lines of a table of five columns
LEAST = 16  # characters of a column of text


def show_models(specs: Sequence[ModelSpec]) -> None:
    """All models; a few lines each where the terminal is narrow."""
    facts = [
        (*(_facts(spec.card)[:-2]), _short(spec.card.training_data), _short(spec.card.licence, ""))
        for spec in specs
    ]
    widths = None
    if line_width() >= WIDE:
        columns = ["name", "paper", "layers x width", "audio", "frames/s", "parameters",
                   "trained on", "licence", "weights"]  # fmt: skip
        rows = [[*each, _where(spec)] for each, spec in zip(facts, specs, strict=True)]
    else:
        columns = ["name\npaper", "layers\nframes/s", "size\naudio", "trained on\nlicence",
                   "weights"]  # fmt: skip
        rows = []
        for each, spec in zip(facts, specs, strict=True):
            name, paper, layers, audio, rates, size, data, licence = each
            pairs = ((name, paper), (layers, rates), (size, audio), (data, licence))
            rows.append(["\n".join(pair) for pair in pairs] + [_where(spec)])
        widths = _widths(columns, rows, line_width())
    show_table("Models", columns, rows, CAPTION, widths)
    show_families()


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], line: int) -> list[int]:
    """Of the five columns: figures on one line, names whole, the texts share what is left."""
    cells = list(zip(columns, *rows, strict=True))
    name, layers, size, _, where = (
        max(len(part) for cell in column for part in cell.split("\n")) for column in cells
    )
    left = line - BORDERS - layers - size - where
    shortest = max((len(row[0].split("\n")[0]) for row in rows), default=LEAST)
    name = min(name, max(shortest, LEAST, left // 2 - 1))
    return [name, layers, size, max(LEAST, left - name), where]


def show_families() -> None:
    """One line for each family of names, and one for the user's own."""
    from extract.models import FAMILIES

    lines = {f"{family}:...": what for family, (_, what) in FAMILIES.items()}
    lines["tune:..."] += " (rsa models tune: lists them)"
    lines["module:Attribute"] = "a model of your own (docs/own-model.md)"
    width = max(map(len, lines))
    click.echo("Families:")
    for name, what in lines.items():
        click.echo(f"  {name:{width}}  {what}")


def show_card(spec: ModelSpec) -> None:
    """Everything that the card says, and the layers."""
    card = spec.card
    where = "on this machine" if spec.present() else "not on this machine yet"
    hop = f", one every {card.hop:g} s" if card.hop and card.hop != card.window else ""
    kind = "exactly" if card.fixed else "at most"
    facts = [
        ["name", card.name],
        ["cite", card.cite],
        ["paper", card.paper],
        ["source", card.url],
        ["trained on", card.training_data],
        ["parameters", f"{card.parameters:,}"],
        ["sample rate", f"{card.sample_rate} Hz"],
        ["window", f"{kind} {card.window:.4g} s{hop}"],
        ["shortest", _shortest(card)],
        ["licence", card.licence],
        ["weights", f"{card.weights_from} ({where})"],
        ["notes", card.notes],
    ]
    show_table(card.title, ["", ""], [fact for fact in facts if fact[1]])
    layers = [
        [x.depth, x.name, x.width, _rate(x.rate), f"{x.center * 1000:.4g}"] for x in card.layers
    ]
    columns = ["depth", "layer", "width", "frames/s", "centre of frame 0 (ms)"]
    show_table("Layers", columns, layers)


def show_checks(name: str, checks: Sequence[Check]) -> None:
    """One row a check, and how many there were of each outcome."""
    outcomes = [check.outcome for check in checks]
    total = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    rows = [[check.name, check.outcome, check.detail] for check in checks]
    show_table(f"Trial of {name}", ["check", "", "found"], rows, total)


def markdown_table(specs: Sequence[ModelSpec] | None = None) -> str:
    """The models as a GitHub table; siblings that differ in name and data only share a row.

    The last column says where the weights are: in a `package` of the index, on the `hub`, or
    `yours` to give.

    Parameters
    ----------
    specs : all models of the registry if None (those of other packages not among them).
    """
    if specs is None:
        from extract import models

        specs = [models.spec(name) for name in models.REGISTRY]
    columns = ("model", "paper", "layers x width", "audio", "frames/s", "parameters",
               "trained on", "licence of the weights", "weights")  # fmt: skip
    rows: dict[tuple, list[ModelCard]] = {}
    for spec in specs:
        _, paper, layers, audio, rates, size, _, licence = _facts(spec.card)
        source = _source(spec)
        rows.setdefault((paper, layers, audio, rates, size, licence, source), []).append(spec.card)
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for (paper, layers, audio, rates, size, licence, source), cards in rows.items():
        names = ", ".join(f"`{card.name}`" for card in cards)
        data = _merged([card.training_data for card in cards])
        url = cards[0].url
        paper = f"[{paper}]({url})" if url else paper
        cells = (names, paper, layers, audio, rates, size, data, licence, source)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


def _merged(texts: Sequence[str]) -> str:
    """Texts one after the other; those that differ in one number only as one text."""
    parts = [re.split(r"(\d+)", text) for text in texts]
    if len({tuple(part[::2]) for part in parts}) == 1:
        numbers = [list(dict.fromkeys(column)) for column in zip(*parts, strict=True)]
        if sum(len(each) > 1 for each in numbers) <= 1:
            return "".join(", ".join(each) for each in numbers)
    return "; ".join(dict.fromkeys(texts))


def _facts(card: ModelCard) -> tuple[str, str, str, str, str, str, str, str]:
    return (
        card.name,
        card.cite,
        f"{len(card.layers)} x {_span([layer.width for layer in card.layers])}",
        f"{card.sample_rate / 1000:g} kHz",
        _span([layer.rate for layer in card.layers]),
        f"{card.parameters / 1e6:.3g} M",
        card.training_data,
        card.licence,
    )


def _short(text: str, end: str = "[;,] ") -> str:
    """A fact without what stands in brackets, up to its first `end`; the card has all of it."""
    plain = re.sub(r"\s*\([^)]*\)", "", text)
    return re.split(end, plain)[0] if end else plain


def _source(spec: ModelSpec) -> str:
    text = spec.card.weights_from
    if spec.given:
        return "yours"
    if text.startswith("Hugging Face"):
        return "hub"
    return "package" if "wheel" in text else "see its card"


def _span(values: Sequence[float]) -> str:
    low, high = (f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in _ends(values))
    return low if low == high else f"{low}-{high}"


def _rate(value: float) -> str:
    return f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return (min(values), max(values)) if values else (0, 0)


def _shortest(card: ModelCard) -> str:
    if card.minimum == 1:
        return "any length; padded with silence" if card.fixed else "any length"
    return f"{card.minimum} samples ({card.minimum / card.sample_rate:.2g} s)"


def _where(spec: ModelSpec) -> str:
    return "here" if spec.present() else "give" if spec.given else "fetch"
