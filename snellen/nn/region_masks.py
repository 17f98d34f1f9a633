"""Masks of regions, Mask R-CNN (arXiv:1703.06870): the share of each bin of a box that a thing
covers, and back from such a grid to the pixels of the picture.

Both are separable, a product with a matrix on either side: exact, without a loop over things.
"""

import torch
from torch import Tensor

from ..core.parts import Part

SEEING = "Detection and segmentation"
PARTS = {
    "Masks of regions": Part(
        SEEING, "sn.nn.crop_masks, sn.nn.paste_masks",
        "the share of each bin of a box that a thing covers, and back to pixels", "003",
    )
}  # fmt: skip
ROUNDING = 1e-4  # half a bin beside nothing is a half


def crop_masks(masks_NHW: Tensor, boxes_N4: Tensor, size: int = 28) -> Tensor:
    """masks_NHW and a box in each -> the covered share of its bins, (N, size, size).

    A pixel is a square; a bin without an area is 0.

    >>> crop_masks(torch.tensor([[[1, 1, 0, 0]]]), torch.tensor([[1.0, 0, 3, 1]]), 2).tolist()
    [[[1.0, 0.0], [1.0, 0.0]]]
    """
    height, width = masks_NHW.shape[1:]
    down = _shares(boxes_N4[:, 1], boxes_N4[:, 3], size, height)
    across = _shares(boxes_N4[:, 0], boxes_N4[:, 2], size, width)
    return down @ masks_NHW.to(down) @ across.mT


def paste_masks(grids_NMM: Tensor, boxes_N4: Tensor, size: tuple[int, int]) -> Tensor:
    """Shares of the bins of a box, boxes, picture (H, W) -> masks_NHW, where it is a half or more.

    Between the middles of bins the share is interpolated, it falls to 0 beyond the outer ones.

    >>> paste_masks(torch.ones(1, 2, 2), torch.tensor([[1.0, 0, 3, 1]]), (1, 4))
    tensor([[[False,  True,  True, False]]])
    """
    count, bins = grids_NMM.shape[:2]
    down = _hats(boxes_N4[:, 1], boxes_N4[:, 3], bins, size[0])
    across = _hats(boxes_N4[:, 0], boxes_N4[:, 2], bins, size[1])
    pasted = torch.zeros(count, *size, dtype=torch.bool, device=grids_NMM.device)
    for n in range(count):  # one at a time: a hundred large pictures of numbers would not fit
        pasted[n] = down[n] @ grids_NMM[n].to(down) @ across[n].mT >= 0.5 - ROUNDING
    return pasted


def _shares(low_N: Tensor, high_N: Tensor, bins: int, length: int) -> Tensor:
    """(N, bins, length): which share of each bin of an interval lies in each pixel."""
    step_N1 = ((high_N - low_N) / bins)[:, None].clamp(min=0)
    begin = (low_N[:, None] + step_N1 * torch.arange(bins).to(low_N))[..., None]
    pixel = torch.arange(length).to(low_N)
    ends = torch.minimum(pixel + 1, begin + step_N1[..., None])
    shared = (ends - torch.maximum(pixel, begin)).clamp(min=0)
    return torch.nan_to_num(shared / step_N1[..., None], posinf=0.0)


def _hats(low_N: Tensor, high_N: Tensor, bins: int, length: int) -> Tensor:
    """(N, length, bins): the weight of each bin's value in the middle of each pixel."""
    middle = torch.arange(length).to(low_N) + 0.5
    share = (middle - low_N[:, None]) / (high_N - low_N).clamp(min=1e-6)[:, None]
    place = (share * bins - 0.5)[..., None]
    hat = (1 - (place - torch.arange(bins).to(low_N)).abs()).clamp(min=0)
    return torch.nan_to_num(hat)
