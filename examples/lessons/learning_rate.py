"""Learning rates: what a loss curve says of one that is too low, good, high, too high.

A small net on handwritten digits, plain SGD, each time from the same weights. At the left the loss
of every batch, smoothed over ten; at the right where the training loss is after six epochs for
learning rates over four decades: a broad valley, and a cliff beyond it. A rate that is too high
does not fail with a message; the loss stays near ln 10, where guessing is.

Notes 002, 003: learning rate, loss curves.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from . import _paper
from ._digits import digits, perceptron
from ._paper import BLUE, GREEN, INK, ORANGE, RED, SOFT

ORDER = 50
SHOWN = {"too low": (0.002, BLUE), "good": (0.2, GREEN), "high": (2.0, ORANGE),
         "too high": (20.0, RED)}  # fmt: skip
RATES = tuple(10 ** (k / 4) for k in range(-12, 8))
BATCH, SMOOTH = 48, 10


@dataclass(frozen=True)
class Facts:
    """Losses of the steps by name, and (rate, loss over all digits at the end) of the sweep."""

    curves: dict[str, list[float]]
    sweep: list[tuple[float, float]]


def measure(epochs: int = 6, rates: tuple[float, ...] = RATES) -> Facts:
    """The four curves, and the sweep."""
    return Facts(
        {name: train(lr, epochs)[0] for name, (lr, _) in SHOWN.items()},
        [(lr, train(lr, epochs)[1]) for lr in rates],
    )


def train(lr: float, epochs: int) -> tuple[list[float], float]:
    """Learning rate -> the loss of each step, and the loss over all digits at the end."""
    x_N64, label_N = digits()
    net, losses = perceptron(), []
    optimizer = torch.optim.SGD(net.parameters(), lr)
    random = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x_N64), generator=random).split(BATCH):
            loss = F.cross_entropy(net(x_N64[rows]), label_N[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    with torch.no_grad():
        return losses, float(F.cross_entropy(net(x_N64), label_N))


def draw(facts: Facts) -> Any:
    """Curves at the left, the sweep at the right."""
    drawn, axes = _paper.sheet(3.2, 1, 2, width_ratios=(1.25, 1), sharey=True)
    left, right = axes[0]
    num_steps = len(facts.curves["good"])
    _paper.dress(left, "loss of a batch", x="step")
    for name, losses in facts.curves.items():
        left.plot(
            range(SMOOTH, num_steps + 1), _smooth(losses), color=SHOWN[name][1], linewidth=1.6
        )
    left.plot((0, num_steps), [math.log(10)] * 2, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
    left.set(yscale="log", ylim=(1e-2, 1e3), xlim=(0, 1.3 * num_steps),
             xticks=range(0, num_steps + 1, 60))  # fmt: skip
    _paper.dress(right, "loss of all digits after the last step", x="learning rate")
    rates, losses = zip(*facts.sweep, strict=True)
    right.plot(rates, losses, color=INK, linewidth=1.2, marker="o", markersize=3)
    right.axhline(math.log(10), color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
    right.set(xscale="log")
    _paper.say(right, (0.001, math.log(10) * 1.15), "ln 10: guessing")
    for lr, colour in SHOWN.values():
        value = min(facts.sweep, key=lambda point: abs(math.log(point[0] / lr)))[1]
        right.plot(lr, value, "o", color=colour, markersize=7, alpha=0.8)
    drawn.draw_without_rendering()
    ends = [(f"{name}: {lr:g}", _smooth(facts.curves[name])[-1], colour)
            for name, (lr, colour) in SHOWN.items()]  # fmt: skip
    _paper.name_ends(left, ends, x=num_steps, gap=0.07)
    return drawn


def _smooth(losses: list[float]) -> list[float]:
    window = torch.tensor(losses, dtype=torch.float64).unfold(0, SMOOTH, 1)
    return window.mean(1).clamp(1e-4, 1e3).tolist()


def caption(facts: Facts) -> str:
    """Where each ends, and the best rate of the sweep."""
    lr, loss = min(facts.sweep, key=lambda point: point[1])
    ends = {name: _smooth(losses)[-1] for name, losses in facts.curves.items()}
    good = [rate for rate, value in facts.sweep if value < 10 * loss]
    return (
        f"The loss ends at {ends['too low']:.2f} with a rate of 0.002, at {ends['good']:.3f} with "
        f"0.2, at {ends['high']:.2f} with 2 and at {ends['too high']:.1f} with 20, where guessing "
        f"is at {math.log(10):.2f}; of {len(facts.sweep)} rates {lr:.1g} is best, and from "
        f"{min(good):.1g} to {max(good):.1g} none is more than ten times worse."
    )
