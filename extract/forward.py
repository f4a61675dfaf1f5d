"""Running a network over batches: threads or a GPU, precision, memory.

On a CPU one batch a core runs on one thread each: whole batches side by side share a CPU better
than the parts of one operation do, since nothing waits for a core that decoding, or another
program, has taken. Numbers below 1e-38 count as zero there: trained networks hold dead filters with
weights of about 1e-35, and a CPU takes six times as long over products that small.

On a GPU two threads take turns, so that one batch is copied while another is computed. How many
windows fit is found by running one and two of them and looking at the memory they took. On a CPU
the first batch runs alone and is measured; as many others then run side by side as the memory of
the machine, or of the container, lets them.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import torch
from threadpoolctl import threadpool_limits

from extract.errors import ActivationsInvalid, OptionUnsuitable
from extract.memory import Room, is_out_of_memory
from extract.models.base import Model

# seconds of audio in a batch; on a CPU few, so that what a layer puts out stays in the cache
BATCH_SECONDS = {"cpu": 9.0, "cuda": 480.0, "mps": 96.0}
FREE_SHARE = 0.7  # of free memory that batches may take
TURNS = 2  # batches in work on a GPU at once
PRECISIONS = ("float32", "tf32", "bf16", "fp16")
REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}
# devices without the arithmetic; a CPU has fp16, but at a hundredth of the speed
WITHOUT = {"tf32": ("cpu", "mps"), "fp16": ("cpu",)}

Say = Callable[[str], None]


class Forward:
    """A model on its device; a context, since threads and number formats are set inside.

    Parameters
    ----------
    precision : one of `PRECISIONS`. `tf32` shortens factors of float32 products to 10 bits and
        needs a CUDA device; `bf16` and `fp16` are torch's automatic mixed precision.
    compiled : whether the model's blocks go through `torch.compile`.
    say : told once when memory runs out and batches become smaller.

    Raises
    ------
    OptionUnsuitable : a precision that the device has not, or a model that cannot be compiled.
    """

    def __init__(
        self,
        model: Model,
        device: str,
        *,
        precision: str = "float32",
        compiled: bool = False,
        say: Say | None = None,
    ):
        self.model, self.device, self.precision = model, device, precision
        self.kind = device.partition(":")[0]
        if precision not in PRECISIONS:
            raise OptionUnsuitable(f"--precision {precision}: there are {', '.join(PRECISIONS)}")
        if self.kind in WITHOUT.get(precision, ()):
            raise OptionUnsuitable(
                f"--precision {precision}: not for {device}; use float32 or bf16 there"
            )
        self.until = model.layers[-1].name
        self._compiled, self._say = compiled, say or warnings.warn
        self._cores = torch.get_num_threads() if self.kind == "cpu" else TURNS
        self._room: int | None = None  # windows that fit, once memory has spoken
        self._memory = Room(FREE_SHARE, self._cores, measured=self.kind == "cpu")
        self._told = False
        self._lock = threading.Lock()

    def __enter__(self) -> Forward:
        self.model.to(self.device)
        if self._compiled:
            compile_blocks(self.model)
        if self.kind == "cpu":
            torch.set_num_threads(1)
        # torch leaves TF32 on for convolutions; nothing compared with a reference may use it
        tf32 = self.precision == "tf32"
        self._flags = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        # NumPy's products in the threads that decode: they, too, are one a core already
        self._limits = threadpool_limits(1, user_api="blas")
        self._pool = ThreadPoolExecutor(
            self._cores, initializer=torch.set_flush_denormal, initargs=(True,)
        )
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._limits.restore_original_limits()
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._flags
        if self.kind == "cpu":
            torch.set_num_threads(self._cores)

    def submit(self, function: Callable, *arguments) -> Future:
        """Runs a function in a worker thread; one a core, or the two that share a GPU."""
        return self._pool.submit(function, *arguments)

    def outputs(
        self, values: Sequence[torch.Tensor]
    ) -> Iterator[tuple[slice, Mapping[str, torch.Tensor]]]:
        """Layers of windows, as many at a time as memory lets one.

        Parameters
        ----------
        values : of windows, all of one shape.

        Yields
        ------
        (which of the windows, layer name -> [windows, frames, width])

        Raises
        ------
        ActivationsInvalid : not even one window fits.
        """
        first = 0
        while first < len(values):
            size = min(self._room or len(values), len(values) - first)
            here = slice(first, first + size)
            # what is put out is held, too, until it was looked at
            with self._memory.take(size * values[0].numel()):
                if (found := self._unless_full(values[here])) is not None:
                    yield here, found
            if found is None and size == 1:
                with self._memory.alone():  # others may have taken what it needed
                    if (found := self._unless_full(values[here])) is None:
                        raise self._no_room()
                    yield here, found
            if found is None:
                self._shrink(size)
                continue
            found = None
            first += size

    def batch_size(self, values: torch.Tensor, seconds: float) -> int:
        """How many windows like this one [...] of so many seconds make a batch."""
        most = max(1, int(BATCH_SECONDS[self.kind] / max(seconds, 0.01)))
        if self.kind != "cuda" or most == 1:
            return most
        if self._room is None:
            self._room = self._probe(values)
        return min(most, self._room)

    def _run(self, batch: torch.Tensor) -> Mapping[str, torch.Tensor]:
        if self.kind == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True)
        with torch.inference_mode(), self._reduced():
            return self.model.forward(batch, self.until)

    def _unless_full(self, windows: Sequence[torch.Tensor]) -> Mapping[str, torch.Tensor] | None:
        """Layers of some windows; None where memory ran out."""
        try:
            return self._run(torch.stack(list(windows)))
        except (RuntimeError, MemoryError, OSError) as error:
            if not is_out_of_memory(error):
                raise
        # outside of this block nothing holds on to what the failed pass had put aside
        if self.kind == "cuda":
            torch.cuda.empty_cache()
        return None

    def _reduced(self):
        if self.precision not in REDUCED:
            return nullcontext()
        return torch.autocast(self.kind, REDUCED[self.precision])

    def _probe(self, values: torch.Tensor) -> int:
        """Windows that fit into the GPU's free memory, from the peaks of running one and two."""
        peaks = []
        for count in (1, 2):
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            try:
                self._run(torch.stack([values] * count))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                return 1
            peaks.append(torch.cuda.max_memory_allocated(self.device) - before)
        torch.cuda.empty_cache()
        each = max(peaks[1] - peaks[0], peaks[0] // 4, 1)
        free, _ = torch.cuda.mem_get_info(self.device)
        room = FREE_SHARE * free / TURNS - (peaks[0] - each)
        return max(1, int(room / each))

    def _shrink(self, failed: int) -> None:
        with self._lock:
            self._room = min(self._room or failed, max(1, failed // 2))
            told, self._told = self._told, True
        if not told:
            self._say(f"out of memory on {self.device}: going on with smaller batches")

    def _no_room(self) -> ActivationsInvalid:
        fixed = self.model.card.fixed or type(self.model).windows is not Model.windows
        cures = [] if fixed else ["a shorter --window"]
        if self.precision == "float32":
            cures.append("--precision bf16")
        cures += ["fewer --layers", "--workers 1"]
        return ActivationsInvalid(
            f"{self.model.name}: out of memory on {self.device} for a single window of "
            f"{self.model.window:g} s; give {', '.join(cures)} or another --device"
        )


def compile_blocks(model: Model) -> None:
    """Sends each of the model's repeated blocks through `torch.compile`, which compiles one.

    Raises OptionUnsuitable for a model without such blocks.
    """
    blocks = model.blocks
    if not blocks:
        raise OptionUnsuitable(f"--compile: {model.name} cannot be compiled; leave it out")
    for block in blocks:
        block.compile()
