"""The doctor on scripts that know nothing of it, in the manner of other tools: peers/*.py.

    SNELLEN_PEERS=/path/to/venv python bench/doctor_peers.py [script ...]

Each script runs bare and watched, healthy and with three faults. Right means: the planted fault is
the first finding (with the samples that hold NaN), nothing above advice on the healthy one, and the
same last bit of every weight and of every random number generator. Scripts of tools that are not
installed are passed over; SNELLEN_PEERS names a virtual environment that has them.
"""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _timing import record_goals

SCRIPTS = Path(__file__).parent / "peers"
WANTED = {"fine": (), "nan": ("data-nonfinite",), "lr": ("lr-too-high",),
          "softmax": ("loss-double-softmax",)}  # fmt: skip
NO_SOFTMAX = ("gan",)


def python() -> str:
    venv = os.environ.get("SNELLEN_PEERS")
    return str(Path(venv) / "bin" / "python") if venv else sys.executable


def environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def missing(script: Path) -> str:
    """The first package that a script imports and the chosen python lacks."""
    tree = ast.parse(script.read_text())
    names = {alias.name.partition(".")[0] for node in ast.walk(tree)
             if isinstance(node, ast.Import) for alias in node.names}  # fmt: skip
    names |= {str(node.module).partition(".")[0] for node in ast.walk(tree)
              if isinstance(node, ast.ImportFrom)}  # fmt: skip
    for name in sorted(names - {"_digits"} - set(sys.stdlib_module_names)):
        if python() == sys.executable and importlib.util.find_spec(name):
            continue
        look = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is None)"
        if subprocess.run([python(), "-c", look], check=False).returncode:
            return name
    return ""


def last_sum(output: str) -> str:
    return next((line for line in output.splitlines() if line.startswith("sum ")), "no sum")


def run(*words: object) -> str:
    done = subprocess.run([python(), *map(str, words)], capture_output=True, text=True, check=False,
                          env=environment(), stdin=subprocess.DEVNULL)  # fmt: skip
    return done.stdout


def try_one(script: Path, fault: str, report: Path) -> tuple[bool, bool, str]:
    """Whether the findings are right, whether the training is the same, and what was found."""
    bare = run(script, fault)
    watched = run("-m", "snellen", "doctor", "--json", report, script, fault)
    found = [f for f in json.loads(report.read_text())["findings"] if f["level"] != "advice"]
    right = tuple(f["id"] for f in found[:1]) == WANTED[fault]
    if fault == "nan" and found and found[0]["samples_of"] == "train":
        right = right and set(found[0]["samples"]) <= {7, 42} and bool(found[0]["samples"])
    words = "; ".join(f"{f['id']} {f['samples'] or ''}".strip() for f in found) or "nothing"
    return right, last_sum(bare) == last_sum(watched) != "no sum", words


def main() -> None:
    chosen = sys.argv[1:] or sorted(p.stem for p in SCRIPTS.glob("[!_]*.py"))
    rows, passed_over = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            script = SCRIPTS / f"{name}.py"
            if lacks := missing(script):
                passed_over.append(name)
                print(f"  {name:<18} {lacks} is not installed")
                continue
            for fault in [f for f in WANTED if f != "softmax" or name not in NO_SOFTMAX]:
                right, same, words = try_one(script, fault, Path(folder) / "found.json")
                rows.append({"script": name, "fault": fault, "right": right, "same": same,
                             "found": words})  # fmt: skip
                print(f"  {name:<18} {fault:<8} {'right' if right else 'WRONG':<6}"
                      f"{'same' if same else 'CHANGED':<8} {words}", flush=True)  # fmt: skip
    shares = {key: sum(row[key] for row in rows) / len(rows) for key in ("right", "same")}
    goals = {"scripts diagnosed rightly": (shares["right"], 1, "at least"),
             "scripts left bit-identical": (shares["same"], 1, "at least")}  # fmt: skip
    record_goals("doctor_peers", goals, rows=rows, passed_over=passed_over)


if __name__ == "__main__":
    main()
