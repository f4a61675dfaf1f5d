"""Two sentences a task: what it rides on, and what training and the other model make of it.

The rules are those of the findings (`rules_why`); the words are shorter.
"""

from __future__ import annotations

from reports.grades import named
from reports.numbers import percent, with_interval
from reports.rules_why import above_chance, counterpart, title_of
from reports.study import Study
from reports.words import listed


def verdict(study: Study, key: str) -> str:
    """At most two sentences; "" where nothing was asked."""
    roles = [r for r in study.models if r in study.why and above_chance(study, r, key)]
    rides = [_rides(study, role, key) for role in roles if key in study.why[role].riding]
    parts = [_learned(study, role, key) for role in roles if key in study.why[role].training]
    parts += _carried_over(study, roles, key)
    first = f"{title_of(study, key)} rides {'; '.join(rides)}." if rides else ""
    second = "; ".join(part for part in parts if part)
    return f"{first} {second[0].upper() + second[1:]}." if second else first


def _rides(study: Study, role: str, key: str) -> str:
    """`on chroma in model-b (0.30 [0.27, 0.33])`, `on nothing that was erased in model-a`."""
    riding, model = study.why[role].riding[key], study.name_of(role)
    if not riding.on:
        return f"on nothing shown among what was erased in {model}"
    costs = listed(
        [f"{named(one.name)} (costs {with_interval(riding.drop(one))})" for one in riding.on]
    )
    strong = [one.name for one in riding.on if one.special]
    if len(strong) == len(riding.on):
        tail = ", more than directions as strong"
    elif strong:
        tail = f", of which {listed([named(n) for n in strong])} more than directions as strong"
    else:
        tail = ", though no more than directions as strong"
    return f"on {costs} in {model}{tail}"


def _learned(study: Study, role: str, key: str) -> str:
    one, model = study.why[role].training[key], study.name_of(role)
    gain = one.gain(one.most)
    if gain is None or not gain.twin.exists:
        return ""
    size = f"{with_interval(gain.twin, sign=True)} at {named(one.most)}"
    if gain.learned:
        return f"training added it to {model} ({size})"
    if gain.twin.above:
        return f"training raised it in {model} ({size}), but not above the best reference"
    return f"training is not shown to have added it to {model} ({size})"


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
