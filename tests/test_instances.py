"""The task instances: masks to bins of a box and back, COCO's scores of masks, whole trainings."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.data.augment import compose
from snellen.data.masks import mask_HW
from snellen.data.open import open_data
from snellen.data.sample import Prediction, Sample, Target
from snellen.data.scenes import SHAPES
from snellen.data.source import Source
from snellen.data.world_set import WorldSet, world_source
from snellen.data.worlds import World
from snellen.nn.detector import Truth
from snellen.nn.iou import mask_iou
from snellen.nn.region_masks import crop_masks, paste_masks
from snellen.nn.two_stage import TwoStage
from snellen.nn.two_stage_masks import MaskedTwoStage
from snellen.tasks.instances import Instances
from snellen.tasks.objects import objects

STYLE = MaskedTwoStage(TwoStage(3, ((16.0,), (30.0,)), (4, 8), keep=16, anchors=1000), found=8)
SIZE = (64, 96)


@pytest.fixture(scope="module")
def task():
    return Instances.from_source(open_data("shapes", task="instances"))


def disc(centre, radius, size=SIZE):
    rows, cols = np.ogrid[: size[0], : size[1]]
    away = (rows + 0.5 - centre[1]) ** 2 + (cols + 0.5 - centre[0]) ** 2
    return torch.from_numpy(away < radius**2)


def boxes_around(masks_NHW):
    found = []
    for mask in masks_NHW:
        rows, cols = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        found.append([float(cols[0]), float(rows[0]), float(cols[-1]) + 1, float(rows[-1]) + 1])
    return torch.tensor(found)


def truth_of(*masks, labels):
    stacked = torch.stack(masks)
    return Truth(boxes_around(stacked), torch.tensor(labels), masks_NHW=stacked)


def test_the_share_of_a_bin_is_the_share_counted_on_fine_pixels():
    random = np.random.RandomState(0)
    mask, box, fine = random.rand(9, 12) < 0.5, [1.3, 0.7, 10.9, 8.3], 400
    shares = crop_masks(torch.from_numpy(mask)[None], torch.tensor([box], dtype=torch.float64), 4)
    x = box[0] + (np.arange(4 * fine) + 0.5) / (4 * fine) * (box[2] - box[0])
    y = box[1] + (np.arange(4 * fine) + 0.5) / (4 * fine) * (box[3] - box[1])
    dots = mask[np.ix_(y.astype(int), x.astype(int))]
    counted = dots.reshape(4, fine, 4, fine).mean((1, 3))
    np.testing.assert_allclose(shares[0].numpy(), counted, atol=2e-3)


def test_pasting_is_bilinear_resizing_inside_the_box():
    """Where the bins are pixels the mask comes back; else as interpolate has it."""
    grid = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    same = paste_masks(grid, torch.tensor([[2.0, 1, 10, 9]]), (12, 14))
    assert torch.equal(same[0, 1:9, 2:10], grid[0] >= 0.5)
    assert same.sum() == (grid >= 0.5).sum()
    large = paste_masks(grid, torch.tensor([[0.0, 0, 24, 24]]), (24, 24))[0]
    wanted = torch.nn.functional.interpolate(grid[None], (24, 24), mode="bilinear")[0, 0] >= 0.5
    assert torch.equal(large[2:-2, 2:-2], wanted[2:-2, 2:-2])  # beyond the outer bins it falls


@pytest.mark.parametrize("radius", [3, 8, 20, 31])
def test_a_mask_survives_its_grid(radius):
    mask = disc((45.3, 32.1), radius)[None]
    box = boxes_around(mask)
    assert mask_iou(paste_masks(crop_masks(mask, box), box, SIZE), mask)[0, 0] > 0.97


ODD = [[5.0, 5, 5, 9], [9, 9, 4, 4], [-9, -9, 200, 300], [300, 300, 320, 340], [0, 0, 1e-3, 1e-3]]


def test_odd_boxes_give_no_nan():
    boxes = torch.tensor(ODD)
    grids = crop_masks(torch.ones(len(ODD), *SIZE, dtype=torch.bool), boxes)
    assert grids.isfinite().all()
    assert ((grids >= 0) & (grids <= 1.0001)).all()
    assert not paste_masks(grids, boxes, SIZE)[[0, 1, 3]].any()


def test_a_mask_is_learned_by_the_gradient_of_its_class():
    truth = [truth_of(disc((20, 20), 12), disc((70, 40), 15), labels=[1, 2])]
    raw = STYLE.oracle(truth, SIZE)
    perfect = STYLE.loss(raw, truth, SIZE)["mask"]
    raw[-1] = torch.zeros_like(raw[-1], requires_grad=True)
    unknown = STYLE.loss(raw, truth, SIZE)["mask"]
    assert unknown.item() == pytest.approx(np.log(2), abs=1e-6)
    assert perfect < 0.1 * unknown  # bins on the outline are covered in part
    unknown.backward()
    wanted = crop_masks(truth[0].masks_NHW, truth[0].boxes_N4)
    step = -raw[-1].grad[0, :2] * raw[-1][0, :2].numel()
    torch.testing.assert_close(step, wanted - 0.5)
    assert not raw[-1].grad[0, 2:].any()


def test_facts_are_plain_and_masks_missing_teach_nothing():
    again = MaskedTwoStage(**STYLE.as_dict())
    assert again.as_dict() == STYLE.as_dict()
    truth = truth_of(disc((20, 20), 12), labels=[1])
    raw = STYLE.oracle([truth], SIZE)
    bare = Truth(truth.boxes_N4, truth.labels_N)
    assert float(again.loss(raw, [bare], SIZE)["mask"]) == 0.0
    assert len(again.decode(again.oracle([bare], SIZE), SIZE, 0.5)[0].labels_N) == 1


def test_a_mask_that_reaches_into_the_padding_keeps_its_place(task):
    """A picture of 48 x 96 in an input of 96 x 96; the box goes down to 60."""
    mask = disc((40, 40), 18, (96, 96))
    truth = truth_of(mask, labels=[3])
    batch = task.encode([Sample(torch.zeros(3, 48, 96, dtype=torch.uint8), Target())])
    (found,) = task.decode(task.boxes.style.oracle([truth], (96, 96)), batch)
    assert mask_iou(found.masks_NHW, mask[None, :48])[0, 0] > 0.97
    assert found.boxes_N4[0, 3] == 48


def test_two_touching_things_of_a_class_are_two(task):
    left, right = torch.zeros(2, 96, 96, dtype=torch.bool)
    left[20:60, 10:40], right[20:60, 40:70] = True, True
    masks = torch.stack([left, right])
    target = Target(labels=torch.tensor([3, 3]), boxes_N4=boxes_around(masks), masks_NHW=masks)
    sample = Sample(torch.zeros(3, 96, 96, dtype=torch.uint8), target)
    batch = task.encode([sample])
    (found,) = task.decode(task.oracle(batch), batch)
    assert torch.equal(found.masks_NHW, masks)
    metric = task.metric()
    metric.update([found], [target])
    assert metric.compute()["mAP50-95"] == 1.0
    one = Prediction(labels=torch.tensor([3]), boxes_N4=torch.tensor([[10.0, 20, 70, 60]]),
                     scores_N=torch.ones(1), masks_NHW=(left | right)[None])  # fmt: skip
    metric = task.metric()
    metric.update([one], [target])
    assert metric.compute()["mAP50-95"] < 0.2


@pytest.mark.parametrize("size", [(48, 80), (150, 100), (300, 640)])
def test_masks_come_back_in_the_pictures_pixels(task, size):
    height, width = size
    mask = disc((0.4 * width, 0.5 * height), 0.3 * min(size), size)[None]
    target = Target(labels=torch.tensor([1]), boxes_N4=boxes_around(mask), masks_NHW=mask)
    sample = Sample(torch.zeros(3, *size, dtype=torch.uint8), target)
    batch = task.encode([sample])
    (found,) = task.decode(task.oracle(batch), batch)
    assert found.masks_NHW.shape == (1, *size)
    assert mask_iou(found.masks_NHW, mask)[0, 0] > 0.9


def test_masks_move_with_the_picture(task):
    samples = [WorldSet(0, 8, World(fewest=1))[i] for i in range(8)]
    batch = task.encode(samples)
    moved = compose("flip")(batch, torch.Generator().manual_seed(0))
    flipped = [not torch.equal(a, b) for a, b in zip(batch.x, moved.x, strict=True)]
    assert any(flipped)
    assert not all(flipped)
    for i, was in enumerate(flipped):
        assert torch.equal(moved.y["masks"][i], batch.y["masks"][i].flip(2) if was
                           else batch.y["masks"][i])  # fmt: skip
        assert torch.equal(boxes_around(moved.y["masks"][i]), moved.y["boxes"][i])


@pytest.mark.parametrize(
    ("change", "id"),
    [
        ({"masks_NHW": None}, "mask-missing"),
        ({"masks_NHW": torch.ones(1, 9, 9, dtype=torch.bool)}, "mask-size"),
        ({"masks_NHW": torch.zeros(1, 30, 30, dtype=torch.bool)}, "mask-empty"),
    ],
)
def test_masks_that_cannot_be_learned_are_named(task, change, id):
    target = Target(labels=torch.tensor([1]), boxes_N4=torch.tensor([[2.0, 2, 9, 9]]))
    sample = Sample(torch.zeros(3, 30, 30, dtype=torch.uint8), replace(target, **change))
    assert [problem.id for problem in task.check(sample)] == [id]


def test_data_and_networks_without_masks_are_refused(task):
    target = Target(labels=torch.tensor([1]), boxes_N4=torch.tensor([[2.0, 2, 9, 9]]))
    bare = Sample(torch.zeros(3, 30, 30, dtype=torch.uint8), target, path="cat.jpg")
    with pytest.raises(DataError, match=r"cat\.jpg has boxes without masks"):
        task.encode([bare])
    with pytest.raises(UsageError, match="boxes and no masks; task=instances wants mask_rcnn"):
        task.build(sn.model("faster_rcnn-small", classes=6))
    with pytest.raises(DataError, match="has no masks of things"):
        Instances.from_source(Source("mine", "coco", [bare] * 4, ("a", "b")))


def test_a_training_runs_and_answers_do_not_depend_on_the_batch(tmp_path):
    whole = world_source(World(), SHAPES)
    source = replace(whole, train=WorldSet(0, 24, World()), val=WorldSet(1, 6, World()))
    run = sn.train(source, task="instances", epochs=1, batch=8, project=tmp_path, quiet=True,
                   doctor=False)  # fmt: skip
    assert 0 <= run.metrics["mAP50-95"] <= 1
    pictures = [source.val[i].image_CHW.permute(1, 2, 0).numpy() for i in range(3)]
    for one, picture in zip(run.predict(pictures), pictures, strict=True):
        alone = run.predict([picture])[0]
        assert one.masks_NHW.shape[1:] == picture.shape[:2]
        torch.testing.assert_close(alone.scores_N[:3], one.scores_N[:3], atol=1e-4, rtol=1e-3)


def test_real_nuclei_survive_the_round_trip(shared_data):
    folder = shared_data / "nuclei"
    if not folder.is_dir():
        pytest.skip("no nuclei")
    source = open_data(folder, task="instances")
    task = Instances.from_source(replace(source, train=source.val))
    samples = [source.val[i] for i in range(6)]
    batch, metric = task.encode(samples), task.metric()
    metric.update(task.decode(task.oracle(batch), batch), [s.target for s in samples])
    assert metric.compute()["mAP50-95"] > 0.99


def test_rows_of_a_prediction_hold_its_masks(task):
    sample = WorldSet(0, 4, World(fewest=2))[1]
    batch = task.encode([sample])
    (found,) = task.decode(task.oracle(batch), batch)
    rows = objects(found, task.names())
    for row, mask in zip(rows, found.masks_NHW, strict=True):
        assert np.array_equal(mask_HW(row["segmentation"], (96, 96)), mask.numpy())
    assert json.loads(json.dumps(rows)) == rows
