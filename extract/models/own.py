"""A user's own models: `module:Attribute`, an installed entry point, or a network wrapped.

See docs/own-model.md for the whole story with an example.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import torch
from torch import nn

from extract import checkpoint
from extract.errors import ExtractError, OptionUnsuitable, WeightsMissing
from extract.models.base import Layer, Model, ModelCard, ModelSpec, Request, WeightsRecord
from extract.models.hosted import HostedModel
from extract.models.sounding import Untellable, ghost, shapes, sound
from extract.models.taps import Tap
from extract.weights import drawing, load_strict, sha256_of_tensors


def from_path(text: str) -> ModelSpec:
    """The model that `module:Attribute` names, imported from the current folder or `sys.path`.

    Raises
    ------
    OptionUnsuitable : no such module or attribute, a fault in the module, or no model.
    """
    module, _, attribute = text.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise OptionUnsuitable(
                f"{text}: no module {module!r} in {here} or on Python's path; run from the folder "
                "of the file, or install it (hf:... is for models of the transformers library)"
            ) from None
        raise _fault(text, error) from error
    except ExtractError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise _fault(text, error) from error
    if not hasattr(found, attribute):
        near = [name for name, value in vars(found).items() if _is_model(value)]
        hint = f"; there is {', '.join(near)}" if near else ""
        raise OptionUnsuitable(f"{text}: {found.__file__} has no {attribute!r}{hint}")
    return _spec(text, getattr(found, attribute))


def from_entry_point(entry: EntryPoint) -> ModelSpec:
    """The model that an installed package offers in the group `rsa.models`."""
    text = f"{entry.name} ({entry.value})"
    try:
        return _spec(text, entry.load())
    except ExtractError:
        raise
    except Exception as error:  # the package's code may raise anything
        raise _fault(text, error) from error


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
    if isinstance(network, nn.Module):
        first, build = network, None
    else:
        build = network
        with drawing(name, 0):
            first = build()
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
        raise OptionUnsuitable(f"{name}: {error}") from error
    for layer, center in (centers or {}).items():
        layers = tuple(replace(x, center=center) if x.name == layer else x for x in layers)
    unsaid = "not said"
    fields = {
        "title": name, "cite": unsaid, "paper": "", "url": "", "training_data": unsaid,
        "licence": unsaid, "notes": "",
    }  # fmt: skip
    if unknown := sorted(set(about) - set(fields)):
        raise OptionUnsuitable(
            f"{name}: wrap() takes no {unknown[0]!r}; cards have {', '.join(fields)}"
        )
    card = ModelCard(
        name=name,
        parameters=sum(p.numel() for p in first.parameters()),
        sample_rate=sample_rate,
        layers=layers,
        weights_from=str(weights) if weights else "the user's module" if not build else "--weights",
        window=window,
        fixed=fixed,
        minimum=samples if fixed and minimum > samples else minimum,
        **{**fields, **about},
    )
    file = Path(weights) if weights else None
    load = partial(_load, card, network if build is None else None, build, sides, file, normalise)
    return ModelSpec(card, load, lambda: file.exists() if file else build is None)


class WrappedModel(HostedModel):
    """A network of the user's with hooks on its modules; [batch, width] counts as one frame."""

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        outputs = super().forward(values, until)
        return {name: x[:, None] if x.ndim == 2 else x for name, x in outputs.items()}


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
            f"{card.name}: wrap() was given a network, not what makes one: for --untrained and "
            "--weights give it the class or a function without arguments"
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
            path = checkpoint.locate(path, ("model.safetensors", "pytorch_model.bin", "model.pt"))
            load_strict(network, checkpoint.read(path), source=str(path))
            source = f"file {path.name}"
    record = WeightsRecord(sha256_of_tensors(network.state_dict()), source, not request.untrained)
    return WrappedModel(card, network, record, taps, normalise=normalise)


def _runner(network: nn.Module, taps: tuple[Tap, ...]):
    """[1, samples] -> layers, of a copy that shares nothing but weights with the network."""
    from extract.models.taps import Tapped

    tapped = Tapped(network, taps)

    def run(values: torch.Tensor) -> dict[str, torch.Tensor]:
        outputs = tapped.run(lambda: network(values))
        return {name: x[:, None] if x.ndim == 2 else x for name, x in outputs.items()}

    return run


def _shared(network: nn.Module) -> nn.Module:
    """A copy with the same parameters: hooks on it are none on the network."""
    import copy

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


def _is_model(value: object) -> bool:
    own = inspect.isclass(value) and issubclass(value, Model) and not inspect.isabstract(value)
    return isinstance(value, ModelSpec) or (own and value is not HostedModel)


def _spec(text: str, value: object) -> ModelSpec:
    """A ModelSpec as it is, or of a class; what it raises while loading names the user's line."""
    if inspect.isclass(value) and issubclass(value, Model):
        card = getattr(value, "card", None)
        if not isinstance(card, ModelCard):
            raise OptionUnsuitable(
                f"{text}: the class has no attribute `card` with a ModelCard; see docs/own-model.md"
            )
        value = ModelSpec(card, value, lambda: True)
    if isinstance(value, nn.Module) or (inspect.isclass(value) and issubclass(value, nn.Module)):
        raise OptionUnsuitable(
            f"{text} is a torch module: wrap it, SPEC = extract.models.own.wrap(...), and name "
            "that; see docs/own-model.md"
        )
    if not isinstance(value, ModelSpec) or not isinstance(value.card, ModelCard):
        raise OptionUnsuitable(
            f"{text} is a {type(value).__name__}; a ModelSpec, or a subclass of Model with a "
            "`card`, is needed; see docs/own-model.md"
        )
    from extract.models import REGISTRY

    if value.card.name in REGISTRY:
        raise OptionUnsuitable(
            f"{text}: the card calls the model {value.card.name!r}, which is another's name here"
        )

    def load(request: Request) -> Model:
        try:
            model = value.load(request)
        except ExtractError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise _fault(text, error) from error
        if not isinstance(model, Model):
            raise OptionUnsuitable(f"{text}: loading gave a {type(model).__name__}, no Model")
        return model

    return replace(value, load=load)


def _fault(text: str, error: Exception) -> OptionUnsuitable:
    """One line for a fault in the user's code: what, where, and what to do."""
    what = (str(error).strip() or "no message").splitlines()[0]
    if isinstance(error, SyntaxError) and error.filename:
        where, what = f"{error.filename}, line {error.lineno}", error.msg
    else:
        own = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "importlib" not in frame.filename and frame.filename != __file__
        ]
        near = [f for f in own if "site-packages" not in f.filename] or own
        where = f"{near[-1].filename}, line {near[-1].lineno}" if near else "unknown place"
    return OptionUnsuitable(
        f"{text}: {type(error).__name__}: {what} ({where}); mend that, then try it with "
        "`rsa models check`"
    )
