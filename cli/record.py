"""The study folder: which one, and the `study.json` that says what was done (docs/study.md)."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.roles import REFERENCES
from extract.urls import without_secrets
from extract.writing import named, sweep, write_text

if TYPE_CHECKING:
    from filelock import FileLock

    from cli.material import Material
    from cli.screen import Screen
    from cli.steps import Run
    from extract.datasets.base import Clip, Dataset
    from extract.models.base import Model

UNTRAINED = "UNTRAINED WEIGHTS"
UNFINISHED = ".unfinished"  # stands in a study folder until its study.json does
_LOCKS: dict[Path, FileLock] = {}  # studies that this process is writing
PACKAGES = (
    "music-rsa", "torch", "torchaudio", "transformers", "numpy", "scipy", "scikit-learn",
    "umap-learn", "librosa", "mir_eval", "soundfile", "matplotlib", "typst", "music21",
    "midirenderer",
)  # fmt: skip


def default_folder(*names: str) -> Path:
    """Where a study of these models goes when the user does not say."""
    from extract.models.base import file_name

    return Path("-".join(["study", *map(file_name, names)]))


def study_folder(out: Path | None, default: Path) -> Path:
    """The folder to write to; one that holds something else is refused."""
    folder = out or default
    if folder.is_dir():
        ours = any((folder / name).exists() for name in ("study.json", UNFINISHED))
        if any(folder.iterdir()) and not ours:
            raise click.UsageError(
                f"--out {folder}: the folder is not empty and holds no study; name another"
            )
    else:
        refuse_files(folder)
    return folder


def refuse_files(out: Path, file: bool = False) -> None:
    """A usage error for an --out of whose folders one is a file.

    Parameters
    ----------
    file : whether `out` itself is to be a file; else a folder.
    """
    folders = out.parents if file else (out, *out.parents)
    there = next((place for place in folders if os.path.lexists(place)), None)
    if there is not None and not there.is_dir():
        what = "a file of that name exists" if there == out else f"{there} is a file, no folder"
        raise click.UsageError(f"--out {out}: {what}; name another")


def claim(folder: Path, screen: Screen) -> None:
    """Makes the folder, so marked that the same command may go on in it, and begins its log.

    The mark is locked until `write_study`, or until this process ends: another run is refused.
    What an earlier run left stays until `begin_study`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / UNFINISHED).touch()
    except OSError as error:
        raise named(error, folder) from error
    _lock(folder)
    if screen.log:
        screen.log.open(folder)


def begin_study(folder: Path) -> None:
    """Results of an earlier run go: numbers of two runs must not meet in one report."""
    sweep(folder)
    for name in ("study.json", "expectations.json"):
        (folder / name).unlink(missing_ok=True)
    for results in ("similarity", "geometry", "information", "probes", "why", "maps", "figures"):
        shutil.rmtree(folder / results, ignore_errors=True)


def _lock(folder: Path) -> None:
    from extract.claims import locked

    place = folder.resolve()
    if place in _LOCKS:  # of an earlier attempt of this process
        return
    try:
        lock = locked(folder / UNFINISHED)
    except (OSError, NotImplementedError):
        return  # a file system without locks
    if lock is None:
        raise click.UsageError(
            f"--out {folder}: another run is writing this study; wait for it, or name another"
        )
    _LOCKS[place] = lock


def model_card(role: str, model: Model, deviations: dict[str, float] | None) -> dict:
    """The card, with what was run: layers that were kept, windows, weights, precision."""
    card = {
        "role": role,
        **model.card.as_json(),
        "layers": [asdict(layer) for layer in model.layers],
        "window": model.window,
        "hop": model.hop,
        "weights": model.weights.as_json(),
    }
    return card | ({"deviations": deviations} if deviations else {})


def data_card(dataset: Dataset, clips: Sequence[Clip]) -> dict:
    return {
        **dataset.card.as_json(),
        "absent": dataset.absent,
        "clips": len(clips),
        "tracks": len({clip.track for clip in clips}),
        "groups": len({clip.group for clip in clips}),
        "hours": sum(clip.duration for clip in clips) / 3600,
        "splits": dict(Counter(clip.split for clip in clips if clip.split)),
        "subsets": dict(Counter(clip.subset for clip in clips if clip.subset)),
    }


def write_study(
    folder: Path,
    material: Material,
    *,
    title: str,
    rows: dict,
    settings: dict,
    run: Run,
    timings: Sequence[tuple[str, float]],
) -> None:
    """Writes `study.json`; the arguments are its keys."""
    from cli.steps import deviations

    def cards(models: dict[str, Model]) -> dict[str, dict]:
        return {
            role: model_card(role, model, deviations(material.activations[role]))
            for role, model in models.items()
        }

    trained = all(model.weights.trained for model in material.models.values())
    content = {
        "format": 1,
        "title": title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["rsa", *sys.argv[1:]]),
        "stamps": [] if trained else [UNTRAINED],
        "caveats": list(material.dataset.card.caveats),
        "models": cards(material.models),
        "twins": cards(material.twins),
        "references": model_card(REFERENCES, material.references, None),
        "data": data_card(material.dataset, material.clips),
        "rows": rows,
        "failures": material.failures,
        "settings": settings,
        "provenance": provenance(run.device, run.seed),
        "timings": [{"stage": stage, "seconds": round(s, 2)} for stage, s in timings],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_text(folder / "study.json", without_secrets(text))
    (folder / UNFINISHED).unlink(missing_ok=True)
    if lock := _LOCKS.pop(folder.resolve(), None):
        lock.release()


def about_program() -> dict:
    """Versions and commit."""
    return {
        "version": _version("music-rsa"),
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
    }


def provenance(device: str, seed: int) -> dict:
    """Versions, commit, machine: what someone needs to repeat the run."""
    import torch

    return {
        **about_program(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": torch.get_num_threads(),
        "seed": seed,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the checkout this program runs from, with + when files differ from it."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
