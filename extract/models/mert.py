"""MERT: masked prediction of tokens of an acoustic and a musical teacher, on HuBERT's network.

Li et al.: MERT, Acoustic Music Understanding Model with Large-Scale Self-supervised Training, arXiv
2306.00107. The repositories bring code of their own for a network that is HuBERT's, tensor for
tensor; under the library's present releases that code fails or returns no layers. It is not used.
"""

from __future__ import annotations

from extract.models.base import ModelCard
from extract.models.hosted import Structure
from extract.models.wav2vec2 import BRANCH, HUB_FILES, Published
from extract.models.wav2vec2_settings import HUBERT

LICENCE = "CC BY-NC 4.0"
WINDOW = 5.0
# of the whole network at its published sizes, less what only training uses
BASE_PARAMETERS, LARGE_PARAMETERS = 94_370_816, 315_427_840
BASE = Structure()
LARGE = Structure(width=1024, blocks=24, closing=True)
LARGE_SETTINGS = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "do_stable_layer_norm": True,
}
TAPS = (
    "conv1 .. conv7 are the convolutions over the waveform after their activation; frontend is "
    "what the first block takes, with the positional convolution in it."
)
POST = f"{TAPS} The last block ends with a LayerNorm of its own."
PRE = f"{TAPS} Blocks are pre-LN: final is block24 after the encoder's closing LayerNorm."


def _published(
    name: str,
    title: str,
    data: str,
    *,
    rate: int = 24000,
    normalise: bool = True,
    large: bool = False,
    note: str = "",
) -> Published:
    repo = f"m-a-p/{title}"
    return Published(
        card=ModelCard(
            name=name,
            title=title,
            cite="Li et al. 2023",
            paper=(
                "Li et al. 2023, MERT: Acoustic Music Understanding Model with Large-Scale "
                "Self-supervised Training, arXiv 2306.00107"
            ),
            url="https://github.com/yizhilll/MERT",
            training_data=data,
            licence=LICENCE,
            parameters=LARGE_PARAMETERS if large else BASE_PARAMETERS,
            sample_rate=rate,
            layers=(LARGE if large else BASE).layers(rate),
            weights_from=f"Hugging Face {repo}, {HUB_FILES[0]}, branch {BRANCH}",
            window=WINDOW,
            minimum=BASE.field,
            notes=f"{PRE if large else POST} {note}".strip(),
        ),
        kind=HUBERT,
        settings=HUBERT.settings | (LARGE_SETTINGS if large else {}),
        repo=repo,
        normalise=normalise,
    )


_V0 = _published(
    "mert-v0",
    "MERT-v0",
    "1,000 hours of music (not public), cut to 5 s",
    rate=16000,
    note="Early cards of the repository name the MIT licence.",
)
_V0_PUBLIC = _published(
    "mert-v0-public",
    "MERT-v0-public",
    "Music4All, about 900 hours, cut to 5 s",
    rate=16000,
    note="MERT-v0 trained again on open data.",
)
_V1_95M = _published(
    "mert-95m",
    "MERT-v1-95M",
    "20,000 hours of music (not public), cut to 5 s",
    note="Trained on the waveform as it is, published to be used on windows normalised.",
)
_V1_330M = _published(
    "mert-330m",
    "MERT-v1-330M",
    "160,000 hours of music (not public), cut to 5.12 s",
    normalise=False,
    large=True,
    note=(
        "Windows are 5 s as for the smaller MERT, not the 5.12 s of training. They go in as they "
        "are, unless the repository's feature extractor says otherwise."
    ),
)

V0, V0_PUBLIC, V1_95M, V1_330M = (x.spec() for x in (_V0, _V0_PUBLIC, _V1_95M, _V1_330M))
