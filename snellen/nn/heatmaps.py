"""Confidence maps (OpenPose, arXiv:1611.08050 equation 7): a Gaussian where a joint is.

Places are counted in cells: the middle of the cell in row i and column j lies at x = j, y = i.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part

PARTS = {
    "Confidence maps, peaks": Part(
        "Detection and segmentation", "sn.nn.confidence_maps, sn.nn.peaks",
        "a Gaussian at each joint, of people close by the larger one; peaks between the cells",
        "001",
    )
}  # fmt: skip
FAINT = 1e-4  # what the logarithm of a map takes for nothing


def confidence_maps(
    points_BNK2: Tensor, seen_BNK: Tensor, size: tuple[int, int], *, sigma: float = 1.0
) -> Tensor:
    """points_BNK2 in cells, whether each is there -> maps_BKHW in [0, 1], the largest over N.

    A sum would melt two neighbours into one hill; the maximum keeps both tops. Points that are not
    there or not finite leave no trace.

    >>> point, there = torch.tensor([[[[2.0, 1.0]]]]), torch.tensor([[[True]]])
    >>> confidence_maps(point, there, (3, 4))[0, 0, 1]
    tensor([0.1353, 0.6065, 1.0000, 0.6065])
    """
    height, width = size
    if not points_BNK2.shape[1]:
        return points_BNK2.new_zeros(len(points_BNK2), points_BNK2.shape[2], height, width)
    there_BNK = seen_BNK.bool() & points_BNK2.isfinite().all(-1)
    x, y = points_BNK2.nan_to_num(0.0, 0.0, 0.0).unbind(-1)
    across_BNKW = _bell(x, width, sigma)
    down_BNKH = _bell(y, height, sigma) * there_BNK[..., None]
    return (down_BNKH[..., None] * across_BNKW[..., None, :]).amax(1)


def _bell(middle: Tensor, count: int, sigma: float) -> Tensor:
    cells = torch.arange(count, device=middle.device, dtype=middle.dtype)
    return torch.exp(-((cells - middle[..., None]) ** 2) / (2 * sigma**2))


def peaks(maps_BKHW: Tensor, least: float = 0.1) -> tuple[Tensor, Tensor, Tensor]:
    """maps_BKHW -> place_P2 (sample and joint), points_P2 in cells, scores_P, joint by joint.

    A cell is a peak where none of its eight neighbours is higher; of equal neighbours the first is.
    The point lies between the cells, where the parabola through the logarithms of three cells has
    its top: for a Gaussian that is its middle, whatever its width. At the border it is the cell's.

    >>> maps = confidence_maps(torch.tensor([[[[2.3, 1.4]]]]), torch.ones(1, 1, 1), (4, 6))
    >>> peaks(maps)[1]
    tensor([[2.3000, 1.4000]])
    """
    is_peak = (maps_BKHW > least) & _tops(maps_BKHW)
    b, k, i, j = is_peak.nonzero(as_tuple=True)
    logs = F.pad(maps_BKHW.clamp(min=FAINT).log(), (1, 1, 1, 1), value=torch.nan)
    here = logs[b, k, i + 1, j + 1]
    x = j + _top(logs[b, k, i + 1, j], here, logs[b, k, i + 1, j + 2])
    y = i + _top(logs[b, k, i, j + 1], here, logs[b, k, i + 2, j + 1])
    return torch.stack([b, k], 1), torch.stack([x, y], 1), maps_BKHW[b, k, i, j]


def _tops(maps: Tensor) -> Tensor:
    """Whether a cell is higher than those before it and no lower than those after it."""
    height, width = maps.shape[-2:]
    framed = F.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    is_top = torch.ones_like(maps, dtype=torch.bool)
    for place in range(9):
        down, right = divmod(place, 3)
        other = framed[..., down : down + height, right : right + width]
        is_top &= maps > other if place < 4 else maps >= other
    return is_top


def _top(before: Tensor, here: Tensor, after: Tensor) -> Tensor:
    """Three heights a cell apart -> where the parabola through them has its top, within a half."""
    bend = 2 * here - before - after
    shift = (after - before) / (2 * bend.clamp(min=FAINT))
    return shift.clamp(-0.5, 0.5).nan_to_num(0.0)
