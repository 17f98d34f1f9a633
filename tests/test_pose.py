"""The task pose: from a user's people to COCO's scores and back to his pixels."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.data.augment import compose
from snellen.data.formats._skeleton import mirror_of
from snellen.data.open import open_data
from snellen.data.people import JOINTS, LIMBS, MIRROR
from snellen.data.sample import Prediction, Sample, Skeleton, Target
from snellen.data.source import Source
from snellen.data.world_set import WorldSet, world_source
from snellen.data.worlds import World
from snellen.models import describe, layer_table, listing, row
from snellen.nn.count import count_macs, count_params
from snellen.tasks.coco_results import coco_results, flat_joints, xywh
from snellen.tasks.objects import objects
from snellen.tasks.pose import Pose
from snellen.tasks.stick_figures import COLOURS, draw_people, side_of
from snellen.train.prepare import prepare
from snellen.train.recipe import Recipe

CROWD = World(people=True, most=3, smallest=0.22, largest=0.4, hidden=0.2)
LONE = World(people=True, fewest=1, most=1, smallest=0.3, largest=0.4, empty=0.0)
BODY = Skeleton(JOINTS, LIMBS, MIRROR)
NET = {"stages": 1, "width": 8, "first": (1, 3, 8), "widths": (4,)}


def few(count):
    """Fewer scenes than the word shapes has."""
    whole = world_source(CROWD, ("person",))
    return replace(whole, train=WorldSet(0, count, CROWD), val=WorldSet(1, 6, CROWD))


@pytest.fixture(scope="module")
def task():
    return Pose.from_source(few(40))


@pytest.fixture(scope="module")
def samples():
    return [WorldSet(3, 60, CROWD)[i] for i in range(60)]


def answer(task, samples, change=lambda raw: raw):
    batch = task.encode(samples)
    return task.decode(change(task.oracle(batch)), batch)


def score(task, found, samples):
    metric = task.metric()
    metric.update(found, [s.target for s in samples])
    return metric.compute()["mAP50-95"]


def person(size, points, seen=2, **more):
    """A sample of one person."""
    points = torch.tensor(points).float()[None]
    seen = torch.full(points.shape[:2], seen) if isinstance(seen, int) else seen
    target = Target(keypoints_NK2=points, visibility_NK=seen, **more)
    return Sample(torch.zeros(3, *size, dtype=torch.uint8), target)


def standing(size):
    """The joints of somebody drawn, brought to a picture of this size."""
    joints = WorldSet(0, 1, LONE)[0].target.keypoints_NK2[0]
    return (joints / 96 * torch.tensor([size[1], size[0]])).tolist()


# The round trip ----------------------------------------------------------------------------------


def test_a_perfect_answer_reaches_the_ceiling_and_a_shifted_one_does_not(task, samples):
    found = answer(task, samples)
    assert score(task, found, samples) >= 0.95
    moved = [replace(f, keypoints_NK2=f.keypoints_NK2 + 2.0) for f in found]
    assert score(task, moved, samples) < 0.8


def test_fields_of_noise_ruin_a_perfect_answer(task, samples):
    """Joints alone make no people: the fields are what joins them."""
    generator = torch.Generator().manual_seed(0)

    def torn(raw):
        (out,) = raw
        noise = torch.randn(out[:, : 2 * len(LIMBS)].shape, generator=generator)
        return [torch.cat([noise * out[:, : 2 * len(LIMBS)].std(), out[:, 2 * len(LIMBS) :]], 1)]

    def swapped(raw):
        (out,) = raw
        return [torch.cat([-out[:, : 2 * len(LIMBS)], out[:, 2 * len(LIMBS) :]], 1)]

    assert score(task, answer(task, samples, torn), samples) < 0.1
    assert score(task, answer(task, samples, swapped), samples) < 0.01


@pytest.mark.parametrize("size", [(96, 96), (300, 200), (61, 97), (480, 640)])
def test_joints_come_back_in_the_pictures_pixels(task, size):
    points = standing(size)
    (found,) = answer(task, [person(size, points)])
    assert len(found.scores_N) == 1
    torch.testing.assert_close(
        found.keypoints_NK2[0], torch.tensor(points), atol=0.01 * max(size), rtol=0
    )
    assert found.boxes_N4[0, 2] <= size[1]


def test_one_image_alone_and_in_a_batch_get_the_same_answer(task, samples):
    torch.manual_seed(0)
    net = task.build(sn.model("openpose-small", classes=len(JOINTS))).eval()
    with torch.no_grad():
        for parameter in net.parameters():  # as it is, it says nobody is there
            parameter.mul_(3)
        whole = task.encode(samples[:4])
        together = task.decode(net(task.inputs().prepare(whole.x)), whole)
        assert any(len(found.scores_N) for found in together)
        for sample, one in zip(samples, together, strict=False):
            batch = task.encode([sample])
            (alone,) = task.decode(net(task.inputs().prepare(batch.x)), batch)
            torch.testing.assert_close(alone.scores_N, one.scores_N, atol=1e-4, rtol=1e-3)


def test_a_mirrored_person_swaps_left_and_right(task):
    sample = person((96, 96), standing((96, 96)))
    batch, flip = task.encode([sample] * 16), compose("flip")
    flipped = flip(batch, torch.Generator().manual_seed(0))
    turned = [not torch.equal(x, sample.target.keypoints_NK2) for x in flipped.y["keypoints"]]
    assert 0 < sum(turned) < 16
    found = task.decode(task.oracle(flipped), flipped)[turned.index(True)]
    mirrored = sample.target.keypoints_NK2[0][list(MIRROR)] * torch.tensor([-1.0, 1]) + (
        torch.tensor([96.0, 0])
    )
    torch.testing.assert_close(found.keypoints_NK2[0], mirrored, atol=1.0, rtol=0)
    right, left = JOINTS.index("right hip"), JOINTS.index("left hip")
    assert found.keypoints_NK2[0, right, 0] < found.keypoints_NK2[0, left, 0]


# What a data set may hold ------------------------------------------------------------------------


def odd():
    joints = torch.full((1, len(JOINTS), 2), 30.0)
    none = torch.zeros(1, len(JOINTS), dtype=torch.int64)
    one = none.clone()
    one[0, 3] = 2
    box = {"boxes_N4": torch.tensor([[5.0, 5, 40, 90]]), "labels": torch.tensor([0])}
    nobody = {"boxes_N4": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    nan = joints.clone()
    nan[0, 2] = math.nan
    targets = {
        "nobody": Target(**nobody),
        "a box without joints": Target(**box),
        "no joint labelled": Target(keypoints_NK2=joints, visibility_NK=none, **box),
        "one joint": Target(keypoints_NK2=joints, visibility_NK=one),
        "not finite": Target(keypoints_NK2=nan, visibility_NK=none + 2, **box),
        "a crowd": Target(keypoints_NK2=joints, visibility_NK=none + 2, **box,
                          ignored_N=torch.tensor([True])),
        "outside": Target(keypoints_NK2=joints + 900, visibility_NK=none + 2, **box),
        "another body": Target(keypoints_NK2=torch.zeros(1, 3, 2),
                               visibility_NK=torch.ones(1, 3), **box),
    }  # fmt: skip
    image = torch.zeros(3, 96, 96, dtype=torch.uint8)
    return {name: Sample(image, target) for name, target in targets.items()}


@pytest.mark.parametrize("name", odd())
def test_odd_people_never_give_nan(task, samples, name):
    net = task.build(sn.model("openpose-small", classes=len(JOINTS), **NET))
    held = [odd()[name], samples[0]]
    batch = task.encode(held)
    parts = task.loss(net, replace(batch, x=task.inputs().prepare(batch.x)))
    assert all(part.isfinite() for part in parts.values())
    scores = score(task, task.decode(task.oracle(batch), batch), held)
    assert 0 <= scores <= 1


def test_people_without_joints_are_left_out_of_loss_and_score(task, samples):
    batch = task.encode([odd()["a box without joints"], odd()["a crowd"], samples[0]])
    assert [ignored.tolist() for ignored in batch.y["ignored"]][:2] == [[True], [True]]
    raw = [torch.zeros(3, task.style.channels, 24, 24, requires_grad=True)]

    class Blank(nn.Module):
        def forward(self, x):
            return raw

    sum(task.loss(Blank(), batch).values()).backward()
    taught = raw[0].grad[:2].abs().amax(1) > 0
    assert not taught[:, 2:22, 2:9].any()
    assert taught[:, :, 11:].all()


def test_a_joint_is_named_that_cannot_be_learned(task):
    found = {name: sorted({p.id for p in task.check(sample)}) for name, sample in odd().items()}
    assert {name: ids for name, ids in found.items() if ids} == {
        "not finite": ["keypoint-not-finite"],
        "outside": ["keypoint-outside"],
        "another body": ["keypoints-misfit"],
    }
    (nothing,) = task.check(Sample(torch.zeros(3, 9, 9), Target(label=1)))
    assert nothing.id == "keypoints-missing"
    (wrong,) = task.check(person((96, 96), standing((96, 96)), seen=torch.tensor([[7] + [2] * 13])))
    assert (wrong.id, wrong.message) == (
        "visibility-unknown", "person 0: head has a visibility that is not 0, 1 or 2",
    )  # fmt: skip


def test_an_image_of_which_nothing_is_known_can_be_predicted_on_but_not_judged(task):
    image = torch.zeros(3, 30, 40, dtype=torch.uint8)
    assert len(answer(task, [Sample(image, Target())])) == 1
    with pytest.raises(DataError, match=r"cat\.jpg has no people"):
        task.encode([Sample(image, Target(label=3), path="cat.jpg")])


def test_of_several_classes_the_one_with_joints_is_the_person():
    """A data set of people and dogs: dogs are ground, and no person is missed for them."""
    joints = torch.tensor(standing((96, 96)))
    points = torch.stack([torch.zeros_like(joints), joints])
    seen = torch.tensor([[0] * 14, [2] * 14])
    target = Target(
        labels=torch.tensor([0, 1]), keypoints_NK2=points, visibility_NK=seen,
        boxes_N4=torch.tensor([[1.0, 1, 20, 20], [20, 10, 80, 90]]),
    )  # fmt: skip

    class Two(WorldSet):
        def __getitem__(self, i):
            return Sample(torch.zeros(3, 96, 96, dtype=torch.uint8), target, i)

    source = Source("zoo", "coco", Two(0, 4, CROWD), ("dog", "person"), skeleton=BODY)
    task = Pose.from_source(source)
    assert task.spec["person"] == 1
    batch = task.encode([source.train[0]])
    assert [len(points) for points in batch.y["keypoints"]] == [1]
    found = task.decode(task.oracle(batch), batch)
    assert score(task, found, [source.train[0]]) == 1.0
    assert objects(found[0], task.names())[0]["label"] == "person"


def test_coco_key_points_are_read_and_survive(tmp_path):
    """A folder as COCO's: names and limbs by the category, somebody without joints among them."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    things = []
    scenes = [WorldSet(5, 6, replace(CROWD, fewest=1, empty=0.0))[i] for i in range(6)]
    for i, sample in enumerate(scenes):
        pixels = sample.image_CHW.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
        target = sample.target
        boxes = xywh(target.boxes_N4)
        joints = flat_joints(target.keypoints_NK2, target.visibility_NK)
        for box, flat in zip([*boxes, [1, 1, 30, 40]], [*joints, [0] * 42], strict=True):
            things.append({"id": len(things) + 1, "image_id": i, "category_id": 3, "iscrowd": 0,
                           "bbox": box, "area": box[2] * box[3], "keypoints": flat,
                           "num_keypoints": sum(v > 0 for v in flat[2::3])})  # fmt: skip
    category = {"id": 3, "name": "person", "keypoints": [name.replace(" ", "_") for name in JOINTS],
                "skeleton": [[a + 1, b + 1] for a, b in LIMBS]}  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.png", "width": 96, "height": 96} for i in range(6)]
    document = {"images": images, "annotations": things, "categories": [category]}
    (tmp_path / "annotations" / "person_keypoints.json").write_text(json.dumps(document))
    source = open_data(tmp_path, task="pose", split=0.0)
    task = Pose.from_source(source)
    assert task.skeleton.mirror == MIRROR
    assert task.skeleton.bones == LIMBS
    read = [source.train[i] for i in range(6)]
    assert [problem for sample in read for problem in task.check(sample)] == []
    assert all(ignored[-1] for ignored in task.encode(read).y["ignored"])
    assert score(task, answer(task, read), read) >= 0.95


SIDED = ("Neck RShoulder LShoulder", "nose r-eye l-eye", "top eye.L eye.R", "head lhip rhip")


@pytest.mark.parametrize("names", [*SIDED, "a hipL hipR", "a LEFT_EAR right_ear", "a l1 r1"])
def test_a_side_is_known_however_it_is_written(names):
    mirror = mirror_of(names.split())
    assert mirror == (0, 2, 1)
    body = Skeleton(tuple(names.split()), (), mirror)
    is_left = "l" in names.split()[1].replace("hip", "").replace("Shoulder", "").lower()
    assert side_of(1, body) == ("left" if is_left else "right") != side_of(2, body)


def test_names_that_happen_to_begin_alike_are_no_sides():
    assert mirror_of(["lip", "neck", "rib", "left_hip", "9"]) == ()
    assert mirror_of(["lip", "chin"]) == (0, 1)


def test_flip_is_not_usual_where_nobody_knows_the_sides():
    """Numbered joints: a mirrored left hand would be taught as a left hand."""
    whole, known = few(4), Pose.from_source(few(4))
    numbered = Skeleton(tuple(map(str, range(len(JOINTS)))), LIMBS)
    source = replace(whole, skeleton=numbered)
    assert Pose.from_source(source).usual_settings() == {**Pose.usual, "augment": "off"}
    assert known.usual_settings() == Pose.usual
    said = replace(whole, skeleton=replace(numbered, mirror=tuple(range(len(JOINTS)))))
    assert Pose.from_source(said).usual_settings() == Pose.usual  # a body without sides, as told
    assert not Pose.adapt(whole).problems
    for typed, found in (({}, "off"), ({"augment": "flip"}, "flip")):
        notes, recipe = [], Recipe(task="pose", epochs=1, **typed)
        job = prepare(recipe, typed, {"data": source}, notes.append)
        assert job.recipe.augment == found
        assert sum("has a partner in a mirror" in note for note in notes) == 1


def test_data_without_a_skeleton_are_refused_with_what_is_wanted():
    source = Source("cats", "coco", WorldSet(0, 4, LONE), ("cat",))
    with pytest.raises(DataError, match="task=pose wants COCO annotations with keypoints"):
        Pose.from_source(source)


def test_joints_without_limbs_are_learned_by_boxes_and_not_by_limbs():
    loose = replace(open_data("shapes", task="pose"), skeleton=Skeleton(BODY.joints))
    task = Pose.from_source(loose, imgsz=64)
    with pytest.raises(DataError, match=r"no limbs between them.*model=keypoint_rcnn-small"):
        task.build(sn.model("openpose-small", classes=task.num_outputs()))
    net = task.build(sn.model("keypoint_rcnn-small", classes=task.num_outputs()))
    batch = task.encode([loose.train[0], loose.train[1]])
    batch = replace(batch, x=batch.x / 255)
    parts = task.loss(net.train(), batch)
    assert all(part.isfinite() for part in parts.values())
    (found, _) = task.decode(task.oracle(batch), batch)
    task.draw(loose.train[0], found)


def test_a_classifier_finds_no_people(task):
    with pytest.raises(UsageError, match="finds no people; task=pose wants openpose-small"):
        task.build(sn.model("lenet5_bn", classes=14))


def test_the_word_shapes_has_people_whose_skeleton_the_task_takes(task):
    source = open_data("shapes", task="pose")
    assert source.skeleton == task.skeleton == BODY
    assert any(task.check(source.train[i]) == [] for i in range(5))
    assert (task.inputs().height, task.inputs().width) == (96, 96)


# Scores, rows and drawings -----------------------------------------------------------------------


def test_the_score_is_pycocotools_outside_of_snellen(task, samples, tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    generator = torch.Generator().manual_seed(1)
    found = [
        replace(f, keypoints_NK2=f.keypoints_NK2
                + 4 * torch.rand(len(f.scores_N), 1, 1, generator=generator)
                * torch.randn(f.keypoints_NK2.shape, generator=generator))
        for f in answer(task, samples)
    ]  # fmt: skip
    truths, said = [], []
    for i, (sample, one) in enumerate(zip(samples, found, strict=True), 1):
        target = sample.target
        for n in range(0 if target.keypoints_NK2 is None else len(target.labels)):
            points, seen = target.keypoints_NK2[n], target.visibility_NK[n]
            x1, y1, x2, y2 = target.boxes_N4[n].tolist()
            truths.append({
                "id": len(truths) + 1, "image_id": i, "category_id": 1, "iscrowd": 0,
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": int(target.masks_NHW[n].sum()),
                "keypoints": torch.cat([points, seen[:, None]], 1).flatten().tolist(),
                "num_keypoints": int((seen > 0).sum()),
            })  # fmt: skip
        said += coco_results(one, i, [1], kind="keypoints")
    document = {"images": [{"id": i} for i in range(1, len(samples) + 1)], "annotations": truths,
                "categories": [{"id": 1, "name": "person"}]}  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(document))
    (tmp_path / "said.json").write_text(json.dumps(said))
    truth = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "said.json")), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(sn.nn.joint_sigmas(JOINTS))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    metric = task.metric()
    metric.update(found, [s.target for s in samples])
    assert metric.compute()["mAP50-95"] == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert metric.compute()["mAP75"] == pytest.approx(evaluation.stats[2], abs=1e-9)
    assert 0.2 < evaluation.stats[0] < 0.9


def test_scores_without_people_or_answers_are_zero(task):
    metric = task.metric()
    metric.update([Prediction()], [odd()["nobody"].target])
    assert metric.compute()["mAP50-95"] == 0.0
    metric.update([Prediction()], [odd()["one joint"].target])
    assert metric.compute()["mAP50-95"] == 0.0


def test_a_row_of_an_answer_has_the_joints(task):
    (found,) = answer(task, [person((96, 96), standing((96, 96)))])
    (one,) = objects(found, task.names())
    assert one["label"] == "person"
    assert len(one["keypoints"]) == len(JOINTS)
    x, y, seen = one["keypoints"][0]
    assert [x, y] == pytest.approx(found.keypoints_NK2[0, 0].tolist(), abs=1e-3)
    assert seen == 2
    json.dumps(one)


def test_left_and_right_are_told_apart_in_a_drawing(task):
    sample = person((96, 96), standing((96, 96)))
    picture = np.asarray(task.draw(sample))
    scale = picture.shape[1] / 96
    for k, colour in ((JOINTS.index("left wrist"), "left"), (4, "right"), (0, "middle")):
        x, y = (sample.target.keypoints_NK2[0, k] * scale).int().tolist()
        want = [int(COLOURS[colour][i : i + 2], 16) for i in (1, 3, 5)]
        assert picture[y, x].tolist() == want
    nobody = draw_people(sample.image_CHW, torch.zeros(0, 14, 2), torch.zeros(0, 14), BODY)
    assert nobody.size == (picture.shape[1], picture.shape[0])
    assert [side_of(k, BODY) for k in (0, 4, 7)] == ["middle", "right", "left"]


# The networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", listing("pose"))
def test_claims_are_what_the_network_counts(name):
    found = row(name)
    with torch.device("meta"):
        net = found.make()
    assert count_params(net) == found.params
    assert count_macs(net, found.input) == found.macs
    assert sum(line["macs"] for line in layer_table(name)) == found.macs
    assert describe(name)["task"] == "pose"


@pytest.mark.parametrize("name", [n for n in listing("pose") if row(n).family == "OpenPose"])
def test_every_stage_gives_all_maps_and_every_parameter_learns(name):
    torch.manual_seed(0)
    net = sn.model(name, classes=5, limbs=4, **{**row(name).thin, "widths": (8, 8, 8, 8)})
    raw = net(torch.randn(2, 3, 64, 96))
    assert len(raw) == 2
    cell = 8 if name == "openpose_coco" else 4
    assert net.head.cell == cell
    assert {tuple(r.shape) for r in raw} == {(2, 14, 64 // cell, 96 // cell)}
    sum(r.square().mean() for r in raw).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad.any() for n, p in net.named_parameters() if n.startswith("head"))


def written_again(state, x, stages):
    """The paper's network off its figure 3, in plain convolutions; weights by our names."""

    def conv(x, name, rectified=True):
        weight = state[f"{name}.weight"]
        x = F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[2] // 2)
        return x.clamp(min=0) if rectified else x

    def branch(x, name, depth):
        for j in range(depth):
            x = conv(x, f"{name}.{j}.conv")
        return conv(x, f"{name}.{depth}", rectified=False)

    for block, depth in enumerate((2, 2, 4, 2), 1):
        x = F.max_pool2d(x, 2) if block > 1 else x
        for j in range(depth):
            x = conv(x, f"block{block}.{j + (block > 1)}.conv")
    features = conv(conv(x, "narrow.0.conv"), "narrow.1.conv")
    x, said = features, []
    for stage in range(stages):
        depth = 4 if stage == 0 else 6  # with the first of the two 1x1
        both = [branch(x, f"head.{name}.{stage}", depth) for name in ("fields", "maps")]
        said.append(torch.cat(both, 1))
        x = torch.cat([*both, features], 1)
    return said


def test_the_papers_network_is_its_figure_written_a_second_time():
    torch.manual_seed(0)
    small = {"width": 8, "first": (3, 3, 16), "later": (5, 7, 8), "widths": (8, 8, 16, 16)}
    net = sn.model("openpose_coco", **small).double().requires_grad_(False)
    x = torch.randn(1, 3, 48, 64, dtype=torch.double)
    ours, theirs = net(x), written_again(net.state_dict(), x, 6)
    assert len(ours) == len(theirs) == 6
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-9)
    assert ours[-1].abs().max() > 0


def test_a_network_takes_the_skeleton_of_the_data(task):
    net = sn.model("openpose-small", classes=14, limbs=5, **NET)
    neck = net.head.neck
    raw = task.build(net)(torch.zeros(1, 3, 32, 32))
    assert raw[-1].shape[1] == task.style.channels
    assert net.head.neck is neck
    assert task.spec["cell"] * raw[-1].shape[2] == 32


def test_a_training_runs_and_predicts(tmp_path):
    source = few(24)
    run = sn.train(source, task="pose", epochs=1, batch=8, threads=1, project=str(tmp_path),
                   quiet=True, doctor=False, preflight="off")  # fmt: skip
    image = source.val[0].image_CHW.permute(1, 2, 0).numpy()
    assert run.predict(image)[0].keypoints_NK2.shape[1:] == (14, 2)
    assert set(run.evaluate(source)) >= {"mAP50-95", "mAP50", "loss"}
