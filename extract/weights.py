"""Reading weights strictly: every tensor that is needed is there, nothing is there unexplained."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import torch

from extract.errors import WeightsInvalid


def cache_dir(*parts: str) -> Path:
    """A folder below the user's cache (or below $RSA_CACHE), made if needed."""
    folder = cache_path(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_path(*parts: str) -> Path:
    """The same folder, whether it is there or not."""
    base = os.environ.get("RSA_CACHE") or platformdirs.user_cache_dir("music-rsa", appauthor=False)
    return Path(base).joinpath(*parts)


def sha256_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash of names, shapes, types and bytes, in order of name: the identity of what was loaded."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


@contextmanager
def drawing(name: str, seed: int) -> Iterator[None]:
    """Untrained weights made inside are drawn from `seed` and the model's name.

    Twins of two models of one architecture are as independent as the models are. The global random
    state is left as it was.
    """
    mixed = hashlib.sha256(f"{name}|{seed}".encode()).digest()
    state = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(int.from_bytes(mixed[:8], "big") >> 1)
        yield
    finally:
        torch.set_rng_state(state)


def load_strict(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    source: str,
    unused: Iterable[str] = (),
) -> None:
    """Puts tensors into a module; refuses what is missing, misshapen or unexplained.

    Parameters
    ----------
    tensors : by the module's own names (rename before the call).
    source : the file or package, for the message.
    unused : prefixes of names that the file may hold and the module does not want.

    Raises
    ------
    WeightsInvalid : names the first offending tensors.
    """
    wanted = module.state_dict()
    unused = tuple(unused)
    missing = sorted(set(wanted) - set(tensors))
    extra = sorted(n for n in set(tensors) - set(wanted) if not n.startswith(unused or ("\0",)))
    bad = sorted(
        n
        for n in set(wanted) & set(tensors)
        if tensors[n].is_floating_point() and not torch.isfinite(tensors[n]).all()
    )
    wrong = sorted(
        f"{n} is {tuple(tensors[n].shape)}, needed {tuple(wanted[n].shape)}"
        for n in set(wanted) & set(tensors)
        if tensors[n].shape != wanted[n].shape
    )
    question = "is this the file of this very model?"
    if len(missing) == len(wanted) and extra:
        raise WeightsInvalid(
            f"{source}: another network: none of the {len(wanted)} tensors is in it, but "
            f"{', '.join(extra[:2])} and the like are; {question}"
        )
    kinds = (("missing", missing), ("misshapen", wrong), ("unexpected", extra))
    for what, names in (*kinds, ("damaged (NaN or infinite)", bad)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            plural = "s" if len(names) > 1 else ""
            raise WeightsInvalid(
                f"{source}: {len(names)} {what} tensor{plural}: {', '.join(names[:3])}{more}; "
                f"{question}"
            )
    module.load_state_dict({n: tensors[n].to(wanted[n].dtype) for n in wanted})
