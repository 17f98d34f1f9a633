"""The doctor's matrix: every faulty training and every healthy one, and what was said of it.

    python bench/doctor_matrix.py [--seeds 3] [--only WORD]

Strictly: `diagnosed` where a right id is a finding of its own at warning or above, `root_first`
where it is the first, `planted_first` where the first is the very fault that was planted. `folded`
counts those where a right id shows only as a symptom of another: not diagnosed. A false alarm is
any warning or error on a healthy training. `make bench` runs it.
"""

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _doctor_behaviour import BEHAVIOUR
from _doctor_behaviour_healthy import TEMPTING
from _doctor_data import FAULTY as DATA_FAULTY
from _doctor_data import HEALTHY as DATA_HEALTHY
from _doctor_families import FAMILIES
from _doctor_families_healthy import FAMILIES_WELL
from _doctor_faulty import FAULTY
from _doctor_faulty_more import MORE as MORE_FAULTY
from _doctor_healthy import HEALTHY
from _doctor_healthy_field import FIELD
from _doctor_healthy_more import MORE
from _doctor_scripts import SCRIPT_FAULTY, SCRIPT_HEALTHY
from _doctor_scripts_field import MET_FAULTY, MET_HEALTHY

from snellen.core.files import write_json
from snellen.doctor.finding import Finding, at_or_above
from snellen.version import __version__

SICK = FAULTY, MORE_FAULTY, DATA_FAULTY, BEHAVIOUR, FAMILIES, SCRIPT_FAULTY, MET_FAULTY
WELL = HEALTHY, MORE, DATA_HEALTHY, TEMPTING, FAMILIES_WELL, SCRIPT_HEALTHY, FIELD, MET_HEALTHY
RESULTS = Path(__file__).parent / "results" / "doctor_matrix.json"


def main() -> None:
    """Train them all, print the matrix, write it."""
    parser = argparse.ArgumentParser(description="the doctor's matrix")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="a word of the trainings' names")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    rows = [row for seed in range(options.seeds) for row in matrix(seed, options)]
    totals = summary(rows)
    print(json.dumps(totals))
    if not options.only:
        write_json(RESULTS, {"snellen": __version__, "torch": torch.__version__,
                             "python": platform.python_version(), "machine": machine(),
                             "seconds": round(time.perf_counter() - began, 1), **totals,
                             "trainings": by_training(rows)})  # fmt: skip


def matrix(seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One seed -> a row for each training."""
    rows = []
    faulty, healthy = merged(*SICK), merged(*WELL)
    merged(faulty, healthy)
    for name, (ids, train) in faulty.items():
        if options.only in name or options.only in ids:
            rows.append(judged(name, ids, seed, run(train, seed), options))
    for name, train in healthy.items():
        if options.only in name or options.only == "healthy":
            rows.append(judged(name, (), seed, run(train, seed), options))
    return rows


def merged(*groups: dict[str, Any]) -> dict[str, Any]:
    """Families -> all their trainings; a name that is used twice would lose one of them."""
    every: dict[str, Any] = {}
    for group in groups:
        if twice := sorted(every.keys() & group.keys()):
            raise SystemExit(f"two trainings of one name: {', '.join(twice)}")
        every |= group
    return every


def run(train: Callable[[], Any], seed: int) -> tuple[Any, float]:
    """Train with a seed -> (doctor, seconds); what the fault itself raises is part of it."""
    import snellen.doctor.watch as watch

    kept: list[Any] = []
    enter = watch.Doctor.__enter__

    def remember(self: Any) -> Any:
        kept.append(self)
        return enter(self)

    torch.manual_seed(seed)
    result = None
    began = time.perf_counter()
    watch.Doctor.__enter__ = remember  # type: ignore[method-assign]
    try:
        result = train()
    except (IndexError, RuntimeError, ValueError):
        pass
    finally:
        watch.Doctor.__enter__ = enter  # type: ignore[method-assign]
    return kept[-1] if kept else result, time.perf_counter() - began


def judged(
    name: str, ids: tuple[str, ...], seed: int, ran: tuple[Any, float], options: Any
) -> dict[str, Any]:
    """One training -> its row; printed where it is not as it should be."""
    doc, seconds = ran
    found = at_or_above(doc.findings, "warning")
    row = {
        "training": name, "seed": seed, "planted": ids[0] if ids else None,
        "found": [f"{f.id}{_under(f)}" for f in found], "seconds": round(seconds, 2),
        "diagnosed": any(f.id in ids for f in found),
        "folded": any(s.id in ids for f in found for s in f.symptoms),
        "root_first": bool(found) and found[0].id in ids, "exact": bool(found) and bool(ids)
        and found[0].id == ids[0], "notes": doc.notes,
    }  # fmt: skip
    wrong = not row["root_first"] if ids else bool(found)
    if wrong or options.verbose:
        print(f"{'MISS ' if wrong else 'ok   '} {ids[0] if ids else 'healthy':24} {name!r} seed"
              f" {seed}: {row['found'] or 'nothing'} {seconds:.1f} s", flush=True)  # fmt: skip
        for f in found if wrong or options.verbose else ():
            print(f"        {f.id} {f.confidence}: {f.message}")
    if doc.notes:
        print("        notes:", doc.notes)
    return row


def _under(finding: Finding) -> str:
    names = ", ".join(symptom.id for symptom in finding.symptoms)
    return f" ({names})" if names else ""


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts."""
    faulty = [row for row in rows if row["planted"]]
    healthy = [row for row in rows if not row["planted"]]
    return {
        "faulty": len(faulty), "diagnosed": sum(row["diagnosed"] for row in faulty),
        "root_first": sum(row["root_first"] for row in faulty),
        "planted_first": sum(row["exact"] for row in faulty),
        "folded": sum(row["folded"] and not row["diagnosed"] for row in faulty),
        "healthy": len(healthy),
        "false_alarms": sum(bool(row["found"]) for row in healthy),
    }  # fmt: skip


def by_training(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line a training: what was planted, and what was found first with each seed."""
    names = dict.fromkeys(row["training"] for row in rows)
    groups = {name: [row for row in rows if row["training"] == name] for name in names}
    return [{"training": name, "planted": group[0]["planted"],
             "found": [row["found"][0] if row["found"] else None for row in group],
             "seconds": max(row["seconds"] for row in group)}
            for name, group in groups.items()]  # fmt: skip


def machine() -> str:
    """Processor and threads."""
    return f"{platform.machine()}, {torch.get_num_threads()} thread"


if __name__ == "__main__":
    main()
