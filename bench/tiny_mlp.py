"""A tiny MLP through sn.train (logging, progress, checkpoints; with and without the doctor).

What is compared is the cost of steps: a training of 12 epochs less one of 4, so that reading,
evaluating once and drawing the report cancel out. Peers: a plain PyTorch loop over a DataLoader,
and what other tools make of it, same data, batch, optimiser and number of steps. Goal: 0.9 of the
plain loop.

The others are in a virtual environment of their own, .peers, which `make bench` sets up;
SNELLEN_PEERS names another. Without it they are left out.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from _timing import compare_slopes, goals_of, record_goals, table
from peers._tiny import BATCH, LR, SAMPLES, TOOLS, data, mlp, plain

import snellen as sn

SHORT, LONG, ROUNDS = 4, 12, 5
HERE = Path(__file__).resolve().parent


def snellen(x: torch.Tensor, y: torch.Tensor, epochs: int, doctor: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        sn.train((x, y), model=mlp(), epochs=epochs, batch=BATCH, lr=LR, split=0, doctor=doctor,
                 project=folder)  # fmt: skip


class Elsewhere:
    """A tool in a process of the peers' environment; a call trains, and returns its CPU seconds."""

    def __init__(self, python: Path, name: str) -> None:
        words = [str(python), str(HERE / "peers" / "_tiny.py"), name]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.state = self._answer()

    def __call__(self, epochs: int) -> float:
        assert self.process.stdin is not None
        print(epochs, file=self.process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def others() -> dict[str, Elsewhere]:
    """The tools that can be had."""
    python = Path(os.environ.get("SNELLEN_PEERS", HERE.parent / ".peers")) / "bin" / "python"
    if not python.is_file():
        print("  other tools are left out: `make .peers/.made` installs them")
        return {}
    found = {name: Elsewhere(python, name) for name in TOOLS}
    for name, tool in found.items():
        if tool.state != "ready":
            print(f"  {name} is left out: {tool.state or 'it ended at once'}")
    return {name: tool for name, tool in found.items() if tool.state == "ready"}


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    x, y = data()
    tools = others()
    contenders: dict[str, Callable[[int], object]] = {
        "plain DataLoader loop": lambda epochs: plain(x, y, epochs),
        "snellen, doctor off": lambda epochs: snellen(x, y, epochs, doctor=False),
        "snellen, everything on": lambda epochs: snellen(x, y, epochs, doctor=True),
        **tools,
    }
    rows = compare_slopes(contenders, "plain DataLoader loop", (SHORT, LONG), rounds=rounds)
    steps = (LONG - SHORT) * SAMPLES // BATCH
    print(table(f"tiny MLP, {steps} steps of {BATCH}", rows))
    goals = goals_of(rows, {("snellen, everything on", "plain DataLoader loop"): 0.9})
    record_goals("tiny_mlp", goals, rows=[vars(row) for row in rows], steps=steps)
    for tool in tools.values():
        tool.process.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
