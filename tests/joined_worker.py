"""One of several processes that extract and compare a small store together, for the tests.

Takes a folder; leaves what it saw in seen-RANK.json and its results in found-RANK.json there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
from small_model import SmallData, SmallModel

import rsa
from cli.processes import joined
from extract.pipeline import extract
from extract.store import Store

CLIPS = (1.0, 0.5) * 100
MEASURES = ("cka:linear,track-debiased", "cka:linear,debiased", "svcca:var=0.99,mean")


def data() -> SmallData:
    return SmallData(CLIPS)


def compared(activations, team=None) -> dict:
    more = {} if team is None else {"team": team}
    found = rsa.compare(activations, measures=MEASURES, draws=9, stability=False, **more)
    return next(iter(found)).as_json()


def main(folder: Path) -> None:
    with joined() as team:
        numbers = list(range(10))
        parts = team.gather(list(team.mine(numbers)))
        turns = team.gather(list(team.turns(7)))
        seen = {
            "agreed": team.agreed(["of", team.rank]),
            "parts": parts,
            "turns": sorted(sum(turns, [])),
            "sum": team.sum(np.full((2, 3), 1.0 + team.rank)).tolist(),
        }
        (folder / f"seen-{team.rank}.json").write_text(json.dumps(seen))
        mine, write = [], Store.write

        def counted(self, shard, *rest):
            write(self, shard, *rest)
            mine.append(shard)
            if team.rank and (folder / "kill").exists():
                os.kill(os.getpid(), signal.SIGKILL)

        Store.write = counted
        made = extract(SmallModel(), data(), data().clips, ["clips"], folder / "store", share=team)
        found = {"shards": mine, "compared": compared(made["clips"], team)}
        (folder / f"found-{team.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
