"""RoI pooling, Fast R-CNN (arXiv:1504.08083): the largest value in each bin of a region of a map.

A box is rounded to whole cells, both ends included, and cut into size x size bins, which share
cells where the box does not come out even. The largest value of any rectangle is the largest of
four windows of sides 2^a x 2^b in its corners, and that of a window is the larger of two half as
large. So the bins of all boxes and sizes are answered while windows double, one table at a time.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..core.numbers import check_counts, check_positive
from ..core.parts import Part
from ._regions import check_regions

PARTS = {
    "RoI pooling": Part(
        "Detection and segmentation", "sn.nn.roi_pool",
        "the largest value in each of size x size bins of a box, rounded to cells", "003 004",
    )
}  # fmt: skip


def roi_pool(x_BCHW: Tensor, boxes_BP4: Tensor, size: int = 7, *, stride: float = 1.0) -> Tensor:
    """x_BCHW and boxes of each image in pixels (a cell has `stride`) -> (B, P, C, size, size).

    Bins without a cell are 0, and so is a box that is not finite. Gradients go to the largest cell,
    of equals to one of them. Raises UsageError where there are not boxes for each image.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> roi_pool(x, torch.tensor([[[0.0, 0, 2, 3]]]), 2)[0, 0, 0].tolist()
    [[5.0, 6.0], [13.0, 14.0]]
    """
    return roi_pools(x_BCHW, boxes_BP4, (size,), stride=stride)[0]


def roi_pools(
    x_BCHW: Tensor, boxes_BP4: Tensor, sizes: Sequence[int], *, stride: float = 1.0
) -> list[Tensor]:
    """`roi_pool` for several sizes, which costs little more than one: each (B, P, C, size, size).

    >>> pooled = roi_pools(torch.zeros(1, 3, 4, 4), torch.tensor([[[0.0, 0, 2, 3]]]), (3, 1))
    >>> [tuple(one.shape) for one in pooled]
    [(1, 1, 3, 3, 3), (1, 1, 3, 1, 1)]
    """
    for size in sizes:
        check_counts(size=size)
    check_positive(stride=stride)
    check_regions(x_BCHW, boxes_BP4)
    ends_BP4 = boxes_BP4.detach() / stride
    far = 4.0 * max(sizes) * max(x_BCHW.shape[2:])  # what lies farther out is out as well
    cells_BP4 = torch.nan_to_num(ends_BP4).clamp(-far, far)
    cells_BP4 = (cells_BP4 + 0.5 * cells_BP4.sign()).trunc().long()
    bins = [_rectangles(cells_BP4, x_BCHW.shape[2:], size) for size in sizes]
    there_BP11 = ends_BP4.isfinite().all(-1)[..., None, None]
    found_BPQC = _largest(x_BCHW, torch.cat(bins, 2) * there_BP11)
    parts = found_BPQC.split([size * size for size in sizes], 2)
    return [
        part.transpose(2, 3).unflatten(3, (size, size))
        for part, size in zip(parts, sizes, strict=True)
    ]


def _rectangles(cells_BP4: Tensor, sides: Sequence[int], size: int) -> Tensor:
    """Cells of boxes, sides of the map -> of each bin its first row and column, and how many rows
    and columns it has: (B, P, size * size, 4).
    """
    left, top, right, bottom = cells_BP4.unbind(-1)
    y, down = _bins(top, bottom, sides[0], size)
    x, across = _bins(left, right, sides[1], size)
    each = y[..., :, None], x[..., None, :], down[..., :, None], across[..., None, :]
    return torch.stack(torch.broadcast_tensors(*each), -1).flatten(2, 3)


def _bins(low: Tensor, high: Tensor, length: int, size: int) -> tuple[Tensor, Tensor]:
    """First and last cell -> where each bin begins (.., size), and its cells inside the map."""
    count = (high - low + 1).clamp(min=1)[..., None]
    bins = torch.arange(size, device=low.device)
    begin = low[..., None] + bins * count // size
    end = low[..., None] - (-(bins + 1) * count // size)
    begin, end = begin.clamp(0, length), end.clamp(0, length)
    return begin.clamp(max=length - 1), end - begin


def _largest(x_BCHW: Tensor, bins_BPQ4: Tensor) -> Tensor:
    """The largest value in each rectangle, 0 where it is empty, (B, P, Q, C).

    Only its place is searched for where it is to be learned from: so no table is kept for later.
    """
    x_BHWC = x_BCHW.permute(0, 2, 3, 1).contiguous()
    image = torch.arange(len(x_BHWC), device=x_BHWC.device)[:, None, None]
    image_K = image.expand(bins_BPQ4.shape[:3]).flatten()
    learns = torch.is_grad_enabled() and x_BCHW.requires_grad
    with torch.no_grad():
        maps = [x_BHWC.detach()]
        if learns:
            cells = torch.arange(x_BHWC[..., 0].numel(), dtype=torch.int32, device=x_BHWC.device)
            maps.append(cells.view(x_BHWC.shape[:3])[..., None].expand_as(x_BHWC).contiguous())
        found_KC, *place_KC = _search(maps, image_K, bins_BPQ4.flatten(0, 2))
    for place in place_KC:
        empty_K1 = (bins_BPQ4[..., 2:] < 1).any(-1).flatten()[:, None]
        found_KC = x_BHWC.flatten(0, 2).gather(0, place.long()).masked_fill(empty_K1, 0)
    return found_KC.unflatten(0, bins_BPQ4.shape[:3])


def _search(maps: list[Tensor], image_K: Tensor, bins_K4: Tensor) -> list[Tensor]:
    """Values and what goes with them (B, H, W, C) -> those of each rectangle's largest (K, C)."""
    found = [m.new_zeros(len(bins_K4), m.shape[3]) for m in maps]
    full_K = (bins_K4[:, 2:] > 0).all(1)
    powers_K2 = _power(bins_K4[:, 2:])
    last = dict(powers_K2[full_K].unique(dim=0).tolist())  # of each a the largest b, which is last
    for a, b, tables in _windows(maps, last):
        side_2 = powers_K2.new_tensor([a, b])
        asks = (full_K & (powers_K2 == side_2).all(1)).nonzero()[:, 0]
        first_N2, more_N2 = bins_K4[asks].split(2, 1)
        more_N2 = more_N2 - 2**side_2
        high, wide = tables[0].shape[1:3]
        best: list[Tensor] = []
        for corner in ([0, 0], [0, 1], [1, 0], [1, 1]):
            y, x = (first_N2 + more_N2 * more_N2.new_tensor(corner)).unbind(1)
            row = (image_K[asks] * high + y) * wide + x
            here = [table.flatten(0, 2).index_select(0, row) for table in tables]
            best = _larger(best, here) if best else here
        for whole, some in zip(found, best, strict=True):
            whole[asks] = some
    return found


def _windows(maps: list[Tensor], last: dict[int, int]) -> Iterator[tuple[int, int, list[Tensor]]]:
    """All windows of sides 2^a x 2^b for b up to last[a]: a, b, the largest in each of them."""
    tall = maps
    for a in range(max(last, default=-1) + 1):
        if a:
            half = 2 ** (a - 1)
            tall = _larger([m[:, :-half] for m in tall], [m[:, half:] for m in tall])
        wide = tall
        for b in range(last.get(a, -1) + 1):
            if b:
                half = 2 ** (b - 1)
                wide = _larger([m[:, :, :-half] for m in wide], [m[:, :, half:] for m in wide])
            yield a, b, wide


def _larger(one: list[Tensor], two: list[Tensor]) -> list[Tensor]:
    """Values and what goes with them -> the larger, of equals the first; NaN is larger."""
    value, *rest = one
    if not rest:
        return [torch.maximum(value, two[0])]
    second = (two[0] > value) | two[0].isnan()
    return [
        torch.maximum(value, two[0]),
        *(torch.where(second, b, a) for a, b in zip(rest, two[1:], strict=True)),
    ]


def _power(count: Tensor) -> Tensor:
    """The largest a with 2^a <= count; exact, as counts are far below 2^24."""
    return count.clamp(min=1).float().log2().floor().long()
