"""Windows smaller than the picture, anywhere or in the middle (notes 001 003 004; AlexNet's 224 of
256). Unlike `crop` nothing black comes in; the picture that the network sees is smaller.
"""

import torch
from torch import Generator, Tensor

from ...core.errors import UsageError
from ...core.parts import Part
from ..sample import Batch
from ._base import Augment
from ._cut import cut, shifts
from ._follow import follow

SHARE = 7 / 8  # of both sides: AlexNet's 224 of 256


class Window(Augment):
    """The same size for all samples: `size` in pixels, or SHARE of the picture's sides.

    >>> x = torch.arange(64).view(1, 1, 8, 8)
    >>> batch = Batch(x, {}, torch.tensor([0]), torch.tensor([[8, 8]]))
    >>> Window(centred=True)(batch, Generator()).x[0, 0, 0]
    tensor([0, 1, 2, 3, 4, 5, 6])
    >>> Window((4, 4), centred=True)(batch, Generator()).x[0, 0, 0]
    tensor([18, 19, 20, 21])
    """

    resizes = True

    def __init__(self, size: tuple[int, int] | None = None, *, centred: bool = False) -> None:
        self.size, self.centred = size, centred
        self.name = "centre" if centred else "window"
        where = "in the middle" if centred else "anywhere, uniformly"
        self.about = f"a window of 7/8 of the sides, {where}; the picture gets smaller"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BChw; UsageError where the picture is smaller than the window."""
        height, width = batch.x.shape[-2:]
        size = self.size or (max(1, round(height * SHARE)), max(1, round(width * SHARE)))
        fits(batch.x, size)
        count = len(batch)
        if self.centred:
            top, left = middle((height, width), size)
            top_B, left_B = torch.full((count,), top), torch.full((count,), left)
        else:
            top_B = torch.randint(height - size[0] + 1, (count,), generator=generator)
            left_B = torch.randint(width - size[1] + 1, (count,), generator=generator)
        return follow(batch, cut(batch.x, top_B, left_B, size=size), shifts(-left_B, -top_B))


def middle(size: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """(H, W), (h, w) -> the upper left corner of the window in the middle.

    >>> middle((256, 300), (224, 224))
    (16, 38)
    """
    return (size[0] - window[0]) // 2, (size[1] - window[1]) // 2


def fits(x_BCHW: Tensor, size: tuple[int, int]) -> None:
    """Raise UsageError where a window does not fit into the pictures.

    >>> fits(torch.zeros(1, 1, 8, 8), (8, 4))
    """
    height, width = x_BCHW.shape[-2:]
    if not (1 <= size[0] <= height and 1 <= size[1] <= width):
        raise UsageError(
            f"a window of {size[0]} x {size[1]} does not fit into pictures of {height} x {width}; "
            "take a window of one pixel or more, or a larger imgsz"
        )


PARTS = {
    "Random crop, centre crop": Part(
        "Augmentations",
        "sn.data.augment.window.Window",
        "augment=window, centre: a smaller picture, AlexNet's 224 of 256",
        "001 003 004",
    ),
}
AUGMENTS = {"window": Window(), "centre": Window(centred=True)}
