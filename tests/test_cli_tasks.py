"""`rsa tasks`: every task with its data, what is on this machine, and the page of the docs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from field_audio import sound
from probe_folder import sounds

from cli.main import root
from cli.nearest import SLIP, nearest
from cli.taskpage import task_page
from extract import datasets
from probes import TASKS, ProbeError, resolve
from probes.tasks import ALIASES

PAGE = Path(__file__).parent.parent / "docs" / "tasks.md"


def run(*arguments, **environment):
    return CliRunner().invoke(root, ["tasks", *map(str, arguments)], env=environment)


def found(*arguments, **environment):
    done = run(*arguments, "--json", **environment)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


@pytest.fixture(scope="module")
def cards():
    return {card["task"]: card for card in found()}


def test_the_page_is_the_one_that_the_registry_makes():
    assert PAGE.read_text(encoding="utf-8") == task_page(), "run: rsa tasks --markdown"


def test_every_task_says_what_it_asks_and_how_it_is_scored(cards):
    assert set(cards) == set(TASKS)
    for name, card in cards.items():
        assert card["family"] and card["says"] and card["labels"], name
        assert set(card["definitions"]) == {card["metric"], *card["also"]}, name
        for said in card["definitions"].values():
            assert said["what"] and said["source"] and said["chance"], name


def test_data_sets_carry_the_labels_that_they_say_they_have(cards):
    for name, known in datasets.REGISTRY.items():
        labels = {card.name for card in known.load().labels}
        for task, card in cards.items():
            carried = name in {data["name"] for data in card["data"]}
            assert not carried or set(card["labels"]) & labels, (name, task)
    tiers = {data["name"]: data["tier"] for data in cards["key"]["data"]}
    assert tiers["mini"] == "silver" and tiers["giantsteps-key"] == "gold"
    assert all(data["licence"] for card in cards.values() for data in card["data"])


def test_data_below_the_users_folder_is_found(tmp_path):
    def here(**environment):
        (card,) = [card for card in found(**environment) if card["task"] == "genre"]
        return {data["name"] for data in card["data"] if data["here"]}

    assert not here(RSA_DATA="")
    (tmp_path / "gtzan").mkdir()
    assert not here(RSA_DATA=str(tmp_path))
    sound(tmp_path / "gtzan" / "genres" / "blues" / "blues.00029.wav", 1.0)
    assert here(RSA_DATA=str(tmp_path)) == {"gtzan"}
    assert "gtzan*" in run(RSA_DATA=str(tmp_path), COLUMNS="160").output


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_keeps_within_the_line(width):
    lines = run(COLUMNS=str(width)).output.splitlines()
    assert max(map(len, lines)) <= width
    shown = {line.split()[1] for line in lines if line.startswith("│ ")}
    assert set(TASKS) <= shown


def test_no_word_of_a_narrow_table_is_broken():
    tasks = run(COLUMNS="80").output.partition("Their data")[0]
    words = {word for line in tasks.splitlines() for word in line.replace("│", " ").split()}
    for task in TASKS.values():
        assert {task.name, task.family, task.rows, *task.metric.split()} <= words, task.name
    for name in ("giantsteps-tempo,", "medleydb-melody,", "medley-solos-db,"):
        assert name in words


def test_a_card_has_definition_chance_data_and_published_numbers():
    out = " ".join(run("genre", COLUMNS="140").output.split())
    for part in (
        "balanced accuracy", "Brodersen", "by chance: one over the number of classes",
        "Published, not measured here", "MARBLE", "gtzan", "excerpts of commercial recordings",
    ):  # fmt: skip
        assert part in out, part
    assert "Published" not in run("octave").output


def test_another_name_and_a_slip(cards):
    assert found("bpm") == cards["tempo"]
    assert "bpm" in ALIASES
    wrong = run("tempi")
    assert wrong.exit_code == 2 and "did you mean tempo?" in wrong.output
    wrong = run("octave", "--data", "gtzan")
    assert wrong.exit_code == 2 and "no task 'octave' on gtzan" in wrong.output
    assert "`rsa tasks --data gtzan` lists them" in wrong.output


def test_letters_in_another_order_are_near():
    assert nearest("kye", ["key", "era", "tempo"], SLIP) == ["key"]


@pytest.mark.parametrize("far", ["zebra", "harmonica", "xyz"])
def test_nothing_far_is_suggested(far):
    wrong = run(far)
    assert wrong.exit_code == 2 and f"no task '{far}'; `rsa tasks` lists them" in wrong.output
    with pytest.raises(ProbeError, match="known are"):
        resolve([far], [])


def test_tasks_of_a_data_set_are_known_without_opening_it():
    assert {"genre", "tempo"} <= {card["task"] for card in found("--data", "gtzan")}
    (data,) = found("genre", "--data", "gtzan", RSA_DATA="")["data"]
    assert data["name"] == "gtzan" and not data["here"]


def test_tasks_of_a_folder_are_its_labels(tmp_path):
    folder = sounds(tmp_path / "music", clips=4)
    cards = {card["task"]: card for card in found("--data", folder)}
    kinds = {name: card["kind"] for name, card in cards.items()}
    assert kinds == {
        "place": "classification", "hertz": "regression", "moods": "tags", "digit": "regression",
        "some": "classification",
    }  # fmt: skip
    assert all(card["data"][0]["here"] for card in cards.values())
    (folder / "manifest.csv").unlink()
    assert "no labels" in run("--data", folder).output


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (("--data", "gtzam"), "did you mean gtzan?"),
        (("--markdown", "key"), "drop NAME"),
        (("--manifest", "m.csv"), "--manifest goes with --data"),
    ],
)
def test_wrong_usage_is_one_line(arguments, hint):
    done = run(*arguments)
    assert done.exit_code == 2 and hint in done.output


def test_markdown_is_the_page():
    assert run("--markdown").output == PAGE.read_text(encoding="utf-8")
