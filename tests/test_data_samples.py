"""A user's Dataset of Samples, or of torchvision's pairs, as the data of any task."""

import pytest
import torch
from torch.utils.data import Dataset, Subset

import snellen as sn
from snellen.core.errors import DataError
from snellen.data.open import open_data


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
     ([(1,), (), (2, 1)], ["a", "b", "c", "d"], ("a", "b", "c", "d"), 0)],
)  # fmt: skip
def test_torchvision_s_labels_are_taken_and_that_is_said(labels, names, classes, first):
    data = Items(pairs(labels), **({"classes": names} if names else {}))
    source = open_data(data, split=0, task="detect")
    assert source.classes == classes
    assert source.train[2].target.labels.tolist() == [2 - first, 1 - first]
    (problem,) = source.problems
    said = f"Items: labels of boxes are {labels[0][0]} to 2; {first} is read as {classes[0]!r}"
    assert problem.message == said


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
