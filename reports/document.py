"""What a report says, whatever it is written as: sections with findings, figures and tables.

`sections` is where a question of the report is added; PDF, HTML and Markdown are written from the
same `Document` (reports/formats).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from reports import tables, tables_choice, tables_expectations, tables_probes
from reports.explain import methods, notes, task_notes
from reports.figures import (
    agreement,
    clipmaps,
    cross,
    curves,
    depth,
    evidence,
    geometry,
    information,
    labels,
    landscape,
    multiples,
    overview,
    probe,
    resemblance,
    riding,
    specialisation,
    voices,
    weights,
    why,
    within,
)
from reports.figures.drawing import Drawing, Plate
from reports.findings import KINDS, Finding, find, first_page, not_supported, of_section
from reports.numbers import count
from reports.study import Study
from reports.tables import Rows, Table
from reports.words import clean

T = TypeVar("T")
Drawer = Callable[[Study], Drawing | Sequence[Drawing] | None]
OVERVIEW = "overview"
_PER_SECTION = 3
_FINDINGS = {"resemblance": 3, "probes": 5, "why": 4, "depth": 4}


@dataclass(frozen=True)
class Card:
    """Names and values under a title."""

    title: str
    rows: Rows


@dataclass(frozen=True)
class Paper:
    """A reference to a model's paper; `url` only where it is a web address."""

    text: str
    url: str | None


@dataclass
class Section:
    """One question of the report and what answers it.

    Attributes
    ----------
    kind : what it is made of besides figures and tables: "cards", "methods", "record", "papers";
        "tables" where these come before the figures.
    drawers : what its figures are called, without the number of a page -> what draws them.
    plates : the figures as drawn; filled in by `document`.
    paragraphs : read before everything but the findings.
    cards, papers : of sections of these kinds; the record's parts are cards too.
    warned : title of the warnings; "" for none.
    fresh : begins on a new page.
    part : title of the study that begins here, in a report that joins several.
    """

    anchor: str
    question: str
    kind: str = "figures"
    drawers: Mapping[str, Drawer] = field(default_factory=dict)
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    warned: str = "Warnings"
    cards: list[Card] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)
    plates: list[Plate] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    fresh: bool = False
    part: str = ""

    @property
    def there(self) -> bool:
        """Whether the study has anything for it."""
        return bool(self.plates or any(t.groups for t in self.tables) or self.cards)

    @property
    def blocks(self) -> list[Plate | Table]:
        """Figures and tables in the order in which they are read."""
        if self.kind == "tables":
            return [*self.tables, *self.plates]
        return [*self.plates, *self.tables]


@dataclass
class Document:
    """A report, ready to be written in any format.

    Attributes
    ----------
    findings : of the first page.
    shown : the picture of the first page.
    methods : how the numbers were made and the papers that this cites (`explain.methods`).
    notes : of measures and tasks.
    source : folder of the study, for messages.
    """

    title: str
    details: tuple[str, ...]
    when: datetime
    date: str
    stamps: tuple[str, ...]
    caveats: list[str]
    findings: list[Finding]
    shown: Plate | None
    sections: list[Section]
    methods: dict[str, Any]
    notes: list[str]
    source: str

    @property
    def cited(self) -> list[str]:
        """Keys of the papers that the methods cite, in the order of their numbers."""
        cited = self.methods["cited"]
        return sorted({key for one in self.methods["methods"] for key in cited.get(one, ())})

    @property
    def plates(self) -> list[Plate]:
        """All figures in the order of the pages."""
        first = [self.shown] if self.shown else []
        return [*first, *(plate for section in self.sections for plate in section.plates)]


def _when(study: Study) -> datetime:
    try:
        when = datetime.fromisoformat(study.created.replace("Z", "+00:00"))
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _date(study: Study) -> str:
    when = _when(study)
    return f"{when.day} {when:%B %Y}" if when.year > 1970 else study.created


def sections(study: Study) -> list[Section]:
    """Every question a report can answer, in the order of the storyboard, nothing drawn yet."""
    pair = {"x": "a", "y": "b"} if {"a", "b"} <= set(study.models) else None
    crossed: dict[str, Drawer] = {}
    bits: dict[str, Drawer] = {}
    if pair:
        crossed = {
            "cross": partial(cross.cross, **pair),
            "measures": partial(multiples.multiples, **pair),
            "agreement": partial(agreement.agreement, **pair),
        }
        bits = {"information": partial(information.information, **pair)}
    return [
        Section(
            "cards",
            f"What was {'compared' if study.models.keys() - {'a'} else 'studied'}, on what?",
            "cards",
            cards=_cards(study),
        ),
        Section("within", "How is each model organised inside?", drawers={"within": within.within}),
        Section(
            "geometry",
            "What is each layer like?",
            drawers={"geometry": geometry.geometry},
        ),
        Section("cross", "Where do the models agree?", drawers=crossed),
        Section(
            "information",
            "How much information is shared?",
            drawers={**bits, "labels": labels.labels},
        ),
        Section(
            "resemblance",
            "What does each layer resemble?",
            drawers={"resemblance": resemblance.resemblance},
        ),
        Section(
            "probes",
            "What can be read out, and where?",
            drawers={"probes": curves.curves, "voices": voices.voices},
            tables=[*_there([tables_probes.published(study)]), *tables_probes.metrics(study)],
        ),
        Section(
            "specialisation",
            "Who specialises in what?",
            drawers={"specialisation": specialisation.specialisation},
        ),
        Section(
            "why",
            "Why there?",
            drawers={"riding": riding.riding, "why": why.why},
            paragraphs=why.reading(study),
            warnings=[*riding.unridden(study), *why.unexplained(study)],
            warned="Nothing to explain",
        ),
        Section(
            "depth",
            "What is each layer made of, and what is new in it?",
            drawers={"partition": depth.partition, "new": depth.new},
        ),
        Section(
            "trust",
            "Can the probes be trusted?",
            drawers={"evidence": evidence.evidence, "probe": probe.probe},
            tables=_there([tables_probes.trust(study)]),
            warnings=[*tables_probes.warnings(study), *task_notes(study)],
        ),
        Section(
            "heads",
            "Does another head read more?",
            "tables",
            tables=tables_probes.heads(study),
            drawers={"weights": weights.weights},
        ),
        Section(
            "published",
            "What was published?",
            "tables",
            tables=_there([tables_expectations.expectations(study.expectations)]),
        ),
        Section(
            "recommendation",
            "What should I use?",
            tables=[tables_choice.advice(study) or tables.recommendations(study)],
        ),
        Section(
            "landscape",
            "What does it look like?",
            drawers={"landscape": landscape.landscape, "clips": clipmaps.clip_maps},
        ),
    ]


def drawers(study: Study) -> dict[str, Drawer]:
    """All figures of a report by name, without the number of a page."""
    found: dict[str, Drawer] = {OVERVIEW: overview.overview}
    for section in sections(study):
        found.update(section.drawers)
    return found


def document(study: Study, plates: Mapping[str, Sequence[Plate]]) -> Document:
    """The report of a study, from its figures as drawn: name of the drawer -> plates."""
    kept = []
    for section in sections(study):
        section.plates = [plate for name in section.drawers for plate in plates.get(name, ())]
        section.tables = [table for table in section.tables if table.groups]
        if section.there:
            kept.append(section)
    anchors = {s.anchor for s in kept}
    found = [f for f in find(study) if f.anchor in anchors]
    kept += [*_unsupported(found), *_ending(study)]
    for section in kept:
        most = _FINDINGS.get(section.anchor, _PER_SECTION)
        section.findings = list(of_section(found, section.anchor, most))
    data = study.raw.get("data") if isinstance(study.raw.get("data"), dict) else {}
    size = f"{count(data['clips'])} clips" if data.get("clips") else ""
    names = (clean(data.get("title") or data.get("name"), 120), size, _date(study))
    stated = data.get("caveats")
    stated = stated if isinstance(stated, list) else []
    caveats = [*study.caveats, *(clean(c, 600) for c in stated)]
    caveats += tables.reservations(study)
    return Document(
        title=study.title,
        details=tuple(name for name in names if name),
        when=_when(study),
        date=_date(study),
        stamps=study.stamps,
        caveats=[c for c in dict.fromkeys(caveats) if c],
        findings=list(first_page(found)),
        shown=next(iter(plates.get(OVERVIEW, ())), None),
        sections=kept,
        methods=methods(study, anchors),
        notes=[*notes(study), *([] if "trust" in anchors else task_notes(study))],
        source=str(study.folder),
    )


def _unsupported(found: Sequence[Finding]) -> list[Section]:
    """What was tested and is not supported, in the sentences of the findings."""
    told = not_supported(found)
    groups = [
        [[title if not line else "", text] for line, text in enumerate(told[kind])]
        for kind, title in KINDS.items()
        if kind in told
    ]
    table = Table("", "", ["What was asked", "What can be said"], groups, (1.0, 4.2))
    question = "What was tested and not found?"
    return [Section("unsupported", question, tables=[table])] if told else []


def _ending(study: Study) -> list[Section]:
    """Methods, record and references: what every report ends with."""
    parts = [
        ("How much fewer tracks would change the matrices", tables.steadiness(study)),
        ("How small a p can be", tables.smallest_p(study)),
        ("Provenance", tables.provenance(study)),
        ("Time taken", tables.timings(study)),
        ("Clips that could not be used", tables.failures(study)),
    ]
    record = [Card(title, rows) for title, rows in parts if rows]
    return [
        Section("methods", "How were the numbers made?", "methods", fresh=True),
        Section("record", "Can I trust and repeat it?", "record", cards=record),
        Section("papers", "References", "papers", papers=_papers(study)),
    ]


def _there(found: Iterable[T | None]) -> list[T]:
    return [one for one in found if one is not None]


def _cards(study: Study) -> list[Card]:
    cards = []
    for role, card in study.models.items():
        cards.append(Card(f"{role.upper()}   {card.title}", tables.model_card(card)))
    if study.references is not None:
        rows = [
            ("Layers", tables.layers_in_words(study.references.layers)),
            ("Source", clean(study.references.facts.get("weights_from"), 200)),
        ]
        title = "References: representations that are not networks"
        cards.append(Card(title, [r for r in rows if r[1]]))
    rows = tables.data_card(study)
    if rows:
        cards.append(Card("Data", rows))
    return cards


def _papers(study: Study) -> list[Paper]:
    out = []
    for card in study.models.values():
        paper = clean(card.facts.get("paper"), 300)
        url = clean(card.facts.get("url"), 300)
        # Only web addresses become links: a file or a script must not be a click away.
        safe = urlsplit(url).scheme in ("http", "https") and bool(re.fullmatch(r"[!-~]+", url))
        if paper or safe:
            out.append(Paper(f"{card.title}: {paper}", url if safe else None))
    return out
