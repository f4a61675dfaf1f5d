"""From a study folder to the files of a report."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from reports.document import Document, document, drawers
from reports.errors import ReportError
from reports.plates import draw
from reports.study import Study
from reports.whole import replace

# format -> kind of its figures
FORMATS = {"pdf": "pdf", "html": "inline", "md": "svg"}


def write_report(study_folder: str | Path, out: str | Path | None = None) -> Path:
    """The PDF of a study; see `write_reports`."""
    return write_reports(study_folder, out)[0]


def write_reports(
    study_folder: str | Path, out: str | Path | None = None, formats: Sequence[str] = ("pdf",)
) -> tuple[Path, ...]:
    """Makes the report of a study in one or several formats of `FORMATS`.

    Parameters
    ----------
    study_folder : as described in docs/study.md.
    out : where the report goes; by default `report.FORMAT` in the folder, and then the figures
        of a PDF are written to its `figures/` too. With several formats each has its own ending.

    Returns
    -------
    A path a format. The same study gives the same words and figures.

    Raises
    ------
    ReportError : the study cannot be read, or the report cannot be written.
    """
    study = Study.read(study_folder)
    targets = _targets(out, study.folder / "report", formats)
    figures = study.folder / "figures" if out is None else None
    with tempfile.TemporaryDirectory(prefix="rsa-report-") as room:
        work = Path(room)
        kinds = {FORMATS[name] for name in formats}
        report = document(study, draw(study, drawers(study), work, kinds))
        write(report, work, targets, figures)
    return tuple(targets.values())


def _targets(out: str | Path | None, default: Path, formats: Sequence[str]) -> dict[str, Path]:
    """Format -> file."""
    if out is None:
        return {name: default.with_name(f"{default.name}.{name}") for name in formats}
    out = Path(out)
    if out.is_dir():
        raise ReportError(f"{out}: is a folder; give the name of a file, such as report.pdf")
    if len(formats) == 1:
        return {formats[0]: out}
    return {name: out.with_suffix(f".{name}") for name in formats}


def write(report: Document, work: Path, targets: Mapping[str, Path], figures: Path | None) -> None:
    """Writes a report whose figures lie in `work`.

    Parameters
    ----------
    targets : format -> file.
    figures : where figures go that stand beside the report; Markdown, which cannot do without,
        else puts them beside its file as `NAME-figures/`.
    """
    for name, target in targets.items():
        beside = figures
        if name == "md":
            beside = figures or target.with_name(f"{target.stem}-figures")
            from reports.formats.markdown import markdown

            link = beside.name if beside.parent == target.parent else str(beside)
            content = markdown(report, link)
        elif name == "html":
            from reports.formats.html import html

            content = html(report)
        else:
            from reports.formats.pdf import pdf

            content = pdf(report, work)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace(target, content)
            if beside is not None and name != "html":
                beside.mkdir(exist_ok=True)
                for plate in report.plates:
                    file = plate.files[FORMATS[name]]
                    replace(beside / file.name, file.read_bytes())
        except OSError as error:
            raise ReportError(
                f"{error.filename or target}: cannot be written ({error.strerror or error}); "
                "make room, or give another place"
            ) from None
