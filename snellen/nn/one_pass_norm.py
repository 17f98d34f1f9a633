"""Batch norm and the activation after it in one pass forward and two back, on the CPU.

Plain PyTorch reads or writes a map some fourteen times for a batch norm and a ReLU of a training
step; here it is seven times, and no map is kept but the input. Statistics, running averages and
gradients are those of `nn.BatchNorm2d` (notes: batch normalisation, arXiv:1502.03167). Channels
last, bfloat16 and float32; the loops are compiled by numba (the extra `fast`).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ._traced import is_traced

Array = Any  # of NumPy
WIDTH = 512  # numbers in a row of the loops: thin maps are read as fewer, wider rows
SHARED = 2**16  # numbers of a map under which a second thread costs more than it gives


class Bounds(NamedTuple):
    """An activation that holds its input between two bounds."""

    low: float = -np.inf
    high: float = np.inf
    high_bf16: float = np.inf  # from where on bfloat16 rounds to `high`

    def inside(self, dtype: torch.dtype) -> "tuple[np.float32, np.float32]":
        """The bounds between which a gradient counts."""
        high = self.high_bf16 if dtype == torch.bfloat16 else self.high
        return np.float32(self.low), np.float32(high)


LINEAR, RELU, RELU6 = Bounds(), Bounds(0.0), Bounds(0.0, 6.0, 5.984375)


class Statistics(NamedTuple):
    """Of a batch: mean and biased variance of each channel, float32; pixels in a channel."""

    moments_2C: Array
    num: int


def statistics(x: Tensor) -> Statistics:
    """x_BCHW, channels last -> mean and variance of each channel."""
    from ._norm_loops import mean_and_variance, middle, sums

    rows_NW = _rows(x)
    channels, num = x.shape[1], x.numel() // x.shape[1]
    pivot_W = np.empty(rows_NW.shape[1], np.float32)
    middle(rows_NW, channels, pivot_W)
    total_2W = _totals(rows_NW, lambda part, total: sums(rows_NW[part], pivot_W, total))
    moments_2C = np.empty((2, channels), np.float32)
    mean_and_variance(total_2W, pivot_W, num, moments_2C)
    return Statistics(moments_2C, num)


def fused_norm(
    x: Tensor,
    weight_C: Tensor | None,
    bias_C: Tensor | None,
    *,
    eps: float = 1e-5,
    bounds: Bounds = LINEAR,
    batch: Statistics | None = None,
) -> Tensor:
    """x_BCHW, channels last -> the batch normalised, scaled, and held between `bounds`.

    >>> from snellen.core.compiled import is_here
    >>> x = torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last)
    >>> y = fused_norm(x, None, None, bounds=RELU) if is_here() else None
    >>> y is None or torch.allclose(y, F.batch_norm(x, None, None, training=True).relu(), atol=1e-5)
    True
    """
    batch = statistics(x) if batch is None else batch
    weight_C = torch.ones(x.shape[1]) if weight_C is None else weight_C
    bias_C = torch.zeros(x.shape[1]) if bias_C is None else bias_C
    out: Tensor = _FusedNorm.apply(x, weight_C, bias_C, batch, eps, bounds)
    return out


def there_and_back(x: Tensor, bounds: Bounds) -> Tensor:
    """x_BCHW, channels last -> the gradient there, the output's being x: what a step does, for its
    time. Autograd, its hooks and its modes see nothing of it.
    """
    ones_C, zeros_C = torch.ones(x.shape[1]), torch.zeros(x.shape[1])
    _, way = _normed(x, ones_C, zeros_C, batch=statistics(x), eps=1e-5, bounds=bounds)
    return _gradients(x, x, way)[0]


class _Way(NamedTuple):
    """What the way back needs to know of the way there."""

    batch: Statistics
    eps: float
    bounds: Bounds
    at_5W: Array


class _FusedNorm(torch.autograd.Function):
    """Normalised, scaled and bounded; what was bounded is found again from the input."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        batch: Statistics,
        eps: float,
        bounds: Bounds,
    ) -> Tensor:
        ctx.save_for_backward(x, weight_C, bias_C)
        out, ctx.way = _normed(x, weight_C, bias_C, batch=batch, eps=eps, bounds=bounds)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_C, bias_C = ctx.saved_tensors
        if torch.is_grad_enabled() or is_traced(grad):  # to be derived again, or transformed
            return *_derivable(ctx, (x, weight_C, bias_C), grad), None, None, None
        grad = grad.to(x.dtype).contiguous(memory_format=torch.channels_last)
        return *_gradients(x, grad, ctx.way), None, None, None


def _normed(
    x: Tensor, weight_C: Tensor, bias_C: Tensor, *, batch: Statistics, eps: float, bounds: Bounds
) -> tuple[Tensor, _Way]:
    from ._norm_loops import scaled, table

    out = torch.empty_like(x)
    rows_NW, out_NW = _rows(x), _rows(out)
    at_5W = np.empty((5, rows_NW.shape[1]), np.float32)
    table(batch.moments_2C, _array(weight_C), _array(bias_C), eps, at_5W)
    low, high = np.float32(bounds.low), np.float32(bounds.high)

    def work(part: slice) -> None:
        scaled(rows_NW[part], at_5W, low, high, out_NW[part])

    _run(work, _parts(rows_NW))
    return out, _Way(batch, eps, bounds, at_5W)


def _gradients(x: Tensor, grad: Tensor, way: _Way) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients at x, weight and bias: one pass for the sums, one for x."""
    from ._norm_loops import gradient, gradient_sums, slopes

    rows_NW, grad_NW, at_5W = _rows(x), _rows(grad), way.at_5W.copy()
    low, high = way.bounds.inside(x.dtype)

    def add(part: slice, total_2W: Array) -> None:
        gradient_sums(rows_NW[part], grad_NW[part], at_5W, low, high, total_2W)

    total_2W, own_2C = _totals(rows_NW, add), np.empty((2, x.shape[1]), np.float32)
    slopes(total_2W, way.batch.moments_2C, way.batch.num, way.eps, at_5W, own_2C)
    out = torch.empty_like(x)
    out_NW = _rows(out)

    def work(part: slice) -> None:
        gradient(rows_NW[part], grad_NW[part], at_5W, low, high, out_NW[part])

    _run(work, _parts(rows_NW))
    to_weight, to_bias = torch.from_numpy(own_2C)
    return out, to_weight, to_bias


def _derivable(
    ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], grad: Tensor
) -> tuple[Tensor | None, ...]:
    """The same gradients by PyTorch's functions, which have gradients of their own."""
    is_needed = ctx.needs_input_grad[:3]
    x, weight_C, bias_C = inputs
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        out = F.batch_norm(x, None, None, weight_C, bias_C, True, eps=ctx.way.eps)
        if (bounds := ctx.way.bounds) != LINEAR:
            # not clamp, which passes a gradient at its bounds: there ReLU and the loops pass none
            out = F.hardtanh(out, bounds.low, bounds.high)
    wanted = [v for v, needed in zip(inputs, is_needed, strict=True) if needed]
    found = iter(torch.autograd.grad(out, wanted, grad, create_graph=again))
    return tuple(next(found) if needed else None for needed in is_needed)


def _array(own_C: Tensor) -> Array:
    array: Array = own_C.detach().numpy()
    return array


def _rows(x: Tensor) -> Array:
    """A map, channels last, as rows_NW of its bits, not copied; where channels are few, some pixels
    lie side by side in a row.
    """
    bits = torch.uint16 if x.dtype == torch.bfloat16 else torch.uint32
    flat_NC = x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    beside = 1
    while beside * x.shape[1] < WIDTH and len(flat_NC) % (2 * beside) == 0:
        beside *= 2
    return flat_NC.reshape(-1, beside * x.shape[1]).view(bits).numpy()


def _totals(rows_NW: Array, add: Callable[[slice, Array], None]) -> Array:
    """What `add` sums up over the rows -> two sums for each column, in float64."""
    parts = _parts(rows_NW)
    total_P2W = np.zeros((len(parts), 2, rows_NW.shape[1]))
    _run(add, parts, total_P2W)
    total_2W: Array = total_P2W.sum(0)
    return total_2W


def _parts(rows_NW: Array) -> list[slice]:
    """The rows, shared out among PyTorch's threads."""
    count = torch.get_num_threads() if rows_NW.size >= SHARED else 1
    each = -(-len(rows_NW) // count)
    return [slice(low, low + each) for low in range(0, len(rows_NW), each)]


def _run(work: Callable[..., None], parts: list[slice], *more: Array) -> None:
    """Do the work on each part, in a thread of its own."""
    if len(parts) == 1:
        work(parts[0], *(v[0] for v in more))
    else:
        list(_threads(len(parts)).map(work, parts, *more))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "norm")
