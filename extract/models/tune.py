"""TUNe: a U-Net and a tail over the raw waveform, trained as CLMR is.

Vélez Vásquez & Burgoyne 2022, "Tailed U-Net: multi-scale music representation learning", ISMIR.
A contracting path, an expanding path back to every sample with a link at each scale, and a tail
that contracts again; what the tail ends with, averaged over time, is the embedding. The family
varies the depth of each part. All parts are convolutions over three frames (see `waveconv`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

import torch
from torch import nn

from extract import lightning
from extract.errors import OptionUnsuitable, WeightsMissing
from extract.models.base import (
    Layer,
    Model,
    ModelCard,
    ModelSpec,
    Request,
    WeightsRecord,
    collect,
)
from extract.models.waveconv import Block, Upsampling, block, largest, timing, transposed
from extract.weights import drawing, load_strict, sha256_of_tensors

RATE, SAMPLES = 22050, 3**10
LICENCE = "none stated (the repository has no licence)"
REPOSITORY = "https://github.com/Marcel-Velez/TUNe"
SCALES = 4  # of the U, poolings down and steps up
UNUSED = {"projector", "fc", "num_batches_tracked"}


@dataclass(frozen=True)
class Variant:
    """One member of the family.

    Attributes
    ----------
    paper : its name in the paper.
    filters : width of the first block; each pooling doubles it.
    tail : widths of the tail's blocks, the first of them at a third of the rate of what the
        expanding path ends with.
    ups : steps of the expanding path.
    deeper : scales below the fifth.
    linked : the first four blocks of the tail also see the block before them of that scale.
    """

    paper: str
    filters: int
    tail: tuple[int, ...]
    ups: int = SCALES
    deeper: int = 0
    linked: bool = False

    def width(self, scale: int) -> int:
        """Channels of the U at a scale, the number of poolings that lead to it."""
        return self.filters << scale

    @property
    def down(self) -> list[tuple[str, str, int]]:
        """Layer, published module and width of each block of the contracting path."""
        names = [(f"Contr-{i + 1}", f"conv{i + 1}") for i in range(SCALES)] + [("Bot-U", "conv5")]
        names += [(f"Down-{i + 1}", f"deeperDown{i + 1}") for i in range(self.deeper)]
        return [(*name, self.width(scale)) for scale, name in enumerate(names)]

    @property
    def up(self) -> list[tuple[str, str, str, int]]:
        """Layer, published transposed convolution and block, and scale of each step up."""
        deep = range(self.deeper)
        steps = [
            (f"Up-{i + 1}", f"transposedDeeper{i + 1}", f"deeperUp{i + 1}", self.deeper + 3 - i)
            for i in deep
        ]
        steps += [
            (f"Expa-{i + 1}", f"transposedConv{i + 6}", f"conv{i + 6}", SCALES - 1 - i)
            for i in range(self.ups)
        ]
        return steps

    @property
    def tails(self) -> list[tuple[str, str, int, int]]:
        """Layer, published module, scale and width of each block of the tail."""
        first = SCALES - self.ups + 1
        return [
            (f"Tail-{scale}", f"convDown{scale}", scale, width)
            for scale, width in enumerate(self.tail, first)
        ]

    def layers(self) -> tuple[Layer, ...]:
        places = [(name, width, scale) for scale, (name, _, width) in enumerate(self.down)]
        places += [(name, self.width(scale), scale) for name, _, _, scale in self.up]
        places += [(name, width, scale) for name, _, scale, width in self.tails]
        return tuple(
            Layer(name, width, timing(scale, RATE)[0], depth, timing(scale, RATE)[1])
            for depth, (name, width, scale) in enumerate(places)
        )


class Published(nn.Module):
    """The network's numbers under the names of the published files."""

    def __init__(self, variant: Variant):
        super().__init__()
        inputs = 1
        for _, module, width in variant.down:
            self._block(module, inputs, width)
            inputs = width
        for _, upsampling, module, scale in variant.up:
            width = variant.width(scale)
            self.add_module(upsampling, transposed(inputs, width))
            self._block(module, 2 * width, width)
            inputs = width
        for place, (_, module, scale, width) in enumerate(variant.tails):
            link = variant.width(scale) if variant.linked and place < SCALES else 0
            self._block(module, inputs + link, width)
            inputs = width

    def _block(self, name: str, inputs: int, width: int) -> None:
        self.add_module(name, nn.ModuleDict({"layers": block(inputs, width)}))


class TailedUNet(nn.Module):
    """[batch, 59049] samples -> every block's output, [batch, frames, width]."""

    def __init__(self, variant: Variant, published: Published):
        super().__init__()
        made = dict(published.named_children())
        self.names = [layer.name for layer in variant.layers()]
        self.down = nn.ModuleList(Block(made[m]["layers"]) for _, m, _ in variant.down)
        self.rise = nn.ModuleList(Upsampling(made[m]) for _, m, _, _ in variant.up)
        self.up = nn.ModuleList(Block(made[m]["layers"]) for _, _, m, _ in variant.up)
        self.tail = nn.ModuleList(Block(made[m]["layers"]) for _, m, _, _ in variant.tails)
        self.links = SCALES if variant.linked else 0

    def forward(self, waves: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        names, x, path = iter(self.names), waves[..., None], []
        for layer in self.down:
            x = layer(largest(x) if path else x)
            path.append(x)
            yield next(names), x
        beside = [path.pop()]  # the last block of each scale, from the deepest up
        for rise, layer in zip(self.rise, self.up, strict=True):
            x = layer(torch.cat([rise(x), path.pop()], 2))
            beside.append(x)
            yield next(names), x
        beside.pop()
        for place, layer in enumerate(self.tail):
            x = largest(x)
            if place < self.links:
                x = torch.cat([x, beside.pop()], 2)
            x = layer(x)
            yield next(names), x


class Tune(Model):
    """One member of the family behind the common interface."""

    def __init__(self, card: ModelCard, network: TailedUNet, weights: WeightsRecord):
        self.card, self.weights = card, weights
        self.network = network.eval().requires_grad_(False)

    def forward(self, values: torch.Tensor, until: str | None = None) -> dict[str, torch.Tensor]:
        return collect(self.network(values), until)


def _plain(filters: int, last: int = 512) -> tuple[int, ...]:
    return (2 * filters, 4 * filters, 8 * filters, last)


def _long(filters: int, extra: int) -> tuple[int, ...]:
    wide = (16 * filters, *[32 * filters] * (extra - 1))
    return (2 * filters, 4 * filters, 8 * filters, *wide, 512)


def _variants() -> dict[str, Variant]:
    """The family, by what stands after `tune:`.

    Widths are the paper's rules; those of the `xl` and `tail5-N` members are the ones that give
    the published number of parameters.
    """
    table = {
        "vanilla": Variant("TUNe vanilla", 34, _plain(34)),
        "vanilla-xs": Variant("TUNe vanilla, extra small", 11, _plain(11)),
    }
    for k, filters in enumerate((18, 9, 4), 1):
        table[f"cont{k}"] = Variant(f"Contractive+{k}", filters, _plain(filters), deeper=k)
    for k, filters in enumerate((34, 35, 38), 1):
        table[f"expa{k}"] = Variant(f"Expansive-{k}", filters, _plain(filters)[k:], SCALES - k)
    for k, filters in enumerate((28, 19, 15, 13, 11), 1):
        table[f"tail{k}"] = Variant(f"Tail+{k}", filters, _long(filters, k))
    table["plus"] = Variant("TUNe+", 11, _long(11, 5), linked=True)
    for name, member in list(table.items()):
        if name != "vanilla-xs":
            wide = _plain(28)[SCALES - member.ups :]
            if len(member.tail) > SCALES:
                wide = _long(28, len(member.tail) - SCALES)
            table[f"{name}-free"] = Variant(
                f"{member.paper}, free", 28, wide, member.ups, member.deeper, member.linked
            )
    table["plus-xl"] = Variant("TUNe+, extra large", 34, (68, 136, 272, *[512] * 6), linked=True)
    table["tail5-xl"] = Variant("Tail+5, extra large", 19, (38, 76, 152, 304, *[512] * 5))
    sizes = {
        32: (22, 44, *[32] * 7),
        64: (22, 44, *[64] * 7),
        128: (22, 44, 88, *[128] * 6),
        256: (22, 44, 88, *[256] * 6),
        1024: (22, 44, 88, 176, 352, 704, *[1024] * 3),
    }
    for size, widths in sizes.items():
        paper = f"Tail+5, representation of {size}"
        table[f"tail5-{size}"] = Variant(paper, 11, widths, linked=True)
    return table


VARIANTS: Mapping[str, Variant] = _variants()
# names of the files that the repository's scripts expect
FILES = {"tail5": "tune_5_tail_epoch_10000.ckpt", "plus": "tune_plus_epoch_10000.ckpt"}
_DEEP = re.compile(r"(transposedDeeper|deeperDown|deeperUp)[^.]*\.")


def from_published(
    tensors: dict[str, torch.Tensor], variant: Variant, source: str
) -> dict[str, torch.Tensor]:
    """Tensors of a file by their names in `Published`; unknown names stay as they are.

    Modules of the deeper scales are numbered from the top down, whatever their numbers in the
    file: their shapes tell which is which.

    Raises WeightsInvalid for two copies of the network that differ.
    """
    bare = lightning.unwrapped(tensors, "conv1.layers.0.weight", source=source)
    kept = {n: t for n, t in bare.items() if UNUSED.isdisjoint(n.split("."))}
    if not variant.deeper:
        return kept
    modules: dict[str, list[tuple[int, str]]] = {}
    for name, tensor in kept.items():
        if (found := _DEEP.match(name)) and tensor.ndim == 3:
            inputs = tensor.shape[0 if found[1] == "transposedDeeper" else 1]
            modules.setdefault(found[1], []).append((inputs, found[0]))
    new = {}
    for kind, places in modules.items():
        # down the channels grow from one module to the next, up they shrink
        ordered = sorted(places, reverse=kind != "deeperDown")
        new |= {old: f"{kind}{i}." for i, (_, old) in enumerate(ordered, 1)}
    out = {}
    for name, tensor in kept.items():
        found = _DEEP.match(name)
        old = found[0] if found else ""
        out[new.get(old, old) + name.removeprefix(old)] = tensor
    return out


def _missing(card: ModelCard, file: str | None) -> WeightsMissing:
    what = f" ({file})" if file else ""
    return WeightsMissing(
        f"the weights of {card.name}{what} are not on this machine and cannot be downloaded: the "
        f"authors link them from {REPOSITORY}, on a personal drive, licence: {LICENCE}. Pass the "
        "file or its folder with --weights (compare: --weights-a, --weights-b). "
        "To rehearse without it: --untrained"
    )


def _load(card: ModelCard, variant: Variant, file: str | None, request: Request) -> Tune:
    with drawing(card.name, request.seed):
        published = Published(variant)
    source = f"untrained, seed {request.seed}"
    if not request.untrained:
        if request.weights is None:
            raise _missing(card, file)
        path = lightning.weights_file(request.weights, (file or f"{card.name}.ckpt",))
        source = f"file {path.name}"
        tensors = from_published(lightning.read(path), variant, str(path))
        load_strict(published, tensors, source=str(path))
    sha256 = sha256_of_tensors(published.state_dict())
    record = WeightsRecord(sha256, source, not request.untrained)
    return Tune(card, TailedUNet(variant, published), record)


def _notes(detail: str, variant: Variant) -> str:
    notes = (
        "Windows of 59,049 samples (2.678 s). Every layer: after batch norm and ReLU, before "
        "pooling and links. Contr-1 and, where there is one, Expa-4 have a frame a sample; means "
        "over time of the last layer are the embedding."
    )
    if variant.linked:
        notes += " Tail-1 to Tail-4 also see the U-Net's block of their scale."
    if variant.deeper:
        notes += (
            f" Down-1 to Down-{variant.deeper} lie below Bot-U, which is not the lowest here; "
            f"Up-1 to Up-{variant.deeper} lead back to it. Structure and names of these are "
            "inferred from the published number of parameters."
        )
    if detail.endswith(("-xl", "-32", "-64", "-128", "-256", "-1024")):
        notes += " Widths of the tail are inferred from the published number of parameters."
    if detail.endswith("-free"):
        notes += " All free members start with 28 filters; sizes differ."
    return notes


def _spec(name: str, detail: str) -> ModelSpec:
    variant = VARIANTS[detail]
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Published(variant).parameters())
    title = {"tail5": "TUNe (Tail+5)", "plus": "TUNe+"}.get(detail, f"TUNe family: {variant.paper}")
    card = ModelCard(
        name=name,
        title=title,
        cite="Vélez Vásquez & Burgoyne 2022",
        paper="Vélez Vásquez & Burgoyne 2022, Tailed U-Net: Multi-Scale Music Representation "
        "Learning, ISMIR",
        url=REPOSITORY,
        training_data="MagnaTagATune, 10,000 epochs (contrastive, no labels)"
        if detail in FILES
        else "in the paper MagnaTagATune (contrastive, no labels)",
        licence=LICENCE,
        parameters=parameters,
        sample_rate=RATE,
        layers=variant.layers(),
        weights_from=f"a drive linked from {REPOSITORY}, given by the user",
        window=SAMPLES / RATE,
        fixed=True,
        notes=_notes(detail, variant),
    )
    return ModelSpec(card, partial(_load, card, variant, FILES.get(detail)), given=True)


TAIL5 = _spec("tune", "tail5")
PLUS = _spec("tune-plus", "plus")


def spec_of(detail: str) -> ModelSpec:
    """The member of the family that stands after `tune:`.

    Raises
    ------
    OptionUnsuitable : no such member, or one whose network is not known.
    """
    if detail.startswith("hybrid"):
        raise OptionUnsuitable(
            f"tune:{detail} is not offered: what stands between its U-Net and its SampleCNN, and "
            "the names in its files, are not published in a form that could be checked"
        )
    if detail not in VARIANTS:
        names = ", ".join(VARIANTS)
        if not detail:
            raise OptionUnsuitable(f"tune: which variant? After the colon goes one of {names}")
        near = get_close_matches(detail.lower(), VARIANTS, 1)
        meant = f"; did you mean tune:{near[0]}? There are {names}" if near else (
            f"; there are {names}"
        )  # fmt: skip
        raise OptionUnsuitable(f"tune:{detail} is unknown{meant}")
    known = {"tail5": TAIL5, "plus": PLUS}
    return known.get(detail) or _spec(f"tune:{detail}", detail)
