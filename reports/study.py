"""A study folder (docs/study.md) in memory, typed and read-only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reports import expectations, layers
from reports.errors import ReportError
from reports.expectations import Judged
from reports.layers import Geometry, Information
from reports.maps import ClipMaps, maps
from reports.place import AGAIN, Place, load
from reports.probing import Probes, Task, probes
from reports.reading import STUDY, model, similarity
from reports.reading_why import transfers, why
from reports.results import ModelCard, Similarity
from reports.why import Transfer, Why
from reports.words import abridged, clean

T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """A study folder in memory; `raw` is study.json as it stands.

    `twins` are the models again without training, under `a0`, `b0`, ...; `transfer` has, for two
    roles, what probes of the first do on the second, task by task; `expectations` are published
    results beside what was found here.
    """

    folder: Path
    title: str
    created: str
    command: str
    stamps: tuple[str, ...]
    caveats: tuple[str, ...]
    models: Mapping[str, ModelCard]
    twins: Mapping[str, ModelCard]
    references: ModelCard | None
    similarity: Mapping[tuple[str, str], Similarity]
    geometry: Mapping[str, Geometry]
    information: Mapping[str, Information]
    probes: Mapping[str, Probes]
    why: Mapping[str, Why]
    transfer: Mapping[tuple[str, str], Mapping[str, Transfer]]
    maps: Mapping[str, ClipMaps]
    expectations: tuple[Judged, ...]
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
            what = "a file" if folder.exists() else "no such folder"
            raise ReportError(f"{folder}: {what}; give the folder of a study")
        path = folder / "study.json"
        raw = load(path, STUDY)
        place = Place(path, raw)
        cards = place.mapping("models")
        if not cards:
            raise ReportError(f"{path}: no models; {AGAIN}")
        for role in cards:
            if not re.fullmatch("[a-z]+", role):
                raise ReportError(f"{path}: {clean(role, 40)!r} is no role (a, b, ...); {AGAIN}")
        models = {role: model(Place(path, cards[role], f"models.{role}"), role) for role in cards}
        models = dict(sorted(models.items()))
        cards = place.mapping("twins")
        for role in cards:
            if role[-1:] != "0" or role[:-1] not in models:
                raise ReportError(f"{path}: {clean(role, 40)!r} is the twin of no model; {AGAIN}")
        twins = {role: model(Place(path, cards[role], f"twins.{role}"), role) for role in cards}
        ref = raw.get("references")
        references = model(Place(path, ref, "references"), "ref") if ref else None
        causes = sorted((folder / "why").glob("*.json"))
        alone = [file for file in causes if "-" not in file.stem]
        paired = [file for file in causes if "-" in file.stem]
        compared = {(s.x, s.y): s for s in _all(folder / "similarity", similarity)}
        return cls(
            folder=folder,
            title=clean(place.text("title"), 200),
            created=clean(raw.get("created"), 40),
            command=clean(raw.get("command")),
            stamps=tuple(clean(s, 80) for s in place.sequence("stamps") if clean(s)),
            caveats=tuple(clean(s, 600) for s in place.sequence("caveats") if clean(s)),
            models=models,
            twins=dict(sorted(twins.items())),
            references=references,
            similarity=compared,
            geometry={g.role: g for g in _all(folder / "geometry", layers.geometry)},
            information={i.role: i for i in _all(folder / "information", layers.information)},
            probes={p.role: p for p in _all(folder / "probes", probes)},
            why={w.role: w for w in _read(alone, why)},
            transfer=dict(_read(paired, transfers)),
            maps={m.role: m for m in _all(folder / "maps", maps)},
            expectations=expectations.read(folder),
            raw=raw,
        )

    def between(self, x: str, y: str) -> Similarity | None:
        """The comparison of two roles, in this order whichever way it was stored."""
        if (x, y) in self.similarity:
            return self.similarity[x, y]
        found = self.similarity.get((y, x))
        return found.turned() if found else None

    def task_keys(self) -> list[str]:
        """Keys of all tasks that some model was probed on, in the order of the files."""
        keys: dict[str, None] = {}
        for role in self.models:
            if role in self.probes:
                keys.update(dict.fromkeys(self.probes[role].tasks))
        return list(keys)

    def probed(self, key: str) -> dict[str, Task]:
        """Role -> the task, of the models that were probed on it."""
        found = {r: self.probes[r].tasks.get(key) for r in self.models if r in self.probes}
        return {role: task for role, task in found.items() if task is not None}

    def name_of(self, role: str) -> str:
        """What a model is called in sentences and on axes: as on the command line."""
        if role == "ref":
            return "references"
        if role[-1:] == "0" and role[:-1] in self.models:
            return f"{self.name_of(role[:-1])} untrained"
        if role not in self.models:
            return role
        name = abridged(self.models[role].name, 32)
        twice = sum(card.name == self.models[role].name for card in self.models.values()) > 1
        return f"{name} ({role.upper()})" if twice else name


def _all(folder: Path, read: Callable[[Path], T]) -> list[T]:
    return _read(sorted(folder.glob("*.json")), read)


def _read(files: list[Path], read: Callable[[Path], T]) -> list[T]:
    return [read(file) for file in files]
