"""Part affinity fields (OpenPose, arXiv:1611.08050 equations 8 to 11): which way each limb runs.

On a limb the field is the unit vector from its first joint to its second; the line integral
between two candidates tells whether they are the ends of one limb. Places are counted in cells, as
in heatmaps.py.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part

PARTS = {
    "Part affinity fields": Part(
        "Detection and segmentation", "sn.nn.affinity_fields, sn.nn.line_integral",
        "unit vectors along each limb, their mean where people overlap; integral along a line",
        "001",
    )
}  # fmt: skip
SAMPLES = 10  # points of a line where its field is read


def affinity_fields(
    points_BNK2: Tensor,
    seen_BNK: Tensor,
    bones: Sequence[tuple[int, int]],
    *,
    size: tuple[int, int],
    width: float = 1.0,
) -> Tensor:
    """points_BNK2 in cells, bones as pairs of joints -> fields_BL2HW, x and y of each limb.

    A cell is on a limb within `width` of the line between its joints; where limbs of one kind lie
    on one another it has the mean of their vectors. A limb without both joints, or of no length,
    leaves no trace.

    >>> points = torch.tensor([[[[0.0, 1.0], [4.0, 1.0]]]])
    >>> affinity_fields(points, torch.ones(1, 1, 2), [(0, 1)], size=(3, 6), width=0.5)[0, 0, 0]
    tensor([[0., 0., 0., 0., 0., 0.],
            [1., 1., 1., 1., 1., 0.],
            [0., 0., 0., 0., 0., 0.]])
    """
    first, second = torch.tensor(bones, dtype=torch.int64).reshape(-1, 2).T
    there_BNK = seen_BNK.bool() & points_BNK2.isfinite().all(-1)
    points_BNK2 = points_BNK2.nan_to_num(0.0, 0.0, 0.0)
    start, along = points_BNK2[:, :, first], points_BNK2[:, :, second] - points_BNK2[:, :, first]
    length = along.norm(dim=-1, keepdim=True)
    is_limb = there_BNK[:, :, first] & there_BNK[:, :, second] & (length[..., 0] > 0)
    unit_BNL2 = torch.where(is_limb[..., None], along / length.clamp(min=1e-9), 0.0)
    on_BNLHW = _within(start, unit_BNL2, length, size=size, width=width)
    on_BNLHW &= is_limb[..., None, None]
    count_BLHW = on_BNLHW.sum(1).clamp(min=1)
    total = torch.einsum("bnlhw,bnlc->blchw", on_BNLHW.to(unit_BNL2), unit_BNL2)
    return total / count_BLHW[:, :, None]


def _within(
    start: Tensor, unit: Tensor, length: Tensor, *, size: tuple[int, int], width: float
) -> Tensor:
    """Whether each cell lies within `width` of the line: (.., H, W)."""
    rows, cols = (torch.arange(n, device=start.device, dtype=start.dtype) for n in size)
    x = cols - start[..., 0, None, None]
    y = rows[:, None] - start[..., 1, None, None]
    ux, uy = unit[..., 0, None, None], unit[..., 1, None, None]
    ahead = (x * ux + y * uy).clamp(min=0)
    ahead = torch.minimum(ahead, length[..., None])
    return (x - ahead * ux) ** 2 + (y - ahead * uy) ** 2 <= width**2


def line_integral(field_2HW: Tensor, starts_P2: Tensor, ends_P2: Tensor) -> Tensor:
    """A limb's field, pairs of points in cells -> scores_P in [-1, 1]: the mean, over ten points
    from start to end, of the field's share in that direction. Pairs without a length score 0.

    >>> field = torch.tensor([0.8, 0.6])[:, None, None].expand(2, 5, 9)
    >>> line_integral(field, torch.tensor([[1.0, 2.0]]), torch.tensor([[7.0, 2.0]]))
    tensor([0.8000])
    """
    height, width = field_2HW.shape[-2:]
    along_P2 = ends_P2 - starts_P2
    steps_S1 = torch.linspace(0, 1, SAMPLES, device=along_P2.device, dtype=along_P2.dtype)[:, None]
    where_PS2 = starts_P2[:, None] + steps_S1 * along_P2[:, None]
    scale = where_PS2.new_tensor([2 / width, 2 / height])
    found_PS2 = F.grid_sample(
        field_2HW[None], ((where_PS2 + 0.5) * scale - 1)[None], align_corners=False,
        padding_mode="border",
    )[0].permute(1, 2, 0)  # fmt: skip
    unit_P2 = along_P2 / along_P2.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return (found_PS2 * unit_P2[:, None]).sum(2).mean(1)
