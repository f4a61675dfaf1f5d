"""From clips to stores: decode and cut in threads, one forward pass, rows kept by shard."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch

from extract.claims import Claim, Claims
from extract.datasets.base import Clip, Dataset
from extract.errors import AudioError, DataError
from extract.forward import Forward, Say
from extract.models.base import Model, file_name
from extract.plan import Plan, plan_rows, plan_spans
from extract.pooling import ClipRows, Part, pool
from extract.precision import WINDOWS, deviations
from extract.store import Activations, Elsewhere, Failure, Store
from extract.windows import Window

VERSION = "2"  # of what extraction computes; a change makes new stores
SHARD_CLIPS, SHARD_SECONDS = 32, 480.0  # at most; frames of all layers of a shard are in memory
AHEAD = 48  # clips decoded before they are needed
AHEAD_SECONDS = 3600.0  # and how much audio at most
IN_WORK = 2  # shards: while one is written the next is computed

Progress = Callable[[int, int], None]


class Kept(Protocol):
    """Where stores are kept but on this disk; see `extract.remote.shards.Stores`."""

    def of(self, plan: Plan, name: str) -> Elsewhere:
        """The store of a plan."""

    def warn(self) -> None:
        """Says what no lock prevents; called before anything is computed."""


class Share(Protocol):
    """The part of the shards that is this process's, where several fill one store."""

    def mine(self, shards: Sequence[int]) -> Sequence[int]:
        """Those that this process begins with; then it takes what others have not begun."""

    def wait(self) -> None:
        """Until every process is here."""

    def check(self) -> None:
        """Ends the work with an error where another process is gone, or stands still."""


@dataclass(frozen=True)
class Options:
    """How to run an extraction.

    Attributes
    ----------
    device : `cpu`, `cuda`, `mps`.
    workers : threads that decode and cut.
    dtype : of the store, `float32` or `float16`.
    max_bad : the share of clips that may fail before the run is called off.
    precision : of the network's arithmetic, see `extract.forward`.
    compiled : whether the network's blocks go through `torch.compile`.
    """

    device: str = "cpu"
    workers: int = 2
    dtype: str = "float32"
    max_bad: float = 0.5
    precision: str = "float32"
    compiled: bool = False


@dataclass(frozen=True)
class _Cut:
    clip: Clip
    windows: list[Window] | None
    reason: str = ""


@dataclass(frozen=True)
class _Shard:
    """A shard in work.

    Attributes
    ----------
    good : clips with audio.
    rows : kind -> rows of each of them, being filled by `parts`.
    """

    index: int
    good: list[_Cut]
    failures: list[Failure]
    rows: dict[str, list[ClipRows]]
    parts: list[Future[list[Part]]]


def extract(
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    kinds: Sequence[str],
    folder: Path,
    options: Options = Options(),
    progress: Progress | None = None,
    say: Say | None = None,
    share: Share | None = None,
    kept: Kept | None = None,
) -> dict[str, Activations]:
    """Runs a model over clips once and keeps the rows of each kind.

    What is already in `folder` is not computed again.

    Parameters
    ----------
    kinds : kinds of rows (see `extract.rows`); each gets a store of its own.
    folder : where stores live.
    progress : called with (clips done, clips to do).
    say : called with what a user should know, a line each.
    share : of this process where several run over the same clips; all of it when None.
    kept : where finished shards go; they stay in `folder` when None.

    Returns
    -------
    kind -> activations of the clips that could be read.

    Raises
    ------
    ActivationsInvalid : a layer put out values that are not finite, or memory ran out.
    DataError : more than `options.max_bad` of the clips failed.
    OptionUnsuitable : a precision that the device has not, or a model that cannot be compiled.
    """
    stores = {
        kind: open_store(model, dataset, clips, kind, folder, options, kept) for kind in kinds
    }
    begin = share.mine if share is not None else None
    with Claims(stores, say or warnings.warn, begin) as claims:
        if claims.left:
            if kept is not None:
                kept.warn()
            _measure_precision(model, dataset, clips, list(stores.values()), options)
            forward = Forward(
                model,
                options.device,
                precision=options.precision,
                compiled=options.compiled,
                say=say,
            )
            with forward:
                _fill(stores, claims, model, dataset, clips, options, forward, progress, share)
    if share is not None:
        share.wait()
    out = {kind: Activations(model.name, store, clips) for kind, store in stores.items()}
    _check_failures(next(iter(out.values())), len(clips), options.max_bad)
    return out


def _fill(
    stores: dict[str, Store],
    claims: Claims,
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    options: Options,
    forward: Forward,
    progress: Progress | None,
    share: Share | None,
) -> None:
    """Computes missing shards until all are there, those of other processes included."""
    plan = next(iter(stores.values())).plan
    total = claims.left

    def tell() -> None:
        if progress:
            progress(total - claims.left, total)

    def finish(claim: Claim, shard: _Shard) -> None:
        _finish(model, shard, stores)
        claims.done(claim)
        tell()

    tell()
    while claims.left:
        if not (claim := claims.take()):
            if claims.left:
                claims.wait()
                if share is not None:
                    share.check()
            tell()
            continue
        taken, in_work = deque(), deque()

        def mine(claim: Claim | None, taken=taken) -> Iterator[Clip]:
            # asked for as clips are decoded: nothing is claimed long before its turn
            while claim:
                taken.append(claim)
                yield from (clips[i] for i in plan.shard(claim.shard))
                claim = claims.take()

        with _decoded(model, dataset, mine(claim), options.workers) as stream:
            for first in stream:
                claim = taken.popleft()
                if len(in_work) == IN_WORK:
                    finish(*in_work.popleft())
                batch = [first, *islice(stream, len(plan.shard(claim.shard)) - 1)]
                shard = _begin(model, batch, claim.kinds, claim.shard, forward, dataset)
                in_work.append((claim, shard))
            while in_work:
                finish(*in_work.popleft())


def open_store(
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    kind: str,
    folder: Path,
    options: Options,
    kept: Kept | None = None,
) -> Store:
    """The store that holds, or will hold, these rows."""
    plan = make_plan(model, dataset, clips, kind, options)
    elsewhere = kept.of(plan, store_name(plan)) if kept is not None else None
    return Store(store_folder(folder, plan), plan, elsewhere)


def store_folder(folder: Path, plan: Plan) -> Path:
    """Where the store of a plan is, or would be."""
    return Path(folder) / store_name(plan)


def store_name(plan: Plan) -> str:
    """The path of a store below the folder of all."""
    return f"{file_name(plan.model)}/{plan.rows.replace(':', '-')}-{plan.digest[:12]}"


def make_plan(
    model: Model, dataset: Dataset, clips: Sequence[Clip], kind: str, options: Options
) -> Plan:
    """What the store of these rows holds."""
    return Plan(
        model=model.name,
        weights=model.weights.sha256,
        data=dataset.card.name,
        audio=dataset.card.audio,
        rows=kind,
        spans=plan_spans(clips, kind),
        window=model.window,
        hop=model.hop,
        layers=tuple((layer.name, layer.width) for layer in model.layers),
        clips=plan_rows(clips, kind),
        shard_clips=shard_clips(clips),
        # at a task's rate there are a hundred rows a clip; probes standardise what they read
        dtype="float16" if "@" in kind else options.dtype,
        precision=options.precision,
        version=VERSION,
    )


def shard_clips(clips: Sequence[Clip]) -> int:
    """How many clips a shard holds, by how long they are on average."""
    seconds = sum(clip.duration for clip in clips)
    most = SHARD_SECONDS * len(clips) / seconds if seconds else SHARD_CLIPS
    return int(min(SHARD_CLIPS, max(1, most)))


class _decoded:
    """Clips decoded and cut in threads, in order, a bounded number ahead."""

    def __init__(self, model: Model, dataset: Dataset, clips: Iterable[Clip], workers: int):
        self._pool = ThreadPoolExecutor(max(1, workers))
        self._model, self._dataset, self._clips = model, dataset, clips
        self._reading = dataset.reading(max(1, workers))

    def __enter__(self) -> Iterator[_Cut]:
        self._reading.__enter__()
        return self._stream()

    def __exit__(self, *error) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._reading.__exit__(*error)

    def _stream(self) -> Iterator[_Cut]:
        waiting: deque[Future[_Cut]] = deque()
        seconds: deque[float] = deque()
        for clip in self._clips:
            self._dataset.expect(clip)
            waiting.append(self._pool.submit(self._cut, clip))
            seconds.append(clip.duration)
            while waiting and (len(waiting) >= AHEAD or sum(seconds) > AHEAD_SECONDS):
                seconds.popleft()
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _cut(self, clip: Clip) -> _Cut:
        try:
            waveform = self._dataset.audio(clip, self._model.sample_rate)
            return _Cut(clip, self._model.windows(waveform))
        except AudioError as error:
            return _Cut(clip, None, str(error))


def _measure_precision(
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    stores: Sequence[Store],
    options: Options,
) -> None:
    """Puts into each store how far a reduced precision is from float32 on the first windows."""
    if options.precision == "float32" or all(store.deviations() for store in stores):
        return
    windows: list[Window] = []
    for clip in clips:
        try:
            windows += model.windows(dataset.audio(clip, model.sample_rate))
        except AudioError:
            continue
        if len(windows) >= WINDOWS:
            break
    shape = windows[0].values.shape if windows else ()
    values = [window.values for window in windows if window.values.shape == shape][:WINDOWS]
    if not values:
        return
    found = deviations(model, options.device, options.precision, values)
    for store in stores:
        store.keep_deviations(found)


def _begin(
    model: Model,
    batch: Sequence[_Cut],
    kinds: Sequence[str],
    shard: int,
    forward: Forward,
    dataset: Dataset,
) -> _Shard:
    """Hands the windows of one shard to the threads that run the network."""
    bad = [c for c in batch if c.windows is None]
    failures = [Failure(c.clip.id, dataset.file(c.clip), c.reason) for c in bad]
    good = [c for c in batch if c.windows is not None]
    rows = {kind: [ClipRows(c.clip, kind, model.layers) for c in good] for kind in kinds}

    def run(members: list[tuple[int, int]]) -> list[Part]:
        parts = []
        for here, outputs in forward.outputs([good[i].windows[j].values for i, j in members]):
            pairs = [(good[i].windows[j], [rows[k][i] for k in kinds]) for i, j in members[here]]
            parts += pool(outputs, model.layers, pairs)
        return parts

    parts = [forward.submit(run, members) for members in _batches(model, good, forward)]
    return _Shard(shard, good, failures, rows, parts)


def _finish(model: Model, shard: _Shard, stores: dict[str, Store]) -> None:
    """Waits for a shard's windows and writes it."""
    # in the order of the batches: sums come out the same however threads run
    for batch in shard.parts:
        for part in batch.result():
            part.add()
    for kind, rows in shard.rows.items():
        layers = {}
        for layer in model.layers:
            means = [one.means(layer.name, model.name) for one in rows]
            layers[layer.name] = torch.cat(means) if means else torch.empty((0, layer.width))
        stores[kind].write(shard.index, layers, [c.clip.id for c in shard.good], shard.failures)


def _batches(
    model: Model, good: Sequence[_Cut], forward: Forward
) -> Iterator[list[tuple[int, int]]]:
    """(clip, window) pairs of equal shape, as many at a time as memory allows."""
    by_shape: dict[tuple, list[tuple[int, int]]] = {}
    for i, cut in enumerate(good):
        for j, window in enumerate(cut.windows):
            by_shape.setdefault(tuple(window.values.shape), []).append((i, j))
    for members in by_shape.values():
        i, j = members[0]
        window = good[i].windows[j]
        clip = good[i].clip.duration
        seconds = model.window if model.card.fixed else min(model.window, clip)
        size = forward.batch_size(window.values, seconds)
        for first in range(0, len(members), size):
            yield members[first : first + size]


def _check_failures(activations: Activations, clips: int, max_bad: float) -> None:
    bad = len(activations.failures)
    if clips and (bad == clips or bad > max_bad * clips):
        first = activations.failures[0]
        raise DataError(
            f"{bad} of {clips} clips could not be used (at most {max_bad:.0%} may fail, "
            f"--max-bad); the first: {first.reason}"
        )
