"""Runs the command line inside the test process: one import of torch for all the tests."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snellen.__main__ import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of stdout."""
        return self.out.rstrip("\n").rpartition("\n")[2]


def run_cli(*words: object) -> Ended:
    """`snellen WORDS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def run_process(*words: object, cwd: Path | None = None, env: dict | None = None) -> Ended:
    """`python -m snellen WORDS` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "snellen", *map(str, words)],
        capture_output=True, text=True, cwd=cwd, env=env, timeout=300,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


def assert_well_said(ended: Ended, code: int, wanted: Iterable[str]) -> None:
    """The contract of an error: its exit code, at most 8 lines, no traceback, the words wanted."""
    shown = f"exit code {ended.code}\n{ended.err}"
    assert ended.code == code, shown
    lines = ended.err.strip().splitlines()
    assert 1 <= len(lines) <= 8, shown
    assert any(line.startswith("snellen: ") for line in lines), shown
    assert "Traceback" not in ended.err + ended.out, shown
    for words in wanted:
        assert words in ended.err, f"{words!r} is not said\n{shown}"
