"""Planted truths come out as findings, and nothing comes out where nothing was planted.

The sizes of the errors are in docs/method.md, "How often the rules err".
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from planted_study import LAYERS, Plant, claims, simulate, supported

from reports.findings import STRONG, SUGGESTIVE, UNSUPPORTED, find

ROWS = {"groups": 240, "rows": 4, "draws": 39, "resamples": 300}
STUDIES, AT_MOST = 200, 0.05
KEY = Plant("key", "chroma", (0, 0, 0, 0.7, 1.0, 0.7, 0.5, 0))
TIMBRE = Plant("brightness", "mfcc", (0, 0, 0.8, 0.5, 0.5, 0.4, 0.4, 0), number=True)
# the concept is that of mfcc; chroma goes along with it
DECOY = Plant("key", "mfcc", (0, 0, 0, 0.7, 1.0, 0.7, 0.5, 0), decoys={"chroma": 0.6})


def of(findings, kind, **numbers):
    """Findings of a kind whose numbers are these."""
    return [
        f for f in findings
        if f.kind == kind and all(f.numbers.get(name) == v for name, v in numbers.items())
    ]  # fmt: skip


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("key"), 31, [KEY], {"genre": False}, **ROWS)


@pytest.fixture(scope="module")
def timbre(tmp_path_factory):
    """Loudness of attacks is in every layer of model and twin, and in no task."""
    folder = tmp_path_factory.mktemp("timbre")
    return simulate(folder, 32, [TIMBRE], {"genre": False}, heard=["onset"], **ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("name, plant, also", [("key", KEY, ()), ("timbre", TIMBRE, ("onset",))])
def test_a_planted_concept_is_found_where_it_is_and_attributed(name, plant, also, request):
    study = request.getfixturevalue(name)
    found = supported(study)
    task, concept, there = plant.task, plant.concept, plant.layers
    enters, last = there[0], LAYERS[-1]
    assert study.probed(task)["a"].selected in there
    (rides,) = of(found, "riding", task=task)
    assert rides.numbers["reference"] == concept
    assert not any(f" {other} " in rides.claim for other in {"chroma", "mfcc", "onset"} - {concept})
    (new,) = of(found, "new", task=task)
    assert (new.grade, new.numbers["first"], new.numbers["layer"]) == (STRONG, enters, enters)
    (lost,) = of(found, "lost", task=task)
    assert lost.grade == STRONG and LAYERS.index(lost.numbers["layer"]) > LAYERS.index(enters)
    (trained,) = of(found, "training", task=task)
    assert trained.numbers["layer"] in there
    (take,) = of(found, "choice", task=task)
    assert take.grade == STRONG and "not the last layer" in take.claim and last not in there
    (peak,) = of(find(study), "peak", task=task)
    assert peak.numbers["layer"] in there
    like = of(found, "resemblance", reference=concept)
    assert [f.numbers["layer"] in there for f in like] == [True]
    parts = study.why["a"].between.parts
    for at, layer in enumerate(LAYERS):
        if plant.strength[at] >= 0.7 or not plant.strength[at]:  # between, it may be missed
            assert parts[concept][at].unique.above == (plant.strength[at] > 0), layer
        for other in set(parts) - {concept, *also}:
            assert not parts[other][at].unique.above, (other, layer)


@pytest.mark.slow
@pytest.mark.parametrize("name, plant, also", [("key", KEY, ()), ("timbre", TIMBRE, ("onset",))])
def test_nothing_is_strongly_claimed_of_what_is_not_in_the_study(name, plant, also, request):
    for finding in supported(request.getfixturevalue(name), strong=True):
        assert finding.numbers.get("task", plant.task) == plant.task, finding.claim
        reference = finding.numbers.get("reference", plant.concept)
        assert reference in (plant.concept, *also), finding.claim


@pytest.mark.slow
def test_of_two_references_that_go_together_the_one_that_costs_most_is_named(tmp_path):
    study = simulate(tmp_path, 33, [DECOY], **ROWS)
    (rides,) = of(supported(study), "riding", task="key")
    assert rides.numbers["reference"] == "mfcc"
    named = rides.claim.partition(" at ")[0]
    assert ("chroma" not in named) or rides.grade != STRONG


def test_what_the_large_run_leaves_out_makes_no_finding(tmp_path):
    """Causes of tasks that no layer is shown to read change no sentence."""
    options = {"groups": 40, "rows": 3, "draws": 19, "resamples": 300}
    made = [
        simulate(tmp_path / str(lazy), 1, (), {"key": False}, lazy=lazy, **options)
        for lazy in (False, True)
    ]
    told = [[(f.kind, f.claim) for f in find(study) if f.kind != "choice"] for study in made]
    assert told[0] == told[1]
    assert made[0].why["a"].riding and not made[1].why["a"].riding


def test_nothing_is_found_where_nothing_was_planted():
    found = [one for seed in range(2) for one in claims(seed)]
    assert len(found) > 40
    assert {grade for _, grade, _ in found} == {UNSUPPORTED}


@pytest.mark.slow
def test_strong_findings_are_false_in_at_most_five_of_a_hundred_studies(capsys):
    """Every kind counts: layers drift evenly, so that even of them there is nothing to say."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        studies = list(pool.map(claims, range(STUDIES)))
    grades = [{grade for _, grade, _ in some} for some in studies]
    kinds = Counter((kind, grade) for some in studies for kind, grade, _ in some)
    shares = {g: sum(g in some for some in grades) / STUDIES for g in (STRONG, SUGGESTIVE)}
    with capsys.disabled():
        print(f"\nshare of {STUDIES} studies with a false finding: {shares}")
        for kind in sorted({kind for kind, _ in kinds}):
            counts = [kinds[kind, grade] for grade in (STRONG, SUGGESTIVE, UNSUPPORTED)]
            print(f"{kind:12} strong {counts[0]}, suggestive {counts[1]}, of {sum(counts)}")
    assert shares[STRONG] <= AT_MOST
