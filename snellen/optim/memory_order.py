"""Fused steps on weights that lie channels last, as lines of memory.

PyTorch's fused kernels for processors read each tensor as one line, and first copy a gradient that
is not contiguous: of weights that lie channels last, all of them at each step. Seen as (O, h, w, C)
the same memory is contiguous, and nothing is copied.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..core.parts import Part

PARTS = {
    "Fused steps in the order of memory": Part(
        "Optimisers",
        "sn.optim.MemoryOrder",
        "fused kernels see channels-last weights, gradients and moments as lines: no copies",
    ),
}
FUSED = {torch._fused_sgd_, torch._fused_adam_, torch._fused_adamw_, torch._fused_adagrad_}
LEAST = 2**14  # numbers of a weight under which a copy takes less time than the views


def gains(weight: Tensor) -> bool:
    """Whether a fused step would copy the gradient of a weight, and that takes time.

    >>> gains(torch.zeros(64, 64, 3, 3).contiguous(memory_format=torch.channels_last))
    True
    """
    if weight.ndim != 4 or weight.numel() < LEAST or weight.device.type != "cpu":
        return False
    last = weight.is_contiguous(memory_format=torch.channels_last)
    return last and not weight.is_contiguous()


class MemoryOrder(TorchFunctionMode):
    """While open, PyTorch's fused optimisers see large channels-last weights, their gradients and
    what is kept of them as (O, h, w, C). Everybody else sees what there is, and all comes out the
    same to the bit.

    >>> conv = torch.nn.Conv2d(64, 64, 3).to(memory_format=torch.channels_last)
    >>> optimizer = torch.optim.SGD(conv.parameters(), 0.1, momentum=0.9, fused=True)
    >>> conv(torch.ones(1, 64, 4, 4)).sum().backward()
    >>> with MemoryOrder():
    ...     optimizer.step()
    >>> optimizer.state[conv.weight]["momentum_buffer"].shape
    torch.Size([64, 64, 3, 3])
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Views in the place of what a fused kernel is given."""
        if func in FUSED:
            large = [gains(weight) for weight in args[0]]
            args = tuple(_seen(tensors, args[0], large) for tensors in args)
        return func(*args, **(kwargs or {}))


def _seen(tensors: Any, weights: list[Tensor], large: list[bool]) -> list[Tensor]:
    """One tensor for each weight, or none at all -> the same, of large weights in lines."""
    if not tensors:  # no moments are kept
        return []
    return [
        tensor.permute(0, 2, 3, 1) if is_large and tensor.shape == weight.shape else tensor
        for tensor, weight, is_large in zip(tensors, weights, large, strict=True)
    ]
