"""Models by name. A new model is one module with a `ModelSpec` and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.models.base import Model, ModelSpec, Request

# name -> module:attribute of its ModelSpec
REGISTRY = {
    "musicfm": "extract.models.musicfm:MSD",
    "musicfm-fma": "extract.models.musicfm:FMA",
    "muq": "extract.models.muq:SPEC",
    "musicnn-mtt": "extract.models.musicnn:MTT",
    "musicnn-msd": "extract.models.musicnn:MSD",
    "vgg-mtt": "extract.models.musicnn:VGG_MTT",
    "vgg-msd": "extract.models.musicnn:VGG_MSD",
    "chordnet": "extract.models.chordnet:S0",
    "chordnet-s1": "extract.models.chordnet:S1",
    "chordnet-s2": "extract.models.chordnet:S2",
    "chordnet-s3": "extract.models.chordnet:S3",
    "chordnet-s4": "extract.models.chordnet:S4",
}
# not a module named `references`: importing it would hide the function below
REFERENCES = "extract.models.descriptors:SPEC"
ALIASES = {"musicfm-msd": "musicfm", "chordnet-s0": "chordnet"}


def names() -> list[str]:
    """Names of all models, in the order of the registry."""
    return list(REGISTRY)


def spec(name: str) -> ModelSpec:
    """The registry entry of a model; KeyError for an unknown name."""
    return _resolve(REGISTRY[ALIASES.get(name, name)])


def load(name: str, request: Request) -> Model:
    """A model with its weights, as the user wants it."""
    return spec(name).load(request)


def references() -> Model:
    """The references (log-mel, chroma, ...) behind the same interface as a model."""
    from extract.models.base import Request

    return _resolve(REFERENCES).load(Request())


def _resolve(place: str) -> ModelSpec:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
