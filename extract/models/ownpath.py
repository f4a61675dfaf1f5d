"""A user's own models by name: `module:Attribute`, or an installed entry point.

See docs/own-model.md for the whole story with an example.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

from torch import nn

from extract.errors import ExtractError, OptionUnsuitable
from extract.faults import said
from extract.models.base import Model, ModelCard, ModelSpec, Request


def meant(text: str) -> str | None:
    """`module:Attribute` for what a user wrote of a file; None where it looks like no file.

    `./mynet:SPEC`, `mynet.py:SPEC` and `nets/mynet.py:SPEC` are understood.

    Raises
    ------
    OptionUnsuitable : a file that is there, but no attribute is named, or that cannot be imported
        from here; the message says what to write.
    """
    place, _, attribute = text.replace(os.sep, "/").partition(":")
    path = re.sub(r"^(\./)+", "", place).removesuffix(".py")
    looks = path != place or "/" in place
    here = Path(f"{path}.py").is_file() or Path(path, "__init__.py").is_file()
    if not path or not (here or (looks and attribute)):
        return None
    module = path.replace("/", ".")
    if not all(part.isidentifier() for part in module.split(".")):
        stem = path.rpartition("/")[2]
        cure = (
            f"run from the folder of the file and write {stem}:{attribute or 'SPEC'}"
            if stem.isidentifier()
            else f"rename {stem}.py: {stem!r} is no name that Python can import"
        )
        raise OptionUnsuitable(f"{text}: models are module:Attribute; {cure}")
    if attribute.isidentifier():
        return f"{module}:{attribute}"
    offers = [f"{module}:{name}" for name in _offered(_imported(text, module))]
    cure = f"write {' or '.join(offers)}" if offers else "there is none in it: wrap a network first"
    raise OptionUnsuitable(f"{text.rstrip(':')}: a model in a file is module:Attribute; {cure}")


def from_path(text: str) -> ModelSpec:
    """The model that `module:Attribute` names, imported from the current folder or `sys.path`.

    Raises
    ------
    OptionUnsuitable : no such module or attribute, a fault in the module, or no model.
    """
    module, _, attribute = text.partition(":")
    found = _imported(text, module)
    if not hasattr(found, attribute):
        near = _offered(found)
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


def _imported(text: str, module: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(module)
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


def _offered(module: ModuleType) -> list[str]:
    """Names of the models in a user's module; what it imports from here is none of its own."""
    return [name for name, value in vars(module).items() if _is_model(value)]


def _is_model(value: object) -> bool:
    if not inspect.isclass(value):
        return isinstance(value, ModelSpec)
    own = issubclass(value, Model) and not value.__module__.startswith("extract.")
    return own and not inspect.isabstract(value)


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
    return OptionUnsuitable(
        f"{text}: {said(error)}; mend that, then try it with `rsa models check`"
    )
