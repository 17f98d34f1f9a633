"""What is drawn on a picture moves as the picture does: laws, on things that hypothesis draws."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from snellen.core import registry
from snellen.core.errors import DataError
from snellen.data.augment import compose
from snellen.data.augment._follow import LEAST, follow
from snellen.data.augment.rotate import turn
from snellen.data.augment.window import Window
from snellen.data.inputs import Inputs
from snellen.data.sample import VOID, Batch, Sample, Target
from snellen.data.source import SampleSet
from snellen.train.feed import Resident
from snellen.train.held import Held

AUGMENTS = registry.collect("snellen.data.augment", "AUGMENTS")
MOVING = ("flip", "vflip", "crop", "window", "centre", "rot90", "affine", "rotate", "scale", "zoom",
          "multiscale")  # fmt: skip
EXACT = ("flip", "vflip", "crop", "window", "centre", "rot90")
SIDE = 64


def seeded(seed=0):
    return Generator().manual_seed(seed)


def batch_of(x, **y):
    return Batch(x, y, torch.arange(len(x)), torch.tensor([x.shape[-2:]] * len(x)))


def span(mask_HW):
    """The box around the set pixels, or None."""
    rows, cols = mask_HW.any(1).nonzero()[:, 0], mask_HW.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    return torch.tensor([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]).float()


@st.composite
def rectangles(draw, side=SIDE):
    """x1, y1, x2, y2 of whole pixels inside the picture."""
    x1, y1 = draw(st.integers(0, side - 4)), draw(st.integers(0, side - 4))
    return x1, y1, draw(st.integers(x1 + 3, side)), draw(st.integers(y1 + 3, side))


def drawn(boxes, axes=True, stacked=False):
    """A batch with one picture a box: its rectangle as picture, mask, map, box and middle."""
    x = torch.zeros(len(boxes), 1, SIDE, SIDE)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        x[i, :, y1:y2, x1:x2] = 1.0
    boxes_N14 = torch.tensor(boxes).float()[:, None]
    middles = (boxes_N14[..., :2] + boxes_N14[..., 2:]) / 2
    y = {
        "boxes_N4": boxes_N14,
        "masks_NHW": x > 0,
        "keypoints_NK2": middles[:, :, None],
        "visibility_NK": torch.full((len(boxes), 1, 1), 2),
        "labels_N": torch.arange(len(boxes))[:, None],
    }
    y = y if stacked else {name: list(value) for name, value in y.items()}
    y["semantic_HW"] = (x[:, 0] > 0).long()
    return batch_of(x, **{name if axes else name.rpartition("_")[0]: v for name, v in y.items()})


@pytest.mark.parametrize("name", MOVING)
@settings(max_examples=25, deadline=None)
@given(boxes=st.lists(rectangles(), min_size=1, max_size=4), seed=st.integers(0, 2**40))
def test_a_rectangle_its_mask_and_its_box_move_together(name, boxes, seed):
    out = AUGMENTS[name](drawn(boxes), seeded(seed))
    slack = 0 if name in EXACT else 1.5
    for i in range(len(boxes)):
        assert len(out.y["boxes_N4"][i]) + int(out.y["dropped_B"][i]) == 1
        if not len(out.y["boxes_N4"][i]):
            for field in ("masks_NHW", "keypoints_NK2", "visibility_NK", "labels_N"):
                assert len(out.y[field][i]) == 0
            continue
        assert out.y["labels_N"][i].tolist() == [i]
        box, mask = out.y["boxes_N4"][i][0], out.y["masks_NHW"][i][0]
        around = span(mask)
        if name not in ("affine", "rotate"):  # those give the box around a turned box
            assert float((around - box).abs().max()) <= slack
        assert (around[:2] >= box[:2] - slack).all()
        assert (around[2:] <= box[2:] + slack).all()
        seen = out.x[i, 0] > 0.5
        if name in EXACT:
            assert torch.equal(seen, mask)
        assert torch.equal(out.y["semantic_HW"][i] == 1, mask)


def mirrored(batch, axis):
    matrix_B23 = torch.eye(2, 3).repeat(len(batch), 1, 1)
    matrix_B23[:, -1 - axis, -1 - axis], matrix_B23[:, -1 - axis, 2] = -1.0, SIDE
    return follow(batch, batch.x.flip(axis), matrix_B23)


TURNS = {
    "flip": lambda batch: mirrored(batch, -1),
    "vflip": lambda batch: mirrored(batch, -2),
    "rot90": lambda batch: turn(batch, torch.ones(len(batch), dtype=torch.int64)),
}


@pytest.mark.parametrize("name", TURNS)
@settings(max_examples=20, deadline=None)
@given(boxes=st.lists(rectangles(), min_size=1, max_size=4), stacked=st.booleans())
def test_a_mirror_twice_and_quarter_turns_four_times_change_nothing(name, boxes, stacked):
    batch = drawn(boxes, stacked=stacked)
    batch.y["image_CHW"] = torch.rand(len(batch), 3, SIDE, SIDE, generator=seeded())
    out = batch
    for _ in range(4 if name == "rot90" else 2):
        out = TURNS[name](out)
    assert torch.equal(out.x, batch.x)
    for field, value in batch.y.items():
        for old, new in zip(value, out.y[field], strict=True):
            assert torch.equal(old, new), field


def test_quarter_turns_are_those_of_torch():
    x = torch.rand(4, 3, 8, 8, generator=seeded())
    out = turn(batch_of(x), torch.arange(4)).x
    for k in range(4):
        assert torch.equal(out[k], torch.rot90(x[k], k, (1, 2)))
    wide = torch.rand(64, 1, 4, 8, generator=seeded())
    halves = AUGMENTS["rot90"](batch_of(wide), seeded()).x
    turned = (halves == wide.flip(2, 3)).flatten(1).all(1)
    assert (turned | (halves == wide).flatten(1).all(1)).all()
    assert 16 < int(turned.sum()) < 48


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=25, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, 31), st.integers(0, 31)), min_size=1, max_size=6),
    seed=st.integers(0, 2**40),
)
def test_a_keypoint_stays_on_its_pixel(name, places, seed):
    """Every pixel has a value of its own, so where a point went can be read off the picture."""
    x = torch.arange(32 * 32, dtype=torch.float32).view(1, 1, 32, 32) + 1
    points = torch.tensor(places).float()[:, None] + 0.5
    batch = batch_of(x, keypoints_NK2=[points], visibility_NK=[torch.full((len(places), 1), 2)])
    out = AUGMENTS[name](batch, seeded(seed))
    for (px, py), point, seen in zip(
        places, out.y["keypoints_NK2"][0][:, 0], out.y["visibility_NK"][0][:, 0], strict=True
    ):
        is_there = bool((out.x == x[0, 0, py, px]).any())
        assert int(seen) == (2 if is_there else 0)
        if is_there:
            column, row = point.floor().long().tolist()
            assert float(out.x[0, 0, row, column]) == float(x[0, 0, py, px])


@pytest.mark.parametrize("name", MOVING)
def test_a_map_of_classes_moves_as_the_picture_and_is_void_where_nothing_was(name):
    make = seeded(3)
    maps = torch.randint(0, 4, (16, 8, 8), generator=make).repeat_interleave(8, 1)
    maps = maps.repeat_interleave(8, 2)  # squares of 8 pixels
    batch = batch_of(maps[:, None].float() + 10, semantic=maps)
    out = AUGMENTS[name](batch, seeded(1))
    semantic = out.y["semantic"]
    assert semantic.shape == (16, *out.x.shape[-2:])
    assert set(semantic.unique().tolist()) <= {0, 1, 2, 3, VOID}
    known = semantic != VOID
    agree = (out.x[:, 0] - semantic - 10).abs() < (1e-4 if name in EXACT else 0.5)
    assert float(agree[known].float().mean()) > (0.9999 if name in EXACT else 0.85)
    black = out.x[:, 0] < (1 if name in EXACT else 5)
    assert float((black == ~known).float().mean()) > (0.9999 if name in EXACT else 0.98)
    if name in ("flip", "vflip", "window", "centre", "rot90", "zoom", "multiscale"):
        assert known.all()


@settings(max_examples=60, deadline=None)
@given(boxes=st.lists(rectangles(), min_size=1, max_size=6), right=st.integers(-70, 70))
def test_boxes_are_clipped_and_those_that_left_are_dropped_and_counted(boxes, right):
    """All boxes lie in one picture and move sideways; the rule is said again in plain Python."""
    y = {"boxes": [torch.tensor(boxes).float()], "labels": [torch.arange(len(boxes))]}
    batch = batch_of(torch.zeros(1, 1, SIDE, SIDE), **y, text=["a caption"])
    out = follow(batch, batch.x, torch.tensor([[[1.0, 0, right], [0, 1, 0]]])).y
    kept = []
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        inside = [min(max(v + right, 0), SIDE) for v in (x1, x2)]
        if (inside[1] - inside[0]) / (x2 - x1) >= LEAST:
            kept.append((i, [inside[0], y1, inside[1], y2]))
    assert out["labels"][0].tolist() == [i for i, _ in kept]
    assert out["boxes"][0].tolist() == [box for _, box in kept]
    assert out["dropped_B"].tolist() == [len(boxes) - len(kept)]
    assert out["text"] == ["a caption"]


@pytest.mark.parametrize(("inside", "stays"), [(1, False), (3, False), (4, True), (6, True)])
def test_a_tenth_of_a_box_is_enough_to_stay(inside, stays):
    batch = batch_of(torch.zeros(1, 1, SIDE, SIDE), boxes=[torch.tensor([[0.0, 0, 40, 9]])])
    out = follow(batch, batch.x, torch.tensor([[[1.0, 0, inside - 40], [0, 1, 0]]])).y
    assert len(out["boxes"][0]) == int(stays)
    assert out["dropped_B"].tolist() == [int(not stays)]


def test_what_has_left_is_counted_over_all_augmentations_and_stacked_things_keep_their_rows():
    batch = drawn([(0, 0, 4, 4), (30, 30, 40, 40), (60, 60, 64, 64)])
    out = Window((32, 32))(Window((48, 48), centred=True)(batch, seeded()), seeded())
    assert out.y["dropped_B"].tolist() == [1, 0, 1]
    assert [len(b) for b in out.y["boxes_N4"]] == [0, 1, 0]
    stacked = Window((48, 48), centred=True)(drawn([(0, 0, 4, 4), (30, 30, 40, 40)], stacked=True),
                                             seeded()).y  # fmt: skip
    assert stacked["boxes_N4"].tolist() == [[[0, 0, 0, 0]], [[22, 22, 32, 32]]]
    assert "dropped_B" not in stacked
    assert stacked["labels_N"].tolist() == [[0], [1]]


def test_a_thing_without_a_pixel_left_is_gone_though_its_box_is_not():
    """An L: its box reaches into the window, none of its pixels does."""
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    mask[0, :, 0:4], mask[0, 60:, :] = True, True
    batch = batch_of(torch.zeros(1, 1, SIDE, SIDE), boxes=[torch.tensor([[0.0, 0, 64, 64]])],
                     masks=[mask], labels=[torch.tensor([1])])  # fmt: skip
    out = Window((40, 40), centred=True)(batch, seeded()).y
    assert (out["dropped_B"].tolist(), len(out["boxes"][0]), len(out["masks"][0])) == ([1], 0, 0)


def test_boxes_without_area_and_nan_stay_to_be_found():
    boxes = torch.tensor([[5.0, 5, 5, 9], [float("nan"), 1, 2, 3], [1, 1, 9, 9]])
    for name in MOVING:
        batch = batch_of(torch.zeros(1, 1, SIDE, SIDE), boxes=[boxes], labels=[torch.arange(3)])
        out = AUGMENTS[name](batch, seeded()).y
        assert 0 in out["labels"][0]
        assert 1 in out["labels"][0]
        assert out["boxes"][0][out["labels"][0] == 1].isnan().any()


def test_no_things_and_whole_numbers():
    empty = [torch.zeros(0, 4), torch.zeros(0, 4)]
    batch = batch_of(torch.zeros(2, 1, SIDE, SIDE), boxes=empty, labels=[torch.arange(0)] * 2,
                     masks=[torch.zeros(0, SIDE, SIDE, dtype=torch.bool)] * 2)  # fmt: skip
    for name in MOVING:
        out = AUGMENTS[name](batch, seeded())
        assert [b.shape for b in out.y["boxes"]] == [(0, 4)] * 2
        assert [m.shape for m in out.y["masks"]] == [(0, *out.x.shape[-2:])] * 2
    whole = batch_of(torch.zeros(1, 1, 8, 8), boxes=[torch.tensor([[1, 2, 3, 4]])])
    shift = torch.tensor([[[1.0, 0, 2], [0, 1, 0]]])
    assert follow(whole, whole.x, shift).y["boxes"][0].tolist() == [[3, 2, 5, 4]]


def test_rows_that_do_not_match_are_refused():
    batch = batch_of(torch.zeros(1, 1, 8, 8), boxes=[torch.tensor([[0.0, 0, 4, 4], [4, 4, 8, 8]])],
                     labels=[torch.arange(3)])  # fmt: skip
    with pytest.raises(DataError, match="2 boxes and 3 rows of labels"):
        follow(batch, batch.x, torch.tensor([[[1.0, 0, 6], [0, 1, 0]]]))


def test_a_map_that_would_be_left_behind_is_refused():
    batch = batch_of(torch.zeros(2, 1, 8, 9), depth=torch.zeros(2, 8, 9))
    with pytest.raises(DataError, match=r"y\['depth'\] has the picture's size"):
        AUGMENTS["flip"](batch, seeded())
    assert AUGMENTS["noise"](batch, seeded()).y["depth"] is batch.y["depth"]


def test_names_without_axes_are_the_same_fields():
    boxes = [(3, 5, 20, 30), (40, 2, 60, 9), (0, 0, 5, 5)]
    long, short = drawn(boxes), drawn(boxes, axes=False)
    for name in MOVING:
        a, b = (AUGMENTS[name](batch, seeded(2)).y for batch in (long, short))
        for field in long.y:
            for one, other in zip(a[field], b[field.rpartition("_")[0]], strict=True):
                assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["flip", "vflip", "rot90", "crop", "window", "affine"])
def test_maps_and_pictures_of_another_size_move_alike(name):
    """Super-resolution's answer is twice as large, a coarse map a quarter of the picture."""
    coarse = torch.rand(8, 1, 16, 16, generator=seeded(1))
    up = coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)
    twice = up.repeat_interleave(2, 2).repeat_interleave(2, 3)
    out = AUGMENTS[name](batch_of(up, image_CHW=twice), seeded())
    wanted = out.x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    if name == "affine":
        inside = (wanted - out.y["image_CHW"]).abs()[..., 16:-16, 16:-16]
        assert float(inside.mean()) < 0.05
    else:
        assert torch.equal(out.y["image_CHW"], wanted)
    if name in ("flip", "vflip", "rot90"):
        maps = (coarse[:, 0] * 100).long()
        out = AUGMENTS[name](batch_of(up, semantic=maps), seeded())
        assert torch.equal(out.y["semantic"], (out.x[:, 0, ::4, ::4] * 100).long())


def test_a_picture_as_answer_follows_to_another_size():
    """A slope is the same slope at any size, so where its values lie is known exactly."""
    low = (torch.arange(96) + 0.5) / 96
    high = (torch.arange(192) + 0.5) / 192
    x, twice = low.expand(1, 1, 96, 96), high.expand(1, 1, 192, 192)
    for step in range(0, 60, 10):
        batch = replace(batch_of(x, image_CHW=twice), step=step)
        out = AUGMENTS["multiscale"](batch, seeded())
        image, side = out.y["image_CHW"], out.x.shape[-1]
        assert image.shape == (1, 1, 2 * side, 2 * side)
        wanted = ((torch.arange(2 * side) + 0.5) / (2 * side)).expand_as(image)
        assert float((image - wanted)[..., 4:-4, 4:-4].abs().max()) < 1e-4
        assert float((out.x - (torch.arange(side) + 0.5) / side)[..., 4:-4].abs().max()) < 1e-4


class Drawn(SampleSet):
    """Pictures that lie in memory."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return Sample(self.x[i], Target(), index=i)


def test_a_resident_set_of_things_is_dealt_and_augmented():
    """Lists in y are picked by row, so a training on boxes sees the same as one by one."""
    boxes = [(i, i, i + 10, i + 20) for i in range(20)]
    whole = drawn(boxes)
    task = SimpleNamespace(
        encode=lambda samples: whole.select(torch.tensor([s.index for s in samples])),
        inputs=lambda: Inputs(1, SIDE, SIDE, (0.0,), (1.0,), "bytes"),
    )
    feed = Resident(Held(Drawn(whole.x), task), 8)
    augment, generator, seen = compose("flip+crop"), seeded(), []
    for batch in feed.epoch(0, 0):
        out = augment(batch, generator)
        for i, label in enumerate(out.y["labels_N"]):
            seen += label.tolist()
            assert torch.equal(span(out.x[i, 0] > 0.5), out.y["boxes_N4"][i][0])
    assert sorted(seen) == list(range(20))
