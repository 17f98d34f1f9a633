"""Moving what is drawn on a picture as the picture moves, all samples of a batch at once; and where
the picture lies in its input (`Batch.extent_B4`), the box around what it becomes.

Known fields of batch.y, by Target's names, with or without the axes (`boxes_N4` or `boxes`):
boxes_N4, masks_NHW, semantic_HW, keypoints_NK2 (with visibility_NK and mirror_K), image_CHW; lists
of tensors, one a sample, or stacked tensors. Maps may be coarser or finer than the picture.
Fields whose axes begin with N (labels, ignored_N, ids_N ...) hold a row for each thing.

Measured by `tests/test_data_augment.py`: the number of calls does not grow with the batch.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...core.errors import DataError
from ..sample import DROPPED, VOID, Batch
from ._base import beside
from ._geometry import determinant, is_exact, move_boxes, move_points, resample, rescaled
from ._geometry import sample_nearest as nearest

LEAST = 0.1  # a box of which less than this share is still inside is no longer there
THINGS = {"boxes", "labels", "ignored", "masks", "keypoints", "visibility"}
AXES = re.compile(r"_([A-Z][A-Z0-9]*)$")

Size = tuple[int, int]


def follow(batch: Batch, x_BCHW: Tensor, matrix_B23: Tensor) -> Batch:
    """Batch, its moved images, how they moved -> batch with the geometry of y moved alike.

    Boxes become the box around their moved corners, clipped to the picture; where they are lists,
    a thing with less than LEAST of its box inside, or with no pixel of its mask, leaves all fields
    that have a row for it, and is counted in y["dropped_B"]; stacked, it keeps its row, and its
    box may be empty. A box that had no area before stays: it is not ours to judge.
    Keypoints outside become not labelled (0). In a mirrored sample a left eye is a right eye:
    where y has `mirror_K`, keypoints change places by it.

    Raises DataError where the fields of a thing do not have one row each, and for a map of the
    picture's size under a name that is not known: it would be left behind.

    >>> boxes_N4 = torch.tensor([[0.0, 0, 4, 4], [4, 4, 8, 8]])
    >>> y = {"boxes": [boxes_N4], "labels": [torch.tensor([5, 6])]}
    >>> batch = Batch(torch.zeros(1, 1, 8, 8), y, torch.tensor([0]), torch.tensor([[8, 8]]))
    >>> moved = follow(batch, batch.x, torch.tensor([[[1.0, 0, 4], [0, 1, 0]]]))
    >>> moved.y["boxes"], moved.y["labels"], moved.y["dropped_B"]
    ([tensor([[4., 0., 8., 4.]])], [tensor([5])], tensor([1]))
    """
    if not is_drawn_on(batch):
        return replace(batch, x=x_BCHW)
    sizes = (_size(batch.x), _size(x_BCHW))
    new = replace(batch, x=x_BCHW, extent_B4=_moved_extent(batch.extent_B4, matrix_B23, sizes[1]))
    there = [name for name, value in batch.y.items() if len(batch) or isinstance(value, Tensor)]
    names = {AXES.sub("", name): name for name in there}  # lists of no samples have nothing to move
    _refuse_unknown_maps(batch, names)
    if not names.keys() & {"boxes", *MOVES}:
        return new
    y = dict(batch.y)
    matrix_B23 = beside(matrix_B23, x_BCHW)
    for stem, move in MOVES.items():
        if stem in names:
            y[names[stem]] = move(y[names[stem]], matrix_B23, sizes)
    if "keypoints" in names:
        _swap_and_hide(y, names, matrix_B23, sizes[1])
    if "boxes" in names:
        boxes, share_M = move_all_boxes(y[names["boxes"]], matrix_B23, sizes[1])
        y[names["boxes"]] = boxes
        _drop(y, names, batch.y, share_M)
    return replace(new, y=y)


def is_drawn_on(batch: Batch) -> bool:
    """Whether a batch says more of its pictures than a class: something may have to move."""
    return bool(batch.y.keys() - {"label"}) or batch.extent_B4 is not None


def move_all_boxes(boxes: Any, matrix_B23: Tensor, size: Size) -> tuple[Any, Tensor]:
    """The boxes of B samples, listed or stacked -> (moved alike, share_M that is inside)."""
    boxes_M4, rows_M = _joined(boxes)
    boxes_M4 = _floating(boxes_M4.reshape(-1, 4))
    moved_M4, share_M = move_boxes(boxes_M4, matrix_B23.to(boxes_M4)[rows_M], size)
    return _parted(moved_M4, boxes), share_M


def _moved_extent(extent_B4: Tensor | None, matrix_B23: Tensor, size: Size) -> Tensor | None:
    if extent_B4 is None:
        return None
    return move_boxes(beside(extent_B4, matrix_B23), matrix_B23, size)[0]


def _drop(y: dict[str, Any], names: dict[str, str], old: dict[str, Any], share_M: Tensor) -> None:
    """Take the things that left out of every field that has a row for each."""
    if isinstance(y[names["boxes"]], Tensor):
        return
    joined, rows_M = _joined(y[names["boxes"]])
    counts = [len(boxes) for boxes in y[names["boxes"]]]
    gone_M = share_M < LEAST  # not of NaN: such a box stays, to be found
    if "masks" in names:
        _check_rows(names["masks"], y[names["masks"]], counts)
        before, now = (_joined(v[names["masks"]])[0].flatten(1).any(1) for v in (old, y))
        gone_M = gone_M | (before & ~now)
    gone_B = torch.zeros(len(counts), dtype=torch.int64, device=joined.device)
    gone_B = gone_B.index_add(0, rows_M, gone_M.long()).cpu()
    y[DROPPED] = gone_B + y.get(DROPPED, torch.zeros_like(gone_B)).cpu()
    left = (torch.tensor(counts) - gone_B).tolist()
    if left == counts:
        return
    for name, value in y.items():
        if isinstance(value, list | tuple) and _has_row_a_thing(name):
            _check_rows(name, value, counts)
            y[name] = list(_joined(value)[0][~gone_M].split(left))


def _refuse_unknown_maps(batch: Batch, names: dict[str, str]) -> None:
    for stem in names.keys() - KNOWN:
        value = batch.y[names[stem]]
        if isinstance(value, Tensor) and value.ndim > 2 and _size(value) == _size(batch.x):
            raise DataError(
                f"y[{names[stem]!r}] has the picture's size, and augmentation does not know how "
                f"it moves; call it masks, semantic or image, or make it in `loss`"
            )


def _has_row_a_thing(name: str) -> bool:
    axes = AXES.search(name)
    return axes[1].startswith("N") if axes else name in THINGS


def _check_rows(name: str, value: Any, counts: list[int]) -> None:
    for i, (rows, count) in enumerate(zip(value, counts, strict=True)):
        if len(rows) != count:
            raise DataError(
                f"sample {i} of the batch has {count} boxes and {len(rows)} rows of {name}; "
                "encode one row a thing"
            )


def _keypoints(points: Any, matrix_B23: Tensor, sizes: tuple[Size, Size]) -> Any:
    points_MK2, rows_M = _joined(points)
    points_MK2 = _floating(points_MK2)
    return _parted(move_points(points_MK2, matrix_B23.to(points_MK2)[rows_M]), points)


def _masks(masks: Any, matrix_B23: Tensor, sizes: tuple[Size, Size]) -> Any:
    if isinstance(masks, Tensor):
        return _nearest(masks, matrix_B23, sizes)
    masks_MHW, rows_M = _joined(masks)
    if not len(masks_MHW):
        return _empty_masks(masks, sizes)
    first_B = torch.searchsorted(rows_M, torch.arange(len(masks), device=rows_M.device))
    place_M = torch.arange(len(rows_M), device=rows_M.device) - first_B[rows_M]
    most = max(len(mask) for mask in masks)
    padded_BNHW = masks_MHW.new_zeros(len(masks), most, *masks_MHW.shape[1:])
    padded_BNHW[rows_M, place_M] = masks_MHW
    moved_MHW = _nearest(padded_BNHW, matrix_B23, sizes)[rows_M, place_M]
    return list(moved_MHW.split([len(mask) for mask in masks]))


def _empty_masks(masks: Any, sizes: tuple[Size, Size]) -> list[Tensor]:
    return [mask.new_zeros(0, *_fitted(mask, sizes)[0]) for mask in masks]


def _semantic(maps: Any, matrix_B23: Tensor, sizes: tuple[Size, Size]) -> Any:
    maps_BHW = maps if isinstance(maps, Tensor) else torch.stack(list(maps))
    moved_BHW = _nearest(maps_BHW[:, None], matrix_B23, sizes, VOID)[:, 0]
    return moved_BHW if isinstance(maps, Tensor) else list(moved_BHW)


def _nearest(
    maps_BNHW: Tensor, matrix_B23: Tensor, sizes: tuple[Size, Size], fill: int = 0
) -> Tensor:
    size, ratios = _fitted(maps_BNHW, sizes)
    if ratios != ((1, 1), (1, 1)):
        matrix_B23 = rescaled(matrix_B23.cpu(), *ratios).to(matrix_B23.device)
    return nearest(maps_BNHW, matrix_B23, size, fill=fill)


def _pictures(images: Any, matrix_B23: Tensor, sizes: tuple[Size, Size]) -> Any:
    if not isinstance(images, Tensor):
        rows = enumerate(images)
        return [_pictures(image[None], matrix_B23[i : i + 1], sizes)[0] for i, image in rows]
    size, ratios = _fitted(images, sizes)
    matrix_B23 = matrix_B23.cpu()
    if ratios != ((1, 1), (1, 1)):
        matrix_B23 = rescaled(matrix_B23, *ratios)
    if is_exact(matrix_B23):
        return nearest(images, beside(matrix_B23, images), size)
    return resample(images, matrix_B23, size=size)


def _fitted(
    maps: Tensor, sizes: tuple[Size, Size]
) -> tuple[Size, tuple[tuple[float, float], tuple[float, float]]]:
    """Maps, the picture's size before and after -> (the maps' size after, their ratios to both)."""
    (height, width), (new_height, new_width) = sizes
    low, wide = _size(maps)
    size = (round(low * new_height / height), round(wide * new_width / width))
    return size, ((low / height, wide / width), (size[0] / new_height, size[1] / new_width))


Move = Callable[[Any, Tensor, tuple[Size, Size]], Any]

MOVES: dict[str, Move] = {
    "masks": _masks,
    "semantic": _semantic,
    "keypoints": _keypoints,
    "image": _pictures,
}
KNOWN = {"mirror", *THINGS, *MOVES}


def _swap_and_hide(
    y: dict[str, Any], names: dict[str, str], matrix_B23: Tensor, size: Size
) -> None:
    """Keypoints of mirrored samples in the places of their partners; those outside unlabelled."""
    points = y[names["keypoints"]]
    seen = y[names["visibility"]] if "visibility" in names else None
    points_MK2, rows_M = _joined(points)
    seen_MK = None if seen is None else _joined(seen)[0]
    if "mirror" in names:
        mirror_BK = y[names["mirror"]]
        mirror_BK = mirror_BK if isinstance(mirror_BK, Tensor) else torch.stack(list(mirror_BK))
        same_K = torch.arange(mirror_BK.shape[1], device=mirror_BK.device)
        place_BK = torch.where(determinant(matrix_B23)[:, None] < 0, mirror_BK, same_K)
        place_MK = place_BK[rows_M]
        points_MK2 = points_MK2.gather(1, place_MK[..., None].expand(-1, -1, 2))
        seen_MK = None if seen_MK is None else seen_MK.gather(1, place_MK)
        y[names["keypoints"]] = _parted(points_MK2, points)
    if seen_MK is not None:
        x_MK, y_MK = points_MK2.unbind(-1)
        inside = (x_MK >= 0) & (x_MK < size[1]) & (y_MK >= 0) & (y_MK < size[0])
        y[names["visibility"]] = _parted(torch.where(inside, seen_MK, 0), seen)


def _size(maps: Tensor) -> Size:
    return maps.shape[-2], maps.shape[-1]


def _floating(values: Tensor) -> Tensor:
    return values if values.is_floating_point() else values.float()


def _joined(values: Any) -> tuple[Tensor, Tensor]:
    """What B samples have, stacked or listed -> all M things in one tensor, the sample of each."""
    joined = values.flatten(0, 1) if isinstance(values, Tensor) else torch.cat(list(values))
    counts = [len(v) for v in values]
    rows_M = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.int64))
    return joined, beside(rows_M, joined)


def _parted(joined: Tensor, like: Any) -> Any:
    """The inverse of `_joined`."""
    if isinstance(like, Tensor):
        return joined.view_as(like)
    return list(joined.split([len(value) for value in like]))
