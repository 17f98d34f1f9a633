"""The doctor is a guest: user code of any kind runs as it does without it, bit for bit.

Every script here trains twice from the same seed, alone and watched; all that it left must be equal.
"""

import warnings
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Sampler, TensorDataset

from snellen.doctor.watch import doctor


class Batches(Sampler):
    """A batch sampler whose length is what the test wants it to be."""

    def __init__(self, size, error):
        self.size, self.error = size, error

    def __iter__(self):
        yield from (rows.tolist() for rows in torch.arange(self.size).split(8))

    def __len__(self):
        raise self.error("the length is unknown")


class Stream(IterableDataset):
    """Items one after the other; more of them than it says."""

    def __init__(self, length):
        self.length = length

    def __iter__(self):
        yield from ((torch.full((4,), i / 32), i % 2) for i in range(32))

    def __len__(self):
        if isinstance(self.length, int):
            return self.length
        raise self.length("the length is unknown")


def trained(make, watched=True, steps=30, **more):
    """Train on what `make` gives (net, batches, loss) -> the weights, and the doctor."""
    torch.manual_seed(0)
    net, batches, loss_fn = make()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer, **more) if watched else nullcontext() as doc:
        done = 0
        while done < steps:
            for x, y in batches:
                optimizer.zero_grad()
                loss_fn(net(x), y).backward()
                optimizer.step()
                done += 1
    return [p.detach().clone() for p in net.parameters()], doc


ROWS = TensorDataset(torch.arange(128.0).view(32, 4) / 128, torch.arange(32) % 2)
LOADERS = {
    "sampler": lambda error: DataLoader(ROWS, batch_sampler=Batches(32, error)),
    "stream": lambda error: DataLoader(Stream(error), 8),
}


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("error", [NotImplementedError, RuntimeError, ZeroDivisionError])
def test_a_length_that_raises_stops_nothing(kind, error):
    def make():
        return nn.Linear(4, 2), LOADERS[kind](error), F.cross_entropy

    (alone, _), (watched, doc) = trained(make, False, 5), trained(make, steps=5)
    assert all(map(torch.equal, alone, watched))
    assert doc.notes == []
    assert doc.chart.step >= 5
    with doctor(nn.Linear(4, 2), train=Stream(error)):
        pass


def test_a_stream_that_is_longer_than_it_says_is_not_warned_of_because_of_us():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(lambda: (nn.Linear(4, 2), DataLoader(Stream(8), 8), F.cross_entropy), steps=5)


def test_an_error_of_ours_at_a_batch_is_noted(monkeypatch):
    def fail(*args):
        raise OSError("no batch")

    monkeypatch.setattr("snellen.doctor.loader._record", fail)
    _, doc = trained(lambda: (nn.Linear(4, 2), DataLoader(ROWS, 8), F.cross_entropy), steps=5)
    assert any("following stopped: OSError: no batch" in note for note in doc.notes)


def test_losses_that_come_as_a_generator_reach_the_backward_pass():
    nets = [nn.Linear(4, 1), nn.Linear(4, 1)]
    with doctor(nets):
        torch.autograd.backward(net(torch.ones(2, 4)).mean() for net in nets)
    assert all(net.weight.grad is not None for net in nets)


def test_a_loss_that_was_another_networks_is_no_error():
    first, second = nn.Linear(4, 6), nn.Linear(4, 2)
    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], 0.1)
    with doctor([first, second], optimizer) as doc:
        for i in range(30):
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            if i < 25:
                F.mse_loss(first(x), torch.ones(8, 6)).backward()
            else:
                F.cross_entropy(second(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()
    assert doc.notes == []
