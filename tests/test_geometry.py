"""Boxes and masks against brute force: pixels counted, loops written out."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from snellen.core.errors import UsageError
from snellen.nn import anchors as anchors_file
from snellen.nn import assign, box_code, iou, nms


def boxes(count, seed=0, side=20, whole=False):
    """Random xyxy boxes of positive area within (0, side)."""
    random = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=random) * side * 0.7
    size = torch.rand(count, 2, generator=random) * side * 0.3 + 1
    found = torch.cat([low, low + size], 1)
    return found.round() if whole else found


def drawn(box, side=24):
    """The pixels of a box with whole coordinates."""
    x1, y1, x2, y2 = (int(v) for v in box)
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def greedy(boxes_N4, scores_N, limit, labels=None):
    """Non-maximum suppression as it is told: take the best, drop what overlaps it, repeat."""
    left = sorted(range(len(scores_N)), key=lambda i: (-float(scores_N[i]), i))
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        overlap = iou.box_iou(boxes_N4[best : best + 1], boxes_N4)[0]
        left = [i for i in left if not (overlap[i] > limit
                and (labels is None or labels[i] == labels[best]))]  # fmt: skip
    return kept


def test_iou_counts_pixels():
    one, other = boxes(12, 1, whole=True), boxes(9, 2, whole=True)
    masks, others = (torch.stack([drawn(b) for b in some]) for some in (one, other))
    counted = torch.tensor(
        [[float((a & b).sum() / max((a | b).sum(), 1)) for b in others] for a in masks]
    )
    torch.testing.assert_close(iou.box_iou(one, other), counted)
    torch.testing.assert_close(iou.mask_iou(masks, others), counted)
    torch.testing.assert_close(iou.aligned_iou(one[:9], other), counted[:9].diagonal())


def test_iou_is_cocos_crowds_as_well():
    from pycocotools import mask as coco

    one, other, crowd = boxes(7, 3), boxes(6, 4), torch.arange(6) % 2

    def xywh(some):
        return box_code.centres(some).double().numpy().copy()

    def as_coco(some):
        found = xywh(some)
        found[:, :2] -= found[:, 2:] / 2
        return np.ascontiguousarray(found)

    theirs = coco.iou(as_coco(one), as_coco(other), crowd.tolist())
    np.testing.assert_allclose(iou.box_iou(one, other, crowd).numpy(), theirs, atol=1e-6)


def test_degenerate_boxes_overlap_with_nothing_and_never_give_nan():
    odd = torch.tensor([
        [3.0, 3, 3, 9], [5, 5, 2, 2], [float("nan"), 0, 4, 4], [0, 0, float("inf"), 4],
    ])  # fmt: skip
    whole = torch.tensor([[0.0, 0, 20, 20]])
    assert torch.equal(iou.box_iou(odd, torch.cat([whole, odd])), torch.zeros(4, 5))
    assert iou.box_iou(whole[:0], whole).shape == (0, 1)
    for overlap in (iou.aligned_iou, iou.aligned_giou):
        points = odd[:2].clone().requires_grad_()
        overlap(points, whole.expand(2, 4)).sum().backward()
        assert points.grad.isfinite().all()


@pytest.mark.parametrize(
    ("side", "kind"),
    [(200, torch.uint8), (300, torch.int16), (60_000, torch.int32), (300, torch.float16)],
)
def test_overlap_takes_kinds_in_which_areas_overflow(side, kind):
    big = torch.tensor([[0, 0, side, side]], dtype=kind)
    assert iou.box_area(big).item() == side**2
    for overlap in (iou.box_iou, iou.aligned_iou, iou.aligned_giou):
        assert overlap(big, big).item() == 1.0


BOX, MASK = torch.zeros(2, 4), torch.zeros(2, 3, 3, dtype=torch.bool)
UNFIT = [
    (iou.box_iou, ([[0, 0, 1, 1]], BOX), r"type list; a tensor \(N, 4\)"),
    (iou.box_iou, (BOX, BOX.numpy()), "type ndarray"),
    (iou.box_area, ([0, 0, 1, 1],), "type list"),
    (iou.aligned_iou, (BOX, BOX[0]), r"shape \(4,\)"),
    (iou.mask_iou, (MASK, MASK.new_zeros(2, 3, 4)), r"\(2, 3, 3\) and \(2, 3, 4\)"),
    (iou.mask_iou, (MASK, MASK.flatten(1)), r"shape \(2, 9\); a tensor \(N, H, W\)"),
    (iou.mask_iou, (MASK.numpy(), MASK), "type ndarray"),
]


@pytest.mark.parametrize(("measure", "asked", "words"), UNFIT)
def test_overlap_refuses_what_is_no_box_and_no_mask(measure, asked, words):
    with pytest.raises(UsageError, match=words):
        measure(*asked)


def test_giou_is_the_papers():
    """IoU - (hull - union) / hull, written out; 1 for equal boxes, towards -1 for distant ones."""
    a, b = boxes(30, 5).double(), boxes(30, 6).double()
    for one, other, got in zip(a, b, iou.aligned_giou(a, b), strict=True):
        share = iou.box_iou(one[None], other[None])[0, 0]
        shared = (torch.minimum(one[2:], other[2:]) - torch.maximum(one[:2], other[:2])).clamp(
            min=0
        )
        union = iou.box_area(one) + iou.box_area(other) - shared.prod()
        hull = (torch.maximum(one[2:], other[2:]) - torch.minimum(one[:2], other[:2])).prod()
        assert got == pytest.approx(float(share - (hull - union) / hull), abs=1e-12)
    torch.testing.assert_close(iou.aligned_giou(a, a), torch.ones(30, dtype=torch.float64))
    inputs = (a[:4].requires_grad_(), b[:4].requires_grad_())
    assert torch.autograd.gradcheck(iou.aligned_giou, inputs)


@pytest.mark.parametrize("block", [4, 2048])
@pytest.mark.parametrize("limit", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("by_class", [False, True])
def test_suppression_is_the_greedy_rule(monkeypatch, block, limit, by_class):
    """With many equal scores, in blocks and in one."""
    monkeypatch.setattr(nms, "BLOCK", block)
    for seed in range(6):
        some = boxes(60, seed)
        scores = (torch.rand(60, generator=torch.Generator().manual_seed(seed)) * 5).round()
        labels = torch.arange(60) % 3 if by_class else None
        got = nms.non_maximum_suppression(some, scores, limit, labels_N=labels)
        assert got.tolist() == greedy(some, scores, limit, labels)


def test_suppression_follows_a_chain_of_overlaps():
    """Each box overlaps only the next: every second one stays, however long the chain."""
    start = torch.arange(40.0)[:, None] * 4
    chain = torch.cat([start, torch.zeros(40, 1), start + 10, torch.ones(40, 1)], 1)
    stay = nms.non_maximum_suppression(chain, torch.linspace(1, 0, 40), 0.4)
    assert stay.tolist() == list(range(0, 40, 2))


def test_suppression_of_nothing_and_of_what_is_not_finite():
    assert nms.non_maximum_suppression(torch.zeros(0, 4), torch.zeros(0)).tolist() == []
    some, scores = boxes(4), torch.tensor([0.5, float("nan"), float("inf"), 0.1])
    some[3, 0] = float("nan")
    assert nms.non_maximum_suppression(some, scores).tolist() == [0]
    assert nms.soft_suppression(some, scores)[0].tolist() == [0]


@pytest.mark.parametrize("shapes", [((3, 5), (3,)), ((3, 4), (2,)), ((4,), (1,))])
def test_suppression_refuses_shapes_that_do_not_fit(shapes):
    with pytest.raises(UsageError, match="wanted"):
        nms.non_maximum_suppression(*(torch.zeros(*shape) for shape in shapes))


def test_soft_suppression_is_the_papers_loop():
    some, scores = boxes(40, 8), torch.rand(40, generator=torch.Generator().manual_seed(1))
    left, now, order = list(range(40)), scores.clone().double(), []
    while left:
        best = max(left, key=lambda i: float(now[i]))
        if now[best] < 0.05:
            break
        left.remove(best)
        order.append(best)
        for i in left:
            share = float(iou.box_iou(some[best][None], some[i][None]))
            now[i] *= np.exp(-(share**2) / 0.5)
    rows, lowered = nms.soft_suppression(some, scores, 0.5, least=0.05)
    assert rows.tolist() == order
    torch.testing.assert_close(lowered.double(), now[order], atol=1e-5, rtol=1e-5)


numbers = st.floats(-50, 50, allow_nan=False, width=32)


@given(st.lists(st.tuples(numbers, numbers, st.floats(0.1, 40), st.floats(0.1, 40)), min_size=1))
@settings(max_examples=50, deadline=None)
def test_codes_come_back(rows):
    some = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in rows], dtype=torch.float64)
    reference = some.roll(1, 0) + torch.tensor([0.0, 0, 1, 2])
    scales = (0.1, 0.1, 0.2, 0.2)
    back = box_code.decode_boxes(box_code.encode_boxes(some, reference, scales), reference, scales)
    torch.testing.assert_close(back, some, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(box_code.corners(box_code.centres(some)), some)


def test_a_wild_code_gives_a_finite_box():
    wild = torch.full((1, 4), 1e4)
    assert box_code.decode_boxes(wild, torch.tensor([[0.0, 0, 8, 8]])).isfinite().all()
    assert box_code.encode_boxes(torch.zeros(1, 4), torch.zeros(1, 4)).isfinite().all()


def test_kmeans_finds_planted_sizes_and_never_gets_worse():
    random = torch.Generator().manual_seed(0)
    planted = torch.tensor([[10.0, 14], [30, 30], [16, 60], [90, 40]])
    sizes = (planted[:, None] * (1 + 0.05 * torch.randn(4, 50, 2, generator=random))).reshape(-1, 2)
    for seed in range(3):
        found, history = anchors_file.kmeans_anchors(sizes, 4, seed=seed)
        assert all(b > a for a, b in pairwise(history))
        assert (anchors_file.size_iou(planted, found).amax(1) > 0.9).all()


def test_kmeans_weighs_by_overlap_not_by_pixels():
    """One large cluster and two small sizes 1:3 apart: Euclid would split the large ones."""
    large = torch.tensor([[200.0, 200], [230, 230]]).repeat(10, 1)
    small = torch.tensor([[4.0, 12], [12, 4]]).repeat(10, 1)
    found, _ = anchors_file.kmeans_anchors(torch.cat([large, small]), 3)
    assert (found[:, 0] < 20).sum() == 2


def test_kmeans_refuses_too_few_sizes():
    sizes = torch.tensor([[4.0, 4], [4, 4], [0, 3], [float("nan"), 2]])
    with pytest.raises(UsageError, match="2 anchors were asked for; there are 1 different"):
        anchors_file.kmeans_anchors(sizes, 2)


def test_ssd_has_8732_boxes():
    maps = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
    scales = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    found = anchors_file.default_boxes(maps, scales, ratios, image=(300, 300))
    assert found.shape == (8732, 4)
    first = box_code.centres(found[:4])
    torch.testing.assert_close(first[:, :2], torch.full((4, 2), 300 / 76))
    root = 2**0.5
    expected = [[0.07, 0.07], [(0.07 * 0.15) ** 0.5] * 2, [0.07 * root, 0.07 / root],
                [0.07 / root, 0.07 * root]]  # fmt: skip
    torch.testing.assert_close(first[:, 2:] / 300, torch.tensor(expected))
    with pytest.raises(UsageError, match="6 maps want 7 scales"):
        anchors_file.default_boxes(maps, scales[:6], ratios)


def test_grid_anchors_sit_on_the_centres_of_cells():
    sizes = torch.tensor([[8.0, 4.0], [16.0, 16.0]])
    found = box_code.centres(anchors_file.grid_anchors((3, 5), 16, sizes)).view(3, 5, 2, 4)
    assert found[2, 4, 1].tolist() == [72.0, 40.0, 16.0, 16.0]
    assert found[0, 1, 0].tolist() == [24.0, 8.0, 8.0, 4.0]


@pytest.mark.parametrize("seed", range(5))
def test_assignment_is_the_rule_in_a_loop(seed):
    random = torch.Generator().manual_seed(seed)
    overlap = (torch.rand(40, 5, generator=random) * 10).round() / 10  # with ties
    overlap[:, 4] = 0
    match = assign.assign_by_iou(overlap, 0.7, 0.4)
    for row, got in enumerate(match.tolist()):
        tops = [
            m for m in range(5) if overlap[row, m] > 0 and overlap[row, m] == overlap[:, m].max()
        ]
        best = int(overlap[row].argmax())
        if tops:
            assert got == max(tops, key=lambda m: float(overlap[row, m]))
        elif overlap[row, best] >= 0.7:
            assert got == best
        else:
            assert got == (assign.NEITHER if overlap[row, best] >= 0.4 else assign.BACKGROUND)
    assert not (match == 4).any()  # an object that nothing overlaps


@pytest.mark.parametrize("seed", range(12))
def test_own_references_are_those_of_a_loop_over_falling_overlaps(seed):
    random = torch.Generator().manual_seed(seed)
    objects = (5, 30, 60)[seed % 3]  # 60 are more than there are references
    overlap = torch.rand(40, objects, generator=random)
    overlap = (overlap * 20).round() / 20 if seed % 2 else overlap  # with ties
    overlap[:, 3] = 0
    own, left = [-1] * objects, overlap.clone()
    while left.max() > 0:
        row, n = divmod(int(left.argmax()), objects)
        own[n], left[row], left[:, n] = row, 0, 0
    assert assign.own_references(overlap).tolist() == own
    match = assign.assign_by_iou(overlap, 0.99, 0.5, own=True)
    for n, row in enumerate(own):
        assert row < 0 or match[row] == n
    best, others = overlap.max(1), [row for row in range(40) if row not in own]
    assert match[others].tolist() == [
        int(best.indices[r]) if best.values[r] >= 0.99 else -1 if best.values[r] < 0.5 else -2
        for r in others
    ]


class Waits(TorchDispatchMode):
    """Notes what a GPU would have to finish before the program can go on."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        masked = name.startswith("aten::index") and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1]
        )
        if masked or name in ("aten::_local_scalar_dense", "aten::nonzero"):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_own_references_ask_the_device_once_however_many_want_the_same():
    overlap = torch.rand(40, 30, generator=torch.Generator().manual_seed(0))
    overlap[:5] += 1  # all want these first
    with Waits() as waits:
        assign.assign_by_iou(overlap, own=True)
    assert waits.seen == []  # the one copy of `tolist` is none on a processor


def test_each_thing_of_a_crowd_has_a_reference_of_its_own():
    crowd = torch.tensor([[0.6, 0.4], [0.3, 0.38]])
    assert assign.assign_by_iou(crowd, own=True).tolist() == [0, 1]


def test_without_objects_everything_is_background():
    assert assign.own_references(torch.zeros(0, 2)).tolist() == [-1, -1]
    assert assign.assign_by_iou(torch.zeros(0, 2), own=True).tolist() == []
    assert assign.assign_by_iou(torch.zeros(3, 0)).tolist() == [-1, -1, -1]
    assert assign.assign_by_iou(torch.zeros(0, 2)).tolist() == []


def test_hard_negatives_are_three_to_one_and_the_hardest():
    random = torch.Generator().manual_seed(0)
    match = torch.full((2, 50), assign.BACKGROUND)
    match[0, :4], match[0, 4:8] = 2, assign.NEITHER
    loss = torch.rand(2, 50, generator=random)
    chosen = assign.hard_negatives(loss, match, 3.0, least=5)
    assert chosen.sum(1).tolist() == [12, 5]
    assert not chosen[0, :8].any()
    assert loss[0, chosen[0]].min() > loss[0, 8:][~chosen[0, 8:]].max()
    loss[1, 7] = float("nan")
    assert assign.hard_negatives(loss, match, 3.0, least=1)[1].nonzero().tolist() == [[7]]


def test_sampled_rois_keep_the_share():
    match = torch.tensor([0] * 30 + [-1] * 100 + [-2] * 20)
    positive, negative = assign.sample_rois(match, 64, 0.25)
    assert (len(positive), len(negative)) == (16, 48)
    assert (match[positive] >= 0).all()
    assert (match[negative] == -1).all()
    few = assign.sample_rois(torch.tensor([0, -1]), 64)
    assert [len(rows) for rows in few] == [1, 1]
