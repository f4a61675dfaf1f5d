"""Speech models at base size, the baselines of their musical counterparts.

The same networks, trained on the 960 hours of read English of LibriSpeech: what a music model shows
beyond its speech twin of the same architecture is owed to what it was trained on.
"""

from __future__ import annotations

from extract.models.base import ModelCard
from extract.models.hosted import Structure
from extract.models.mert import BASE_PARAMETERS, POST
from extract.models.music2vec import PARAMETERS as DATA2VEC_PARAMETERS
from extract.models.wav2vec2 import BRANCH, HUB_FILES, Published
from extract.models.wav2vec2_settings import DATA2VEC, HUBERT, WAV2VEC2, Kind

SAMPLE_RATE = 16000
# about the length of what they were trained on
WINDOW = 15.0
# what wav2vec 2.0 and HuBERT are trained with, and features are not made of
HEADS = ("quantizer.", "project_hid.", "project_q.", "final_proj.", "label_embs_concat")


def _published(name: str, title: str, cite: str, paper: str, repo: str, kind: Kind) -> Published:
    return Published(
        card=ModelCard(
            name=name,
            title=title,
            cite=cite,
            paper=paper,
            url=f"https://huggingface.co/{repo}",
            training_data="LibriSpeech, 960 hours of read English; no music",
            licence="Apache-2.0",
            parameters=DATA2VEC_PARAMETERS if kind is DATA2VEC else BASE_PARAMETERS,
            sample_rate=SAMPLE_RATE,
            layers=Structure().layers(SAMPLE_RATE),
            weights_from=f"Hugging Face {repo}, {HUB_FILES[0]}, branch {BRANCH}",
            window=WINDOW,
            minimum=Structure().field,
            notes=f"{POST} A speech model, for comparison. Windows of 15 s, as utterances.",
        ),
        kind=kind,
        settings=kind.settings,
        repo=repo,
        unused=HEADS,
    )


_HUBERT = _published(
    "hubert-base",
    "HuBERT base (speech)",
    "Hsu et al. 2021",
    "Hsu et al. 2021, HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction "
    "of Hidden Units, IEEE/ACM TASLP 29, arXiv 2106.07447",
    "facebook/hubert-base-ls960",
    HUBERT,
)
_DATA2VEC = _published(
    "data2vec-base",
    "data2vec base (speech)",
    "Baevski et al. 2022",
    "Baevski et al. 2022, data2vec: A General Framework for Self-supervised Learning in Speech, "
    "Vision and Language, ICML, arXiv 2202.03555",
    "facebook/data2vec-audio-base",
    DATA2VEC,
)
_WAV2VEC2 = _published(
    "wav2vec2-base",
    "wav2vec 2.0 base (speech)",
    "Baevski et al. 2020",
    "Baevski et al. 2020, wav2vec 2.0: A Framework for Self-Supervised Learning of Speech "
    "Representations, NeurIPS, arXiv 2006.11477",
    "facebook/wav2vec2-base",
    WAV2VEC2,
)

HUBERT_BASE, DATA2VEC_BASE, WAV2VEC2_BASE = (
    published.spec() for published in (_HUBERT, _DATA2VEC, _WAV2VEC2)
)
