"""A drawn slice of the matrix's scripts, each through `snellen doctor` in a process of its own.

    python bench/doctor_cli.py [--count 12] [--seed 0]

Held out: which scripts, and the seed that each draws its numbers with, follow from --seed. Counted
as strictly as the matrix; a script that fails, a traceback and a wrong exit status are failures.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _doctor_scripts import SCRIPT_FAULTY, SCRIPT_HEALTHY


def main() -> None:
    """Draw, run, print a line for each that is not as it should be, and the counts."""
    parser = argparse.ArgumentParser(description="scripts through the command line")
    parser.add_argument("--count", type=int, default=12, help="sick ones, and as many healthy ones")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    sick = draw.sample(sorted(SCRIPT_FAULTY), min(options.count, len(SCRIPT_FAULTY)))
    well = draw.sample(sorted(SCRIPT_HEALTHY), min(options.count, len(SCRIPT_HEALTHY)))
    counts = {"faulty": len(sick), "diagnosed": 0, "root_first": 0, "healthy": len(well),
              "false_alarms": 0, "failed": 0}  # fmt: skip
    for name in (*sick, *well):
        ids, run = SCRIPT_FAULTY[name] if name in sick else ((), SCRIPT_HEALTHY[name])
        found = told(run.written(draw.randrange(1000, 10**6)))  # type: ignore[attr-defined]
        if found is None:
            counts["failed"] += 1
            print(f"FAILED {name!r}", flush=True)
            continue
        first = bool(found) and found[0] in ids
        counts["diagnosed"] += any(id in ids for id in found)
        counts["root_first"] += first
        counts["false_alarms"] += bool(found) and not ids
        if bool(found) if not ids else not first:
            print(f"MISS   {ids[0] if ids else 'healthy':24} {name!r}: {found}", flush=True)
    print(json.dumps(counts))


def told(text: str) -> list[str] | None:
    """A script -> the ids at warning or above, as its JSON has them; None where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "train.py", Path(folder) / "found.json"
        path.write_text(text)
        command = [sys.executable, "-m", "snellen", "doctor", "--json", str(out), str(path)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if not out.exists() or "Traceback" in ran.stderr:
            print(ran.stderr[-500:])
            return None
        findings: list[dict[str, Any]] = json.loads(out.read_text())["findings"]
    grave = [f for f in findings if f["level"] in ("warning", "error")]
    if bool(ran.returncode) != any(f["level"] == "error" for f in grave):
        print(f"left with {ran.returncode}: {[(f['id'], f['level']) for f in grave]}")
        return None
    return [f["id"] for f in grave]


if __name__ == "__main__":
    main()
