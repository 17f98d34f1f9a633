"""What the recurrent cells share: how they start, and the state before the first step."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def start_uniform(cell: nn.Module, hidden_size: int) -> None:
    """Every parameter uniform in +-1 / sqrt(hidden_size), as torch.nn's cells start."""
    bound = hidden_size**-0.5
    for parameter in cell.parameters():
        parameter.uniform_(-bound, bound)


def zeros(x_BI: Tensor, hidden_size: int) -> Tensor:
    """x_BI -> zeros (B, H)."""
    return x_BI.new_zeros(len(x_BI), hidden_size)
