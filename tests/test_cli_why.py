"""What `rsa probe` and `rsa compare` write about why a layer is good at a task."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from probe_folder import sounds

from cli.main import root
from probes.why.choice import Choice
from probes.why.conditional import Added
from probes.why.riding import Riding
from probes.why.training import Training
from probes.why.transfer import Transfer
from rsa.why.association import Association
from rsa.why.partition import Partition
from rsa.why.returning import Returning


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    return sounds(tmp_path_factory.mktemp("why") / "music", 40)


@pytest.fixture(scope="module")
def rsa(tmp_path_factory):
    """Runs a command in this process; commands share a cache."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*arguments):
        given = [str(each) for each in (*arguments, "--no-report", "--quiet", "--json")]
        done = CliRunner().invoke(root, given, env={"RSA_CACHE": str(cache)})
        assert done.exit_code == 0, done.stderr or done.exception
        return cache

    return run


def read(study, name):
    return json.loads((study / "why" / f"{name}.json").read_text())


def test_a_comparison_says_what_carries_every_task_and_what_works_on_the_other(
    rsa, music, tmp_path
):
    study = tmp_path / "study"
    rsa("compare", "--a", "vgg-mtt", "--b", "chordnet", "--untrained", "--data", music,
        "--layers-a", "pool1,pool3,pool5", "--layers-b", "conv02,conv08,heads",
        "--task", "place,hertz", "--measures", "cka", "--out", study)  # fmt: skip
    depths = {}
    for role in "ab":
        found = read(study, role)
        assert (found["role"], found["rows"]) == (role, "clips")
        assert [one["what"] for one in found["skipped"]] == ["within"]  # a clip is a group here
        probed = json.loads((study / "probes" / f"{role}.json").read_text())
        depth = depths[role] = len(probed["layers"])
        selected = {one["task"]: one["selected"] for one in probed["tasks"]}
        ridden = [Riding.from_json(one) for one in found["riding"]]
        assert {one.task: one.selected for one in ridden} == selected
        assert all(len(one.layers) == len(one.before) == depth for one in ridden)
        references = {one.name for one in ridden[0].references}
        assert "chroma" in references
        added = [Added.from_json(one) for one in found["conditional"]]
        choices = [Choice.from_json(one) for one in found["choice"]]
        assert [one.task for one in added] == [one.task for one in choices] == list(selected)
        assert found["training"] == []
        parts = Partition.from_json(found["partition"]["between"])
        assert set(parts.parts) == references and len(parts.layers) == depth
        back = found["returning"]
        assert back["input"] == "log-mel"
        assert len(Returning.from_json(back["found"]).layers) == depth
        if found["associations"] is not None:
            assert all(Association.from_json(p).x for p in found["associations"]["pairs"])
    for x, y in ("ab", "ba"):
        for one in read(study, f"{x}-{y}")["transfer"]:
            made = Transfer.from_json(one)
            assert (len(made.pairs), len(made.pairs[0])) == (depths[x], depths[y])


def test_a_probing_run_keeps_what_it_found_and_asks_about_twins(rsa, music, tmp_path, monkeypatch):
    given = ("probe", "--model", "chordnet", "--untrained", "--data", music, "--task", "place",
             "--head", "concatenation", "--no-checks", "--layers",
             "conv02,conv08,heads")  # fmt: skip
    first, again, none = (tmp_path / name for name in ("first", "again", "none"))
    cache = rsa(*given, "--out", first)
    found = read(first, "a")
    names = [option["name"] for option in found["choice"][0]["options"]]
    assert names == ["last layer", "best layer", "concatenation"]
    kept = sorted((cache / "why").iterdir())

    def fail(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr("probes.why.evidence.riding", fail)
    rsa(*given, "--out", again)
    assert (again / "why/a.json").read_bytes() == (first / "why/a.json").read_bytes()
    assert sorted((cache / "why").iterdir()) == kept
    rsa(*given, "--no-why", "--out", none)
    assert not (none / "why").exists()


def test_what_training_added_is_asked_where_there_are_twins(tmp_path):
    """From scores alone, without a trained network at hand."""
    import numpy as np

    import probes
    from probes.why.evidence import from_scores

    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 3).astype(str)
    label = np.repeat(rng.integers(2, size=40), 3)
    table = probes.Table(groups, {"place": label.astype(str)})
    task = probes.Task.from_label("place", "category")
    results = {}
    for name, strength in (("net", 3.0), ("twin", 0.0), ("ref", 0.0)):
        layers = {
            f"l{i}": rng.standard_normal((120, 5)) + strength * i * label[:, None] / 2
            for i in range(3)
        }
        results[name] = probes.run(probes.Matrices(name, layers), table, [task], resamples=300)
    scores = from_scores(results["net"], results["twin"], results["ref"])
    (gained,) = (Training.from_json(one) for one in scores.as_json()["training"])
    assert gained.learned and "l0" not in gained.learned
    (chosen,) = scores.choice
    assert chosen.recommended is not None

    folder = results["net"].write(tmp_path, "a")
    assert from_scores(probes.ProbeResults.read(folder), None, None).choice == scores.choice
    folder.with_suffix(".npz").unlink()
    bare = from_scores(probes.ProbeResults.read(folder), None, None)
    assert not bare.choice and "probe again" in bare.skipped[0].why
