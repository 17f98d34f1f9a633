"""What is added to the data loss so that weights stay small or become zero (notes 001, 003, 004).

Three conventions of L2 are printed under one name; `weight_decay_of` brings each to the number
that PyTorch's optimisers take. AdamW's weight decay is none of them: it shrinks weights beside the
gradient, not through it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..core.errors import UnknownName, UsageError
from ..core.numbers import check_counts, check_rates
from ..core.parts import Part

CONVENTIONS: dict[str, Callable[[float, int], float]] = {
    # strength lambda, samples m -> weight_decay: the penalty's gradient is weight_decay * w
    "1/2 lambda w^2": lambda strength, num_samples: strength,
    "lambda w^2": lambda strength, num_samples: 2 * strength,
    "lambda/2m w^2": lambda strength, num_samples: strength / num_samples,
}
PARTS = {
    "L2 / weight decay": Part(
        "Regularisers",
        "sn.optim.l2_penalty, sn.optim.weight_decay_of, sn.optim.decay_penalty, torch.optim.SGD",
        "1/2 lambda w^2 is weight_decay=lambda of SGD; lambda w^2 twice that; lambda/2m w^2 "
        "lambda/m; AdamW's is decoupled from the gradient",
        "001 003 004",
    ),
    "L1": Part("Regularisers", "sn.optim.l1_penalty", "lambda |w|; `l1=` of a recipe",
               "001 003 004"),
    "Elastic net": Part("Regularisers", "sn.optim.elastic_net", "l1 |w| + l2 w^2", "003"),
}  # fmt: skip


def l2_penalty(params: Iterable[Tensor], strength: float) -> Tensor:
    """Weights -> 1/2 strength * sum of w^2; its gradient is strength * w.

    Raises UsageError where there is no weight, and where the strength is below 0.

    >>> l2_penalty([torch.tensor([[3.0, 4.0]])], 0.1)
    tensor(1.2500)
    """
    return _weigh(strength, (p.square().sum() / 2 for p in params))


def l1_penalty(params: Iterable[Tensor], strength: float) -> Tensor:
    """Weights -> strength * sum of |w|; its gradient is strength * sign(w), 0 at 0.

    Raises UsageError where there is no weight, and where the strength is below 0.

    >>> l1_penalty([torch.tensor([[3.0, -4.0]])], 0.1)
    tensor(0.7000)
    """
    return _weigh(strength, (p.abs().sum() for p in params))


def elastic_net(params: Iterable[Tensor], l1: float, l2: float) -> Tensor:
    """Weights -> sum of l1 |w| + l2 w^2, the notes' form: l2 here is half of a weight decay.

    scikit-learn's ElasticNet(alpha, l1_ratio) has l1 = alpha * l1_ratio and
    l2 = alpha * (1 - l1_ratio) / 2.

    >>> elastic_net([torch.tensor([[3.0, -4.0]])], 0.1, 0.01)
    tensor(0.9500)
    """
    check_rates(l1=l1, l2=l2)
    params = list(params)
    return l1_penalty(params, l1) + l2_penalty(params, 2 * l2)


def weights_of(net: nn.Module) -> list[nn.Parameter]:
    """The parameters that a penalty is for: weights that learn, not biases and scales.

    >>> [tuple(p.shape) for p in weights_of(nn.Linear(3, 2))]
    [(2, 3)]
    """
    return [p for p in net.parameters() if p.ndim > 1 and p.requires_grad]


def weight_decay_of(strength: float, convention: str, num_samples: int = 1) -> float:
    """A printed L2 strength -> the weight_decay of torch.optim.SGD that takes the same steps.

    `num_samples` is the m of "lambda/2m w^2". Raises UnknownName for another convention,
    UsageError for a strength below 0 or fewer samples than 1.

    >>> weight_decay_of(0.1, "1/2 lambda w^2"), weight_decay_of(0.1, "lambda w^2")
    (0.1, 0.2)
    >>> weight_decay_of(0.1, "lambda/2m w^2", num_samples=50)
    0.002
    """
    if convention not in CONVENTIONS:
        raise UnknownName(convention, CONVENTIONS, "conventions of L2")
    check_rates(strength=strength)
    check_counts(num_samples=num_samples)
    return CONVENTIONS[convention](strength, num_samples)


@torch.no_grad()
def decay_penalty(optimizer: Optimizer) -> float:
    """An optimiser -> the penalty that its weight decay stands for, 1/2 weight_decay * sum of w^2.

    The decay takes a step down this sum without adding it to the loss, so a full loss lacks it.
    0 where the decay is decoupled from the gradient, as AdamW's: that is the slope of no penalty.

    >>> weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    >>> decay_penalty(torch.optim.SGD([weight], lr=0.1, weight_decay=0.1))
    1.25
    """
    return sum(
        float(l2_penalty(group["params"], group["weight_decay"]))
        for group in optimizer.param_groups
        if group.get("weight_decay") and group["params"] and not _is_decoupled(optimizer, group)
    )


def _is_decoupled(optimizer: Optimizer, group: dict[str, Any]) -> bool:
    """Whether the decay shrinks weights beside the gradient; two of PyTorch's know no other way."""
    only = isinstance(optimizer, torch.optim.Adafactor | torch.optim.Muon)
    return only or bool(group.get("decoupled_weight_decay"))


def _weigh(strength: float, terms: Iterable[Tensor]) -> Tensor:
    check_rates(strength=strength)
    return strength * _sum(terms)


def _sum(terms: Iterable[Tensor]) -> Tensor:
    terms = list(terms)
    if not terms:
        raise UsageError(
            "a penalty on no weights at all; give net.parameters(), or weights_of(net)"
        )
    return torch.stack(terms).sum()
