"""RoI pooling and RoIAlign against loops over every bin and sample, and against closed forms."""

import math

import pytest
import torch

from snellen.nn.region_align import pyramid_align, pyramid_level, roi_align
from snellen.nn.region_pool import roi_pool, roi_pools

ODD = torch.tensor([
    [5.0, 5, 5, 5], [9, 9, 4, 4], [-40, -40, -20, -20], [200, 3, 240, 9], [-9, -9, 90, 90],
    [0, 0, 0, 30], [math.nan, 0, 4, 4], [0, 0, math.inf, 4], [1e30, 0, 2e30, 4],
])  # fmt: skip


def drawn(seed=0, images=2, boxes=12, size=(9, 13), stride=2.0):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(images, 3, *size, generator=random, dtype=torch.float64)
    extent = torch.tensor([size[1], size[0]]) * stride
    low = (torch.rand(images, boxes, 2, generator=random) * 1.4 - 0.3) * extent
    high = low + torch.rand(images, boxes, 2, generator=random) * extent * 0.8
    return x, torch.cat([low, high], -1).double()


def point(map_HW, y, x):
    """Bilinear, as torchvision's kernel has it."""
    height, width = map_HW.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    v, u = y - y0, x - x0
    top = map_HW[y0, x0] * (1 - u) + map_HW[y0, x1] * u
    return top * (1 - v) + (map_HW[y1, x0] * (1 - u) + map_HW[y1, x1] * u) * v


def aligned_in_loops(x, boxes, size, stride, samples, aligned):
    out = x.new_zeros(*boxes.shape[:2], x.shape[1], size, size)
    for b, p in ((b, p) for b in range(len(x)) for p in range(boxes.shape[1])):
        x1, y1, x2, y2 = (boxes[b, p] / stride - (0.5 if aligned else 0)).tolist()
        wide, high = x2 - x1, y2 - y1
        if not aligned:
            wide, high = max(wide, 1), max(high, 1)
        for c in range(x.shape[1]):
            for i in range(size):
                for j in range(size):
                    places = [
                        (y1 + (i + (k + 0.5) / samples) * high / size,
                         x1 + (j + (m + 0.5) / samples) * wide / size)
                        for k in range(samples) for m in range(samples)
                    ]  # fmt: skip
                    out[b, p, c, i, j] = sum(point(x[b, c], *q) for q in places) / len(places)
    return out


def pooled_in_loops(x, boxes, size, stride):
    def away(value):
        return int(math.copysign(math.floor(abs(value) + 0.5), value))

    out = x.new_zeros(*boxes.shape[:2], x.shape[1], size, size)
    height, width = x.shape[2:]
    for b, p in ((b, p) for b in range(len(x)) for p in range(boxes.shape[1])):
        x1, y1, x2, y2 = (away(v) for v in (boxes[b, p] / stride).tolist())
        wide, high = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
        for i in range(size):
            rows = (y1 + i * high // size, y1 + math.ceil((i + 1) * high / size))
            top, bottom = (min(max(r, 0), height) for r in rows)
            for j in range(size):
                cols = (x1 + j * wide // size, x1 + math.ceil((j + 1) * wide / size))
                left, right = (min(max(c, 0), width) for c in cols)
                if top < bottom and left < right:
                    out[b, p, :, i, j] = x[b, :, top:bottom, left:right].amax((1, 2))
    return out


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples", "stride"), [(3, 2, 2.0), (2, 1, 4.0), (1, 3, 1.0)])
def test_align_is_the_loop(size, samples, stride, aligned):
    x, boxes = drawn(stride=stride)
    found = roi_align(x, boxes, size, stride=stride, samples=samples, aligned=aligned)
    wanted = aligned_in_loops(x, boxes, size, stride, samples, aligned)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("size", "stride"), [(3, 2.0), (7, 2.0), (1, 4.0), (2, 1.0)])
def test_pool_is_the_loop(size, stride):
    x, boxes = drawn(stride=stride)
    assert torch.equal(roi_pool(x, boxes, size, stride=stride),
                       pooled_in_loops(x, boxes, size, stride))  # fmt: skip


def test_pools_of_several_sizes_and_their_gradients_are_those_of_the_loop():
    """Regions of up to the whole map: windows of up to 32 x 32 cells."""
    x, boxes = drawn(1, boxes=9, size=(37, 45))
    boxes[0, 0] = torch.tensor([0.0, 0, 89, 73])
    random, wanted = torch.Generator().manual_seed(0), []
    found = roi_pools(x.requires_grad_(), boxes, (6, 3, 1), stride=2.0)
    weights = [torch.randn(one.shape, generator=random).double() for one in found]
    sum((one * w).sum() for one, w in zip(found, weights, strict=True)).backward()
    mine, x.grad = x.grad, None
    for size, one, w in zip((6, 3, 1), found, weights, strict=True):
        wanted.append(pooled_in_loops(x, boxes, size, 2.0))
        assert torch.equal(one, wanted[-1])
        assert torch.equal(roi_pool(x.detach(), boxes, size, stride=2.0), one)
        (wanted[-1] * w).sum().backward()
    torch.testing.assert_close(mine, x.grad)


def test_of_equal_cells_one_learns_and_what_is_no_number_is_told():
    flat = torch.zeros(1, 1, 8, 8, requires_grad=True)
    box = torch.tensor([[[0.0, 0, 6, 6]]])
    roi_pool(flat, box, 1).sum().backward()
    assert sorted(flat.grad.flatten().unique().tolist()) == [0, 1]
    assert flat.grad.sum() == 1
    lost = torch.zeros(1, 1, 8, 8)
    lost[0, 0, 5, 1] = math.nan
    for learns in (False, True):
        found = roi_pool(lost.clone().requires_grad_(learns), box, 2)[0, 0, 0]
        assert found.isnan().tolist() == [[False, False], [True, False]]


def test_align_of_a_ramp_is_the_ramp_in_the_middle_of_each_bin():
    """Bilinear samples of a plane are the plane: the closed form."""
    rows, cols = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    plane = (3 * (rows + 0.5) - 2 * (cols + 0.5))[None, None].double()
    box = torch.tensor([[[7.3, 9.1, 31.7, 28.9]]], dtype=torch.float64)
    found = roi_align(plane, box, 5)[0, 0, 0]
    x1, y1, x2, y2 = box[0, 0]
    place = (torch.arange(5).double() + 0.5) / 5
    wanted = 3 * (y1 + (y2 - y1) * place)[:, None] - 2 * (x1 + (x2 - x1) * place)[None]
    torch.testing.assert_close(found, wanted)


def test_a_box_of_whole_bins_is_read_back_cell_by_cell():
    x = torch.randn(1, 2, 6, 8, dtype=torch.float64)
    box = torch.tensor([[[2.0, 1, 7, 6]]])
    torch.testing.assert_close(roi_align(x, box, 5, samples=1)[0, 0], x[0, :, 1:6, 2:7])


@pytest.mark.parametrize("op", [roi_align, roi_pool])
def test_odd_boxes_give_numbers_and_numbers_as_gradients(op):
    x = torch.randn(1, 3, 8, 10, requires_grad=True)
    found = op(x, ODD[None], 3, stride=4)
    found.sum().backward()
    assert found.isfinite().all()
    assert x.grad.isfinite().all()
    assert not found[0, 6:8].any()
    assert not found[0, [2, 3]].any()
    assert op(x, torch.zeros(1, 0, 4), 3).shape == (1, 0, 3, 3, 3)


@pytest.mark.parametrize("op", [roi_align, roi_pool])
def test_gradients_to_the_map_are_right(op):
    x, boxes = drawn(2, boxes=4, size=(5, 6))
    assert torch.autograd.gradcheck(lambda v: op(v, boxes, 2, stride=2.0), x.requires_grad_())


def test_gradients_to_the_boxes_are_right():
    x, boxes = drawn(3, boxes=3, size=(7, 8))
    boxes = boxes.clamp(min=1.3, max=11.7)
    assert torch.autograd.gradcheck(
        lambda v: roi_align(x, v, 2, stride=2.0), boxes.requires_grad_()
    )


def test_each_box_is_read_from_the_map_of_its_level():
    random = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 3, 64 >> k, 80 >> k, generator=random).double() for k in range(3)]
    _, boxes = drawn(4, size=(64, 80), stride=4.0)
    level = torch.randint(3, boxes.shape[:2], generator=random)
    found = pyramid_align(maps, boxes, 3, strides=[4, 8, 16], level_BP=level)
    for b in range(2):
        for p, k in enumerate(level[b].tolist()):
            one = roi_align(maps[k][b : b + 1], boxes[b : b + 1, p : p + 1], 3, stride=4 << k)
            torch.testing.assert_close(found[b, p], one[0, 0])
    assert pyramid_level(ODD[None], [4, 8, 16]).shape == (1, len(ODD))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("op", [roi_align, roi_pool])
def test_types_stay(op, dtype):
    x, boxes = drawn(5)
    found = op(x.to(dtype), boxes.float(), 3, stride=2.0)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), op(x, boxes, 3, stride=2.0), atol=0.05, rtol=0.05)
