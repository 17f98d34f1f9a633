"""Augmentations: the same scene under each word, the boxes with it.

Every word of `augment=` on one drawn scene, three draws each. Boxes are moved with the pixels: each
is the box around its moved corners, so it holds its thing and, after a turn, some ground. What is
measured is how much of each thing's moved mask still lies in its moved box.

Notes 001, 003, 004: data augmentation.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snellen.core.registry import collect
from snellen.data.augment import compose
from snellen.data.sample import Batch
from snellen.data.world_set import truth
from snellen.data.worlds import World, draw_world

from . import _paper
from ._paper import ORANGE

ORDER = 100
DRAWS, SIDE, SEED, INDEX = 3, 40, 0, 0
NOT_ALONE = ("multiscale",)  # changes from batch to batch, not from picture to picture


@dataclass(frozen=True)
class Drawn:
    """Pictures under one word, their boxes, and the pixels of things in and out of their boxes."""

    picture_BCHW: Tensor
    boxes: list[Tensor]
    inside: int
    outside: int


def words() -> list[str]:
    """Every word of the room, `off` first."""
    known = collect("snellen.data.augment", "AUGMENTS")
    return ["off", *sorted(word for word in known if word not in NOT_ALONE)]


def scene(count: int) -> Batch:
    """The same scene `count` times, with its boxes and masks."""
    drawn = draw_world(SEED, INDEX, World(SIDE, SIDE, 2, 3, noise=0.0, clutter=0, smallest=0.16,
                                          largest=0.24, hidden=0.0))  # fmt: skip
    target, image_CHW = truth(drawn), torch.from_numpy(drawn.pixels_HWC).permute(2, 0, 1)
    y = {"boxes_N4": [target.boxes_N4] * count, "masks_NHW": [target.masks_NHW] * count}
    sizes_B2 = torch.tensor([[SIDE, SIDE]] * count)
    return Batch(image_CHW.repeat(count, 1, 1, 1), y, torch.arange(count), sizes_B2)


def measure(draws: int = DRAWS) -> dict[str, Drawn]:
    """Every word on the scene, each from the same seed."""
    found = {}
    for word in words():
        batch = compose(word)(scene(draws), torch.Generator().manual_seed(1))
        inside, outside = _held(batch)
        found[word] = Drawn(batch.x, batch.y["boxes_N4"], inside, outside)
    return found


def _held(batch: Batch) -> tuple[int, int]:
    """Pixels of moved masks whose middle is in the moved box, half a pixel allowed, and not."""
    inside = total = 0
    pairs = zip(batch.y["boxes_N4"], batch.y["masks_NHW"], strict=True)
    for boxes_N4, masks_NHW in pairs:
        for box_4, mask_HW in zip(boxes_N4, masks_NHW, strict=True):
            row, col = mask_HW.nonzero().T
            x1, y1, x2, y2 = box_4 + torch.tensor([-0.5, -0.5, 0.5, 0.5])
            x, y = col + 0.5, row + 0.5
            inside += int(((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).sum())
            total += len(row)
    return inside, total - inside


def draw(found: dict[str, Drawn]) -> Any:
    """The draws of each word side by side."""
    columns, rows = 3, -(-len(found) // 3)
    drawn, axes = _paper.sheet(1.02 * rows, rows, columns)
    for ax in axes.flat[len(found) :]:
        ax.set_axis_off()
    for ax, (word, one) in zip(axes.flat, found.items(), strict=False):
        _paper.empty(ax, word)
        for i, (picture_CHW, boxes_N4) in enumerate(zip(one.picture_BCHW, one.boxes, strict=True)):
            side, left = picture_CHW.shape[-1], 1.08 * i
            few_CHW = picture_CHW // 12 * 12  # fewer shades make a smaller file
            ax.imshow(few_CHW.permute(1, 2, 0).numpy(), extent=(left, left + 1, 1, 0),
                      interpolation="none")  # fmt: skip
            for x1, y1, x2, y2 in (boxes_N4 / side).tolist():
                ax.plot([left + x for x in (x1, x2, x2, x1, x1)], (y1, y1, y2, y2, y1),
                        color=ORANGE, linewidth=1)  # fmt: skip
        ax.set(xlim=(-0.02, 1.08 * len(one.boxes)), ylim=(1.02, -0.02), aspect="equal")
    return drawn


def caption(found: dict[str, Drawn]) -> str:
    """How well the boxes follow."""
    inside, outside = (sum(getattr(one, key) for one in found.values())
                       for key in ("inside", "outside"))  # fmt: skip
    return (
        f"Under {len(found) - 1} words {inside / (inside + outside):.2%} of {inside + outside:,} "
        "pixels of moved things lie in their moved boxes, half a pixel allowed."
    )
