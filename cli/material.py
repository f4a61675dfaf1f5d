"""What a study is made from: networks, data, and the activations of every role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.roles import REFERENCES

if TYPE_CHECKING:
    from cli.screen import Screen
    from cli.steps import Run
    from extract.datasets.base import Clip, Dataset
    from extract.models.base import Model
    from extract.store import Activations
    from probes.tasks import Task


@dataclass(frozen=True)
class Ingredients:
    """What material is gathered from, before any network has run.

    Attributes
    ----------
    models, twins : by role (`a`, `a0`).
    tasks : those that can be probed.
    kinds : of rows.
    skipped : further tasks that the data has labels for -> why they cannot be probed.
    """

    models: dict[str, Model]
    twins: dict[str, Model]
    dataset: Dataset
    clips: Sequence[Clip]
    tasks: Sequence[Task]
    kinds: Sequence[str]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def gather(self, run: Run, screen: Screen) -> Material:
        """Runs all networks."""
        return Material.gather(
            self.models, self.twins, self.dataset, self.clips, self.kinds, run, screen
        )


@dataclass(frozen=True)
class Material:
    """Networks have been run over the clips.

    Attributes
    ----------
    models, twins : by role (`a`, `a0`).
    clips : those of the data that were asked for.
    activations : role, references among them -> kind of rows -> activations.
    failures : clips that some model could not use, with the reason.
    """

    models: dict[str, Model]
    twins: dict[str, Model]
    references: Model
    dataset: Dataset
    clips: Sequence[Clip]
    activations: dict[str, dict[str, Activations]]
    failures: list[dict]

    @classmethod
    def gather(
        cls,
        models: dict[str, Model],
        twins: dict[str, Model],
        dataset: Dataset,
        clips: Sequence[Clip],
        kinds: Sequence[str],
        run: Run,
        screen: Screen,
    ) -> Material:
        """Runs all of them, and the references, for these kinds of rows."""
        from cli.steps import extract_rows, gather_failures
        from extract.models import references

        ref = references()
        activations = {
            role: extract_rows(model, dataset, clips, kinds, run, screen)
            for role, model in {**models, **twins, REFERENCES: ref}.items()
        }
        failures = gather_failures(activations, screen)
        return cls(models, twins, ref, dataset, clips, activations, failures)

    def of(self, kind: str) -> dict[str, Activations]:
        """Role -> activations for one kind of rows."""
        return {role: found[kind] for role, found in self.activations.items()}
