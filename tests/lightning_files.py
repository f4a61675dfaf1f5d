"""Checkpoints as PyTorch Lightning writes them, without PyTorch Lightning.

The classes that a training program pickles are made up here under their full names. Once a file is
written their code is armed: whatever runs it fails.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import enum
import functools
import pathlib
import sys
import types
from collections.abc import Iterator, Mapping

import numpy as np
import torch

_ARMED = {"on": False}


def _check() -> None:
    if _ARMED["on"]:
        raise AssertionError("code of a pickled class was run")


class _Guarded:
    """Fails when it is made, or given its state, while armed."""

    def __new__(cls, *args, **kwargs):
        _check()
        return super().__new__(cls)

    def __setstate__(self, state):
        _check()


@contextlib.contextmanager
def made_up(*names: str, bases: tuple[type, ...] = ()) -> Iterator[list[type]]:
    """Classes of these full names, in modules that are there as long as the context lasts."""
    made, modules = [], []
    for full in names:
        place, _, name = full.rpartition(".")
        parts = place.split(".")
        for end in range(1, len(parts) + 1):
            package = ".".join(parts[:end])
            if package not in sys.modules:
                modules.append(package)
                sys.modules[package] = types.ModuleType(package)
        kind = type(name, (_Guarded, *bases), {"__module__": place})
        setattr(sys.modules[place], name, kind)
        made.append(kind)
    try:
        yield made
    finally:
        for package in modules:
            del sys.modules[package]


@contextlib.contextmanager
def armed() -> Iterator[None]:
    _ARMED["on"] = True
    try:
        yield
    finally:
        _ARMED["on"] = False


def stateful(kind: type, **state: object) -> object:
    thing = kind()
    thing.__dict__.update(state)
    return thing


def write(path: pathlib.Path, tensors: Mapping[str, torch.Tensor], version: str) -> pathlib.Path:
    """A checkpoint of a training run with these weights, as release `version` would write it."""
    modern = version.startswith("2")
    root = "lightning.pytorch" if modern else "pytorch_lightning"
    score = {"best_model_score": torch.tensor(0.5), "best_model_path": "/runs/a.ckpt"}
    with (
        made_up(
            f"{root}.callbacks.model_checkpoint.ModelCheckpoint",
            f"{root}.callbacks.early_stopping.EarlyStopping",
        ) as (saving, stopping),
        made_up(f"{root}.utilities.parsing.AttributeDict", bases=(dict,)) as (attributes,),
        made_up("omegaconf.dictconfig.DictConfig", "omegaconf.base.ContainerMetadata") as (
            config,
            about,
        ),
        made_up(f"{root}.trainer.states.TrainerFn") as (function,),
    ):
        hyper = attributes()
        hyper.update(
            lr=3e-4,
            args=argparse.Namespace(dataset="magnatagatune", folder=pathlib.PurePosixPath("/d")),
            data=stateful(config, _metadata=stateful(about, key="x"), _content={"a": 1}),
            extra=collections.defaultdict(list, a=[1]),
            stage=function(),
            loss=np.float64(0.5),
            when=datetime.datetime(2020, 1, 1),
            schedule=functools.partial(int, 1),
            taken=frozenset([1]),
        )
        if version < "1.5":
            callbacks = {saving: score, stopping: {"wait_count": 0}}
        else:
            callbacks = {"ModelCheckpoint{'monitor': 'Train/loss'}": score}
        torch.save(
            {
                "epoch": 1,
                "global_step": 10,
                "pytorch-lightning_version": version,
                "state_dict": collections.OrderedDict(tensors),
                "callbacks": callbacks,
                "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "groups": []}],
                "lr_schedulers": [{"milestones": collections.Counter([5])}],
                "hparams_name": "kwargs",
                "hparams_type": attributes,
                "hyper_parameters": hyper,
            },
            path,
        )
    return path


class Stage(enum.Enum):
    """A class that no training program of the field has."""

    FIRST = 1
