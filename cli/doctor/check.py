"""What a check of `rsa doctor` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

REPORT = "please report this, with the output of rsa doctor --json"


@dataclass(frozen=True)
class Asked:
    """What the user wants checked.

    Attributes
    ----------
    out : folder that studies are to be written to.
    online : whether the network may be asked.
    """

    out: Path = Path()
    online: bool = False


@dataclass(frozen=True)
class Check:
    """One line.

    Attributes
    ----------
    state : `ok`; `warn`, it works but not as well as it could; `problem`.
    cure : "" where there is nothing to mend.
    """

    name: str
    state: str
    found: str
    cure: str = ""

    def as_json(self) -> dict:
        return {"check": self.name, "ok": self.state != "problem", **asdict(self)}


def examine(check: Callable[[Asked], Check | Iterable[Check]], asked: Asked) -> Iterator[Check]:
    """Runs a check; one that fails by itself is a problem and hides no other."""
    try:
        found = check(asked)
        yield from (found,) if isinstance(found, Check) else found
    except Exception as error:
        text = (str(error).strip() or "no message").splitlines()[0]
        yield Check(check.__name__, "problem", f"{type(error).__name__}: {text}", REPORT)
