"""Files in the layout in which MusicFM and MuQ are published, with golden weights inside.

MusicFM: a PyTorch file of 465 tensors under `state_dict`, names with the prefix `model.`, the old
names of weight normalisation, counters in float32. MuQ: safetensors or a PyTorch file of 525
tensors with the same prefix and no wrapper, beside a config.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import golden
import torch
from safetensors.torch import save_file

from extract.models.conformer import Network, Sizes

TINY = Sizes(encoder_dim=64, depth=3, conv_dim=8, heads=4, ffn=256)
SEEDS = {"musicfm_tiny": 11, "musicfm_full": 12, "muq_tiny": 13, "muq_full": 14}
MEAN, STD = 6.768444971712967, 18.417922652295623
MEL = "model.preprocessor_melspec_2048.mel_stft."


def drawn_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Published names and shapes of the tensors that the golden rule draws."""
    with torch.device("meta"):
        state = Network(sizes, MEAN, STD).state_dict()
    left_out = ("mel.", "conformer.embed_positions.")
    return {
        f"model.{name}": tuple(tensor.shape)
        for name, tensor in state.items()
        if not name.startswith(left_out) and not name.endswith("num_batches_tracked")
    }


def tensors_of(kind: str, sizes: Sizes, seed: int) -> dict[str, torch.Tensor]:
    """Everything in the published file of `musicfm` or `muq`: needed, dead and training-only."""
    drawn = golden.draw_weights(drawn_shapes(sizes), seed)
    width, head = sizes.encoder_dim, sizes.encoder_dim // sizes.heads
    counter = torch.tensor(95489.0)
    counters = {
        name.replace("running_mean", "num_batches_tracked"): counter.clone()
        for name in drawn
        if name.endswith("running_mean")
    }
    codes = 4096 if kind == "musicfm" else 8192
    place = "model.conformer.pos_conv_embed.conv."
    steps = -torch.arange(0, head, 2) / head
    extras = {
        "model.cls_token": torch.randn(width),
        "model.linear.weight": torch.randn(codes, width),
        "model.linear.bias": torch.randn(codes),
        place + "bias": torch.randn(width),
        place + "weight_g": torch.randn(1, 1, 128),
        place + "weight_v": torch.randn(width, width // 16, 128),
        "model.conformer.embed_positions.inv_freq": 10000.0**steps,
    }
    tensors = drawn | counters | extras
    if kind == "musicfm":
        mel = Network(TINY, MEAN, STD).mel
        quantizer = "model.quantizer_melspec_2048_0."
        return tensors | {
            MEL + "spectrogram.window": mel.window,
            MEL + "mel_scale.fb": mel.filters,
            quantizer + "random_projection": torch.randn(512, 16),
            quantizer + "codebook": torch.randn(4096, 16),
        }
    for i in range(8):
        tensors |= {f"model.rvq.quantizers.{i}.{n}": torch.randn(s) for n, s in RVQ.items()}
    return tensors


RVQ = {
    "stale_counter": (1024,),
    "in_proj.bias": (16,),
    "in_proj.weight_g": (16, 1, 1),
    "in_proj.weight_v": (16, 512, 1),
    "out_proj.bias": (512,),
    "out_proj.weight_g": (512, 1, 1),
    "out_proj.weight_v": (512, 16, 1),
    "codebook.weight": (1024, 16),
}


def write_musicfm(folder: Path, tensors: dict, filename: str = "pretrained_msd.pt") -> Path:
    """The wrapper, and beside the tensors the plain values that such files carry."""
    path = folder / filename
    extras = {"epoch": 3, "seen": {"a", "b"}, "shape": torch.Size([1, 2])}
    torch.save({"state_dict": tensors, **extras}, path)
    return path


def write_stats(folder: Path, filename: str, mean: float, std: float) -> Path:
    path = folder / filename
    table = {"spec_256_mean": 1.0, "melspec_2048_cnt": 10, "melspec_2048_mean": mean}
    path.write_text(json.dumps(table | {"melspec_2048_std": std}))
    return path


def muq_config(sizes: Sizes, **changes: object) -> dict:
    """config.json; the number of layers in `w2v2_config` is the unused 24 of the speech model."""
    return {
        "label_rate": 25, "num_codebooks": 1, "codebook_dim": 16, "codebook_size": 8192,
        "features": ["melspec_2048"], "hop_length": 240, "n_mels": 128,
        "conv_dim": sizes.conv_dim, "encoder_dim": sizes.encoder_dim,
        "encoder_depth": sizes.depth, "mask_hop": 0.4, "mask_prob": 0.6, "is_flash": False,
        "stat": {"melspec_2048_mean": MEAN, "melspec_2048_std": STD},
        "w2v2_config": {
            "num_hidden_layers": 24, "hidden_size": sizes.encoder_dim,
            "num_attention_heads": sizes.heads, "intermediate_size": sizes.ffn,
            "conv_depthwise_kernel_size": sizes.kernel, "position_embeddings_type": "rotary",
        },
        "use_rvq_target": True,
    } | changes  # fmt: skip


def write_muq(folder: Path, tensors: dict, sizes: Sizes, *, safe: bool = True) -> Path:
    """The folder, as downloaded."""
    (folder / "config.json").write_text(json.dumps(muq_config(sizes)))
    if safe:
        save_file(tensors, folder / "model.safetensors")
    else:
        torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def write(kind: str, folder: Path, sizes: Sizes, seed: int) -> Path:
    """A published file or folder of `musicfm` or `muq`, to be given as weights."""
    tensors = tensors_of(kind, sizes, seed)
    if kind == "musicfm":
        return write_musicfm(folder, tensors)
    return write_muq(folder, tensors, sizes)
