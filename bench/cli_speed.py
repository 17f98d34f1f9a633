"""Processor time of `snellen --help` and of usage errors; the goal is 100 ms, the aim 60 ms.

python bench/cli_speed.py        # one JSON line: command -> milliseconds, median of 15
"""

import json
import resource
import statistics
import subprocess
import sys

COMMANDS = ("--help", "--version", "train --help", "trian", "train digits epcohs=3", "eval")
REPEATS = 15


def cpu_ms(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(words: list[str]) -> float:
    cpu_ms(words)  # the first call writes the .pyc files
    return round(statistics.median(cpu_ms(words) for _ in range(REPEATS)), 1)


def main() -> None:
    results = {"python -c pass": measure([sys.executable, "-c", "pass"])}
    results["import click"] = measure([sys.executable, "-c", "import click"])
    for command in COMMANDS:
        results[f"snellen {command}"] = measure([sys.executable, "-m", "snellen", *command.split()])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
