"""What the metrics of probes are, as a report prints it: formula and source."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from reports.study import Study

LOWER_IS_BETTER = frozenset({"VFA"})


@dataclass(frozen=True)
class Entry:
    """One metric, or several of one kind.

    Attributes
    ----------
    names : as they stand in results.
    families : of tasks that mean this by the names; of any where empty.
    """

    names: Collection[str]
    title: str
    formula: str
    text: str
    source: str
    families: Collection[str] = ()

    def fits(self, metric: str, family: str) -> bool:
        return metric in self.names and (not self.families or family in self.families)


ENTRIES = (
    Entry(
        ("accuracy",), "Accuracy", "right / rows",
        "Share of rows whose most probable class is right. Chance: the commonest class of training "
        "on every row.", "scikit-learn",
    ),
    Entry(
        ("balanced accuracy",), "Balanced accuracy", "mean over classes of right / rows of it",
        "Every class counts the same; the answer is the class with the largest p(class | row) / "
        "p(class). Chance: one over the number of classes.", "Brodersen et al. 2010",
    ),
    Entry(
        ("weighted key score",), "Weighted key score", "mean credit of 1, 0.5, 0.3, 0.2, 0",
        "For the right key, one a fifth above, the relative key, the parallel key, any other.",
        "MIREX; mir_eval",
    ),
    Entry(
        ("R2",), "Coefficient of determination", "1 - sum (y - f)^2 / sum (y - mean y)^2",
        "0: no better than the mean; below 0: worse.", "scikit-learn",
    ),
    Entry(
        ("Acc1", "Acc2"), "Tempo within 4 %", "share of rows",
        "Acc1: of the tempo itself; Acc2: of the tempo, its double, triple, half or third.",
        "Gouyon et al. 2006",
    ),
    Entry(
        ("ROC-AUC",), "Area under the ROC curve", "P(score of a row with the tag > of one without)",
        "Mean over tags; 0.5 is chance however rare a tag is.", "scikit-learn",
    ),
    Entry(
        ("average precision",), "Average precision", "sum over hits of precision * step of recall",
        "Mean over tags; chance is how frequent they are.", "scikit-learn",
    ),
    Entry(
        ("F", "F peaks"), "F of beats", "2 P R / (P + R)",
        "Beats within 70 ms, mean over tracks, the first 5 s left out. F peaks: of the peaks "
        "of the probe's answers, without a model of bars.", "Davies et al. 2009; mir_eval",
        ("beat",),
    ),
    Entry(
        ("CMLt", "AMLt"), "Continuity of beats", "right beats / beats",
        "A beat is right where it and the one before lie within 17.5 % of the period of the "
        "annotated ones. CMLt: at the annotated level; AMLt: off-beat, double and half too. The t "
        "stands for total: stretches need not join.", "Davies et al. 2009; mir_eval",
    ),
    Entry(
        ("OA", "RPA", "RCA", "VR", "VFA"), "Melody", "shares of frames, within 50 cents",
        "RPA: pitch right, of voiced frames; RCA: the same whatever the octave; OA: pitch, or that "
        "there is none, right, of all frames; VR: voiced frames found; VFA: unvoiced frames taken "
        "for voiced (lower is better).", "Salamon et al. 2014; mir_eval",
    ),
    Entry(
        ("F", "P", "R", "F 1", "F 2", "F 3", "F 4"), "Pitches that sound",
        "P = hits / said, R = hits / asked, F = 2 hits / (said + asked)",
        "Over the frames of all tracks, a semitone apart; F 1 to F 4: over frames in which so many "
        "sound.", "Bay et al. 2009; mir_eval", ("pitch",),
    ),
    Entry(
        ("majmin", "root", "sevenths"), "Chords in time", "seconds right / seconds compared",
        "majmin: 24 triads; root: the root alone; sevenths: triads and sevenths. Chords outside a "
        "vocabulary are not compared.", "Pauwels and Peeters 2013; mir_eval",
    ),
    Entry(
        ("F 0.5", "P 0.5", "R 0.5", "F 3", "P 3", "R 3"), "Boundaries", "2 P R / (P + R)",
        "Boundaries found within 0.5 or 3 seconds, mean over tracks; start and end are none.",
        "Turnbull et al. 2007; mir_eval", ("structure",),
    ),
    Entry(
        ("PW F", "PW P", "PW R"), "Pairs of frames", "2 P R / (P + R)",
        "Of pairs of frames that are in sections of one name.", "Levy and Sandler 2008; mir_eval",
    ),
    Entry(
        ("F", "F vocals", "F drums", "F bass", "F other"), "Sources that sound",
        "2 hits / (said + asked)", "Over the frames of all tracks.", "", ("instrumentation",),
    ),
)  # fmt: skip


def metrics(study: Study) -> list[dict[str, str]]:
    """Entries for the metrics that a study has, in the order of `ENTRIES`."""
    used = {
        (metric, task.family)
        for key in study.task_keys()
        for task in study.probed(key).values()
        for metric in (task.metric, *task.further)
    }
    return [
        {
            "title": one.title,
            "name": ", ".join(n for n in one.names if any(n == m for m, f in used)),
            "formula": one.formula,
            "text": one.text,
            "source": one.source,
        }
        for one in ENTRIES
        if any(one.fits(*pair) for pair in used)
    ]
