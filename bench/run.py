"""`make bench`: every benchmark of this folder, one after the other, then one table of the goals.

python bench/run.py [NAME ...]      # only some of them
Each file of the folder that has a `main` is a benchmark; figures are kept in bench/results.
"""

import json
import subprocess
import sys
from pathlib import Path

from _timing import RESULTS, goal_line

HERE = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks, by their files."""
    return sorted(p.stem for p in HERE.glob("[!_]*.py") if p.stem != "run")


def main(wanted: list[str]) -> int:
    """Run, print the table, and fail where a benchmark broke (not where a goal is missed)."""
    unknown = set(wanted) - set(names())
    if unknown:
        print(f"no benchmark {sorted(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    broken = []
    for name in wanted or names():
        print(f"\n{name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False).returncode:
            broken.append(name)
    print("\ngoals (the figures of the last run of each, on the machine that bench/results names)")
    for path in sorted(RESULTS.glob("*.json")):
        for row in json.loads(path.read_text()).get("goals", ()):
            print(goal_line(row))
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
