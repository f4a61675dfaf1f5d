"""How far a reduced precision is from float32, layer by layer, on the very audio at hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from extract.errors import ActivationsInvalid
from extract.forward import Forward
from extract.models.base import Model

WINDOWS = 4  # that the deviation is measured on


def deviations(
    model: Model, device: str, precision: str, values: Sequence[torch.Tensor]
) -> dict[str, float]:
    """Relative deviation of each layer from float32, ||reduced - exact|| / ||exact||.

    Parameters
    ----------
    values : of a few windows, all of one shape.

    Returns
    -------
    layer name -> deviation over all frames of these windows.

    Raises
    ------
    ActivationsInvalid : a layer leaves the range of the reduced precision.
    """
    exact = _outputs(model, device, "float32", values)
    reduced = _outputs(model, device, precision, values)
    found = {}
    for layer in model.layers:
        wanted, got = exact[layer.name], reduced[layer.name]
        if not torch.isfinite(got).all():
            raise ActivationsInvalid(
                f"--precision {precision}: layer {layer.name} of {model.name} puts out values that "
                "are not finite; use bf16 or float32"
            )
        found[layer.name] = ((got - wanted).norm() / wanted.norm().clamp_min(1e-30)).item()
    return found


def _outputs(
    model: Model, device: str, precision: str, values: Sequence[torch.Tensor]
) -> dict[str, torch.Tensor]:
    with Forward(model, device, precision=precision) as forward:
        parts = [found for _, found in forward.outputs(values)]
    return {
        layer.name: torch.cat([part[layer.name].double().cpu() for part in parts])
        for layer in model.layers
    }
