"""Vanishing and exploding gradients: what comes back is a product of a factor a layer.

The gradient's norm in front of each layer of a deep net, measured by backpropagation (dots), over
the product of the factors |W f'| of the layers behind it (line). A factor is the root of
n var(W) mean(f'^2): how much a random matrix of that spread, after slopes of that size, stretches
a gradient. A sigmoid's slope is at most 1/4, so its product falls whatever one does; ReLU has
factors of 1 where weights are He's, and grows where they are twice as large.

Notes 000, 001, 003, 004: vanishing gradients.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import _paper
from ._paper import AMBER, BLUE, GREEN, ORANGE, RED

ORDER = 30
NETS: dict[str, tuple[Callable[[Tensor], Tensor], float, str]] = {
    "ReLU, 2 x He": (torch.relu, 2 * 2**0.5, AMBER),  # weights of std value / sqrt(n)
    "ReLU, He": (torch.relu, 2**0.5, GREEN),
    "tanh, 1/√n": (torch.tanh, 1.0, BLUE),
    "sigmoid, 4/√n": (torch.sigmoid, 4.0, ORANGE),
    "sigmoid, 1/√n": (torch.sigmoid, 1.0, RED),
}


@dataclass(frozen=True)
class Chain:
    """Gradient norms relative to the last layer's, from the last layer back to the first."""

    measured_L: Tensor
    product_L: Tensor

    @property
    def gap(self) -> float:
        """How far the product is from the measurement, relative, a layer: the largest."""
        ratio = (self.measured_L[1:] / self.measured_L[:-1]) / (
            self.product_L[1:] / self.product_L[:-1]
        )
        return float((ratio - 1).abs().max())


def measure(depth: int = 20, width: int = 400, samples: int = 100) -> dict[str, Chain]:
    """Every net on the same standard normal inputs, a random gradient at its end."""
    return {name: _chain(f, gain / math.sqrt(width), (depth, width, samples))
            for name, (f, gain, _) in NETS.items()}  # fmt: skip


def _chain(f: Callable[[Tensor], Tensor], std: float, size: tuple[int, int, int]) -> Chain:
    depth, width, samples = size
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    h_BN = draw(samples, width).requires_grad_()
    sums, slopes, h0_BN = [], [], h_BN
    for _ in range(depth):
        s_BN = h_BN @ (draw(width, width) * std)
        h_BN = f(s_BN)
        slopes.append(torch.autograd.grad(h_BN.sum(), s_BN, retain_graph=True)[0])
        sums.append(s_BN)
    back = torch.autograd.grad(h_BN, [h0_BN, *sums], draw(samples, width))
    norms_L = torch.stack([g_BN.norm() for g_BN in back[1:]]).flip(0)
    factors = [width**0.5 * std * float(slope.square().mean().sqrt()) for slope in slopes[:-1]]
    product_L = torch.tensor([1.0, *reversed(factors)], dtype=torch.float64).cumprod(0)
    return Chain(norms_L / norms_L[0], product_L)


def draw(chains: dict[str, Chain]) -> Any:
    """Dots are measured, lines are the products; the gradient runs from left to right."""
    drawn, axes = _paper.sheet(3.6)
    ax, depth = axes[0, 0], len(next(iter(chains.values())).measured_L)
    layers = range(depth, 0, -1)
    _paper.dress(ax, "norm of the gradient in front of a layer, over that of the last layer",
                 x="layer (the gradient comes from the last one, at the left)")  # fmt: skip
    ax.set(yscale="log", xlim=(depth + 0.5, -2.5), xticks=(1, *range(5, depth + 1, 5)))
    for name, chain in chains.items():
        colour = NETS[name][2]
        ax.plot(layers, chain.product_L, color=colour, linewidth=1.6)
        ax.plot(layers, chain.measured_L, "o", color=colour, markersize=3.6)
    drawn.draw_without_rendering()
    ends = [(name, float(c.product_L[-1]), NETS[name][2]) for name, c in chains.items()]
    _paper.name_ends(ax, ends, x=1, gap=0.07)
    return drawn


def caption(chains: dict[str, Chain]) -> str:
    """What reaches the first layer, and how well the product says it."""
    depth = len(chains["ReLU, He"].measured_L)
    left = {name: float(chain.measured_L[-1]) for name, chain in chains.items()}
    steps = 1 / (depth - 1)
    return (
        f"Through {depth} layers a sigmoid net keeps {left['sigmoid, 1/√n']:.0e} of its gradient "
        f"({left['sigmoid, 1/√n'] ** steps:.2f} a layer), ReLU with He's weights "
        f"{left['ReLU, He']:.2f}, with twice these {left['ReLU, 2 x He']:.0e}; the product of "
        f"|W f'| is within {max(c.gap for c in chains.values()):.1%} of what is measured, "
        "layer by layer."
    )
