"""Help and usage errors come at once: they import little, and neither numpy nor torch.

bench/cli_speed.py measures their processor time on a quiet machine.
"""

import re
import subprocess
import sys

import pytest

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
    assert len(imported) < 200  # 129 at most with Python 3.11
    assert sum(name.startswith("snellen") for name in imported) < 20
