"""Two sentences a task: what it rides on, and what training and the other model make of it.

The rules are those of the findings (`rules_why`); the words are shorter.
"""

from __future__ import annotations

from reports.grades import named
from reports.numbers import percent, with_interval
from reports.rules_why import (
    TOO_SMALL,
    above_chance,
    counterpart,
    kept_share,
    reach,
    title_of,
)
from reports.study import Study
from reports.why import Riding
from reports.words import listed


def verdict(study: Study, key: str) -> str:
    """At most two sentences; "" where nothing was asked."""
    roles = [r for r in study.models if r in study.why and above_chance(study, r, key)]
    first = _rides(study, [r for r in roles if key in study.why[r].riding], key)
    parts = _learned(study, [r for r in roles if key in study.why[r].training], key)
    second = "; ".join([*parts, *_carried_over(study, roles, key)])
    return f"{first} {second[0].upper() + second[1:]}." if second else first


def _rides(study: Study, roles: list[str], key: str) -> str:
    """`Chord rides in model-b on chroma (costs 0.30 [0.27, 0.33]); in model-a on nothing ...`."""
    if not roles:
        return ""
    title = title_of(study, key)
    rides, loses, none = [], [], []
    for role in roles:
        riding, name = study.why[role].riding[key], study.name_of(role)
        if not riding.on:
            none.append(name)
        elif riding.on[0].rides:
            rides.append(f"in {name} on {_costs(riding)}")
        else:
            loses.append(f"in {name} without {_costs(riding)}")
    nothing = [f"in {listed(none)} on nothing that was erased"] if none else []
    least = f"{'; '.join(loses)}, not shown to be more than without directions as strong"
    if rides:
        more = [f"it loses most {least}"] if loses else []
        return f"{title} rides {'; '.join([*rides, *nothing, *more])}."
    if loses:
        more = f"; it is not shown to ride {nothing[0]}" if nothing else ""
        return f"{title} loses most {least}{more}."
    return f"{title} is not shown to ride on anything that was erased from {listed(none)}."


def _costs(riding: Riding) -> str:
    """`chroma (costs 0.30 [0.27, 0.33])`: what it rides on, else what it loses most without."""
    some = [one for one in riding.on if one.rides] or riding.on
    return listed([f"{named(one.name)} (costs {with_interval(riding.drop(one))})" for one in some])


def _learned(study: Study, roles: list[str], key: str) -> list[str]:
    """Models of which the same can be said together."""
    said: dict[str, list[str]] = {}
    for role in roles:
        one = study.why[role].training[key]
        gain = one.gain(one.most)
        if gain is None or not gain.twin.exists:
            continue
        lowered = [other for other in one.gains if other.twin.below]
        if gain.learned:
            what = "training added it to {}"
        elif gain.twin.above:
            what = "training raised it, but not above the best reference, in {}"
        elif lowered:
            gain = min(lowered, key=lambda other: other.twin.value)
            what = "training lowered it in {}"
        else:
            what = "training is not shown to have added it to {}"
        gap = gain.twin.clipped(reach(study, role, key))
        size = f"{with_interval(gap, sign=True)} at {named(gain.layer)}"
        said.setdefault(what, []).append(f"{study.name_of(role)} ({size})")
    return [what.format(listed(models)) for what, models in said.items()]


def _carried_over(study: Study, roles: list[str], key: str) -> list[str]:
    """`model-a's probe keeps 83 % on block09 of model-b`."""
    out = []
    for (x, y), tasks in study.transfer.items():
        task = study.probed(key).get(x)
        if x not in roles or key not in tasks or task is None:
            continue
        layer, _ = counterpart(study, x, y, task.selected, key)
        pair = tasks[key].pair(task.selected, layer)
        if pair is None or not pair.above.exists:
            continue
        where = f"{named(layer)} of {study.name_of(y)}"
        if not pair.above.above:
            out.append(f"a probe of {study.name_of(x)} is not shown to work on {where}")
            continue
        share = kept_share(study, x, tasks[key], task.selected, layer)
        if share.exists:
            kept = percent(share.value)
            out.append(f"a probe of {study.name_of(x)} keeps {kept} of its lead on {where}")
        else:
            out.append(f"a probe of {study.name_of(x)} works on {where} ({TOO_SMALL})")
    return out
