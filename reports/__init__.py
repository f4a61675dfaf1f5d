"""From a study folder to a report: findings in words, figures, one PDF.

`write_report(folder)` makes `folder/report.pdf`; `Study.read(folder)` gives the numbers.
"""

from __future__ import annotations

from typing import Any

_PLACES = {
    "ReportError": "reports.errors",
    "Study": "reports.study",
    "Finding": "reports.grades",
    "find": "reports.findings",
    "write_report": "reports.writing",
    "write_reports": "reports.writing",
    "write_joined": "reports.joined",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'reports' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
