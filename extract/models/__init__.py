"""Models by name. A new model is one module with a `ModelSpec` and one line here.

Besides the names of the registry there are families, `hf:ID_OR_FOLDER` or `tune:VARIANT`, whose
members are too many to list, and a user's own models (see `extract.models.ownpath`).
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.models.base import Model, ModelSpec, Request

# name -> module:attribute of its ModelSpec
REGISTRY = {
    "musicfm": "extract.models.musicfm:MSD",
    "musicfm-fma": "extract.models.musicfm:FMA",
    "muq": "extract.models.muq:SPEC",
    "muq-mulan": "extract.models.muq:MULAN",
    "mert-v0": "extract.models.mert:V0",
    "mert-v0-public": "extract.models.mert:V0_PUBLIC",
    "mert-95m": "extract.models.mert:V1_95M",
    "mert-330m": "extract.models.mert:V1_330M",
    "music2vec": "extract.models.music2vec:SPEC",
    "hubert-base": "extract.models.speech:HUBERT_BASE",
    "data2vec-base": "extract.models.speech:DATA2VEC_BASE",
    "wav2vec2-base": "extract.models.speech:WAV2VEC2_BASE",
    "mule": "extract.models.mule:SPEC",
    "clmr": "extract.models.clmr:SPEC",
    "tune": "extract.models.tune:TAIL5",
    "tune-plus": "extract.models.tune:PLUS",
    "musicnn-mtt": "extract.models.musicnn:MTT",
    "musicnn-msd": "extract.models.musicnn:MSD",
    "vgg-mtt": "extract.models.musicnn:VGG_MTT",
    "vgg-msd": "extract.models.musicnn:VGG_MSD",
    "chordnet": "extract.models.chordnet:S0",
    "chordnet-s1": "extract.models.chordnet:S1",
    "chordnet-s2": "extract.models.chordnet:S2",
    "chordnet-s3": "extract.models.chordnet:S3",
    "chordnet-s4": "extract.models.chordnet:S4",
    "fcpe": "extract.models.fcpe:SPEC",
    "crepe": "extract.models.crepe:FULL",
    "crepe-tiny": "extract.models.crepe:TINY",
    "transkun": "extract.models.transkun:SPEC",
}
# family -> (module:function of what stands after the colon, what that is)
FAMILIES: dict[str, tuple[str, str]] = {
    "hf": (
        "extract.models.hf.spec:spec_of",
        "an audio encoder of the transformers library: hf:org/name on the hub, or hf:FOLDER",
    ),
    "music2vec": ("extract.models.music2vec:spec_of", "a folder or file of a music2vec"),
    "musichubert": ("extract.models.musichubert:spec_of", "a folder or file of a MusicHuBERT"),
    "mule": ("extract.models.mule:spec_of", "a folder or file of a network of MULE's layout"),
    "tune": ("extract.models.tune:spec_of", "a member of the TUNe family, cont2 or tail3-free"),
}
# not a module named `references`: importing it would hide the function below
REFERENCES = "extract.models.descriptors:SPEC"
ALIASES = {"musicfm-msd": "musicfm", "chordnet-s0": "chordnet"}


def names() -> list[str]:
    """Names of all models of the registry, in its order, then those that packages brought."""
    return [*REGISTRY, *_installed()]


def spec(name: str) -> ModelSpec:
    """The entry of a model.

    Raises
    ------
    KeyError : no such model.
    ExtractError : a member of a family, or a user's own model, that cannot be described; the
        message says why.
    """
    name = ALIASES.get(name, name)
    if name in REGISTRY:
        return _resolve(REGISTRY[name])
    family, colon, detail = name.partition(":")
    if colon and family in FAMILIES:
        return _resolve(FAMILIES[family][0])(detail)
    installed = _installed()
    if name in installed:
        return _resolve("extract.models.ownpath:from_entry_point")(installed[name])
    if "/" in name or family.endswith(".py") or Path(f"{family}.py").is_file():
        name = _resolve("extract.models.ownpath:meant")(name) or name
        family, _, detail = name.partition(":")
    if detail.isidentifier() and all(part.isidentifier() for part in family.split(".")):
        return _resolve("extract.models.ownpath:from_path")(name)
    raise KeyError(name)


def load(name: str, request: Request) -> Model:
    """A model with its weights, as the user wants it."""
    return spec(name).load(request)


def references() -> Model:
    """The references (log-mel, chroma, ...) behind the same interface as a model."""
    from extract.models.base import Request

    return _resolve(REFERENCES).load(Request())


def _installed() -> dict[str, EntryPoint]:
    """Models that other packages offer in the group `rsa.models`."""
    return {e.name: e for e in entry_points(group="rsa.models") if e.name not in REGISTRY}


def _resolve(place: str):
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
