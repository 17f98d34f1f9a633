"""A user's Dataset of Samples, or of torchvision's pairs, as the data of any task."""

import pytest
import torch
from torch.utils.data import Dataset, Subset

import snellen as sn
from snellen.core.errors import DataError
from snellen.data.open import open_data
from snellen.data.sample import Skeleton
from snellen.tasks.localise import Localise
from snellen.tasks.pose import Pose
from snellen.train.prepare import make_task
from snellen.train.recipe import Recipe
from snellen.train.verb import part_to_judge


class Items(Dataset):
    """A list as a data set; `more` are attributes of it."""

    def __init__(self, items, **more):
        self.items = items
        vars(self).update(more)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def picture(i=0):
    return torch.full((3, 12, 16), i, dtype=torch.uint8)


def boxes(count):
    return torch.tensor([[1.0, 2.0, 6.0, 7.0]]).expand(count, 4)


def samples(labels=((0,), (), (2, 1)), **more):
    """A sample for each list of labels."""
    return Items([sn.Sample(picture(i), sn.Target(labels=list(row), boxes_N4=boxes(len(row))))
                  for i, row in enumerate(labels)], **more)  # fmt: skip


def pairs(labels):
    """The same in torchvision's form."""
    return [(picture(i), {"boxes": boxes(len(row)), "labels": torch.tensor(row).long()})
            for i, row in enumerate(labels)]  # fmt: skip


def test_classes_are_named_by_the_data_set_or_numbered():
    source = open_data(samples(), split=0, task="detect")
    assert (source.format, source.classes, source.problems) == ("dataset", ("0", "1", "2"), ())
    assert source.train[2].target.labels.tolist() == [2, 1]
    assert source.train[1].target.boxes_N4.shape == (0, 4)
    part = Subset(samples(classes=["a", "b", "c", "d"]), [2, 0])
    source = open_data(part, split=0, task="detect")
    assert source.classes == ("a", "b", "c", "d")
    assert [sample.index for sample in source.train] == [2, 0]


@pytest.mark.parametrize(
    ("labels", "names", "classes", "first"),
    [([(1,), (), (2, 1)], None, ("1", "2"), 1),
     ([(0,), (), (2, 1)], None, ("0", "1", "2"), 0),
     ([(1,), (), (2, 1)], ["ball", "box"], ("ball", "box"), 1),
     ([(1,), (), (2, 1)], ["background", "ball", "box"], ("ball", "box"), 1),
     ([(0,), (), (2, 1)], ["a", "b", "c", "d"], ("a", "b", "c", "d"), 0)],
)  # fmt: skip
def test_torchvision_s_labels_are_taken_and_that_is_said(labels, names, classes, first):
    data = Items(pairs(labels), **({"classes": names} if names else {}))
    source = open_data(data, split=0, task="detect")
    assert source.classes == classes
    assert source.train[2].target.labels.tolist() == [2 - first, 1 - first]
    (problem,) = source.problems
    said = f"Items: labels of boxes are {labels[0][0]} to 2; {first} is read as {classes[0]!r}"
    assert problem.message == said


PETS = ("cat", "dog", "rare")


def pets(*labels):
    """Torchvision's pairs of a box each, of three named classes."""
    return Items(pairs([[label] for label in labels]), classes=PETS)


def names(part, classes=PETS):
    """The names of the things of a part."""
    return [classes[k] for sample in part for k in sample.target.labels]


@pytest.mark.parametrize("rare_is_in", [0, 1])
def test_torchvision_s_labels_are_read_the_same_way_in_all_parts(rare_is_in):
    parts = [pets(1, 2, 1), pets(2, 1)]
    parts[rare_is_in].items += pairs([[3]])
    source = open_data(tuple(parts), task="detect")
    assert names(source.train)[:3] == ["cat", "dog", "cat"]
    assert names(source.val)[:2] == ["dog", "cat"]
    assert [problem.harm for problem in source.problems] == ["harmless", "harmless"]
    from_zero = open_data((pets(1, 2), pets(0, 1)), task="detect")
    assert (names(from_zero.train), names(from_zero.val)) == (["dog", "rare"], ["cat", "dog"])


def test_a_count_that_nothing_settles_is_torchvision_s_and_that_is_said():
    source = open_data(pets(1, 2, 1), split=0, task="detect")
    assert names(source.train) == ["cat", "dog", "cat"]
    (problem,) = source.problems
    assert problem.harm == "suspect"
    assert "1 is read as 'cat', counted from 1 as torchvision does" in problem.message
    items = [sn.Sample(picture(), sn.Target(labels=[k], boxes_N4=boxes(1))) for k in (1, 2)]
    source = open_data(Items(items, classes=PETS), split=0, task="detect")
    assert (names(source.train), source.problems) == (["dog", "rare"], ())


def test_parts_that_count_differently_are_refused_by_their_items():
    said = (r"Items\[2\] of train has label 3, the last .*and Items\[1\] of val has label 0, "
            "so that labels count from 0")  # fmt: skip
    with pytest.raises(DataError, match=said):
        open_data((pets(1, 2, 3), pets(2, 0)), task="detect")


@pytest.mark.parametrize(
    ("trained", "named", "plain"),
    [((0, 1, 2), ["dog", "rare"], ["dog", "rare"]), ((1, 2, 3), ["cat", "dog"], ["cat", "dog"])],
)
def test_other_data_are_read_as_those_of_the_run(trained, named, plain):
    recipe = Recipe(task="detect")
    task = make_task(recipe, open_data(pets(*trained), split=0, task="detect"), None)
    for data, expected in ((pets(1, 2), named), (Items(pets(1, 2).items), plain)):
        part, source = part_to_judge(recipe, data, lambda text: None, task.spec)
        assert names(task.aligned(part, source)) == expected
    wrong = pets(3 - trained[0] * 3)  # label 3 of three where they count from 0, and 0 else
    with pytest.raises(DataError, match="the network was trained on labels that count from"):
        part_to_judge(recipe, wrong, lambda text: None, task.spec)


def test_things_without_labels_are_of_the_one_class_that_they_can_be():
    joints = {"keypoints_NK2": [[[2, 3], [5, 6]]], "visibility_NK": [[2, 1]], "boxes_N4": boxes(1)}
    source = open_data(Items([sn.Sample(picture(), sn.Target(**joints))] * 4), task="pose")
    assert source.train[0].target.labels.tolist() == [0]
    block = sn.Sample(picture(), sn.Target(boxes_N4=boxes(2)))
    source = open_data(Items([block] * 4, classes=["block"]), task="detect")
    assert source.train[0].target.labels.tolist() == [0, 0]
    nothing = sn.Sample(picture(), sn.Target(boxes_N4=[]))
    assert open_data(Items([nothing] * 4), task="detect").train[0].target.labels.shape == (0,)
    for more in ({}, {"classes": PETS}):
        with pytest.raises(DataError, match=r"Items\[\d\].*: boxes_N4 without labels"):
            open_data(Items([block] * 4, **more), task="detect")


@pytest.mark.parametrize("count", [1, 2])
def test_the_label_of_an_image_is_that_of_its_one_box(count):
    items = [sn.Sample(picture(), sn.Target(label=3 + k % count, boxes_N4=boxes(1)))
             for k in range(8)]  # fmt: skip
    source = open_data(Items(items), split=0.25, task="localise")
    task = Localise.from_source(source)
    assert len(source.classes) == count
    for sample in source.train:
        assert sample.target.labels.tolist() == [sample.target.label]
        assert task.check(sample) == []


def test_torchvision_s_key_points_are_those_of_a_pose():
    points = torch.tensor([[[3.0, 3.0, 1.0], [9.0, 8.0, 0.0]]])
    person = (picture(), {"boxes": boxes(1), "labels": torch.tensor([1]), "keypoints": points})
    nobody = (picture(), {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long(),
                          "keypoints": torch.zeros(0, 2, 3)})  # fmt: skip
    limb = Skeleton(("left", "right"), ((0, 1),), (1, 0))
    data = Items([person, person, nobody], classes=["person"], skeleton=limb)
    source = open_data(data, split=0, task="pose")
    assert source.skeleton == limb
    assert Pose.from_source(source).skeleton == limb
    target = source.train[0].target
    assert target.keypoints_NK2.tolist() == [[[3, 3], [9, 8]]]
    assert target.visibility_NK.tolist() == [[2, 0]]
    person[1]["keypoints"] = points[0]
    with pytest.raises(DataError, match=r"Items\[0\]: keypoints has shape \(2, 3\); \(N, K, 3\)"):
        open_data(data, split=0, task="pose")


def test_boxes_of_a_class_that_train_lacks_are_told_as_boxes():
    train, val = samples(classes=["a", "b", "c"]), samples(classes=["a", "b", "z"])
    source = open_data((train, val), task="detect")
    said = "val has 'z', which train has not; its boxes are left out"
    assert [problem.message for problem in source.problems] == [said]
    assert source.val[2].target.labels.tolist() == [1]


def test_what_is_wrong_with_a_sample_is_told_by_its_index():
    data = samples()
    data.items[1] = sn.Sample(picture(), sn.Target(labels=[0, 1], boxes_N4=boxes(1)))
    with pytest.raises(DataError, match=r"Items\[1\]: 2 labels, 1 boxes_N4"):
        open_data(data, split=0, task="detect")
    data.items[1] = sn.Sample(picture(), sn.Target(labels=[0], boxes_N4=torch.zeros(1, 5)))
    with pytest.raises(DataError, match=r"Items\[1\]: boxes_N4 has shape \(1, 5\)"):
        open_data(data, split=0, task="detect")
    data.items[1] = (picture(), 3)
    with pytest.raises(DataError, match=r"Items\[1\] is tuple; sn.Sample"):
        open_data(data, split=0, task="detect")
    data.items[1] = sn.Sample(picture(), sn.Target(label=1))
    with pytest.raises(DataError, match=r"Items\[0\] has no label where others have one"):
        open_data(data, split=0)
    with pytest.raises(
        DataError, match=r"Items\[0\] gives a dict of x with its image; .*sn.Sample"
    ):
        open_data(Items([(picture(), {"x": 1})] * 4), split=0, task="detect")


def test_samples_of_other_tasks_are_sources_too():
    labelled = Items([sn.Sample(picture(i), sn.Target(label=3 + i % 2)) for i in range(4)])
    source = open_data(labelled, split=0)
    assert (source.classes, source.train.labels().tolist()) == (("3", "4"), [0, 1, 0, 1])
    maps = [
        sn.Sample(picture(), sn.Target(semantic_HW=torch.full((12, 16), k))) for k in (0, 2, 255)
    ]
    assert open_data(Items(maps), split=0, task="segment").classes == ("0", "1", "2")
    told = [sn.Sample(picture(), sn.Target(values_V=[1.0, float(i)])) for i in range(3)]
    assert open_data(Items(told, values=["x", "y"]), split=0, task="regress").values == ("x", "y")
    tags = [sn.Sample(picture(), sn.Target(attributes_A=[0, 1])) for i in range(3)]
    assert open_data(Items(tags), split=0, task="tag").attributes == ("0", "1")


def test_detection_trains_on_samples(tmp_path):
    random = torch.Generator().manual_seed(0)
    items = []
    for i in range(16):
        x, y = torch.randint(0, 12, (2,), generator=random).tolist()
        image = torch.full((3, 24, 32), 9 * (i % 4), dtype=torch.uint8)
        image[:, y : y + 10, x : x + 10] = 200
        box = torch.tensor([[x, y, x + 10, y + 10]])
        items.append(sn.Sample(image, sn.Target(labels=[0], boxes_N4=box)))
    run = sn.train(Items(items, classes=["block"]), task="detect", epochs=1, quiet=True,
                   project=str(tmp_path))  # fmt: skip
    assert run.status == "finished"
    assert "mAP50-95" in run.metrics
