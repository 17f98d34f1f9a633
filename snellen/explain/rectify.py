"""Other rules for the backward of ReLU, on modules and functions, in place or not.

Module backward hooks fail on ReLU(inplace=True); a TorchFunctionMode hears every call instead,
whoever makes it, and leaves nothing behind.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..core.errors import UsageError
from .method import Question

RELUS = {F.relu, F.relu6, F.leaky_relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
CLAMPS = {torch.clamp, Tensor.clamp, Tensor.clamp_, torch.clamp_min, Tensor.clamp_min, F.hardtanh}
Rule = Callable[..., Tensor]


class Rectified(TorchFunctionMode):
    """Inside, ReLU, ReLU6, leaky ReLU and clamp(min=0) go by `rule(function, args, kwargs)`."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule, self.count = rule, 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Calls of other functions go through."""
        kwargs = kwargs or {}
        if not _rectifies(func, args, kwargs):
            return func(*args, **kwargs)
        self.count += 1
        return self.rule(func, args, kwargs)


def guided(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The backward as usual, of what is positive of the gradient that comes."""
    y = func(*args, **kwargs)
    if y.requires_grad:
        y.register_hook(lambda grad: grad.clamp(min=0))
    return y


def deconvolved(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """A backward that keeps what is positive of the gradient, whatever the input was."""
    x = args[0] if args else kwargs["input"]
    before = x.clone()
    with torch.no_grad():
        y = func(*args, **kwargs)
    passed: Tensor = _Passed.apply(before, y.detach())
    return y.copy_(passed) if y is x else passed


def gradient(question: Question, rule: Rule) -> Tensor:
    """d score / d x_1CHW with another backward of ReLU; raises UsageError where there is none."""
    with Rectified(rule) as mode:
        grad_1CHW = question.gradient(question.x_1CHW)
    if not mode.count:
        raise UsageError(
            "the network has no ReLU, whose backward this method changes; method=saliency is the "
            "plain gradient"
        )
    return grad_1CHW


class _Passed(torch.autograd.Function):
    """x, y -> y; the positive part of the gradient goes to x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        return y.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.clamp(min=0), None


def _rectifies(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if func in RELUS:
        return True
    low = args[1] if len(args) > 1 else kwargs.get("min", kwargs.get("min_val"))
    return func in CLAMPS and isinstance(low, int | float) and low == 0
