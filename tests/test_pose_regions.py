"""People top-down: Mask R-CNN's joints in task=pose, from a user's people to COCO's scores."""

from dataclasses import replace

import pytest
import torch

import snellen as sn
from snellen.core.errors import UsageError
from snellen.data.augment import compose
from snellen.data.people import JOINTS, LIMBS, MIRROR
from snellen.data.sample import Sample, Target
from snellen.data.world_set import WorldSet, world_source
from snellen.data.worlds import World
from snellen.models._two_stage import Joints
from snellen.nn.crowd import Crowd
from snellen.nn.fast_rcnn import is_region
from snellen.nn.two_stage import TwoStage
from snellen.nn.two_stage_joints import JointedTwoStage
from snellen.tasks._people import around
from snellen.tasks.pose import Pose

CROWD = World(people=True, most=3, smallest=0.22, largest=0.4, hidden=0.2)
SIZE = (64, 96)
STYLE = JointedTwoStage(TwoStage(1, ((16.0,), (30.0,)), (4, 8), keep=16, anchors=1000), joints=2)
NET = {"base": 4, "width": 8, "hidden": 16, "people": (8,), "keep": 20, "before": 20, "regions": 8}


def built(task=None, **columns):
    task = task or fresh_task()
    torch.manual_seed(0)
    net = sn.model("keypoint_rcnn-small", classes=task.num_outputs(), **{**NET, **columns})
    return task, task.build(net)


def fresh_task():
    return Pose.from_source(replace(world_source(CROWD, ("person",)), train=WorldSet(0, 40, CROWD)))


@pytest.fixture(scope="module")
def task():
    return built()[0]


@pytest.fixture(scope="module")
def samples():
    return [WorldSet(3, 40, CROWD)[i] for i in range(40)]


def answer(task, samples, change=lambda raw: raw):
    batch = task.encode(samples)
    return task.decode(change(task.oracle(batch)), batch)


def score(task, found, samples):
    metric = task.metric()
    metric.update(found, [sample.target for sample in samples])
    return metric.compute()["mAP50-95"]


def crowd(*boxes, points=None, seen=None, unknown=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    middle = boxes.unflatten(1, (2, 2)) * 0.8 + 0.1 * boxes.unflatten(1, (2, 2)).sum(1, True)
    points = middle if points is None else torch.tensor(points)
    seen = torch.full(points.shape[:2], 2) if seen is None else torch.tensor(seen)
    return Crowd(points, seen, unknown_U4=unknown, boxes_N4=boxes)


# The round trip ----------------------------------------------------------------------------------


def test_a_perfect_answer_reaches_the_ceiling_and_a_shifted_one_does_not(task, samples):
    found = answer(task, samples)
    assert score(task, found, samples) >= 0.97
    moved = [replace(f, keypoints_NK2=f.keypoints_NK2 + 2.0) for f in found]
    assert score(task, moved, samples) < 0.8


def test_joints_dealt_to_other_bins_lose_the_score(task, samples):
    def dealt(raw):
        random = torch.randperm(56 * 56, generator=torch.Generator().manual_seed(0))
        return [*raw[:-1], raw[-1].flatten(3)[..., random].view_as(raw[-1])]

    assert score(task, answer(task, samples, dealt), samples) < 0.05


@pytest.mark.parametrize("size", [(96, 96), (300, 200), (61, 97), (480, 640)])
def test_joints_come_back_in_the_pictures_pixels(task, size):
    scene = WorldSet(0, 1, replace(CROWD, fewest=1, most=1, hidden=0.0, empty=0.0))[0]
    scale = torch.tensor([size[1] / 96, size[0] / 96])
    points = scene.target.keypoints_NK2 * scale
    box = scene.target.boxes_N4 * scale.repeat(2)
    target = replace(scene.target, keypoints_NK2=points, boxes_N4=box, masks_NHW=None)
    sample = Sample(torch.zeros(3, *size, dtype=torch.uint8), target)
    (found,) = answer(task, [sample])
    bin_ = (box[0, 2:] - box[0, :2]) / 56
    away = (found.keypoints_NK2 - points).abs()[target.visibility_NK > 0]
    assert (away <= bin_ / 2 + 1e-3).all()  # half a bin, and no more


def test_two_people_that_overlap_are_two_each_with_his_own_joints():
    """Their boxes overlap by more than suppression allows to one class: the joints tell them."""
    near = crowd([10, 5, 50, 60], [24, 5, 64, 60])
    (found,) = STYLE.decode(STYLE.oracle([near], SIZE), SIZE)
    assert found.scores_N.tolist() == [1.0, 1.0]
    torch.testing.assert_close(found.points_NK2, near.points_NK2, atol=0.5, rtol=0)


def test_a_mirrored_person_swaps_left_and_right(task):
    world = replace(CROWD, fewest=1, most=1, hidden=0.0, empty=0.0)
    sample = WorldSet(0, 1, world)[0]
    batch = task.encode([sample] * 8)
    flipped = compose("flip")(batch, torch.Generator().manual_seed(0))
    points = sample.target.keypoints_NK2
    turned = [not torch.equal(x, points) for x in flipped.y["keypoints"]].index(True)
    found = task.decode(task.oracle(flipped), flipped)[turned]
    mirrored = points[0, list(MIRROR)] * torch.tensor([-1.0, 1]) + torch.tensor([96.0, 0])
    torch.testing.assert_close(found.keypoints_NK2[0], mirrored, atol=1.0, rtol=0)
    right, left = JOINTS.index("right hip"), JOINTS.index("left hip")
    assert found.keypoints_NK2[0, right, 0] < found.keypoints_NK2[0, left, 0]


def on_their_hulls(samples, shift=0.0):
    """The same people, boxes drawn around their joints and `shift` pixels smaller on all sides."""
    for sample in (s for s in samples if s.target.keypoints_NK2 is not None):
        points, seen = sample.target.keypoints_NK2, sample.target.visibility_NK
        boxes = around(points, seen > 0) + shift * torch.tensor([1.0, 1, -1, -1])
        yield replace(sample, target=replace(sample.target, boxes_N4=boxes, areas_N=None))


def test_joints_just_outside_their_boxes_survive(task, samples):
    """Boxes around joints, rounded to less than they are: the outermost are on the edge."""
    hulls = list(on_their_hulls(samples, 0.005))
    assert score(task, answer(task, hulls), hulls) > 0.95
    assert task.lost([sample.target for sample in hulls]) == ""


def test_joints_far_outside_their_boxes_are_told(task, samples):
    targets = [sample.target for sample in on_their_hulls(samples, 3.0)]
    seen = sum(int((t.visibility_NK > 0).any(1).sum()) for t in targets)
    words = task.lost(targets)
    assert int(words.split()[0]) > seen  # one of each person at least, two of most
    assert "joints lie outside their boxes, by up to 3.0 pixels" in words
    one = Crowd(torch.tensor([[[4.0, 9], [9, 9]]]), torch.tensor([[2, 2]]),
                boxes_N4=torch.tensor([[6.0, 4, 34, 60]]))  # fmt: skip
    assert STYLE.beyond(one).tolist() == [2.0]
    assert STYLE.oracle([one], SIZE)[-1].flatten(3).amax(3).gt(0).tolist() == [[[False, True]]]


# The loss ----------------------------------------------------------------------------------------


def test_the_loss_is_the_cross_entropy_of_the_right_bins_of_those_asked_about():
    there = crowd([8, 4, 36, 60], [50, 4, 78, 60], seen=[[2, 0], [2, 2]])
    raw = STYLE.oracle([there], SIZE)
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(raw[-1].shape, generator=random, requires_grad=True)
    loss = STYLE.loss([*raw[:-1], logits], [there], SIZE)["joints"]
    logs, right = logits.flatten(3).log_softmax(3), raw[-1].flatten(3).argmax(3)
    said = [logs[0, n, k, right[0, n, k]] for n, k in ((0, 0), (1, 0), (1, 1))]
    torch.testing.assert_close(loss, -torch.stack(said).mean())
    loss.backward()
    assert not logits.grad[0, 0, 1].any()
    assert STYLE.loss(raw, [there], SIZE)["joints"] < 1e-3
    blank = [*raw[:-1], torch.zeros_like(raw[-1])]
    assert float(STYLE.loss(blank, [there], SIZE)["joints"]) == pytest.approx(8.0507, abs=1e-3)


def test_somebody_without_labels_is_neither_found_nor_missed():
    unknown = torch.tensor([[50.0, 4, 78, 60]])
    there = crowd([8, 4, 36, 60], unknown=unknown)
    seen = crowd([8, 4, 36, 60], [50, 4, 78, 60])
    raw = STYLE.oracle([seen], SIZE)
    right, wrong = (STYLE.loss(raw, [c], SIZE) for c in (there, crowd([8, 4, 36, 60])))
    assert float(right["class"]) < 1e-3 < 1 < float(wrong["class"])
    assert float(right["objectness"]) < 0.8 * float(wrong["objectness"])
    (found,) = STYLE.decode(STYLE.oracle([there], SIZE), SIZE)
    assert len(found.scores_N) == 1


def test_gradients_reach_every_part(samples):
    task, net = built()
    with_people = [s for s in samples if len(s.target.boxes_N4)][:4]
    batch = task.encode(with_people)
    parts = task.loss(net.train(), replace(batch, x=task.inputs().prepare(batch.x)))
    assert list(parts) == ["objectness", "proposal", "class", "box", "joints"]
    sum(parts.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad.any() for p in net.head.branch.parameters())
    assert all(p.grad.any() for p in net.head.outs.parameters())


def nowhere():
    """Pictures that a data set may hold, and people who cannot be learned."""
    joints, seen = torch.full((1, 14, 2), 30.0), torch.full((1, 14), 2)
    label, box = torch.tensor([0]), torch.tensor([[5.0, 5, 40, 90]])
    people = {"keypoints_NK2": joints, "visibility_NK": seen, "labels": label}
    nan = torch.full((1, 14, 2), torch.nan)
    return {
        "nobody": Target(boxes_N4=torch.zeros(0, 4), labels=label[:0]),
        "a box without an area": Target(**people, boxes_N4=box[:, [0, 1, 0, 1]]),
        "a box that is not finite": Target(**people, boxes_N4=box * torch.nan),
        "a box outside": Target(**people, boxes_N4=box + 500),
        "a box of half a pixel": Target(**people, boxes_N4=torch.tensor([[30.0, 30, 30.5, 30.5]])),
        "joints outside": Target(**{**people, "keypoints_NK2": joints + 900}, boxes_N4=box),
        "joints not finite": Target(**{**people, "keypoints_NK2": nan}, boxes_N4=box),
        "crowds only": Target(**people, boxes_N4=box, ignored_N=torch.tensor([True])),
        "no joints": Target(boxes_N4=box, labels=label),
    }


@pytest.mark.parametrize("name", nowhere())
def test_odd_people_never_give_nan(name):
    task, net = built()
    held = [Sample(torch.zeros(3, 96, 96, dtype=torch.uint8), nowhere()[name])]
    batch = task.encode(held)
    ready = replace(batch, x=task.inputs().prepare(batch.x))
    for mode in (True, False):
        net.train(mode)
        parts = task.loss(net, ready)
        assert all(part.isfinite() for part in parts.values()), (mode, parts)
    sum(task.loss(net.train(), ready).values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    said = task.decode(net.eval()(ready.x), batch)
    assert all(v.isfinite().all() for v in (said[0].boxes_N4, said[0].keypoints_NK2))
    assert 0 <= score(task, answer(task, held), held) <= 1


def test_regions_that_are_none_have_no_joints():
    raw = STYLE.oracle([crowd([8, 4, 36, 60])], SIZE)
    asked, said = raw[-2].repeat(1, 4, 1), raw[-1].repeat(1, 4, 1, 1, 1)
    asked[0, 0, :4] = torch.tensor([9.0, 9, 9, 20])
    asked[0, 1, :4] = torch.nan
    asked[0, 2, 4] = 0.01
    assert is_region(asked[0, :, :4]).tolist() == [False, False, True, True]
    (found,) = STYLE.decode([*raw[:-2], asked, said], SIZE)
    assert found.scores_N.tolist() == [1.0]
    assert found.points_NK2.isfinite().all()


# Networks and trainings --------------------------------------------------------------------------


def test_the_branch_learns_twenty_people_by_heart():
    """On the pixels of true boxes, so that it is quick and nothing hides behind proposals."""
    world = replace(CROWD, fewest=1, most=1, hidden=0.0, empty=0.0)
    held = [WorldSet(5, 20, world)[i] for i in range(20)]
    boxes = torch.cat([sample.target.boxes_N4 for sample in held])
    points = torch.cat([sample.target.keypoints_NK2 for sample in held])
    seen = torch.cat([sample.target.visibility_NK for sample in held])
    pixels = torch.stack([sample.image_CHW for sample in held]).float() / 64 - 2
    grids = sn.nn.roi_align(pixels, boxes[:, None], 14)[:, 0]
    torch.manual_seed(0)
    branch = Joints(3, (16, 16), 14, found=1)
    out = branch.last(1)
    learned = [*branch.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(learned, lr=0.03)
    for step in range(50):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 50)
        optimizer.zero_grad()
        loss = sn.nn.joint_loss(branch(grids, seen, out), boxes, points, seen_NJ=seen)
        loss.backward()
        optimizer.step()
    said, _ = sn.nn.read_joints(branch(grids, seen, out).detach(), boxes)
    near = torch.stack([
        sn.nn.keypoint_similarity(
            said[n, None], points[n, None], seen[n, None],
            areas_N=(boxes[n, 2:] - boxes[n, :2]).prod()[None], sigmas_K=torch.full((14,), 0.079),
        )[0, 0]
        for n in range(20)
    ])  # fmt: skip
    assert near.mean() > 0.9


def test_a_network_takes_the_skeleton_of_the_data_and_says_what_it_is_for():
    task, net = built()
    again = Pose({**task.spec})
    other = again.build(sn.model("keypoint_rcnn-small", classes=17, **NET))
    assert other.head.branch.joints == len(JOINTS)
    weight, bias = other.head.outs[2][0].parameters()
    assert float(weight.detach().std()) == pytest.approx(0.01, rel=0.2)  # no bin is preferred
    assert not bias.any()
    assert again.style == task.style
    assert other.eval()(torch.zeros(1, 3, 96, 96))[-1].shape[2:] == (len(JOINTS), 56, 56)
    assert task.skeleton.bones == LIMBS
    with pytest.raises(UsageError, match="task=pose trains"):
        net.head.style(1, {})
    with pytest.raises(UsageError, match="task=pose wants keypoint_rcnn-small"):
        task.build(sn.model("faster_rcnn-small", classes=14))


def test_a_task_goes_back_to_open_pose():
    task, _ = built()
    assert isinstance(task.style, JointedTwoStage)
    task.build(sn.model("openpose-small", classes=14, stages=1, width=8, first=(1, 3, 8)))
    assert not task.style.told


def test_a_training_runs_and_predicts(tmp_path):
    whole = world_source(CROWD, ("person",))
    source = replace(whole, train=WorldSet(0, 8, CROWD), val=WorldSet(1, 4, CROWD))
    run = sn.train(source, task="pose", model="keypoint_rcnn-small", epochs=1, batch=8, threads=1,
                   project=str(tmp_path), quiet=True, doctor=False, preflight="off")  # fmt: skip
    again = sn.load(run.path)
    image = source.val[0].image_CHW.permute(1, 2, 0).numpy()
    one, two = (r.predict(image)[0] for r in (run, again))
    assert one.keypoints_NK2.shape[1:] == (14, 2)
    torch.testing.assert_close(one.keypoints_NK2, two.keypoints_NK2)
    assert set(run.evaluate(source)) >= {"mAP50-95", "mAP50", "loss"}
    with pytest.raises(UsageError, match="second stage reads is chosen by the scores of the first"):
        again.export("torch", data=source)
    assert not list(run.path.glob("export/*"))
