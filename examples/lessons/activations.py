"""Activations and their slopes: where the slope is lost, the unit does not learn.

Each function with its derivative by autograd. Shaded is where the slope is under a tenth of its
largest: a sigmoid and a tanh are saturated on both sides, a ReLU is off below zero, what leaks is
nowhere without a slope. What comes back through a layer is multiplied by it.

Notes 002, 003, 004: activation functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from . import _paper
from ._paper import BLUE, INK, ORANGE, SOFT

ORDER = 10
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "ReLU": nn.ReLU(),
    "leaky ReLU, slope 0.2": nn.LeakyReLU(0.2),
    "ELU": nn.ELU(),
    "hard swish": nn.Hardswish(),
    "ReLU6": nn.ReLU6(),
    "maxout of x/2 and -x": lambda x: torch.maximum(x / 2, -x),
}
WEAK = 0.1  # of the largest slope


@dataclass(frozen=True)
class Curve:
    """A function on the points x_N, its slope, and where that is weak."""

    x_N: Tensor
    y_N: Tensor
    slope_N: Tensor

    @property
    def weak_N(self) -> Tensor:
        """Whether the slope is under a tenth of its largest."""
        return self.slope_N.abs() < WEAK * self.slope_N.abs().max()


def measure(num_points: int = 321, reach: float = 8.0) -> dict[str, Curve]:
    """Every function on [-reach, reach], with its derivative by autograd."""
    curves = {}
    for name, function in FUNCTIONS.items():
        x_N = torch.linspace(-reach, reach, num_points, dtype=torch.float64).requires_grad_()
        y_N = function(x_N)
        (slope_N,) = torch.autograd.grad(y_N.sum(), x_N)
        curves[name] = Curve(x_N.detach(), y_N.detach(), slope_N)
    return curves


def draw(curves: dict[str, Curve]) -> Any:
    """A panel a function: itself blue, its slope orange, weak ranges shaded."""
    drawn, axes = _paper.sheet(3.9, 2, 4, sharex=True)
    for ax, (name, curve) in zip(axes.flat, curves.items(), strict=True):
        _paper.dress(ax, name)
        ax.axhline(0, color=SOFT, linewidth=0.6)
        ax.fill_between(curve.x_N, 0, 1, curve.weak_N, transform=ax.get_xaxis_transform(),
                        color=SOFT, alpha=0.16, linewidth=0)  # fmt: skip
        ax.plot(curve.x_N, curve.y_N, color=BLUE, linewidth=1.8)
        ax.plot(curve.x_N, curve.slope_N, color=ORANGE, linewidth=1.4)
        bounded = float(curve.y_N.abs().max()) <= 1
        low, high = (-1.1, 1.35) if bounded else (-1.5, 6.5)
        ax.set(ylim=(low, high), xlim=(-8, 8), xticks=(-6, 0, 6))
        share = float(curve.weak_N.double().mean())
        words = f"weak on {share:.0%}" if share > 0.005 else "never weak"
        _paper.say(ax, (0.97, 0.04), words, INK, inside=True, fontsize=8, ha="right")
    for ax, above, below in ((axes[0, 0], 1.06, 0.33), (axes[0, 2], 3.4, 1.25)):
        _paper.say(ax, (7.8 if above < 2 else 2.9, above), "f", BLUE, ha="right")
        _paper.say(ax, (7.8, below), "slope f′", ORANGE, ha="right")
    return drawn


def caption(curves: dict[str, Curve]) -> str:
    """The largest slopes and where they are lost."""
    sigmoid = curves["sigmoid"]
    top, edge = float(sigmoid.slope_N.max()), float(sigmoid.x_N[~sigmoid.weak_N].max())
    tanh = curves["tanh"]
    return (
        f"The sigmoid's slope is at most {top:.2f}, and under a tenth of that beyond {edge:.1f} on "
        f"either side (tanh: 1 and {float(tanh.x_N[~tanh.weak_N].max()):.1f}); ten sigmoids in a "
        f"row let at most {top**10:.0e} of a gradient through, ten open ReLUs all of it."
    )
