"""What a finding is, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from reports.numbers import Estimate
from reports.why import LEVEL
from reports.words import abridged

STRONG, SUGGESTIVE, UNSUPPORTED = "strong", "suggestive", "not supported"
GRADES = (STRONG, SUGGESTIVE, UNSUPPORTED)
# What rules ask, in the order in which their findings are offered to the first page.
KINDS = {
    "advantage": "One model better than the other",
    "peak": "A layer that stands out",
    "riding": "Riding on a reference",
    "training": "Added by training",
    "match": "Layers that match",
    "choice": "A layer to take",
    "gain": "Better than the last layer",
    "transfer": "A probe of one model on the other",
    "resemblance": "Resemblance to a reference",
    "baseline": "Better than plain features",
    "polyphony": "More voices",
    "drop": "Lost on the other test split",
    "head": "Another head",
    "selectivity": "Better than a control task",
    "information": "Shared information",
    "new": "New in a layer",
    "lost": "Lost in a layer",
    "partition": "What layers are made of",
    "novelty": "New against the layer before",
    "returning": "Return to the input",
    "association": "Depth profiles that go together",
    "published": "Published numbers",
}
CLEAR_WIN = 0.8
ENOUGH = 10  # groups without which no score is strong evidence


@dataclass(frozen=True)
class Finding:
    """One sentence with the numbers it stands on.

    Attributes
    ----------
    kind : the rule that made it, one of `KINDS`.
    claim : the sentence, numbers and intervals included.
    estimate : the number the grade rests on, with its interval as the study gives it.
    null : what the estimate is held against (0, chance, or a level that chance exceeds rarely).
    looked_at : how many things the rule chose among; the interval is widened for it.
    grade : strong, suggestive or not supported.
    test : how the grade was reached, in a few words.
    anchor : the section of the report that shows it.
    numbers : every number in the claim, by name.
    """

    kind: str
    claim: str
    estimate: Estimate
    null: float
    looked_at: int
    grade: str
    test: str
    anchor: str
    numbers: dict[str, float | str] = field(default_factory=dict)

    @property
    def effect(self) -> float:
        """Distance from the null in half widths of the interval: orders findings of one kind."""
        half = self.estimate.value - self.estimate.low
        return (self.estimate.value - self.null) / half if half > 0 else 0.0


def grade(
    estimate: Estimate, null: float, looked_at: int, *, interval: float = 0.95, also: bool = True
) -> str:
    """Strong, suggestive or not supported; `also` is what strong needs besides the interval."""
    if not estimate.bounded or not math.isfinite(null):
        return UNSUPPORTED
    if also and estimate.widened(looked_at, interval).low > null:
        return STRONG
    return SUGGESTIVE if estimate.low > null else UNSUPPORTED


def grade_corrected(p: float, families: int, *, also: bool = True) -> str:
    """From a p that holds for all differences of its family, of which the rule looked at several.

    Parameters
    ----------
    families : tested each by itself, such as tasks; strong is corrected for them too (Bonferroni).
    also : what strong needs besides.
    """
    if not p <= LEVEL:  # NaN included
        return UNSUPPORTED
    return STRONG if also and p * max(families, 1) <= LEVEL else SUGGESTIVE


def named(text: str) -> str:
    """A layer or task in a sentence."""
    return abridged(text, 40)
