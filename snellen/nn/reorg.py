"""Reorg, YOLOv2's passthrough (arXiv:1612.08242): space to depth, 26x26x512 -> 13x13x2048.

The b x b pixels of a cell become b*b groups of C channels, upper left first: the order of
TensorFlow and of the ported Darknet weights. nn.PixelUnshuffle keeps the b*b values of a channel
together instead; both lose nothing.
"""

from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Reorg (space to depth)": Part(
        "Layers and shapes",
        "sn.nn.Reorg, sn.nn.space_to_depth, torch.nn.PixelUnshuffle",
        "b x b pixels into b*b groups of channels; PyTorch's keeps a channel's values together",
        "001",
    ),
    "Depth to space": Part(
        "Layers and shapes",
        "sn.nn.depth_to_space, torch.nn.PixelShuffle",
        "the inverse of Reorg; PyTorch's of PixelUnshuffle",
        "001",
    ),
}


def space_to_depth(x: Tensor, block: int = 2) -> Tensor:
    """x_BCHW -> (B, block * block * C, H / block, W / block); channel (i * block + j) * C + c.

    Raises UsageError where H or W is not a multiple of the block, and for other than maps.

    >>> import torch
    >>> space_to_depth(torch.arange(4.0).view(1, 1, 2, 2)).flatten()
    tensor([0., 1., 2., 3.])
    """
    _check(x, block)
    height, width = x.shape[-2:]
    if height % block or width % block:
        raise UsageError(f"maps of {height}x{width} are not made of whole {block}x{block} blocks")
    cells = x.unflatten(-1, (-1, block)).unflatten(-3, (-1, block))  # B C h i w j
    return cells.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


def depth_to_space(x: Tensor, block: int = 2) -> Tensor:
    """x_BCHW -> (B, C / block / block, H * block, W * block): undoes `space_to_depth`.

    Raises UsageError where the channels are not a multiple of block * block, and for other than
    maps.

    >>> import torch
    >>> depth_to_space(torch.arange(4.0).view(1, 4, 1, 1)).flatten()
    tensor([0., 1., 2., 3.])
    """
    _check(x, block)
    if x.shape[1] % block**2:
        raise UsageError(f"{x.shape[1]} channels are not {block}x{block} groups of one size")
    groups = x.unflatten(1, (block, block, -1))  # B i j C h w
    return groups.permute(0, 3, 4, 1, 5, 2).flatten(-2).flatten(-3, -2)


def _check(x: Tensor, block: int) -> None:
    _check_block(block)
    if x.ndim != 4:
        raise UsageError(f"x of shape {tuple(x.shape)}; maps (B, C, H, W) are wanted")


def _check_block(block: int) -> None:
    if not isinstance(block, int) or block < 1:
        raise UsageError(f"a block of {block} pixels; a whole number from 1 up is wanted")


class Reorg(nn.Module):
    """x_BCHW -> (B, block * block * C, H / block, W / block), as a layer.

    >>> import torch
    >>> Reorg()(torch.zeros(1, 512, 26, 26)).shape
    torch.Size([1, 2048, 13, 13])
    """

    def __init__(self, block: int = 2) -> None:
        super().__init__()
        _check_block(block)
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, block * block * C, H / block, W / block)."""
        return space_to_depth(x, self.block)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"block={self.block}"
