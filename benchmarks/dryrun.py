"""What `--dry-run` says a command takes, and what it then takes, stage by stage.

    python benchmarks/dryrun.py [--cpu] compare --a musicnn-msd --b chordnet --data mini --limit 400

The caches are those of RSA_CACHE: empty its `activations`, `similarity`, `probes`, `why` and `maps`
for a run from nothing. With --cpu both are in seconds of processor, all threads together, which
other work on the machine changes little; else in seconds of the clock.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLOCK = "import time; time.perf_counter = time.process_time; "
RUN = "import sys; sys.argv[0] = 'rsa'; from cli.main import main; main()"
# how stages of a run begin -> what the dry run calls them
STAGES = {
    "activations of": "extraction", "similarity": "similarity", "geometry of": "geometry",
    "information of": "information about labels", "probes of [^ ]+ on": "why",
    "probes of": "probes", "why layers of": "why", "map of": "maps",
}  # fmt: skip


def main() -> None:
    command = sys.argv[1:]
    clock = CLOCK if command[0] == "--cpu" else ""
    command = command[1:] if clock else command
    with tempfile.TemporaryDirectory() as place:
        study = Path(place) / "study"
        more = [] if command[0] == "extract" else ["--out", str(study), "--no-report"]
        said, about = rsa(clock, [*command, *more, "--dry-run", "--json"])
        took, whole = rsa(clock, [*command, *more, "--json"])
        found = json.loads(took)
        log = Path(found["log"]) if "log" in found else study / "run.log.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    stages: dict[str, list[float]] = {}
    for one in json.loads(said)["stages"]:
        name = "extraction" if one["shards"] else one["stage"]
        stages.setdefault(name, [0.0, 0.0])[0] += one["seconds"]
    run = lines[-1]["run"]
    for line in lines:
        if line["run"] == run and line["event"] == "stage" and line["message"] == "done":
            name = next((to for key, to in STAGES.items() if re.match(key, line["stage"])), None)
            if name is not None:
                stages.setdefault(name, [0.0, 0.0])[1] += line["seconds"]
    print("| stage | said, s | took, s | said / took |\n|---|---|---|---|")
    total = [sum(pair[i] for pair in stages.values()) for i in (0, 1)]
    for name, (a, b) in [*stages.items(), ("all", total)]:
        print(f"| {name} | {a:.1f} | {b:.1f} | {a / b if b else float('nan'):.2f} |")
    print(f"dry run: {about}\nrun: {whole}\nload: {os.getloadavg()}")


def rsa(clock: str, arguments: list[str]) -> tuple[str, str]:
    """Standard output of a command, and its seconds of the clock and of the processor."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, "-c", clock + RUN, *arguments], cwd=ROOT, text=True,
        capture_output=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return done.stdout, f"{time.perf_counter() - start:.0f} s, {spent:.0f} s of processor"


if __name__ == "__main__":
    main()
