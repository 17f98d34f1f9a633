"""Semantic maps as pictures: laid over the image with a legend, or in a palette for a file."""

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..data.sample import VOID
from .drawing import LINE, ROOMY, draw_lines

SHARE = 0.55  # of a class's colour over the image


def palette() -> list[int]:
    """256 colours in a row, r g b: Pascal VOC's, 0 black, 255 near white.

    The bits of a number are dealt to red, green and blue in turn, the lowest to the highest.

    >>> palette()[:12], palette()[-3:]
    ([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0], [224, 224, 192])
    """
    channels = range(3)
    return [sum((k >> (3 * j + c) & 1) << (7 - j) for j in range(8)) for k in range(256)
            for c in channels]  # fmt: skip


def map_picture(semantic_HW: Tensor) -> Image.Image:
    """semantic_HW -> a picture of the class numbers themselves, which a palette colours.

    >>> picture = map_picture(torch.tensor([[0, 1], [255, 2]]))
    >>> picture.mode, picture.size, picture.getextrema()
    ('P', (2, 2), (0, 255))
    """
    picture = Image.fromarray(semantic_HW.to(torch.uint8).cpu().numpy())
    picture.putpalette(palette())
    return picture


def draw_map(image_CHW: Tensor, semantic_HW: Tensor | None, names: list[str]) -> Image.Image:
    """image_CHW -> the picture with the classes' colours over it but for class 0 of a ground and
    VOID, and below the names of the classes that occur, each in its colour.

    >>> draw_map(torch.zeros(1, 8, 8), torch.ones(8, 8).long(), ["ground", "cat"]).size
    (384, 400)
    """
    if semantic_HW is None:
        return draw_lines(image_CHW, [], least=ROOMY)
    there = [k for k in semantic_HW.unique().tolist() if 0 <= k < len(names)]
    picture = draw_lines(image_CHW, [names[k] for k in there], least=ROOMY)
    height = picture.height - 2 - LINE * len(there)
    over = map_picture(semantic_HW).convert("RGB").resize((picture.width, height), 0)
    shown = (semantic_HW > 0) & (semantic_HW != VOID)
    mask = Image.fromarray((shown * int(255 * SHARE)).to(torch.uint8).numpy())
    picture.paste(over, (0, 0), mask.resize(over.size, 0))
    pen = ImageDraw.Draw(picture)
    for i, k in enumerate(there):
        top = height + 2 + LINE * i
        colour = tuple(palette()[3 * k : 3 * k + 3])
        pen.rectangle((picture.width - 12, top + 1, picture.width - 2, top + 11), fill=colour)
    return picture
