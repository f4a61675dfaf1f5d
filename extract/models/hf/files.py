"""Files of a model in the transformers library's layout: a folder, or a repository of the hub."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract import checkpoint, hub
from extract.errors import OptionUnsuitable, WeightsInvalid, WeightsMissing
from extract.jsontext import loads

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
           "pytorch_model.bin.index.json")  # fmt: skip
BRANCH = "main"
# what stood for masked frames in training
TRAINING = ("masked_spec_embed",)
# what stands beside the encoder in weights of larger models
HEADS = (
    "lm_head.", "proj_out.", "classifier.", "projector.", "decoder.", "quantizer.", "project_q.",
    "project_hid.", "final_proj.", "text_model.", "text_projection.", "audio_projection.",
    "logit_scale", "masked_spec_embed", "ctc_head.", "label_embs_concat", "layer_weights",
    "layer_norm_for_extract.", "speaker_proj.", "adapter.", "objective.", "tdnn.",
    "feature_extractor.fc.",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a model's files are: `folder`, or `repo` at `revision`."""

    text: str
    folder: Path | None = None
    repo: str = ""
    revision: str = BRANCH

    def file(self, name: str, *, offline: bool = False) -> Path:
        """The path of one file. Raises WeightsMissing if it is not to be had."""
        if self.folder is None:
            return hub.fetch(self.repo, name, self.revision, offline=offline)
        path = self.folder / name
        if not path.is_file():
            raise WeightsMissing(f"{path}: no such file; save_pretrained writes it")
        return path

    def maybe(self, name: str, *, offline: bool = False) -> Path | None:
        """The path of one file, or None if it is not to be had."""
        try:
            return self.file(name, offline=offline)
        except WeightsMissing:
            return None

    def json(self, name: str) -> dict:
        """The table in a JSON file. Raises WeightsInvalid, with the line, for anything else."""
        path = self.file(name)
        try:
            table = loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            reason = f"line {error.lineno}, column {error.colno}: {error.msg}"
        except UnicodeDecodeError:
            reason = "it is no text in UTF-8"
        except OSError as error:
            raise WeightsInvalid(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, RecursionError) as error:  # numbers or nests without end
            reason = str(error).splitlines()[0]
        else:
            if isinstance(table, dict):
                return table
            reason = "it holds no table of settings, { ... }"
        raise WeightsInvalid(
            f"{path}: damaged ({reason}); mend it, or copy the file once more from where the "
            "model comes from"
        )

    def present(self) -> bool:
        """Whether the weights are on this machine."""
        if self.folder:
            return any((self.folder / name).is_file() for name in WEIGHTS)
        return any(hub.cached(self.repo, name, self.revision) for name in WEIGHTS)

    def licence(self) -> str:
        """`license:` of the model card's head (README.md), or ""."""
        path = self.maybe("README.md")
        if path is None:
            return ""
        head = path.read_text(encoding="utf-8", errors="replace").partition("\n---")[0]
        found = re.search(r"^license:\s*[\"']?([^\s\"']+)", head, re.M)
        return found[1] if found and head.startswith("---") else ""


def source_of(text: str) -> Source:
    """The files that stand behind `hf:text`: a folder if there is one, else a hub repository.

    `org/name@revision` names a branch, tag or commit. What a branch stands for is resolved to its
    commit, so that all files are of one state.

    Raises
    ------
    OptionUnsuitable : a file instead of its folder.
    WeightsMissing : no such folder, no repository that can be reached, or no configuration there.
    """
    folder = Path(text).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise WeightsMissing(
                f"hf:{text}: no config.json in the folder; it takes one that save_pretrained wrote"
            )
        return Source(text, folder.resolve())
    if folder.is_file():
        raise OptionUnsuitable(f"hf:{text}: a file; give the folder it is in: hf:{folder.parent}")
    repo, _, revision = text.partition("@")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo) or repo.startswith("."):
        raise WeightsMissing(
            f"hf:{text}: no such folder here, and no name of a hub repository (hf:org/name)"
        )
    try:
        path = hub.fetch(repo, "config.json", revision or BRANCH)
    except WeightsMissing:
        raise WeightsMissing(
            f"hf:{text}: no such folder here ({Path.cwd()}), and config.json of a hub repository "
            f"{repo} is neither in the hub's cache (HF_HOME) nor to be had: no network, no such "
            "repository, or one that asks for an account. If its files are elsewhere on this "
            "machine, give the whole path of their folder: hf:/path/to/folder"
        ) from None
    # the hub's cache keeps a folder for each commit
    commit = path.parent.name
    known = re.fullmatch(r"[0-9a-f]{40}", commit)
    return Source(text, None, repo, commit if known else revision or BRANCH)


def read(source: Source, given: Path | None, *, offline: bool) -> tuple[dict, str]:
    """All tensors of the weights (several files where there is an index), and where from.

    Parameters
    ----------
    given : file or folder that the user wants instead.
    """
    if given is not None:
        path = checkpoint.locate(given, WEIGHTS)
        folder = Source(str(given), path.parent)
    else:
        folder = source
        path = next(
            (found for name in WEIGHTS if (found := source.maybe(name, offline=offline))), None
        )
        if path is None:  # the first one's own message
            path = source.file(WEIGHTS[0], offline=offline)
    where = f"hub {source.repo}@{source.revision[:8]}" if folder.repo else "file"
    if path.suffix != ".json":
        return checkpoint.read(path), f"{where} {path.name}"
    tensors: dict[str, torch.Tensor] = {}
    table = folder.json(path.name).get("weight_map")
    if not isinstance(table, dict):
        raise WeightsInvalid(f"{path}: no weight_map in it")
    for name in sorted(set(table.values())):
        if Path(name).name != name:
            raise WeightsInvalid(f"{path}: {name!r} lies outside the folder")
        tensors.update(checkpoint.read(folder.file(name, offline=offline)))
    return tensors, f"{where} {path.name}"


def fill(
    whole: type, config: Any, tensors: dict, inside: str | tuple[str, ...], source: str
) -> nn.Module:
    """A model of the library with these weights; the library knows former names of tensors.

    Parameters
    ----------
    inside : prefixes of the names, in the model, of what features need; "" for all.
    source : for messages.

    Raises
    ------
    WeightsInvalid : tensors that features need are missing or misshapen, or there is one that
        belongs neither to the model nor to a known head.
    """
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # it would print what is looked at below
    logging.disable_progress_bar()
    try:
        model, found = whole.from_pretrained(
            None, config=config, state_dict=tensors, output_loading_info=True,
            ignore_mismatched_sizes=True, dtype=torch.float32,
        )  # fmt: skip
    except Exception as error:  # the library's checks raise many kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsInvalid(f"{source}: cannot be loaded ({first})") from None
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    misshapen = {each[0]: each for each in found["mismatched_keys"]}
    missing = sorted(
        name
        for name in found["missing_keys"]
        if name.startswith(inside) and not name.endswith(TRAINING) and name not in misshapen
    )
    unexpected = sorted(name for name in found["unexpected_keys"] if not name.startswith(HEADS))
    wrong = sorted(
        f"{name} is {tuple(each[1])}, needed {tuple(each[2])}"
        for name, each in misshapen.items()
        if name.startswith(inside)
    )
    for what, names in (("missing", missing), ("misshapen", wrong), ("unexpected", unexpected)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            plural = "s" if len(names) > 1 else ""
            raise WeightsInvalid(
                f"{source}: {len(names)} {what} tensor{plural}: {', '.join(names[:3])}{more}; "
                "are these the weights of this very configuration?"
            )
    return model
