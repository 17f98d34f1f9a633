"""Momentum in the two forms that are printed as one (notes 003; the MSRA ResNet release warns).

PyTorch and the notes: v = rho v + g, w -= lr v. Caffe: v = rho v + lr g, w -= v. With a constant
learning rate they are the same. When it is divided by ten, Caffe's velocity still carries the old,
ten times larger steps; PyTorch's is cut at once.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..core.numbers import check_decays, check_rates
from ..core.parts import Part
from ._steps import move_each

PARTS = {
    "Momentum": Part(
        "Optimisers", "torch.optim.SGD", "v = rho v + g, w -= lr v; optim=momentum in a recipe",
        "001 003",
    ),
    "Momentum as in Caffe": Part(
        "Optimisers", "sn.optim.CaffeSGD",
        "v = rho v + lr g, w -= v; another path only where lr changes",
        "003",
    ),
}  # fmt: skip


class CaffeSGD(Optimizer):
    """Stochastic gradient descent with the learning rate inside the velocity.

    Weight decay adds weight_decay * w to the gradient, as in torch.optim.SGD. Raises UsageError for
    negative or non-finite settings or a momentum outside [0, 1).

    >>> w = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = CaffeSGD([w], lr=0.1, momentum=0.9)
    >>> w.grad = torch.ones(1); optimizer.step(); optimizer.step(); w.data  # -0.1, then -0.19
    tensor([0.7100])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        momentum: float = 0.9,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        check_rates(lr=lr, weight_decay=weight_decay)
        check_decays(momentum=momentum)
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient; returns the closure's loss."""
        return move_each(self, closure, self._move)

    def _move(self, param: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if group["weight_decay"]:
            gradient = gradient.add(param, alpha=group["weight_decay"])
        state = self.state[param]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(param)
        state["velocity"].mul_(group["momentum"]).add_(gradient, alpha=group["lr"])
        param.sub_(state["velocity"])
