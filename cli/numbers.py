"""Numbers as options take them: a `nan` or `inf` passes every range of click's."""

from __future__ import annotations

import math

import click

SEEDS = click.IntRange(0, 2**32 - 1)  # what every library here takes


class Finite(click.FloatRange):
    """A number within a range that is neither infinite nor no number at all."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number that this can be.", param, ctx)
        return number
