"""A user's own network, wrapped: a model out of a torch module that takes waveforms.

See docs/own-model.md for the whole story with an example.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from extract.errors import OptionUnsuitable, WeightsMissing
from extract.faults import place
from extract.models import ownweights
from extract.models.base import Layer, Model, ModelCard, ModelSpec, Request, WeightsRecord
from extract.models.hosted import HostedModel
from extract.models.sounding import Untellable, ghost, shapes, sound
from extract.models.taps import Tap, Tapped
from extract.weights import drawing, sha256_of_tensors

# fields of the card that the user may fill in, and what stands there otherwise
SAID = {
    "title": "", "cite": "not said", "paper": "", "url": "", "training_data": "not said",
    "licence": "not said", "notes": "",
}  # fmt: skip


def wrap(
    network: nn.Module | Callable[[], nn.Module],
    *,
    name: str,
    sample_rate: int,
    taps: Mapping[str, str],
    window: float = 10.0,
    fixed: bool = False,
    weights: str | Path | None = None,
    normalise: bool = False,
    centers: Mapping[str, float] | None = None,
    **about: str,
) -> ModelSpec:
    """A model out of any torch network that takes [batch, samples].

    Widths, frame rates, centres of frames and the shortest input are found by running it.

    Parameters
    ----------
    network : the network with its trained weights; or a class or function that makes one with
        random weights, so that there can be an untrained twin, and `weights` or `--weights` names
        the file of the trained ones.
    taps : layer name -> dotted name of the module that puts it out, in the order of the forward
        pass. Outputs are [batch, frames, width], [batch, width, frames], [batch, width, bands,
        frames] (averaged over bands) or [batch, width] (one frame a window).
    window : seconds of audio that the network sees at once.
    fixed : whether it takes exactly that much.
    normalise : bring each window to zero mean and unit variance first.
    centers : layer name -> seconds from the start of a window to the centre of frame 0, where the
        found ones are to be overruled.
    about : further fields of `ModelCard` (`title`, `cite`, `paper`, `url`, `training_data`,
        `licence`, `notes`).

    Raises
    ------
    OptionUnsuitable : a module that is not there, a network that does not run, an output that
        holds no frames.
    """
    sample_rate = _checked(name, sample_rate, taps, window, centers, about)
    if isinstance(network, nn.Module):
        first, build = network, None
    else:
        build = network
        with drawing(name, 0):
            first = build() if callable(build) else build
    if not isinstance(first, nn.Module):
        raise OptionUnsuitable(f"{name}: wrap() got {type(first).__name__}, no torch module")
    first = first.eval()
    modules = dict(first.named_modules())
    for layer, module in taps.items():
        if module not in modules:
            some = ", ".join(list(modules)[1:7])
            raise OptionUnsuitable(f"{name}: {layer}: no module {module!r}; there are {some} ...")
    samples = round(window * sample_rate)
    try:
        sides = _sides(first, taps, samples, fixed)
        layers, minimum = _sounded(first, sides, samples, sample_rate, fixed)
    except Untellable as error:
        where = place(error.__cause__) if error.__cause__ else ""
        raise OptionUnsuitable(f"{name}: {error}{where and f' ({where})'}") from error
    for layer, center in (centers or {}).items():
        layers = tuple(replace(x, center=center) if x.name == layer else x for x in layers)
    card = ModelCard(
        name=name,
        parameters=sum(p.numel() for p in first.parameters()),
        sample_rate=sample_rate,
        layers=layers,
        weights_from=str(weights) if weights else "the user's module" if not build else "--weights",
        window=window,
        fixed=fixed,
        minimum=samples if fixed and minimum > samples else minimum,
        **{**SAID, "title": name, **about},
    )
    file = Path(weights) if weights else None
    load = partial(_load, card, network if build is None else None, build, sides, file, normalise)
    return ModelSpec(card, load, lambda: file.exists() if file else build is None)


class WrappedModel(HostedModel):
    """A network of the user's with hooks on its modules; [batch, width] counts as one frame."""

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        outputs = super().forward(values, until)
        return {name: x[:, None] if x.ndim == 2 else x for name, x in outputs.items()}


def _checked(
    name: str,
    sample_rate: object,
    taps: object,
    window: object,
    centers: object,
    about: Mapping[str, object],
) -> int:
    """The sample rate as a whole number; OptionUnsuitable for values of the wrong kind."""

    def number(value: object) -> bool:
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        return plain and math.isfinite(value)

    def names(value: object) -> bool:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)

    def refuse(text: str) -> OptionUnsuitable:
        return OptionUnsuitable(f"{name}: {text}")

    if not isinstance(name, str) or not name.strip():
        raise OptionUnsuitable(f"wrap(): name must be a text, not {name!r}")
    if not number(sample_rate) or sample_rate != int(sample_rate) or sample_rate < 1:
        raise refuse(f"sample_rate must be a whole number of Hz, not {sample_rate!r}")
    if not names(taps) or not taps or not all(isinstance(each, str) for each in taps.values()):
        raise refuse(f"taps must be a dict of layer name: module name, not {taps!r}")
    if not number(window) or round(window * sample_rate) < 1:
        raise refuse(f"window must be a number of seconds above 0, not {window!r}")
    if centers is not None and not names(centers):
        raise refuse(f"centers must be a dict of layer name: seconds, not {centers!r}")
    for layer, center in (centers or {}).items():
        if layer not in taps:
            raise refuse(f"centers: no layer {layer!r}; there are {', '.join(taps)}")
        if not number(center):
            raise refuse(f"centers: {layer} must be a number of seconds, not {center!r}")
    for field, value in about.items():
        if field not in SAID:
            raise refuse(f"wrap() takes no {field!r}; cards have {', '.join(SAID)}")
        if not isinstance(value, str):
            raise refuse(f"{field} must be a text, not {value!r}")
    return int(sample_rate)


def _load(
    card: ModelCard,
    ready: nn.Module | None,
    build: Callable[[], nn.Module] | None,
    taps: tuple[Tap, ...],
    file: Path | None,
    normalise: bool,
    request: Request,
) -> Model:
    network, source = ready, "as the user's module made it"
    path = request.weights or file
    if build is None and (request.untrained or request.weights):
        raise OptionUnsuitable(
            f"{card.name}: wrap() was given a network that has its weights: leave out --untrained "
            "and --weights, or give wrap() the class or a function without arguments"
        )
    if build is not None:
        with drawing(card.name, request.seed):
            network = build()
        source = f"untrained, seed {request.seed}"
        if not request.untrained:
            if path is None:
                raise WeightsMissing(
                    f"{card.name}: no weights; give --weights FILE, or weights= to wrap(). "
                    "To rehearse without: --untrained"
                )
            source = ownweights.load(network, path)
    record = WeightsRecord(sha256_of_tensors(network.state_dict()), source, not request.untrained)
    return WrappedModel(card, network, record, taps, normalise=normalise)


def _runner(network: nn.Module, taps: tuple[Tap, ...]):
    """[1, samples] -> layers, of a copy that shares nothing but weights with the network."""
    tapped = Tapped(network, taps)

    def run(values: torch.Tensor) -> dict[str, torch.Tensor]:
        outputs = tapped.run(lambda: network(values))
        return {name: x[:, None] if x.ndim == 2 else x for name, x in outputs.items()}

    return run


def _shared(network: nn.Module) -> nn.Module:
    """A copy with the same parameters: hooks on it are none on the network."""
    memo = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    return copy.deepcopy(network, memo)


def _device(network: nn.Module, taps: tuple[Tap, ...], samples: int) -> tuple[str, Callable]:
    """`meta` and a runner there, or the CPU where the network does not run on `meta`."""
    try:
        run = _runner(ghost(network), taps)
        shapes(run, "meta", samples)
        return "meta", run
    except (Untellable, NotImplementedError, RuntimeError, TypeError):
        return "cpu", _runner(_shared(network), taps)


def _sides(
    network: nn.Module, taps: Mapping[str, str], samples: int, fixed: bool
) -> tuple[Tap, ...]:
    """Taps with the axis of their channels: the axis that grows with the input holds the frames."""
    plain = tuple(Tap(layer, module) for layer, module in taps.items())
    device, run = _device(network, plain, samples)
    long = shapes(run, device, samples)
    missing = [layer for layer in taps if layer not in long]
    if missing:
        raise Untellable(f"{missing[0]}: the module {taps[missing[0]]!r} is not run by forward()")
    _check_order(list(taps), list(long))
    short = long if fixed else shapes(run, device, max(1, int(samples * 0.6)))
    sides = []
    for tap in plain:
        shape = long[tap.layer]
        grows = [i for i, (a, b) in enumerate(zip(shape, short[tap.layer], strict=True)) if a != b]
        last = len(shape) - 1
        if fixed and len(shape) == 3:
            # nothing grows: frames follow the channels in convolutions only
            module = network.get_submodule(tap.module)
            grows = [2] if _convolves(module) else [1]
        if len(shape) == 3 and grows in ([1], []):
            sides.append(tap)
        elif len(shape) >= 3 and (grows == [last] or (fixed and len(shape) > 3)):
            sides.append(replace(tap, channels="first"))
        else:
            raise Untellable(
                f"{tap.layer} ({tap.module}) puts out {list(shape)}; "
                "[batch, frames, width] or [batch, width, ..., frames] is needed"
            )
    return tuple(sides)


def _check_order(said: list[str], met: list[str]) -> None:
    """Depths are places in the forward pass: the order in which modules first put something out."""
    for wrong, right in zip(said, met, strict=True):
        if wrong != right:
            raise Untellable(
                f"taps: {wrong} stands where the forward pass comes to {right}; "
                f"its order is {', '.join(met)}"
            )


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(m, (nn.Conv1d, nn.ConvTranspose1d)) for m in module.modules())


def _sounded(
    network: nn.Module, taps: tuple[Tap, ...], samples: int, rate: int, fixed: bool
) -> tuple[tuple[Layer, ...], int]:
    device, run = _device(network, taps, samples)
    if fixed:
        found = shapes(run, device, samples)
        layers = [
            # the frames of a fixed window share it evenly
            Layer(name, shape[2], shape[1] * rate / samples, depth, samples / rate / shape[1] / 2)
            for depth, (name, shape) in enumerate(found.items())
        ]
        return tuple(layers), 1
    sounded, minimum = sound(run, samples, device=device, values=_runner(_shared(network), taps))
    layers = [
        Layer(name, x.width, rate / (x.hop or samples), depth, x.center / rate)
        for depth, (name, x) in enumerate(sounded.items())
    ]
    return tuple(layers), minimum
