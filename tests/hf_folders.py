"""Small random models of the transformers library, saved as the hub keeps them."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as hf

SPEECH = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": (8,) * 3, "conv_stride": (5, 4, 2), "conv_kernel": (10, 8, 4),
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 3,
    "vocab_size": 10,
}  # fmt: skip
SIZES = {
    "hubert": SPEECH,
    "wav2vec2": {**SPEECH, "do_stable_layer_norm": True, "feat_extract_norm": "layer"},
    "wavlm": SPEECH,
    "data2vec-audio": {**SPEECH, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 7},
    "wav2vec2-conformer": {**SPEECH, "conv_depthwise_kernel_size": 7},
    "unispeech": SPEECH,
    "unispeech-sat": SPEECH,
    "sew": {**SPEECH, "squeeze_factor": 2},
    "sew-d": {**SPEECH, "squeeze_factor": 2, "max_position_embeddings": 64},
    "wav2vec2-bert": {
        "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 32, "conv_depthwise_kernel_size": 7, "vocab_size": 10,
    },
    "speech_to_text": {
        "d_model": 24, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
        "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32,
        "vocab_size": 30, "conv_channels": 16,
    },
    "moonshine": {
        "hidden_size": 32, "intermediate_size": 32, "encoder_num_hidden_layers": 2,
        "decoder_num_hidden_layers": 1, "encoder_num_attention_heads": 2,
        "decoder_num_attention_heads": 2, "vocab_size": 30,
    },
    "whisper": {
        "d_model": 24, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
        "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32,
        "vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 3, "max_source_positions": 200,
    },
    "audio-spectrogram-transformer": {
        "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 32, "max_length": 204, "num_mel_bins": 64,
    },
    "encodec": {
        "num_filters": 4, "hidden_size": 16, "upsampling_ratios": [5, 4, 4], "codebook_size": 16,
        "codebook_dim": 16, "target_bandwidths": [3.0, 6.0],
    },
    "dac": {
        "encoder_hidden_size": 4, "downsampling_ratios": [2, 4, 8], "decoder_hidden_size": 32,
        "n_codebooks": 3, "codebook_size": 16, "codebook_dim": 4, "hidden_size": 32,
        "upsampling_ratios": [8, 4, 2],
    },
    "mimi": {
        "hidden_size": 24, "num_filters": 4, "upsampling_ratios": [8, 6, 5], "codebook_size": 16,
        "codebook_dim": 12, "num_quantizers": 4, "num_semantic_quantizers": 1,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
        "intermediate_size": 32, "head_dim": 12, "vector_quantization_hidden_dimension": 12,
        "frame_rate": 50.0, "upsample_groups": 24,
    },
}  # fmt: skip
EXTRACTORS = {
    "whisper": ("WhisperFeatureExtractor", {"chunk_length": 4}),
    "audio-spectrogram-transformer": (
        "ASTFeatureExtractor", {"max_length": 204, "num_mel_bins": 64},
    ),
    "speech_to_text": ("Speech2TextFeatureExtractor", {}),
    "wav2vec2-bert": ("SeamlessM4TFeatureExtractor", {}),
    "encodec": ("EncodecFeatureExtractor", {}),
    "dac": ("DacFeatureExtractor", {}),
    "musicgen": ("EncodecFeatureExtractor", {}),
    "mimi": ("EncodecFeatureExtractor", {}),
    "clap": ("ClapFeatureExtractor", {"truncation": "rand_trunc"}),
}  # fmt: skip


def config_of(kind: str):
    if kind == "clap":
        audio = {
            "spec_size": 64, "num_mel_bins": 64, "depths": [1, 1], "patch_embeds_hidden_size": 16,
            "num_attention_heads": [2, 2], "window_size": 4, "hidden_size": 32, "patch_size": 4,
            "projection_dim": 16,
        }  # fmt: skip
        text = {
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "vocab_size": 20, "projection_dim": 16,
        }  # fmt: skip
        audio["spec_size"] = 256
        return hf.ClapConfig(audio_config=audio, text_config=text, projection_dim=16)
    if kind == "musicgen":
        decoder = {
            "vocab_size": 16, "num_hidden_layers": 3, "hidden_size": 24, "ffn_dim": 32,
            "num_attention_heads": 2, "num_codebooks": 4, "pad_token_id": 16, "bos_token_id": 16,
        }  # fmt: skip
        text = {"vocab_size": 20, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1}
        codec = {**SIZES["encodec"], "target_bandwidths": [4.8], "model_type": "encodec"}
        return hf.MusicgenConfig(
            text_encoder={**text, "num_heads": 2, "model_type": "t5"},
            audio_encoder=codec,
            decoder=decoder,
        )
    return hf.CONFIG_MAPPING[kind](**SIZES[kind])


def save(kind: str, folder: Path, head: str = "") -> torch.nn.Module:
    """Writes a small model of that kind as save_pretrained does, and returns it.

    `head` is the name of a class with something beside the encoder.
    """
    torch.manual_seed(7)
    config = config_of(kind)
    if kind == "musicgen":
        head = "MusicgenForConditionalGeneration"
    made = getattr(hf, head) if head else hf.MODEL_MAPPING[type(config)]
    model = made(config).eval()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith(("codebook.embed", "embed_sum")):  # code vectors start as zeros
                buffer.normal_()
            if name.endswith("cluster_usage"):
                buffer.fill_(1.0)
    model.save_pretrained(folder)
    extractor, settings = EXTRACTORS.get(kind, ("Wav2Vec2FeatureExtractor", {}))
    getattr(hf, extractor)(**settings).save_pretrained(folder)
    return model
