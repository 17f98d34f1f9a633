"""YOLO v3: what its maps mean, what is asked of them, and the frame that pictures lie in."""

import math

import pytest
import torch
from little_truths import SIZE, truths
from torch.nn import functional as F

import snellen as sn
from snellen.core.errors import UsageError
from snellen.data.letterbox import Letterbox, input_size
from snellen.models import row
from snellen.nn._cells import Cells, answering, flat, unflat
from snellen.nn.box_code import centres
from snellen.nn.detector import Truth
from snellen.nn.iou import aligned_giou, aligned_iou, box_iou
from snellen.nn.yolo_v3 import YoloV3

ANCHORS = (((6.0, 8.0), (10.0, 9.0)), ((16.0, 12.0), (14.0, 20.0)), ((30.0, 28.0), (24.0, 40.0)))
CELLS = [(16, 24), (8, 12), (4, 6)]


def style(**changes):
    return YoloV3(3, ANCHORS, (4, 8, 16), **changes)


def raw(seed=0, scale=1.0):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 2 * 8, h, w, generator=random) * scale for h, w in CELLS]


@pytest.mark.parametrize("reach", [0.0, 0.5])
def test_a_perfect_answer_is_read_back_exactly(reach):
    one = style(reach=reach)
    for seed in range(5):
        truth = truths(seed)
        for found, true in zip(one.decode(one.oracle(truth, SIZE), SIZE, 0.5), truth, strict=True):
            overlap = box_iou(found.boxes_N4, true.boxes_N4)
            assert overlap.amax(0).min() > 0.999
            assert found.labels_N[overlap.argmax(0)].equal(true.labels_N)
            assert len(found.labels_N) == len(true.labels_N)


@pytest.mark.parametrize(("reach", "boxes"), [(0.0, "giou"), (0.5, "giou"), (0.0, "squares")])
def test_a_perfect_answer_costs_nearly_nothing(reach, boxes):
    """Once its neighbours, who may answer too, are not asked: reach 0."""
    one = style(reach=reach, boxes=boxes)
    perfect = sum(one.loss(one.oracle(truths(0, 5), SIZE), truths(0, 5), SIZE).values())
    wild = sum(one.loss(raw(), truths(0, 5), SIZE).values())
    assert perfect < (1e-2 if reach == 0 else wild)


@pytest.mark.parametrize(("boxes", "ignore"), [("giou", 0.7), ("squares", 0.5)])
def test_the_loss_with_one_answer_an_object_term_by_term(boxes, ignore):
    """One answering anchor an object, written out in a loop over every slot. Squares: the paper."""
    one, truth = style(reach=0.0, ignore=ignore, boxes=boxes), truths(3, 4)
    maps = raw(1, 0.3)
    parts = one.loss(maps, truth, SIZE)
    box = obj = cls = 0.0
    answering = unblamed = 0
    for image in range(3):
        claimed = {}  # slot -> object
        for n, (x, y, w, h) in enumerate(centres(truth[image].boxes_N4).tolist()):
            fits = {}
            for scale, ((rows, _), sizes) in enumerate(zip(CELLS, ANCHORS, strict=True)):
                stride = SIZE[0] / rows
                for a, (aw, ah) in enumerate(sizes):
                    shared = min(w, aw) * min(h, ah)
                    fits[scale, int(y / stride), int(x / stride), a] = shared / (
                        w * h + aw * ah - shared
                    )
            best = max(fits, key=fits.get)
            if best not in claimed or fits[best] > claimed[best][1]:
                claimed[best] = (n, fits[best])
        answering += len(claimed)
        for scale, ((rows, cols), sizes) in enumerate(zip(CELLS, ANCHORS, strict=True)):
            stride = SIZE[0] / rows
            for r in range(rows):
                for c in range(cols):
                    for a, (aw, ah) in enumerate(sizes):
                        t = maps[scale][image, a * 8 : a * 8 + 8, r, c]
                        x, y = (c + t[0].sigmoid()) * stride, (r + t[1].sigmoid()) * stride
                        w, h = aw * t[2].exp(), ah * t[3].exp()
                        mine = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])[None]
                        goal = torch.zeros(())
                        if (scale, r, c, a) in claimed:
                            n = claimed[scale, r, c, a][0]
                            true = truth[image].boxes_N4[n : n + 1]
                            if boxes == "giou":
                                box += 1 - aligned_giou(mine, true)[0]
                                goal = aligned_iou(mine, true)[0]
                            else:
                                u, v, tw, th = centres(true[0]).tolist()
                                missed = (t[0].sigmoid() - (u / stride - c)) ** 2
                                missed += (t[1].sigmoid() - (v / stride - r)) ** 2
                                missed += (t[2] - math.log(tw / aw)) ** 2
                                box += (missed + (t[3] - math.log(th / ah)) ** 2) / 2
                                goal = torch.ones(())
                            wanted = F.one_hot(truth[image].labels_N[n], 3).float()
                            cls += F.binary_cross_entropy_with_logits(
                                t[5:], wanted, reduction="sum"
                            )
                        elif box_iou(mine, truth[image].boxes_N4).max() > ignore:
                            unblamed += 1
                            continue
                        obj += F.binary_cross_entropy_with_logits(t[4], goal)
    assert unblamed or ignore == 0.7
    expected = {"box": box, "objectness": obj, "class": cls}
    count = answering if boxes == "giou" else 3  # a mean over who answers, or over the images
    for name, value in expected.items():
        assert float(parts[name]) == pytest.approx(float(value) / count, rel=1e-4), name


def test_the_papers_gradient_is_truth_minus_prediction():
    """Of tw and th, and of the logits of objectness and classes against 1."""
    one = style(reach=0.0, ignore=0.5, boxes="squares")
    truth = [Truth(torch.tensor([[30.0, 20, 44, 33]]), torch.tensor([2]))]
    maps = [m[:1].clone().requires_grad_() for m in raw(5, 0.3)]
    sum(one.loss(maps, truth, SIZE).values()).backward()
    _, slot, _, _ = answering(Cells.of(maps, ANCHORS, SIZE), truth, 0.0)
    said, slope = (flat(m, 3)[0, slot[0]] for m in (maps, [m.grad for m in maps]))
    wanted = Cells.of(maps, ANCHORS, SIZE).code(slot, truth[0].boxes_N4, 0.0)[0]
    torch.testing.assert_close(-slope[2:4], (wanted - said[:4])[2:])
    torch.testing.assert_close(-slope[4:], torch.tensor([1.0, 0, 0, 1]) - said[4:].sigmoid())


def test_a_loss_of_boxes_that_is_none_is_refused():
    with pytest.raises(UsageError, match="did you mean giou"):
        style(boxes="giuo")


@pytest.mark.parametrize(
    ("name", "rules"),
    [("paper:yolov3_voc", (0.0, 0.5, "squares")), ("yolov3-small", (0.5, 0.7, "giou"))],
)
def test_the_papers_networks_learn_by_the_papers_assignment_and_loss(name, rules):
    net = sn.model(name, classes=3, **row(name).thin)
    facts = net.head.style(3, {"9": [[8.0 + i, 9.0] for i in range(9)]})
    assert facts.pop("name") == YoloV3.name
    one = YoloV3(**facts)
    assert (one.reach, one.ignore, one.boxes) == rules


def test_more_answer_with_reach():
    truth = truths(1)
    asked = [
        len(answering(Cells.of(raw(), ANCHORS, SIZE), truth, one.reach)[0])
        for one in (style(reach=0.0), style(reach=0.5))
    ]
    assert asked[0] <= 15
    assert asked[1] > 2 * asked[0]


@pytest.mark.parametrize("boxes", ["giou", "squares"])
def test_the_loss_falls_by_its_gradient_to_the_truth(boxes):
    one, truth = style(boxes=boxes), truths(2, 3)
    maps = [m.requires_grad_() for m in raw(2, 0.1)]
    optimiser = torch.optim.Adam(maps, lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        loss = sum(one.loss(maps, truth, SIZE).values())
        loss.backward()
        optimiser.step()
    for found, true in zip(one.decode(maps, SIZE, 0.5), truth, strict=True):
        assert box_iou(found.boxes_N4, true.boxes_N4).amax(0).min() > 0.9


@pytest.mark.parametrize(
    "odd",
    [
        Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
        Truth(torch.tensor([[5.0, 5, 5, 9], [8, 8, 4, 4]]), torch.tensor([0, 1])),
        Truth(torch.tensor([[float("nan"), 0, 4, 4]]), torch.tensor([0])),
        Truth(torch.tensor([[200.0, 200, 240, 240]]), torch.tensor([0])),
        Truth(torch.tensor([[4.0, 4, 30, 30]]), torch.tensor([0]), torch.tensor([True])),
    ],
)
@pytest.mark.parametrize("boxes", ["giou", "squares"])
def test_images_without_a_thing_to_learn_give_no_nan(odd, boxes):
    maps = [m.requires_grad_() for m in raw()]
    loss = sum(style(boxes=boxes).loss(maps, [odd] * 3, SIZE).values())
    loss.backward()
    assert loss.isfinite()
    assert all(m.grad.isfinite().all() for m in maps)


def test_maps_flat_and_back():
    maps = raw(4)
    back = unflat(flat(maps, 3), CELLS, 2)
    assert all(a.equal(b) for a, b in zip(maps, back, strict=True))


@pytest.mark.parametrize("old", [(480, 640), (30, 500), (64, 64), (7, 3)])
def test_a_letterbox_is_undone(old):
    frame = Letterbox(old, (96, 128))
    random = torch.Generator().manual_seed(0)
    points = torch.rand(20, 2, generator=random) * torch.tensor([old[1], old[0]])
    torch.testing.assert_close(frame.back(frame.there(points)), points, atol=1e-4, rtol=1e-4)
    high, wide = frame.inner
    assert high <= 96
    assert wide <= 128
    assert high == 96 or wide == 128


def test_input_sizes_are_multiples():
    assert input_size((480, 640), 320, 32) == (256, 320)
    assert input_size((10, 10), 16, 32) == (32, 32)
