"""Moving what is drawn on a picture as the picture moves: one 2 x 3 matrix a sample does it all.

matrix_B23 maps points x, y of the old picture to the new one, in pixels (the first pixel's centre
is at 0.5, 0.5). Known fields of batch.y, by Target's names: boxes_N4, masks_NHW, semantic_HW,
keypoints_NK2 (with visibility_NK), image_CHW; lists of tensors, one a sample, or stacked tensors.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..sample import Batch

VOID = 255  # semantic class of pixels that come from outside the old picture


def follow(batch: Batch, x_BCHW: Tensor, matrix_B23: Tensor) -> Batch:
    """Batch, its moved images, how they moved -> batch with the geometry of y moved alike.

    Boxes become the box around their moved corners, clipped to the picture; keypoints that leave
    it become not labelled (0). Things stay in their rows, so labels_N still match.
    """
    size = (x_BCHW.shape[-2], x_BCHW.shape[-1])
    y = dict(batch.y)
    for name, move in MOVES.items():
        if name in y:
            y[name] = _each(y[name], matrix_B23, size, move)
    if "keypoints_NK2" in y and "visibility_NK" in y:
        y["visibility_NK"] = _hide(y["visibility_NK"], y["keypoints_NK2"], size)
    return replace(batch, x=x_BCHW, y=y)


def move_points(points_N2: Tensor, matrix_23: Tensor) -> Tensor:
    """points_N2 -> points_N2 under a 2 x 3 matrix.

    >>> move_points(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0, 5], [0, 1, 0]]))
    tensor([[6., 2.]])
    """
    return points_N2 @ matrix_23[:, :2].T + matrix_23[:, 2]


def move_boxes(boxes_N4: Tensor, matrix_23: Tensor, size: tuple[int, int]) -> Tensor:
    """boxes_N4 -> the boxes around their moved corners, clipped to (H, W)."""
    corners_N42 = boxes_N4[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    moved = move_points(corners_N42.reshape(-1, 2), matrix_23).view(-1, 4, 2)
    limit = torch.tensor([size[1], size[0]], dtype=moved.dtype, device=moved.device)
    low, high = moved.amin(1), moved.amax(1)
    zero = torch.zeros_like(limit)
    return torch.cat([low.clamp(zero, limit), high.clamp(zero, limit)], 1)


def sample_nearest(
    maps_NHW: Tensor, matrix_23: Tensor, size: tuple[int, int], fill: int = 0
) -> Tensor:
    """maps_NHW -> maps_NHW moved, each pixel from the nearest old one, `fill` from outside."""
    inverse = invert(matrix_23[None])[0]
    rows, cols = (torch.arange(n, device=maps_NHW.device) + 0.5 for n in size)
    points = torch.stack(torch.meshgrid(rows, cols, indexing="ij")[::-1], -1).view(-1, 2)
    old = move_points(points, inverse.to(points)).floor().long()
    height, width = maps_NHW.shape[-2:]
    inside = (old >= 0).all(1) & (old[:, 0] < width) & (old[:, 1] < height)
    flat = old[:, 1].clamp(0, height - 1) * width + old[:, 0].clamp(0, width - 1)
    moved = maps_NHW.flatten(-2)[:, flat]
    return moved.masked_fill(~inside, fill).view(-1, *size)


def invert(matrix_B23: Tensor) -> Tensor:
    """matrix_B23 -> the matrices that undo them.

    >>> invert(torch.tensor([[[2.0, 0, 6], [0, 1, 0]]]))[0]
    tensor([[ 0.5000, -0.0000, -3.0000],
            [-0.0000,  1.0000, -0.0000]])
    """
    a, b, c, d = matrix_B23[:, :, :2].flatten(1).unbind(1)
    inverse = torch.stack([d, -b, -c, a], 1).view(-1, 2, 2) / (a * d - b * c).view(-1, 1, 1)
    return torch.cat([inverse, -(inverse @ matrix_B23[:, :, 2:])], 2)


def resample(x_BCHW: Tensor, matrix_B23: Tensor) -> Tensor:
    """x_BCHW -> x_BCHW moved, bilinear, zero from outside; uint8 is rounded, types stay."""
    height, width = x_BCHW.shape[-2:]
    half = torch.tensor([width / 2, height / 2])
    inverse = invert(matrix_B23)
    shift = inverse[:, :, :2] @ half + inverse[:, :, 2] - half
    theta = torch.cat([inverse[:, :, :2] * half / half[:, None], (shift / half)[:, :, None]], 2)
    grid = F.affine_grid(theta.to(x_BCHW.device), list(x_BCHW.shape), align_corners=False)
    moved = F.grid_sample(x_BCHW.float(), grid, align_corners=False)
    return moved.round_().to(torch.uint8) if x_BCHW.dtype == torch.uint8 else moved.to(x_BCHW.dtype)


def _semantic(map_HW: Tensor, matrix_23: Tensor, size: tuple[int, int]) -> Tensor:
    return sample_nearest(map_HW[None], matrix_23, size, VOID)[0]


def _keypoints(points_NK2: Tensor, matrix_23: Tensor, size: tuple[int, int]) -> Tensor:
    return move_points(points_NK2.reshape(-1, 2), matrix_23).view_as(points_NK2)


def _picture(image_CHW: Tensor, matrix_23: Tensor, size: tuple[int, int]) -> Tensor:
    return resample(image_CHW[None], matrix_23[None].cpu())[0]


Move = Callable[[Tensor, Tensor, tuple[int, int]], Tensor]

MOVES: dict[str, Move] = {
    "boxes_N4": move_boxes,
    "masks_NHW": sample_nearest,
    "semantic_HW": _semantic,
    "keypoints_NK2": _keypoints,
    "image_CHW": _picture,
}


def _each(values: Any, matrix_B23: Tensor, size: tuple[int, int], move: Move) -> Any:
    """Move every sample's value; a stacked tensor comes back stacked, a list as a list."""
    moved = [move(value, matrix_B23[i].to(value.device), size) for i, value in enumerate(values)]
    return torch.stack(moved) if isinstance(values, Tensor) else moved


def _hide(visibility: Any, points: Any, size: tuple[int, int]) -> Any:
    hidden = []
    for seen, point in zip(visibility, points, strict=True):
        inside = (point[..., 0] >= 0) & (point[..., 0] < size[1])
        inside &= (point[..., 1] >= 0) & (point[..., 1] < size[0])
        hidden.append(torch.where(inside, seen, 0))
    return torch.stack(hidden) if isinstance(visibility, Tensor) else hidden
