"""The ladder to Faster R-CNN: warped regions, regions pooled in pyramids, and R-CNN's judges."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import snellen as sn
from snellen.nn import region_features
from snellen.nn.detector import Truth
from snellen.nn.iou import box_iou
from snellen.nn.pyramid import SpatialPyramidPool
from snellen.nn.region_features import pool_regions, warp_regions
from snellen.nn.region_judge import fit_judge, match_classes


def test_a_region_pooled_in_pyramids_is_the_pyramid_of_its_part_of_the_map():
    """The shared map gives what each region alone would: SPP-net's point."""
    x = torch.randn(2, 3, 9, 12)
    boxes = torch.tensor(
        [[[16.0, 0, 64, 48], [0, 0, 176, 128]], [[32, 16, 32, 80], [80, 48, 96, 64]]]
    )
    found = pool_regions(x, boxes, (3, 1), stride=16)
    for b, p in ((b, p) for b in range(2) for p in range(2)):
        x1, y1, x2, y2 = (boxes[b, p] / 16).long().tolist()
        alone = SpatialPyramidPool((3, 1))(x[b : b + 1, :, y1 : y2 + 1, x1 : x2 + 1])
        torch.testing.assert_close(found[b, p], alone[0])
    fast = pool_regions(x, boxes, (7,), stride=16)
    torch.testing.assert_close(fast.view(2, 2, 3, 7, 7), sn.nn.roi_pool(x, boxes, 7, stride=16))


def test_warping_a_region_of_its_own_size_is_cutting_it_out():
    x = torch.randn(2, 3, 20, 30)
    cut = warp_regions(x, torch.tensor([[[4.0, 2, 12, 10]], [[22, 12, 30, 20]]]), 8)
    torch.testing.assert_close(cut, torch.stack([x[0, :, 2:10, 4:12], x[1, :, 12:20, 22:30]]))


@pytest.mark.parametrize("size", [4, 7, 16, 24])
def test_warping_passes_over_no_pixel(size):
    """The whole picture as PyTorch's antialiased resizing has it; a thin line is not lost."""
    x = torch.rand(1, 2, 16, 16)
    x[..., 5] = 9.0
    boxes = torch.tensor([[[0.0, 0, 16, 16], [float("nan"), 0, 4, 4], [40, 40, 60, 60]]])
    warped = warp_regions(x, boxes, size)
    wanted = torch.nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    torch.testing.assert_close(warped[:1], wanted)
    assert not warped[1:].any()


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that anything makes."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor):
                self.most = max(self.most, one.numel())
        return made


def test_many_regions_are_warped_a_few_at_a_time(monkeypatch):
    x, low = torch.rand(2, 3, 40, 300), 150 * torch.rand(2, 60, 2)
    boxes = torch.cat([low * torch.tensor([1, 0.2]), low + 90], 2)
    at_once = warp_regions(x, boxes, 8)
    monkeypatch.setattr(region_features, "AT_ONCE", len(at_once) * 3 * 64)
    with Largest() as held:
        few = warp_regions(x, boxes, 8)
    torch.testing.assert_close(few, at_once)
    assert held.most <= max(few.numel(), x.numel())  # all at once hold 37 times the result
    assert warp_regions(x[:0], boxes[:0], 8).shape == (0, 3, 8, 8)


def test_judges_tell_classes_and_move_boxes():
    random = torch.Generator().manual_seed(0)
    label = torch.randint(3, (300,), generator=random)
    mine = torch.nn.functional.one_hot(label, 3) == 1
    overlap = torch.where(torch.arange(300) < 100, 1.0, 0.8).where(torch.arange(300) < 200, 0.1)
    features = torch.randn(300, 8, generator=random)
    features[torch.arange(300), label] += 6.0 * (overlap > 0.5)
    boxes = torch.tensor([[10.0, 10, 30, 30]]).repeat(300, 1)
    wanted = boxes[:, None] + 2.0 * torch.arange(1, 4)[:, None]
    match = overlap[:, None] * mine, wanted
    judge = fit_judge(features, boxes, match, classes=3)
    again = fit_judge(features, boxes, match, classes=3)
    assert torch.equal(judge.svm_KE, again.svm_KE)
    said = judge.scores(features)
    assert (said[:200].argmax(1) == label[:200]).float().mean() > 0.97
    assert (said[200:] > 0).float().mean() < 0.05
    found = judge.find(features[:200], boxes[:200], (64, 64), least=0.5)
    moved = found.boxes_N4[:, 0] - 10
    for k in range(3):
        assert moved[found.labels_N == k].mean() == pytest.approx(2.0 * (1 + k), abs=0.7)


def test_judges_are_made_where_the_features_lie():
    """What is made without a device lies on the meta device here, and meets none of the others."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(40, 4, generator=random)
    boxes = torch.tensor([[10.0, 10, 30, 30]]) + torch.arange(40)[:, None] // 2
    truth = Truth(boxes[:1], torch.tensor([0]))
    with torch.device("meta"):
        match = match_classes(boxes, truth, classes=2)
        judge = fit_judge(features, boxes, match, classes=2)
        found = judge.find(features, boxes, (64, 64), least=0.0)
    held = [judge.mean_D, judge.scale_D, judge.svm_KE, judge.code_KE4, found.boxes_N4]
    assert all(value.device == features.device for value in held)


def test_a_region_that_overlaps_a_thing_of_another_class_is_nothing_of_this_one():
    """Section 2.3: by class. Rows that teach an SVM are those that change it."""
    things = Truth(torch.tensor([[0.0, 0, 20, 20], [60, 0, 80, 20]]), torch.tensor([0, 1]))
    shifts = torch.tensor([0.0, 4, 9])  # overlaps of 1, .67 and .38
    boxes = torch.cat([things.boxes_N4 + torch.tensor([v, 0, v, 0]) for v in shifts])
    overlap, wanted = match_classes(boxes, things, classes=3)
    for k in range(2):
        torch.testing.assert_close(overlap[:, k], box_iou(boxes, things.boxes_N4)[:, k])
        assert wanted[k, k].equal(things.boxes_N4[k])
    assert not overlap[:, 2].any()
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))

    def svm(overlap, k):
        match = overlap[:, k : k + 1], wanted[:, k : k + 1]
        return fit_judge(features, boxes, match, classes=1).svm_KE

    for k, one in ((k, one) for k in range(2) for one in range(6)):
        without = overlap.clone()
        without[one] = 0.5  # of which nothing is learned
        teaches = not torch.equal(svm(overlap, k), svm(without, k))
        assert teaches == (one % 2 != k or one < 2)  # of its own things the true box alone
