"""Checkpoints of PyTorch Lightning: what they pickle beside tensors, and their names unwrapped.

A checkpoint of a training run names classes of the trainer: callbacks, hyper-parameters, whatever
the user kept among these. None of them is needed, and none is imported or run: each becomes a
stand-in that does nothing (see `extract.checkpoint`). A class that is not listed here is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from extract import checkpoint
from extract.errors import WeightsInvalid

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")


def _under(places: Iterable[str], names: str) -> list[str]:
    return [f"{place}.{name}" for place in places for name in names.split()]


# the package was `pytorch_lightning` alone, and is also `lightning` since 2.0
_ROOTS = ("pytorch_lightning", "lightning.pytorch")
# up to 1.4 the state of a callback stands under its class, later under a string
_CALLBACKS = _under(
    [f"{root}.callbacks" for root in _ROOTS],
    "model_checkpoint.ModelCheckpoint early_stopping.EarlyStopping timer.Timer timer.Interval "
    "lr_monitor.LearningRateMonitor gradient_accumulation_scheduler.GradientAccumulationScheduler "
    "finetuning.BaseFinetuning finetuning.BackboneFinetuning pruning.ModelPruning "
    "swa.StochasticWeightAveraging stochastic_weight_avg.StochasticWeightAveraging "
    "quantization.QuantizationAwareTraining lambda_function.LambdaCallback "
    "gpu_stats_monitor.GPUStatsMonitor device_stats_monitor.DeviceStatsMonitor "
    "model_summary.ModelSummary progress.ProgressBar progress.ProgressBarBase "
    "progress.base.ProgressBarBase progress.progress.ProgressBar "
    "progress.tqdm_progress.TQDMProgressBar progress.rich_progress.RichProgressBar "
    "batch_size_finder.BatchSizeFinder lr_finder.LearningRateFinder "
    "on_exception_checkpoint.OnExceptionCheckpoint",
)
_TRAINER = _under(
    _ROOTS, "trainer.states.TrainerFn trainer.states.TrainerStatus trainer.states.RunningStage"
)
# what hyper-parameters hold when they are not plain numbers and strings
_HYPER = [
    *_under(["argparse"], "Namespace"),
    *_under(
        ["pathlib", "pathlib._local"],
        "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    ),
    *_under(
        ["builtins"],
        "getattr object type list tuple str int float bool bytes slice range frozenset",
    ),
    *_under(["collections"], "deque"),
    *_under(["datetime"], "datetime timedelta date"),
    *_under(["functools"], "partial"),
    *_under(["typing"], "Any Dict List Tuple Union Optional"),
    *_under(["numpy"], "dtype ndarray"),
    *_under(
        ["numpy.core.multiarray", "numpy._core.multiarray"],
        "scalar _reconstruct",
    ),
    *_under(
        ["omegaconf"],
        "dictconfig.DictConfig listconfig.ListConfig base.ContainerMetadata base.Metadata "
        "base.SCMode base.UnionNode nodes.AnyNode nodes.StringNode nodes.PathNode "
        "nodes.IntegerNode nodes.BytesNode nodes.FloatNode nodes.BooleanNode nodes.EnumNode "
        "nodes.InterpolationResultNode",
    ),
]
# modules and losses, where a run kept them among its hyper-parameters
_MODULES = _under(
    ["torch.nn.modules"],
    "container.Sequential container.ModuleList container.ModuleDict conv.Conv1d conv.Conv2d "
    "conv.ConvTranspose1d batchnorm.BatchNorm1d batchnorm.BatchNorm2d normalization.LayerNorm "
    "activation.ReLU activation.GELU pooling.MaxPool1d pooling.MaxPool2d pooling.AvgPool1d "
    "pooling.AdaptiveAvgPool1d linear.Linear linear.Identity dropout.Dropout "
    "loss.CrossEntropyLoss loss.BCEWithLogitsLoss loss.BCELoss loss.MSELoss",
)
INERT = (*_CALLBACKS, *_TRAINER, *_HYPER, *_MODULES)
"""Classes that a checkpoint may name, 1.0 to 2.x."""

MAPPINGS = (
    *_under([f"{root}.utilities.parsing" for root in _ROOTS], "AttributeDict"),
    *_under(["lightning_fabric", "lightning.fabric"], "utilities.data.AttributeDict"),
    "builtins.dict",
    "collections.defaultdict",
)
"""Those of them that are dictionaries."""


def read(path: Path, *, inert: Iterable[str] = ()) -> dict[str, torch.Tensor]:
    """Tensors of a Lightning checkpoint, or of a plain file of weights.

    Parameters
    ----------
    inert : full names of further classes that the training program is known to have kept.

    Raises WeightsInvalid; see `checkpoint.read`.
    """
    return checkpoint.read(path, inert=(*INERT, *inert), mappings=MAPPINGS)


def unwrapped(
    tensors: dict[str, torch.Tensor], first: str, *, source: str
) -> dict[str, torch.Tensor]:
    """Tensors of one network by their own names, whatever the modules around it are called.

    A training program holds the network under names of its own (`model.encoder.`), or under two
    at once. Tensors outside the network keep their names.

    Parameters
    ----------
    first : name of one tensor that only this network has.
    source : the file, for the message.

    Raises
    ------
    WeightsInvalid : the network is in the file more than once, with different values.
    """
    found = [n.removesuffix(first) for n in tensors if n == first or n.endswith(f".{first}")]
    prefixes = sorted(found, key=len, reverse=True)
    bare: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        prefix = next((p for p in prefixes if name.startswith(p)), "")
        own = name.removeprefix(prefix)
        if own in bare and not torch.equal(bare[own], tensor):
            places = " and ".join(sorted(p or "the top" for p in prefixes))
            raise WeightsInvalid(
                f"{source}: the network is in it more than once (under {places}) and {own} "
                "differs: it cannot be told which one is meant"
            )
        bare[own] = tensor
    return bare


def weights_file(given: Path, filenames: tuple[str, ...]) -> Path:
    """The weights that the user means: a file, one of `filenames` in a folder, or its only one.

    Raises WeightsMissing when there is none.
    """
    given = Path(given)
    if given.is_dir() and not any((given / name).is_file() for name in filenames):
        only = [path for path in sorted(given.iterdir()) if path.suffix in SUFFIXES]
        if len(only) == 1:
            return only[0]
    return checkpoint.locate(given, filenames)
