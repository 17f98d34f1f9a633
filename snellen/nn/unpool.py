"""Unpooling (notes 003, segmentation): maps made larger again without a weight.

Bed of nails puts each value at the upper left of its cell; max unpooling puts it back where the
largest value stood. nn.MaxUnpool2d does so while windows do not overlap; where they do (3x3,
stride 2) one of the values wins by chance, and what is right is their sum, pooling's adjoint.
"""

from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from ._labels import holds

PARTS = {
    "Bed of nails": Part(
        "Layers and shapes",
        "sn.nn.bed_of_nails",
        "each value at the upper left of its cell, else 0",
        "003",
    ),
    "Max unpooling": Part(
        "Layers and shapes",
        "sn.nn.unpool_maxima, torch.nn.MaxUnpool2d",
        "each value where the largest stood; PyTorch's is for windows that do not overlap",
        "003",
    ),
}


def bed_of_nails(x: Tensor, stride: int = 2) -> Tensor:
    """x_BCHW -> (B, C, H * stride, W * stride): out[..., ::stride, ::stride] is x, the rest 0.

    Raises UsageError where the stride is no whole number from 1 up.

    >>> import torch
    >>> bed_of_nails(torch.ones(1, 1, 1, 2))[0, 0]
    tensor([[1., 0., 1., 0.],
            [0., 0., 0., 0.]])
    """
    check_counts(stride=stride)
    out = x.new_zeros(*x.shape[:-2], x.shape[-2] * stride, x.shape[-1] * stride)
    out[..., ::stride, ::stride] = x
    return out


def unpool_maxima(x: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """x_BChw and indices_BChw -> (B, C, *size): each value added where its largest one stood.

    `indices` are those of nn.MaxPool2d(..., return_indices=True), `size` is (H, W) of what was
    pooled. Raises UsageError where x and indices differ in shape, or a place is outside of it.

    >>> import torch
    >>> pooled, indices = torch.nn.MaxPool2d(2, return_indices=True)(torch.eye(2)[None, None])
    >>> unpool_maxima(pooled, indices, (2, 2))[0, 0]
    tensor([[1., 0.],
            [0., 0.]])
    """
    if x.shape != indices.shape:
        raise UsageError(
            f"values of shape {tuple(x.shape)} and indices of shape {tuple(indices.shape)}; "
            "both come from one MaxPool2d(..., return_indices=True)"
        )
    if not holds((indices >= 0) & (indices < size[0] * size[1])):
        raise UsageError(
            f"a largest value at place {int(indices.max())} of maps of {size[0]}x{size[1]}; give "
            "the size of what was pooled"
        )
    flat = x.new_zeros(*x.shape[:-2], size[0] * size[1])
    return flat.scatter_add(-1, indices.flatten(-2), x.flatten(-2)).unflatten(-1, size)
