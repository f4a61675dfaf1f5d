"""Findings recover what was planted and claim nothing where nothing is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from study_fixture import TASKS, make_study

from reports import Study
from reports.findings import GRADES, KINDS, STRONG, SUGGESTIVE, UNSUPPORTED, find, first_page, grade
from reports.numbers import MINUS, Estimate, digits, with_interval


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study.read(make_study(tmp_path_factory.mktemp("planted") / "s"))


@pytest.fixture(scope="module")
def found(study):
    return find(study)


def one(found, kind, **numbers):
    hits = [f for f in found if f.kind == kind and numbers.items() <= f.numbers.items()]
    assert len(hits) == 1
    return hits[0]


def test_planted_advantages(found):
    chord = one(found, "advantage", task="chord")
    assert (chord.grade, chord.numbers["better"]) == (STRONG, "b")
    assert chord.estimate.value == pytest.approx(0.48, abs=0.03)
    assert "Chord can be read better from model-b" in chord.claim
    instrument = one(found, "advantage", task="instrument")
    assert (instrument.grade, instrument.numbers["better"]) == (STRONG, "a")


def test_planted_peaks(found):
    chord = one(found, "peak", task="chord", role="b")
    assert chord.grade == STRONG
    assert chord.numbers["depth"] > 0.8
    assert "is read best late in model-b: validation picks block12 (" in chord.claim
    instrument = one(found, "peak", task="instrument", role="a")
    assert instrument.numbers["depth"] < 0.25
    assert "early" in instrument.claim


def test_planted_structure(found):
    assert one(found, "match").grade == STRONG
    step = one(found, "novelty", role="a")
    assert (step.numbers["from"], step.numbers["to"]) == ("block04", "block05")
    assert one(found, "resemblance", role="b", reference="chroma").claim.startswith(
        "Resemblance to chroma grows towards the output in model-b"
    )
    assert one(found, "baseline", task="chord").claim.startswith("Chord needs the network")


def test_numbers_in_the_sentence_are_those_of_the_finding(found):
    for finding in found:
        assert str(digits(finding.estimate)) in "0123"
        if finding.kind == "advantage":
            assert with_interval(finding.estimate, sign=True) in finding.claim
        if finding.kind in ("peak", "match", "novelty"):
            assert with_interval(finding.estimate) in finding.claim


def test_nothing_is_claimed_of_nothing(tmp_path):
    for seed in range(4):
        study = Study.read(make_study(tmp_path / str(seed), planted=False, seed=seed))
        found = find(study)
        assert len(found) > 50
        assert {f.grade for f in found} == {UNSUPPORTED}
        for finding in first_page(found):
            assert finding.grade == UNSUPPORTED
            words = ("no ", "nothing", "No ")
            assert any(w in finding.claim for w in words), finding.claim


def test_first_page_is_varied_and_ordered(found):
    shown = first_page(found)
    assert len(shown) == 5
    kinds = [f.kind for f in shown]
    assert max(map(kinds.count, kinds)) <= 2
    assert [GRADES.index(f.grade) for f in shown] == sorted(GRADES.index(f.grade) for f in shown)
    # those that need the folder why/ are in test_reports_why.py
    causes = {
        "riding", "training", "choice", "transfer", "new", "lost", "partition", "returning",
        "association",
    }  # fmt: skip
    assert {f.kind for f in found} == set(KINDS) - causes


def test_same_study_same_words(study, found):
    assert find(study) == found


def test_grades():
    sure, unsure, none = Estimate(0.3, 0.2, 0.4), Estimate(0.3, 0.01, 0.6), Estimate(0.3, -0.1, 0.7)
    assert grade(sure, 0.0, 10) == STRONG
    assert grade(sure, 0.0, 10, also=False) == SUGGESTIVE
    assert grade(unsure, 0.0, 10) == SUGGESTIVE
    assert grade(unsure, 0.0, 1) == STRONG
    assert grade(none, 0.0, 1) == UNSUPPORTED
    assert grade(Estimate(0.9), 0.0, 1) == UNSUPPORTED
    assert grade(sure, float("nan"), 1) == UNSUPPORTED


def test_family_wise_error_of_strong_is_below_five_per_cent():
    """The largest of 20 nulls is called strong in at most about 5 % of draws."""
    rng = np.random.default_rng(0)
    draws = 0.1 * rng.standard_normal((4000, 20))
    best = draws.max(axis=1)
    calls = [grade(Estimate(v, v - 0.196, v + 0.196), 0.0, 20) == STRONG for v in best]
    assert np.mean(calls) < 0.04
    plain = [grade(Estimate(v, v - 0.196, v + 0.196), 0.0, 1) == STRONG for v in best]
    assert np.mean(plain) > 0.2


def test_a_reference_that_beats_every_layer_is_said(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 5}, similarity=False)
    file = folder / "probes" / "ref.json"
    table = json.loads(file.read_text())
    for layer in table["tasks"][0]["layers"]:
        layer["splits"]["test_inst"] = {"value": 0.97, "low": 0.95, "high": 0.99}
    file.write_text(json.dumps(table))
    finding = one(find(Study.read(folder)), "baseline", task=next(iter(TASKS)))
    assert "is read better without a network" in finding.claim
    assert finding.grade == STRONG


def test_negative_information_above_negative_chance_is_no_finding(tmp_path):
    folder = make_study(tmp_path / "s", layers={"a": 4, "b": 4}, probes=False)
    file = folder / "similarity" / "a-b.json"
    table = json.loads(file.read_text())
    bits = table["measures"][-1]
    numbers = {"value": 1.0, "low": -13.0, "high": 15.0, "chance_high": -15.0, "p": 0.01}
    for key, level in numbers.items():
        bits[key] = [[level] * 4] * 4
    file.write_text(json.dumps(table))
    finding = one(find(Study.read(folder)), "information")
    assert (finding.grade, finding.null) == (UNSUPPORTED, 0.0)


def test_a_match_needs_a_small_p_and_other_families(tmp_path):
    def change(folder, edit):
        file = folder / "similarity" / "a-b.json"
        table = json.loads(file.read_text())
        for measure in table["measures"]:
            edit(measure)
        file.write_text(json.dumps(table))
        return one(find(Study.read(folder)), "match")

    def doubtful(measure):
        measure["p"] = [[0.06] * len(row) for row in measure["p"]]

    folder = make_study(tmp_path / "s", layers={"a": 4, "b": 4}, probes=False, measures=20)
    found = one(find(Study.read(folder)), "match")
    assert found.grade == STRONG
    assert "% of resamples" in found.claim
    alone = change(folder, lambda m: doubtful(m) if m["family"] == "relations" else None)
    assert alone.grade == SUGGESTIVE
    none = change(folder, lambda m: doubtful(m) if m["family"] == "cka" else None)
    assert none.grade == UNSUPPORTED
    assert none.claim.startswith("No layer of")


def test_digits_follow_the_interval():
    assert with_interval(Estimate(0.71234, 0.68, 0.74)) == "0.71 [0.68, 0.74]"
    assert with_interval(Estimate(0.71234, 0.7113, 0.7133)) == "0.712 [0.711, 0.713]"
    assert with_interval(Estimate(12.3456, 9.1, 15.9), "bits") == "12\N{NO-BREAK SPACE}bits [9, 16]"
    assert with_interval(Estimate(-0.2, -0.3, -0.1)) == "-0.20 [-0.30, -0.10]".replace("-", MINUS)
    assert with_interval(Estimate(float("nan"))) == "\N{EN DASH}"
    wide = Estimate(-0.17, -6.7, 1.0)
    assert with_interval(wide) == "-0.17 [-7, 1]".replace("-", MINUS)
    assert digits(wide) == 2
    assert wide.clipped(1.0) == Estimate(-0.17, -1.0, 1.0) and wide.clipped(float("nan")) == wide
    assert with_interval(Estimate(-0.0001, -0.01, 0.01)).startswith("0.00")
