"""Where pictures lie in inputs that they do not fill: told by whoever pads them, moved with them,
never guessed from pixels, which may have any colour.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .letterbox import Letterbox
from .sample import Batch

APART = 1e-3  # of a deviation: what a prepared pixel is moved by, ten times what is taken for 0


def extents(frames: Sequence[Letterbox]) -> Tensor:
    """Frames -> extent_B4, the box of each picture in its input.

    >>> extents([Letterbox((480, 640), (320, 320))]).tolist()
    [[0.0, 0.0, 320.0, 240.0]]
    """
    return torch.tensor([[0.0, 0.0, *reversed(frame.inner)] for frame in frames]).view(-1, 4)


def inside(batch: Batch) -> Tensor:
    """Where a batch's pictures are, (B, 1, H, W) of bool; everywhere, if nobody says otherwise.

    >>> x, none = torch.zeros(1, 1, 2, 4), torch.zeros(1)
    >>> batch = Batch(x, {}, none, none, extent_B4=torch.tensor([[1.0, 0, 4, 1]]))
    >>> inside(batch)[0, 0].tolist()
    [[False, True, True, True], [False, False, False, False]]
    """
    x_BCHW, extent_B4 = batch.x, batch.extent_B4
    if extent_B4 is None:
        return torch.ones_like(x_BCHW[:, :1], dtype=torch.bool)
    left, top, right, bottom = extent_B4.to(x_BCHW.device, non_blocking=True).T[..., None]
    high, wide = (torch.arange(n, device=x_BCHW.device) + 0.5 for n in x_BCHW.shape[-2:])
    rows_BH, columns_BW = (top < high) & (high < bottom), (left < wide) & (wide < right)
    return rows_BH[:, None, :, None] & columns_BW[:, None, None, :]


def told_apart(x_BCHW: Tensor, inside_B1HW: Tensor, level_C: Tensor, std_C: Tensor) -> Tensor:
    """x_BCHW -> the same, of this level in every channel where no picture is and nowhere else: a
    pixel that has it gets the next one in its first channel, of bytes or, `std_C` being a deviation
    in x's own units, of floats.

    >>> x = torch.tensor([[[[7, 9, 5]]]], dtype=torch.uint8)
    >>> there = torch.tensor([True, True, False]).view(1, 1, 1, 3)
    >>> nine = torch.tensor([9], dtype=torch.uint8)
    >>> told_apart(x, there, nine, torch.ones(1)).flatten().tolist()
    [7, 8, 9]
    """
    is_bytes, level = x_BCHW.dtype == torch.uint8, level_C[:, None, None]
    step = torch.zeros_like(level) if is_bytes else APART * std_C.to(level)[:, None, None]
    next_one = level[:1] ^ 1 if is_bytes else _above(level[:1], step[:1])
    same_B1HW = ((x_BCHW - level).abs() <= step).all(1, keepdim=True)
    told_BCHW = torch.where(inside_B1HW, x_BCHW, level)
    told_BCHW[:, :1] = torch.where(inside_B1HW & same_B1HW, next_one, told_BCHW[:, :1])
    return told_BCHW


def _above(level: Tensor, step: Tensor) -> Tensor:
    """A level and a step more, or the next float where a step is less than that."""
    return torch.maximum(level + step, level.nextafter(level.new_tensor(torch.inf)))
