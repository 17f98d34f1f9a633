"""Entropy and Kullback-Leibler divergence (notes 004) of probabilities, and between Gaussians.

In nats; 0 log 0 is 0. The divergence is never negative, 0 only between equal distributions, and
not symmetric: D(p|q) is what it costs to take q for the truth p.
"""

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.parts import Part
from ._labels import can_look, check_same, holds

PARTS = {
    "Information entropy": Part(
        "Losses", "sn.nn.entropy, torch.special.entr", "-sum p log p; log K where all are alike",
        "004",
    ),
    "KL divergence": Part(
        "Losses",
        "sn.nn.kl_divergence, torch.nn.functional.kl_div",
        "sum p log(p/q); kl_div takes log q and p in this order",
        "004",
    ),
    "KL divergence of Gaussians": Part(
        "Losses",
        "sn.nn.gaussian_kl, torch.distributions.kl_divergence",
        "closed form, axis by axis; against N(0, 1) the variational autoencoder's",
        "004",
    ),
}  # fmt: skip


def entropy(p_BK: Tensor) -> Tensor:
    """p_*K (each row sums to 1) -> entropy over the last axis, in nats.

    Raises UsageError where a row is no distribution.

    >>> entropy(torch.tensor([0.5, 0.5])), entropy(torch.tensor([0.0, 1.0]))
    (tensor(0.6931), tensor(0.))
    """
    _check_distribution(p_BK, "p")
    return torch.special.entr(p_BK).sum(-1)


def kl_divergence(p_BK: Tensor, q_BK: Tensor) -> Tensor:
    """p_*K, q_*K (rows sum to 1) -> sum p log(p/q) over the last axis; inf where q misses p.

    A share of p that is 0 adds nothing, to the gradient neither.

    Raises UsageError for shapes that differ and rows that are no distributions.

    >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    >>> kl_divergence(p, q), kl_divergence(q, p), kl_divergence(p, p)
    (tensor(0.1438), tensor(0.1308), tensor(0.))
    """
    check_same(p_BK, q_BK, "p and q")
    _check_distribution(p_BK, "p")
    _check_distribution(q_BK, "q")
    there_BK = p_BK > 0  # 0 log 0 is 0, and so is its gradient; xlogy's would be NaN
    surprise_BK = torch.where(there_BK, p_BK, 1).log() - torch.where(there_BK, q_BK, 1).log()
    return (p_BK * surprise_BK).sum(-1)


def gaussian_kl(mean_D: Tensor, std_D: Tensor, *, mean2_D: Tensor, std2_D: Tensor) -> Tensor:
    """D(N(mean, std^2) | N(mean2, std2^2)) for independent axes, summed over the last one.

    log(std2/std) + (std^2 + (mean - mean2)^2) / (2 std2^2) - 1/2. The four broadcast. Raises
    UsageError where a standard deviation is not positive.

    >>> zero_D, one_D = torch.zeros(1), torch.ones(1)
    >>> gaussian_kl(one_D, one_D, mean2_D=zero_D, std2_D=one_D)
    tensor(0.5000)
    """
    if not (holds(std_D > 0) and holds(std2_D > 0)):
        raise UsageError("a standard deviation is 0 or less; of a log-variance make exp(v / 2)")
    spread = (std_D.square() + (mean_D - mean2_D).square()) / (2 * std2_D.square())
    return (std2_D.log() - std_D.log() + spread - 0.5).sum(-1)


def _check_distribution(p_BK: Tensor, name: str) -> None:
    if not p_BK.is_floating_point() or p_BK.ndim == 0:
        raise UsageError(
            f"{name} of {p_BK.dtype} with shape {tuple(p_BK.shape)}; shares are wanted"
        )
    if not can_look(p_BK):
        return
    slack = 4 * p_BK.shape[-1] * torch.finfo(p_BK.dtype).eps  # each share is rounded once
    sums_B = p_BK.detach().double().sum(-1)
    if not (holds(p_BK >= 0) and holds((sums_B - 1).abs() <= slack)):
        raise UsageError(f"{name} is no distribution: rows sum to {sums_B.flatten()[:3].tolist()} "
                         "or hold a negative share; of logits make logits.softmax(-1)")  # fmt: skip
