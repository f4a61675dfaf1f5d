"""Numbers as a reader wants them: no more digits than the interval supports."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Self

MINUS = "\N{MINUS SIGN}"
_SMALL = 10.0  # below it a value has two decimals, however wide its interval is


@dataclass(frozen=True)
class Estimate:
    """A number and its interval; NaN where a part does not exist."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def exists(self) -> bool:
        return math.isfinite(self.value)

    @property
    def bounded(self) -> bool:
        return self.exists and math.isfinite(self.low) and math.isfinite(self.high)

    def widened(self, comparisons: int, interval: float = 0.95) -> Estimate:
        """The interval a Bonferroni correction over `comparisons` asks for.

        Each side is stretched by the ratio of the normal quantiles, so a skewed interval stays
        skewed.
        """
        if not self.bounded or comparisons <= 1:
            return self
        tail = (1.0 - interval) / 2.0
        normal = NormalDist()
        ratio = normal.inv_cdf(1.0 - tail / comparisons) / normal.inv_cdf(1.0 - tail)
        low = self.value - ratio * (self.value - self.low)
        return Estimate(self.value, low, self.value + ratio * (self.high - self.value))

    def clipped(self, reach: float) -> Self:
        """A difference whose ends lie no farther than `reach` from zero; NaN for no limit."""
        if not math.isfinite(reach):
            return self
        low, high = (min(max(end, -reach), reach) for end in (self.low, self.high))
        return replace(self, low=low, high=high) if self.bounded else self

    def minus(self, other: Estimate) -> Estimate:
        """Difference of two estimates as if they were independent.

        For scores on the same groups this is on the wide side: their errors go up and down
        together.
        """
        value = self.value - other.value
        low = value - math.hypot(self.value - self.low, other.high - other.value)
        high = value + math.hypot(self.high - self.value, other.value - other.low)
        return Estimate(value, low, high)


def digits(*estimates: Estimate) -> int:
    """Decimals of these values, 0 to 3: at least two where all of them are below 10."""
    small = all(abs(e.value) < _SMALL for e in estimates if e.exists)
    return max(_supported(*estimates), 2 if small else 0)


def _supported(*estimates: Estimate) -> int:
    """Decimals that the widest of the intervals supports: 0 to 3."""
    halves = [(e.high - e.low) / 2.0 for e in estimates if e.bounded]
    half = max(halves, default=math.nan)
    if not math.isfinite(half) or half <= 0.0:
        return 2
    places = min(max(-math.floor(math.log10(half)), 0), 3)
    return max(places, 2) if half < 0.2 else places


def number(value: float, places: int = 2, *, sign: bool = False) -> str:
    """A number with a true minus sign; an en dash where there is none."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{abs(value):.{places}f}"
    if float(text) == 0.0:
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text


def with_interval(
    estimate: Estimate, unit: str = "", *, sign: bool = False, places: int | None = None
) -> str:
    """`0.71 [0.68, 0.74]`, in as many digits as the interval supports.

    A value below 10 has two decimals at least; the ends of a wide interval have fewer.
    """
    shown = places
    if places is None:
        places = _supported(estimate)
        shown = places if unit else digits(estimate)
    text = number(estimate.value, shown, sign=sign)
    if unit:
        text += f"\N{NO-BREAK SPACE}{unit}"
    if estimate.bounded:
        text += f" [{number(estimate.low, places)}, {number(estimate.high, places)}]"
    return text


def p_value(p: float) -> str:
    """`p = 0.012`, `p < 0.001`."""
    if not math.isfinite(p):
        return "no p"
    space = "\N{NO-BREAK SPACE}"
    return f"p{space}<{space}0.001" if p < 0.001 else f"p{space}={space}{p:.2g}"


def count(value: float | None) -> str:
    """12345 -> `12,345`."""
    if not isinstance(value, (int, float)) or not abs(value) < 1e300:
        return "\N{EN DASH}"
    return f"{value:,.0f}"


def percent(share: float) -> str:
    return f"{100.0 * share:.0f}\N{NO-BREAK SPACE}%" if math.isfinite(share) else "\N{EN DASH}"
