"""Help and usage errors come at once: neither numpy nor torch, and little processor time."""

import re
import resource
import statistics
import subprocess
import sys

import pytest

LIMIT = 0.25  # seconds; bench/cli_speed.py measures the real figure on a quiet machine (0.1)
QUICK = {
    "help": ["--help"],
    "version": ["--version"],
    "help of train": ["train", "--help"],
    "help of doctor": ["doctor", "--help"],
    "unknown verb": ["trian", "digits"],
    "unknown setting": ["train", "digits", "epcohs=3"],
    "bad value": ["train", "digits", "lr=abc"],
    "typed twice": ["train", "digits", "batch=1", "bs=2"],
    "unknown option": ["doctor", "--jsno", "f", "x.py"],
    "no script": ["doctor", "no_such_script.py"],
    "no run": ["eval", "no_such_run"],
    "missing argument": ["predict"],
}


def cpu_seconds(words: list[str]) -> float:
    """User and system time of one call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "snellen", *words], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("words", QUICK.values(), ids=QUICK)
def test_no_heavy_import(words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snellen", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 2, 3), done.stderr
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "click" in imported, "the import times were not read"
    heavy = {"numpy", "torch", "rich", "PIL", "yaml", "matplotlib", "importlib.metadata"}
    assert not imported & heavy


@pytest.mark.parametrize("words", [QUICK["help"], QUICK["bad value"]], ids=["help", "bad value"])
def test_little_processor_time(words):
    assert statistics.median(cpu_seconds(words) for _ in range(5)) < LIMIT
