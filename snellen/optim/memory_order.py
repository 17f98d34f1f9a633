"""Fused steps on weights that lie channels last: the optimiser sees them in the order of memory.

PyTorch's fused kernels for processors read each tensor as one line, and copy a gradient that is not
contiguous first: of weights that lie channels last, all of them at each step, which takes as long
as the step itself. Seen as (O, h, w, C) the same memory is contiguous, and nothing is copied.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..core.parts import Part

PARTS = {
    "Optimiser in the order of memory": Part(
        "Optimisers",
        "sn.optim.MemoryOrder",
        "what fused optimisers keep and read of channels-last weights, as one line each: no copies",
    ),
}
FORTH, BACK = (0, 2, 3, 1), (0, 3, 1, 2)  # OChw -> OhwC, and back
LEAST = 2**14  # numbers of a weight under which a copy takes less time than the views


class MemoryOrder:
    """From now on a fused optimiser's step sees the large channels-last weights that it has now,
    their gradients and what it keeps of them as (O, h, w, C); before and after the step, and for
    everybody's hooks, they are (O, C, h, w). All of them come out the same to the bit.

    Where a step raises, `put_back` makes them (O, C, h, w) again.

    >>> conv = nn.Conv2d(64, 64, 3).to(memory_format=torch.channels_last)
    >>> optimizer = torch.optim.SGD(conv.parameters(), 0.1, momentum=0.9, fused=True)
    >>> order = MemoryOrder(optimizer)
    >>> conv(torch.ones(1, 64, 4, 4)).sum().backward()
    >>> optimizer.step()
    >>> conv.weight.shape, optimizer.state[conv.weight]["momentum_buffer"].shape
    (torch.Size([64, 64, 3, 3]), torch.Size([64, 64, 3, 3]))
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        fused = [group["params"] for group in optimizer.param_groups if group.get("fused")]
        self.large = [w for ws in fused for w in ws if w.ndim == 4 and w.numel() >= LEAST]
        self.turned: list[nn.Parameter] = []
        if self.large:
            optimizer.register_step_pre_hook(self._turn)
            optimizer.register_step_post_hook(self.put_back)

    def _turn(self, *_: Any) -> None:
        self.put_back()
        for weight in self.large:
            if _is_copied(weight):
                self.turned.append(weight)
                _permute(self.optimizer, weight, FORTH)

    def put_back(self, *_: Any) -> None:
        """Let every tensor have its own axes."""
        while self.turned:
            _permute(self.optimizer, self.turned.pop(), BACK)


def _is_copied(weight: nn.Parameter) -> bool:
    """Whether a fused step would copy the gradient of a weight."""
    last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    return last and weight.grad is not None and weight.device.type == "cpu"


def _permute(optimizer: Optimizer, weight: nn.Parameter, axes: tuple[int, ...]) -> None:
    """The axes of a weight, of its gradient and of what is kept of it."""
    grad, kept, shape = weight.grad, optimizer.state.get(weight, {}), weight.shape
    weight.grad = None  # which must have the weight's shape all the time
    for name, value in kept.items():
        if isinstance(value, Tensor) and value.shape == shape:
            kept[name] = value.permute(axes)
    weight.data = weight.data.permute(axes)
    weight.grad = None if grad is None else grad.permute(axes)
