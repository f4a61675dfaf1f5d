"""`rsa doctor`: what could go wrong on this machine, and the cure for each."""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib import metadata, util
from pathlib import Path

import click

from cli import options

PYTHON_RSA = (
    "the cryptography package `rsa` (Python-RSA) is in this environment under the same import "
    "name: whichever was installed last has overwritten the other's files, so either this tool or "
    "what signs with Python-RSA (some cloud clients) breaks; give music-rsa its own environment"
)


@click.command("doctor")
@options.as_json
def command(as_json: bool) -> None:
    """Check versions, devices, audio formats, caches and data; exit code 1 on a problem."""
    checks = [check() for check in (
        _name_clash, _torch, _transformers, _device, _audio, _typst, _demo_data, _weights,
        _memory, _cache,
    )]  # fmt: skip
    if as_json:
        keys = ("check", "ok", "found", "cure")
        click.echo(json.dumps([dict(zip(keys, check, strict=True)) for check in checks], indent=1))
    else:
        from cli.screen import show_table

        rows = [[name, "ok" if ok else "problem", found, cure] for name, ok, found, cure in checks]
        show_table("rsa doctor", ["check", "", "found", "cure"], rows)
    if not all(ok for _, ok, _, _ in checks):
        sys.exit(1)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _name_clash():
    theirs = _version("rsa")
    spec = util.find_spec("rsa")
    ours = spec is not None and spec.origin and (Path(spec.origin).parent / "measures.py").exists()
    if theirs or not ours:
        found = f"Python-RSA {theirs}" if theirs else f"import rsa gives {spec and spec.origin}"
        return "import name rsa", False, found, PYTHON_RSA
    return "import name rsa", True, str(Path(spec.origin).parent), ""


def _torch():
    cure = "pip install 'torch>=2.11,<2.15' 'torchaudio==2.11.*' (torchaudio's last release)"
    found = f"torch {_version('torch')}, torchaudio {_version('torchaudio')}"
    try:
        import torch  # noqa: F401
        import torchaudio  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return "torch and torchaudio", False, f"{found}: {str(error).splitlines()[0]}", cure
    return "torch and torchaudio", True, found, ""


def _transformers():
    version = _version("transformers")
    cure = "" if version else "pip install transformers"
    return "transformers", bool(version), str(version), cure


def _device():
    from cli.steps import resolve_device

    device = resolve_device("auto")
    import torch

    threads = f"{torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name() if device == "cuda" else threads
    return "device", True, f"{device} ({name})", ""


def _audio():
    import soundfile

    wanted = {"WAV", "FLAC", "OGG", "MP3"}
    lacking = wanted - set(soundfile.available_formats())
    found = f"libsndfile {soundfile.__libsndfile_version__}"
    if lacking:
        cure = "pip install -U soundfile (its wheel brings a newer libsndfile)"
        return "audio formats", False, f"{found} lacks {', '.join(sorted(lacking))}", cure
    return "audio formats", True, f"{found}: wav, flac, ogg, mp3", ""


def _typst():
    version = _version("typst")
    return "typst (the PDF)", bool(version), str(version), "" if version else "pip install typst"


def _demo_data():
    from extract.datasets.mini import sources

    if lacking := sources.lacking():
        cure = "pip install 'music-rsa[demo]'"
        return "data set mini", True, f"off: no {', '.join(lacking)}", cure
    return "data set mini", True, f"music21 {_version('music21')}", ""


def _weights():
    from extract import models

    here = [name for name in models.names() if models.spec(name).present()]
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    found = f"here: {', '.join(here) or 'none'}" + ("; HF_HUB_OFFLINE is set" if offline else "")
    return "weights", True, found, "" if here else "they are fetched when first asked for"


def _memory():
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError, AttributeError):
        return "memory", True, "unknown", ""
    cure = "" if free >= 4 else "MusicFM and MuQ need about 4 GiB; close other programs"
    return "memory", True, f"{free:.1f} GiB free", cure


def _cache():
    from extract.weights import cache_dir

    try:
        folder = cache_dir()
        (folder / ".writable").write_text("")
        (folder / ".writable").unlink()
    except OSError as error:
        cure = "set RSA_CACHE to a folder you may write to"
        return "cache", False, str(error), cure
    free = shutil.disk_usage(folder).free / 2**30
    cure = "" if free >= 5 else "weights and activations want about 5 GiB; set RSA_CACHE elsewhere"
    return "cache", free >= 1, f"{folder} ({free:.0f} GiB free)", cure
