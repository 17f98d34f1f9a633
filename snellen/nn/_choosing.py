"""What layers that choose between two ways share: where there is a choice, and how it is made."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ._traced import is_traced
from .im2col import Geometry, Pair
from .quickest import Quickest

FEW_CHANNELS = 16  # in, under which a product of windows is too thin
LARGE_MAP = 256  # pixels above which the library's sums over windows that overlap always won
TYPES = {torch.bfloat16, torch.float32}
Way = Callable[[], Tensor]
Ways = tuple[Way, Way | None]  # the library's, and the other where there is one


def computed_in(x: Tensor) -> torch.dtype:
    """The type that a convolution of x runs in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def may_choose(module: Any, x: Tensor) -> bool:
    """Whether x_BCHW and the layer's weights are of a kind that is computed here."""
    if is_traced(x) or x.device.type != "cpu" or x.ndim != 4:
        return False
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        return False
    own = [v.dtype for v in (module.weight, module.bias) if v is not None]
    if torch.is_autocast_enabled("cpu"):
        return {computed_in(x), x.dtype, *own} <= TYPES
    return x.dtype in TYPES and {x.dtype} == {*own}


def geometry_of(module: nn.Conv2d | nn.ConvTranspose2d) -> Geometry:
    """How the windows of a layer lie."""
    pairs: list[Any] = [module.kernel_size, module.stride, module.padding, module.dilation]
    return Geometry(*((int(pair[0]), int(pair[1])) for pair in pairs))


def library_gradient(
    to: int,
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    *,
    geometry: Geometry,
    groups: int = 1,
    transposed: bool = False,
    beyond: Pair = (0, 0),
) -> Tensor:
    """The gradient at x (`to` 0) or at the weight (1), by PyTorch's own way."""
    mask = [to == 0, to == 1, False]
    both = torch.ops.aten.convolution_backward(
        grad, x, weight, None, *geometry[1:], transposed, beyond, groups, mask
    )
    wanted: Tensor = both[to]
    return wanted


class Sums(ABC):
    """The three sums of a convolution, which `ByShape` computes: two ways for each, at most."""

    geometry: Geometry
    word: str  # before their names in the table of choices

    @abstractmethod
    def out(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Ways:
        """x_BCHW -> the output (B, O, H', W')."""

    @abstractmethod
    def to_input(self, grad: Tensor, x: Tensor, weight: Tensor) -> Ways:
        """The gradient at the output (B, O, H', W') -> that at x (B, C, H, W)."""

    @abstractmethod
    def to_weight(self, grad: Tensor, x: Tensor, weight: Tensor) -> Ways:
        """The gradient at the output (B, O, H', W') -> that at the weight, in its shape."""

    def key(self, what: str, x: Tensor, weight: Tensor) -> str:
        """The name of a sum at these shapes in the table of choices."""
        sizes = "x".join(map(str, x.shape)), "x".join(map(str, weight.shape))
        rest = ",".join(str(n) for pair in self.geometry[1:] for n in pair)
        dtype = str(x.dtype).removeprefix("torch.")
        return f"{self.word}{what} {sizes[0]} {sizes[1]} {rest} {dtype}"


class ByShape(torch.autograd.Function):
    """The output and its gradients, each in its quicker way. The gradient at the bias is a sum of
    its own.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, sums: Sums, quickest: Quickest
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.sums, ctx.quickest, ctx.has_bias = sums, quickest, bias is not None
        out = _quicker(quickest, sums, "out", sums.out(x, weight, bias), (x, weight))
        return out.detach()  # no view any more, which no in-place activation behind it could change

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        is_looked_at = is_traced(grad)
        grad = grad if is_looked_at else grad.contiguous(memory_format=torch.channels_last)

        def gradient(what: str, ways: Ways) -> Tensor:
            library, other = ways
            ways = library, None if is_looked_at else other
            return _quicker(ctx.quickest, ctx.sums, what, ways, (x, weight))

        to_x = to_weight = to_bias = None
        with torch.autocast("cpu", enabled=False):  # which somebody may call us in
            if ctx.needs_input_grad[0]:
                to_x = gradient("to input", ctx.sums.to_input(grad, x, weight))
            if ctx.needs_input_grad[1]:
                to_weight = gradient("to weight", ctx.sums.to_weight(grad, x, weight))
            if ctx.has_bias and ctx.needs_input_grad[2]:
                to_bias = grad.sum((0, 2, 3))
        return to_x, to_weight, to_bias, None, None


def _quicker(
    quickest: Quickest, sums: Sums, what: str, ways: Ways, shapes: tuple[Tensor, Tensor]
) -> Tensor:
    library, other = ways
    return library() if other is None else quickest.of(sums.key(what, *shapes), library, other)
