"""Zig-zag: where all inputs are positive, all weights of a unit go up or down together.

The gradient of a unit's weights is a number times its inputs. Behind a sigmoid all inputs are
positive, so a sample can only push all weights one way, and a goal that needs one weight up and
another down is reached in a zig-zag. Two weights learn the same thing from sigmoid's outputs, and
from the same outputs with their mean taken off; SGD, one sample a step, the same rate.

Notes 002, 003: sigmoid is not zero-centred.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import _paper
from ._paper import BLUE, INK, ORANGE, SOFT

ORDER = 35
GOAL, LR = (1.5, -1.5), 0.4
KINDS = {"all positive": ORANGE, "centred": BLUE}
FANS = (2, 3, 4, 6, 8, 12)


@dataclass(frozen=True)
class Facts:
    """Paths of two weights, and for n inputs the share of gradients of a single sign."""

    paths: dict[str, Tensor]
    same_sign: dict[str, list[float]]
    detour: dict[str, float]  # length of a path over the distance between its ends, mean of 100


def inputs(kind: str, count: int, width: int) -> Tensor:
    """x_NI: a sigmoid's outputs for normal sums, or the same less their mean of 1/2."""
    x_NI = (2 * torch.randn(count, width, generator=torch.Generator().manual_seed(3))).sigmoid()
    return x_NI if kind == "all positive" else x_NI - 0.5


def measure(num_steps: int = 40, draws: int = 2000) -> Facts:
    """Both kinds of inputs: a path, its detour, and signs."""
    paths, signs, detour = {}, {}, {}
    random = torch.Generator().manual_seed(0)
    for kind in KINDS:
        x_NI = inputs(kind, 100 * num_steps, 2).view(100, num_steps, 2)
        walks = walk(x_NI)
        paths[kind] = walks[0]
        lengths = walks.diff(dim=1).norm(dim=-1).sum(1)
        detour[kind] = float((lengths / (walks[:, -1] - walks[:, 0]).norm(dim=-1)).mean())
        signs[kind] = []
        for width in FANS:
            gradient_NI = torch.randn(draws, 1, generator=random) * inputs(kind, draws, width)
            ups = (gradient_NI > 0).sum(1)
            signs[kind].append(float(((ups == 0) | (ups == width)).float().mean()))
    return Facts(paths, signs, detour)


def walk(x_RTI: Tensor) -> Tensor:
    """Inputs of R walks -> the weights after each step, (R, T + 1, 2)."""
    goal_I = torch.tensor(GOAL)
    w_RI = torch.zeros(len(x_RTI), 2)
    points = [w_RI]
    for x_RI in x_RTI.unbind(1):
        miss_R1 = ((w_RI - goal_I) * x_RI).sum(1, keepdim=True)
        w_RI = w_RI - LR * miss_R1 * x_RI
        points.append(w_RI)
    return torch.stack(points, 1)


def draw(facts: Facts) -> Any:
    """Two paths, and the share of one-signed gradients over the number of inputs."""
    drawn, axes = _paper.sheet(2.9, 1, 3)
    for ax, (kind, path_T2) in zip(axes[0], facts.paths.items(), strict=False):
        _paper.dress(ax, f"inputs {kind}", x="weight 1", y="weight 2", grid="both")
        ax.plot(*path_T2.T, color=KINDS[kind], linewidth=1.4, marker="o", markersize=2.6)
        ax.plot(*GOAL, "+", color=INK, markersize=10, markeredgewidth=1.6)
        ax.plot(0, 0, "o", color=INK, markersize=4.5)
        _paper.say(ax, (GOAL[0] + 0.1, GOAL[1] - 0.12), "goal", INK, va="top", ha="center")
        ax.set(xlim=(-0.4, 2.1), ylim=(-2.0, 0.5))
    ax = axes[0, 2]
    _paper.dress(ax, "gradients of a single sign", x="inputs of the unit")
    for kind, shares in facts.same_sign.items():
        ax.plot(FANS, shares, color=KINDS[kind], linewidth=1.6, marker="o", markersize=4)
    chance = [2.0 ** (1 - n) for n in range(2, 13)]
    ax.plot(range(2, 13), chance, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.set(ylim=(-0.02, 1.08), xticks=FANS)
    ax.set_yticks((0, 0.5, 1), ("0 %", "50 %", "100 %"))
    _paper.say(ax, (12, 0.93), "all positive", ORANGE, ha="right", va="top")
    _paper.say(ax, (5.2, 0.17), "centred", BLUE)
    _paper.say(ax, (2.5, 0.42), "2 / 2ⁿ, by chance")
    return drawn


def caption(facts: Facts) -> str:
    """Signs, and the detour they mean."""
    positive, centred = facts.same_sign.values()
    return (
        f"With positive inputs {positive[FANS.index(8)]:.0%} of the gradients of 8 weights have a "
        f"single sign, centred {centred[FANS.index(8)]:.1%}; the way there is "
        f"{facts.detour['all positive']:.1f} times as long as it is far, centred "
        f"{facts.detour['centred']:.1f} times (mean of 100 walks of "
        f"{len(facts.paths['centred']) - 1} steps)."
    )
