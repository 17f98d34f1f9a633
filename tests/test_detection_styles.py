"""What every style of detection keeps: perfect answers come back, nothing becomes NaN, an image's
answer does not depend on its neighbours.
"""

import json
from dataclasses import asdict

import pytest
import torch
from little_truths import SIZE, truths

from snellen.core import registry
from snellen.nn.detector import Truth
from snellen.nn.iou import box_iou
from snellen.nn.ssd import Ssd
from snellen.nn.two_stage import TwoStage
from snellen.nn.yolo_v1 import YoloV1
from snellen.nn.yolo_v2 import YoloV2
from snellen.nn.yolo_v3 import YoloV3

SCALES, RATIOS = (0.1, 0.25, 0.5, 0.9), ((2.0,), (2.0, 3.0), (2.0,))
ANCHORS = (((6.0, 8.0), (10.0, 9.0)), ((16.0, 12.0), (14.0, 20.0)), ((30.0, 28.0), (24.0, 40.0)))
STYLES = {
    "yolo_v1": YoloV1(3, grid=6),
    "yolo_v2": YoloV2(3, ((8.0, 9.0), (18.0, 14.0), (30.0, 28.0)), 8),
    "yolo_v3": YoloV3(3, ANCHORS, (4, 8, 16)),
    "ssd": Ssd(3, SCALES, RATIOS, (8, 16, 32)),
    "two_stage": TwoStage(3, ((24.0,),), (8,), (1.0,), keep=24, anchors=1000),
}


def leaves(raw):
    return list(raw) if isinstance(raw, list) else [raw]


def like(raw, tensors):
    return list(tensors) if isinstance(raw, list) else tensors[0]


def drawn(style, images=3, seed=0, scale=1.0):
    """Raw maps of an untrained network, as the style's own oracle shapes them; what a style of two
    stages is told of lies about the truth.
    """
    random = torch.Generator().manual_seed(seed)
    raw = style.oracle([Truth(torch.zeros(0, 4), torch.zeros(0).long())] * images, SIZE)
    found = like(raw, [torch.randn(m.shape, generator=random) * scale for m in leaves(raw)])
    if style.told:
        near = torch.cat([t.boxes_N4 for t in truths(seed)]).repeat(2, 1)
        found[-3] = near + torch.randn(images, len(near), 4, generator=random)
    return found


def learned(style, raw):
    """What gradients flow to: regions that were read are no answer."""
    maps = leaves(raw)
    return [*maps[:-3], *maps[-2:]] if style.told else maps


def total(style, raw, truth):
    return sum(style.loss(raw, truth, SIZE).values())


@pytest.fixture(params=STYLES)
def style(request):
    return STYLES[request.param]


def test_every_style_is_here():
    asked = {"two_stage_masks"}  # more of boxes that another style finds: test_instances
    assert registry.collect("snellen.nn", "STYLES").keys() - asked == STYLES.keys()


def test_facts_are_plain(style):
    again = type(style)(**json.loads(json.dumps(style.as_dict())))
    assert json.dumps(again.as_dict()) == json.dumps(style.as_dict())
    assert again.as_dict().keys() == asdict(style).keys()
    raw = drawn(style)
    assert total(again, raw, truths()) == total(style, raw, truths())


def test_a_perfect_answer_is_read_back_exactly(style):
    for seed in range(8):
        truth = truths(seed)
        for found, true in zip(
            style.decode(style.oracle(truth, SIZE), SIZE, 0.5), truth, strict=True
        ):
            overlap = box_iou(found.boxes_N4, true.boxes_N4)
            assert overlap.amax(0).min() > 0.999
            assert found.labels_N[overlap.argmax(0)].equal(true.labels_N)
            assert len(found.labels_N) == len(true.labels_N)


def test_nothing_is_read_back_from_an_empty_image(style):
    nothing = [Truth(torch.zeros(0, 4), torch.zeros(0).long())] * 2
    found = style.decode(style.oracle(nothing, SIZE), SIZE, 0.01)
    assert [len(f.scores_N) for f in found] == [0, 0]


ODD = {
    "empty": Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    "no area": Truth(torch.tensor([[5.0, 5, 5, 9], [8, 8, 4, 4]]), torch.tensor([0, 1])),
    "not finite": Truth(torch.tensor([[float("nan"), 0, 4, 4]]), torch.tensor([0])),
    "outside": Truth(torch.tensor([[200.0, 200, 240, 240]]), torch.tensor([0])),
    "ignored": Truth(torch.tensor([[4.0, 4, 30, 30]]), torch.tensor([0]), torch.tensor([True])),
    "whole": Truth(torch.tensor([[0.0, 0, 96, 64]]), torch.tensor([2])),
    "a point": Truth(torch.tensor([[9.0, 9, 9.001, 9.001]]), torch.tensor([0])),
    "thrice": Truth(torch.tensor([[4.0, 4, 30, 30]] * 3), torch.tensor([0, 1, 2])),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_odd_images_give_no_nan(style, odd, scale):
    raw = drawn(style, scale=scale)
    for m in leaves(raw):
        m.requires_grad_()
    loss = total(style, raw, [ODD[odd]] * 3)
    loss.backward()
    assert loss.isfinite()
    assert all(m.grad.isfinite().all() for m in learned(style, raw))
    for found in style.decode(raw, SIZE, 0.0):
        assert found.boxes_N4.isfinite().all()
        assert ((found.scores_N >= 0) & (found.scores_N <= 1)).all()


def test_what_is_ignored_is_neither_learned_nor_missed(style):
    """A confident box on it costs as much as none; on the same box unmarked it is learned."""
    box, label = torch.tensor([[8.0, 8, 30, 28]]), torch.tensor([1])
    ignored = Truth(box, label, torch.tensor([True]))
    said = style.oracle([Truth(box, label)], SIZE)
    empty = style.oracle([Truth(box[:0], label[:0])], SIZE)
    nothing = Truth(box[:0], label[:0])
    assert float(total(style, said, [ignored])) < 1e-3
    assert float(total(style, empty, [ignored])) < 1e-3
    assert float(total(style, empty, [Truth(box, label)])) > 0.1
    if not isinstance(style, Ssd):  # an image without a thing teaches SSD nothing
        assert float(total(style, said, [nothing])) > 0.1


def test_the_members_of_a_crowd_are_not_blamed(style):
    """A box around many says nothing of each: those who are found in it are not wrong."""
    members = torch.tensor([[34.0, 10, 52, 36], [56, 12, 74, 38]])  # each a third of the crowd
    thing, crowd = torch.tensor([[6.0, 40, 28, 60]]), torch.tensor([[32.0, 8, 80, 40]])
    labels = torch.tensor([2, 1, 1])
    said = style.oracle([Truth(torch.cat([thing, members]), labels)], SIZE)
    quiet = style.oracle([Truth(thing, labels[:1])], SIZE)
    alone = Truth(thing, labels[:1])
    marked = Truth(torch.cat([thing, crowd]), labels[:2], torch.tensor([False, True]))
    more = [
        float(total(style, said, [truth]) - total(style, quiet, [truth]))
        for truth in (alone, marked)
    ]
    assert more[0] > 0.1
    assert more[1] < 0.1 * more[0]


def test_what_is_ignored_beside_a_thing_is_not_missed(style):
    boxes = torch.tensor([[8.0, 44, 28, 60], [32, 8, 80, 40]])  # the second as a default box
    labels = torch.tensor([1, 2])
    said = style.oracle([Truth(boxes, labels)], SIZE)
    one = Truth(boxes, labels, torch.tensor([False, True]))
    alone = Truth(boxes[:1], labels[:1])
    assert float(total(style, said, [alone]) - total(style, said, [one])) > 0.1


def test_an_images_answer_is_its_own(style):
    raw, truth = drawn(style), truths()
    together = style.decode(raw, SIZE, 0.3)
    for i in range(3):
        one = like(raw, [m[i : i + 1] for m in leaves(raw)])
        alone = style.decode(one, SIZE, 0.3)[0]
        torch.testing.assert_close(alone.boxes_N4, together[i].boxes_N4)
        torch.testing.assert_close(alone.scores_N, together[i].scores_N)
        twice = like(raw, [m[[i, i]] for m in leaves(raw)])
        single, double = total(style, one, truth[i : i + 1]), total(style, twice, [truth[i]] * 2)
        torch.testing.assert_close(single, double)


def test_a_random_guess_costs_more_than_the_truth(style):
    truth = truths(1, 3)
    assert total(style, style.oracle(truth, SIZE), truth) < total(style, drawn(style), truth)


def test_the_loss_falls_by_its_gradient_to_the_truth(style):
    truth = [
        Truth(torch.tensor([[6.0, 6, 22, 20], [50, 30, 80, 60]]), torch.tensor([2, 0])),
        Truth(torch.tensor([[40.0, 4, 70, 34]]), torch.tensor([1])),
    ]
    raw = drawn(style, 2, 2, 0.1)
    if style.told:
        raw[-3][:, :2] = torch.stack([t.boxes_N4[[0, -1]] for t in truth]) + 2
    optimiser = torch.optim.Adam([m.requires_grad_() for m in learned(style, raw)], lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        total(style, raw, truth).backward()
        optimiser.step()
    for found, true in zip(style.decode(raw, SIZE, 0.5), truth, strict=True):
        overlap = box_iou(found.boxes_N4, true.boxes_N4)
        assert overlap.amax(0).min() > 0.9
        assert found.labels_N[overlap.argmax(0)].equal(true.labels_N)
