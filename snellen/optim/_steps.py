"""What a step of every optimiser written here has in common."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Move = Callable[[Tensor, Tensor, dict[str, Any]], None]


@torch.no_grad()
def move_each(optimizer: Optimizer, closure: Callable[[], Any] | None, move: Move) -> Any:
    """move(parameter, gradient, its group) for every parameter with a gradient -> the loss."""
    loss = None
    if closure is not None:
        with torch.enable_grad():
            loss = closure()
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.grad is not None:
                move(param, param.grad, group)
    return loss
