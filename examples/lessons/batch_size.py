"""Batch size: four times the batch halves the noise of a gradient, and no more.

A small net on handwritten digits after an epoch of training. The gradient of random batches
against the gradient of all digits: how large the noise is (its length over that of the true
gradient), and how well the two directions agree. The line is the law, 1/sqrt(B): the mean of B
independent samples.

Notes 003, 004: mini-batch gradient descent.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, vmap

from . import _paper
from ._digits import digits, perceptron
from ._paper import BLUE, INK, ORANGE

ORDER = 70
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Facts:
    """For each batch size: the noise over the signal, and the cosines with the true gradient."""

    noise_S: Tensor
    cosine_SR: Tensor

    @property
    def slope(self) -> float:
        """Of the noise over the batch size, both logarithmic; the law says -1/2."""
        x = torch.tensor(SIZES, dtype=torch.float64).log()
        y = self.noise_S.log()
        return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def measure(count: int = 1000, repeats: int = 200) -> Facts:
    """Per-sample gradients once; batches are drawn from them with replacement."""
    each_NP = gradients(count)
    whole_P, random = each_NP.mean(0), torch.Generator().manual_seed(0)
    noise, cosines = [], []
    for size in SIZES:
        share_RN = torch.zeros(repeats, count, dtype=torch.float64)
        rows_RB = torch.randint(count, (repeats, size), generator=random)
        share_RN.scatter_add_(1, rows_RB, torch.full(rows_RB.shape, 1 / size, dtype=torch.float64))
        batch_RP = share_RN @ each_NP
        noise.append((batch_RP - whole_P).square().sum(1).mean().sqrt() / whole_P.norm())
        cosines.append(F.cosine_similarity(batch_RP, whole_P[None]))
    return Facts(torch.stack(noise), torch.stack(cosines))


def gradients(count: int) -> Tensor:
    """The gradient of each sample, each_NP, after one epoch of SGD."""
    x_N64, label_N = digits(count)
    net = perceptron()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for rows in torch.arange(count).split(50):
        optimizer.zero_grad()
        F.cross_entropy(net(x_N64[rows]), label_N[rows]).backward()
        optimizer.step()
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(weights: dict[str, Tensor], x_64: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(net, weights, (x_64[None],)), label[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x_N64, label_N)
    return torch.cat([g.flatten(1) for g in each.values()], 1).double()


def draw(facts: Facts) -> Any:
    """The noise with its law at the left, the directions at the right."""
    drawn, axes = _paper.sheet(3.1, 1, 2)
    left, right = axes[0]
    _paper.dress(left, "noise of the gradient, over its true length", x="batch size")
    law = [float(facts.noise_S[0]) / math.sqrt(size) for size in SIZES]
    left.plot(SIZES, law, color=ORANGE, linewidth=1.4)
    left.plot(SIZES, facts.noise_S, "o", color=BLUE, markersize=5)
    left.set(xscale="log", yscale="log")
    ticks = [2.0**k for k in range(-4, 5) if facts.noise_S[-1] < 2.0**k < facts.noise_S[0] * 1.2]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    _paper.say(left, (SIZES[6], law[5]), "law: 1/√B", ORANGE)
    _paper.say(left, (SIZES[2] * 0.9, law[3] * 0.95), "measured", BLUE, ha="right")
    _paper.dress(right, "cosine of a batch's gradient with that of all", x="batch size")
    low, middle, high = facts.cosine_SR.quantile(torch.tensor([0.05, 0.5, 0.95]).double(), dim=1)
    right.fill_between(SIZES, low, high, color=BLUE, alpha=0.22, linewidth=0)
    right.plot(SIZES, middle, color=BLUE, linewidth=1.8)
    right.set(xscale="log", ylim=(min(-0.05, float(low.min())), 1.02))
    _paper.say(right, (SIZES[3], float(middle[3]) + 0.06), "median", BLUE, ha="right")
    _paper.say(right, (SIZES[4], float(low[4]) - 0.1), "nine batches of ten", INK)
    for ax in (left, right):
        ax.set_xticks(SIZES[::2], [str(size) for size in SIZES[::2]])
        ax.minorticks_off()
    return drawn


def caption(facts: Facts) -> str:
    """The slope, and what a batch of 32 is worth."""
    one, at = facts.cosine_SR.median(1).values, SIZES.index(32)
    return (
        f"The noise falls as B to the power of {facts.slope:.2f} (the law: -0.50); the gradient of "
        f"a single digit has a cosine of {float(one[0]):.2f} with that of all, of 32 digits "
        f"{float(one[at]):.2f}, and 32 times as many bring it to {float(one[-1]):.2f}."
    )
