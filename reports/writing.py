"""From a study folder to the files of a report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reports.document import document, drawers
from reports.errors import ReportError
from reports.plates import draw
from reports.study import Study

FORMATS = {"pdf": "pdf"}  # format -> kind of its figures


def write_report(study_folder: str | Path, out: str | Path | None = None) -> Path:
    """The PDF of a study; see `write_reports`."""
    return write_reports(study_folder, out)[0]


def write_reports(
    study_folder: str | Path, out: str | Path | None = None, formats: Sequence[str] = ("pdf",)
) -> tuple[Path, ...]:
    """Makes the report of a study in one or several formats.

    Parameters
    ----------
    study_folder : as described in docs/study.md.
    out : where the report goes; by default `report.FORMAT` in the folder, and then the figures
        are written to its `figures/` too. For several formats the ending is put to each.

    Returns
    -------
    A path a format. The same study gives the same words and figures.

    Raises
    ------
    ReportError : the study cannot be read, or the report cannot be written.
    """
    from reports.formats.pdf import pdf

    study = Study.read(study_folder)
    target = Path(out) if out is not None else study.folder / "report.pdf"
    if target.is_dir():
        raise ReportError(f"{target}: is a folder; give the name of a file, such as report.pdf")
    with tempfile.TemporaryDirectory(prefix="rsa-report-") as room:
        work = Path(room)
        kinds = {FORMATS[name] for name in formats}
        report = document(study, draw(study, drawers(study), work, kinds))
        content = pdf(report, work)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, content)
            if out is None:
                (study.folder / "figures").mkdir(exist_ok=True)
                for figure in sorted(work.glob("*.pdf")):
                    _replace(study.folder / "figures" / figure.name, figure.read_bytes())
        except OSError as error:
            raise ReportError(
                f"{target}: cannot be written ({error.strerror or error}); give another place"
            ) from None
    return (target,)


def _replace(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never half of one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
