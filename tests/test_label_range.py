"""A label that no output answers for: the item is named; a shift and missing classes are told."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from snellen.data.arrays import from_arrays
from snellen.doctor.watch import doctor


class Files(Dataset):
    """Items one by one, with the names of their files."""

    def __init__(self, x, y):
        self.x, self.y = x, y.tolist()
        self.samples = [(f"img{i}.png", 0) for i in range(len(x))]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def data(**changed):
    x = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    y = torch.arange(400) % 10
    for item, label in changed.items():
        y[int(item[1:])] = label
    return x, y


def by_hand(z, y):
    return -z.log_softmax(1)[torch.arange(len(y)), y].mean()


def train(dataset, loss=F.cross_entropy, outputs=10, **given):
    """One epoch under the doctor, which may end in the error that a label causes."""
    torch.manual_seed(0)
    net = nn.Linear(8, outputs)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    loader = DataLoader(dataset, 25, shuffle=True)
    doc = doctor(net, optimizer, loss if given else None, train=loader if given else None)
    try:
        with doc:
            if given.get("flight"):
                doc.preflight()
                return doc
            for _ in range(2):
                for x, y in loader:
                    optimizer.zero_grad()
                    loss(net(x), y).backward()
                    optimizer.step()
    except IndexError:
        pass
    assert doc.notes == []
    return doc


@pytest.mark.parametrize("label", [11, 10, -1, 99])
@pytest.mark.parametrize("kind", [TensorDataset, Files])
def test_one_stray_label_names_its_item_and_advises_no_more_classes(kind, label):
    (found,) = train(Subset(kind(*data(i321=label)), range(20, 400))).findings
    assert (found.id, found.samples, found.samples_of) == ("label-out-of-range", (321,), "train")
    assert f"labelled {label}, outside 0 to 9 (1 of 380 labels)" in found.message
    assert found.paths == (("img321.png",) if kind is Files else ())
    assert found.settings == {}
    assert "outputs" not in found.do


def test_several_strays_are_all_named():
    found = train(Files(*data(i5=-1, i77=12, i399=10))).findings[0]
    assert found.samples == (5, 77, 399)
    assert "item 77 (img77.png) is labelled 12" in found.message


@pytest.mark.parametrize("label", [11, -1])
def test_a_loss_by_hand_is_told_too(label):
    """-1 indexes the last class without a word; 11 raises."""
    found = train(Files(*data(i321=label)), by_hand).findings[0]
    assert (found.id, found.samples) == ("label-out-of-range", (321,))
    assert found.level == ("error" if label > 0 else "warning")


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss()])
def test_the_preflight_names_it_before_the_training(loss):
    (found, *_) = train(Files(*data(i321=11)), loss, flight=True).findings
    assert (found.id, found.level, found.samples) == ("label-out-of-range", "error", (321,))
    assert found.paths == ("img321.png",)


def test_the_preflight_knows_a_label_that_is_ignored():
    loss = nn.CrossEntropyLoss(ignore_index=-1)
    found = train(Files(*data(i321=-1)), loss, flight=True).findings
    assert "label-out-of-range" not in [f.id for f in found]


def test_embeddings_are_no_outputs_of_classes():
    """Ten people, embeddings of four numbers: the loss does not index them."""

    def loss(z, y):
        return (z @ z.T - (y[:, None] == y).float()).square().mean()

    found = train(Files(*data()), loss, outputs=4, flight=True).findings
    assert "label-out-of-range" not in [f.id for f in found]


def test_labels_from_one_are_told_as_a_shift():
    x, y = data()
    found = train(Files(x, y + 1)).findings[0]
    assert "run from 1 to 10, but 10 outputs" in found.message
    assert (found.do, found.samples) == ("labels start at 1: subtract 1 from them", ())


def test_a_class_that_many_items_carry_asks_for_an_output():
    x, y = data()
    y[::11] = 10
    found = train(TensorDataset(x, y)).findings[0]
    assert (found.settings, found.samples) == ({"classes": 11}, ())
    assert "11 outputs" in found.do


def test_a_loop_without_a_loader_names_the_row_of_the_batch():
    (x, y), net = data(i7=11), nn.Linear(8, 10)
    doc = doctor(net, torch.optim.SGD(net.parameters(), 0.1))
    with pytest.raises(IndexError), doc:
        F.cross_entropy(net(x[:50]), y[:50]).backward()
    (found,) = doc.findings
    assert (found.samples, found.samples_of) == ((7,), "batch")


def test_the_audit_names_the_item():
    x, y = np.zeros((400, 8, 8), np.uint8), np.arange(400) % 10
    y[321] = 11
    (problem,) = from_arrays(x, y).problems
    assert "item 321 is labelled 11, outside 0 to 9; it is left out" in problem.message
    assert problem.samples == (321,)
