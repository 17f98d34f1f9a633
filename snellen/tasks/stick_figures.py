"""Stick figures on a picture: red on the body's left, blue on its right, yellow between."""

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..data.sample import Skeleton
from .drawing import ROOMY, draw_lines

COLOURS = {"left": "#e6194b", "right": "#4363d8", "middle": "#ffe119"}


def draw_people(
    image_CHW: Tensor, points_NK2: Tensor, seen_NK: Tensor, skeleton: Skeleton
) -> Image.Image:
    """image_CHW, joints in its pixels, which are there -> a picture with them and their limbs.

    A joint that is hidden (visibility 1) is a ring, one that is not there is left out.

    >>> body = Skeleton(("left hand", "right hand"), ((0, 1),), (1, 0))
    >>> draw_people(torch.zeros(3, 64, 64), torch.rand(1, 2, 2) * 64, torch.ones(1, 2), body).size
    (384, 386)
    """
    canvas = draw_lines(image_CHW, [], least=ROOMY)
    pen, scale = ImageDraw.Draw(canvas), canvas.width / max(image_CHW.shape[-1], 1)
    sides = [side_of(k, skeleton) for k in range(len(skeleton.joints))]
    there_NK = (seen_NK > 0) & points_NK2.isfinite().all(2)
    for points_K2, seen_K, there_K in zip(points_NK2 * scale, seen_NK, there_NK, strict=True):
        where = [tuple(xy) for xy in points_K2.tolist()]
        for a, b in skeleton.bones:
            if there_K[a] and there_K[b]:
                side = sides[b] if sides[a] == "middle" else sides[a]
                for colour, width in (("black", 4), (COLOURS[side], 2)):  # seen on any ground
                    pen.line((*where[a], *where[b]), fill=colour, width=width)
        for k in torch.arange(len(where))[there_K].tolist():
            x, y = where[k]
            inside = COLOURS[sides[k]] if seen_K[k] > 1 else None
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), inside, COLOURS[sides[k]])
    return canvas


def side_of(joint: int, skeleton: Skeleton) -> str:
    """left, right or middle: joints that have a partner in the mirror are told by where their names
    differ, an l or an r; where those say nothing the first of the two is the left one.

    >>> body = Skeleton(("neck", "RHip", "LHip"), (), (0, 2, 1))
    >>> [side_of(k, body) for k in range(3)]
    ['middle', 'right', 'left']
    """
    partner = skeleton.mirror[joint] if skeleton.mirror else joint
    if partner == joint:
        return "middle"
    names = (skeleton.joints[k].lower() for k in (joint, partner))
    letters = next((pair for pair in zip(*names, strict=False) if pair[0] != pair[1]), ())
    if set(letters) == {"l", "r"}:
        return "left" if letters[0] == "l" else "right"
    return "left" if joint < partner else "right"
