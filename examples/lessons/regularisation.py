"""Regularisation: the same net on the same few points, left alone and held back.

Two moons that overlap, 60 points to learn from, 2,000 to judge by; 2-100-100-1 with ReLU, Adam, as
many steps each. Left alone the net draws its boundary around single points. L2 keeps weights
small, dropout lets no unit rely on another, noise on the inputs blurs the points, and stopping
early takes the weights of the step at which other points were told best.

Notes 001, 003, 004: regularisation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import Tensor, nn

from . import _paper
from ._paper import BLUE, INK, ORANGE

ORDER = 80
WAYS = {  # L2, dropped share, noise on the inputs
    "nothing": (0.0, 0.0, 0.0),
    "L2, 0.005": (0.005, 0.0, 0.0),
    "dropout, 0.5": (0.0, 0.5, 0.0),
    "input noise, 0.3": (0.0, 0.0, 0.3),
}
WINDOW = (-1.9, 2.9, -1.5, 2.0)


@dataclass(frozen=True)
class Way:
    """Accuracy on both sets, the boundary's length in window widths, the map of scores."""

    train: float
    held_out: float
    score_HW: Tensor


def points(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """x_N2, label_N (0 or 1) of two moons."""
    x_N2, label_N = make_moons(count, noise=0.35, random_state=seed)
    return torch.from_numpy(x_N2).float(), torch.from_numpy(label_N).float()


def measure(num_steps: int = 800, side: int = 80) -> dict[str, Way]:
    """Every way from the same weights."""
    return {name: train(*settings, num_steps=num_steps, side=side)
            for name, settings in WAYS.items()}  # fmt: skip


def train(decay: float, dropped: float, noise: float, *, num_steps: int, side: int) -> Way:
    """One training, full batches."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(2, 100), nn.ReLU(), nn.Dropout(dropped),
        nn.Linear(100, 100), nn.ReLU(), nn.Dropout(dropped), nn.Linear(100, 1),
    )  # fmt: skip
    weights = [p for p in net.parameters() if p.ndim > 1]
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    x_N2, label_N = points(60, seed=1)
    for _ in range(num_steps):
        seen_N2 = x_N2 + noise * torch.randn_like(x_N2) if noise else x_N2
        loss = F.binary_cross_entropy_with_logits(net(seen_N2)[:, 0], label_N)
        if decay:
            loss = loss + decay / 2 * sum(p.square().sum() for p in weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        left, right, low, high = WINDOW
        y, x = torch.meshgrid(torch.linspace(high, low, side), torch.linspace(left, right, side),
                              indexing="ij")  # fmt: skip
        score_HW = net(torch.stack((x, y), -1).view(-1, 2)).sigmoid().view(side, side)
        return Way(_accuracy(net, x_N2, label_N), _accuracy(net, *points(2000, seed=2)), score_HW)


def _accuracy(net: nn.Module, x_N2: Tensor, label_N: Tensor) -> float:
    return float(((net(x_N2)[:, 0] > 0) == (label_N > 0.5)).float().mean())


def draw(ways: dict[str, Way]) -> Any:
    """A panel a way: its regions, stronger where it is surer, and the points it learned."""
    drawn, axes = _paper.sheet(2.5, 1, len(ways))
    x_N2, label_N = points(60, seed=1)
    left, right, low, high = WINDOW
    for ax, (name, way) in zip(axes[0], ways.items(), strict=True):
        _paper.empty(ax, name)
        ax.imshow(_tint(way.score_HW.numpy()), extent=WINDOW, aspect="auto",
                  interpolation="none")  # fmt: skip
        columns = np.linspace(left, right, way.score_HW.shape[1])
        rows = np.linspace(high, low, way.score_HW.shape[0])
        ax.contour(columns, rows, way.score_HW, [0.5], colors=INK, linewidths=1.1)
        for label, colour in ((0, BLUE), (1, ORANGE)):
            ax.plot(*x_N2[label_N == label].T, "o", color=colour, markersize=3.4)
        ax.set(xlim=(left, right), ylim=(low, high))
        _paper.say(ax, (0.0, -0.04), f"learned {way.train:.0%}, new {way.held_out:.1%}",
                   inside=True, va="top", fontsize=8)  # fmt: skip
    return drawn


def _tint(score_HW: np.ndarray) -> np.ndarray:
    """score_HW -> RGBA: blue or orange, clear where it is undecided."""
    low, high = (np.array([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for c in (BLUE, ORANGE))
    rgb = np.where(score_HW[..., None] < 0.5, low, high)
    alpha = 0.55 * np.abs(score_HW - 0.5)[..., None] * 2
    return np.concatenate((rgb, alpha), 2)


def caption(ways: dict[str, Way]) -> str:
    """What is learned and what holds for others."""
    alone = ways["nothing"]
    rest = ", ".join(f"{name.partition(',')[0]} {way.held_out:.1%}"
                     for name, way in ways.items() if way is not alone)  # fmt: skip
    return (
        f"Left alone the net is right on {alone.train:.0%} of the points it learned and on "
        f"{alone.held_out:.1%} of 2,000 others; held back it is right on: {rest}."
    )
