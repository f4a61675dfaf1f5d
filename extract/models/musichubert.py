"""MusicHuBERT: HuBERT trained on music with clusters of MFCCs as targets.

Ma et al.: On the Effectiveness of Speech Self-supervised Learning for Music, ISMIR 2023, arXiv
2307.05161. Four models with 500 or 2,000 clusters, first or second iteration. No weights are
public: `musichubert:PATH` reads those of who has them, in the form of the transformers library or
of fairseq.
"""

from __future__ import annotations

from extract.models.base import ModelCard, ModelSpec
from extract.models.hosted import Structure
from extract.models.mert import BASE_PARAMETERS, POST, WINDOW
from extract.models.wav2vec2 import Published, local
from extract.models.wav2vec2_settings import HUBERT

SAMPLE_RATE = 16000
PAPER = (
    "Ma et al. 2023, On the Effectiveness of Speech Self-supervised Learning for Music, ISMIR, "
    "arXiv 2307.05161"
)
_FAMILY = Published(
    card=ModelCard(
        name="musichubert",
        title="MusicHuBERT",
        cite="Ma et al. 2023",
        paper=PAPER,
        url="https://arxiv.org/abs/2307.05161",
        training_data="1,000 hours of music (not public)",
        licence="of whoever gives the file",
        parameters=BASE_PARAMETERS,
        sample_rate=SAMPLE_RATE,
        layers=Structure().layers(SAMPLE_RATE),
        weights_from="the user",
        window=WINDOW,
        minimum=Structure().field,
        notes=f"{POST} Windows are normalised unless preprocessor_config.json says otherwise.",
    ),
    kind=HUBERT,
    settings=HUBERT.settings,
)


def spec_of(detail: str) -> ModelSpec:
    """The entry of `musichubert:PATH`, a folder (config.json and weights) or a weights file."""
    return local(_FAMILY, detail)
