"""Checkpoints of fairseq, in which HuBERT, data2vec and MERT were trained.

Its networks have the same tensors as the transformers library's under other names. Beside them
stands the configuration of the training run, which settles what tensors cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from extract import checkpoint
from extract.errors import WeightsInvalid

# classes in the pickles of its several versions, beside the tensors; none is run
INERT = (
    "argparse.Namespace",
    "builtins.bool",
    "builtins.dict",
    "builtins.float",
    "builtins.int",
    "builtins.list",
    "builtins.str",
    "fairseq.data.dictionary.Dictionary",
    "fairseq.dataclass.configs.FairseqConfig",
    "fairseq.meters.AverageMeter",
    "fairseq.meters.TimeMeter",
    "fairseq.meters.StopwatchMeter",
    "fairseq.logging.meters.AverageMeter",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.nodes.AnyNode",
    "omegaconf.nodes.BooleanNode",
    "omegaconf.nodes.EnumNode",
    "omegaconf.nodes.FloatNode",
    "omegaconf.nodes.IntegerNode",
    "omegaconf.nodes.StringNode",
    "typing.Any",
)
MAPPINGS = ("collections.defaultdict",)
# heads, targets and teachers that training needs and features do not
UNUSED = (
    "_ema",
    "encoder_cqt_model.",
    "encoder_mel_model.",
    "final_proj.",
    "final_projs.",
    "label_embs_concat",
    "logit_temp_list",
    "project_q.",
    "quantizer.",
    "target_glu.",
)
LONGEST, MOST_CONVOLUTIONS = 1000, 100  # characters that say the convolutions, and how many
RULES = (
    (r"mask_emb$", "masked_spec_embed"),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    # one weight-normalised convolution, or a stack of plain ones
    (r"encoder\.pos_conv\.0\.(weight|bias|parametrizations)", r"encoder.pos_conv_embed.conv.\1"),
    (r"encoder\.pos_conv\.(\d+)\.0\.", r"encoder.pos_conv_embed.layers.\1.conv."),
    (r"(encoder\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.layer_norm."),
    (r"(encoder\.layers\.\d+)\.fc1\.", r"\1.feed_forward.intermediate_dense."),
    (r"(encoder\.layers\.\d+)\.fc2\.", r"\1.feed_forward.output_dense."),
    (r"(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    # a GroupNorm, or a LayerNorm between two transpositions
    (r"(feature_extractor\.conv_layers\.\d+)\.2\.(?:1\.)?(weight|bias)$", r"\1.layer_norm.\2"),
)


def read(path: Path) -> object:
    """Everything in a weights file, be it fairseq's or not; see `extract.checkpoint.content`."""
    return checkpoint.content(path, inert=INERT, mappings=MAPPINGS)


def is_from_fairseq(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether names are those of a wav2vec 2.0-like network in fairseq."""
    return any(".self_attn." in name or name.startswith("post_extract") for name in tensors)


def renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors under the transformers library's names; unknown names stay as they are."""
    return {_name(name): tensor for name, tensor in tensors.items()}


def _name(name: str) -> str:
    for pattern, replacement in RULES:
        changed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return changed
    return name


def settings(content: object, source: str) -> dict:
    """What the configuration of the training run says, in the transformers library's words.

    Empty where there is none, or where it was kept as an object of a class of the training program:
    such are not brought to life.

    Raises
    ------
    WeightsInvalid : a network that only its training program can build.
    """
    model = _part(content, "model")
    for name in ("feature_extractor_cqt", "deepnorm", "subln", "do_cnn_feat_stable_layernorm"):
        if model.get(name):
            raise WeightsInvalid(
                f"{source}: trained with {name}, which no published weights of the family have "
                "and this program does not build"
            )
    said = {}
    if isinstance(model.get("layer_norm_first"), bool):
        said["do_stable_layer_norm"] = model["layer_norm_first"]
    if isinstance(model.get("encoder_attention_heads"), int):
        said["num_attention_heads"] = model["encoder_attention_heads"]
    if isinstance(model.get("conv_feature_layers"), str):
        said["conv_stride"] = _strides(model["conv_feature_layers"], source)
    if isinstance(model.get("activation_fn"), str):
        said["hidden_act"] = model["activation_fn"]
    return said


def sample_rate(content: object) -> int | None:
    """Of the audio that the network was trained on, in Hz, where the configuration says it."""
    rate = _part(content, "task").get("sample_rate")
    return rate if isinstance(rate, int) else None


def _part(content: object, name: str) -> Mapping:
    """One part of the configuration beside the tensors, or nothing."""
    run = content.get("cfg") if isinstance(content, Mapping) else None
    part = run.get(name) if isinstance(run, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _strides(text: str, source: str) -> list[int]:
    """Third numbers of `[(512, 10, 5)] + [(512, 3, 2)] * 4`, which is Python and not run here."""
    strides: list[int] = []
    if len(text) > LONGEST:
        raise WeightsInvalid(f"{source}: convolutions are given in {len(text)} characters")
    for term in text.split("+"):
        found = re.fullmatch(r"\s*\[(.*?),?\s*\]\s*(?:\*\s*(\d+))?\s*", term)
        triples = re.findall(r"\(\s*\d+\s*,\s*\d+\s*,\s*(\d+)\s*\)", found[1]) if found else []
        if not triples:
            raise WeightsInvalid(f"{source}: convolutions are given as {text!r}: not understood")
        times = int(found[2] or 1)
        if len(strides) + len(triples) * times > MOST_CONVOLUTIONS:
            raise WeightsInvalid(f"{source}: convolutions are given as {text!r}: too many")
        strides += [int(stride) for stride in triples] * times
    return strides
