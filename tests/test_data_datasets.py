"""A user's own Dataset: what its labels may be, and what is said of those that cannot be used."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.data.open import both, open_data

X = torch.rand(30, 3, 8, 8)


class Pairs(Dataset):
    """Pictures, and whatever `label` makes of their row."""

    def __init__(self, label):
        self.label = label

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], self.label(i)


@pytest.mark.parametrize(
    "label",
    [lambda i: torch.eye(3)[i % 3], lambda i: np.eye(3)[i % 3], lambda i: torch.tensor([i % 3]),
     lambda i: torch.tensor([[i % 3]]), lambda i: [float(i % 3 == k) for k in range(3)]],
)  # fmt: skip
def test_one_hot_rows_of_any_kind_are_classes(label):
    labels = open_data(Pairs(label), split=0).train.labels()
    assert labels.tolist() == [i % 3 for i in range(30)]


@pytest.mark.parametrize(
    ("label", "words"),
    [(lambda i: torch.rand(2), "(30, 2); one class a picture is wanted; numbers: task=regress"),
     (lambda i: torch.zeros(8, 8).long(), "(8, 8); one class a picture is wanted; a class for "
                                          "each pixel: task=segment"),
     (lambda i: X[i].numpy(), "(image, label) is the order"),
     (lambda i: i / 7, "numbers: task=regress"),
     (lambda i: float("nan"), "a class for each picture is wanted"),
     (lambda i: torch.zeros(1 + i), "differ in size")],
)  # fmt: skip
def test_other_labels_are_refused_with_what_to_do(label, words):
    with pytest.raises(DataError) as error:
        open_data(Pairs(label))
    assert words in str(error.value)
    assert ("task=" in str(error.value)) == ("task=" in words)


@pytest.mark.parametrize(("task", "field"), [("regress", "values_V"), ("tag", "attributes_A")])
def test_numbers_of_data_sets_are_those_of_arrays(task, field):
    y = torch.rand(30, 2).round() if task == "tag" else torch.rand(30, 2)
    whole = TensorDataset(X, y)
    many = [whole, Subset(whole, range(30)), Pairs(lambda i: y[i].tolist()), (X, y)]
    for data in many:
        source = open_data(data, split=0, task=task)
        assert (source.values or source.attributes) == ("0", "1")
        assert torch.equal(torch.stack([getattr(s.target, field) for s in source.train]), y)
        assert torch.equal(torch.stack([s.image_CHW for s in source.train]), X)
    pair = tuple(random_split(whole, [20, 10]))
    source = open_data(pair, task=task)
    assert (len(source.train), len(source.val)) == (20, 10)
    assert torch.equal(getattr(source.val[3].target, field), y[pair[1].indices[3]])
    one = open_data(Pairs(lambda i: i / 2), split=0, task=task).train[3].target
    assert getattr(one, field).tolist() == [1.5]


def test_numbers_turn_with_their_picture():
    class Mirrored(Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            side = float(torch.rand(()) < 0.5)
            return torch.full((1, 4, 4), side), side

    part = open_data(Mirrored(), split=0, task="regress").train
    for sample in [part[i % 4] for i in range(20)]:
        assert float(sample.image_CHW[0, 0, 0]) == float(sample.target.values_V)


def test_no_numbers_are_refused_by_row():
    for label, words in ((lambda i: "cat", "numbers are wanted"),
                         (lambda i: X[i], "one number or a row of them")):  # fmt: skip
        with pytest.raises(DataError, match=r"Pairs\[0\].*" + words):
            open_data(Pairs(label), task="regress")


def test_what_raises_is_left_out_and_listed():
    source = open_data(Pairs(lambda i: i % 3 if i not in (7, 9) else {}["no"]), split=0)
    assert [s.index for s in source.train] == [i for i in range(30) if i not in (7, 9)]
    assert source.train.labels().tolist() == [s.target.label for s in source.train]
    (problem,) = source.problems
    assert (problem.id, problem.samples) == ("file-unreadable", (7, 9))
    assert "cannot be read (7, 9): Pairs[7] raised KeyError: 'no'; they are" in str(problem)
    with pytest.raises(DataError, match=r"none of the 30 items .* Pairs\[0\] raised KeyError"):
        open_data(Pairs(lambda i: {}["no"]))


def test_data_sets_of_one_or_three_things_say_so():
    y = torch.arange(30) % 3
    for tensors in ((X,), (X, y, y)):
        whole = TensorDataset(*tensors)
        with pytest.raises(DataError, match=f"TensorDataset has tensors: {len(tensors)}; two"):
            open_data(whole)
        with pytest.raises(DataError, match=rf"tuple of {len(tensors)}; \(image, label\)"):
            open_data(Subset(whole, range(9)))


def test_a_transform_of_a_tensor_data_set_is_kept():
    class Halved(TensorDataset):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x / 2, y

    source = open_data(Halved(X, torch.arange(30) % 3), split=0)
    assert torch.equal(source.train[3].image_CHW, X[3] / 2)


def classes():
    return TensorDataset(X, torch.arange(30) % 3)


class Backwards(Sampler):
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return reversed(range(len(self.data)))

    def __len__(self):
        return len(self.data)


@pytest.mark.parametrize(
    ("how", "said"),
    [({}, ""), ({"shuffle": True, "num_workers": 1}, ""), ({"batch_size": None}, ""),
     ({"batch_size": 8}, "batch_size=8 is not used"),
     ({"batch_size": 8, "drop_last": True}, "batch_size=8, drop_last=True are not used"),
     ({"collate_fn": list}, "collate_fn=list is not used"),
     ({"sampler": Backwards(X)}, "sampler=Backwards is not used")],
)  # fmt: skip
def test_of_a_loader_what_is_not_used_is_said(how, said):
    source = open_data(DataLoader(classes(), **how), split=0)
    assert torch.equal(source.train.stacked(), X)
    assert [p.message.split("; ")[1] for p in source.problems] == ([said] if said else [])
    pair = open_data((DataLoader(classes(), **how), DataLoader(classes(), **how)))
    assert len(pair.problems) == bool(said)


def test_a_sampler_that_chooses_rows_is_followed_and_one_that_weighs_refused():
    part, rest = (SubsetRandomSampler(rows) for rows in ([4, 2, 9], range(20, 30)))
    source = open_data(tuple(DataLoader(classes(), sampler=s) for s in (part, rest)))
    assert [s.index for s in source.train] == [4, 2, 9]
    assert [s.index for s in source.val] == list(range(20, 30))
    with pytest.raises(DataError, match=r"WeightedRandomSampler.*loader\.dataset"):
        open_data(DataLoader(classes(), sampler=WeightedRandomSampler([1.0] * 30, 30)))


@pytest.mark.parametrize("word", ["val", "val_data"])
@pytest.mark.parametrize("val", [classes(), (X[:9].numpy(), np.arange(9) % 3)])
def test_val_may_be_in_memory(word, tmp_path, val):
    how = {"model": "lenet5_bn", "epochs": 1, "project": tmp_path, "quiet": True}
    run = sn.train(classes(), **{word: val}, **how)
    count = len(val) if isinstance(val, TensorDataset) else 9
    assert run.config["samples"] == {"train": 30, "val": count}
    assert "split=" not in (run.path / "log.txt").read_text()
    other = "val" if word == "val_data" else "val_data"
    again = sn.train(classes(), **{other: None, word: val}, split=0.3, **how)  # None says nothing
    assert again.config["samples"] == run.config["samples"]
    assert "split=0.3 is not used" in (again.path / "log.txt").read_text()
    with pytest.raises(UsageError, match="val is said twice"):
        sn.train(classes(), **{other: "some/path", word: val}, **how)
    with pytest.raises(DataError, match="leave one out"):
        sn.train((classes(), classes()), val=val, **how)


def test_no_val_is_refused_in_words():
    for val in (X, 0.2, [X, X, X]):
        with pytest.raises(DataError, match=r"val is a .*sn\.train\(\(train, val\)\)"):
            both(classes(), val)
    with pytest.raises(DataError, match="data is a NoneType"):
        both(None, classes())
