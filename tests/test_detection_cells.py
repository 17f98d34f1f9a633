"""Who answers in YOLO v2 and v3: against a comparison of every slot with every object."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from snellen.nn._cells import LIKE, Cells, answering, seated
from snellen.nn.anchors import size_iou
from snellen.nn.box_code import centres
from snellen.nn.detector import Truth

ANCHORS = (((6.0, 8.0), (10.0, 9.0)), ((16.0, 12.0), (14.0, 20.0)), ((30.0, 28.0), (24.0, 40.0)))
SIZE = (64, 96)


def grid(size=SIZE, anchors=ANCHORS):
    maps = [torch.zeros(1, 1, size[0] // s, size[1] // s) for s in (4, 8, 16)]
    return Cells.of(maps, anchors, size)


def scene(random, count, whole):
    """Boxes; with `whole` on a grid of two pixels, so that centres fall on the edges of cells."""
    low = torch.rand(count, 2, generator=random) * torch.tensor([60.0, 36.0])
    boxes = torch.cat([low, low + torch.rand(count, 2, generator=random) * 26 + 4], 1)
    boxes = (boxes / 2).round() * 2 if whole else boxes
    return Truth(boxes, torch.randint(3, (count,), generator=random))


def fits(cells, boxes, reach):
    """(N, T): overlap of shapes, -1 where a slot's cell is too far from the centre."""
    middle = centres(boxes)
    shift = middle[None, :, :2] / cells.stride_N2[:, None] - cells.cell_N2[:, None] - 0.5
    near = (shift.abs() <= 0.5 + reach).all(2) & (shift.abs() <= 0.5).any(2)
    if not reach:
        near &= (shift != 0.5).all(2)
    return torch.where(near, size_iou(cells.anchor_N2, middle[:, 2:]), -1.0)


def by_force(cells, truths, reach):
    """{(image, slot): object of all images} by looking at everything."""
    said, start = {}, 0
    for image, truth in enumerate(truths):
        fit = fits(cells, truth.boxes_N4, reach)
        wants = (fit == fit.amax(0)) & (fit >= 0) | ((fit > LIKE) if reach else False)
        for slot in wants.any(1).nonzero()[:, 0].tolist():
            said[image, slot] = start + int(fit[slot].where(wants[slot], -1).argmax())
        start += len(truth.labels_N)
    return said


@pytest.mark.parametrize("reach", [0.0, 0.5])
@pytest.mark.parametrize("whole", [False, True])
def test_who_answers_is_what_looking_at_everything_finds(reach, whole):
    random, cells = torch.Generator().manual_seed(0), grid()
    for count in (1, 4, 30):
        truths = [scene(random, count, whole) for _ in range(3)]
        image, slot, who, _ = answering(cells, truths, reach)
        found = dict(
            zip(zip(image.tolist(), slot.tolist(), strict=True), who.tolist(), strict=True)
        )
        assert found == by_force(cells, truths, reach)
        assert len(found) == len(image)


def test_an_object_takes_the_free_slot_that_fits_best_and_none_where_all_are_taken():
    cells = grid(anchors=[[(8.0, 8.0), (20.0, 20.0)]] * 3)
    same = Truth(torch.tensor([[9.0, 9, 18, 18]]).repeat(8, 1), torch.zeros(8).long())
    slots = [slot for slot, _, _ in seated(cells, same)]
    best = fits(cells, same.boxes_N4[:1], 0.0)[:, 0]
    assert len(slots) == len(set(slots)) == int((best >= 0).sum()) == 6
    fit = [float(best[slot]) for slot in slots]
    assert fit == sorted(fit, reverse=True)


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that is made."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.most = max(self.most, out.numel())
        return out


def test_many_objects_in_a_large_batch_cost_what_their_cells_cost():
    """25,200 slots and 1,600 objects are 40 million pairs, of which a few thousand matter."""
    random = torch.Generator().manual_seed(0)
    cells = grid((320, 320), [[(8.0, 8.0), (20.0, 20.0), (40.0, 30.0)]] * 3)
    truths = [scene(random, 50, False) for _ in range(32)]
    with Largest() as seen:
        answering(cells, truths, 0.5)
    assert seen.most <= 32 * len(cells.cell_N2)
