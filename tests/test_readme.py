"""README's table of models is the registry's."""

from pathlib import Path

from cli.modeltable import markdown_table
from extract import models

README = Path(__file__).resolve().parent.parent / "README.md"
START, END = "<!-- models: rsa models --markdown -->", "<!-- end of models -->"


def test_the_table_is_the_one_that_the_registry_makes():
    shown = README.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    assert shown.strip() == markdown_table().strip(), "run: rsa models --markdown"


def test_every_model_stands_in_it():
    table = markdown_table()
    assert all(f"`{name}`" in table for name in models.REGISTRY)
