"""Why there: what the report reads, says and grades, against planted evidence."""

from __future__ import annotations

import json
import math

import pytest
from study_fixture import make_study
from why_fixture import NOTHING, RIDES, make_why

from probes.why.conditional import Added
from probes.why.riding import Riding
from probes.why.training import Training
from reports import ReportError, Study, style
from reports.document import drawers
from reports.figures import depth, overview, resemblance, riding, why
from reports.findings import find, first_page
from reports.grades import KINDS, STRONG, SUGGESTIVE, UNSUPPORTED, grade_corrected
from reports.plates import planned
from reports.tables import reservations, small_samples
from reports.tables_choice import advice
from reports.verdicts import verdict
from rsa.why.association import Association
from rsa.why.returning import Returning

LAYERS = {"a": 13, "b": 13}
OF_WHY = {
    "riding", "training", "choice", "transfer", "new", "lost", "partition", "returning",
    "association",
}  # fmt: skip


def planted(folder, **options):
    few = options.pop("tasks", 12)
    layers = options.pop("layers", LAYERS)
    make_study(
        folder, layers=layers, tasks=few, planted=options.get("planted", True), measures=1,
        geometry=False, information=False, trust=False, heads=False,
    )  # fmt: skip
    return make_why(folder, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("why") / "s")


@pytest.fixture(scope="module")
def study(folder):
    return Study.read(folder)


@pytest.fixture(scope="module")
def found(study):
    return find(study)


def some(found, kind, **numbers):
    return [f for f in found if f.kind == kind and numbers.items() <= f.numbers.items()]


def changed(folder, name, change):
    """Rewrites a file of why/; `change` alters what it holds."""
    path = folder / "why" / name
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")
    return Study.read(folder)


def test_what_is_read_says_what_the_records_say(folder, study):
    """Rules that are made again here agree with those of the programs that wrote the files."""
    for role in ("a", "b"):
        values = json.loads((folder / "why" / f"{role}.json").read_text(encoding="utf-8"))
        mine = study.why[role]
        for entry in values["riding"]:
            real, one = Riding.from_json(entry), mine.riding[entry["task"]]
            assert {r.name for r in one.on} == set(real.on)
            for reference in one.references:
                here = real[reference.name].selected
                assert (reference.needed, reference.rides) == (here.needed, here.rides)
                assert one.drop(reference).value == pytest.approx(
                    real.erased(reference.name, real.selected).drop.value
                )
        for entry in values["training"]:
            real = Training.from_json(entry)
            gains = mine.training[entry["task"]].gains
            assert tuple(g.layer for g in gains if g.learned) == real.learned
        for entry in values["conditional"]:
            real, one = Added.from_json(entry), mine.added[entry["task"]]
            assert one.new == real.new
            course = real.course
            assert (one.first, one.full, one.lost) == tuple(
                name or "" for name in (course.first, course.full, course.lost)
            )
            assert one.end.value == course.end.value
        pairs = [Association.from_json(e) for e in values["associations"]["pairs"]]
        assert [p.claimed for p in mine.associations.pairs] == [p.claimed for p in pairs]
        real = Returning.from_json(values["returning"]["found"])
        turn = mine.returning.turn
        assert (None if turn is None else mine.returning.layers[turn]) == real.turn
    assert set(study.transfer) == {("a", "b"), ("b", "a")}


def test_every_kind_is_found(found):
    assert OF_WHY <= {f.kind for f in found} <= set(KINDS)
    assert not some(found, "gain"), "what to take says it"


@pytest.mark.parametrize(("role", "task"), sorted(RIDES))
def test_planted_riding(found, role, task):
    reference, drop, special = RIDES[role, task]
    one, rest = some(found, "riding", role=role, task=task)
    assert one.grade == (STRONG if special else SUGGESTIVE)
    assert (one.numbers["reference"], one.numbers["drop"]) == (reference, pytest.approx(drop))
    verb = "rides on" if special else "loses most without"
    assert f" {verb} {reference} at" in one.claim
    assert ("and more than random directions" in one.claim) == special
    assert ("but not shown to be more than random directions" in one.claim) != special
    assert rest.grade == UNSUPPORTED and "is not shown to ride on" in rest.claim
    named = rest.claim.partition(" at ")[0].partition("ride on")[2]
    assert reference not in named and "tempogram" in named


def test_nothing_is_asked_where_nothing_is_above_chance(study, found):
    for role, task in NOTHING:
        assert not some(found, "riding", role=role, task=task)
        assert not some(found, "training", role=role, task=task)
        assert not some(found, "choice", role=role, task=task)
    (one,) = some(found, "choice", role="a", tasks="octave, density")
    assert one.grade == UNSUPPORTED
    assert one.claim.startswith("No layer of model-a is one to take for Octave and Note density:")
    told = why.unexplained(study)
    assert told[0].startswith("model-a: Octave and Note density: the selected layer is not shown")
    assert "density" not in why.explained(study)


def test_first_page_offers_reasons(found):
    kinds = [f.kind for f in first_page(found)]
    assert {"riding", "training"} <= set(kinds)


def test_no_reason_is_found_where_there_is_none(tmp_path):
    found = [f for f in find(Study.read(planted(tmp_path / "s", planted=False)))]
    causes = [f for f in found if f.kind in OF_WHY]
    assert {f.kind for f in causes} >= {"choice", "partition", "returning", "association"}
    assert {f.grade for f in causes} == {UNSUPPORTED}
    for one in causes:
        assert any(w in one.claim for w in ("not shown", "no layer", "No ")), one.claim


def test_few_groups_are_never_strong(tmp_path):
    found = find(Study.read(planted(tmp_path / "s", groups=6, tasks=2)))
    for kind in ("riding", "training", "choice", "transfer", "new", "lost"):
        assert STRONG not in {f.grade for f in some(found, kind)}, kind
    assert some(found, "riding", task="instrument", role="a")[0].grade == SUGGESTIVE


def test_strong_is_corrected_for_tasks():
    assert grade_corrected(0.004, 12) == STRONG
    assert grade_corrected(0.005, 12) == SUGGESTIVE
    assert grade_corrected(0.004, 12, also=False) == SUGGESTIVE
    assert grade_corrected(0.06, 1) == UNSUPPORTED
    assert grade_corrected(math.nan, 1) == UNSUPPORTED


def test_a_reference_that_costs_less_than_another_is_not_named(tmp_path):
    folder = planted(tmp_path / "s", tasks=1)

    def both_ride(values):
        references = values["riding"][0]["references"]
        mfcc, chroma = references[1], references[2]
        chroma["selected"]["above"] = mfcc["selected"]["above"]

    study = changed(folder, "a.json", both_ride)
    assert [one.name for one in study.why["a"].riding["instrument"].on] == ["mfcc"]

    def tie(values):
        both_ride(values)
        values["riding"][0]["references"][2]["selected"]["over"]["mfcc"]["p"] = 0.3

    study = changed(folder, "a.json", tie)
    assert [one.name for one in study.why["a"].riding["instrument"].on] == ["mfcc", "chroma"]
    one = some(find(study), "riding", role="a")[0]
    assert "rides on mfcc and chroma at" in one.claim and "erasing each costs" in one.claim


def test_numbers_that_do_not_exist(tmp_path):
    folder = planted(tmp_path / "s", tasks=2)

    def empty(values):
        gone = {"value": None, "low": None, "high": None, "p": None}
        for one in values["riding"]:
            for reference in one["references"]:
                for control in reference["selected"]["above"]:
                    reference["selected"]["above"][control] = gone
                for layer in reference["layers"]:
                    layer["drop"] = layer["controls"]["random"] = None
        for one in values["training"]:
            for gain in one["gains"]:
                gain["twin"], gain["reference"] = gone, None
        for one in values["conditional"]:
            one["adds"] = [gone] * len(one["adds"])

    study = changed(folder, "a.json", empty)
    found = find(study)
    assert {f.grade for f in some(found, "riding", role="a")} == {UNSUPPORTED}
    assert not some(found, "training", role="a")
    assert {f.grade for f in some(found, "new", role="a")} == {UNSUPPORTED}
    with style.look():
        for drawing in (*riding.riding(study), *why.why(study), *depth.new(study)):
            style.save(drawing.figure, tmp_path / "one.pdf")


def test_missing_blocks_leave_their_part_out(tmp_path):
    folder = planted(tmp_path / "s", tasks=2)
    for name in ("a.json", "b.json"):
        path = folder / "why" / name
        head = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({k: head[k] for k in ("format", "role", "model")}))
    for pair in folder.glob("why/*-*.json"):
        pair.unlink()
    study = Study.read(folder)
    assert study.why["a"].riding == {} and study.transfer == {}
    assert not [f for f in find(study) if f.kind in OF_WHY]
    assert some(find(study), "gain"), "without choices the gains are told as before"
    assert riding.riding(study) == why.why(study) == depth.partition(study) == depth.new(study)
    assert why.why(study) == [] and advice(study) is None


BROKEN = {
    "cut": lambda text, values: text[: len(text) // 2],
    "a list": lambda text, values: json.dumps([values]),
    "format": lambda text, values: json.dumps({**values, "format": 99}),
    "no role": lambda text, values: json.dumps({**values, "role": None}),
    "riding a word": lambda text, values: json.dumps({**values, "riding": "all"}),
    "layer unknown": lambda text, values: text.replace(
        f'"selected": "{values["riding"][0]["selected"]}"', '"selected": "block99"'
    ),
    "fewer numbers": lambda text, values: _with(values, "riding", "before", [None]),
    "null numbers": lambda text, values: _with(values, "riding", "before", [None] * 13),
    "p of 7": lambda text, values: text.replace('"p": 0.0002', '"p": 7'),
    "text as number": lambda text, values: text.replace('"p": 0.0002', '"p": "small"'),
    "gains": lambda text, values: _with(values, "training", "gains", 3),
    "options": lambda text, values: _with(values, "choice", "recommended", "two layers"),
    "adds": lambda text, values: _with(values, "conditional", "adds", []),
    "whole": lambda text, values: text.replace('"whole": [[', '"whole": [3, ['),
    "back": lambda text, values: text.replace('"back": [{', '"back": [{}, {'),
    "deep": lambda text, values: "[" * 100_000,
    "not text": lambda text, values: "\udcff",
}


def _with(values, block, key, value):
    values[block][0][key] = value
    return json.dumps(values)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_in_one_line(folder, tmp_path, name):
    text = (folder / "why" / "a.json").read_text(encoding="utf-8")
    (tmp_path / "why").mkdir()
    (tmp_path / "study.json").write_bytes((folder / "study.json").read_bytes())
    broken = BROKEN[name](text, json.loads(text))
    assert broken != text
    (tmp_path / "why" / "a.json").write_bytes(broken.encode("utf-8", "surrogateescape"))
    with pytest.raises(ReportError) as error:
        Study.read(tmp_path)
    message = str(error.value)
    assert "why/a.json" in message and "\n" not in message and len(message) < 500


@pytest.mark.parametrize("change", [{"pairs": 3}, {"pairs": [[]]}, {"layers_a": None}])
def test_a_broken_transfer_is_named(folder, tmp_path, change):
    values = json.loads((folder / "why" / "a-b.json").read_text(encoding="utf-8"))
    values["transfer"][0] |= change
    (tmp_path / "why").mkdir()
    (tmp_path / "study.json").write_bytes((folder / "study.json").read_bytes())
    (tmp_path / "why" / "a-b.json").write_text(json.dumps(values))
    with pytest.raises(ReportError, match=r"why/a-b\.json: transfer\[0\]"):
        Study.read(tmp_path)


def test_training_and_depth(found):
    (one,) = some(found, "training", role="b", task="chord")
    assert one.grade == STRONG and "over the same layer untrained and" in one.claim
    assert "over mfcc" in one.claim
    (new,) = some(found, "new", role="b", task="chord")
    assert new.grade == STRONG and "is all there at block" in new.claim
    (lost,) = some(found, "lost", role="a", task="instrument")
    assert lost.grade == STRONG and "bits less than" in lost.claim
    both = some(found, "partition", role="b")
    assert [f.numbers["reference"] for f in both] == ["chroma", "chroma"]
    assert {f.numbers["rows"] for f in both} == {"all", "within"}
    returns = {f.numbers["role"]: f for f in some(found, "returning")}
    assert returns["a"].grade == UNSUPPORTED
    assert returns["b"].grade == STRONG and "returns towards its input" in returns["b"].claim


def test_training_that_the_references_reach(tmp_path):
    folder = planted(tmp_path / "s", tasks=1)

    def reached(values):
        for gain in values["training"][0]["gains"]:
            gain["reference"] = {"value": 0.01, "low": -0.1, "high": 0.1, "p": 0.9}

    study = changed(folder, "a.json", reached)
    (one,) = some(find(study), "training", role="a")
    assert one.grade == SUGGESTIVE and "Training raised Instrument family in model-a" in one.claim
    assert "that it is above mfcc, no network, is not shown" in one.claim
    assert "not above the best reference" in verdict(study, "instrument")


def test_association_only_where_it_is_claimed(tmp_path, found):
    for role in "ab":
        (one,) = some(found, "association", role=role)
        assert one.grade == UNSUPPORTED and "72 pairs were asked" in one.claim
    told = find(Study.read(planted(tmp_path / "s", tasks=2, associated=True)))
    claimed = some(told, "association")
    assert {f.grade for f in claimed} == {SUGGESTIVE} and len(claimed) == 2
    assert "Instrument family follows the similarity to mfcc" in claimed[0].claim


def test_transfer(found):
    (one,) = some(found, "transfer", role="a", task="register")
    assert one.grade == STRONG and "through a linear map and keeps" in one.claim
    assert one.numbers["match"].startswith("block")


def moved(values, lead, kept):
    """One task whose own scores lie `lead` above chance, and shares `kept` of it on the other."""
    for one in values["transfer"]:
        one["scores_a"] = [one["chance"] + lead] * len(one["layers_a"])
        one["scores_a"] = [{"value": v, "low": v, "high": v} for v in one["scores_a"]]
        for pair in (pair for row in one["pairs"] for pair in row):
            pair["kept"] = kept


@pytest.mark.parametrize(("lead", "width", "told"), [
    (0.5, 0.3, True), (0.5, 1.1, False), (0.02, 0.3, False),
])  # fmt: skip
def test_no_share_of_a_lead_that_is_too_small(tmp_path, lead, width, told):
    """1.30 of a lead of 0.02 says that both are small, and no more than that."""
    folder = planted(tmp_path / "s", tasks=1)
    kept = {"value": 1.3, "low": 1.3 - width / 2, "high": 1.3 + width / 2}
    study = changed(folder, "a-b.json", lambda values: moved(values, lead, kept))
    (one,) = some(find(study), "transfer", role="a")
    words = verdict(study, "instrument")
    assert ("keeps 130\N{NO-BREAK SPACE}%" in one.claim) == told, one.claim
    assert ("own lead too small to take a share of" in one.claim) != told
    assert ("model-a (own lead" in words or "(own lead too small" in words) != told
    (panel,) = [d for d in why.why(study) if d.name == "why-instrument"]
    texts = [t.get_text() for axes in panel.figure.axes for t in axes.texts]
    assert ("own lead too small" in texts) != told


def test_choice_and_its_table(study, found):
    tempo = some(found, "choice", task="tempo", role="a")[0]
    assert "take the weighted sum of layers of model-a" in tempo.claim
    instrument = some(found, "choice", task="instrument", role="a")[0]
    assert instrument.grade == STRONG and "not the last layer" in instrument.claim
    rows = {rows[0][0]: rows[0] for rows in advice(study).groups}
    assert rows["Tempo (test)"][1] == "weighted sum of layers"
    assert rows["Tempo (test)"][5] == "is all layers"
    assert rows["Note density (test)"][1].text == "nothing"
    chosen = rows["Instrument family (test_inst)"]
    assert (chosen[1].text, chosen[2]) == ("block01", "model-a")
    assert chosen[4].text.startswith("+0.5") and not chosen[4].quiet
    assert chosen[5].quiet, "a difference that is not shown is grey"
    twin = study.probes["a0"].tasks["instrument"]
    untrained = chosen[advice(study).head.index("Untrained")]
    assert untrained.text == f"{twin.best().value:.2f} {twin.selected}"
    assert untrained.bold == (twin.best().value >= 0.83), "no more is to be had than is free"
    assert "As good" not in advice(study).head, "layers were not compared in pairs"


def test_no_column_on_heads_that_were_not_probed(tmp_path):
    folder = planted(tmp_path / "s", tasks=1)
    for name in ("a.json", "b.json"):

        def alone(values):
            for one in values["choice"]:
                one["options"] = one["options"][:2]

        study = changed(folder, name, alone)
    table = advice(study)
    assert "Over all layers together" not in table.head
    assert len(table.head) == len(table.widths) == len(table.groups[0][0]) == 7


def test_verdicts(study):
    words = verdict(study, "chord")
    assert words.startswith("Chord rides in model-b on chroma (costs 0.34 [0.31, 0.37])")
    assert "in model-a on nothing that was erased" in words
    pitch = verdict(study, "pitch")
    assert pitch.startswith("Pitch loses most in model-a without log-mel (costs 0.15 [0.12, 0.18])")
    assert ", not shown to be more than without directions as strong" in pitch
    both = verdict(study, "instrument").partition(". ")[0]
    assert both.startswith("Instrument family rides in model-a on mfcc (costs 0.22")
    assert "; it loses most in model-b without mfcc (costs 0.10" in both
    assert "Training added it to" in words and "keeps" in words
    assert words.count(". ") == 1, "two sentences"
    assert verdict(study, "register").startswith("Register is not shown to ride on anything")
    assert verdict(study, "density") == ""


def test_panels_in_order_of_effect(study):
    order = why.explained(study)
    rides = {task for _, task in RIDES}
    assert set(order[: len(rides)]) == rides
    assert order == why.explained(study)
    with style.look():
        drawn = why.why(study)
    assert [d.name for d in drawn] == [f"why-{key}" for key in order]
    assert all(d.figure.get_size_inches()[1] < 2.4 for d in drawn), "three to a page"


def test_a_return_is_ringed(tmp_path, study):
    with style.look():
        assert "Ring: the layer farthest" in resemblance.resemblance(study).caption

    def by_another(values):
        values["returning"]["measure"] = "svcca"

    other = changed(planted(tmp_path / "s", tasks=1), "b.json", by_another)
    with style.look():
        assert "Ring" not in resemblance.resemblance(other).caption, "the curve is of another"


def test_captions_have_at_most_six_lines(study):
    """Of about 130 characters; formulas stand under the methods."""
    plans = planned(study, {k: v for k, v in drawers(study).items() if k != "landscape"})
    long = {one.name: one.caption for some in plans.values() for one in some}
    assert len(long) > 15 and {name: t for name, t in long.items() if len(t) > 780} == {}


def test_costs_name_their_own_probe(study):
    one = study.why["b"].riding["chord"]
    text = why._parts(study, {"b": one})
    assert f"at {one.selected} {one.before[one.index].value:.2f}" in text
    assert f"{one.head} probe" in text


def test_panels_are_explained_once_and_only_where_there_are_any(study, tmp_path):
    (text,) = why.reading(study)
    assert "p goes with them" in text and "untrained twin" in text and "Kept on the other" in text
    assert why.reading(Study.read(make_study(tmp_path / "s", layers={"a": 3}, tasks=1))) == []


def test_a_damaged_file_has_a_cure(tmp_path):
    folder = planted(tmp_path / "s", tasks=1)
    path = folder / "why" / "a.json"
    path.write_text(path.read_text(encoding="utf-8")[:500], encoding="utf-8")
    with pytest.raises(ReportError, match="not JSON.*run the command of the study again"):
        Study.read(folder)


def test_differences_end_where_scores_end(tmp_path):
    folder = planted(tmp_path / "s")

    def widened(values):
        for choice in values["choice"]:
            for option in choice["options"]:
                for key in ("last", "best"):
                    if option[key]:
                        option[key] |= {"low": -3.0, "high": 3.0}

    study = changed(folder, "a.json", widened)
    claims = [f.claim for f in find(study) if f.kind == "choice"]
    assert not any("3.0" in claim for claim in claims)
    cells = [cell for group in advice(study).groups for row in group for cell in row]
    assert not any("3.0" in (c if isinstance(c, str) else c.text) for c in cells)


def test_no_layer_is_labelled_with_a_task_that_is_not_above_chance(study):
    for role, task in NOTHING:
        assert task not in overview.specialities(study, role).values()


def test_a_matrix_of_nothing_is_a_sentence(tmp_path, study):
    assert riding.unridden(study) == []
    folder = planted(tmp_path / "s", layers={"a": 4}, tasks=2)

    def unshown(values):
        for one in values["riding"]:
            for reference in one["references"]:
                for gap in reference["selected"]["above"].values():
                    gap["p"] = 0.5

    other = changed(folder, "a.json", unshown)
    (told,) = riding.unridden(other)
    assert told.startswith("No task is shown to ride on anything that was erased from")
    assert riding.riding(other) == []


def test_few_groups_are_told_on_the_first_page(tmp_path, study):
    folder = planted(tmp_path / "s", tasks=1)
    path = folder / "probes" / "a.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    for task in values["tasks"]:
        task["groups"] = dict.fromkeys(task["groups"], 5)
    path.write_text(json.dumps(values), encoding="utf-8")
    assert "quoted on 5 groups" in small_samples(Study.read(folder))
    assert "few data" not in small_samples(study)


def test_a_verdict_tells_what_training_took(tmp_path):
    folder = planted(tmp_path / "s", tasks=1)

    def lowered(values):
        for one in values["training"]:
            for at, gain in enumerate(one["gains"]):
                low = {"value": -0.4, "low": -0.5, "high": -0.3, "p": 0.001}
                none = {"value": 0.0, "low": -0.1, "high": 0.1, "p": 1.0}
                gain["twin"] = low if at == 1 else none

    study = changed(folder, "a.json", lowered)
    one = next(iter(study.why["a"].training.values()))
    words = verdict(study, one.task)
    assert "raining lowered it in model-a (" in words
    assert f"0.40 [\N{MINUS SIGN}0.50, \N{MINUS SIGN}0.30] at {one.gains[1].layer})" in words


def test_results_that_were_made_and_are_gone_are_told(tmp_path):
    folder = planted(tmp_path / "s", tasks=1)
    path = folder / "study.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["timings"] += [
        {"stage": "similarity", "seconds": 1.0}, {"stage": "probes of model-a", "seconds": 1.0}
    ]  # fmt: skip
    path.write_text(json.dumps(values), encoding="utf-8")
    assert not any("lost from the folder" in one for one in reservations(Study.read(folder)))
    (folder / "similarity" / "a-b.json").unlink()
    (folder / "probes" / "b.json").unlink()
    told = reservations(Study.read(folder))
    assert told[0] == "lost from the folder: similarity and probes; run the command again"
