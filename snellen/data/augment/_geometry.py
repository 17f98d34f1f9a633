"""How points, boxes and maps move with a picture: one 2 x 3 matrix a sample does it all.

matrix_B23 maps points x, y of the old picture to the new one, in pixels (the first pixel's centre
is at 0.5, 0.5). All samples move at once, however many there are: a call each would cost more than
the work, and on a GPU a copy each.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ._base import beside


def move_points(points_N2: Tensor, matrix_23: Tensor) -> Tensor:
    """points_N2 -> points_N2 under a 2 x 3 matrix; both may have the same axes more in front.

    >>> move_points(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0, 5], [0, 1, 0]]))
    tensor([[6., 2.]])
    """
    return points_N2 @ matrix_23[..., :2].mT + matrix_23[..., None, :, 2]


def move_boxes(
    boxes_N4: Tensor, matrix_N23: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """boxes_N4, a matrix each -> (boxes_N4 around their moved corners, clipped to H, W; share_N).

    The share is what lies inside the picture, of the area of the moved box; 1 where a box has no
    area that could be lost.

    >>> right = torch.tensor([[[1.0, 0, 3], [0, 1, 0]]])
    >>> move_boxes(torch.tensor([[0.0, 0, 4, 2]]), right, (6, 5))
    (tensor([[3., 0., 5., 2.]]), tensor([0.5000]))
    """
    corners_N42 = boxes_N4[:, [0, 1, 2, 1, 0, 3, 2, 3]].view(-1, 4, 2)
    moved = move_points(corners_N42, matrix_N23)
    low, high = moved.amin(1), moved.amax(1)
    edges = torch.cat([low, high], 1)
    clipped = torch.stack([edges[:, i].clamp(0, size[1 - i % 2]) for i in range(4)], 1)
    whole_N = (high - low).prod(1)
    seen_N = (clipped[:, 2:] - clipped[:, :2]).prod(1)
    return clipped, torch.where(whole_N > 0, seen_N / whole_N, 1.0)


def sample_nearest(
    maps_BNHW: Tensor, matrix_B23: Tensor, size: tuple[int, int], *, fill: int = 0
) -> Tensor:
    """maps_BNHW -> maps_BNHW moved, each pixel from the nearest old one, `fill` from outside."""
    rows, cols = (torch.arange(n, device=maps_BNHW.device) + 0.5 for n in size)
    points = torch.stack(torch.meshgrid(rows, cols, indexing="ij")[::-1], -1).view(-1, 2)
    old_BP2 = move_points(points, invert(matrix_B23).to(points)).floor_()
    height, width = maps_BNHW.shape[-2:]
    x_BP, y_BP = old_BP2.unbind(-1)
    outside = (x_BP < 0) | (y_BP < 0) | (x_BP >= width) | (y_BP >= height)
    place_BP = (y_BP.clamp(0, height - 1) * width + x_BP.clamp(0, width - 1)).long()
    flat = maps_BNHW.flatten(-2)
    moved = flat.gather(-1, place_BP[:, None].expand(-1, flat.shape[1], -1))
    return moved.masked_fill(outside[:, None], fill).unflatten(-1, size)


def invert(matrix_B23: Tensor) -> Tensor:
    """matrix_B23 -> the matrices that undo them.

    >>> invert(torch.tensor([[[2.0, 0, 6], [0, 1, 0]]]))[0]
    tensor([[ 0.5000, -0.0000, -3.0000],
            [-0.0000,  1.0000, -0.0000]])
    """
    a, b, c, d = matrix_B23[:, :, :2].flatten(1).unbind(1)
    inverse = torch.stack([d, -b, -c, a], 1).view(-1, 2, 2) / determinant(matrix_B23)[:, None, None]
    return torch.cat([inverse, -(inverse @ matrix_B23[:, :, 2:])], 2)


def determinant(matrix_B23: Tensor) -> Tensor:
    """matrix_B23 -> how much areas grow, (B,); negative where left and right change places.

    >>> determinant(torch.tensor([[[-1.0, 0, 6], [0, 1, 0]]]))
    tensor([-1.])
    """
    a, b, c, d = matrix_B23[:, :, :2].flatten(1).unbind(1)
    return a * d - b * c


def resample(
    x_BCHW: Tensor,
    matrix_B23: Tensor,
    *,
    size: tuple[int, int] | None = None,
    repeats_edge: bool = False,
) -> Tensor:
    """x_BCHW -> x_BCHW moved, bilinear, of `size` or as it was; uint8 is rounded, types stay.

    From outside comes zero, or the pixel at the edge where that is asked for.
    """
    height, width = x_BCHW.shape[-2:]
    shape = [*x_BCHW.shape[:2], *(size or (height, width))]
    if not len(x_BCHW):  # affine_grid refuses a batch of nothing
        return x_BCHW.new_zeros(shape)
    half = torch.tensor([width / 2, height / 2], device=matrix_B23.device)
    inverse = invert(matrix_B23)
    middle = half if size is None else half.new_tensor([size[1] / 2, size[0] / 2])
    shift = inverse[:, :, :2] @ middle + inverse[:, :, 2] - half
    linear = inverse[:, :, :2] * middle / half[:, None]
    theta = torch.cat([linear, (shift / half)[:, :, None]], 2)
    grid = F.affine_grid(beside(theta, x_BCHW), shape, align_corners=False)
    outside = "border" if repeats_edge else "zeros"
    moved = F.grid_sample(x_BCHW.float(), grid, padding_mode=outside, align_corners=False)
    return moved.round_().to(torch.uint8) if x_BCHW.dtype == torch.uint8 else moved.to(x_BCHW.dtype)


def is_exact(matrix_B23: Tensor) -> bool:
    """Whether pixels land on pixels: mirrors, quarter turns and shifts by whole pixels.

    >>> is_exact(torch.tensor([[[-1.0, 0, 8], [0, 1, 0]]]))
    True
    >>> is_exact(torch.tensor([[[1.0, 0, 0.5], [0, 1, 0]]]))
    False
    """
    whole = bool((matrix_B23 == matrix_B23.round()).all())
    return whole and bool((determinant(matrix_B23).abs() == 1).all())


def rescaled(matrix_B23: Tensor, old: tuple[float, float], new: tuple[float, float]) -> Tensor:
    """matrix_B23 of a picture -> that of a map whose (height, width) are `old` times the picture's
    before the move and `new` times after it.

    >>> shift = torch.tensor([[[1.0, 0, 8], [0, 1, 0]]])
    >>> rescaled(shift, (0.5, 0.5), (0.5, 0.5)).tolist()
    [[[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]]]
    """
    after = torch.tensor([new[1], new[0]])[:, None]
    before = torch.tensor([1 / old[1], 1 / old[0], 1.0])
    return matrix_B23 * after * before
