"""Whole studies of made-up layers in which it is known what carries what, by the real chain.

Layers drift: each keeps the same share of the one before, in axes of its own, so that no layer
and no step differs from another in truth. A concept that is planted has axes of its own from one
layer to another; its reference hears it through noise, so that a network can be better than it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
from planted import classes, factors, table
from study_fixture import _card as card
from study_fixture import layer_names

import probes
import rsa
from cli import why
from probes.trust.checks import Settings
from probes.why import evidence
from reports.findings import STRONG, UNSUPPORTED, Finding, find
from reports.study import Study

LAYERS = layer_names(8)
WIDTH, SIZE, KEPT = 24, 6, 0.8  # size of what drifts; what a layer keeps of the one before
REFERENCES = ("log-mel", "mfcc", "chroma", "onset")
MEASURE = "cka:linear,track-debiased"


@dataclass(frozen=True)
class Plant:
    """A concept of one task in some layers of the model `a`, none of its twin.

    Attributes
    ----------
    concept : its name; a reference of this name is made of it.
    strength : of each of the layers, in order of depth.
    number : whether the task is a number, and not a class.
    decoys : other reference -> correlation of its columns with those of the concept.
    """

    task: str
    concept: str
    strength: Sequence[float]
    number: bool = False
    decoys: Mapping[str, float] = field(default_factory=dict)

    @property
    def layers(self) -> list[str]:
        return [name for name, one in zip(LAYERS, self.strength, strict=True) if one]


class Layers(rsa.Matrices):
    """A source for `rsa` and for `probes`, with the table of its rows."""

    def __init__(self, name: str, layers: Mapping[str, np.ndarray], rows: probes.Table):
        super().__init__(name, layers, rows.groups)
        self.rows = rows
        self.widest = max(values.shape[1] for values in layers.values())


class _Silent:
    """The screen of a run that shows nothing."""

    @contextmanager
    def stage(self, _title: str, **_):
        yield lambda done, of: None


def simulate(
    folder: Path,
    seed: int,
    plants: Sequence[Plant] = (),
    unrelated: Mapping[str, bool] | None = None,
    *,
    heard: Sequence[str] = (),
    groups: int = 100,
    rows: int = 4,
    draws: int = 99,
    resamples: int = 400,
    lazy: bool = False,
) -> Study:
    """Draws layers, references and labels, runs probes, comparison and causes, and reads the study.

    Parameters
    ----------
    unrelated : task -> whether it is a number; its labels go with nothing else.
    heard : references that every layer carries, of model and twin alike.
    draws, resamples : of the levels of chance, and of the groups for the scores of probes.
    lazy : whether causes are looked for only of tasks that the model is shown to read. No rule
        says why of others, so that the findings are the same; most of the time goes there.
    """
    rng = np.random.default_rng(seed)
    made = factors(rng, groups, rows, REFERENCES)
    labels = {one.task: _label(rng, made[one.concept], one.number) for one in plants}
    for task, number in (unrelated or {}).items():
        labels[task] = _label(rng, factors(rng, groups, rows, [task])[task], number)
    about = table(groups, rows, labels)
    common = [made[name] for name in heard]
    found = {
        role: Layers(name, _network(rng, groups, rows, some, made, common), about)
        for role, name, some in (("a", "net", plants), ("a0", "net", ()))
    }
    found["ref"] = Layers("references", _references(rng, made, plants), about)
    tasks = [probes.Task.from_label(name, values) for name, values in labels.items()]
    _study(folder, found, about)
    results = {}
    for role, source in found.items():
        results[role] = probes.run(
            source, about, tasks, seed=seed, resamples=resamples, ordered=role != "ref",
            **(_further(found["ref"], seed, resamples) if role == "a" else {}),
        )  # fmt: skip
        results[role].write(folder / "probes", role)
    compared = rsa.compare(
        found["a"], found["ref"], measures=MEASURE, pairs=[(0, 0), (0, 1)], draws=draws,
        seed=seed, stability=False,
    )  # fmt: skip
    for place, (x, y) in enumerate((("a", "a"), ("a", "ref"))):
        compared.between(0, place).write(folder / "similarity", x, y)
    if lazy:
        choices = evidence.from_scores(results["a"], None, None).choice
        read = {one.task for one in choices if one.above.above}
        tasks = [task for task in tasks if task.name in read]
    run = SimpleNamespace(seed=seed, solver_device="cpu")
    # made-up layers have no files by which they could be known again
    with (
        patch.object(why, "content", lambda source: source.name),
        patch.object(why, "remembered", lambda _room, _key, _seed, _kind, work: work()),
        patch.object(evidence, "from_rows", partial(evidence.from_rows, resamples=resamples)),
    ):
        kinds = {role: {"clips": one} for role, one in found.items()}
        why.explain(kinds, tasks, results, "clips", run, folder, _Silent())
    return Study.read(folder)


def supported(study: Study, *, strong: bool = False) -> list[Finding]:
    """Findings that claim something."""
    some = (f for f in find(study) if f.grade != UNSUPPORTED)
    return [f for f in some if f.grade == STRONG or not strong]


def claims(seed: int) -> list[tuple[str, str, str]]:
    """(kind, grade, claim) of all findings of a study in which nothing is planted."""
    with TemporaryDirectory() as folder:
        tasks = {"key": False, "genre": False, "energy": True}
        study = simulate(Path(folder), seed, (), tasks, groups=60, rows=3, draws=39, resamples=300,
                         lazy=True)  # fmt: skip
        return [(f.kind, f.grade, f.claim) for f in find(study)]


def _further(references: Layers, seed: int, resamples: int) -> dict:
    """A head of all layers together, and control tasks."""
    only = Settings(
        controls=3, shuffles=0, orders=0, components=False, calibration=False,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    return {
        "heads": ("concatenation",), "checks": only, "types_from": references.read("log-mel"),
    }  # fmt: skip


def _label(rng: np.random.Generator, factor: np.ndarray, number: bool) -> list:
    if number:
        return list((factor[:, 0] + 0.3 * rng.standard_normal(len(factor))).astype(float))
    return classes(rng, factor, 0.3)


def _network(
    rng: np.random.Generator,
    groups: int,
    rows: int,
    plants: Sequence[Plant],
    made: Mapping[str, np.ndarray],
    common: Sequence[np.ndarray],
) -> dict[str, np.ndarray]:
    """Layer -> [rows, WIDTH]."""
    found, drift = {}, None
    for at, name in enumerate(LAYERS):
        fresh = factors(rng, groups, rows, ["drift"], SIZE)["drift"]
        drift = fresh if drift is None else KEPT * drift + np.sqrt(1 - KEPT**2) * fresh
        parts = [drift, *common]
        parts += [one.strength[at] * made[one.concept] for one in plants if one.strength[at]]
        whole = np.concatenate(parts, axis=1)
        axes = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0][:, : whole.shape[1]]
        noise = 0.3 * rng.standard_normal((len(whole), WIDTH))
        found[name] = (whole @ axes.T + noise).astype(np.float32)
    return found


def _references(
    rng: np.random.Generator, made: Mapping[str, np.ndarray], plants: Sequence[Plant]
) -> dict[str, np.ndarray]:
    """Reference -> [rows, 5], its concept through noise."""
    decoys = {name: (one, share) for one in plants for name, share in one.decoys.items()}
    found = {}
    for name, own in made.items():
        if name in decoys:
            one, share = decoys[name]
            own = share * made[one.concept] + np.sqrt(1 - share**2) * own
        axes = np.linalg.qr(rng.standard_normal((5, own.shape[1])))[0]
        noisy = own + 0.8 * rng.standard_normal(own.shape)
        found[name] = (noisy @ axes.T + 0.1 * rng.standard_normal((len(own), 5))).astype(np.float32)
    return found


def _study(folder: Path, found: Mapping[str, Layers], about: probes.Table) -> None:
    """study.json."""
    cards = {
        role: card(role, list(one.layers), trained=role != "a0", title=one.name)
        for role, one in found.items()
    }
    cards["a"]["name"] = cards["a0"]["name"] = "net"
    count = len(set(about.groups))
    values = {
        "format": 1, "title": "net on made-up rows", "created": "2026-01-01T00:00:00+00:00",
        "command": "rsa probe net", "stamps": [], "caveats": [], "models": {"a": cards["a"]},
        "twins": {"a0": cards["a0"]}, "references": cards["ref"],
        "data": {"name": "made-up", "title": "made-up", "labels": [], "clips": len(about),
                 "tracks": count, "groups": count},
        "rows": {"kind": "clips", "rows": len(about), "groups": count},
        "failures": [], "settings": {"seed": 0}, "provenance": {}, "timings": [],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(values), encoding="utf-8")
