"""Moving what is drawn on a picture as the picture moves: one 2 x 3 matrix a sample does it all.

matrix_B23 maps points x, y of the old picture to the new one, in pixels (the first pixel's centre
is at 0.5, 0.5). Known fields of batch.y, by Target's names: boxes_N4, masks_NHW, semantic_HW,
keypoints_NK2 (with visibility_NK and mirror_K), image_CHW; lists of tensors, one a sample, or
stacked tensors; masks and maps are of the picture's size.

All samples move at once, however many there are: a call each would cost more than the work, and
on a GPU a copy each. Measured by `tests/test_data_augment.py`: the number of calls does not grow.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..sample import VOID, Batch


def follow(batch: Batch, x_BCHW: Tensor, matrix_B23: Tensor) -> Batch:
    """Batch, its moved images, how they moved -> batch with the geometry of y moved alike.

    Boxes become the box around their moved corners, clipped to the picture; keypoints that leave
    it become not labelled (0). Things stay in their rows, so labels_N still match. In a mirrored
    sample a left eye is a right eye: where y has `mirror_K`, keypoints change places by it.
    """
    y = dict(batch.y)
    if MOVES.keys() & y.keys():
        size = (x_BCHW.shape[-2], x_BCHW.shape[-1])
        matrix_B23 = matrix_B23.to(x_BCHW.device)
        for name, move in MOVES.items():
            if name in y:
                y[name] = move(y[name], matrix_B23, size)
        if "keypoints_NK2" in y:
            _swap_and_hide(y, matrix_B23, size)
    return replace(batch, x=x_BCHW, y=y)


def move_points(points_N2: Tensor, matrix_23: Tensor) -> Tensor:
    """points_N2 -> points_N2 under a 2 x 3 matrix; both may have the same axes more in front.

    >>> move_points(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0, 5], [0, 1, 0]]))
    tensor([[6., 2.]])
    """
    return points_N2 @ matrix_23[..., :2].mT + matrix_23[..., None, :, 2]


def move_boxes(boxes_N4: Tensor, matrix_N23: Tensor, size: tuple[int, int]) -> Tensor:
    """boxes_N4, a matrix each -> the boxes around their moved corners, clipped to (H, W)."""
    corners_N42 = boxes_N4[:, [0, 1, 2, 1, 0, 3, 2, 3]].view(-1, 4, 2)
    moved = move_points(corners_N42, matrix_N23)
    low, high = moved.amin(1), moved.amax(1)
    edges = torch.cat([low, high], 1)
    return torch.stack([edges[:, i].clamp(0, size[1 - i % 2]) for i in range(4)], 1)


def sample_nearest(
    maps_BNHW: Tensor, matrix_B23: Tensor, size: tuple[int, int], fill: int = 0
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


def resample(x_BCHW: Tensor, matrix_B23: Tensor) -> Tensor:
    """x_BCHW -> x_BCHW moved, bilinear, zero from outside; uint8 is rounded, types stay."""
    height, width = x_BCHW.shape[-2:]
    half = torch.tensor([width / 2, height / 2], device=matrix_B23.device)
    inverse = invert(matrix_B23)
    shift = inverse[:, :, :2] @ half + inverse[:, :, 2] - half
    theta = torch.cat([inverse[:, :, :2] * half / half[:, None], (shift / half)[:, :, None]], 2)
    grid = F.affine_grid(theta.to(x_BCHW.device), list(x_BCHW.shape), align_corners=False)
    moved = F.grid_sample(x_BCHW.float(), grid, align_corners=False)
    return moved.round_().to(torch.uint8) if x_BCHW.dtype == torch.uint8 else moved.to(x_BCHW.dtype)


def _boxes(boxes: Any, matrix_B23: Tensor, size: tuple[int, int]) -> Any:
    boxes_M4, rows_M = _joined(boxes)
    return _parted(move_boxes(boxes_M4, matrix_B23[rows_M], size), boxes)


def _keypoints(points: Any, matrix_B23: Tensor, size: tuple[int, int]) -> Any:
    points_MK2, rows_M = _joined(points)
    return _parted(move_points(points_MK2, matrix_B23[rows_M]), points)


def _masks(masks: Any, matrix_B23: Tensor, size: tuple[int, int]) -> Any:
    if isinstance(masks, Tensor):
        return sample_nearest(masks, matrix_B23, size)
    masks_MHW, rows_M = _joined(masks)
    first_B = torch.searchsorted(rows_M, torch.arange(len(masks), device=rows_M.device))
    place_M = torch.arange(len(rows_M), device=rows_M.device) - first_B[rows_M]
    most = max(len(mask) for mask in masks)
    padded_BNHW = masks_MHW.new_zeros(len(masks), most, *masks_MHW.shape[1:])
    padded_BNHW[rows_M, place_M] = masks_MHW
    moved_BNHW = sample_nearest(padded_BNHW, matrix_B23, size)
    return _parted(moved_BNHW[rows_M, place_M], masks)


def _semantic(maps: Any, matrix_B23: Tensor, size: tuple[int, int]) -> Any:
    maps_BHW = maps if isinstance(maps, Tensor) else torch.stack(maps)
    moved_BHW = sample_nearest(maps_BHW[:, None], matrix_B23, size, VOID)[:, 0]
    return moved_BHW if isinstance(maps, Tensor) else list(moved_BHW)


def _pictures(images: Any, matrix_B23: Tensor, size: tuple[int, int]) -> Any:
    if isinstance(images, Tensor):
        return resample(images, matrix_B23)
    return [resample(image[None], matrix_B23[i : i + 1])[0] for i, image in enumerate(images)]


Move = Callable[[Any, Tensor, tuple[int, int]], Any]

MOVES: dict[str, Move] = {
    "boxes_N4": _boxes,
    "masks_NHW": _masks,
    "semantic_HW": _semantic,
    "keypoints_NK2": _keypoints,
    "image_CHW": _pictures,
}


def _swap_and_hide(y: dict[str, Any], matrix_B23: Tensor, size: tuple[int, int]) -> None:
    """Keypoints of mirrored samples in the places of their partners; those outside unlabelled."""
    points, seen = y["keypoints_NK2"], y.get("visibility_NK")
    points_MK2, rows_M = _joined(points)
    seen_MK = None if seen is None else _joined(seen)[0]
    if "mirror_K" in y:
        mirror_BK = y["mirror_K"]
        mirror_BK = mirror_BK if isinstance(mirror_BK, Tensor) else torch.stack(mirror_BK)
        same_K = torch.arange(mirror_BK.shape[1], device=mirror_BK.device)
        place_BK = torch.where(determinant(matrix_B23)[:, None] < 0, mirror_BK, same_K)
        place_MK = place_BK[rows_M]
        points_MK2 = points_MK2.gather(1, place_MK[..., None].expand(-1, -1, 2))
        seen_MK = None if seen_MK is None else seen_MK.gather(1, place_MK)
        y["keypoints_NK2"] = _parted(points_MK2, points)
    if seen_MK is not None:
        x_MK, y_MK = points_MK2.unbind(-1)
        inside = (x_MK >= 0) & (x_MK < size[1]) & (y_MK >= 0) & (y_MK < size[0])
        y["visibility_NK"] = _parted(torch.where(inside, seen_MK, 0), seen)


def _joined(values: Any) -> tuple[Tensor, Tensor]:
    """What B samples have, stacked or listed -> all M things in one tensor, the sample of each."""
    joined = values.flatten(0, 1) if isinstance(values, Tensor) else torch.cat(values)
    counts = torch.tensor([len(v) for v in values] if isinstance(values, list | tuple)
                          else [values.shape[1]] * len(values))  # fmt: skip
    rows_M = torch.arange(len(counts)).repeat_interleave(counts)
    return joined, rows_M.to(joined.device)


def _parted(joined: Tensor, like: Any) -> Any:
    """The inverse of `_joined`."""
    if isinstance(like, Tensor):
        return joined.view_as(like)
    return list(joined.split([len(value) for value in like]))
