"""A folder of audio files as a data set, with or without a manifest that says more.

Without a manifest every audio file below the folder is a track. A track of up to `clip_seconds` is
one clip; of a longer one, `clips_per_track` consecutive clips of that length are taken from its
middle. With a manifest, its rows are the clips; see `extract.datasets.manifest`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from extract import audio
from extract.datasets.base import Clip, DataCard, Dataset
from extract.datasets.files import SUFFIXES, Disk, File, identity
from extract.datasets.manifest import MANIFESTS, Entry, Manifest
from extract.errors import DataError, printable

if TYPE_CHECKING:
    from extract.remote.tree import Tree


class Folder(Dataset):
    """The audio files below a folder.

    Files are found in all subfolders, links followed once; names that begin with a dot are passed
    over. A file that cannot be opened is listed with the duration 0 (or the manifest's): its
    `audio` raises, so that it is counted among the failures.

    Parameters
    ----------
    path : the folder; one elsewhere as a `Tree`.
    manifest : a CSV, TSV or JSON-lines file; None looks for `manifest.csv`, `manifest.tsv` and
        `manifest.jsonl` in the folder.
    clip_seconds : the longest clip, where the manifest gives no duration.
    clips_per_track : how many clips of a longer file to take, from its middle; None for as many
        as fit.

    Raises
    ------
    DataError : there is no such folder, no audio in it, or the manifest is wrong (names the line).
    """

    def __init__(
        self,
        path: str | os.PathLike | Tree,
        manifest: str | os.PathLike | None = None,
        *,
        clip_seconds: float = 30.0,
        clips_per_track: int | None = 1,
    ):
        self.tree = Disk(Path(path)) if isinstance(path, (str, os.PathLike)) else path
        if not clip_seconds >= audio.SHORTEST or (clips_per_track or 1) < 1:
            raise DataError(
                f"{clips_per_track} clips of {clip_seconds} s a track are impossible; "
                f"give 1 or more, of {audio.SHORTEST} s or more"
            )
        self.elsewhere = not isinstance(self.tree, Disk)
        self._clip_seconds, self._clips_per_track = clip_seconds, clips_per_track
        table = table_of(self.tree, manifest)
        self._files: dict[str, File] = {}
        self.clips, files = self._from_manifest(table) if table else self._from_files()
        rates = {file.info.sample_rate for file in files if file.info}
        self.rate = rates.pop() if len(rates) == 1 else None
        self.notes = table.notes if table else ()
        called = printable(self.tree.called)
        listed = printable(table.path.name) if table else ""
        self.card = DataCard(
            name=called or "folder",
            title=f"Audio files of the folder {called}",
            sources="the user's own files" + (f", labels from {listed}" if table else ""),
            licence="the user's own",
            identity=identity(self.clips, files),
            audio=identity(self.clips, files, labels=False),
            labels=table.labels if table else (),
            caveats=(*_caveats(self.clips), *self.notes),
        )

    def audio(self, clip: Clip, sample_rate: int) -> torch.Tensor:
        """The clip as mono float32 [samples] at `sample_rate`; safe to call from several threads.

        Raises
        ------
        AudioError : names the file, what is wrong and the cure.
        """
        return self.tree.hear(self._files[clip.id], sample_rate, clip.start, clip.duration)

    def reading(self, workers: int) -> AbstractContextManager:
        return self.tree.reading()

    def expect(self, clip: Clip) -> None:
        self.tree.expect(self._files[clip.id])

    def file(self, clip: Clip) -> str:
        """The path of the clip's file, or its address."""
        return str(self._files[clip.id].path)

    def _from_files(self) -> tuple[tuple[Clip, ...], list[File]]:
        names: dict[str, object] = {}
        for name, path in self.tree.audio():
            if name in names:  # accents composed and not, or a byte and its number
                raise DataError(f"{path} and {names[name]} have one name when spelled; rename one")
            names[name] = path
        if not names:
            raise DataError(f"{self.tree}: no audio files below it{_what_else(self.tree)}")
        files = self.tree.look(sorted(names.items()))
        clips = [clip for file in files for clip in self._cut(file, Entry(line=0, path=file.name))]
        return tuple(clips), files

    def _from_manifest(self, table: Manifest) -> tuple[tuple[Clip, ...], list[File]]:
        names, found = [], {}
        for entry in table.entries:
            name = self._locate(table, entry, found)
            names.append(name)
        looked = {file.name: file for file in self.tree.look(sorted(found.items()))}
        several = Counter(names)
        clips: list[Clip] = []
        lines: dict[str, int] = {}
        for entry, name in zip(table.entries, names, strict=True):
            for clip in self._cut(looked[name], entry, several=several[name] > 1):
                if clip.id in lines:
                    raise DataError(
                        f"{table.path}, line {entry.line}: the same clip as on line "
                        f"{lines[clip.id]} (file and start); leave one of them out"
                    )
                lines[clip.id] = entry.line
                clips.append(clip)
        return tuple(clips), list(looked.values())

    def _locate(self, table: Manifest, entry: Entry, found: dict[str, object]) -> str:
        """The name of an entry's file; adds the file to those that were found."""
        try:
            place = self.tree.locate(entry.path)
        except ValueError:
            raise DataError(
                f"{table.path}, line {entry.line}: {entry.path} lies outside {self.tree}; "
                "give paths below the folder"
            ) from None
        if place is None:
            raise DataError(
                f"{table.path}, line {entry.line}: no file {entry.path} in {self.tree}; "
                "correct the path (relative to the folder) or leave the line out"
            )
        found[place[0]] = place[1]
        return place[0]

    def _cut(self, file: File, entry: Entry, several: bool = False) -> list[Clip]:
        """The clips of one file, or of one row of the manifest."""
        spans = self._spans(file.seconds, entry)
        clips = []
        for start, duration in spans:
            id = file.name
            if several or len(spans) > 1:
                id += f"#{start:.6f}".rstrip("0").rstrip(".")
            self._files[id] = file
            track = entry.track or file.name
            clips.append(
                Clip(
                    id=id,
                    track=track,
                    group=entry.group or track,
                    subset=entry.subset,
                    split=entry.split,
                    start=start,
                    duration=duration,
                    labels=entry.labels,
                )
            )
        return clips

    def _spans(self, seconds: float, entry: Entry) -> list[tuple[float, float]]:
        """(start, duration) of the clips of a file that lasts `seconds`."""
        length = self._clip_seconds
        if entry.duration is not None:
            return [(entry.start or 0.0, entry.duration)]
        if entry.start is not None:
            return [(entry.start, min(length, max(0.0, seconds - entry.start)))]
        if seconds <= length:
            return [(0.0, seconds)]
        fit = int(seconds / length + 1e-9)
        count = min(fit, self._clips_per_track or fit)
        # whole milliseconds, so that an id can be read
        first = int((seconds - count * length) / 2 * 1000) / 1000
        return [(round(first + i * length, 6), length) for i in range(count)]


def table_of(
    tree: Disk | Tree, manifest: str | os.PathLike | None = None
) -> Manifest | None:
    """The manifest of a folder, given or found in it; None where there is none.

    Raises
    ------
    DataError : it is wrong (names the line), or there are two.
    """
    place = Path(manifest) if manifest is not None else _find_manifest(tree)
    return Manifest.read(place) if place else None


def _find_manifest(tree: Disk | Tree):
    found = [place for name in MANIFESTS if (place := tree.find(name)) is not None]
    if len(found) > 1:
        names = " and ".join(place.name for place in found)
        raise DataError(f"{tree}: {names} are both there; say which with --manifest")
    return found[0] if found else None


def _caveats(clips: Sequence[Clip]) -> tuple[str, ...]:
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.group, set()).add(clip.split)
    shared = sum(len(of_group) > 1 for of_group in splits.values())
    if not shared:
        return ()
    return (
        f"{shared} of {len(splits)} groups have clips in more than one split: "
        "scores on the test split may be too good",
    )


def _what_else(tree: Disk | Tree) -> str:
    if others := tree.foreign():
        what = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        return f" that can be read, but {what}; convert them, for instance with ffmpeg, to flac"
    return f" ({', '.join(SUFFIXES)}); give the folder that holds them"
