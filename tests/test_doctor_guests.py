"""The doctor is a guest: user code of any kind runs as it does without it, bit for bit.

Every script trains twice from the same seed, alone and watched; all that it left must be equal.
"""

import io
import random
import threading
import typing
import warnings
from collections import deque
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

from snellen.doctor import labels, replay, scan, snapshot
from snellen.doctor.chart import Chart
from snellen.doctor.engine import Engine
from snellen.doctor.patient import Patient
from snellen.doctor.probes import _replay, replays
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

    (alone, _), (watched, doc) = trained(make, False, 25), trained(make, steps=25)
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

    monkeypatch.setattr("snellen.doctor.loader.Record", fail)
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


COUNT, NAMES = 0, []


class State:
    def __init__(self):
        self.calls, self.seen = 0, {"rows": []}


class Slotted:
    __slots__ = ("calls", "late")

    def __init__(self):
        self.calls = 0


class Keeper:
    """Keeps state in every place that Python has; `call` changes it and draws from it."""

    calls = 0
    held: typing.ClassVar[list[int]] = []

    def __init__(self):
        self.own = torch.Generator().manual_seed(3)
        self.numpy, self.old = np.random.default_rng(3), np.random.RandomState(3)
        self.python, self.state, self.slotted = random.Random(3), State(), Slotted()
        self.inside = [{"deep": (Slotted(), deque([1.0], maxlen=3))}]
        self.memory, self.array = torch.zeros(4), np.zeros(3)
        self.buffer, self.file = io.BytesIO(b"0123456789" * 99), None
        turn = 0

        def counter():
            nonlocal turn
            turn += 1
            return turn

        self.counter = counter

    def call(self):
        global COUNT
        COUNT += 1
        NAMES.append("call")
        type(self).calls += 1
        self.held.append(1)
        self.state.calls += 1
        self.state.seen["rows"].append(self.state.calls)
        self.slotted.calls += 1
        self.slotted.late = 1
        self.inside[0]["deep"][0].calls += 1
        self.inside[0]["deep"][1].append(self.inside[0]["deep"][1][-1] * 1.001)
        self.memory += 0.01
        self.memory.data[0] += 0.5  # leaves no trace in its version
        self.array += 1
        self.buffer.read(3)
        return (
            self.counter() + COUNT + self.calls + len(self.held) + self.state.calls
            + self.slotted.calls + self.buffer.tell() + float(self.memory.sum() + self.array.sum())
            + torch.rand(1, generator=self.own).item() + self.numpy.random() + self.old.rand()
            + self.python.random() + self.inside[0]["deep"][1][-1] + len(NAMES)
        ) * 1e-3  # fmt: skip


class Moody(nn.Module):
    """A network whose answers depend on how often it was asked."""

    def __init__(self, keeper):
        super().__init__()
        self.keeper, self.layer = keeper, nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x + self.keeper.call())


class MoodySet(Dataset):
    """A data set whose items depend on how often it was read."""

    def __init__(self, keeper, bad=-1):
        self.keeper, self.bad = keeper, bad

    def __len__(self):
        return 32 + 0 * round(self.keeper.call())

    def __getitem__(self, i):
        x = torch.full((4,), float("nan") if i == self.bad else i / 32)
        return x + self.keeper.call(), i % 2


class MoodyLoss:
    def __init__(self, keeper):
        self.keeper = keeper

    def __call__(self, out, y):
        return F.cross_entropy(out, y) * (1 + self.keeper.call())


def fresh():
    global COUNT
    COUNT = Keeper.calls = 0
    NAMES.clear()
    Keeper.held.clear()
    return Keeper()


def left_by(keeper):
    return (
        COUNT, len(NAMES), Keeper.calls, len(Keeper.held), keeper.counter(), keeper.numpy.random(),
        keeper.python.random(), keeper.old.rand(), torch.rand(1, generator=keeper.own).item(),
        keeper.memory.tolist(), keeper.array.tolist(), vars(keeper.state), keeper.slotted.calls,
        keeper.buffer.tell(), keeper.inside[0]["deep"][0].calls, [*keeper.inside[0]["deep"][1]],
    )  # fmt: skip


MOODS = {
    "network": lambda k: (Moody(k), DataLoader(ROWS, 8), F.cross_entropy),
    "data set": lambda k: (nn.Linear(4, 2), DataLoader(MoodySet(k), 8), F.cross_entropy),
    "bad item": lambda k: (nn.Linear(4, 2), DataLoader(MoodySet(k, 9), 8), F.cross_entropy),
    "loss": lambda k: (nn.Linear(4, 2), DataLoader(ROWS, 8), MoodyLoss(k)),
}


@pytest.mark.parametrize("mood", MOODS)
def test_whatever_user_code_keeps_is_as_it_would_be_alone(mood):
    keepers, nets, results, docs = [], [], [], []

    def make():
        keepers.append(fresh())
        nets.append(MOODS[mood](keepers[-1]))
        return nets[-1]

    for watched in (False, True):
        given = {"loss_fn": lambda out, y: nets[-1][2](out, y)} if watched else {}
        weights, doc = trained(make, watched, 60, **given)
        results.append((weights, left_by(keepers[-1]), nets[-1][0].training))
        docs.append(doc)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num())
               for a, b in zip(results[0][0], results[1][0], strict=True))  # fmt: skip
    assert results[0][1:] == results[1][1:]
    assert docs[1].notes == []
    if mood == "bad item":  # the data set was read, and all was put back
        assert docs[1].findings[0].samples == (9,)


class Endless(Dataset):
    """Reads from an iterator: nobody can put that back."""

    def __init__(self):
        self.numbers = iter(range(10**9))

    def __len__(self):
        return 32

    def __getitem__(self, i):
        return torch.full((4,), i / 32 + 1e-3 * (next(self.numbers) % 7)), i % 2


class Writing(nn.Module):
    """Writes a line at each call."""

    def __init__(self, path):
        super().__init__()
        self.file, self.layer = open(path, "w"), nn.Linear(4, 2)  # noqa: SIM115

    def forward(self, x):
        self.file.write("called\n")
        return self.layer(x)


@pytest.mark.parametrize("kind", ["iterator", "file"])
def test_what_nobody_can_put_back_is_not_called_and_noted_once(kind, tmp_path):
    left = []

    def make():
        if kind == "iterator":
            left.append(Endless())
            return nn.Linear(4, 2), DataLoader(left[-1], 8), F.cross_entropy
        left.append(Writing(tmp_path / "log.txt"))
        return left[-1], DataLoader(ROWS, 8), F.cross_entropy

    (alone, _), (watched, doc) = trained(make, False, 60), trained(make, True, 60)
    assert all(map(torch.equal, alone, watched))
    if kind == "iterator":
        assert next(left[0].numbers) == next(left[1].numbers)
    else:
        assert left[0].file.tell() == left[1].file.tell()
    assert len(doc.notes) == (2 if kind == "file" else len(doc.notes))
    assert any("nothing could put it back" in note for note in doc.notes)
    for one in left:
        if kind == "file":
            one.file.close()


class Plain(torch.Tensor):
    """A tensor that counts what is done with it."""

    calls = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls += 1
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_tensor_class_of_the_users_hears_nothing_of_the_doctor():
    def make():
        Plain.calls = 0
        batches = [(torch.arange(32.0).view(8, 4).as_subclass(Plain) / 32, torch.arange(8) % 2)]
        return nn.Linear(4, 2), batches, F.cross_entropy

    (alone, _), count = trained(make, False, 30), Plain.calls
    watched, _ = trained(make, True, 30)
    assert all(map(torch.equal, alone, watched))
    assert Plain.calls == count


def test_a_large_array_that_is_written_to_is_locked_meanwhile(monkeypatch):
    monkeypatch.setattr(snapshot, "LARGE", 8)
    data = SimpleNamespace(whole=np.zeros(100))
    data.view = data.whole[10:]
    kept = snapshot.Snapshot(data)
    with pytest.raises(ValueError, match="read-only"):
        data.view[0] = 1
    assert kept.put_back() == []
    data.view[0] = data.whole[0] = 1


def test_the_loss_that_was_given_reaches_the_questions(monkeypatch):
    calls = []
    monkeypatch.setattr(replays.Replays, "_one", lambda self, name, kept: calls.append(kept.call))

    def own(out, y):
        return -out.log_softmax(1)[torch.arange(len(y)), y].mean()

    trained(lambda: (nn.Linear(4, 2), DataLoader(ROWS, 8), own), steps=60, loss_fn=own)
    assert calls
    assert None not in calls


def test_a_loss_that_was_heard_of_another_output_is_unknown():
    template = SimpleNamespace(function="mse_loss", input_tail=(6,), more={})
    call = replay.loss_of(None, template)
    kept = _replay.Replay(
        Engine(Chart(), None), Patient(nn.Linear(4, 2)), (), {}, 8, torch.ones(8, 6), call, None,
        None, last=True,
    )  # fmt: skip
    assert kept.loss(torch.ones(8, 2), 8) is None
    assert kept.loss(torch.ones(8, 6), 8).item() == 0


def test_a_batch_of_odd_size_is_asked_too():
    rows = TensorDataset(torch.randn(35, 4), torch.arange(35) % 2)
    _, doc = trained(lambda: (nn.Linear(4, 2), DataLoader(rows, 7), F.cross_entropy), steps=60)
    assert "additivity" in doc.chart.probes
    assert doc.notes == []


class Picky(nn.Module):
    """A network that must not be asked in eval mode."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        if not self.training:
            raise RuntimeError("only for training")
        return self.layer(x)


def test_questions_that_fail_are_one_counted_note():
    _, doc = trained(lambda: (Picky(), DataLoader(ROWS, 8), F.cross_entropy), steps=60)
    said = [note for note in doc.notes if "question" in note]
    assert len(said) == 1
    assert "only for training" in said[0]


class Torn(Dataset):
    """A set of which some items cannot be read."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        if i in (3, 11):
            raise OSError("no such file")
        return self.x[i], self.y[i]


def test_items_that_cannot_be_read_are_one_counted_note():
    x, y = torch.randn(40, 4), torch.arange(40) % 2
    x[17], x[23] = float("nan"), 1e9
    torn, told = Torn(x, y), []
    assert list(scan.scan(torn, unread=told.append)[0]) == [17]
    assert list(scan.outliers(torn, unread=told.append)[0]) == [23]
    y[30] = 9
    assert labels.outside(torn, 2, unread=told.append).rows == {30: 9}
    assert [type(e) for e in told] == [OSError] * 6
    with doctor(nn.Linear(4, 2), train=DataLoader(torn, 8)) as doc:
        doc.preflight("full")
    assert "an item of a data set could not be read: OSError (2 times)" in doc.notes


def test_a_search_that_its_time_ended_says_so(monkeypatch):
    x, y = torch.randn(400, 4), torch.arange(400) % 2
    x[2] = float("nan")
    monkeypatch.setenv("SNELLEN_PATIENCE", "1e-9")

    class Files(Torn):
        def __getitem__(self, i):
            return self.x[i], self.y[i]

    _, doc = trained(lambda: (nn.Linear(4, 2), DataLoader(Files(x, y), 8), F.cross_entropy))
    said = next(note for note in doc.notes if "stopped after" in note)
    assert "399 of 400 items (100%) were not looked at" in said
    assert doc.chart.culprits[0]["searched_of"] == 400
    assert doc.chart.culprits[0]["unsearched"] == pytest.approx(399 / 400)


def test_an_examination_that_fails_is_noted():
    net = nn.Linear(4, 2)
    net.lock = threading.Lock()  # cannot be copied
    with doctor(net, loss_fn=F.cross_entropy, train=DataLoader(ROWS, 8)) as doc:
        doc.preflight("full")
    said = [note for note in doc.notes if "an examination could not be made" in note]
    assert len(said) == 1
    assert "Linear cannot be copied" in said[0]


def test_scoring_a_validation_batch_does_not_walk_the_network(monkeypatch):
    walked = []
    real = snapshot.Snapshot.__init__
    monkeypatch.setattr(
        snapshot.Snapshot,
        "__init__",
        lambda self, *roots: (walked.append(roots), real(self, *roots))[1],
    )
    net = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer, F.cross_entropy) as doc:
        for split in ("train", "val", "train"):
            walked.clear()
            with torch.set_grad_enabled(split == "train"):
                for x, y in DataLoader(TensorDataset(torch.randn(16, 4), torch.arange(16) % 2), 8):
                    loss = F.cross_entropy(net(x), y)
                    if split == "train":
                        loss.backward()
                        optimizer.step()
            if split == "val":
                assert walked
                assert not any(root is net for roots in walked for root in roots)
    assert doc.chart.epochs
