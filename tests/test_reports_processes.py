"""Figures are listed without being drawn, and drawn by several processes as by one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from painters_jobs import helpless, of_name, stopping, waiting
from study_fixture import make_study
from why_fixture import make_why

from reports import Study, painters
from reports.joined import write_joined
from reports.painters import spread
from reports.single import figures, tables

LEAN = dict.fromkeys(
    ("similarity", "geometry", "information", "twins", "trust", "published", "heads"), False
)
SCRIPT = """
import os, sys
from pathlib import Path
from painters_jobs import waiting
from reports import painters
print("once", flush=True)
painters._cores = lambda: 2
found = painters.spread(waiting, range(20), Path(sys.argv[1]), [str(os.getpid())])
print(len(set(found)), "processes")
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "s"
    shape = {"layers": {"a": 4, "b": 5}, "tasks": 3, **LEAN}
    return make_why(make_study(folder, **{**shape, "similarity": True}))


def child_pids() -> set[int]:
    """Processes that this one has started and not waited for."""
    tasks = Path("/proc/self/task")
    return {int(one) for task in tasks.iterdir() for one in (task / "children").read_text().split()}


def test_listing_draws_nothing(study, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("drawn")

    monkeypatch.setattr(Figure, "__init__", refused)
    found = Study.read(study)
    listed = figures(found)
    names = {one.name for one in listed}
    assert {"overview", "cross", "landscape", "why-instrument", "riding-1"} <= names
    assert all(one.line.endswith(".") for one in listed) and tables(found)


def test_several_processes_write_the_bytes_of_one(study, tmp_path, monkeypatch):
    monkeypatch.setattr(painters, "ENOUGH", 4)
    other = make_study(tmp_path / "other", layers={"a": 4}, tasks=2, **LEAN)
    written = {}
    for cores in (1, 3):
        monkeypatch.setattr(painters, "_cores", lambda cores=cores: cores)
        paths = write_joined([study, other], tmp_path / str(cores), ("pdf", "html"))
        written[cores] = [path.read_bytes() for path in paths]
    assert written[1] == written[3]


@pytest.mark.parametrize("jobs, cores, most", [(7, 8, 1), (40, 1, 1), (16, 3, 3)])
def test_no_more_processes_than_cores_and_jobs_that_pay(jobs, cores, most, tmp_path, monkeypatch):
    monkeypatch.setattr(painters, "_cores", lambda: cores)
    before = child_pids()
    found = spread(of_name, range(jobs), tmp_path, ["pdf"])
    assert [one[:3] for one in found] == [(job, str(tmp_path), ("pdf",)) for job in range(jobs)]
    assert len({pid for *_, pid in found} | {os.getpid()}) <= most
    assert child_pids() == before


def test_helpers_do_their_share(tmp_path, monkeypatch):
    """The caller waits at its first job for the helper, which does all others."""
    monkeypatch.setattr(painters, "_cores", lambda: 2)
    found = spread(waiting, range(20), tmp_path, [str(os.getpid())])
    assert found.count(os.getpid()) == 1 and len(set(found)) == 2


def test_what_a_helper_fails_at_the_caller_does(tmp_path, monkeypatch):
    monkeypatch.setattr(painters, "_cores", lambda: 2)
    assert spread(helpless, range(30), tmp_path, [str(os.getpid())]) == list(range(30))


def test_an_error_of_a_job_is_the_callers(tmp_path, monkeypatch):
    monkeypatch.setattr(painters, "_cores", lambda: 2)
    with pytest.raises(RuntimeError, match="not here"):
        spread(helpless, range(30), tmp_path, ["0"])


def test_an_interrupt_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(painters, "_cores", lambda: 2)
    before = child_pids()
    with pytest.raises(KeyboardInterrupt):
        spread(stopping, range(30), tmp_path, [str(os.getpid())])
    assert child_pids() == before


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    """Processes begin fresh: they do not import the script that asked for the report."""
    (tmp_path / "done").mkdir()
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    folders = os.pathsep.join(map(os.path.abspath, sys.path))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "done"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": folders},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "once\n2 processes\n"), done.stderr


def test_listing_imports_nothing_slow(study):
    """What a map and a rank correlation need is left alone until one is drawn."""
    told = "; print(*sorted({'umap', 'numba', 'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    list_only = (
        "import sys; from reports import Study; from reports.single import figures, tables; "
        "found = Study.read(sys.argv[1]); figures(found), tables(found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", list_only + told, study], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
