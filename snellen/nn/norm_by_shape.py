"""Batch norms that compute the ReLU after them along, where that is quicker for the shape.

In an `nn.Sequential` nobody but the next layer sees what a layer gives, so a batch norm and the
ReLU or ReLU6 behind it may be one loop (one_pass_norm.py). Where somebody looks, with a hook on
either of the two, each is computed for itself and gives what it always gave.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as modules

from ..core.compiled import is_here
from ..core.parts import Part
from ._traced import as_plain, is_traced, unchosen
from .one_pass_norm import LINEAR, RELU, RELU6, Bounds, fused_norm, statistics, there_and_back
from .quickest import Quickest

PARTS = {
    "Batch norm by shape": Part(
        "Layers and shapes",
        "sn.accelerate, sn.nn.NormByShape, sn.nn.fused_norm",
        "batch norm and the ReLU after it in one loop, where numba is here and that is quicker",
    ),
}
ACTIVATIONS: dict[type[nn.Module], Bounds] = {nn.ReLU: RELU, nn.ReLU6: RELU6}
TYPES = (torch.bfloat16, torch.float32)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def fuse_norms(net: nn.Module, quickest: Quickest) -> None:
    """Let the plain batch norms of a network choose, and its plain `nn.Sequential` hand on which
    activation follows. Only their classes change.
    """
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = NormByShape
            cast(NormByShape, module).quickest = quickest
        elif type(module) is nn.Sequential:
            module.__class__ = InTurn


class InTurn(nn.Sequential):
    """x -> what its layers make of it, one after another; a norm and its activation as one."""

    def __prepare_scriptable__(self) -> nn.Module:
        return as_plain(self, nn.Sequential)

    def forward(self, input: Any) -> Any:
        """x -> the last layer's output."""
        parts = [*self, None]
        while len(parts) > 1:
            part, act = parts.pop(0), parts[0]
            if isinstance(part, NormByShape) and part.may_do(act):
                input = part.activated(input, cast(nn.Module, parts.pop(0)))
            else:
                input = cast(nn.Module, part)(input)
        return input


class NormByShape(nn.BatchNorm2d):
    """x_BCHW -> the same shape: `nn.BatchNorm2d`, in the quicker of two ways while it trains.

    Made by `accelerate`.

    >>> from snellen import accelerate
    >>> net = accelerate(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    >>> type(net[1]).__name__, net(torch.rand(2, 3, 16, 16)).shape
    ('NormByShape', torch.Size([2, 8, 14, 14]))
    """

    quickest: Quickest

    def __prepare_scriptable__(self) -> nn.Module:
        return as_plain(self, nn.BatchNorm2d)

    def forward(self, input: Tensor) -> Tensor:
        """x_BCHW -> the same shape, normalised."""
        if self._is_quicker(input, LINEAR):
            return self._fused(input, LINEAR)
        return cast(Tensor, unchosen(self, nn.BatchNorm2d, input))

    def activated(self, x: Tensor, act: nn.Module) -> Tensor:
        """x_BCHW -> the same shape, normalised, after its activation."""
        bounds = ACTIVATIONS[type(act)]
        if self._is_quicker(x, bounds):
            return self._fused(x, bounds)
        return cast(Tensor, act(unchosen(self, nn.BatchNorm2d, x)))

    def may_do(self, act: nn.Module | None) -> bool:
        """Whether this norm may compute what follows: nobody looks at either's output."""
        if type(act) not in ACTIVATIONS or modules._has_any_global_hook():
            return False
        return not (_is_watched(self) or _is_watched(cast(nn.Module, act)))

    def _is_quicker(self, x: Tensor, bounds: Bounds) -> bool:
        if not self._has_choice(x):
            return False
        sizes, dtype = "x".join(map(str, x.shape)), str(x.dtype).removeprefix("torch.")
        key = f"norm {sizes} {bounds.low:g},{bounds.high:g} {dtype}"
        x = x.detach()
        return self.quickest.is_second(
            key, lambda: _library(x, bounds), lambda: there_and_back(x, bounds)
        )

    def _has_choice(self, x: Tensor) -> bool:
        if is_traced(x) or not (self.training and is_here()):
            return False
        if x.device.type != "cpu" or x.ndim != 4 or x.dtype not in TYPES:
            return False
        own = (self.weight, self.bias, self.running_mean, self.running_var)
        if any(v is not None and (v.dtype, v.device) != (torch.float32, x.device) for v in own):
            return False
        fits = x.shape[1] == self.num_features and x.numel() > x.shape[1]  # two pixels at least
        return fits and x.is_contiguous(memory_format=torch.channels_last)

    def _fused(self, x: Tensor, bounds: Bounds) -> Tensor:
        batch = statistics(x)
        if self.track_running_stats and self.running_mean is not None:
            momentum = self.momentum
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
            mean_C, var_C = torch.from_numpy(batch.moments_2C)
            unbiased_C = var_C * (batch.num / (batch.num - 1))
            with torch.no_grad():
                self.running_mean.lerp_(mean_C, momentum or 0.0)
                cast(Tensor, self.running_var).lerp_(unbiased_C, momentum or 0.0)
        return fused_norm(x, self.weight, self.bias, eps=self.eps, bounds=bounds, batch=batch)


def _is_watched(module: nn.Module) -> bool:
    """Whether somebody hears of each call, or has put a call of their own in its place."""
    if "forward" in vars(module) or module._compiled_call_impl is not None:
        return True
    return any(getattr(module, hooks, None) for hooks in HOOKS)


def _library(x: Tensor, bounds: Bounds) -> None:
    """PyTorch's way there and back, with the activation, for its time."""
    out, mean, spread = torch.native_batch_norm(x, None, None, None, None, True, 0.0, 1e-5)
    grad = x
    if bounds == RELU:
        grad = torch.ops.aten.threshold_backward(x, out.relu_(), 0)
    elif bounds != LINEAR:
        out = F.hardtanh_(out, bounds.low, bounds.high)
        grad = torch.ops.aten.hardtanh_backward(x, out, bounds.low, bounds.high)
    torch.ops.aten.native_batch_norm_backward(
        grad, x, None, None, None, mean, spread, True, 1e-5, [True, False, False]
    )
