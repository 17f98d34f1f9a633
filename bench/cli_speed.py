"""Processor time of `snellen --help`, of usage errors and of `import snellen`.

Goals: help and usage errors 60 ms (first frame 100); the import 1.05 times that of torch, measured
with every public name resolved, so that nothing is won by loading later.
"""

import resource
import statistics
import subprocess
import sys

from _timing import record_goals

COMMANDS = ("--help", "--version", "train --help", "trian", "train digits epcohs=3", "eval")
REPEATS = 15
FACE = "import snellen; [getattr(snellen, name) for name in snellen.__all__]"


def cpu_ms(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(words: list[str], repeats: int = REPEATS) -> float:
    cpu_ms(words)  # the first call writes the .pyc files
    return round(statistics.median(cpu_ms(words) for _ in range(repeats)), 1)


def import_ratio(statement: str, rounds: int = 7) -> float:
    """CPU time of a statement over that of `import torch`, paired and interleaved."""
    run = [sys.executable, "-c"]
    ratios = [cpu_ms([*run, statement]) / cpu_ms([*run, "import torch"]) for _ in range(rounds)]
    return statistics.median(ratios)


def main() -> None:
    results = {"python -c pass": measure([sys.executable, "-c", "pass"])}
    results["import click"] = measure([sys.executable, "-c", "import click"])
    for command in COMMANDS:
        results[f"snellen {command}"] = measure([sys.executable, "-m", "snellen", *command.split()])
    for name, ms in results.items():
        print(f"  {name:<40} {ms:8.1f} ms")
    slowest = max(ms for name, ms in results.items() if name.startswith("snellen"))
    record_goals(
        "cli_speed",
        {
            "slowest of --help and usage errors, CPU ms": (slowest, 60, "at most"),
            "import snellen / import torch": (import_ratio("import snellen"), 1.05, "at most"),
            "all public names / import torch": (import_ratio(FACE), 1.1, "at most"),
        },
        milliseconds=results,
    )


if __name__ == "__main__":
    main()
