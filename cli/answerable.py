"""Which tasks the clips can answer: known before any network runs, by the rules of the probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cli.screen import Screen
    from extract.datasets.base import Clip, Dataset
    from probes.tasks import Task

FRAMES = "frames:"  # what the rows of tasks on frames begin with


class Questions(NamedTuple):
    """What is asked of which clips.

    Attributes
    ----------
    tasks : those that can be probed.
    kinds : of rows.
    skipped : further tasks that the data has labels for -> why they cannot be probed.
    """

    dataset: Dataset
    clips: Sequence[Clip]
    tasks: Sequence[Task]
    kinds: Sequence[str]
    skipped: Mapping[str, str]


def impossible(
    tasks: Sequence[Task], clips: Sequence[Clip], seed: int, max_frames: int | None = None
) -> dict[str, str]:
    """Task -> why it cannot be probed on these clips, in one line; the same for every role.

    Parameters
    ----------
    seed : of the splits, where the data has none.
    max_frames : that a task on frames is trained on; None is the usual number.

    Raises
    ------
    ProbeError : labels or splits that cannot be read.
    """
    from extract.rows import Rows
    from probes.framing.running import MAX_FRAMES, impossible_frames
    from probes.running import impossible as impossible_rows

    found: dict[str, str] = {}
    for kind in dict.fromkeys(task.rows for task in tasks):
        rows = Rows.of(tuple(clips), kind)
        some = [task for task in tasks if task.rows == kind]
        if kind.startswith(FRAMES):
            found |= impossible_frames(rows, some, max_frames or MAX_FRAMES, seed)
        else:
            found |= impossible_rows(rows, some, seed)
    return {task.name: found[task.name] for task in tasks if task.name in found}


def parted(
    tasks: Sequence[Task],
    clips: Sequence[Clip],
    seed: int,
    screen: Screen,
    max_frames: int | None = None,
) -> tuple[list[Task], dict[str, str]]:
    """The tasks that can be probed; and why each of the others cannot, which is told."""
    skipped = impossible(tasks, clips, seed, max_frames)
    for reason in skipped.values():
        screen.warn(f"not probed: {reason}")
    return [task for task in tasks if task.name not in skipped], skipped


def refuse(skipped: Mapping[str, str]) -> None:
    """Raises `ProbeError` with the reasons: there is no task that can be probed."""
    from probes import ProbeError

    reasons = "; ".join(skipped.values())
    raise ProbeError(f"nothing could be probed: {reasons}; give more clips or other tasks")
