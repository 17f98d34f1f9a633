"""COCO's areas of things decide which are small and how far a joint may lie; scores with them are
pycocotools' own, from the file.
"""

import contextlib
import io
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.open import open_path
from snellen.data.relabel import Relabelled
from snellen.data.sample import Prediction, Target
from snellen.tasks._coco import NAMES, CocoScores
from snellen.tasks._people import people_of
from snellen.tasks._things import of_known_classes

SIGMAS = [0.05, 0.1, 0.08]


def write(root, random, pictures=6):
    """Things whose areas are a quarter of their boxes, joints in these; every sixth has no area's
    word but that of its box.
    """
    images, things = [], []
    for i in range(pictures):
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200, 160)).save(root / "images" / f"{i}.png")
        images.append({"id": i + 1, "file_name": f"{i}.png", "width": 200, "height": 160})
        for _ in range(5):
            x, y, w, h = (random.uniform(*low) for low in ((0, 90), (0, 50), (15, 110), (15, 110)))
            joints = [v for _ in SIGMAS for v in (x + w * random.rand(), y + h * random.rand(), 2)]
            things.append({"id": len(things) + 1, "image_id": i + 1, "iscrowd": 0,
                           "category_id": 1 + len(things) % 2, "bbox": [x, y, w, h],
                           "area": w * h * (1.0 if len(things) % 6 == 5 else 0.25),
                           "keypoints": joints, "num_keypoints": len(SIGMAS)})  # fmt: skip
    kinds = [{"id": k, "name": name, "keypoints": ["a", "b", "c"], "skeleton": []}
             for k, name in ((1, "cat"), (2, "dog"))]  # fmt: skip
    document = {"images": images, "annotations": things, "categories": kinds}
    file = root / "annotations" / "person_keypoints.json"
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    return file


def noisy(target, random):
    """An imperfect answer to a target."""
    count = len(target.labels)
    return Prediction(
        labels=target.labels, scores_N=torch.from_numpy(random.rand(count)),
        boxes_N4=target.boxes_N4 + torch.from_numpy(random.uniform(-6, 6, (count, 4))),
        keypoints_NK2=target.keypoints_NK2 + torch.from_numpy(random.normal(0, 4, (count, 3, 2))),
        visibility_NK=target.visibility_NK,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_scores_by_size_are_those_of_pycocotools_on_the_file(tmp_path, kind):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    random = np.random.RandomState(0)
    file = write(tmp_path, random)
    part = open_path(file).train
    ours = CocoScores(["cat", "dog"], kind, SIGMAS)
    for i in range(len(part)):
        target = part.target(i)
        ours.update([noisy(target, random)], [target])
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        found = [{**row, "category_id": row["category_id"] + 1} for row in ours.found]
        theirs = COCOeval(truth, truth.loadRes(found), kind)
        theirs.params.kpt_oks_sigmas = np.array(SIGMAS)
        theirs.evaluate(), theirs.accumulate(), theirs.summarize()
    scores, told = ours.compute(), theirs.stats.tolist()
    wanted = {name: v for name, v in zip(NAMES[kind], told, strict=True) if v >= 0}
    assert {name: scores.get(name) for name in wanted} == pytest.approx(wanted, abs=1e-9)
    assert 0.05 < wanted["mAP-medium"] < 0.95


def test_areas_stay_with_their_things(tmp_path):
    part = open_path(write(tmp_path, np.random.RandomState(1), 1)).train
    areas = part.target(0).areas_N
    only = Relabelled(part, [-1, 0])[0]
    assert torch.equal(only.target.areas_N, areas[1::2])
    assert torch.equal(of_known_classes(part[0], 1).target.areas_N, areas[::2])
    assert torch.equal(people_of(part.target(0), 1, 3).areas_N, areas[1::2])


@pytest.mark.parametrize("area", [None, 0, -3, "12", True, [4], float("inf")])
def test_an_area_that_is_none_is_that_of_the_box(tmp_path, area):
    file = write(tmp_path, np.random.RandomState(2), 1)
    document = json.loads(file.read_text())
    document["annotations"][0]["area"] = area
    file.write_text(json.dumps(document))
    target = open_path(file).train.target(0)
    assert target.areas_N.isnan().tolist() == [True] + 4 * [False]
    scores = CocoScores(["cat", "dog"])
    scores.update([Prediction()], [target])
    width, height = (target.boxes_N4[0, 2:] - target.boxes_N4[0, :2]).double().tolist()
    assert scores.truths[0]["area"] == pytest.approx(width * height)
    assert scores.truths[1]["area"] == document["annotations"][1]["area"]


def test_without_a_word_of_the_data_areas_are_of_masks_and_boxes():
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, :2, :3] = True
    target = Target(labels=torch.tensor([0]), boxes_N4=torch.tensor([[0.0, 0, 4, 4]]),
                    masks_NHW=masks)  # fmt: skip
    for kind, area in (("bbox", 16), ("segm", 6)):
        scores = CocoScores(["a"], kind)
        scores.update([Prediction()], [target])
        assert scores.truths[0]["area"] == area


def test_a_box_inside_a_crowd_or_a_difficult_thing_is_left_out_however_small():
    """As docs/formats.md says; by VOC's own rule it would be false."""
    boxes = torch.tensor([[0.0, 0, 9, 9], [40, 40, 90, 90]])
    target = Target(labels=torch.tensor([0, 0]), boxes_N4=boxes,
                    ignored_N=torch.tensor([False, True]))  # fmt: skip
    found = torch.tensor([[50.0, 50, 60, 60], [60, 60, 70, 70], [0, 0, 9, 9]])
    scores = CocoScores(["a"])
    said = Prediction(labels=torch.zeros(3, dtype=torch.int64), boxes_N4=found,
                      scores_N=torch.tensor([0.9, 0.8, 0.7]))  # fmt: skip
    scores.update([said], [target])
    assert scores.compute()["mAP50-95"] == 1.0


def test_other_threads_may_print_while_pycocotools_counts(capsys, monkeypatch):
    """And what pycocotools says is in the table, not on the screen."""
    from pycocotools.cocoeval import COCOeval

    counted = COCOeval.accumulate

    def beside(self, *args):
        other = threading.Thread(target=lambda: print("from another thread"))
        other.start()
        other.join()
        counted(self, *args)

    monkeypatch.setattr(COCOeval, "accumulate", beside)
    scores, target = CocoScores(["a"]), Target(labels=torch.tensor([0]),
                                               boxes_N4=torch.tensor([[0.0, 0, 4, 4]]))  # fmt: skip
    scores.update([Prediction(**target.given(), scores_N=torch.ones(1))], [target])
    assert scores.compute()["mAP50"] == 1.0
    assert capsys.readouterr().out == "from another thread\n"
    assert len(scores.table.splitlines()) == 12
    assert "Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all" in scores.table
