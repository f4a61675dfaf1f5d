"""`rsa datasets`: what there is to run on, or one data set's labels and splits."""

from __future__ import annotations

import json

import click

from cli import options


@click.command("datasets")
@click.argument("name", required=False, metavar="[NAME|FOLDER|URL]")
@click.option("--manifest", type=options.PATH, help="CSV or JSONL of a folder.")
@options.as_json
def command(name: str | None, manifest, as_json: bool) -> None:
    """List the data sets, or show one: its labels, splits and licence."""
    from cli.screen import show_table

    if not name:
        from extract import datasets

        rows = [
            [known.form(name), ", ".join(known.subsets), known.summary]
            for name, known in datasets.REGISTRY.items()
        ]
        what = "any folder of wav, flac, mp3 or ogg files, on a storage too; labels from a CSV"
        rows.append(["FOLDER or URL", "", what])
        if as_json:
            keys = ("name", "subsets", "summary")
            click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
        else:
            show_table("Data sets", ["name", "subsets", "what it is"], rows)
        return

    from cli.record import data_card
    from cli.steps import open_data

    if not as_json:
        _show_layout(name)
    dataset, clips = open_data(name, manifest, None)
    card = data_card(dataset, clips)
    if as_json:
        click.echo(json.dumps(card, indent=1, ensure_ascii=False))
        return
    count = f"{card['clips']} clips, {card['tracks']} tracks, {card['groups']} groups"
    facts = [
        ["size", f"{count}, {card['hours']:.2f} h"],
        ["splits", ", ".join(f"{k} {v}" for k, v in card["splits"].items())],
        ["subsets", ", ".join(f"{k} {v}" for k, v in card["subsets"].items())],
        ["sources", card["sources"]],
        ["licence", card["licence"]],
        ["caveat", "; ".join(card["caveats"])],
    ]
    show_table(card["title"], ["", ""], [fact for fact in facts if fact[1]])
    labels = [[la["name"], la["kind"], la["tier"], la["unit"], la["description"]]
              for la in card["labels"]]  # fmt: skip
    if labels:
        show_table("Labels", ["label", "kind", "tier", "unit", "what it says"], labels)


def _show_layout(name: str) -> None:
    """The parts of a data set on disk, and which of them are there."""
    from cli.screen import show_table
    from extract import datasets

    home = datasets.on_disk(name)
    if home is None or not getattr(home, "needs", ()):
        return
    place = datasets.place_of(name)
    parts = [
        [need.path, need.what, "yes" if found else "no" if need.needed else "no (may be)",
         need.source]
        for need, found in home.checklist(place)
    ]  # fmt: skip
    show_table(f"What {place} should hold", ["part", "what", "there", "where to get it"], parts)
