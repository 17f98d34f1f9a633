"""Sparse initialisation with a fixed fan-in (notes 003): each unit hears k others, the rest is 0.

torch.nn.init.sparse_ fixes the share of zeros of each column, that is how many units one input
speaks to; here each output has exactly k inputs, so its variance does not grow with the layer.
"""

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_rates
from ..core.parts import Part

PARTS = {
    "Sparse initialisation": Part(
        "Initialisers",
        "sn.nn.sparse_fan_in_",
        "each unit connected to exactly k inputs (10 is usual), the others 0",
        "003",
    ),
}


@torch.no_grad()
def sparse_fan_in_(
    weight: Tensor, k: int = 10, std: float = 0.01, *, generator: torch.Generator | None = None
) -> Tensor:
    """weight_OI* -> the same tensor, k normal values of deviation `std` in each row, else zeros.

    A row is all that one output hears: of a convolution, channels and kernel. Raises UsageError
    where a row has fewer than k places, and for a deviation below 0.

    >>> weight = sparse_fan_in_(torch.empty(4, 100), k=10)
    >>> (weight != 0).sum(1)
    tensor([10, 10, 10, 10])
    """
    check_rates(std=std)
    check_counts(k=k)
    if weight.ndim < 2:
        raise UsageError(
            f"a weight of shape {tuple(weight.shape)}; (outputs, inputs, ...) is wanted"
        )
    rows = weight.flatten(1)
    if k > rows.shape[1]:
        raise UsageError(
            f"a fan-in of {k} for a weight of shape {tuple(weight.shape)}; "
            f"1 to {rows.shape[1]} is possible"
        )
    order = torch.rand(rows.shape, generator=generator, device=weight.device)
    values = torch.empty(len(rows), k, dtype=weight.dtype, device=weight.device)
    values.normal_(0, std, generator=generator)
    sparse = torch.zeros_like(rows).scatter_(1, order.topk(k).indices, values)
    return weight.copy_(sparse.view_as(weight))
