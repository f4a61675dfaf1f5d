"""Puts findings, figures and tables of a study on pages and writes the PDF."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from reports import style, tables, tables_expectations, tables_probes
from reports.errors import ReportError
from reports.explain import methods, notes, task_notes
from reports.figures import (
    agreement,
    cross,
    curves,
    evidence,
    geometry,
    information,
    labels,
    landscape,
    multiples,
    overview,
    probe,
    resemblance,
    specialisation,
    voices,
    weights,
    within,
)
from reports.figures.drawing import Drawing
from reports.findings import Finding, find, first_page, of_section
from reports.numbers import count
from reports.study import Study
from reports.tables import Table
from reports.words import clean, soft

T = TypeVar("T")
_HERE = Path(__file__).parent
_SOURCES = ("template.typ", "methods.typ")
_AUTHOR = "rsa"
_PER_SECTION = 3
_FINDINGS = {"resemblance": 2, "probes": 5}


@dataclass
class _Section:
    """One question of the report and what answers it."""

    anchor: str
    question: str
    kind: str = "figures"
    figures: list[Drawing] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    fresh: bool = True

    @property
    def there(self) -> bool:
        """Whether the study has anything for it."""
        return bool(self.figures or any(t.groups for t in self.tables) or self.content.get("cards"))


def write_report(study_folder: str | Path, out: str | Path | None = None) -> Path:
    """Makes the PDF of a study.

    Parameters
    ----------
    study_folder : as described in docs/study.md.
    out : where the PDF goes; by default `report.pdf` in the folder, and then the figures are
        written to its `figures/` too.

    Returns
    -------
    The path of the PDF. The same study gives the same words and figures.

    Raises
    ------
    ReportError : the study cannot be read, or the PDF cannot be written.
    """
    study = Study.read(study_folder)
    target = Path(out) if out is not None else study.folder / "report.pdf"
    if target.is_dir():
        raise ReportError(f"{target}: is a folder; give the name of a file, such as report.pdf")
    with tempfile.TemporaryDirectory(prefix="rsa-report-") as room:
        work = Path(room)
        _lay_out(study, work)
        pdf = _compile(study, work)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, pdf)
            if out is None:
                (study.folder / "figures").mkdir(exist_ok=True)
                for figure in sorted(work.glob("*.pdf")):
                    _replace(study.folder / "figures" / figure.name, figure.read_bytes())
        except OSError as error:
            raise ReportError(
                f"{target}: cannot be written ({error.strerror or error}); give another place"
            ) from None
    return target


def _replace(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never half of one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _lay_out(study: Study, work: Path) -> None:
    """Writes figures, template and data.json to `work`."""
    with style.look():
        top = overview.overview(study)
        sections = _sections(study)
        drawings = [top, *(d for s in sections for d in s.figures)]
        for one in drawings:
            style.save(one.figure, work / f"{one.name}.pdf")
    data = _data(study, top, sections)
    (work / "data.json").write_text(json.dumps(data), encoding="utf-8")
    for name in _SOURCES:
        shutil.copyfile(_HERE / name, work / name)


def _compile(study: Study, work: Path) -> bytes:
    import typst

    text = (work / "data.json").read_text(encoding="utf-8")
    try:
        return typst.compile(
            str(work / "template.typ"),
            root=str(work),
            timestamp=int(_when(study).timestamp()),
            # Fonts of the system only where the embedded ones lack the script of some name.
            ignore_system_fonts=_covered(json.loads(text)),
        )
    except (typst.TypstError, RuntimeError) as error:
        raise ReportError(
            f"{study.folder}: the pages cannot be set ({clean(error, 300)}); "
            "please report this with the study's study.json"
        ) from None


def _covered(values: Any) -> bool:
    """True when Latin, Greek, Cyrillic and common signs are all there is."""
    if isinstance(values, str):
        return all(ord(c) < 0x0530 or 0x1E00 <= ord(c) < 0x2600 for c in values)
    if isinstance(values, dict):
        return all(map(_covered, values.values()))
    return all(map(_covered, values)) if isinstance(values, list) else True


def _when(study: Study) -> datetime:
    try:
        when = datetime.fromisoformat(study.created.replace("Z", "+00:00"))
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _date(study: Study) -> str:
    when = _when(study)
    return f"{when.day} {when:%B %Y}" if when.year > 1970 else study.created


def _sections(study: Study) -> list[_Section]:
    """Every question the study has an answer to, in the order of the storyboard."""
    pair = ("a", "b") if {"a", "b"} <= set(study.models) else None
    crossed, bits = [], []
    if pair:
        crossed = _there([cross.cross(study, *pair), agreement.agreement(study, *pair)])
        crossed[1:1] = multiples.multiples(study, *pair)
        bits = information.information(study, *pair)
    advice = tables.recommendations(study)
    sections = [
        _Section("cards", "What was compared, on what?", "cards", content={"cards": _cards(study)}),
        _Section("within", "How is each model organised inside?", figures=within.within(study)),
        _Section("geometry", "What is each layer like?", figures=geometry.geometry(study)),
        _Section("cross", "Where do the models agree?", figures=crossed),
        _Section(
            "information",
            "How much information is shared?",
            figures=[*bits, *labels.labels(study)],
        ),
        _Section(
            "resemblance",
            "What does each layer resemble?",
            fresh=False,
            figures=_there([resemblance.resemblance(study)]),
        ),
        _Section(
            "probes",
            "What can be read out, and where?",
            figures=[*curves.curves(study), *_there([voices.voices(study)])],
            tables=[*_there([tables_probes.published(study)]), *tables_probes.metrics(study)],
        ),
        _Section(
            "specialisation",
            "Who specialises in what?",
            figures=specialisation.specialisation(study),
        ),
        _Section(
            "trust",
            "Can the probes be trusted?",
            figures=[*evidence.evidence(study), *probe.probe(study)],
            tables=_there([tables_probes.trust(study)]),
            warnings=[*tables_probes.warnings(study), *task_notes(study)],
        ),
        _Section(
            "heads",
            "Does another head read more?",
            "tables",
            tables=tables_probes.heads(study),
            figures=weights.weights(study),
        ),
        _Section(
            "published",
            "What was published?",
            "tables",
            tables=_there([tables_expectations.expectations(study.expectations)]),
        ),
        _Section("recommendation", "What should I use?", tables=[advice]),
        _Section(
            "landscape",
            "What does it look like?",
            figures=_there([landscape.landscape(study)]),
            fresh=False,
        ),
    ]
    kept = [s for s in sections if s.there]
    anchors = {s.anchor for s in kept}
    kept.append(_Section("methods", "How were the numbers made?", "methods"))
    parts = [
        ("How much fewer tracks would change the matrices", tables.steadiness(study)),
        ("How small a p can be", tables.smallest_p(study)),
        ("Provenance", tables.provenance(study)),
        ("Time taken", tables.timings(study)),
        ("Clips that could not be used", tables.failures(study)),
    ]
    parts = [{"title": t, "rows": soft(rows)} for t, rows in parts if rows]
    kept.append(
        _Section("record", "Can I trust and repeat it?", "record", content={"parts": parts})
    )
    kept.append(
        _Section("papers", "References", "papers", content={"models": _papers(study)}, fresh=False)
    )
    # Warnings, and few tasks, leave room for the next question on the same page.
    if {"trust", "heads"} <= anchors:
        next(s for s in kept if s.anchor == "heads").fresh = False
    if "recommendation" in anchors and len(advice.groups) <= 3:
        next(s for s in kept if s.anchor == "recommendation").fresh = False
    return kept


def _there(found: Iterable[T | None]) -> list[T]:
    return [one for one in found if one is not None]


def _cards(study: Study) -> list[dict]:
    cards = []
    for role, card in study.models.items():
        title = f"{role.upper()}   {card.title}"
        cards.append({"title": soft(title), "rows": soft(tables.model_card(card))})
    if study.references is not None:
        rows = [
            ("Layers", tables.layers_in_words(study.references.layers)),
            ("Source", clean(study.references.facts.get("weights_from"), 200)),
        ]
        cards.append(
            {
                "title": "References: representations that are not networks",
                "rows": soft([r for r in rows if r[1]]),
            }
        )
    rows = tables.data_card(study)
    if rows:
        cards.append({"title": "Data", "rows": soft(rows)})
    return cards


def _papers(study: Study) -> list[dict]:
    out = []
    for card in study.models.values():
        paper = clean(card.facts.get("paper"), 300)
        url = clean(card.facts.get("url"), 300)
        # Only web addresses become links: a file or a script must not be a click away.
        safe = urlsplit(url).scheme in ("http", "https") and bool(re.fullmatch(r"[!-~]+", url))
        if paper or safe:
            out.append({"text": soft(f"{card.title}: {paper}"), "url": url if safe else None})
    return out


def _data(study: Study, top: Drawing, sections: list[_Section]) -> dict:
    """Everything the template prints."""
    anchors = {s.anchor for s in sections}
    found = [f for f in find(study) if f.anchor in anchors]
    data = study.raw.get("data") if isinstance(study.raw.get("data"), dict) else {}
    size = f"{count(data['clips'])} clips" if data.get("clips") else ""
    names = [clean(data.get("title") or data.get("name"), 120), size, _date(study)]
    caveats = [*study.caveats, *(clean(c, 600) for c in data.get("caveats") or [])]
    caveats += tables.reservations(study)
    shown = first_page(found)
    return {
        "title": soft(study.title),
        "author": _AUTHOR,
        "subtitle": soft("   \N{MIDDLE DOT}   ".join(n for n in names if n)),
        "running": soft(clean(study.title, 90)),
        "date": _date(study),
        "stamps": [soft(s) for s in study.stamps],
        "caveats": [soft(c) for c in dict.fromkeys(caveats) if c],
        "findings": [_finding(f) for f in shown],
        "overview": _drawing(top),
        "sections": [
            {
                "anchor": s.anchor,
                "question": s.question,
                "kind": s.kind,
                "fresh": s.fresh,
                "figures": [_drawing(d) for d in s.figures],
                "tables": [t.as_json() for t in s.tables],
                "warnings": soft(s.warnings),
                "findings": [
                    _finding(f)
                    for f in of_section(found, s.anchor, _FINDINGS.get(s.anchor, _PER_SECTION))
                ],
                **soft(s.content),
            }
            for s in sections
        ],
        **methods(study, anchors),
        "notes": soft([*notes(study), *([] if "trust" in anchors else task_notes(study))]),
    }


def _finding(one: Finding) -> dict:
    return {"claim": soft(one.claim), "grade": one.grade, "anchor": one.anchor}


def _drawing(one: Drawing) -> dict:
    return {"file": f"{one.name}.pdf", "caption": soft(one.caption), "alt": one.alt}
