"""Tries a model before a long run: does it do what its card promises?

Each check stands alone: one that fails, or breaks, does not hide the others. A model is tried on
noise, on noise with a short burst whose time is known, on silence, on full scale and on a
constant, in windows as short as the model lets one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from extract.errors import AudioError, ExtractError
from extract.faults import said
from extract.models.base import Model, ModelSpec, Request
from extract.signals import burst, misplaced, noise
from extract.trial.bench import Bench, Failed, Skipped
from extract.trial.snapshot import changes, snapshot

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
# rounding on one thread or on several, and in batches of other sizes; chance is far above both
SAME, ALIKE = 3e-5, 1e-3
FRAMES = 2  # so many frames are rounding; more are lost where the first is centred late


@dataclass(frozen=True)
class Check:
    """What came of one check: `outcome` is ok, failed or skipped; `detail` has the numbers."""

    name: str
    outcome: str
    detail: str


def trial(
    spec: ModelSpec, request: Request, *, device: str = "cpu", seconds: float = 45.0
) -> Iterator[Check]:
    """One `Check` after the other, as they are done.

    Parameters
    ----------
    spec : the model, as the registry or the user's module gives it.
    request : the weights to load.
    device : where the network runs.
    seconds : what the passes may take; checks that would go beyond are skipped, and say so.

    Raises
    ------
    ExtractError : what loading says of weights that are missing or wrong, or of a request that the
        model cannot follow; before the first check, as the rest would be skipped for it.
    """
    bench = Bench(spec, device, seconds)
    loads = _outcome("loads", partial(bench.load, request))
    yield _outcome("card", partial(_card, spec))
    yield _outcome("layers", partial(_layers, spec))
    yield loads
    for name, check in CHECKS.items():
        yield _outcome(name, partial(check, bench))


def _outcome(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, OK, check())
    except Skipped as reason:
        return Check(name, SKIPPED, str(reason))
    except Failed as reason:
        return Check(name, FAILED, str(reason))
    except ExtractError as error:
        if name == "loads":
            raise
        return Check(name, FAILED, str(error))
    except Exception as error:  # whatever the model raises is what the check found
        return Check(name, FAILED, said(error))


def _counted(samples: int) -> str:
    return f"{samples} sample{'' if samples == 1 else 's'}"


def _card(spec: ModelSpec) -> str:
    card = spec.card
    if not isinstance(card.sample_rate, int) or not 1 <= card.sample_rate <= 384_000:
        raise Failed(f"sample rate {card.sample_rate!r}: a whole number of Hz is needed")
    if not card.window > 0 or (card.hop is not None and not 0 < card.hop <= card.window):
        raise Failed(f"window {card.window:g} s, hop {card.hop}: the hop is at most the window")
    if not 1 <= card.minimum <= round(card.window * card.sample_rate):
        raise Failed(f"minimum of {_counted(card.minimum)} does not fit the window")
    empty = [f for f in ("name", "cite", "licence", "training_data") if not getattr(card, f)]
    if empty:
        raise Failed(f"nothing said of {', '.join(empty)}")
    kind = "exactly" if card.fixed else "at most"
    return f"{card.sample_rate} Hz, windows of {kind} {card.window:.4g} s"


def _layers(spec: ModelSpec) -> str:
    layers = spec.card.layers
    names = [layer.name for layer in layers]
    if not layers:
        raise Failed("no layer")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Failed(f"two layers are called {twice[0]}")
    depths = [layer.depth for layer in layers]
    if any(b <= a for a, b in zip(depths, depths[1:], strict=False)):
        raise Failed(f"depths do not rise: {depths}")
    bad = [layer.name for layer in layers if layer.width < 1 or not layer.rate > 0]
    if bad:
        raise Failed(f"{bad[0]}: width and rate must be above zero")
    return f"{len(layers)}, from {names[0]} to {names[-1]}; names unique, depths rise"


def _windows(bench: Bench) -> str:
    seconds = 2.3 * bench.card.window
    samples = bench.samples(seconds)
    windows = bench.model.windows(noise(samples))
    edge = 0.0
    for window in windows:
        if abs(window.owns[0] - edge) > 1e-6 or window.owns[1] <= window.owns[0]:
            raise Failed(f"stretches have a gap or overlap at {edge:.3f} s")
        edge = window.owns[1]
    if abs(edge - samples / bench.card.sample_rate) > 1e-6:
        raise Failed(f"stretches end at {edge:.3f} s of {seconds:.3f} s")
    shapes = {tuple(window.values.shape) for window in windows}
    if bench.card.fixed and len(shapes) > 1:
        raise Failed(f"windows of several shapes, though fixed: {sorted(shapes)}")
    return f"{len(windows)} over {seconds:.3g} s; each moment is owned once"


def _runs(bench: Bench) -> str:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        got = bench.first()
    finally:
        torch.set_num_threads(threads)
    names = [layer.name for layer in bench.card.layers]
    missing = [name for name in names if name not in got]
    extra = [name for name in got if name not in names]
    if missing or extra:
        wrong = [f"not put out: {', '.join(missing)}"] * bool(missing)
        wrong += [f"not on the card: {', '.join(extra)}"] * bool(extra)
        raise Failed("; ".join(wrong))
    if list(got) != names:
        raise Failed(f"order of the layers is {', '.join(got)}")
    return f"{bench.length:.3g} s of noise, all {len(names)} layers"


def _widths(bench: Bench) -> str:
    for layer in bench.card.layers:
        if layer.name not in bench.base:
            continue
        shape = tuple(bench.base[layer.name].shape)
        if len(shape) != 3 or shape[0] != 1:
            raise Failed(f"{layer.name} is {shape}, [batch, frames, width] was expected")
        if shape[2] != layer.width:
            raise Failed(f"{layer.name} is {shape[2]} wide, the card says {layer.width}")
    widths = sorted({output.shape[-1] for output in bench.base.values()})
    return f"as promised ({', '.join(map(str, widths))})"


def _rates(bench: Bench) -> str:
    lengths = {bench.length: bench.base}
    longer = min(3 * bench.length, bench.card.window)
    kind = "exactly" if bench.card.fixed else "at most"
    note = f"at one length, as windows are of {kind} {bench.card.window:.4g} s"
    if longer > bench.length and not bench.card.fixed:
        bench.afford(longer / bench.length)
        samples = bench.samples(longer)
        lengths[longer] = bench.run(bench.values(noise(samples)))
        note = f"at {bench.length:.3g} and {longer:.3g} s"
    worst, name = 0.0, bench.card.layers[0].name
    for layer in bench.card.layers:
        if layer.name not in bench.base:
            continue
        counts = [outputs[layer.name].shape[1] for outputs in lengths.values()]
        off = [count - layer.rate * seconds for count, seconds in zip(counts, lengths, strict=True)]
        # what is lost at the ends is lost at each length: only rounding may differ
        drift = abs(off[-1] - off[0])
        lost = FRAMES + max(0.0, 2 * layer.center * layer.rate)
        if max(off) > FRAMES or -min(off) > lost or drift > 1.5:
            seconds = list(lengths)[-1]
            raise Failed(
                f"{layer.name} has {counts[-1]} frames in {seconds:.3g} s, "
                f"{layer.rate:.4g} frames/s would be {layer.rate * seconds:.1f}"
            )
        if abs(off[-1]) >= worst:
            worst, name = abs(off[-1]), layer.name
    return f"{note}; farthest: {name} by {worst:.1f} frames"


def _finite(bench: Bench) -> str:
    largest = 0.0
    for name, output in bench.base.items():
        if not torch.isfinite(output).all():
            raise Failed(f"{name} has values that are not finite")
        largest = max(largest, float(output.abs().max()))
        if output.numel() > 1 and float(output.min()) == float(output.max()):
            raise Failed(f"{name} is constant: all its values are {float(output.max()):.3g}")
    return f"largest magnitude {largest:.3g}"


def _deterministic(bench: Bench) -> str:
    base = bench.base
    bench.afford(1)
    values = bench.values(noise(bench.samples(bench.length)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.perf_counter()
        again = bench.run(values)
        # the first pass also warmed up
        bench.alone = bench.cost = min(bench.cost, time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    worst, name = _farthest(base, again)
    if worst > SAME:
        raise Failed(f"{name} differs by {worst:.1e} between two passes over the same noise")
    return "two passes are the same to the bit" if worst == 0 else f"differ by {worst:.1e}"


def _batches(bench: Bench) -> str:
    alone = bench.base
    beside = {name: output[:1] for name, output in bench.marked.items()}
    worst, name = _farthest(alone, beside)
    if worst > ALIKE:
        raise Failed(f"{name} differs by {worst:.1e} when other windows are in the batch")
    return f"alone or beside others: {worst:.1e} at most ({name})"


def _times(bench: Bench) -> str:
    rows = bench.marked
    worst, text, judged = -1.0, "", 0
    for layer in bench.card.layers:
        if layer.name not in rows:
            continue
        found = misplaced(
            rows[layer.name], layer.rate, layer.center, bench.times[: len(rows[layer.name]) - 1]
        )
        if found is None:
            continue
        judged += 1
        off, blur = found
        allowed = 1 / layer.rate + blur
        if abs(off) > allowed:
            raise Failed(
                f"{layer.name}: a burst moves the frame {abs(off) * 1000:.0f} ms "
                f"{'after' if off > 0 else 'before'} its time most; "
                f"{allowed * 1000:.0f} ms are allowed, a frame and the blur"
            )
        if abs(off) / allowed >= worst:
            worst = abs(off) / allowed
            text = f"{layer.name}, {abs(off) * 1000:.0f} ms of {allowed * 1000:.0f} allowed"
    if not judged:
        raise Skipped("no layer has frames enough, or changes in one place")
    return f"{judged} of {len(bench.card.layers)} layers judged; worst {text}"


def _until(bench: Bench) -> str:
    base = bench.base
    names = [layer.name for layer in bench.card.layers if layer.name in base]
    chosen = sorted({0, len(names) // 2, *([] if bench.dear else [len(names) - 1])})
    bench.afford(len(chosen) / 2)
    values = bench.values(noise(bench.samples(bench.length)))
    times = []
    for position in chosen:
        start = time.perf_counter()
        got = bench.run(values, names[position])
        times.append(time.perf_counter() - start)
        beyond = [name for name in got if name in names[position + 1 :]]
        if beyond:
            raise Failed(f"until={names[position]!r} goes on to {beyond[0]}")
        lost = [name for name in names[: position + 1] if name not in got]
        if lost:
            raise Failed(f"until={names[position]!r} leaves out {lost[0]}")
        worst, name = _farthest({n: base[n] for n in names[: position + 1]}, got)
        if worst > ALIKE:
            raise Failed(f"until={names[position]!r} changes {name} by {worst:.1e}")
    last = names[chosen[-1]]
    return f"{names[0]} alone takes {times[0] / max(times[-1], 1e-9):.0%} of the pass to {last}"


def _threads(bench: Bench) -> str:
    marked = bench.marked
    rounds = 1 if bench.dear else 2
    bench.afford(2 * rounds)
    plain = noise(bench.samples(bench.length))
    other = plain + burst(len(plain), bench.card.sample_rate, bench.times[0])
    inputs = [bench.values(plain), bench.values(other)]
    expected = [{n: v[row : row + 1] for n, v in marked.items()} for row in (0, 1)]
    together = threading.Barrier(2)
    found: list[str] = []

    def work(which: int) -> None:
        try:
            for _ in range(rounds):
                together.wait(timeout=600)
                worst, name = _farthest(expected[which], bench.run(inputs[which]))
                if worst > ALIKE:
                    found.append(f"{name} differs by {worst:.1e} when two threads run at once")
        except Exception as error:  # a thread must not die unheard
            found.append(f"when two threads run at once: {said(error)}")
            together.abort()

    workers = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if found:
        raise Failed(found[0])
    return "the same as alone"


def _extremes(bench: Bench) -> str:
    bench.base  # noqa: B018  without a first pass there is no cost to judge by
    samples = bench.samples(bench.length)
    signals = {"silence": torch.zeros(samples)}
    if not bench.dear:
        signals["full scale"] = noise(samples).sign()
        signals["a constant"] = torch.full((samples,), 0.5)
    bench.afford(len(signals))
    for what, signal in signals.items():
        for name, output in bench.run(bench.values(signal)).items():
            if not torch.isfinite(output).all():
                raise Failed(f"{what}: {name} has values that are not finite")
    return f"{', '.join(signals)}: finite"


def _shortest(bench: Bench) -> str:
    minimum, rate = bench.card.minimum, bench.card.sample_rate
    bench.base  # noqa: B018
    bench.afford(1 if bench.card.fixed else 0.2)
    for name, output in bench.run(bench.values(noise(minimum))).items():
        if output.shape[1] < 1 or not torch.isfinite(output).all():
            raise Failed(f"{_counted(minimum)}: {name} has no finite frame")
    held = f"{_counted(minimum)} ({minimum / rate * 1000:.3g} ms) taken"
    if minimum == 1 or bench.card.fixed and type(bench.model).windows is Model.windows:
        return f"{held}; shorter audio is padded" if bench.card.fixed else held
    try:
        bench.values(noise(minimum - 1))
    except AudioError:
        return f"{held}, one less is refused"
    raise Failed(f"{_counted(minimum - 1)} taken, though the card says at least {minimum}")


def _state(bench: Bench) -> str:
    bench.base  # noqa: B018
    bench.afford(1)
    plain = noise(bench.samples(bench.length))
    values = bench.values(plain + burst(len(plain), bench.card.sample_rate, bench.times[1]))
    before = snapshot(bench.model)
    bench.run(values)
    changed = changes(before, snapshot(bench.model))
    if changed:
        raise Failed(f"a pass changes {changed[0]}; keep what it computes in local variables")
    return "weights, other tensors and plain values (numbers, texts) are as before a pass"


def _cost(bench: Bench) -> str:
    bench.base  # noqa: B018
    each = (bench.alone or bench.cost) / bench.length
    tensors = bench.model.network.state_dict().values()
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 2**20
    where = "of one thread" if bench.device == "cpu" else f"on {bench.device}"
    return f"{each:.3g} s {where} for a second of audio; weights {size:.4g} MiB"


def _farthest(expected: dict[str, torch.Tensor], got: dict[str, torch.Tensor]) -> tuple[float, str]:
    """Largest difference relative to the layer's RMS, and in which layer it is."""
    worst, where = 0.0, next(iter(expected), "")
    for name, wanted in expected.items():
        if name not in got or got[name].shape != wanted.shape:
            return float("inf"), name
        scale = float(wanted.double().square().mean().sqrt()) or 1.0
        off = float((got[name] - wanted).abs().max()) / scale
        if not off <= worst:  # not a number counts as far
            worst, where = (off if off == off else float("inf")), name
    return worst, where


CHECKS: dict[str, Callable[[Bench], str]] = {
    "windows": _windows,
    "runs": _runs,
    "widths": _widths,
    "finite": _finite,
    "deterministic": _deterministic,
    "batches": _batches,
    "time stamps": _times,
    "frame rates": _rates,
    "shortest": _shortest,
    "extremes": _extremes,
    "until": _until,
    "threads": _threads,
    "state": _state,
    "cost": _cost,
}
