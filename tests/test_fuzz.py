"""Damaged and made-up files: whatever a reader is given, it reads it or refuses it in one line.

    python -m pytest tests/test_fuzz.py              a few files a reader
    python -m pytest -m fuzz                         EXAMPLES a reader
    RSA_FUZZ=20000 python -m pytest -m fuzz          as many as wished

The files are valid ones with bytes changed, or bytes without any order; the same in every run, and
others where RSA_FUZZ_SEED is set. A crash by a signal, more than 30 s, more than 2 GB of memory and
any exception but the package's own are failures; the file that caused it is kept and named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

SAMPLE, EXAMPLES = 8, 1000
QUICK = ("audio", "manifest-csv", "label-files", "tensorflow", "hdf5", "torch", "study")
PHASES = (Phase.generate, Phase.shrink)
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**60,
           2**63 - 1, 2**64 - 1)  # fmt: skip
# as JSON, which is read anew each time: a change must not reach what is drawn later
NODES = ("null", "true", '""', '"x"', '"\\ud800"', '"\\u001b[31m"', "-1", "0", "1", "0.5", "1e308",
         "-1e308", str(2**63), str(10**400), "NaN", "-Infinity", "[]", "{}", "[[]]", "[null]",
         "[1.0, 2.0]", '{"a": 1}', '"' + 5000 * "9" + '"')  # fmt: skip
DEEP = 100_000


class Reader:
    """The process that reads; a new one after each that died."""

    def __init__(self, folder: Path):
        self.folder, self.process, self.count = folder, None, {}

    def __call__(self, name: str, content: bytes) -> None:
        path = self.folder / TARGETS[name].name
        path.write_bytes(content)
        if self.process is None:
            here = Path(__file__).parent
            paths = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])
            self.process = subprocess.Popen(
                [sys.executable, str(here / "fuzz_worker.py")], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=open(self.folder / "stderr", "w"), text=True,
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, cwd=here.parent,
            )  # fmt: skip
        self.process.stdin.write(f"{name} {path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        kept = self.folder / f"found-{name}"
        if not line:
            code, self.process = self.process.wait(), None
            kept.write_bytes(content)
            said = (self.folder / "stderr").read_text(errors="replace")[-2000:]
            raise AssertionError(f"{kept}: the reader ended with {code}: {said}")
        found = json.loads(line)
        if found["outcome"] == "fault":
            kept.write_bytes(content)
            raise AssertionError(f"{kept}: {found['said']}")
        self.count.setdefault(name, {"read": 0, "refused": 0})[found["outcome"]] += 1

    def end(self) -> None:
        if self.process:
            self.process.stdin.close()
            self.process.wait(30)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    one = Reader(tmp_path_factory.mktemp("fuzz"))
    yield one
    one.end()
    print("\nread and refused:", json.dumps(one.count))


@st.composite
def damaged(draw, seeds: list[bytes]) -> bytes:
    """A valid file with a few changes, or bytes without any order."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=400))
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        if not content:
            break
        at = draw(st.integers(0, len(content) - 1))
        what = draw(st.sampled_from(("bit", "byte", "number", "cut", "drop", "repeat", "insert")))
        if what == "bit":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "byte":
            content[at] = draw(st.integers(0, 255))
        elif what == "number":
            width = draw(st.sampled_from((2, 4, 8)))
            number = draw(st.sampled_from(NUMBERS)) % (1 << 8 * width)
            order = draw(st.sampled_from(("little", "big")))
            content[at : at + width] = number.to_bytes(width, order)
        elif what == "cut":
            del content[at:]
        elif what == "drop":
            del content[at : at + draw(st.integers(1, 40))]
        elif what == "repeat":
            part = content[at : at + draw(st.integers(1, 200))]
            content[at:at] = part * draw(st.integers(1, 50))
        else:
            content[at:at] = draw(st.binary(min_size=1, max_size=12))
    return bytes(content)


@st.composite
def rearranged(draw, seeds: list[bytes]) -> bytes:
    """A JSON document in which a few nodes are exchanged for others, or lost."""
    top = [json.loads(draw(st.sampled_from(seeds)))]
    for _ in range(draw(st.integers(1, 3))):
        node, key = top, 0
        for _ in range(draw(st.integers(0, 12))):
            inside = node[key]
            if not isinstance(inside, (dict, list)) or not inside:
                break
            keys = sorted(inside) if isinstance(inside, dict) else range(len(inside))
            node, key = inside, draw(st.sampled_from(keys))
        if node is not top and draw(st.integers(0, 5)) == 0:
            del node[key]
        else:
            node[key] = json.loads(draw(st.sampled_from(NODES)))
    return json.dumps(top[0]).encode()


def _fuzz(name: str, reader: Reader, examples: int) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for content in seeds:
        reader(name, content)
    assert reader.count[name]["read"] >= 1, "no valid file is read"
    if target.tree:
        for deep in (b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP):
            reader(name, deep)
    some = damaged(seeds)
    kind = st.one_of(some, rearranged(seeds), rearranged(seeds)) if target.tree else some

    @seeded(int(os.environ.get("RSA_FUZZ_SEED", "0")))
    @settings(max_examples=examples, database=None, deadline=None, phases=PHASES,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(kind)
    def feed(content: bytes) -> None:
        reader(name, content)

    feed()


@pytest.mark.parametrize("name", QUICK)
def test_a_few_damaged_files_are_read_or_refused(name, reader):
    _fuzz(name, reader, SAMPLE)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name, reader):
    _fuzz(name, reader, int(os.environ.get("RSA_FUZZ", EXAMPLES)))
