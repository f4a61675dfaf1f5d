"""Rules about what happens over depth: new and lost information, what layers are made of."""

from __future__ import annotations

import math

from reports.grades import ENOUGH, SUGGESTIVE, UNSUPPORTED, Finding, grade_corrected, named
from reports.numbers import MINUS, Estimate, number, p_value, percent, with_interval
from reports.rules_why import asked, asked_of, title_of
from reports.study import Study
from reports.why import Added, Associations, Contrast, Partition, Returning

ANCHOR = "depth"


def news(study: Study) -> list[Finding]:
    """Where information about a task appears, which layer adds most, where it is lost."""
    out = []
    for role in asked_of(study):
        some = asked(study, role, study.why[role].added)
        for one in some.values():
            out.append(_new(study, role, one, len(some)))
            lost = _lost(study, role, one, len(some))
            out += [lost] if lost else []
    return out


def _new(study: Study, role: str, one: Added, tasks: int) -> Finding:
    title, model = title_of(study, one.task), study.name_of(role)
    later = [i for i in range(1, len(one.layers)) if one.adds[i].above]
    most = max(later or range(len(one.layers)), key=lambda i: (_sortable(one.adds[i]), -i))
    gain = one.adds[most]
    course = f"information appears at {named(one.first)}" if one.first else ""
    if course and one.full and one.full != one.first:
        course += f" and is all there at {named(one.full)}"
    if later:
        verdict = grade_corrected(gain.p, tasks, also=one.groups >= ENOUGH)
        many = "one layer is" if len(later) == 1 else f"{len(later)} layers are"
        claim = (
            f"{title} in {model}: {course + '; ' if course else ''}{many} shown to add to the one "
            f"before, the most {named(one.layers[most])} with {with_interval(gain)} bits "
            f"({p_value(gain.p)})."
        )
    else:
        verdict = UNSUPPORTED
        claim = (
            f"{title} in {model}: {course + '; ' if course else ''}no layer after the first is "
            f"shown to add to the one before; the most is {named(one.layers[most])} with "
            f"{with_interval(gain, sign=True)} bits."
        )
    test = (
        f"conditional probing, corrected for {len(one.layers)} layers; strong also for {tasks} "
        "tasks"
    )
    numbers = {
        "task": one.task, "role": role, "layer": one.layers[most], "first": one.first,
        "full": one.full, "bits": gain.value,
    }  # fmt: skip
    return Finding("new", claim, gain, 0.0, tasks, verdict, test, ANCHOR, numbers)


def _lost(study: Study, role: str, one: Added, tasks: int) -> Finding | None:
    """Only where something is lost: most tasks lose nothing, which their curves show."""
    if not one.lost or not one.end.below:
        return None
    gap = -one.end
    claim = (
        f"{study.name_of(role)} loses {title_of(study, one.task)} again from {named(one.lost)} on: "
        f"the last layer has {with_interval(gap)} bits less than {named(one.best)} "
        f"({p_value(gap.p)})."
    )
    test = f"paired difference, corrected for {len(one.layers)} layers; strong for {tasks} tasks"
    verdict = grade_corrected(gap.p, tasks, also=one.groups >= ENOUGH)
    numbers = {"task": one.task, "role": role, "layer": one.lost, "bits": gap.value}
    return Finding("lost", claim, gap, 0.0, tasks, verdict, test, ANCHOR, numbers)


def partitions(study: Study) -> list[Finding]:
    """The reference that alone explains most of a layer, with track means and without."""
    table = [
        (role, part)
        for role in asked_of(study)
        for part in (study.why[role].between, study.why[role].within)
        if part is not None and part.parts
    ]
    return [_partition(study, role, part, len(table)) for role, part in table]


def _partition(study: Study, role: str, one: Partition, tested: int) -> Finding:
    unique = {
        (name, i): layer.unique for name, layers in one.parts.items()
        for i, layer in enumerate(layers)
    }  # fmt: skip
    (name, at), gap = max(
        unique.items(), key=lambda item: (item[1].above, _sortable(item[1]), item[0][0])
    )
    where = "within tracks" if one.within else "over all rows"
    share = _percents(gap)
    if gap.above:
        verdict = grade_corrected(gap.p, tested, also=one.groups >= ENOUGH)
        claim = (
            f"{named(one.layers[at])} is the layer of {study.name_of(role)} that one reference "
            f"alone explains most of: {named(name)}, {share} of its variance {where} "
            f"({p_value(gap.p)}); all references together explain {_percents(one.whole[at])}."
        )
    else:
        verdict = UNSUPPORTED
        claim = (
            f"No reference is shown to explain alone any of the variance of a layer of "
            f"{study.name_of(role)} {where}; the most is {named(name)}, {share} of "
            f"{named(one.layers[at])}."
        )
    test = f"held-out R2, corrected for {len(unique)} layers and references"
    numbers = {
        "role": role, "layer": one.layers[at], "reference": name, "share": gap.value,
        "rows": "within" if one.within else "all",
    }  # fmt: skip
    return Finding("partition", claim, gap, 0.0, tested, verdict, test, ANCHOR, numbers)


def returns(study: Study) -> list[Finding]:
    """Whether the last layer is more like the input again than one before it."""
    table = [(r, study.why[r].returning) for r in asked_of(study) if study.why[r].returning]
    return [_returning(study, role, one, len(table)) for role, one in table]


def _returning(study: Study, role: str, one: Returning, tested: int) -> Finding:
    turn, last = one.turn, named(one.layers[-1])
    groups = max((s.n_groups for s in study.similarity.values()), default=0)
    if turn is not None:
        gap = one.back[turn]
        verdict = grade_corrected(gap.p, tested, also=groups >= ENOUGH)
        claim = (
            f"{study.name_of(role)} returns towards its input: {last} is more like "
            f"{named(one.input)} ({number(one.similarity[-1])}) than {named(one.layers[turn])} is "
            f"({number(one.similarity[turn])}), by {with_interval(gap)} ({p_value(gap.p)})."
        )
    else:
        gap = max(one.back, key=_sortable, default=Contrast(math.nan))
        verdict = UNSUPPORTED
        claim = (
            f"{study.name_of(role)} is not shown to return towards its input: {last} is no more "
            f"like {named(one.input)} than earlier layers are."
        )
    test = f"{one.measure}, last layer minus each earlier one, corrected for all of these"
    numbers = {"role": role, "layer": "" if turn is None else one.layers[turn]}
    return Finding("returning", claim, gap, 0.0, tested, verdict, test, "resemblance", numbers)


def associations(study: Study) -> list[Finding]:
    """Tasks whose profile over depth follows a reference's; never strong, once where none does."""
    out = []
    for role in asked_of(study):
        found = study.why[role].associations
        if found is not None and found.pairs:
            out += _associations(study, role, found)
    return out


def _associations(study: Study, role: str, found: Associations) -> list[Finding]:
    model, pairs = study.name_of(role), len(found.pairs)
    test = (
        f"correlation over layers against smooth profiles, corrected for {pairs} pairs; layers of "
        "one network are no sample of networks: never strong"
    )
    out = []
    for one in found.pairs:
        if one.claimed:
            way = "follows" if one.correlation > 0 else "runs against"
            claim = (
                f"Over the layers of {model}, {title_of(study, one.task)} {way} the similarity to "
                f"{named(one.reference)}: correlation {number(one.correlation)}, "
                f"{number(one.beyond)} beyond a smooth trend ({p_value(one.corrected)} of "
                f"{pairs} pairs)."
            )
            numbers = {"task": one.task, "role": role, "reference": one.reference}
            out.append(
                Finding(
                    "association", claim, Estimate(one.correlation), 0.0, pairs, SUGGESTIVE, test,
                    ANCHOR, numbers,
                )
            )  # fmt: skip
    if out:
        return out
    special = ""
    if found.specificity is not None and math.isfinite(found.specificity.p):
        special = (
            "; nor do tasks follow the reference of their own content more than others "
            f"({p_value(found.specificity.p)})"
            if found.specificity.p > 0.05
            else f"; yet tasks follow the reference of their own content more than others "
            f"({p_value(found.specificity.p)})"
        )
    known = [one for one in found.pairs if math.isfinite(one.correlation)]
    most = max((abs(one.correlation) for one in known), default=math.nan)
    claim = (
        f"No task of {model} is shown to follow a reference over depth: {pairs} pairs were asked, "
        f"the largest correlation {number(most)} is one that smooth curves over "
        f"{found.pairs[0].layers} layers have by chance{special}."
    )
    numbers = {"role": role, "pairs": float(pairs)}
    return [
        Finding(
            "association", claim, Estimate(most), 0.0, pairs, UNSUPPORTED, test, ANCHOR, numbers
        )
    ]


def _percents(one: Estimate) -> str:
    """`12 % [10, 14]`."""
    text = percent(one.value).replace("-", MINUS)
    ends = f"{number(100 * one.low, 0)}, {number(100 * one.high, 0)}"
    return f"{text} [{ends}]" if one.bounded else text


def _sortable(one: Estimate) -> float:
    return one.value if math.isfinite(one.value) else -math.inf
