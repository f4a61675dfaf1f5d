"""The tasks that are known by name, and tasks for any other label."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable
from typing import Protocol

from probes.errors import ProbeError
from probes.tasks import frames, rhythm, sound, style, tonality, voice
from probes.tasks.base import Task
from probes.tasks.frames import FrameTask

__all__ = ["ALIASES", "TASKS", "FrameTask", "Label", "Task", "resolve"]

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        *tonality.ENTRIES, *rhythm.ENTRIES, *sound.ENTRIES, *style.ENTRIES, *voice.ENTRIES,
        *frames.ENTRIES,
    )
}  # fmt: skip
# where the data lacks what a name means, or no task has the name
ALIASES = {
    "beats": "beat", "bpm": "tempo", "chords": "chord", "downbeats": "downbeat",
    "instrument": "family", "inversion": "triad_inversion", "meter": "metre",
    "notes": "multipitch", "phrase_ends": "phrase_end", "quality": "triad_quality",
    "root": "triad_root",
}  # fmt: skip


class Label(Protocol):
    """What the data says of a label.

    Attributes
    ----------
    kind : `category`, `number`, `tags`, `segments`, `events` or `curve`.
    """

    name: str
    kind: str
    tier: str
    unit: str


def resolve(
    names: str | Iterable[str], labels: Iterable[Label], subsets: Collection[str] = ()
) -> list[Task]:
    """The tasks that are meant, in the order of the names.

    Parameters
    ----------
    names : names of tasks or of labels, or `all` (alone): every known task that the data has the
        label of, and a task for each further label of tier `user`.
    labels : the labels that the data has.
    subsets : the parts that it has, of which some tasks are asked alone.

    Raises
    ------
    ProbeError : for a name that is neither a task nor a label (with the nearest), or a task whose
        label the data lacks.
    """
    cards = {card.name: card for card in labels}
    names = [names] if isinstance(names, str) else list(names)
    if names == ["all"]:
        known = [t for t in TASKS.values() if _fits(t, cards) and not t.by_name]
        covered = {task.label for task in known}
        free = [
            Task.of_kind(card.name, card.kind)
            for card in cards.values()
            if card.tier == "user" and card.name not in covered and card.kind in _CLIP_KINDS
        ]
        return [_stamped(task, cards, subsets) for task in known + free]
    tasks = []
    for name in dict.fromkeys(names):
        task, other = TASKS.get(name), TASKS.get(ALIASES.get(name, ""))
        if other is not None and (task is None or not _fits(task, cards) and _fits(other, cards)):
            task = other
        if name in cards and (task is None or not _fits(task, cards)):
            if cards[name].kind not in _CLIP_KINDS:
                raise ProbeError(
                    f"task {name}: there is no probe for a label that holds {cards[name].kind}; "
                    "name a label with one value a clip"
                )
            task = Task.of_kind(name, cards[name].kind)
        if task is None:
            raise ProbeError(_unknown(name, cards))
        if not _fits(task, cards):
            have = ", ".join(sorted(cards)) or "none"
            needed = ", ".join(task.labels if isinstance(task, FrameTask) else [task.label])
            raise ProbeError(f"task {name} needs the label {needed}; the data has: {have}")
        tasks.append(_stamped(task, cards, subsets))
    return list({task.name: task for task in tasks}.values())


_CLIP_KINDS = ("category", "number", "tags")


def _fits(task: Task, cards: dict[str, Label]) -> bool:
    if isinstance(task, FrameTask):
        return bool(task.present(_kinds(cards)))
    if task.label not in cards:
        return False
    if task.rows.startswith("segments:"):
        wanted = ("segments",)
    else:
        wanted = ("tags",) if task.kind == "tags" else ("category", "number")
    return cards[task.label].kind in wanted


def _stamped(task: Task, cards: dict[str, Label], subsets: Collection[str]) -> Task:
    """The task with what the data says of its label."""
    if isinstance(task, FrameTask):
        kinds = _kinds(cards)
        return task.stamped(kinds, cards[task.present(kinds)[0]].tier, subsets)
    card = cards[task.label]
    return dataclasses.replace(task, tier=card.tier, unit=task.unit or card.unit)


def _kinds(cards: dict[str, Label]) -> dict[str, str]:
    return {name: card.kind for name, card in cards.items()}


def _unknown(name: str, cards: dict[str, Label]) -> str:
    possible = sorted({*TASKS, *ALIASES, *cards})
    near = [one for one in possible if sorted(one) == sorted(name)]  # letters in another order
    near += difflib.get_close_matches(name, possible, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(TASKS))}"
    return f"no task {name!r}: {hint}"
