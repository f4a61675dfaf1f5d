"""From the tensors of a published file to a `ConformerModel`, or to an untrained twin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from extract.errors import WeightsInvalid
from extract.models.base import ModelCard, WeightsRecord, of_another_size
from extract.models.conformer import ConformerModel, Network, Sizes
from extract.weights import drawing, load_strict, sha256_of_tensors

# statistics of the log-mel (dB) over the Million Song Dataset: 14,282,760,192 values
MSD_MEAN, MSD_STD = 6.768444971712967, 18.417922652295623
PUBLISHED = Sizes()
PARAMETERS = 316_343_296  # of the network at its published sizes
# in every file, never used for features
UNUSED = ("cls_token", "linear.", "conformer.pos_conv_embed.")


def unprefixed(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The same tensors, names without the prefix where they have it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def sizes_of(
    tensors: Mapping[str, torch.Tensor],
    source: str,
    *,
    label_rate: int = 25,
    heads: int | None = None,
) -> Sizes:
    """Sizes of the network that these tensors belong to.

    Parameters
    ----------
    heads : if the configuration says so; else from the number of rotary frequencies in the file.

    Raises
    ------
    WeightsInvalid : a tensor that tells a size is not there, or the sizes make no network.
    """

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise WeightsInvalid(
                f"{source}: 1 missing tensor: {name}; the file holds {sorted(tensors)[0]} and the "
                "like; is this the file of this very model?"
            )
        return tuple(tensors[name].shape)

    blocks = {int(name.split(".")[2]) for name in tensors if name.startswith("conformer.layers.")}
    try:
        width = shape("conformer.layer_norm.weight")[0]
        if heads is None:
            heads = width // (2 * shape("conformer.embed_positions.inv_freq")[0])
        return Sizes(
            encoder_dim=width,
            depth=max(blocks, default=0) + 1,
            conv_dim=shape("conv.conv.0.bn1.weight")[0],
            heads=heads,
            ffn=shape("conformer.layers.0.ffn1.intermediate_dense.bias")[0],
            kernel=shape("conformer.layers.0.conv_module.depthwise_conv.weight")[2],
            label_rate=label_rate,
        )
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise WeightsInvalid(f"{source}: sizes make no network ({error})") from None


def trained(
    card: ModelCard,
    tensors: Mapping[str, torch.Tensor],
    sizes: Sizes,
    *,
    mean: float,
    std: float,
    source: str,
    unused: Iterable[str] = (),
) -> ConformerModel:
    """A model with these weights, read strictly.

    Parameters
    ----------
    tensors : by the network's names. Buffers that follow from the sizes (mel window and filters,
        rotary frequencies) are added where the file does not bring them.
    mean, std : of the log-mel in dB, part of the weights' identity.
    unused : prefixes allowed besides `UNUSED`.
    """
    if not (std > 0 and abs(mean) < float("inf") and std < float("inf")):
        raise WeightsInvalid(f"{source}: log-mel statistics make no sense (mean {mean}, std {std})")
    with torch.device("meta"):  # no time spent on values that are replaced at once
        network = Network(sizes, mean, std)
    network.to_empty(device="cpu")
    tensors = network.constants() | dict(tensors)
    load_strict(network, tensors, source=source, unused=(*UNUSED, *unused))
    statistics = torch.tensor([mean, std], dtype=torch.float64)
    digest = sha256_of_tensors(network.state_dict() | {"mel.statistics": statistics})
    return ConformerModel(
        _card_of(card, network), network, WeightsRecord(digest, source, trained=True)
    )


def untrained(card: ModelCard, seed: int, sizes: Sizes = PUBLISHED) -> ConformerModel:
    """The same architecture with PyTorch's usual random initial weights, drawn from `seed`.

    The log-mel keeps the statistics of real music, so that a twin differs from its model by the
    weights alone.
    """
    with drawing(card.name, seed):
        network = Network(sizes, MSD_MEAN, MSD_STD)
    record = WeightsRecord(
        sha256_of_tensors(network.state_dict()), f"untrained, seed {seed}", trained=False
    )
    return ConformerModel(_card_of(card, network), network, record)


def _card_of(card: ModelCard, network: Network) -> ModelCard:
    """The card as it stands, or corrected where the network has other sizes than published."""
    sizes = network.sizes
    if sizes == PUBLISHED:
        return card
    note = f"{sizes.depth} blocks of width {sizes.encoder_dim}, {sizes.heads} heads"
    parameters = sum(p.numel() for p in network.parameters())
    return of_another_size(card, sizes.layers(), parameters, note)
