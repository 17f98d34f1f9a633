"""The losses of YOLO v1, YOLO v2 and SSD against loops over every box, term by term as the papers
and their programs have them; and what becomes of things that meet in one cell.
"""

import math

import pytest
import torch
from little_truths import SIZE, truths
from torch.nn import functional as F

from snellen.nn.anchors import default_boxes
from snellen.nn.box_code import centres, encode_boxes
from snellen.nn.detector import Truth
from snellen.nn.iou import aligned_iou, box_iou
from snellen.nn.ssd import Ssd
from snellen.nn.yolo_v1 import YoloV1
from snellen.nn.yolo_v2 import YoloV2

IMAGES = 3
ANCHORS = ((8.0, 9.0), (18.0, 14.0), (30.0, 28.0))


def noise(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def cell_of(box, rows, cols):
    """Row and column of the cell that holds a box's centre."""
    x, y = centres(box)[:2].tolist()
    return int(y / SIZE[0] * rows), int(x / SIZE[1] * cols)


def corners_of(x, y, w, h):
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])[None]


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_yolo_v1_is_the_papers_formula(scale):
    grid, slots = 6, 2
    raw, truth = noise(IMAGES, grid, grid, 13, seed=1, scale=scale), truths(5)
    height, width = SIZE
    box = empty = full = cls = torch.zeros(())
    for image in range(IMAGES):
        held = {}  # cell -> its object, the largest
        for n, one in enumerate(truth[image].boxes_N4):
            cell = cell_of(one, grid, grid)
            sizes = centres(truth[image].boxes_N4)[:, 2:].prod(1)
            if cell not in held or sizes[n] > sizes[held[cell]]:
                held[cell] = n
        assert len(held) <= 6
        for r in range(grid):
            for c in range(grid):
                cell = raw[image, r, c]
                if (r, c) not in held:
                    empty = empty + sum(cell[5 * a + 4] ** 2 for a in range(slots))
                    continue
                n = held[r, c]
                true = truth[image].boxes_N4[n : n + 1]
                x, y, w, h = centres(true[0])
                x_, y_ = x / width * grid - c, y / height * grid - r
                w_, h_ = (w / width).sqrt(), (h / height).sqrt()
                overlaps, misses = [], []
                for a in range(slots):
                    tx, ty, tw, th = cell[5 * a : 5 * a + 4]
                    px, py = (tx + c) / grid * width, (ty + r) / grid * height
                    pw, ph = tw.clamp(min=0) ** 2 * width, th.clamp(min=0) ** 2 * height
                    overlaps.append(aligned_iou(corners_of(px, py, pw, ph), true)[0])
                    misses.append((tx - x_) ** 2 + (ty - y_) ** 2 + (tw - w_) ** 2 + (th - h_) ** 2)
                if max(overlaps) > 0:
                    best = max(range(slots), key=lambda a: overlaps[a])
                else:
                    best = min(range(slots), key=lambda a: misses[a])
                box = box + misses[best]
                full = full + (cell[5 * best + 4] - overlaps[best]) ** 2
                empty = empty + sum(cell[5 * a + 4] ** 2 for a in range(slots) if a != best)
                wanted = F.one_hot(truth[image].labels_N[n], 3)
                cls = cls + ((cell[10:] - wanted) ** 2).sum()
    parts = YoloV1(3, grid=grid, boxes=slots).loss(raw, truth, SIZE)
    assert float(parts["box"]) == pytest.approx(5 * float(box) / IMAGES, rel=1e-5)
    objectness = (float(full) + 0.5 * float(empty)) / IMAGES
    assert float(parts["objectness"]) == pytest.approx(objectness, rel=1e-5)
    assert float(parts["class"]) == pytest.approx(float(cls) / IMAGES, rel=1e-5)


def test_yolo_v1_weighs_a_small_box_by_the_root_of_its_size():
    """The same miss in pixels costs a small box more."""
    style, costs = YoloV1(1, grid=1, boxes=1), []
    for side in (10.0, 40.0):
        box = torch.tensor([[48 - side / 2, 32 - side / 2, 48 + side / 2, 32 + side / 2]])
        truth = [Truth(box, torch.tensor([0]))]
        wide = [Truth(box + torch.tensor([[-1.0, 0, 1, 0]]), torch.tensor([0]))]
        costs.append(float(style.loss(style.oracle(wide, SIZE), truth, SIZE)["box"]))
    assert costs[0] > 3 * costs[1]


def test_yolo_v2_is_darknets_region_layer_in_a_loop():
    raw, truth = noise(IMAGES, 24, 8, 12, seed=2, scale=0.4), truths(4)
    raw[:, [4, 12, 20]] += 1.0
    box = obj = cls = 0.0
    unblamed = 0
    for image in range(IMAGES):
        held = {}
        for n, one in enumerate(truth[image].boxes_N4):
            w, h = centres(one)[2:].tolist()
            fits = []
            for aw, ah in ANCHORS:
                shared = min(w, aw) * min(h, ah)
                fits.append(shared / (w * h + aw * ah - shared))
            best = fits.index(max(fits))
            place = (*cell_of(one, 8, 12), best)
            if place not in held or fits[best] > held[place][1]:
                held[place] = (n, fits[best])
        for r in range(8):
            for c in range(12):
                for a, (aw, ah) in enumerate(ANCHORS):
                    t = raw[image, 8 * a : 8 * a + 8, r, c]
                    x, y = (c + t[0].sigmoid()) * 8, (r + t[1].sigmoid()) * 8
                    mine = corners_of(x, y, aw * t[2].exp(), ah * t[3].exp())
                    sure = float(t[4].sigmoid())
                    if (r, c, a) not in held:
                        if box_iou(mine, truth[image].boxes_N4).max() > 0.4:
                            unblamed += 1
                        else:
                            obj += sure**2 / 2
                        continue
                    n = held[r, c, a][0]
                    true = truth[image].boxes_N4[n : n + 1]
                    u, v, w, h = centres(true[0]).tolist()
                    missed = (float(t[0].sigmoid()) - (u / 8 - c)) ** 2
                    missed += (float(t[1].sigmoid()) - (v / 8 - r)) ** 2
                    missed += float(t[2] - torch.tensor(w / aw).log()) ** 2
                    missed += float(t[3] - torch.tensor(h / ah).log()) ** 2
                    box += missed / 2 * (2 - w * h / (SIZE[0] * SIZE[1]))
                    obj += 5 / 2 * (sure - float(aligned_iou(mine, true))) ** 2
                    cls -= float(t[5:].log_softmax(0)[truth[image].labels_N[n]])
    assert unblamed
    parts = YoloV2(3, ANCHORS, 8, ignore=0.4).loss(raw, truth, SIZE)
    for name, value in {"box": box, "objectness": obj, "class": cls}.items():
        assert float(parts[name]) == pytest.approx(value / IMAGES, rel=1e-4), name


def test_yolo_v2_pushes_by_darknets_deltas():
    """region_layer.c: box scale x (truth - answer) x slope, object 5, no object 1, class 1."""
    true = torch.tensor([[36.0, 40, 60, 58]])  # its middle (48, 49) is in the last of 2 x 2 cells
    raw = noise(1, 8, 2, 2, seed=5, scale=1.0).requires_grad_()
    parts = YoloV2(3, ((20.0, 20.0),), 32).loss(raw, [Truth(true, torch.tensor([1]))], (64, 64))
    sum(parts.values()).backward()
    x, y, w, h, sure, *kinds = (float(v) for v in raw.detach()[0, :, 1, 1])
    x, y, sure = (1 / (1 + math.exp(-v)) for v in (x, y, sure))
    seen = 32 * (1 + x), 32 * (1 + y), 20 * math.exp(w), 20 * math.exp(h)
    mine = corners_of(*map(torch.tensor, seen))
    scale = 2 - 24 * 18 / 64**2
    total = sum(map(math.exp, kinds))
    delta = [
        scale * (48 / 32 - 1 - x) * x * (1 - x),
        scale * (49 / 32 - 1 - y) * y * (1 - y),
        scale * (math.log(24 / 20) - w),
        scale * (math.log(18 / 20) - h),
        5 * (float(box_iou(mine, true)) - sure) * sure * (1 - sure),
        *((k == 1) - math.exp(v) / total for k, v in enumerate(kinds)),
    ]
    torch.testing.assert_close(raw.grad[0, :, 1, 1], -torch.tensor(delta))
    empty = raw.detach()[0, 4, 0, 0].sigmoid()
    torch.testing.assert_close(raw.grad[0, 4, 0, 0], empty * empty * (1 - empty))
    assert not raw.grad[0, [0, 1, 2, 3, 5, 6, 7], 0, 0].any()


def test_ssd_is_the_papers_loss_in_a_loop():
    scales, ratios, cells = (0.15, 0.35, 0.7), ((2.0,), (2.0, 3.0)), ((8, 12), (4, 6))
    raw = [noise(IMAGES, 4 * 8, 8, 12, seed=3), noise(IMAGES, 6 * 8, 4, 6, seed=4)]
    truth = [*truths(6, 4)[:2], Truth(torch.zeros(0, 4), torch.zeros(0).long())]
    default = default_boxes(cells, scales, ratios, image=SIZE, clip=True)
    told = []  # of each image: code and logits of each default box, in their order
    for image in range(IMAGES):
        rows = []
        for m, count, (high, wide) in zip(raw, (4, 6), cells, strict=True):
            for r in range(high):
                for c in range(wide):
                    for a in range(count):
                        code = m[image, 4 * a : 4 * a + 4, r, c]
                        first = 4 * count + 4 * a
                        rows.append((code, m[image, first : first + 4, r, c]))
        told.append(rows)
    box = cls = 0.0
    answering = 0
    for image in range(IMAGES):
        overlap = box_iou(default, truth[image].boxes_N4)
        match = {}
        for i in range(len(default)):
            if overlap.shape[1] and overlap[i].max() >= 0.5:
                match[i] = int(overlap[i].argmax())
        pairs = [(float(v), i, n) for i, row in enumerate(overlap) for n, v in enumerate(row)]
        own = {}
        for value, i, n in sorted(pairs, key=lambda pair: -pair[0]):
            if value > 0 and i not in own and n not in own.values():
                own[i] = n
        assert len(own) == overlap.shape[1]
        match |= own
        misses = []
        for i, (code, logits) in enumerate(told[image]):
            if i not in match:
                misses.append(float(-logits.log_softmax(0)[0]))
                continue
            n = match[i]
            true = truth[image].boxes_N4[n : n + 1]
            wanted = encode_boxes(true, default[i : i + 1], (0.1, 0.1, 0.2, 0.2))[0]
            for off in (code - wanted).abs().tolist():
                box += 0.5 * off**2 if off < 1 else off - 0.5
            cls -= float(logits.log_softmax(0)[1 + truth[image].labels_N[n]])
        cls += sum(sorted(misses, reverse=True)[: 3 * len(match)])
        answering += len(match)
    assert answering > 8
    parts = Ssd(3, scales, ratios, (8, 16)).loss(raw, truth, SIZE)
    assert float(parts["box"]) == pytest.approx(box / answering, rel=1e-4)
    assert float(parts["class"]) == pytest.approx(cls / answering, rel=1e-4)


SMALL, LARGE = [20.0, 20.0, 28.0, 28.0], [16.0, 16.0, 33.0, 33.0]  # in one cell, another shape
CELL = {"yolo_v1": YoloV1(3, grid=2), "yolo_v2": YoloV2(3, ANCHORS, 32)}


@pytest.mark.parametrize("name", CELL)
def test_things_that_meet_in_one_cell_are_all_read_back(name):
    style = CELL[name]
    truth = [Truth(torch.tensor([SMALL, LARGE]), torch.tensor([0, 1]))]
    found = style.decode(style.oracle(truth, SIZE), SIZE, 0.5)[0]
    assert sorted(found.labels_N.tolist()) == [0, 1]
    assert box_iou(found.boxes_N4, truth[0].boxes_N4).amax(0).min() > 0.999


def test_of_things_in_one_cell_yolo_v1_learns_the_largest():
    style, labels = CELL["yolo_v1"], torch.tensor([0, 1])
    raw = noise(1, 2, 2, 13, seed=5)
    both = style.loss(raw, [Truth(torch.tensor([SMALL, LARGE]), labels)], SIZE)
    other = style.loss(raw, [Truth(torch.tensor([LARGE, SMALL]), labels.flip(0))], SIZE)
    alone = style.loss(raw, [Truth(torch.tensor([LARGE]), labels[1:])], SIZE)
    assert both == other == alone


def test_of_things_in_one_cell_yolo_v2_learns_one_an_anchor():
    style, labels = CELL["yolo_v2"], torch.tensor([0, 1])
    raw = noise(1, 24, 2, 3, seed=6)
    both = style.loss(raw, [Truth(torch.tensor([SMALL, LARGE]), labels)], SIZE)
    small, large = (
        style.loss(raw, [Truth(torch.tensor([box]), labels[i : i + 1])], SIZE)
        for i, box in enumerate((SMALL, LARGE))
    )
    assert float(both["class"]) == pytest.approx(float(small["class"] + large["class"]))
    near = [LARGE[0], LARGE[1], LARGE[2] - 2, LARGE[3]]  # the same anchor, a little further off
    crowded = style.loss(raw, [Truth(torch.tensor([near, LARGE]), labels)], SIZE)
    alone = style.loss(raw, [Truth(torch.tensor([near]), labels[:1])], SIZE)
    assert crowded["box"] in (alone["box"], large["box"])
