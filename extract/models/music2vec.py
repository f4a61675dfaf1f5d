"""music2vec: data2vec, a network that predicts its own moving average, trained on music.

Li et al.: MAP-Music2Vec, arXiv 2212.02508; its variants in Ma et al., ISMIR 2023, arXiv 2307.05161.
One set of weights is public; `music2vec:PATH` reads the others (span and share of the mask, number
of target layers, ...) of who has them. The published config.json names a file where the library
wants a number, and is refused by its present releases; no such field is read here.
"""

from __future__ import annotations

from dataclasses import replace

from extract.models.base import ModelCard, ModelSpec
from extract.models.hosted import Structure
from extract.models.mert import LICENCE, POST, WINDOW
from extract.models.musichubert import PAPER
from extract.models.wav2vec2 import BRANCH, HUB_FILES, Published, local
from extract.models.wav2vec2_settings import DATA2VEC

REPO = "m-a-p/music2vec-v1"
SHA256 = "801d1c93ff5487cc37b47441dd33b4b555553881afaa78be5148c89f8746b98f"
SAMPLE_RATE = 16000
PARAMETERS = 93_163_520
NOTES = f"{POST} The positional convolutions are five, each with a LayerNorm."

_PUBLISHED = Published(
    card=ModelCard(
        name="music2vec",
        title="music2vec",
        cite="Li et al. 2022",
        paper=(
            "Li et al. 2022, MAP-Music2Vec: A Simple and Effective Baseline for Self-Supervised "
            "Music Audio Representation Learning, arXiv 2212.02508"
        ),
        url=f"https://huggingface.co/{REPO}",
        training_data="1,000 hours of music (not public)",
        licence=LICENCE,
        parameters=PARAMETERS,
        sample_rate=SAMPLE_RATE,
        layers=Structure().layers(SAMPLE_RATE),
        weights_from=f"Hugging Face {REPO}, {HUB_FILES[0]}, branch {BRANCH}, sha256 {SHA256[:12]}",
        window=WINDOW,
        minimum=Structure().field,
        notes=f"{NOTES} The run that was trained on 5 s, though its card speaks of 30 s.",
    ),
    kind=DATA2VEC,
    settings=DATA2VEC.settings,
    repo=REPO,
    sha256=SHA256,
)
_FAMILY = replace(
    _PUBLISHED,
    card=replace(
        _PUBLISHED.card,
        cite="Ma et al. 2023",
        paper=PAPER,
        url="https://arxiv.org/abs/2307.05161",
        licence="of whoever gives the file",
        weights_from="the user",
        notes=f"{NOTES} Windows are normalised unless preprocessor_config.json says otherwise.",
    ),
    repo="",
    sha256=None,
)

SPEC = _PUBLISHED.spec()


def spec_of(detail: str) -> ModelSpec:
    """The entry of `music2vec:PATH`, a folder (config.json and weights) or a weights file."""
    return local(_FAMILY, detail)
