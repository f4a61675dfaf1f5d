"""Published results held against made-up studies: verdicts, what stands in the way, the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pypdf
import pytest
from study_fixture import HOSTILE, make_study

from reports import ReportError, Study, expectations, judging, write_report
from reports.expectations import AGREES, CANNOT, DIFFERS, OPEN, Expectation, Quantity
from reports.numbers import Estimate
from reports.tables_expectations import expectations as table

A, B = "model-a", "model-b"
ON_MINI = {"step": "s", "says": "Something was found.", "source": "Doe 2020, table 1",
           "data": ("mini",)}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("expected") / "s"
    return make_study(place, geometry=False, information=False, measures=2)


@pytest.fixture(scope="module")
def study(folder):
    return Study.read(folder)


def judge(study, kind, *quantities, **more):
    expected = Expectation(kind=kind, quantities=quantities, **{**ON_MINI, **more})
    (one,) = judging.judge([expected], {"s": study})
    return one


def number(study, away, room, *, minus=False, **more):
    """Expects what was found on chord in B, shifted by `away`."""
    parts = [Quantity(B, "chord"), *([Quantity(A, "chord")] if minus else [])]
    found = study.probes["b"].tasks["chord"].best().value
    found -= study.probes["a"].tasks["chord"].best().value if minus else 0
    return judge(study, "number", *parts, values=(found + away,), tolerance=room, **more)


# rules


@pytest.mark.parametrize(
    ("away", "room", "verdict", "because"),
    [
        (0.0, 0.05, AGREES, ()),
        (0.0, 0.03, CANNOT, (judging.WIDE,)),  # the interval is 0.035 either way
        (0.05, 0.1, AGREES, ()),
        (0.09, 0.1, CANNOT, (judging.WIDE,)),
        (0.2, 0.1, DIFFERS, ()),
        (-0.2, 0.1, DIFFERS, ()),
    ],
)
def test_a_number_agrees_where_its_whole_interval_is_within_reach(
    study, away, room, verdict, because
):
    one = number(study, away, room)
    assert (one.verdict, one.because) == (verdict, because)
    assert one.estimate.bounded and "model-b, chord (" in one.found


def test_a_difference_of_two_scores_is_a_number_too(study):
    assert number(study, 0.0, 0.06, minus=True).verdict == AGREES
    assert number(study, 0.2, 0.06, minus=True).verdict == DIFFERS
    one = number(study, 0.0, 0.045, minus=True)  # two intervals make a wider one
    assert one.verdict == CANNOT and "model-b, chord" in one.found and "minus" in one.found


def test_an_ordering_agrees_where_every_step_is_above_zero(study):
    low, high = Quantity(A, "chord"), Quantity(B, "chord")
    assert judge(study, "ordering", low, high).verdict == AGREES
    assert judge(study, "ordering", high, low).verdict == DIFFERS
    assert judge(study, "ordering", low, low).because == (judging.WIDE,)
    middle = Quantity("references", "chord")
    three = judge(study, "ordering", middle, low, high)
    assert three.verdict == AGREES and "smallest step" in three.found
    assert judge(study, "ordering", low, middle, high).verdict == DIFFERS


def test_steps_of_a_long_ordering_are_held_to_more(study):
    key, low, high = next(
        (key, Quantity(B, key, layer=task.names[i]), Quantity(B, key, layer=task.names[j]))
        for key, task in study.probes["b"].tasks.items()
        for curve in [task.curve(task.headline)[:, 0]]
        for i in range(len(curve))
        for j in range(len(curve))
        if 1.02 < (curve[j] - curve[i]) / (0.035 * np.sqrt(2)) < 1.2
    )
    assert judge(study, "ordering", low, high).verdict == AGREES
    longer = (Quantity("references", "chord"), low, high, Quantity(B, "instrument"))
    assert judge(study, "ordering", *longer).rule != AGREES


def test_the_last_layer_and_other_heads_are_compared_in_pairs(study):
    task = study.probes["a"].tasks["tempo"]
    chosen, last = Quantity(A, "tempo"), Quantity(A, "tempo", layer="last")
    one = judge(study, "ordering", last, chosen)
    assert one.estimate == task.gain[task.headline]
    assert judge(study, "ordering", chosen, last).estimate.value == -one.estimate.value
    head = judge(study, "ordering", chosen, Quantity(A, "tempo", head="mlp"))
    mlp = next(h for h in study.probes["a"].heads["tempo"] if h.head == "mlp")
    assert head.estimate == mlp.over_single["test"] and head.verdict == AGREES


def test_further_metrics_and_twins_are_numbers_too(study):
    four, one = (Quantity(A, "multipitch", metric=f"F {n}") for n in (4, 1))
    found = judge(study, "ordering", four, one)
    assert found.verdict == AGREES and "multipitch by F 4" in found.found
    twin = judge(study, "ordering", Quantity(A, "instrument", twin=True), Quantity(A, "instrument"))
    assert twin.verdict == AGREES and "model-a untrained" in twin.found


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"layers": ("block04",), "within": 1}, AGREES),  # chord peaks at 0.4 of A's nine layers
        ({"layers": ("block07",), "within": 1}, DIFFERS),
        ({"part": "middle"}, AGREES),
        ({"part": "late"}, DIFFERS),
        ({"part": "early", "layers": ("block03", "block04", "final")}, OPEN),
    ],
)
def test_a_best_layer_is_held_against_the_share_of_resamples_it_wins(study, more, rule):
    one = judge(study, "best-layer", Quantity(A, "chord"), **more)
    wins = study.probes["a"].tasks["chord"].wins()
    assert one.rule == rule and 0 <= one.estimate.value <= 1 + 1e-9, one.found
    assert wins.argmax() == study.probes["a"].tasks["chord"].index
    assert "selected" in one.found


def test_the_thirds_of_the_depth_hold_every_layer_once(study):
    parts = [
        judge(study, "best-layer", Quantity(B, "chord"), part=part).estimate.value
        for part in expectations.PARTS
    ]
    assert sum(parts) == pytest.approx(study.probes["b"].tasks["chord"].wins().sum())


def test_a_curve_is_compared_by_the_ranks_of_its_layers(study):
    names = study.probes["b"].tasks["chord"].names
    peak = tuple(float(-abs(i - 0.92 * (len(names) - 1))) for i in range(len(names)))
    given = {"layers": names, "values": peak}
    one = judge(study, "curve", Quantity(B, "chord"), **given)
    assert one.verdict == AGREES and one.estimate.low > 0.7
    turned = tuple(-v for v in peak)
    assert (
        judge(study, "curve", Quantity(B, "chord"), **{**given, "values": turned}).rule == DIFFERS
    )
    assert judge(study, "curve", Quantity(B, "chord"), direction="rising").verdict == AGREES
    assert judge(study, "curve", Quantity(B, "chord"), direction="falling").verdict == DIFFERS
    flat = names[:4]  # far from the peak, nothing but noise
    assert (
        judge(study, "curve", Quantity(B, "chord"), layers=flat, direction="falling").rule != AGREES
    )


def test_similarity_to_a_reference_over_depth(study):
    like = Quantity(B, like="log-mel")
    assert judge(study, "curve", like, direction="falling").verdict == AGREES
    named = replace(like, measure="cka:linear,deb")
    assert judge(study, "curve", named, direction="rising").verdict == DIFFERS
    first, last = (replace(like, layer=name) for name in ("frontend", "last"))
    assert judge(study, "ordering", last, first).verdict == AGREES
    other = Quantity(A, layer="frontend", like="frontend", of=B)
    assert judge(study, "number", other, values=(0.7,), tolerance=0.2).verdict == AGREES


def test_a_correlation_has_an_interval_that_covers_the_true_one():
    rng = np.random.default_rng(3)
    target = np.arange(13.0)
    truth = np.sin(target / 4)
    ranks = judging._spearman(truth[None], target)[0]
    covered = 0
    for _ in range(60):
        drawn = truth + rng.normal(0, 0.1, 13)
        found = judging.correlation([Estimate(v, v - 0.196, v + 0.196) for v in drawn], target)
        assert found.low <= found.value <= found.high
        covered += found.low <= ranks <= found.high
    assert covered >= 54
    bare = judging.correlation([Estimate(v) for v in truth], target)
    assert bare.value == pytest.approx(ranks) and not bare.bounded
    assert not judging.correlation([Estimate(1.0, 1.0, 1.0)] * 13, target).exists


def test_nothing_planted_gives_hardly_any_agreement(tmp_path):
    """Orderings of layers and models that are alike: 2.5 % agree by chance, and not many more."""
    place = make_study(tmp_path / "s", planted=False, similarity=False, geometry=False,
                       information=False)  # fmt: skip
    flat = Study.read(place)
    said = [
        judge(flat, "ordering", Quantity(one, key), Quantity(other, key)).rule
        for key in flat.task_keys()
        for one, other in ((A, B), (B, A))
    ]
    assert len(said) > 30 and said.count(OPEN) >= 0.95 * len(said)


# what stands in the way


def told(one):
    (group,) = table([one]).groups
    return group[0][-1].text


def test_no_verdict_on_other_data_but_what_the_numbers_are_like(study):
    one = number(study, 0.0, 0.05, data=("gtzan", "mtt"))
    assert one.verdict == CANNOT and one.rule == AGREES
    assert one.because == ("on other data (mini; published on gtzan, mtt)",)
    assert told(one) == f"cannot be said: {one.because[0]}"  # scores of other data do not compare
    low, high = Quantity(A, "chord"), Quantity(B, "chord")
    same = judge(study, "ordering", low, high, data=("gtzan",))
    assert told(same).endswith("published on gtzan). The pattern here: the same")
    other = judge(study, "ordering", high, low, data=("gtzan",))
    assert told(other).endswith("The pattern here: another one")
    for text in (told(same), told(other)):
        assert "on other data" in text and "agrees" not in text and "differs" not in text
    assert number(study, 0.0, 0.05, data=()).because == (
        "the data of the published result is not known",
    )


def test_a_part_of_the_data_and_another_protocol_are_no_repetition(tmp_path):
    place = make_study(tmp_path / "s", similarity=False, geometry=False, information=False)
    values = json.loads((place / "study.json").read_text())
    values["settings"] |= {"limit": 40, "protocol": "marble", "models": ["one", "two"]}
    (place / "study.json").write_text(json.dumps(values))
    study = Study.read(place)
    named = judge(study, "ordering", Quantity("one", "chord"), Quantity("two", "chord"))
    assert named.rule == AGREES and named.because == ("on a part of the data",)
    one = number(study, 0.0, 0.05, protocol="jukemir")
    assert one.because[-1] == "by another protocol (marble; published by jukemir)"
    assert number(study, 0.0, 0.05, protocol="marble").because == ("on a part of the data",)


@pytest.mark.parametrize(
    ("change", "partial"),
    [
        ({}, False),
        ({"settings": {"limit": 700}}, True),
        ({"settings": {"limit": 701}}, False),  # there are 700
        ({"data": {"absent": 3}}, True),
        ({"failures": [{"clip": "c"}] * 7}, False),
        ({"failures": [{"clip": "c"}] * 8}, True),
    ],
)
def test_what_counts_as_a_part_of_the_data(study, change, partial):
    raw = {**study.raw, **{k: v for k, v in change.items() if k == "failures"}}
    for key in ("settings", "data"):
        raw[key] = {**raw[key], **change.get(key, {})}
    one = number(replace(study, raw=raw), 0.0, 0.05)
    assert one.because == (("on a part of the data",) if partial else ())


def test_untrained_weights_are_told_and_nothing_more_is(tmp_path):
    place = make_study(tmp_path / "s", stamps=("UNTRAINED WEIGHTS",), similarity=False,
                       geometry=False, information=False)  # fmt: skip
    one = number(Study.read(place), 0.0, 0.05)
    assert one.verdict == CANNOT and one.because == ("untrained weights",)
    assert told(one) == "cannot be said: untrained weights"


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (Quantity("muq", "chord"), "model muq"),
        (Quantity(A, "genre"), "genre of model-a"),
        (Quantity(A, "chord", layer="block99"), "layer block99 of model-a"),
        (Quantity(A, "chord", head="attentive"), "by the head attentive"),
        (Quantity(A, "chord", metric="OA"), "chord by OA"),
        (Quantity(A, layer="final", like="log-mel", measure="pwcca"), "pwcca between model-a"),
        (Quantity(A, layer="final", like="spectrum"), "layer spectrum"),
    ],
)
def test_what_a_study_does_not_have_is_named(study, quantity, words):
    one = judge(study, "number", quantity, values=(0.5,), tolerance=0.1)
    assert one.verdict == CANNOT and not one.rule and not one.estimate.exists
    assert one.because[0].startswith("not in this study: ") and words in one.because[0]


def test_a_step_that_was_not_run_has_no_verdict():
    expected = Expectation(
        kind="number", quantities=(Quantity(A, "key"),), values=(1.0,), **ON_MINI
    )
    (one,) = judging.judge([expected], {})
    assert one.verdict == CANNOT and one.because == ("the step was not run",)


# the file and the page


def all_kinds(study):
    return [
        number(study, 0.0, 0.05),
        number(study, 0.3, 0.05, data=("gtzan",), note="read off a plot"),
        judge(study, "ordering", Quantity(A, "chord"), Quantity(B, "chord"), values=(0.1, 0.2)),
        judge(study, "best-layer", Quantity(A, "chord"), part="middle"),
        judge(study, "curve", Quantity(B, like="log-mel"), direction="falling"),
        judge(study, "number", Quantity(A, "genre"), values=(0.5,), tolerance=0.1),
    ]


def test_the_file_says_everything_again(study, tmp_path):
    judged = all_kinds(study)
    expectations.write(tmp_path, judged, title="T", question="Q", steps={"s": "01-s"})
    assert repr(expectations.read(tmp_path)) == repr(tuple(judged))  # NaN is not equal to itself
    values = json.loads((tmp_path / "expectations.json").read_text())
    assert values["format"] == 1 and values["steps"] == {"s": "01-s"}
    verdicts_told = [row["verdict"] for row in values["expectations"]]
    assert verdicts_told == [one.verdict for one in judged] and CANNOT in verdicts_told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rule": "surely"}, "rule is none of"),
        ({"kind": "guess"}, "kind is none of"),
        ({"values": []}, "values does not hold one number"),
        ({"values": ["x"]}, "values holds something that is not a number"),
        ({"source": ""}, "source is missing"),
        ({"quantities": 3}, "quantities is missing or not a list"),
        ({"rule": ""}, "because is empty"),
    ],
)
def test_a_damaged_file_is_one_line(study, tmp_path, change, words):
    path = expectations.write(tmp_path, [number(study, 0.0, 0.05)], title="", question="", steps={})
    values = json.loads(path.read_text())
    values["expectations"][0] |= change
    path.write_text(json.dumps(values))
    with pytest.raises(ReportError) as caught:
        expectations.read(tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_report_prints_the_comparison_whatever_stands_in_it(study, tmp_path):
    place = make_study(tmp_path / "s", layers={"a": 9, "b": 14}, similarity=False, geometry=False,
                       information=False, trust=False, heads=False, tasks=2)  # fmt: skip
    judged = all_kinds(study)
    soiled = replace(judged[0].expectation, says=HOSTILE, source=HOSTILE, note=HOSTILE)
    judged.append(replace(judged[0], expectation=soiled, found=HOSTILE))
    expectations.write(place, judged, title="T", question="Q", steps={"s": "."})
    pages = [page.extract_text() for page in pypdf.PdfReader(write_report(place)).pages]
    text = " ".join("\n".join(pages).split())
    assert text.count("What was published?") == 2  # contents, and the section
    assert "published 0.1, 0.2" in text and "read off a plot" in text
    for word in (AGREES, "cannot be said: on other data", "not in this study"):
        assert word in text
