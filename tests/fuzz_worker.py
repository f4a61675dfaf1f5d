"""A process in which readers are fed damaged files: what kills it is a finding, not a dead run.

Reads lines `TARGET PATH`, answers each with a line of JSON: what came out. Its memory is limited:
a size taken from a head is a finding too.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import sys
import traceback
from pathlib import Path

ROOM = 2 << 30  # bytes that a reader may take beyond what the process has
SECONDS = 30  # for one file


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    sys.path.insert(0, str(Path(__file__).parent))
    from fuzz_targets import TARGETS

    warm: set[str] = set()
    for line in sys.stdin:
        name, path = line.rstrip("\n").split(" ", 1)
        target = TARGETS[name]
        if name not in warm:  # imports and fixtures are no reader's
            warm.add(name)
            _limit(None)
            _outcome(target, Path(path))
            _limit(_size() + ROOM)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        answer = _outcome(target, Path(path))
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(answer), file=answers, flush=True)


def _outcome(target, path: Path) -> dict[str, str]:
    try:
        target.read(path)
    except target.errors() as error:
        text = getattr(error, "message", None) or str(error)
        if "\n" in text or not text.strip():
            return {"outcome": "fault", "said": f"not one line: {text!r}"}
        return {"outcome": "refused", "said": text}
    except BaseException as error:
        place = traceback.format_exc(limit=-6)
        return {"outcome": "fault", "said": f"{type(error).__name__}: {str(error)[:300]}\n{place}"}
    return {"outcome": "read", "said": ""}


def _size() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _limit(most: int | None) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY if most is None else most, hard))


if __name__ == "__main__":
    main()
