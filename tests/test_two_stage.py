"""Faster R-CNN's own rules: which proposals are read, which regions are learned from, anchors by
hand; and selective search.
"""

import numpy as np
import pytest
import torch

import snellen as sn
from snellen.data.sample import Sample, Target
from snellen.data.selective_search import search_regions
from snellen.data.source import SampleSet, Source
from snellen.data.superpixels import grow_superpixels
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.models import row
from snellen.nn.asked import ask
from snellen.nn.detector import Truth
from snellen.nn.fast_rcnn import is_region
from snellen.nn.iou import box_iou
from snellen.nn.nms import non_maximum_suppression
from snellen.nn.region_align import pyramid_level
from snellen.nn.region_joints import joint_loss, read_joints
from snellen.nn.two_stage import TwoStage
from snellen.tasks.detect import Detect

SIZE = (64, 96)
STYLE = TwoStage(3, ((12.0,), (24.0,)), (8, 16), before=40, keep=12, regions=16)


class Listed(SampleSet):
    """Samples as they are given."""

    def __init__(self, samples):
        self.samples = list(samples)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i]


def raw_maps(seed=0, images=2):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(images, 15, 64 // s, 96 // s, generator=random) for s in (8, 16)]


def truth(*boxes):
    return Truth(torch.tensor(boxes).reshape(-1, 4), torch.arange(len(boxes)) % 3)


def test_anchors_are_those_by_hand():
    """The second cell of the first row of stride 8 has its middle at (12, 4)."""
    first, _ = STYLE._anchors(raw_maps())
    high = 12 * 2**0.5
    wanted = [[12 - high / 2, 4 - high / 4, 12 + high / 2, 4 + high / 4], [6, -2, 18, 10]]
    torch.testing.assert_close(first[4:5], torch.tensor(wanted[1:]).float())
    torch.testing.assert_close(first[3:4], torch.tensor(wanted[:1]))
    theirs = TwoStage(3, ((32.0,),), (16,), corner=True)._anchors([torch.zeros(1, 15, 1, 1)])
    assert theirs[0].tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]


@pytest.mark.parametrize(
    ("size", "last"), [((800, 832), (61, 64)), ((160, 224), (53, 56)), ((98, 96), (64, 48))]
)
def test_torchvisions_anchors_share_the_padded_picture_among_the_cells(size, last):
    """The closed form: padded to 32 pixels, whole sides // cells; 98 pixels are padded to 128."""
    sides, strides = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), (4, 8, 16, 32, 64)
    maps = [torch.zeros(1, 15, *(-(-side // s) for side in size)) for s in strides]
    found = TwoStage(3, sides, strides, corner=True)._anchors(maps)
    for m, anchors, stride in zip(maps, found, strides, strict=True):
        middle = anchors.view(*m.shape[2:], 3, 2, 2).mean(3)
        down, across = last if stride == 64 else (stride, stride)
        assert middle[:, 0, 0, 1].tolist() == [down * i for i in range(m.shape[2])]
        assert middle[0, :, 0, 0].tolist() == [across * i for i in range(m.shape[3])]


def test_anchors_are_as_large_as_the_things_of_the_data_and_torchvisions_stay():
    random = torch.Generator().manual_seed(0)
    low = 200 * torch.rand(40, 1, 2, generator=random)
    boxes = torch.cat([low, low + 90 + 30 * torch.rand(40, 1, 2, generator=random)], 2)
    part = Listed(
        Sample(torch.zeros(3, 320, 320, dtype=torch.uint8),
               Target(labels=torch.zeros(1).long(), boxes_N4=box), index=i)
        for i, box in enumerate(boxes)
    )  # fmt: skip
    task = Detect.from_source(Source("cells", "own", part, ("cell",)))
    net = task.build(sn.model("faster_rcnn-small", classes=1))
    assert task.style.as_dict() == net.head.facts.as_dict()
    anchors = torch.cat(
        task.style._anchors([torch.zeros(1, 1, 320 // s, 320 // s) for s in (4, 8, 16)])
    )
    assert box_iou(boxes[:, 0], anchors).amax(1).mean() > 0.8
    theirs = sn.model("tv:fasterrcnn_resnet50_fpn", **row("tv:fasterrcnn_resnet50_fpn").thin)
    assert theirs.head.style(1, task.spec["anchors"])["sides"] == [[32], [64], [128], [256], [512]]


def test_large_regions_of_a_small_picture_are_read_from_coarse_maps():
    for name, sides in (
        ("faster_rcnn-small", [40, 50, 96]),
        ("tv:fasterrcnn_resnet50_fpn", [100, 120, 224]),
    ):
        facts = sn.model(
            name, classes=1, **(row(name).thin if name[:3] == "tv:" else {})
        ).head.facts
        boxes = torch.tensor([[[0.0, 0, side, side] for side in sides]])
        assert pyramid_level(boxes, (4, 8, 16), facts.usual).tolist() == [[0, 1, 2]], name


def test_proposals_are_the_best_of_each_map_without_doubles():
    """Against a loop over images and maps."""
    maps = raw_maps()
    found = STYLE.propose(maps, SIZE)
    for image in range(2):
        boxes, scores, levels = [], [], []
        for k, (m, anchors) in enumerate(zip(maps, STYLE._anchors(maps), strict=True)):
            score, code = STYLE._flat(m[image : image + 1])
            best = score[0].argsort(descending=True)[:40]
            middle = (anchors[best, :2] + anchors[best, 2:]) / 2
            sides = anchors[best, 2:] - anchors[best, :2]
            middle = middle + code[0, best, :2] * sides
            half = sides * code[0, best, 2:].exp() / 2
            box = torch.cat([middle - half, middle + half], 1).clamp(min=0)
            boxes.append(torch.minimum(box, torch.tensor([96.0, 64, 96, 64])))
            scores.append(score[0, best])
            levels.append(torch.full((len(best),), k))
        box, score, level = (torch.cat(v) for v in (boxes, scores, levels))
        large = is_region(box)
        rows = non_maximum_suppression(box[large], score[large], 0.7, labels_N=level[large])[:12]
        torch.testing.assert_close(found[image, : len(rows)], box[large][rows])


def test_a_quarter_of_the_sample_are_things_and_the_truth_is_among_them():
    torch.manual_seed(0)
    one = truth([4.0, 6, 30, 40], [50, 20, 70, 50])
    sampled = STYLE.sample(STYLE.propose(raw_maps(), SIZE), [one, truth()])
    overlap = box_iou(sampled[0], one.boxes_N4)
    assert (overlap.amax(0) == 1).all()
    assert 2 <= (overlap.amax(1) >= 0.5).sum() <= 4
    assert is_region(sampled[1]).any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_degenerate_answers_of_the_first_stage_give_no_nan(value):
    maps = [m.fill_(value) for m in raw_maps()]
    found = STYLE.propose(maps, SIZE)
    assert found.isfinite().all()
    assert STYLE.sample(found, [truth([4.0, 6, 30, 40]), truth()]).isfinite().all()


def test_more_is_asked_of_true_things_while_learning_and_of_the_best_else():
    one = truth([4.0, 6, 30, 40], [50, 20, 70, 50])
    raw = STYLE.oracle([one], SIZE)
    for told in (None, [one]):
        asked = ask(STYLE, raw, SIZE, count=5, told=told)[0]
        rows = is_region(asked[:, :4])
        assert sorted(asked[rows, 5].tolist()) == [0, 1]
        assert (box_iou(asked[rows, :4], one.boxes_N4).amax(1) == 1).all()


def test_superpixels_are_whole_and_of_one_colour():
    scene = WorldSet(0, 4, World(noise=0.0, clutter=0))[1]
    pixels = scene.image_CHW.permute(1, 2, 0).numpy()
    part = grow_superpixels(pixels)
    assert set(np.unique(part)) == set(range(part.max() + 1))
    size = np.bincount(part.ravel())
    assert size.min() >= 20
    inside = sum(n * pixels[part == k].var(0).sum() for k, n in enumerate(size)) / size.sum()
    assert inside < 0.3 * pixels.reshape(-1, 3).var(0).sum()


def test_selective_search_finds_the_things_of_drawn_worlds():
    hit = seen = count = 0
    for i in range(12):
        scene = WorldSet(1, 20, World())[i]
        boxes = search_regions(scene.image_CHW)
        assert len(boxes.unique(dim=0)) == len(boxes)
        assert ((boxes[:, 2:] - boxes[:, :2]) >= 8).all()
        count += len(boxes)
        if len(scene.target.boxes_N4):
            best = box_iou(boxes, scene.target.boxes_N4).amax(0)
            hit, seen = hit + int((best >= 0.5).sum()), seen + len(best)
    assert hit / seen > 0.95
    assert count / 12 < 150
    assert len(search_regions(torch.zeros(3, 20, 20, dtype=torch.uint8))) <= 1


def test_joints_are_learned_in_the_right_bin_and_read_back():
    """Against cross-entropy by hand; what is not labelled or outside of the box teaches nothing."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=random, requires_grad=True)
    boxes = torch.tensor([[4.0, 8, 20, 40], [0, 0, 8, 8]])
    points = torch.tensor([[[5.0, 9], [20, 40], [3, 9]], [[4, 4], [7.9, 0], [1, 1]]])
    seen = torch.tensor([[2, 1, 2], [0, 2, 2]])
    loss = joint_loss(logits, boxes, points, seen_NJ=seen)
    right = [(0, 0, 0, 0), (0, 1, 7, 7), (1, 1, 0, 7), (1, 2, 1, 1)]  # person, joint, row, column
    logs = logits.flatten(2).log_softmax(-1).view_as(logits)
    torch.testing.assert_close(loss, -torch.stack([logs[at] for at in right]).mean())
    loss.backward()
    assert not logits.grad[0, 2].any()
    assert not logits.grad[1, 0].any()
    sure = torch.zeros(2, 3, 8, 8)
    for at in right:
        sure[at] = 20.0
    found, score = read_joints(sure, boxes)
    assert found[0, 0].tolist() == [5.0, 10.0]
    assert ((found[1, 1] - points[1, 1]).abs() <= 0.5).all()
    assert score[0, 0] > 0.99
    assert joint_loss(logits, boxes * 0, points, seen_NJ=seen * 0) == 0
