"""Drawn worlds: the truth about a scene is what its pixels show."""

import numpy as np
import pytest
import torch

from snellen.core.errors import UsageError
from snellen.data import world_set
from snellen.data.open import open_data
from snellen.data.people import JOINTS, LIMBS, MIRROR
from snellen.data.scenes import SHAPES
from snellen.data.world_set import WORLDS, WorldSet
from snellen.data.worlds import ATTRIBUTES, COLOURS, World, draw_world, name_of

SEVERAL = World(fewest=2, most=6, height=80, width=120)


def scenes(world=SEVERAL, count=25, seed=3):
    return [draw_world(seed, i, world) for i in range(count)]


def test_a_scene_is_a_function_of_seed_index_and_world():
    one, again = draw_world(5, 2, SEVERAL), draw_world(5, 2, SEVERAL)
    assert np.array_equal(one.pixels_HWC, again.pixels_HWC)
    assert one.sentence() == again.sentence()
    others = (draw_world(5, 3, SEVERAL), draw_world(6, 2, SEVERAL))
    assert not any(np.array_equal(one.pixels_HWC, other.pixels_HWC) for other in others)


def test_everything_said_of_a_scene_agrees():
    for sample in (WorldSet(3, 25, SEVERAL)[i] for i in range(25)):
        target = sample.target
        assert sample.size == (80, 120)
        assert target.masks_NHW.sum(0).max() <= 1  # a pixel belongs to one thing
        for label, mask_HW, box in zip(
            target.labels, target.masks_NHW, target.boxes_N4, strict=True
        ):
            rows, cols = mask_HW.any(1).nonzero(), mask_HW.any(0).nonzero()
            around = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
            assert box.tolist() == [float(v) for v in around]
            assert (target.semantic_HW[mask_HW] == label + 1).all()
        assert (target.semantic_HW > 0).equal(target.masks_NHW.any(0))
        assert target.values_V[0] == len(target.labels)
        assert target.values_V[1] == pytest.approx(float((target.semantic_HW > 0).float().mean()))
        shown = {SHAPES[label] for label in target.labels}
        named = {word for word, on in zip(ATTRIBUTES, target.attributes_A, strict=True) if on}
        assert shown == named & set(SHAPES)
        assert all(word.removesuffix(",") in target.text.replace(",", " ") for word in named)


def test_things_have_the_colour_that_is_named():
    plain = World(fewest=3, most=3, striped=0.0, noise=0.0)
    for scene in scenes(plain):
        for thing in scene.things:
            mean = scene.pixels_HWC[thing.seen_HW].mean(0)
            nearest = min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - mean).sum())
            assert nearest == thing.colour


def test_no_more_is_hidden_than_the_world_allows():
    """Of a circle the whole area is known: pi r^2."""
    for hidden, least in ((0.0, 0.97), (0.5, 0.45)):
        world = World(fewest=5, most=5, hidden=hidden, largest=0.2, smallest=0.2, clutter=0)
        circle_area = np.pi * (0.2 * 96) ** 2
        seen = [
            thing.seen_HW.sum() / circle_area
            for scene in scenes(world, 40)
            for thing in scene.things
            if name_of(thing) == "circle"
        ]
        assert len(seen) > 10
        assert min(seen) > least
    assert min(seen) < 0.97  # and something does get covered


@pytest.mark.parametrize("knob", [{"fewest": 3, "most": 2}, {"largest": 0.6}, {"height": 8}])
def test_a_world_that_cannot_be_drawn_is_refused(knob):
    with pytest.raises(UsageError, match=r"pixels|fewest|radii"):
        World(**knob)


def test_a_scene_can_be_empty():
    target = WorldSet(0, 3, World(fewest=0, most=0))[1].target
    assert target.boxes_N4.shape == (0, 4)
    assert target.masks_NHW.shape == (0, 96, 96)
    assert target.text == "nothing"
    shares = [len(s.things) == 0 for s in scenes(World(empty=0.5), 60)]
    assert 15 < sum(shares) < 45


def test_people_have_joints_where_they_are_drawn():
    crowd = World(people=True, most=2, smallest=0.25, largest=0.4, noise=0.0, empty=0.0)
    sample = [WorldSet(1, 30, crowd)[i] for i in range(30)]
    own = torch.cat([s.target.visibility_NK.flatten() for s in sample])
    assert (own == 2).float().mean() > 0.8
    for target in (s.target for s in sample):
        joints = target.keypoints_NK2
        assert joints.shape[1:] == (len(JOINTS), 2)
        span = joints.amax(1) - joints.amin(1)
        box = target.boxes_N4[:, 2:] - target.boxes_N4[:, :2]
        assert ((span - box).abs() < 0.6 * box).all()
    assert [MIRROR[k] for k in MIRROR] == list(range(len(JOINTS)))
    assert all(a < b for a, b in LIMBS)


def test_a_person_faces_the_viewer():
    """The right hip and shoulder are on the picture's left, which a mirror would turn round."""
    crowd = World(people=True, most=1, smallest=0.3, largest=0.3, empty=0.0)
    right, left = JOINTS.index("right hip"), JOINTS.index("left hip")
    for i in range(20):
        joints = WorldSet(2, 20, crowd)[i].target.keypoints_NK2[0]
        assert joints[right, 0] < joints[left, 0]


@pytest.mark.parametrize("task", sorted(WORLDS))
def test_the_word_shapes_has_data_for_a_task(task):
    source = open_data("shapes", task=task)
    assert len(source.train) == 2000
    target = source.val[7].target
    held = {
        "detect": target.boxes_N4, "instances": target.masks_NHW, "segment": target.semantic_HW,
        "localise": target.label, "tag": target.attributes_A, "regress": target.values_V,
        "pose": target.keypoints_NK2, "track": target.identities_N, "caption": target.text,
        "restore": target.image_CHW,
    }  # fmt: skip
    assert held[task] is not None
    if task == "segment":
        assert int(target.semantic_HW.max()) < len(source.classes)
    if task == "tag":
        assert len(source.classes) == len(target.attributes_A)
    assert (source.skeleton is not None) == (task == "pose")


def test_other_tasks_see_worlds_and_classification_sees_one_shape():
    assert open_data("shapes").train[3].size == (32, 32)
    assert open_data("shapes", task="detect").train[3].size == (96, 96)


def test_small_scenes_are_drawn_once_and_cannot_be_spoilt(monkeypatch):
    drawn = []
    plain = world_set.draw_world
    monkeypatch.setattr(world_set, "draw_world", lambda *a: drawn.append(a) or plain(*a))
    small = WorldSet(991, 4, World())
    first = small[2]
    again = first.image_CHW.clone(), first.target.masks_NHW.clone(), first.target.boxes_N4.clone()
    for tensor in (first.image_CHW, first.target.masks_NHW, first.target.boxes_N4):
        tensor.zero_()
    second = small[2]
    assert len(drawn) == 1
    found = second.image_CHW, second.target.masks_NHW, second.target.boxes_N4
    assert all(map(torch.equal, again, found))
    for world in (World(height=192, width=192), World(most=60)):  # of hundreds of MB
        assert torch.equal(
            WorldSet(991, 4, world)[1].image_CHW, WorldSet(991, 4, world)[1].image_CHW
        )
    assert len(drawn) == 5
