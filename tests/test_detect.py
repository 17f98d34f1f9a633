"""The task detect: from a user's boxes to COCO's scores and back to his pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.data.open import open_data
from snellen.data.sample import Prediction, Sample, Target
from snellen.data.source import SampleSet, Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.nn.asked import ask
from snellen.nn.detector import Truth
from snellen.nn.two_stage import TwoStage
from snellen.nn.two_stage_masks import MaskedTwoStage
from snellen.tasks._coco import CocoScores
from snellen.tasks._things import mean_boxes
from snellen.tasks.detect import Detect
from snellen.tasks.instances import Instances

WIDE = World(height=48, width=80, fewest=1, most=4)


@pytest.fixture(scope="module")
def task():
    source = Source("scenes", "shapes", WorldSet(0, 40, WIDE), tuple("abcdef"))
    return Detect.from_source(source)


def answer(task, samples):
    batch = task.encode(samples)
    return task.decode(task.oracle(batch), batch)


def image(height, width):
    return torch.zeros(3, height, width, dtype=torch.uint8)


def boxed(size, *boxes, labels=None, **more):
    labels = torch.tensor(labels or [0] * len(boxes), dtype=torch.int64)
    return Sample(image(*size), Target(labels=labels, boxes_N4=torch.tensor(boxes), **more))


def test_the_input_has_the_pictures_shape_in_whole_cells(task):
    assert (task.inputs().height, task.inputs().width) == (64, 96)
    bigger = Source("scenes", "shapes", WorldSet(0, 4, WIDE), tuple("abcdef"))
    assert Detect.from_source(bigger, imgsz=160).inputs().width == 160


@pytest.mark.parametrize("size", [(48, 80), (300, 200), (31, 97), (640, 480)])
def test_a_perfect_answer_comes_back_in_the_pictures_pixels(task, size):
    height, width = size
    box = [0.2 * width, 0.1 * height, 0.7 * width, 0.6 * height]
    (found,) = answer(task, [boxed(size, box, labels=[4])])
    torch.testing.assert_close(found.boxes_N4, torch.tensor([box]), atol=0.02, rtol=1e-3)
    assert found.labels.tolist() == [4]


def test_one_image_alone_and_in_a_batch_get_the_same_answer(task):
    net = sn.model("yolov3-small", classes=6).eval()
    samples = [WorldSet(3, 5, WIDE)[i] for i in range(5)]
    with torch.no_grad():
        whole = task.encode(samples)
        together = task.decode(net(task.inputs().prepare(whole.x)), whole)
        for sample, one in zip(samples, together, strict=True):
            batch = task.encode([sample])
            (alone,) = task.decode(net(task.inputs().prepare(batch.x)), batch)
            torch.testing.assert_close(alone.scores_N, one.scores_N, atol=1e-4, rtol=1e-3)


def test_a_mirrored_picture_has_the_mirrored_answer(task):
    """Of even sides that fill the input: then the mirror is exact in cells, too."""
    samples = [WorldSet(5, 12, World(64, 96, 1, 4))[i] for i in range(12)]
    turned = []
    for sample in samples:
        x1, y1, x2, y2 = sample.target.boxes_N4.unbind(1)
        boxes = torch.stack([96 - x2, y1, 96 - x1, y2], 1)
        target = replace(sample.target, boxes_N4=boxes)
        turned.append(replace(sample, image_CHW=sample.image_CHW.flip(2), target=target))
    assert task.encode(turned).x.equal(task.encode(samples).x.flip(3))
    for found, mirrored in zip(answer(task, samples), answer(task, turned), strict=True):
        x1, y1, x2, y2 = mirrored.boxes_N4.unbind(1)
        back = torch.stack([96 - x2, y1, 96 - x1, y2], 1)
        rows, places = (b.mean(1).argsort() for b in (found.boxes_N4, back))
        torch.testing.assert_close(found.boxes_N4[rows], back[places], atol=0.01, rtol=1e-3)
        assert found.labels[rows].equal(mirrored.labels[places])


def test_touching_things_of_one_class_are_told_apart(task):
    boxes = [[8.0, 8, 24, 30], [24.0, 8, 40, 30], [24.0, 30, 40, 46], [18.0, 10, 33, 31]]
    (found,) = answer(task, [boxed((48, 80), *boxes)])
    assert len(found.labels) == 4
    order = found.boxes_N4.sum(1).argsort()
    wanted = torch.tensor(boxes)
    wanted = wanted[wanted.sum(1).argsort()]
    torch.testing.assert_close(found.boxes_N4[order], wanted, atol=0.02, rtol=1e-3)


def test_what_is_shifted_by_a_pixel_is_seen(task):
    """The oracle's round trip is 1.000; a box one pixel off is not."""
    samples = [WorldSet(0, 40, WIDE)[i] for i in range(40)]
    for shift, high in ((0.0, 1.0), (1.0, 0.9)):
        metric = task.metric()
        found = answer(task, samples)
        moved = [
            Prediction(labels=f.labels, boxes_N4=f.boxes_N4 + shift, scores_N=f.scores_N)
            for f in found
        ]
        metric.update(moved, [s.target for s in samples])
        score = metric.compute()["mAP50-95"]
        assert score == 1.0 if high == 1.0 else score < high


def test_an_image_of_which_nothing_is_known_can_be_predicted_on_but_not_judged(task):
    assert len(answer(task, [Sample(image(30, 30), Target())])) == 1
    with pytest.raises(DataError, match=r"cat\.jpg has no boxes"):
        task.encode([Sample(image(30, 30), Target(label=3), path="cat.jpg")])


@pytest.mark.parametrize(
    ("sample", "id"),
    [
        (boxed((40, 40), [5.0, 5, 5, 9]), "box-degenerate"),
        (boxed((40, 40), [9.0, 9, 5, 5]), "box-degenerate"),
        (boxed((40, 40), [float("nan"), 1, 5, 5]), "box-degenerate"),
        (boxed((40, 40), [1.0, 1, 5, 5], labels=[6]), "label-out-of-range"),
        (Sample(image(40, 40), Target(label=1)), "box-missing"),
    ],
)
def test_a_box_that_cannot_be_learned_is_named(task, sample, id):
    assert [problem.id for problem in task.check(sample)] == [id]


def test_boxes_that_cannot_be_learned_give_no_nan(task):
    net = sn.model("yolov3-small", classes=6)
    odd = boxed((40, 40), [5.0, 5, 5, 9], [float("nan"), 1, 5, 5], [900.0, 900, 990, 990])
    batch = task.encode([odd, boxed((40, 40), [1.0, 1, 9, 9])])
    parts = task.loss(net, replace(batch, x=task.inputs().prepare(batch.x)))
    assert all(part.isfinite() for part in parts.values())


def test_crowds_are_neither_to_be_found_nor_missed():
    metric = CocoScores(["person"])
    box = torch.tensor([[0.0, 0, 40, 40], [50, 50, 90, 90]])
    crowd = Target(labels=torch.tensor([0, 0]), boxes_N4=box, ignored_N=torch.tensor([False, True]))
    found = Prediction(labels=torch.tensor([0]), boxes_N4=box[:1], scores_N=torch.tensor([0.9]))
    metric.update([found], [crowd])
    assert metric.compute()["mAP50"] == 1.0


def test_scores_without_things_or_without_answers_are_zero():
    nothing = Target(labels=torch.zeros(0, dtype=torch.int64), boxes_N4=torch.zeros(0, 4))
    metric = CocoScores(["a", "b"])
    metric.update([Prediction()], [nothing])
    assert metric.compute()["mAP50-95"] == 0.0
    metric.update([Prediction()], [boxed((9, 9), [1.0, 1, 5, 5]).target])
    assert metric.compute()["mAP50-95"] == 0.0


def test_data_without_boxes_are_refused_with_what_is_wanted():
    x, y = np.zeros((10, 8, 8), np.uint8), [0, 1] * 5
    with pytest.raises(DataError, match="has no boxes; task=detect wants COCO, VOC or YOLO"):
        Detect.from_source(open_data((x, y)))


def test_a_classifier_is_no_detector(task):
    with pytest.raises(UsageError, match="is no detector; task=detect wants one, yolov3-small"):
        task.build(sn.model("lenet5_bn", classes=6))


def test_real_cells_survive_the_round_trip(shared_data):
    """640 x 480 pictures with touching cells, some of them labelled twice."""
    folder = shared_data / "bccd"
    if not folder.is_dir():
        pytest.skip("no bccd")
    source = open_data(folder, task="detect")
    cells = Detect.from_source(source)
    assert cells.classes == list(source.classes)
    metric = cells.metric()
    samples = [source.train[i] for i in range(20)]
    metric.update(answer(cells, samples), [s.target for s in samples])
    assert metric.compute()["mAP50-95"] > Detect.ceiling


class Listed(SampleSet):
    """Samples as they are given."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i]


class Shifted(SampleSet):
    """Drawn scenes whose classes are numbered from `first`."""

    def __init__(self, whole, first):
        self.whole, self.first = whole, first

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, i):
        sample = self.whole[i]
        target = replace(sample.target, labels=sample.target.labels + self.first)
        return replace(sample, target=target)


def numbered_from(first):
    parts = (Shifted(WorldSet(seed, 16, WIDE), first) for seed in (0, 1))
    train, val = parts
    return Source("scenes", "own", train, tuple("abcdef"), val)


@pytest.mark.parametrize(
    ("task", "model"), [("detect", "yolov3-small"), ("instances", "mask_rcnn-small")]
)
def test_classes_that_nobody_knows_are_named_and_the_rest_is_learned(task, model, tmp_path, capsys):
    """Classes numbered 1..K: the last one lies outside."""
    run = sn.train(
        numbered_from(1), task=task, model=model, epochs=1, batch=8, project=tmp_path, doctor=False
    )
    assert run.status == "finished"
    said = capsys.readouterr()
    assert "has class 6, outside 0..5: left out" in " ".join((said.out + said.err).split())
    sample = boxed((40, 40), [1.0, 1, 9, 9], [9.0, 9, 30, 30], labels=[6, 2])
    spec = Detect.from_source(numbered_from(0))
    assert spec.encode([sample]).y["labels"][0].tolist() == [2]
    spec.draw(sample)


def test_where_no_class_is_known_the_data_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no box of scenes has a class in 0\.\.5: they have 6\.\."):
        sn.train(numbered_from(6), task="detect", epochs=1, project=tmp_path, quiet=True)


def test_what_lies_in_the_padding_is_no_answer(task):
    """A picture of 48 x 96 in an input of 64 x 96: below 48 there is nothing."""
    boxes = torch.tensor([[10.0, 30, 40, 64], [10.0, 30, 40, 48], [50.0, 50, 80, 62]])
    sure = [Truth(boxes, torch.tensor([1, 1, 2]))]
    batch = task.encode([Sample(image(48, 96), Target())])
    (found,) = task.decode(task.style.oracle(sure, (64, 96)), batch)
    assert found.labels.tolist() == [1]  # two boxes that the frame's edge makes one
    torch.testing.assert_close(found.boxes_N4, boxes[1:2], atol=0.02, rtol=1e-3)


NONE = Target(labels=torch.zeros(0, dtype=torch.int64), boxes_N4=torch.zeros(0, 4))


@pytest.mark.parametrize("kind", [Detect, Instances])
def test_the_baseline_without_things_to_learn_scores_nothing(kind, task):
    style = MaskedTwoStage(TwoStage(6, ((8.0,),), (8,)))
    whole = kind({**task.spec, "style": {"name": style.name, **style.as_dict()}})
    empty = Listed([Sample(image(8, 8), replace(NONE, masks_NHW=torch.zeros(0, 8, 8).bool()))] * 3)
    assert whole.baseline(empty) == {"mAP50-95": 0.0}


def test_the_mean_box_is_of_things_that_can_be_learned():
    boxes = torch.tensor([[1.0, 1, 5, 5], [float("nan"), 1, 5, 5], [0, 0, 90, 90], [3, 3, 7, 7]])
    crowd = torch.tensor([False, False, True, False])
    target = Target(labels=torch.tensor([1, 1, 1, 9]), boxes_N4=boxes, ignored_N=crowd)
    found = mean_boxes([target, NONE], 3)
    assert (found.labels.tolist(), found.boxes_N4.tolist()) == ([1], [[1.0, 1.0, 5.0, 5.0]])
    assert len(mean_boxes([NONE], 3).boxes_N4) == 0


def test_boxes_are_told_by_the_limits_of_the_style(task):
    """Two boxes of a class that overlap by .55, and a faint one."""
    boxes = torch.tensor([[0.0, 0, 40, 40], [0.0, 0, 40, 22], [60, 10, 90, 40]])
    truth = Truth(boxes, torch.tensor([1, 1, 2]))
    batch = task.encode([Sample(image(64, 96), Target())])
    for limits, count in (((0.005, 0.6), 3), ((0.005, 0.5), 2), ((0.05, 0.6), 2)):
        style = TwoStage(6, ((8.0,),), (8,), keep=8, score=limits[0], overlap=limits[1])
        assert style.limits == limits
        kind = Detect({**task.spec, "style": {"name": style.name, **style.as_dict()}})
        raw = style.oracle([truth], (64, 96))
        raw[-2][0, 2] = torch.tensor([0.98, 0, 0, 0.02, 0, 0, 0]).clamp(min=1e-9).log()
        assert len(kind.decode(raw, batch)[0].labels) == count, limits
        asked = ask(style, raw, (64, 96), count=8)[0]
        assert int((asked[:, 4] > 0).sum()) == count, limits
