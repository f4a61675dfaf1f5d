"""Two sentences a task: what it rides on, and what training and the other model make of it.

The rules are those of the findings (`rules_why`); the words are shorter.
"""

from __future__ import annotations

from reports.grades import named
from reports.numbers import percent, with_interval
from reports.rules_why import above_chance, counterpart, reach, title_of
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
    """`Chord rides in model-b on chroma (costs 0.30 [0.27, 0.33]), more than ...`."""
    if not roles:
        return ""
    on = {role: study.why[role].riding[key] for role in roles}
    some = [role for role in roles if on[role].on]
    none = [study.name_of(role) for role in roles if not on[role].on]
    title = title_of(study, key)
    if not some:
        return f"{title} is not shown to ride on anything that was erased from {listed(none)}."
    told = [f"in {study.name_of(role)} on {_costs(on[role])}" for role in some]
    told += [f"in {listed(none)} on nothing that was erased"] if none else []
    return f"{title} rides {'; '.join(told)}."


def _costs(riding: Riding) -> str:
    costs = listed(
        [f"{named(one.name)} (costs {with_interval(riding.drop(one))})" for one in riding.on]
    )
    strong = [one.name for one in riding.on if one.special]
    if len(strong) == len(riding.on):
        return f"{costs}, more than directions as strong"
    if strong:
        return (
            f"{costs}, of which {listed(list(map(named, strong)))} more than directions as strong"
        )
    return f"{costs}, though not shown to be more than directions as strong"


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
        elif pair.kept.exists:
            kept = percent(pair.kept.value)
            out.append(f"a probe of {study.name_of(x)} keeps {kept} of its lead on {where}")
        else:
            out.append(f"a probe of {study.name_of(x)} works on {where}")
    return out
