"""Files in the layouts in which networks of the wav2vec 2.0 structure are published.

The names and shapes are those of the library's own models, the values follow the golden rule. The
folders hold what the repositories hold: old names of the weight norm, the vector for masked frames,
MERT's fields of its own, music2vec's broken one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import golden
import torch
import transformers

TINY = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 192,
    "conv_dim": [32] * 7,
    "num_conv_pos_embedding_groups": 8,
}
LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "do_stable_layer_norm": True,
}
CLASSES = {
    "hubert": ("HubertConfig", "HubertModel"),
    "data2vec-audio": ("Data2VecAudioConfig", "Data2VecAudioModel"),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
}
MERT = {
    "model_type": "mert_model",
    "architectures": ["MERTModel"],
    "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
    "attention_relax": -1.0,
    "deepnorm": False,
    "feature_extractor_cqt": False,
    "feature_extractor_cqt_bins": 336,
    "sample_rate": 24000,
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
}
MODERN = ".conv.parametrizations.weight.original"


def library(kind: str, **sizes) -> torch.nn.Module:
    """The library's own model, as its own loader would make it."""
    config, model = classes(kind)
    return model(config(**sizes)).eval()


def classes(kind: str) -> tuple[type, type]:
    """Looked up before any device is set: what the library imports makes tensors of its own."""
    config, model = (getattr(transformers, name) for name in CLASSES[kind])
    return config, model


def shapes(kind: str, **sizes) -> dict[str, tuple[int, ...]]:
    config, model = classes(kind)
    with torch.device("meta"):
        return {n: tuple(t.shape) for n, t in model(config(**sizes)).state_dict().items()}


def tensors_of(kind: str, seed: int, **sizes) -> dict[str, torch.Tensor]:
    """Tensors with the names of the published .bin files."""
    drawn = golden.draw_weights(shapes(kind, **sizes), seed)
    old = {f"{MODERN}0": ".conv.weight_g", f"{MODERN}1": ".conv.weight_v"}
    published = {}
    for name, tensor in drawn.items():
        for ending, before in old.items():
            name = name.replace(ending, before)
        published[name] = tensor.abs() + 0.5 if name.endswith("_g") else tensor
    return published


def modern(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    new = {"weight_g": "original0", "weight_v": "original1"}
    return {
        re.sub(
            r"conv\.(weight_[gv])$", lambda m: f"conv.parametrizations.weight.{new[m[1]]}", name
        ): tensor
        for name, tensor in tensors.items()
    }


def own_forward(kind: str, tensors: dict, wave: torch.Tensor, **sizes) -> dict[str, torch.Tensor]:
    """What the library's model makes of a wave: entries of `hidden_states`, and the last."""
    network = library(kind, **sizes)
    network.load_state_dict(modern(tensors))
    with torch.inference_mode():
        out = network(wave, output_hidden_states=True)
    states = {f"hidden.{i:02d}": x for i, x in enumerate(out.hidden_states)}
    return states | {"last_hidden_state": out.last_hidden_state}


def write(
    folder: Path,
    tensors: dict[str, torch.Tensor],
    config: dict,
    *,
    normalise: bool | None = True,
    rate: int = 16000,
    filename: str = "pytorch_model.bin",
) -> Path:
    """A folder as the hub's; without a feature extractor's file if `normalise` is None."""
    folder.mkdir(parents=True, exist_ok=True)
    if filename.endswith(".safetensors"):
        from safetensors.torch import save_file

        save_file(tensors, folder / filename)
    else:
        torch.save(tensors, folder / filename)
    (folder / "config.json").write_text(json.dumps(config))
    if normalise is not None:
        table = {
            "do_normalize": normalise,
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "padding_value": 0.0,
            "return_attention_mask": False,
            "sampling_rate": rate,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(table))
    return folder


def in_fairseq(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors as the training program names them."""
    plain = {
        "masked_spec_embed": "mask_emb",
        "feature_projection.layer_norm": "layer_norm",
        "feature_projection.projection": "post_extract_proj",
        "encoder.pos_conv_embed.conv": "encoder.pos_conv.0",
    }
    layered = "feature_extractor.conv_layers.1.layer_norm.weight" in tensors
    inside = {
        "attention": "self_attn",
        "layer_norm": "self_attn_layer_norm",
        "feed_forward.intermediate_dense": "fc1",
        "feed_forward.output_dense": "fc2",
        "final_layer_norm": "final_layer_norm",
    }
    named = {}
    for name, tensor in tensors.items():
        for ours, theirs in plain.items():
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
        name = re.sub(r"pos_conv_embed\.layers\.(\d)\.conv", r"pos_conv.\1.0", name)
        name = re.sub(r"(conv_layers\.\d)\.conv", r"\1.0", name)
        name = re.sub(r"(conv_layers\.\d)\.layer_norm", r"\1.2.1" if layered else r"\1.2", name)
        if found := re.match(r"(encoder\.layers\.\d+)\.(.*)", name):
            start = next(ours for ours in inside if found[2].startswith(ours))
            name = f"{found[1]}.{inside[start]}{found[2].removeprefix(start)}"
        named[name] = tensor
    return named
