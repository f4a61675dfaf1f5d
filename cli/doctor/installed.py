"""Packages: the import name, versions, torch with torchaudio, what is optional."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata, util
from pathlib import Path

from cli.doctor.check import Asked, Check

PACKAGE = "music-rsa"
PYTHON_RSA = (
    "the cryptography package `rsa` (Python-RSA) is in this environment under the same import "
    "name: whichever was installed last has overwritten the other's files, so either this tool or "
    "what signs with Python-RSA (some cloud clients) breaks; give music-rsa its own environment"
)
# extra: what is lacking without it
EXTRAS = {
    "demo": "without it there is no data set mini: give --data FOLDER",
    "mirdata": "without it there are no loaders mirdata:NAME",
    "s3": "without it there is no s3://",
    "gs": "without it there is no gs://",
    "storage": "only the tests of s3:// want it",
    "browser": "only the tests of the HTML report want it",
}
# in a process of its own: a pair that does not fit can end Python without an exception
LOOK = """
import json, torch
found = {"torch": torch.__version__, "cuda": torch.version.cuda,
         "hip": getattr(torch.version, "hip", None), "threads": torch.get_num_threads(),
         "mps": torch.backends.mps.is_available(), "mps_built": torch.backends.mps.is_built(),
         "arches": torch.cuda.get_arch_list() if torch.version.cuda else [], "gpus": []}
try:
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        free, _ = torch.cuda.mem_get_info(i)
        found["gpus"].append({"name": about.name, "memory": about.total_memory, "free": free,
                              "capability": f"{about.major}.{about.minor}"})
    if found["gpus"]:
        assert float((torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda"))[0, 0]) == 8
except Exception as error:
    found["gpu_error"] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(found), flush=True)
import torchaudio
assert torchaudio.functional.resample(torch.ones(800), 8000, 4000).shape == (400,)
print(json.dumps({"torchaudio": torchaudio.__version__}), flush=True)
"""


def name_clash(asked: Asked) -> Check:
    """Whether `import rsa` is this program's."""
    theirs = version("rsa")
    spec = util.find_spec("rsa")
    here = Path(spec.origin).parent if spec and spec.origin else None
    ours = here is not None and (here / "measures" / "__init__.py").exists()
    if theirs or not ours:
        found = f"Python-RSA {theirs}" if theirs else f"import rsa gives {here}"
        return Check("import name rsa", "problem", found, PYTHON_RSA)
    return Check("import name rsa", "ok", str(here))


def versions(asked: Asked) -> Iterator[Check]:
    """Python and every package that is needed, against the bounds of the installed metadata."""
    from packaging.specifiers import SpecifierSet

    try:
        about = metadata.metadata(PACKAGE)
    except metadata.PackageNotFoundError:
        yield Check("versions", "warn", f"{PACKAGE} is not installed: bounds are unknown",
                    "pip install -e . in the checkout")  # fmt: skip
        return
    python = platform.python_version()
    if (bounds := about["Requires-Python"]) and python not in SpecifierSet(bounds):
        yield Check("Python", "problem", python, f"make an environment of Python {bounds}")
    good, wrong = [], []
    for need in _needed():
        have = version(need.name)
        fits = have is not None and need.specifier.contains(have, prereleases=True)
        (good if fits else wrong).append((need, have))
    for need, have in wrong:
        yield Check(need.name, "problem", have or "not installed", f"pip install '{need}'")
    if not wrong:
        yield Check("versions", "ok", f"Python {python}, {PACKAGE} {version(PACKAGE)}, "
                    f"{len(good)} packages within their bounds")  # fmt: skip


def torch_pair(asked: Asked) -> Check:
    """Whether torch and torchaudio work together, and whether torch is built for the GPU here."""
    name = "torch and torchaudio"
    pair = " ".join(f"'{need}'" for need in _needed() if need.name in ("torch", "torchaudio"))
    cure = f"pip install {pair or 'torch torchaudio'} (torchaudio's last release is 2.11)"
    found, error = look_at_torch()
    said = f"torch {found.get('torch') or version('torch')}, torchaudio {version('torchaudio')}"
    if error:
        return Check(name, "problem", f"{said}: {error}", cure)
    gpus, cuda = nvidia(), found["cuda"]
    if gpus and not cuda and not found["hip"]:
        return Check(name, "warn", f"{said}: built for the CPU only, beside {gpus[0]['name']}",
                     "pip install --force-reinstall torch --index-url "
                     "https://download.pytorch.org/whl/cu130 (or your driver's cuNNN)")  # fmt: skip
    if gpus and cuda and not found["gpus"]:
        newest = gpus[0]["cuda"]
        return Check(name, "warn", f"{said}: built for CUDA {cuda}, the driver "
                     f"{gpus[0]['driver']} runs up to {newest or 'an unknown version'}; no GPU",
                     f"update the driver, or install torch built for CUDA {newest or '12.x'}, or "
                     "unset CUDA_VISIBLE_DEVICES")  # fmt: skip
    if found.get("gpu_error"):
        return Check(name, "problem", f"{said}: {found['gpu_error']}",
                     "update the driver, restart the machine, or use --device cpu")  # fmt: skip
    built = f"CUDA {cuda}" if cuda else "ROCm" if found["hip"] else "the CPU"
    return Check(name, "ok", f"{said}, built for {built}")


def extras(asked: Asked) -> Iterator[Check]:
    """What is optional, and what lacks without it."""
    for extra, lacks in EXTRAS.items():
        needs = _needed(extra)
        missing = [
            need.name for need in needs
            if (have := version(need.name)) is None or not need.specifier.contains(have, True)
        ]  # fmt: skip
        if missing:
            state = "warn" if extra == "demo" else "ok"
            yield Check(f"extra {extra}", state, f"off: no {', '.join(missing)}; {lacks}",
                        f"pip install '{PACKAGE}[{extra}]'")  # fmt: skip
        elif needs:
            yield Check(f"extra {extra}", "ok", ", ".join(
                f"{need.name} {version(need.name)}" for need in needs))  # fmt: skip


def version(name: str) -> str | None:
    """Of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _needed(extra: str = "") -> list:
    """Requirements of this program, or what an extra adds."""
    from packaging.requirements import Requirement

    try:
        every = [Requirement(line) for line in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        return []
    if not extra:
        return [r for r in every if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [
        r for r in every
        if r.marker and r.marker.evaluate({"extra": extra}) and not r.marker.evaluate({"extra": ""})
    ]  # fmt: skip


@cache
def look_at_torch() -> tuple[dict, str]:
    """What torch says of itself and its devices, and why it does not work ("" where it does)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=300
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {}, f"no answer: {type(error).__name__}"
    found: dict = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    if done.returncode < 0:
        return found, f"ends Python by signal {-done.returncode}"
    if done.returncode:
        return found, (done.stderr.strip() or "no message").splitlines()[-1]
    return found, ""


@cache
def nvidia() -> tuple[dict, ...]:
    """NVIDIA GPUs by what the driver says, whatever torch sees: name, driver, newest CUDA."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=30, check=True,
        ).stdout  # fmt: skip
        head = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    newest = re.search(r"CUDA Version:\s*([\d.]+)", head)
    rows = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines() if line]
    return tuple(
        {"name": row[0], "driver": row[-1], "cuda": newest[1] if newest else ""} for row in rows
    )
