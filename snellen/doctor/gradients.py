"""What the engine asks of gradients on every step, in as few passes as torch allows."""

import math
from typing import Any

import torch
from torch import Tensor

from ..core.wide import wide


def gradient_norm(params: list[Tensor]) -> float:
    """The L2 norm over all gradients, 0.0 where there is none.

    >>> w = torch.zeros(2, requires_grad=True); w.grad = torch.tensor([3e30, 4e30])
    >>> f"{gradient_norm([w]):.0e}"
    '5e+30'
    """
    grads = [p.grad for p in params if p.grad is not None]
    dense = [g._values() if g.is_sparse else g for g in grads]
    if not dense:
        return 0.0
    norms = torch._foreach_norm(dense)
    device = norms[0].device
    norm = float(torch.linalg.vector_norm(torch.stack([n.float().to(device) for n in norms])))
    if not math.isinf(norm):
        return norm
    # The squares of finite gradients beyond 1e19 overflow, and the step they make is the culprit.
    return math.sqrt(sum(float(wide(g).square().sum()) for g in dense))


def has_gradients(params: list[Any]) -> bool:
    """Whether any gradient holds a value that is not zero."""
    for p in params:
        grad = p.grad
        if grad is not None and (grad._values() if grad.is_sparse else grad).any():
            return True
    return False


def detached(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
    """Arguments without their graphs, which must not outlive the step; whether the first had one.

    Then it was computed by something that learns.

    >>> w = torch.ones(1, requires_grad=True); detached((w,))
    ((tensor([1.]),), False)
    >>> detached((2 * w,))
    ((tensor([2.]),), True)
    """
    for a in args:
        if isinstance(a, Tensor) and a.requires_grad:
            break
    else:
        return args, False
    made = isinstance(args[0], Tensor) and args[0].grad_fn is not None
    return tuple([a.detach() if isinstance(a, Tensor) else a for a in args]), made
