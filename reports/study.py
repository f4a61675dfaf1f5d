"""A study folder (docs/study.md) in memory, typed and read-only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.errors import ReportError
from reports.reading import AGAIN, Place, load, model, probes, similarity
from reports.results import ModelCard, Probes, Similarity
from reports.words import abridged, clean


@dataclass(frozen=True)
class Study:
    """A study folder in memory; `raw` is study.json as it stands."""

    folder: Path
    title: str
    created: str
    command: str
    stamps: tuple[str, ...]
    caveats: tuple[str, ...]
    models: Mapping[str, ModelCard]
    references: ModelCard | None
    similarity: Mapping[tuple[str, str], Similarity]
    probes: Mapping[str, Probes]
    raw: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> Study:
        """Reads and checks a study folder.

        Raises
        ------
        ReportError : names the file and what is wrong with it.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ReportError(f"{folder}: no such folder; give the folder of a study")
        path = folder / "study.json"
        raw = load(path)
        place = Place(path, raw)
        cards = place.mapping("models")
        if not cards:
            raise ReportError(f"{path}: no models; {AGAIN}")
        for role in cards:
            if not re.fullmatch("[a-z]+", role):
                raise ReportError(f"{path}: {clean(role, 40)!r} is no role (a, b, ...); {AGAIN}")
        models = {role: model(Place(path, cards[role], f"models.{role}"), role) for role in cards}
        models = dict(sorted(models.items()))
        ref = raw.get("references")
        references = model(Place(path, ref, "references"), "ref") if ref else None
        compared, probed = {}, {}
        for file in sorted((folder / "similarity").glob("*.json")):
            found = similarity(file)
            compared[found.x, found.y] = found
        for file in sorted((folder / "probes").glob("*.json")):
            table = probes(file)
            probed[table.role] = table
        return cls(
            folder=folder,
            title=clean(place.text("title"), 200),
            created=clean(raw.get("created"), 40),
            command=clean(raw.get("command")),
            stamps=tuple(clean(s, 80) for s in place.sequence("stamps") if clean(s)),
            caveats=tuple(clean(s, 600) for s in place.sequence("caveats") if clean(s)),
            models=models,
            references=references,
            similarity=compared,
            probes=probed,
            raw=raw,
        )

    def between(self, x: str, y: str) -> Similarity | None:
        """The comparison of two roles, in this order whichever way it was stored."""
        if (x, y) in self.similarity:
            return self.similarity[x, y]
        found = self.similarity.get((y, x))
        if found is None:
            return None
        # A directed measure turned round would be another measure: those stay out.
        measures = {k: m.turned() for k, m in found.measures.items() if m.symmetric}
        return Similarity(
            x, y, found.layers_y, found.layers_x, found.rows, found.n_rows, found.n_groups, measures
        )

    def name_of(self, role: str) -> str:
        """What a model is called in sentences and on axes: as on the command line."""
        if role == "ref":
            return "references"
        if role not in self.models:
            return role
        name = abridged(self.models[role].name, 32)
        twice = sum(card.name == self.models[role].name for card in self.models.values()) > 1
        return f"{name} ({role.upper()})" if twice else name
