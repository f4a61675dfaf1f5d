"""A probing run over frames: trained on thinned frames, scored on decoded clips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from probes import inference
from probes.errors import ProbeError
from probes.framing.heads import FrameHead, Linear
from probes.framing.questions import Kept, Question, make_question
from probes.framing.streaming import gather, stream
from probes.framing.table import FrameRows, rate_of
from probes.framing.tally import Asked, Tally
from probes.results import ProbeResults, TaskResult
from probes.scoring import result
from probes.source import Source, check_rows
from probes.splits import EVALUATED, TRAIN, VALID, settle
from probes.targets import NotProbed
from probes.tasks.frames import FrameTask
from probes.threads import one_a_core

if TYPE_CHECKING:
    from probes.running import Watcher

MAX_FRAMES = 20_000
LINEAR = Linear()


def run_frames(
    source: Source,
    rows: FrameRows,
    tasks: Sequence[FrameTask],
    *,
    head: FrameHead = LINEAR,
    max_frames: int = MAX_FRAMES,
    seed: int = 0,
    resamples: int = 1000,
    ordered: bool = True,
    device: str = "cpu",
    data: str = "",
    progress: Callable[[int, int], None] | None = None,
    watcher: Watcher | None = None,
    done: ProbeResults | None = None,
) -> ProbeResults:
    """Trains a head on the frames of every layer for the tasks that are asked of this rate.

    A head is trained on at most `max_frames` frames of `train`, some of every clip. Of its grid,
    the choice with the lowest loss on as many frames of `valid` is kept. Then the clips of `valid`
    and of the test splits are answered frame by frame, decoded and scored, a piece of the layer at
    a time; the setting of the decoder is the one that scores best on `valid`. Memory is bounded by
    the kept frames and a piece of rows. Layers are selected as in `probes.running.run`.

    Tasks that share their clips of `train` and `valid` share the frames, the decomposition of the
    layer and the products of the solver.

    Parameters
    ----------
    source : layers over the rows.
    rows : what each row is; kind `frames:HZ`.
    tasks : those for another kind of rows are passed over.
    head : trained for each task.
    max_frames : to train on, and to choose on.
    seed : of which frames are kept, of resamples, and of the splits where the data has none.
    resamples, ordered, device, data, progress, watcher, done : as in `probes.running.run`.

    Raises
    ------
    ProbeError : rows that do not match, activations that are not finite, labels that cannot be
        read. A task with too little data is no error: it stands in `skipped` with the reason.
    """
    check_rows(source, rows)
    if max_frames < 1:
        raise ProbeError(f"training on {max_frames} frames is none: allow at least 1")
    layers = tuple(source.layers)
    known = {} if done is None else {t.task: t for t in done.tasks if _layers(t) == layers}
    rate = rate_of(rows.kind)
    wanted = [task for task in tasks if rate_of(task.rows) == rate]
    asked = [task for task in wanted if task.name not in known]
    batches, drawn, skipped = _batches(asked, rows, max_frames, seed)
    found: dict[str, TaskResult] = {}
    for number, batch in enumerate(batches):
        fitted = []
        with one_a_core(device) as pool:
            made = pool.map(partial(batch.layer, source, head, device), layers)
            for layer, one in zip(layers, made, strict=True):
                fitted.append(one)
                if progress:
                    progress(number * len(layers) + len(fitted), len(batches) * len(layers))
                if watcher:
                    for tally in one:
                        task = tally.question.task
                        watcher.layer(task.name, layer, tally.scored(task.metric, VALID).value)
        for column in zip(*fitted, strict=True):
            name = column[0].question.task.name
            found[name] = result(
                column[0].asked.frame((*_remarks(layers, column), *drawn)),
                head.name,
                layers,
                [tally.judged() for tally in column],
                seed=seed,
                resamples=resamples,
                ordered=ordered,
                data=data,
            )
            if watcher:
                watcher.task(found[name], ())
    if progress and not batches:
        progress(len(layers), len(layers))
    settings = {
        **head.settings, "max_frames": max_frames, "seed": seed, "resamples": resamples,
        "interval": inference.LEVEL,
    }  # fmt: skip
    results = [{**known, **found}.get(task.name) for task in wanted]
    return ProbeResults(
        source.name, layers, tuple(r for r in results if r is not None), skipped, settings
    )


def frame_batches(
    rows: FrameRows, tasks: Sequence[FrameTask], max_frames: int = MAX_FRAMES, seed: int = 0
) -> list[list[str]]:
    """Names of the tasks that `run_frames` would train together, as `probes.running.batches`."""
    rate = rate_of(rows.kind)
    some = [task for task in tasks if rate_of(task.rows) == rate]
    found, _, _ = _batches(some, rows, max_frames, seed)
    return [[one.question.task.name for one in batch.asked] for batch in found]


def impossible_frames(
    rows: FrameRows, tasks: Sequence[FrameTask], max_frames: int = MAX_FRAMES, seed: int = 0
) -> dict[str, str]:
    """Task -> why `run_frames` would skip it, as `probes.running.impossible`."""
    rate = rate_of(rows.kind)
    some = [task for task in tasks if rate_of(task.rows) == rate]
    *_, skipped = _batches(some, rows, max_frames, seed)
    return skipped


def _batches(
    tasks: Sequence[FrameTask], rows: FrameRows, max_frames: int, seed: int
) -> tuple[list[_Batch], list[str], dict[str, str]]:
    """What is fitted together, notes on splits that were made up, and task -> why it is skipped."""
    groups = np.array([clip.group for clip in rows.clips], dtype=object)
    splits, drawn = settle([clip.split for clip in rows.clips], groups, seed)
    together: dict[tuple, list[Question]] = defaultdict(list)
    skipped = {}
    for task in tasks:
        try:
            question = make_question(task, rows, splits)
        except NotProbed as reason:
            skipped[task.name] = str(reason)
        else:
            together[question.places[TRAIN], question.places[VALID]].append(question)
    batches = []
    for questions in together.values():
        train, valid = (
            Kept.of(questions[0].clips, questions[0].places[split], max_frames, seed)
            for split in (TRAIN, VALID)
        )
        some = []
        for question in questions:
            try:
                some.append(Asked(question, train, valid))
            except NotProbed as reason:
                skipped[question.task.name] = str(reason)
        if some:
            batches.append(_Batch(tuple(some), train, valid))
    return batches, drawn, skipped


@dataclass(frozen=True)
class _Batch:
    """Questions that share their clips of training and validation, and the frames kept of them."""

    asked: tuple[Asked, ...]
    train: Kept
    valid: Kept

    def layer(self, source: Source, head: FrameHead, device: str, layer: str) -> list[Tally]:
        """What one layer scores on every question."""
        edges = self.asked[0].question.clips.edges
        train, valid = (
            gather(source, layer, kept.places, kept.frames, edges, device)
            for kept in (self.train, self.valid)
        )
        fitted = head.fit(
            train, [one.target for one in self.asked], valid, [one.held for one in self.asked]
        )
        del train
        ready = fitted.ready(valid)
        tallies = []
        for number, one in enumerate(self.asked):
            logits = (_numpy(fitted.logits(ready, number, c)) for c in range(len(fitted.settings)))
            losses = [float(np.nanmean(one.held.surprise(some))) for some in logits]
            tallies.append(Tally(one, losses, fitted.converged[number], fitted.settings))
        del ready, valid

        def answer(splits: Sequence[str], take: Callable[..., None]) -> None:
            mine = [set(one.question.of(splits)) for one in self.asked]
            places = sorted(set().union(*mine))
            for run, values in stream(source, layer, places, edges, device):
                ready = fitted.ready(values)
                ends = np.cumsum([edges[place + 1] - edges[place] for place in run])
                for number, tally in enumerate(tallies):
                    logits = _numpy(fitted.logits(ready, number, tally.choice))
                    pairs = zip(run, np.split(logits, ends[:-1]), strict=True)
                    pairs = [pair for pair in pairs if pair[0] in mine[number]]
                    if pairs:
                        take(tally, *zip(*pairs, strict=True))

        answer([VALID], Tally.hold)
        for tally in tallies:
            tally.settle()
        answer(EVALUATED, Tally.test)
        return tallies


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


def _layers(result: TaskResult) -> tuple[str, ...]:
    return tuple(one.layer for one in result.layers)


def _remarks(layers: Sequence[str], tallies: Sequence[Tally]) -> list[str]:
    """Notes on choices at the edge of the head's grid and on fits that did not converge."""
    notes = []
    settings = tallies[0].settings
    last = len(settings) - 1
    for edge, inner in ((0, 1), (last, last - 1)) if last > 0 else ():
        if any(t.choice == edge and t.losses[edge] < 0.999 * t.losses[inner] for t in tallies):
            setting = ", ".join(f"{name} {value:g}" for name, value in settings[edge].items())
            notes.append(f"{setting} was best for some layers: a wider grid might do better")
    early = [layer for layer, one in zip(layers, tallies, strict=True) if not one.converged]
    if early:
        notes.append(f"the optimiser stopped early for {', '.join(early)}")
    return notes
