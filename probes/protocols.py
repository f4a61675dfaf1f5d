"""Protocols: which heads are trained, over which grid, and how one of it is chosen.

A number made with one protocol is no reference for a number made with another. Each protocol says
which published tables used it, and what differs from them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from probes.errors import ProbeError
from probes.heads.base import Head
from probes.heads.linear import Linear
from probes.heads.mlp import MLP, Recipe
from probes.heads.training import Schedule
from probes.heads.weighting import Weighting
from probes.published import Published, everything


@dataclass(frozen=True)
class Protocol:
    """A way of probing.

    Attributes
    ----------
    name : as on the command line.
    title : as in a report.
    source : where it comes from.
    heads : the main one first; results by the others stand beside its own.
    selection : what the entry of the grid and, with it, the end of training are chosen by on
        validation: the loss, or the task's own score (of tags: the area under the ROC curve).
    comparable : the `protocol` of published tables that its numbers can be held against.
    notes : what is known of it, and what differs here.
    """

    name: str
    title: str
    source: str
    heads: tuple[Head, ...]
    selection: Literal["loss", "score"]
    comparable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def head(self) -> Head:
        """The main head."""
        return self.heads[0]

    @property
    def grid(self) -> tuple[Mapping[str, object], ...]:
        """The settings that the main head is trained with."""
        return self.head.choices

    @property
    def standardise(self) -> tuple[bool, ...]:
        """Whether the main head sees standardised columns; both where the grid has both."""
        if isinstance(self.head, MLP):
            return tuple(sorted({recipe.standardise for recipe in self.head.grid}))
        return (True,)

    def published(self) -> tuple[Published, ...]:
        """The published numbers that its own can be held against."""
        return tuple(row for row in everything() if row.protocol in self.comparable)


MARBLE_GRID = tuple(
    Recipe(learning_rate=rate, hidden=512, dropout=0.2, standardise=False, batch=64)
    for rate in (5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2)
)
JUKEMIR_GRID = tuple(
    Recipe(
        learning_rate=rate,
        hidden=hidden,
        dropout=dropout if hidden else 0.0,
        input_dropout=dropout,
        l2=l2,
        standardise=standardise,
        batch=batch,
    )
    for standardise, hidden, batch, rate, dropout, l2 in product(
        (False, True), (0, 512), (64, 256), (1e-5, 1e-4, 1e-3), (0.25, 0.5, 0.75), (0, 1e-4, 1e-3)
    )
)
# jukemir has no last step; a rate of 1e-5 may gain a little for very long
JUKEMIR_SCHEDULE = Schedule(
    patience=256, most=12_500, every=8, stop_on="score", dealt=False
)  # 100 000 steps
CLMR_GRID = (Recipe(learning_rate=1e-3, hidden=0, l2=1e-6, standardise=False, batch=48),)

_MLP_OF_MARBLE = (
    "MARBLE constrained: frozen, MLP of 512 units, best layer or weighted sum of layers and best "
    "of six learning rates by validation, one run",
    "MARBLE constrained: frozen, MLP of 512 units (LSTM of 3 x 512 for separation), best layer or "
    "weighted sum of layers and best of six learning rates by validation, one run",
)
_GRID_OF_JUKEMIR = (
    "jukemir: frozen, linear or MLP of 512 units, best of a grid of 216 by validation, mean over "
    "time, one layer fixed beforehand, one run"
)
_GRID_OF_TUNE = "TUNe: jukemir's grid of 216 by jukemir's code, last layer, mean over time, one run"
_JUKEMIR_NOTES = (
    "the grid of 216: standardised or not, linear or one hidden layer of 512 rectified units, "
    "minibatches of 64 or 256, three learning rates, three dropouts (of inputs and of hidden "
    "units), three weight decays",
    "Adam; minibatches are drawn anew from all training rows; validation every 8 steps, 256 "
    "evaluations without a better score end it, the best state is kept",
    "training ends after 100 000 steps here, where jukemir has no end",
    "a regression target has a probe of its own, where jukemir has one probe for arousal and "
    "valence, stopped by the mean of both",
    "keys of a song are answered by clip here; jukemir joins its clips in one of four ways, chosen "
    "on validation",
    "216 probes a layer and target: meant for a GPU",
)

_ALL = (
    Protocol(
        name="linear",
        title="Exact linear probes",
        source="this program",
        heads=(Linear(),),
        selection="loss",
        notes=(
            "the optimum of a convex problem: no learning rate, no seed, no end of training",
            "columns are standardised on training rows; seven penalties; the layer is chosen by "
            "its validation score",
            "no published table was made so: numbers of linear probes trained by Adam and stopped "
            "early are near, not equal",
        ),
    ),
    Protocol(
        name="marble",
        title="MARBLE, constrained track",
        source="Yuan et al. 2023, arXiv:2306.10548, appendix A; its code, version 1",
        heads=(
            MLP(
                grid=MARBLE_GRID,
                schedule=Schedule(patience=20, most=100, stop_on="score", halve_after=5),
            ),
            Weighting(),
        ),
        selection="score",
        comparable=_MLP_OF_MARBLE,
        notes=(
            "one hidden layer of 512 rectified units, dropout 0.2, Adam, minibatches of 64, six "
            "learning rates, not standardised; the epoch with the best validation score is tested",
            "rates are halved after 5 epochs without a gain, 20 such epochs or 100 epochs end it; "
            "MARBLE's files have 3 to 6, 10 to 20, and 50 or 100 by data set",
            "float32 here, 16-bit mixed precision there; rows are means over a clip here, there "
            "the logits of its windows are averaged; its key score joins the clips of a song",
            "MARBLE's best over layers includes a weighted sum of them under the same MLP; here "
            "that stands apart, as the head weighting, over a linear map",
            "its beats and its sources come from heads on frames, which are not these",
            "version 2 of MARBLE tests the last epoch, not the best",
        ),
    ),
    Protocol(
        name="jukemir",
        title="jukemir's grid",
        source="Castellon, Donahue and Liang 2021, arXiv:2107.05677, and its code",
        heads=(MLP(grid=JUKEMIR_GRID, schedule=JUKEMIR_SCHEDULE),),
        selection="score",
        comparable=(_GRID_OF_JUKEMIR,),
        notes=(*_JUKEMIR_NOTES, "one layer of Jukebox, 36 of 72, was fixed beforehand"),
    ),
    Protocol(
        name="tune",
        title="TUNe's probes",
        source="Vélez Vásquez and Burgoyne 2022 (ISMIR), its code and appendix",
        heads=(
            MLP(grid=JUKEMIR_GRID, schedule=JUKEMIR_SCHEDULE),
            MLP(
                grid=CLMR_GRID,
                schedule=Schedule(patience=10, most=200),
                name="clmr-linear",
                title="Linear, as CLMR's evaluation",
                meaning="it is linearly decodable",
                source="Spijkervet and Burgoyne 2021, arXiv:2103.09410",
            ),
        ),
        selection="score",
        comparable=(_GRID_OF_TUNE, _GRID_OF_JUKEMIR),
        notes=(
            "its table of four data sets is jukemir's grid of 216 with jukemir's code, on the last "
            "layer: the main head",
            "its curves over layers (appendix, figures S3 and S4) are CLMR's linear evaluation on "
            "MagnaTagATune: the head clmr-linear; one linear map, Adam, rate 0.001, weight decay "
            "1e-6, minibatches of 48, not standardised, at most 200 epochs, 10 without a lower "
            "validation loss end it",
            "there a training clip is one random window of 2.7 s and the rate is cut tenfold after "
            "5 epochs without a gain, and the last state is tested; here a row is the mean over a "
            "clip, the rate stays, and the best state is tested",
            "that is what its code says; the text of the paper itself was not read",
            *_JUKEMIR_NOTES,
        ),
    ),
)

PROTOCOLS: dict[str, Protocol] = {one.name: one for one in _ALL}


def protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises
    ------
    ProbeError : the name is unknown.
    """
    if name not in PROTOCOLS:
        raise ProbeError(f"protocol {name!r} is unknown: use one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
