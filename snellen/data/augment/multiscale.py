"""Multi-scale training (YOLO v2, arXiv:1612.08242; note 001): every 10 batches another size.

The paper draws one of 320, 352 .. 608 for pictures of 416: multiples of 32, the stride of the
network, between 10/13 and 19/13 of the side. The network must take any size.
"""

from fractions import Fraction

import torch
from torch import Generator
from torch.nn import functional as F

from ...core.errors import UsageError
from ...core.parts import Part
from ..sample import Batch
from ._base import Augment, keep_type
from ._follow import follow

EVERY, STRIDE = 10, 32
SMALLEST, LARGEST = Fraction(10, 13), Fraction(19, 13)  # 320 and 608 of 416


class MultiScale(Augment):
    """All pictures of a batch are brought to one size, which changes every EVERY batches.

    The size depends on the generator's seed and on batch.step alone, so a resumed training goes on
    with the same size.
    """

    name = "multiscale"
    about = "every 10 batches another size, a multiple of 32 (YOLO v2); for nets of any size"
    resizes = True

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BChw, bilinear with anti-aliasing."""
        height, width = batch.x.shape[-2:]
        choices = sizes(height, width)
        draw = Generator().manual_seed(generator.initial_seed() % 2**31 + batch.step // EVERY)
        new = choices[int(torch.randint(len(choices), (1,), generator=draw))]
        moved = F.interpolate(
            batch.x.float(), new, mode="bilinear", align_corners=False, antialias=True
        )
        matrix_23 = torch.tensor([[new[1] / width, 0, 0], [0, new[0] / height, 0]])
        return follow(batch, keep_type(moved, batch.x), matrix_23.expand(len(batch), 2, 3))


def sizes(height: int, width: int) -> list[tuple[int, int]]:
    """H, W -> the sizes that are drawn from: H a multiple of 32, W the nearest to the same aspect.

    Raises UsageError where pictures are too small for that.

    >>> [h for h, _ in sizes(416, 416)]
    [320, 352, 384, 416, 448, 480, 512, 544, 576, 608]
    """
    low, high = -(-SMALLEST * height // STRIDE), LARGEST * height // STRIDE
    heights = [STRIDE * n for n in range(int(low), int(high) + 1) if n]
    if not heights:
        raise UsageError(
            f"multiscale draws sides that are multiples of {STRIDE}, and pictures of {height} x "
            f"{width} are too small; take a larger imgsz or leave it out"
        )
    return [(h, max(1, round(width * h / height / STRIDE)) * STRIDE) for h in heights]


PARTS = {
    "Multi-scale training": Part(
        "Augmentations",
        "sn.data.augment.multiscale.MultiScale",
        "augment=multiscale: every 10 batches another multiple of 32 (YOLO v2)",
        "001",
    ),
}
AUGMENTS = {"multiscale": MultiScale()}
