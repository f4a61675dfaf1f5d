"""What a whole study takes: the stages of every step, with what they share counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from cli import dryrun
from cli.comparison import Comparison

if TYPE_CHECKING:
    from cli.dryrun import Stage, Total
    from cli.screen import Screen
    from cli.steps import Run
    from cli.studyplan import Planned


@dataclass(frozen=True)
class Costs:
    """Of the steps that are to be done.

    Attributes
    ----------
    steps : name of the folder -> its stages, in order; a store that a step before fills has
        nothing to write there.
    untrained : models whose weights are not here, for which random ones stand in.
    """

    steps: dict[str, list[Stage]]
    total: Total
    untrained: tuple[str, ...]

    @classmethod
    def of(cls, planned: Sequence[Planned], run: Run, screen: Screen) -> Costs:
        """Loads every network and runs each stage on a little; nothing is written."""
        from cli import comparison, probingrun
        from cli.studyplan import TO_DO, to_fetch

        absent = tuple(to_fetch(planned, run))
        steps, opened, known = {}, [], set()
        for one in planned:
            if one.state != TO_DO:
                continue
            asked = one.step.asked
            if isinstance(asked, Comparison):
                ready = comparison.prepare(asked, run, screen, absent)
                stages = dryrun.of_comparison(ready, asked, run, known)
            else:
                ready = probingrun.prepare(asked, run, screen, absent)
                stages = dryrun.of_probing(ready, asked, run, known)
            steps[one.folder.name] = stages
            opened.append(ready)
        every = [stage for stages in steps.values() for stage in stages]
        return cls(steps, dryrun.Total.of(every, opened), absent)

    def as_json(self) -> dict:
        """Plain data: what a step takes beside its stages, and the sums."""
        return {
            "steps": {
                name: {**_sums(stages), "stages": [asdict(stage) for stage in stages]}
                for name, stages in self.steps.items()
            },
            "total": asdict(self.total),
            "untrained": list(self.untrained),
        }

    def show(self) -> None:
        """A table a step, and a line with the sums of all."""
        for name, stages in self.steps.items():
            sums = _sums(stages)
            caption = (
                f"{dryrun.size(sums['to_write'])} to write, about "
                f"{dryrun.clock(sums['seconds'])}, {dryrun.size(sums['memory'])} at the peak"
            )
            dryrun.show_stages(name, stages, caption)
        if self.steps:
            click.echo(f"In all: {self.total.said()}")
        if self.untrained:
            click.echo(f"Timed with random weights: {', '.join(self.untrained)}")
        self.total.warn()


def _sums(stages: Sequence[Stage]) -> dict:
    return {
        "bytes": sum(stage.bytes for stage in stages),
        "to_write": sum(stage.to_write for stage in stages),
        "seconds": sum(stage.seconds for stage in stages),
        "memory": max((stage.memory for stage in stages), default=0),
    }
