"""Paired, interleaved timing: the only kind that holds on a shared machine.

Each round times every contender once, in turn; what is reported is the median over rounds of the
ratio to the named peer, with the quartiles.
"""

import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Ratio:
    """A contender against its peer."""

    name: str
    peer: str
    seconds: float  # median of the contender
    ratio: float  # median over rounds of contender / peer
    low: float  # quartiles
    high: float


def compare(
    contenders: Mapping[str, Callable[[], object]], peer: str, rounds: int = 7
) -> list[Ratio]:
    """Time every contender `rounds` times, interleaved, CPU seconds of this process."""
    for run in contenders.values():
        run()  # warm up: caches, allocator, first-call set-up
    return _compare(
        {name: lambda run=run: _timed(run) for name, run in contenders.items()}, peer, rounds
    )


def compare_slopes(
    contenders: Mapping[str, Callable[[int], object]],
    peer: str,
    sizes: tuple[int, int],
    rounds: int = 7,
) -> list[Ratio]:
    """The same for run(large) less run(small): fixed costs cancel out."""
    small, large = sizes
    for run in contenders.values():
        run(small)

    def slope(run: Callable[[int], object]) -> float:
        return _timed(lambda: run(large)) - _timed(lambda: run(small))

    return _compare(
        {name: lambda run=run: slope(run) for name, run in contenders.items()}, peer, rounds
    )


def _timed(run: Callable[[], object]) -> float:
    """CPU seconds; what worked in another process returns its own."""
    start = time.process_time()
    told = run()
    return told if isinstance(told, float) else time.process_time() - start


def _compare(measures: Mapping[str, Callable[[], float]], peer: str, rounds: int) -> list[Ratio]:
    times: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            times[name].append(measure())
    return paired(times, peer)


def take_turns(contenders: Mapping[str, tuple[Any, ...]], rounds: int) -> dict[str, list[float]]:
    """Contenders (function, arguments ...) in processes of their own, a turn each in every round.

    A function gets a connection: it waits for a word, works, and sends back the CPU seconds. The
    first two turns are not counted.
    """
    context = multiprocessing.get_context("spawn")
    lines, processes = {}, []
    for name, (function, *arguments) in contenders.items():
        lines[name], theirs = context.Pipe()
        processes.append(context.Process(target=function, args=(theirs, *arguments), daemon=True))
        processes[-1].start()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 2):
        for name, line in lines.items():
            line.send(True)
            seconds = line.recv()
            if turn >= 2:
                times[name].append(seconds)
    for process in processes:
        process.terminate()
    return times


def paired(times: Mapping[str, list[float]], peer: str) -> list[Ratio]:
    """Seconds by contender, round by round -> each one's ratio to the peer."""
    found = []
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times[peer], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        found.append(Ratio(name, peer, statistics.median(seconds), middle, low, high))
    return found


def goals_of(rows: list[Ratio], goals: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    """(contender, peer) -> highest ratio wanted, as `record_goals` takes it."""
    found = {(r.name, r.peer): r.ratio for r in rows}
    return {f"{name} / {peer}": (found[name, peer], goal, "at most")
            for (name, peer), goal in goals.items()}  # fmt: skip


def table(title: str, rows: list[Ratio]) -> str:
    """Ratios as plain text."""
    lines = [title] + [
        f"  {r.name:<44} {r.seconds * 1e3:10.2f} ms   {r.ratio:6.3f} x {r.peer}"
        f"   ({r.low:.3f} .. {r.high:.3f})"
        for r in rows
    ]
    return "\n".join(lines)


def record_goals(
    name: str,
    goals: Mapping[str, tuple[float, float, str]],
    *,
    keep: bool = False,
    **facts: object,
) -> None:
    """Goals as what -> (measured, goal, "at least" | "at most"): printed, and kept in results.

    With `keep`, for a run of a part only, what this one did not measure stays as it was measured
    on the same machine; `facts` that are mappings are merged.
    """
    rows = [{"what": what, "measured": measured, "goal": goal, "sense": sense}
            for what, (measured, goal, sense) in goals.items()]  # fmt: skip
    for row in rows:
        print(goal_line(row))
    _write(name, _merged(_kept(name), rows, facts) if keep else {"goals": rows, **facts})


def _kept(name: str) -> dict[str, Any]:
    """The results of an earlier run on this machine, without the machine."""
    try:
        before: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return before if before.pop("machine", None) == _machine() else {}


def _merged(
    before: Mapping[str, Any], rows: list[dict[str, Any]], facts: Mapping[str, object]
) -> dict[str, Any]:
    """New rows and facts over those of before."""
    goals = {row["what"]: row for row in [*before.get("goals", []), *rows]}
    merged = {k: {**before.get(k, {}), **v} if isinstance(v, dict) else v for k, v in facts.items()}
    return {**before, "goals": list(goals.values()), **merged}


def goal_line(row: Mapping[str, Any]) -> str:
    """One line: what, measured, goal, reached or missed."""
    good = row["measured"] >= row["goal"] if row["sense"] == "at least" else (
        row["measured"] <= row["goal"])  # fmt: skip
    word = "reached" if good else "missed"
    return f"  {row['what']:<62} {row['measured']:8.4g}   {row['sense']} {row['goal']:<7.4g} {word}"


def _machine() -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }


def _write(name: str, data: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": _machine(), **data}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
