"""From clips to stores: decode and cut in threads, one forward pass, rows kept by shard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from extract.datasets.base import Clip, Dataset
from extract.errors import ActivationsInvalid, AudioError, DataError
from extract.models.base import Layer, Model, file_name
from extract.rows import stretches
from extract.store import Activations, Failure, Plan, Store, plan_rows
from extract.windows import Window, frame_weights

VERSION = "1"  # of what extraction computes; a change makes new stores
SHARD_CLIPS = 32
# seconds of audio in a batch; on a CPU few, so that what a layer puts out stays in the cache
BATCH_SECONDS = {"cpu": 9.0, "cuda": 480.0, "mps": 96.0}
AHEAD = 48  # clips decoded before they are needed

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How to run an extraction.

    Attributes
    ----------
    device : `cpu`, `cuda`, `mps`.
    workers : threads that decode and cut.
    dtype : of the store, `float32` or `float16`.
    max_bad : the share of clips that may fail before the run is called off.
    """

    device: str = "cpu"
    workers: int = 2
    dtype: str = "float32"
    max_bad: float = 0.5


@dataclass(frozen=True)
class _Cut:
    clip: Clip
    windows: list[Window] | None
    reason: str = ""


def extract(
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    kinds: Sequence[str],
    folder: Path,
    options: Options = Options(),
    progress: Progress | None = None,
) -> dict[str, Activations]:
    """Runs a model over clips once and keeps the rows of each kind.

    What is already in `folder` is not computed again.

    Parameters
    ----------
    kinds : kinds of rows (see `extract.rows`); each gets a store of its own.
    folder : where stores live.
    progress : called with (clips done, clips to do).

    Returns
    -------
    kind -> activations of the clips that could be read.

    Raises
    ------
    ActivationsInvalid : a layer put out values that are not finite.
    DataError : more than `options.max_bad` of the clips failed.
    """
    stores = {kind: open_store(model, dataset, clips, kind, folder, options) for kind in kinds}
    wanted = {kind: set(store.missing()) for kind, store in stores.items()}
    shards = sorted(set().union(*wanted.values()))
    plan = next(iter(stores.values())).plan
    todo = [clips[i] for shard in shards for i in plan.shard(shard)]
    done = 0
    if progress:
        progress(0, len(todo))
    if todo:
        # torch leaves TF32 on for convolutions; nothing compared with a reference may use it
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        model.to(options.device)
    with _decoded(model, dataset, todo, options.workers) as stream, _Forward(options) as forward:
        for shard in shards:
            batch = [next(stream) for _ in plan.shard(shard)]
            here = {kind: stores[kind] for kind in kinds if shard in wanted[kind]}
            _extract_shard(model, batch, here, shard, forward, dataset)
            done += len(batch)
            if progress:
                progress(done, len(todo))
    out = {kind: Activations(model.name, store, clips) for kind, store in stores.items()}
    _check_failures(next(iter(out.values())), len(clips), options.max_bad)
    return out


def open_store(
    model: Model,
    dataset: Dataset,
    clips: Sequence[Clip],
    kind: str,
    folder: Path,
    options: Options,
) -> Store:
    """The store that holds, or will hold, these rows."""
    plan = Plan(
        model=model.name,
        weights=model.weights.sha256,
        data=dataset.card.name,
        identity=dataset.card.identity,
        rows=kind,
        window=model.window,
        hop=model.hop,
        layers=tuple((layer.name, layer.width) for layer in model.layers),
        clips=plan_rows(clips, kind),
        shard_clips=SHARD_CLIPS,
        dtype=options.dtype,
        version=VERSION,
    )
    name = f"{kind.replace(':', '-')}-{plan.digest[:12]}"
    return Store(Path(folder) / file_name(model.name) / name, plan)


class _decoded:
    """Clips decoded and cut in threads, in order, a bounded number ahead."""

    def __init__(self, model: Model, dataset: Dataset, clips: Sequence[Clip], workers: int):
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
        waiting, clips = deque(), iter(self._clips)
        for clip in clips:
            waiting.append(self._pool.submit(self._cut, clip))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _cut(self, clip: Clip) -> _Cut:
        try:
            waveform = self._dataset.audio(clip, self._model.sample_rate)
            return _Cut(clip, self._model.windows(waveform))
        except AudioError as error:
            return _Cut(clip, None, str(error))


class _Forward:
    """Runs batches: on a GPU one after the other, on a CPU one a core, each on one thread.

    Whole batches side by side share a CPU better than the parts of one operation do: nothing waits
    for a core that decoding, or another program, has taken. Numbers below 1e-38 count as zero:
    trained networks hold dead filters with weights of about 1e-35, and a CPU takes six times as
    long over products that small.
    """

    def __init__(self, options: Options):
        self.device = options.device
        self._cores = torch.get_num_threads() if options.device == "cpu" else 1

    def __enter__(self) -> _Forward:
        if self.device == "cpu":
            torch.set_num_threads(1)
        # NumPy's products in the threads that decode: they, too, are one a core already
        self._limits = threadpool_limits(1, user_api="blas")
        self._pool = ThreadPoolExecutor(
            self._cores, initializer=torch.set_flush_denormal, initargs=(True,)
        )
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._limits.restore_original_limits()
        if self.device == "cpu":
            torch.set_num_threads(self._cores)

    def map(self, function: Callable, items: Iterable) -> Iterator:
        """Results in the order of the items: sums come out the same however threads run."""
        return self._pool.map(function, items)


def _extract_shard(
    model: Model,
    batch: Sequence[_Cut],
    stores: dict[str, Store],
    shard: int,
    forward: _Forward,
    dataset: Dataset,
) -> None:
    """Forward, pool and write one shard."""
    bad = [c for c in batch if c.windows is None]
    failures = [Failure(c.clip.id, dataset.file(c.clip), c.reason) for c in bad]
    good = [c for c in batch if c.windows is not None]
    pooled = {kind: [_Pool(c.clip, kind, model) for c in good] for kind in stores}

    def run(members: list[tuple[int, int]]) -> list[tuple[_Pool, Layer, tuple]]:
        values = torch.stack([good[i].windows[j].values for i, j in members]).to(forward.device)
        with torch.inference_mode():
            outputs = model.forward(values)
            return [
                (pool, layer, pool.part(layer, outputs[layer.name][row].float(), window))
                for row, (i, j) in enumerate(members)
                for window in [good[i].windows[j]]
                for pool in [pooled[kind][i] for kind in stores]
                if len(pool.spans)
                for layer in model.layers
            ]

    for parts in forward.map(run, _batches(model, good, forward.device)):
        for pool, layer, part in parts:
            pool.add(layer, *part)
    for kind, store in stores.items():
        layers = {}
        for layer in model.layers:
            rows = [pool.rows(layer) for pool in pooled[kind]]
            layers[layer.name] = torch.cat(rows) if rows else torch.empty((0, layer.width))
        store.write(shard, layers, [c.clip.id for c in good], failures)


def _batches(model: Model, good: Sequence[_Cut], device: str) -> Iterator[list[tuple[int, int]]]:
    """(clip, window) pairs of equal shape, as many at a time as the device's budget allows."""
    by_shape: dict[tuple, list[tuple[int, int]]] = {}
    for i, cut in enumerate(good):
        for j, window in enumerate(cut.windows):
            by_shape.setdefault(tuple(window.values.shape), []).append((i, j))
    for members in by_shape.values():
        i, j = members[0]
        window = good[i].windows[j]
        seconds = model.window if model.card.fixed else window.owns[1] - window.start
        size = max(1, int(BATCH_SECONDS[device.split(":")[0]] / max(seconds, 0.01)))
        for first in range(0, len(members), size):
            yield members[first : first + size]


class _Pool:
    """Rows of one clip: means of the frames of its windows, weighted by overlap in time."""

    def __init__(self, clip: Clip, kind: str, model: Model):
        self.clip, self.model = clip, model
        self.spans = stretches(clip, kind)
        self.sums: dict[str, torch.Tensor] = {}
        self.seconds: dict[str, torch.Tensor] = {}
        self._weights: dict[tuple, tuple[torch.Tensor, torch.Tensor]] = {}

    def part(
        self, layer: Layer, frames: torch.Tensor, window: Window
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What one window [frames, width] brings to each row: weighted sum, and its seconds."""
        time = (len(frames), layer.rate, layer.center, window.start, window.owns)
        if time not in self._weights:  # most layers of a model have the same frames
            weights = torch.from_numpy(frame_weights(*time, self.spans))
            seconds = weights.sum(1, keepdim=True)
            self._weights[time] = weights.to(frames.device, frames.dtype), seconds
        weights, seconds = self._weights[time]
        return (weights @ frames).double().cpu(), seconds

    def add(self, layer: Layer, total: torch.Tensor, seconds: torch.Tensor) -> None:
        self.sums[layer.name] = self.sums.get(layer.name, 0.0) + total
        self.seconds[layer.name] = self.seconds.get(layer.name, 0.0) + seconds

    def rows(self, layer: Layer) -> torch.Tensor:
        if not len(self.spans):
            return torch.empty((0, layer.width))
        if (self.seconds[layer.name] <= 0).any():
            raise DataError(f"clip {self.clip.id}: a labelled segment lies outside the audio")
        values = self.sums[layer.name] / self.seconds[layer.name]
        if not torch.isfinite(values).all():
            raise ActivationsInvalid(
                f"{self.model.name}: layer {layer.name} put out values that are not finite for "
                f"clip {self.clip.id}; check the weights, and use float32"
            )
        return values.float()


def _check_failures(activations: Activations, clips: int, max_bad: float) -> None:
    bad = len(activations.failures)
    if clips and (bad == clips or bad > max_bad * clips):
        first = activations.failures[0]
        raise DataError(
            f"{bad} of {clips} clips could not be used (at most {max_bad:.0%} may fail); "
            f"the first: {first.reason}"
        )
