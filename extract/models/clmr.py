"""CLMR: contrastive learning of musical representations, a SampleCNN over the raw waveform.

Spijkervet & Burgoyne 2021, ISMIR (arXiv 2103.09410); the network is that of Lee et al. 2017
(arXiv 1703.01789). Eleven blocks; the first reads three samples a frame, the next nine end with a
maximum over three frames, so that a window of 3^10 samples is one frame at the end.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from extract import lightning
from extract.archive import FAULTS
from extract.archive import member as archive_member
from extract.errors import WeightsInvalid, WeightsMissing
from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.models.waveconv import Block, Framed, block, timing
from extract.weights import cache_dir, drawing, load_strict, sha256_of_tensors

RATE, SAMPLES = 22050, 3**10
WIDTHS = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512)
LAYERS = tuple(f"conv{i + 1:02d}" for i in range(len(WIDTHS)))
PARAMETERS = 2_368_512
LICENCE = "Apache-2.0 (the repository's)"
ARCHIVE = "clmr_magnatagatune_mlp.zip"
CHECKPOINT = "clmr_magnatagatune_mlp/clmr_epoch=10000.ckpt"
URL = f"https://github.com/Spijkervet/CLMR/releases/download/2.1/{ARCHIVE}"
FILES = (ARCHIVE, CHECKPOINT, Path(CHECKPOINT).name, "clmr_checkpoint_10000.zip")
LARGEST = 256 << 20
"""Bytes of a checkpoint inside an archive; with the optimiser's state it has about 35 million."""
# the encoder, should it stand whole among the hyper-parameters
INERT = ("clmr.models.sample_cnn.SampleCNN",)
UNUSED = {"projector", "fc", "num_batches_tracked"}


class Published(nn.Module):
    """The network's numbers under the names of the published files."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((1, *WIDTHS), WIDTHS, strict=False)
        self.sequential = nn.ModuleList(block(inputs, width) for inputs, width in pairs)


class SampleCNN(nn.Module):
    """[batch, 59049] samples -> every block's output, [batch, frames, width]."""

    def __init__(self, published: Published):
        super().__init__()
        first, *middle, last = published.sequential
        blocks = [Framed(first), *(Block(b, pooled=True) for b in middle), Block(last)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        for name, layer in zip(LAYERS, self.blocks, strict=True):
            x = layer(x)
            yield name, x


class Clmr(Model):
    """CLMR's encoder behind the common interface."""

    def __init__(self, published: Published, weights: WeightsRecord):
        self.card, self.weights = CARD, weights
        self.network = SampleCNN(published).eval().requires_grad_(False)

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        return collect(self.network(values), until)


def from_file(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of the network by their names in `Published`, from any of the published files.

    A file of weights, a Lightning checkpoint, or the archive of a release that holds one of them.
    What belongs to training alone (projector, classifier, counters) is left out.

    Raises
    ------
    WeightsInvalid : damaged, no such archive, or two copies of the network that differ.
    """
    with _out_of_archive(path) as file:
        try:
            tensors = lightning.read(file, inert=INERT)
        except WeightsInvalid as error:
            # the copy has a name that says nothing to the user
            raise WeightsInvalid(str(error).replace(str(file), str(path))) from None
        bare = lightning.unwrapped(tensors, "sequential.0.0.weight", source=str(path))
        kept = {n: t for n, t in bare.items() if UNUSED.isdisjoint(n.split("."))}
        # out of the mapped file, which may be gone in a moment
        return {name: tensor.clone() for name, tensor in kept.items()}


@contextmanager
def _out_of_archive(path: Path) -> Iterator[Path]:
    """The file itself, or the checkpoint in a release's archive, in the cache for a moment."""
    member = _member(path) if zipfile.is_zipfile(path) else None
    if member is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=".clmr-", dir=cache_dir()) as folder:
        file = Path(folder) / f"checkpoint{Path(member).suffix}"
        try:
            with zipfile.ZipFile(path) as archive:
                file.write_bytes(archive_member(archive, member, LARGEST))
        except FAULTS as error:
            raise WeightsInvalid(f"{path}: {member} cannot be read ({error})") from None
        yield file


def _member(path: Path) -> str | None:
    """Name of the checkpoint in an archive; None for a PyTorch file, which is a zip file too.

    Raises WeightsInvalid where there is not exactly one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
    except FAULTS as error:
        raise WeightsInvalid(f"{path}: damaged ({error}); download it again") from None
    if any(name.endswith("data.pkl") for name in sizes):
        return None
    found = [n for n in sizes if n.endswith(lightning.SUFFIXES) and not n.startswith("__MACOSX")]
    if CHECKPOINT in found:
        found = [CHECKPOINT]
    if len(found) != 1:
        names = ", ".join(found[:3]) or "none"
        raise WeightsInvalid(f"{path}: one checkpoint was expected in it, there is: {names}")
    return found[0]


def _place() -> Path:
    """Where the archive is looked for when no weights are given."""
    return cache_dir("clmr") / ARCHIVE


def _missing() -> WeightsMissing:
    return WeightsMissing(
        f"{ARCHIVE} is not on this machine, and is not downloaded: no hash of it is known. It is "
        f"an asset of release 2.1, licence {LICENCE}: {URL}. Ways to provide it: (1) pass it, or "
        "the .ckpt in it, with --weights (compare: --weights-a, --weights-b); (2) put it there: "
        f"{_place()}. To rehearse without it: --untrained"
    )


def load(request: Request) -> Clmr:
    """CLMR as the user wants it; see `Request`."""
    with drawing(CARD.name, request.seed):
        published = Published()
    source = f"untrained, seed {request.seed}"
    if not request.untrained:
        if request.weights is None and not _place().is_file():
            raise _missing()
        path = lightning.weights_file(request.weights or _place(), FILES)
        source = f"file {path.name}"
        load_strict(published, from_file(path), source=str(path))
    sha256 = sha256_of_tensors(published.state_dict())
    return Clmr(published, WeightsRecord(sha256, source, not request.untrained))


def _layers() -> tuple[Layer, ...]:
    layers = []
    for depth, (name, width) in enumerate(zip(LAYERS, WIDTHS, strict=True)):
        rate, center = timing(min(depth + 1, 10), RATE)
        layers.append(Layer(name, width, rate, depth, center))
    return tuple(layers)


CARD = ModelCard(
    name="clmr",
    title="CLMR (SampleCNN)",
    cite="Spijkervet & Burgoyne 2021",
    paper="Spijkervet & Burgoyne 2021, Contrastive Learning of Musical Representations, ISMIR, "
    "arXiv 2103.09410",
    url="https://github.com/Spijkervet/CLMR",
    training_data="MagnaTagATune, 10,000 epochs (contrastive, no labels)",
    licence=LICENCE,
    parameters=PARAMETERS,
    sample_rate=RATE,
    layers=_layers(),
    weights_from=f"GitHub release 2.1 of Spijkervet/CLMR: {ARCHIVE}, given by the user",
    window=SAMPLES / RATE,
    fixed=True,
    notes="Windows of 59,049 samples (2.678 s). conv01 to conv11: after batch norm and ReLU, and "
    "for conv02 to conv10 after the maximum over three frames; rates fall from 7,350 Hz to one "
    "frame a window (conv10, conv11). conv11 is what the authors' classifiers are given. Training "
    "data: as of the checkpoint in release 2.1; another file of this network loads as well.",
)
SPEC = ModelSpec(CARD, load, lambda: _place().is_file(), given=True)
