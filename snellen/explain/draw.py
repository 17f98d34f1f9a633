"""Maps over pictures and tiles side by side, as PIL pictures."""

import math
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

WARM, COLD = ("#ffd000", "#e00000"), ("#00d0ff", "#0000c0")  # of weak and strong
SHARE = 0.8  # of the strongest colour over the picture
TILE = 48  # pixels that one of several tiles is high at least


def as_picture(tile_CHW: Tensor) -> Image.Image:
    """tile_CHW in 0..1 -> a picture; of channels that are neither 1 nor 3 their mean.

    >>> import torch
    >>> as_picture(torch.ones(1, 2, 4)).getpixel((0, 0)), as_picture(torch.ones(3, 2, 4)).size
    (255, (4, 2))
    """
    if len(tile_CHW) not in (1, 3):
        tile_CHW = tile_CHW.mean(0, keepdim=True)
    hwc = (tile_CHW * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(hwc[..., 0] if hwc.shape[2] == 1 else hwc)


def heat(map_HW: np.ndarray[Any, Any], picture: Image.Image) -> Image.Image:
    """A map over its picture: yellow to red what speaks for it, light to dark blue what against.

    >>> heat(np.eye(4), Image.new("L", (4, 4))).getpixel((0, 0))
    (179, 0, 0)
    """
    top = float(np.quantile(np.abs(map_HW), 0.995)) or float(np.abs(map_HW).max()) or 1.0
    found = picture.convert("RGB")
    for sign, (weak, strong) in ((1, WARM), (-1, COLD)):
        level = (np.clip(sign * map_HW / top, 0, 1) * 255).astype(np.uint8)
        colour = ImageOps.colorize(Image.fromarray(level), weak, strong)
        found = Image.composite(colour, found, Image.fromarray((level * SHARE).astype(np.uint8)))
    return found


def grid(tiles_NCHW: Tensor, columns: int = 0) -> Image.Image:
    """tiles_NCHW in 0..1 -> one picture; several are enlarged to be seen, white between them.

    >>> import torch
    >>> grid(torch.rand(1, 3, 8, 9)).size, grid(torch.rand(4, 1, 48, 48)).size
    ((9, 8), (98, 98))
    """
    pictures = [as_picture(tile) for tile in tiles_NCHW]
    if len(pictures) == 1:
        return pictures[0]
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    scale = max(1, math.ceil(TILE / pictures[0].height))
    wide, high = (side * scale + 2 for side in pictures[0].size)
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * wide - 2, rows * high - 2), "white")
    for i, one in enumerate(pictures):
        tile = one.resize((wide - 2, high - 2), Image.Resampling.NEAREST)
        sheet.paste(tile, (i % columns * wide, i // columns * high))
    return sheet


def apart(tiles_NCHW: Tensor) -> Tensor:
    """tiles of any range -> each in 0..1, its least black; a flat one is gray.

    >>> import torch
    >>> apart(torch.tensor([[[[-1.0, 3.0]]], [[[2.0, 2.0]]]])).tolist()
    [[[[0.0, 1.0]]], [[[0.5, 0.5]]]]
    """
    low, high = tiles_NCHW.amin((1, 2, 3), True), tiles_NCHW.amax((1, 2, 3), True)
    return ((tiles_NCHW - low) / (high - low)).nan_to_num(0.5).float()
