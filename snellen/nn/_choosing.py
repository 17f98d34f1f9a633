"""What layers that choose between two ways share: where there is a choice, and its name."""

from typing import Any

import torch
from torch import Tensor, nn

from ._traced import is_traced
from .im2col import Geometry, Pair

FEW_CHANNELS = 16  # in, under which a product of windows is too thin
LARGE_MAP = 256  # pixels above which the library's sums over windows that overlap always won
TYPES = {torch.bfloat16, torch.float32}


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


def key_of(what: str, x: Tensor, weight: Tensor, geometry: Geometry) -> str:
    """The name of a shape in the table of choices."""
    sizes = "x".join(map(str, x.shape)), "x".join(map(str, weight.shape))
    rest = ",".join(str(n) for pair in geometry[1:] for n in pair)
    return f"{what} {sizes[0]} {sizes[1]} {rest} {str(x.dtype).removeprefix('torch.')}"
