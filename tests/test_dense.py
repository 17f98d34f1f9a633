"""Pictures of more things than COCO counts: told, counted and asked for by what the data have."""

import contextlib
import copy
import io
import json
from dataclasses import replace

import pytest
import torch

import snellen as sn
from snellen.cli._coco_table import coco_table
from snellen.data.sample import Prediction, Sample, Skeleton, Target
from snellen.data.source import SampleSet, Source
from snellen.nn.asked import ask
from snellen.nn.detector import Truth
from snellen.tasks._coco import CocoScores
from snellen.tasks.detect import Detect
from snellen.tasks.instances import Instances
from snellen.tasks.pose import Pose
from snellen.train.prepare import check_round_trip

COUNT, SIDE = 130, 256


class Crowded(SampleSet):
    """Pictures of `count` squares, each with a mask, and two joints where asked."""

    def __init__(self, count, joints=False):
        self.count, self.joints = count, joints

    def __len__(self):
        return 3

    def __getitem__(self, i):
        places = torch.randperm(196, generator=torch.Generator().manual_seed(i))[: self.count]
        low = torch.stack([places % 14, places // 14], 1) * 18 + 2
        boxes = torch.cat([low, low + 13], 1).float()
        masks = torch.zeros(self.count, SIDE, SIDE, dtype=torch.bool)
        for mask, (x, y) in zip(masks, low.tolist(), strict=True):
            mask[y : y + 13, x : x + 13] = True
        image = (masks.any(0) * 120 + 60).to(torch.uint8).expand(3, -1, -1).clone()
        more = {"masks_NHW": masks}
        if self.joints:
            points = torch.stack([boxes[:, :2] + 3, boxes[:, :2] + 9], 1)
            more = {"keypoints_NK2": points, "visibility_NK": torch.full((self.count, 2), 2)}
        labels = torch.zeros(self.count, dtype=torch.int64)
        return Sample(image, Target(labels=labels, boxes_N4=boxes, **more), i)


def source(count=COUNT, joints=False):
    part = Crowded(count, joints)
    skeleton = Skeleton(("a", "b"), ((0, 1),)) if joints else None
    return Source("crowded", "own", part, ("cell",), part, skeleton=skeleton)


@pytest.mark.parametrize(
    ("kind", "model", "joints"),
    [(Detect, "yolov3-small", False), (Instances, "mask_rcnn-small", False),
     (Pose, "keypoint_rcnn-small", True)],
)  # fmt: skip
def test_a_perfect_answer_holds_all_things_of_a_full_picture(kind, model, joints):
    data = source(60 if joints else COUNT, joints)
    task = kind.from_source(data)
    task.build(sn.model(model, classes=task.num_outputs()))
    batch = task.encode([data.train[0]])
    assert len(task.decode(task.oracle(batch), batch)[0].labels) == data.train.count
    check_round_trip(task, data.train)
    again = kind(task.spec)
    assert again.spec["most"] == 2 * data.train.count


class OneFull(SampleSet):
    """700 grey pictures of one thing; one of `count`, not among those that sizes are told by."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return 700

    def __getitem__(self, i):
        return Sample(torch.full((3, 32, 32), 90, dtype=torch.uint8), self.target(i), i)

    def target(self, i):
        many = self.count if i == 401 else 1
        boxes = torch.tensor([[4.0, 4, 20, 20]]).expand(many, 4)
        points, seen = boxes.reshape(many, 2, 2), torch.full((many, 2), 2)
        labels = torch.arange(many) // COUNT  # from the second on of no known class
        return Target(labels=labels, boxes_N4=boxes, keypoints_NK2=points, visibility_NK=seen)


@pytest.mark.parametrize("kind", [Detect, Pose])
def test_the_fullest_picture_counts_wherever_it_lies(kind):
    data = replace(source(joints=True), train=OneFull(COUNT + 40))
    assert kind.from_source(data).most == 2 * COUNT


def test_a_network_of_two_stages_reads_and_asks_as_many_as_there_are():
    task = Instances.from_source(source())
    net = task.build(sn.model("mask_rcnn-small", classes=1)).eval()
    assert net.head.facts.keep == net.head.branch.found == 2 * COUNT
    assert task.spec["style"]["boxes"]["keep"] == 2 * COUNT
    size = (SIDE, SIDE)
    perfect = net.head.facts.oracle(
        [Truth(t.boxes_N4, t.labels) for t in [source().train[0].target]], size
    )
    asked = ask(net.head.facts, perfect, size, count=net.head.branch.found)
    assert int((asked[0, :, 4] > 0).sum()) == COUNT


def test_what_is_usual_stays_where_no_picture_holds_more():
    task = Instances.from_source(source(100))
    net = task.build(sn.model("mask_rcnn-small", classes=1))
    assert task.spec["most"] == net.head.facts.keep == 100
    assert Detect({**task.spec, "most": 100}).most == 100
    spec = {k: v for k, v in task.spec.items() if k != "most"}  # of a run from before
    assert Detect(spec).most == 100


def test_the_spec_of_a_run_makes_the_same_network_and_table_again():
    task = Detect.from_source(source())
    task.build(sn.model("faster_rcnn-small", classes=1))
    restored = Detect(json.loads(json.dumps(task.spec)))
    net = restored.build(sn.model("faster_rcnn-small", classes=1))
    assert restored.most == net.head.facts.keep == 2 * COUNT
    target, metric = source().train[0].target, restored.metric()
    said = Prediction(**target.given(), scores_N=torch.ones(COUNT))
    metric.update([said], [target])
    scores = metric.compute()
    assert scores["mAP50-95"] == scores[f"mAR{2 * COUNT}"] == 1
    assert "mAR100" not in scores


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_scores_are_those_of_pycocotools_told_the_same_number(kind):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ours, random = CocoScores(["cell"], kind, most=260), torch.Generator().manual_seed(0)
    for sample in Crowded(COUNT):
        shift = torch.randint(0, 3, (COUNT, 1), generator=random).float()
        said = Prediction(
            labels=sample.target.labels, boxes_N4=sample.target.boxes_N4 + shift,
            scores_N=torch.rand(COUNT, generator=random), masks_NHW=sample.target.masks_NHW,
        )  # fmt: skip
        ours.update([said], [sample.target])
    found, theirs = copy.deepcopy(ours.found), {}
    scores = ours.compute()
    assert ours.compute() == scores
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i, "height": SIDE, "width": SIDE} for i in (1, 2, 3)],
        "annotations": [{**t, "id": i} for i, t in enumerate(ours.truths, 1)],
        "categories": [{"id": 0, "name": "cell"}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        for most in (100, 260):
            outside = COCOeval(truth, truth.loadRes(copy.deepcopy(found)), kind)
            outside.params.maxDets = [1, 10, most]
            outside.evaluate(), outside.accumulate()
            precision = outside.eval["precision"][:, :, :, 0, -1]
            theirs[most] = float(precision[precision > -1].mean())
    assert scores["mAP50-95"] == pytest.approx(theirs[260], abs=1e-9)
    assert theirs[100] < scores["mAP50-95"] - 0.05
    assert ours.table.count("maxDets=260 ]") == 10
    table = list(coco_table(scores))
    assert table[:12] == ours.table.splitlines()
    assert "the best 260 of an image are counted" in table[12]


def test_people_beyond_twenty_are_counted():
    data = source(60, joints=True)
    task = Pose.from_source(data)
    task.build(sn.model("keypoint_rcnn-small", classes=2))
    batch, metric = task.encode([data.train[0]]), task.metric()
    metric.update(task.decode(task.oracle(batch), batch), [data.train[0].target])
    scores = metric.compute()
    assert scores["mAR120"] > 0.9
    assert next(iter(coco_table(scores))).endswith(f"maxDets=120 ] = {scores['mAP50-95']:0.3f}")
