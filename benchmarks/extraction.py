"""Speed of extraction, as ratios measured in one run: python benchmarks/extraction.py [--device D]

forward   our MusicFM against the encoder that its authors use (Wav2Vec2ConformerEncoder of
          transformers behind the same front end), our MERT against HubertModel of transformers;
          same weights, same batch, same threads, runs taking turns; the outputs are compared too
compile   the same forward with its blocks through torch.compile
pipeline  the whole extraction (decoding, resampling, cutting, pooling, writing) against the bare
          forward passes over the same windows, batches and threads; on a CPU in CPU seconds
memory    peak of this process's memory over 1x and 4x the clips

Ratios above 1 say by how much ours is faster. Times are the fastest of several rounds: other
programs on the machine only ever add to them.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch

from extract import models
from extract.datasets import open_dataset
from extract.forward import Forward
from extract.models.base import Request
from extract.pipeline import Options, extract

TWIN = Request(untrained=True)
CLIP = 8.0  # seconds of a clip in the pipeline's part


def turns(
    functions: dict[str, Callable[[], object]],
    rounds: int,
    device: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Fewest seconds of each function; they take turns, so that a slow minute hits all alike."""
    taken = {name: [] for name in functions}
    for i in range(rounds + 1):
        for name, function in functions.items():
            start = clock()
            with torch.inference_mode():
                function()
            if device == "cuda":
                torch.cuda.synchronize()
            if i:  # the first round warms up
                taken[name].append(clock() - start)
    return {name: min(seconds) for name, seconds in taken.items()}


def conformer_peer(network: torch.nn.Module) -> torch.nn.Module:
    """The encoder that the authors of MusicFM and MuQ run, with our weights."""
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer import modeling_wav2vec2_conformer as theirs

    sizes = network.sizes
    config = Wav2Vec2ConformerConfig(
        hidden_size=sizes.encoder_dim,
        num_hidden_layers=sizes.depth,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.ffn,
        conv_depthwise_kernel_size=sizes.kernel,
        position_embeddings_type="rotary",
        hidden_act="swish",
        layerdrop=0.0,
    )
    config._attn_implementation = "eager"  # the only one that these layers have ever had
    encoder = theirs.Wav2Vec2ConformerEncoder(config).eval()
    missing, unexpected = encoder.load_state_dict(network.conformer.state_dict(), strict=False)
    if unexpected or any(not name.startswith("pos_conv_embed") for name in missing):
        raise SystemExit(f"the peer has other weights: {missing[:3]} {unexpected[:3]}")
    return encoder


def musicfm_forward(device: str, seconds: float) -> tuple[dict, float]:
    """Functions that take turns, and how far the peer's output is from ours."""
    model = models.load("musicfm", TWIN).to(device)
    network = model.network
    encoder = conformer_peer(network).to(device)
    wave = noise(model.sample_rate, seconds, device)

    def peer() -> torch.Tensor:
        mel = (network.mel(wave) - network.mean) / network.std
        return encoder(network.conv(mel)).last_hidden_state

    def ours() -> torch.Tensor:
        return model.forward(wave)["final"]

    return {"ours": ours, "peer": peer}, deviation(ours, peer)


def hubert_forward(device: str, seconds: float) -> tuple[dict, float]:
    """The same for MERT, which is a HubertModel."""
    from transformers import HubertConfig, HubertModel

    model = models.load("mert-95m", TWIN).to(device)
    plain = HubertModel(HubertConfig()).eval().to(device)
    names = plain.state_dict()
    weight_norm = {n for n in names if "parametrizations" in n}
    state = {n: t for n, t in model.network.state_dict().items() if n in names}
    plain.load_state_dict(state, strict=False)
    if missing := set(names) - set(state) - weight_norm - {"masked_spec_embed"}:
        raise SystemExit(f"the peer has other weights: {sorted(missing)[:3]}")
    place = plain.encoder.pos_conv_embed.conv
    place.weight = model.network.encoder.pos_conv_embed.conv.weight.detach().clone()
    wave = noise(model.sample_rate, seconds, device)

    def peer() -> torch.Tensor:
        centred = wave - wave.mean(1, keepdim=True)
        values = centred / (centred.var(1, unbiased=False, keepdim=True) + 1e-7).sqrt()
        return plain(values, output_hidden_states=True).last_hidden_state

    def ours() -> torch.Tensor:
        return model.forward(wave)["block12"]

    return {"ours": ours, "peer": peer}, deviation(ours, peer)


def noise(rate: int, seconds: float, device: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(1, round(rate * seconds), generator=generator).to(device)


def deviation(ours: Callable, peer: Callable) -> float:
    with torch.inference_mode():
        wanted = peer()
        return ((ours() - wanted).norm() / wanted.norm()).item()


def compiled(device: str, seconds: float, rounds: int) -> dict[str, float]:
    from extract.forward import compile_blocks

    plain, fast = models.load("musicfm", TWIN).to(device), models.load("musicfm", TWIN).to(device)
    compile_blocks(fast)
    wave = noise(plain.sample_rate, seconds, device)
    functions = {"plain": lambda: plain.forward(wave), "compiled": lambda: fast.forward(wave)}
    return turns(functions, rounds, device)


def write_clips(folder: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    for i in range(count):
        values = 0.1 * generator.standard_normal(round(CLIP * 44100))
        soundfile.write(folder / f"clip{i:05d}.wav", values, 44100)


def pipeline(name: str, device: str, clips: int) -> dict[str, float]:
    """Seconds of the whole extraction and of its bare forward passes, turn by turn."""
    model = models.load(name, TWIN)
    with tempfile.TemporaryDirectory() as work:
        audio = Path(work) / "audio"
        audio.mkdir()
        write_clips(audio, clips)
        dataset = open_dataset(str(audio))
        some = list(dataset.clips)
        waves = [dataset.audio(clip, model.sample_rate) for clip in some]
        values = [window.values for wave in waves for window in model.windows(wave)]

        def bare() -> None:
            with Forward(model, device) as forward:
                size = forward.batch_size(values[0], CLIP)
                batches = [values[i : i + size] for i in range(0, len(values), size)]
                jobs = [forward.submit(lambda b: list(forward.outputs(b)), b) for b in batches]
                for job in jobs:
                    job.result()

        def whole() -> None:
            with tempfile.TemporaryDirectory() as store:
                extract(model, dataset, some, ["clips"], Path(store), Options(device))

        # on a CPU the work of all threads: what another program takes is not in it
        clock = time.process_time if device == "cpu" else time.perf_counter
        return turns({"bare": bare, "whole": whole}, 2, device, clock)


def peak_memory(name: str, device: str, clips: int) -> int:
    """Peak resident memory in MiB of a fresh process that extracts so many clips."""
    command = [sys.executable, __file__, "--peak", name, "--device", device, "--clips", str(clips)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def extract_and_tell(name: str, device: str, clips: int) -> None:
    model = models.load(name, TWIN)
    with tempfile.TemporaryDirectory() as work:
        audio = Path(work) / "audio"
        audio.mkdir()
        write_clips(audio, clips)
        dataset = open_dataset(str(audio))
        extract(model, dataset, list(dataset.clips), ["clips"], Path(work), Options(device))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=10.0, help="audio of a forward pass")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=24, help="clips of the pipeline's part")
    parser.add_argument("--model", default="mert-95m", help="model of the pipeline's part")
    parser.add_argument("--parts", default="forward,compile,pipeline,memory")
    parser.add_argument("--json", type=Path, help="write the numbers there as well")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if given.peak:
        extract_and_tell(given.peak, given.device, given.clips)
        return
    cuda = given.device == "cuda"
    place = torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine()
    threads = torch.get_num_threads()
    print(f"{place}, {threads} threads, torch {torch.__version__}, TF32 off")
    found: dict[str, object] = {"device": place, "threads": threads, "torch": torch.__version__}
    parts = given.parts.split(",")
    if "forward" in parts:
        for name, make in (("musicfm", musicfm_forward), ("mert-95m", hubert_forward)):
            functions, off = make(given.device, given.seconds)
            times = turns(functions, given.rounds, given.device)
            found[f"forward {name}"] = times | {"deviation": off}
            print(
                f"forward {name}, {given.seconds:g} s of audio: ours {times['ours']:.3f} s, peer "
                f"{times['peer']:.3f} s, ratio {times['peer'] / times['ours']:.2f}, "
                f"outputs differ by {off:.1e}"
            )
    if "compile" in parts:
        times = compiled(given.device, given.seconds, given.rounds)
        found["compile"] = times
        print(
            f"compile musicfm: {times['plain']:.3f} s, compiled {times['compiled']:.3f} s, ratio "
            f"{times['plain'] / times['compiled']:.2f}"
        )
    if "pipeline" in parts:
        times = pipeline(given.model, given.device, given.clips)
        found["pipeline"] = times
        print(
            f"pipeline {given.model}, {given.clips} clips of {CLIP:g} s: "
            f"bare {times['bare']:.2f} s, "
            f"whole {times['whole']:.2f} s, overhead {times['whole'] / times['bare'] - 1:+.1%}"
        )
    if "memory" in parts:
        peaks = {n: peak_memory("vgg-mtt", given.device, n) for n in (64, 256)}
        found["memory"] = peaks
        print(f"memory vgg-mtt: {peaks[64]} MiB for 64 clips, {peaks[256]} MiB for 256")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
