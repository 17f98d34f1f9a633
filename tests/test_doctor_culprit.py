"""The culprit search names exactly the samples that were planted, however they are dealt."""

import random
import time

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, random_split

from snellen.doctor import scan
from snellen.doctor.gradients import gradient_norm
from snellen.doctor.loader import innermost, row_of
from snellen.doctor.watch import doctor


class Files(Dataset):
    """Items one by one, with the names of their files, as ImageFolder has them."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.samples = [(f"img{i}.png", 0) for i in range(len(x))]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def clean(count=300):
    generator = torch.Generator().manual_seed(3)
    return (torch.randn(count, 10, generator=generator),
            torch.randint(0, 4, (count,), generator=generator))  # fmt: skip


def anew(dataset):
    """The same data set, or where it is but tensors, a new one of them, as many loops have it."""
    return TensorDataset(*dataset.tensors) if type(dataset) is TensorDataset else dataset


def train(dataset, loss=F.cross_entropy, *, loss_fn=None, net=None, lr=0.01, epochs=3, **more):
    """Train under the doctor; returns it."""
    net = net or nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr)
    torch.manual_seed(11)
    with doctor(net, optimizer, loss_fn) as doc:
        for _ in range(epochs):
            for x, y in DataLoader(anew(dataset), 24, shuffle=True, **more):
                optimizer.zero_grad()
                loss(net(x), y).backward()
                optimizer.step()
    assert doc.notes == []
    return doc


def culprit(doc):
    (row,) = doc.chart.culprits
    return row


WRAPS = {
    "plain": lambda d: d,
    "subset": lambda d: Subset(d, list(range(40, 299))),
    "split": lambda d: random_split(d, [290, 10], torch.Generator().manual_seed(1))[0],
    "nested": lambda d: Subset(Subset(d, list(range(299, -1, -1))), list(range(295))),
    "concat": lambda d: ConcatDataset([Subset(d, range(150)), Subset(d, range(150, 300))]),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("kind", [TensorDataset, Files])
def test_planted_items_come_back_exactly(kind, wrap, workers):
    if workers and wrap not in ("nested", "plain"):
        pytest.skip("one nested wrap is enough with workers, which start slowly")
    x, y = clean()
    dataset = WRAPS[wrap](kind(x, y))
    used = {row_of(dataset, i) for i in range(len(dataset))}
    planted = sorted({57, 130, 222} & used)
    x[57, 3], x[130], x[222, 9] = torch.nan, torch.inf, -torch.inf
    found = culprit(train(dataset, num_workers=workers))
    assert (found["cause"], found["samples"], found["samples_of"]) == ("data", planted, "train")
    assert found["searched"] == len(dataset)
    if kind is Files:
        assert found["paths"] == [f"img{i}.png" for i in planted]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), depth=st.integers(0, 4))
def test_rows_unwind_through_any_nesting(seed, depth):
    """Oracle: a data set of its own row numbers, asked through the wraps."""
    draw = random.Random(seed)
    base = TensorDataset(torch.arange(60))
    dataset = base
    for _ in range(depth):
        rows = [draw.randrange(len(dataset)) for _ in range(draw.randint(2, 50))]
        cut = draw.randrange(1, len(rows))
        parts = [Subset(dataset, rows[:cut]), Subset(dataset, rows[cut:])]
        dataset = ConcatDataset(parts) if draw.random() < 0.5 else Subset(dataset, rows)
    assert innermost(dataset) is base
    assert [row_of(dataset, i) for i in range(len(dataset))] == [int(d[0]) for d in dataset]


def test_different_sets_side_by_side_are_numbered_through():
    x, y = clean()
    x[210] = torch.nan
    both = ConcatDataset([Files(x[:100], y[:100]), Files(x[100:], y[100:])])
    found = culprit(train(both))
    assert (found["samples"], found["paths"]) == ([210], ["img110.png"])


def test_a_target_that_is_not_finite():
    x, _ = clean()
    y = x[:, :1].clone()
    y[99] = torch.inf
    found = culprit(train(TensorDataset(x, y), F.mse_loss, net=nn.Linear(10, 1)))
    assert (found["samples"], found["field"]) == ([99], "target")


def test_a_finite_sample_that_overflows_in_a_layer():
    x, y = clean()
    x[[33, 250]] = 3e38
    found = culprit(train(Files(x, y)))
    assert (found["cause"], found["samples"]) == ("sample", [33, 250])
    assert (found["module"], found["operation"]) == ("0", "Linear")
    assert found["searched"] == 300


def test_a_finite_target_that_overflows_in_the_loss():
    x, _ = clean()
    y = x[:, :1].clone()
    y[[99, 7]] = 1e30
    found = culprit(train(TensorDataset(x, y), F.mse_loss, net=nn.Linear(10, 1)))
    assert (found["cause"], found["samples"]) == ("sample", [7, 99])


def by_hand(logits, target):
    """A cross-entropy as beginners write it: log(0) where softmax underflows."""
    return -torch.log(torch.softmax(logits, 1)[torch.arange(len(target)), target]).mean()


def test_a_loss_written_by_hand_is_read_from_its_graph():
    x, y = clean()
    x[55] *= 1e4
    found = culprit(train(Files(x, y), by_hand, net=nn.Linear(10, 4), lr=1e-4))
    assert (found["samples"], found["operation"]) == ([55], "log")
    found = culprit(train(Files(x, y), by_hand, net=nn.Linear(10, 4), lr=1e-4, loss_fn=by_hand))
    assert (found["samples"], found["searched"]) == ([55], 300)


def divergence(out, t):
    return (t * (t.log() - out.log_softmax(1))).sum(1).mean()


@pytest.mark.parametrize("planted", [(), (211,)])
def test_a_constant_of_the_targets_is_told_by_the_company_it_keeps(planted):
    """0 * log 0 of a target: the loss is NaN and its gradient is not, so the training goes on."""
    x, _ = clean()
    t = torch.randn(300, 4, generator=torch.Generator().manual_seed(5)).softmax(1)
    t[[*planted]] = torch.tensor([0.5, 0.5, 0.0, 0.0])
    doc = train(TensorDataset(x, t), divergence, epochs=4)
    named = [c["samples"] for c in doc.chart.culprits if c["cause"] == "sample"]
    assert named == [[*planted]] * len(planted)
    assert [f.samples for f in doc.findings if f.id == "data-poison-sample"] == [planted] * len(
        planted
    )
    assert bool(doc.chart.nonfinite) == bool(planted)


def test_a_loss_that_is_bad_now_and_then_is_no_samples_fault():
    x, y = clean()
    draw = random.Random(4)

    def unlucky(out, y):
        return F.cross_entropy(out, y) + (float("nan") if draw.random() < 0.1 else 0.0)

    doc = train(TensorDataset(x, y), unlucky, epochs=4)
    assert len(doc.chart.nonfinite) > 1
    assert "data-poison-sample" not in str([f.id for f in doc.findings])


def test_a_finite_loss_whose_gradient_is_not():
    def length(out, target):
        return out.pow(2).sum(1).sqrt().mean()

    x, y = clean()
    x[44] = 0
    doc = train(Files(x, y), length, loss_fn=length, net=nn.Linear(10, 4, bias=False))
    assert doc.chart.nonfinite[0]["what"] == "gradient"
    assert (culprit(doc)["cause"], culprit(doc)["samples"]) == ("sample", [44])


@pytest.mark.parametrize("lr", [1e3, 1e20])
def test_a_learning_rate_is_not_blamed_on_a_sample(lr):
    x, y = clean()
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(),
                        nn.Linear(16, 1))  # fmt: skip
    doc = train(TensorDataset(x, y[:, None].float()), F.mse_loss, lr=lr, net=net)
    assert (culprit(doc)["cause"], culprit(doc)["samples"]) == ("step", [])
    assert "data-nonfinite" not in [f.id for f in doc.findings]


@pytest.mark.parametrize("change", [lambda x: x, lambda x: (x - 0.1) / 0.3 * 1e9])
def test_a_tool_that_fetches_one_batch_ahead(change):
    x, y = clean()
    x[188] = 1e30 if change(torch.ones(1)) > 1 else torch.inf
    net = nn.Linear(10, 4)
    optimizer = torch.optim.SGD(net.parameters(), 1e-12)

    def ahead(loader):
        batches = iter(loader)
        now = next(batches)
        for following in batches:
            yield now
            now = following
        yield now

    torch.manual_seed(2)
    with doctor(net, optimizer) as doc:
        for a, b in ahead(DataLoader(Files(x, y), 20, shuffle=True)):
            optimizer.zero_grad()
            F.cross_entropy(net(change(a)), b).backward()
            optimizer.step()
    assert culprit(doc)["samples"] == [188]


def test_a_loop_without_a_loader_says_its_rows():
    x, y = clean()
    x[[12, 290], 2] = torch.nan
    net = nn.Linear(10, 4)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer, train=Files(x, y)) as doc:
        for index in torch.randperm(300).split(25):
            doc.rows(index)
            F.cross_entropy(net(x[index]), y[index]).backward()
            optimizer.step()
            optimizer.zero_grad()
    found = culprit(doc)
    assert (found["samples"], found["samples_of"]) == ([12, 290], "train")
    assert found["paths"] == ["img12.png", "img290.png"]


def test_without_any_rows_they_are_those_of_the_batch():
    x, y = clean()
    x[26] = torch.nan
    net = nn.Linear(10, 4)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc:
        for start in range(0, 300, 25):
            F.cross_entropy(net(x[start : start + 25]), y[start : start + 25]).backward()
            optimizer.step()
    assert (culprit(doc)["samples"], culprit(doc)["samples_of"]) == ([1], "batch")
    assert doc.chart.nonfinite[0]["step"] == 1


def test_a_loop_that_leaves_before_its_backward_pass():
    x, y = clean()
    x[130] = torch.nan
    net = nn.Linear(10, 4)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc:
        for a, b in DataLoader(TensorDataset(x, y), 25, shuffle=True):
            loss = F.cross_entropy(net(a), b)
            if not torch.isfinite(loss):
                break
            loss.backward()
            optimizer.step()
    assert culprit(doc)["samples"] == [130]


@pytest.mark.parametrize("first", [True, False])
def test_a_label_out_of_range_is_read_off_the_exception(first):
    x, y = clean(900)
    y[: 25 if first else 0] = 4
    y[-1] = 4
    net = nn.Linear(10, 4)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    doc = doctor(net, optimizer)
    with pytest.raises(IndexError), doc:  # noqa: PT012
        for a, b in DataLoader(TensorDataset(x, y), 25):
            optimizer.zero_grad()
            F.cross_entropy(net(a), b).backward()
            optimizer.step()
    assert doc.notes == []
    call = doc.chart.loss_calls[-1]
    assert (call["target_max"], call["classes"]) == (4, 4)
    assert "out of bounds" in call["error"]
    assert doc.findings[0].id == "label-out-of-range"


def test_the_search_spoils_neither_the_step_nor_the_random_numbers():
    def run(watched):
        x, y = clean()
        x[250] = 3e38
        torch.manual_seed(4)
        net = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.Dropout(0.5),
                            nn.Linear(16, 4))  # fmt: skip
        net[0].weight.data.mul_(10)  # so that the row overflows in the first layer
        optimizer = torch.optim.SGD(net.parameters(), 0.01)
        doc = doctor(net, optimizer)
        if watched:
            doc.__enter__()
        for a, b in DataLoader(Files(x, y), 24, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(net(a), b).backward()
            optimizer.step()
        if watched:
            doc.__exit__(None, None, None)
            assert culprit(doc)["samples"] == [250]
        return [*net.state_dict().values(), torch.rand(3)]

    for bare, seen in zip(run(False), run(True), strict=True):
        assert torch.equal(bare.nan_to_num(7.0), seen.nan_to_num(7.0))


def test_a_huge_item_that_blew_the_weights_up_some_steps_before():
    x, _ = clean()
    y = x[:, :1].clone()
    y[[99, 7]] = 1e16  # its loss is finite, the weights after it are not of this world
    net = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1))
    found = culprit(train(Files(x, y), F.mse_loss, net=net, lr=0.1))
    assert (found["cause"], found["samples"], found["field"]) == ("sample", [7, 99], "target")


@pytest.mark.parametrize("what", ["target", "input", ""])
def test_the_item_that_sticks_out_is_named(what):
    x, _ = clean()
    y = x[:, :1].tanh()
    if what:
        (y if what == "target" else x)[200, 0] = 1e4
    doc = train(
        Subset(TensorDataset(x, y), range(20, 300)), F.huber_loss, net=nn.Linear(10, 1), epochs=4
    )
    found = [f for f in doc.findings if f.id == "data-outlier"]
    assert [(f.samples, f.samples_of) for f in found] == [((200,), "train")] * bool(what)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bad_ones_of_ten_thousand_samples_are_named(seed):
    """Whether the loss, the gradient or the next step overflows first, which seeds decide."""
    torch.manual_seed(seed)
    x, y = torch.randn(10_000, 1, 8, 8), torch.randint(0, 4, (10_000,))
    x[[5, 5000, 9999]] = 3e38
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    found = culprit(train(TensorDataset(x, y), net=net, epochs=1))
    assert found["samples"] == [5, 5000, 9999]


def test_a_gradient_beyond_1e19_is_finite_though_its_square_is_not():
    w = torch.zeros(3, requires_grad=True)
    w.grad = torch.tensor([3e30, 0.0, 4e30])
    assert gradient_norm([w]) == pytest.approx(5e30)
    w.grad[1] = torch.inf
    assert gradient_norm([w]) == torch.inf


class Slow(Files):
    """A data set of a million rows, each of which takes a moment, that keeps its readings."""

    def __init__(self, x, y, times):
        super().__init__(x, y)
        self.times = times

    def __len__(self):
        return len(self.x) * self.times

    def __getitem__(self, i):
        time.sleep(1e-4)
        return super().__getitem__(i % len(self.x))


@pytest.mark.parametrize("kind", ["nan", "labels"])
def test_a_search_that_was_stopped_says_so_in_its_finding(monkeypatch, kind):
    monkeypatch.setenv("SNELLEN_PATIENCE", "0.005")
    x, y = clean(200)
    if kind == "nan":
        x[57, 3] = torch.nan
    else:
        y[57] = 9
    loss = nn.CrossEntropyLoss()
    net = nn.Linear(10, 4)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with doctor(net, optimizer) as doc:
        for a, b in DataLoader(Slow(x, y, 5000), 100):
            optimizer.zero_grad()
            try:
                loss(net(a), b).backward()
            except IndexError:
                break
            optimizer.step()
            if doc.search.count:
                break
    (found,) = [f for f in doc.findings if f.id in ("data-nonfinite", "label-out-of-range")]
    row = culprit(doc)
    searched = row["searched"]
    assert 57 in found.samples
    assert searched < 1_000_000
    assert (f"searched {searched:,} of 1,000,000 samples, stopped after 0.05 s:"
            f" {1_000_000 - searched:,} not looked at") in found.message  # fmt: skip


def test_rows_that_a_data_set_shows_to_be_bad_are_read_before_its_time_is_up():
    x, y = clean(2000)
    x[[1234, 1999]] = torch.nan
    found, searched = scan.scan(Subset(Files(x, y), range(10, 2000)), seconds=0.0)
    assert (list(found), searched) == ([1224], 1)
    found, _ = scan.scan(Files(x.numpy(), y), seconds=0.0)
    assert list(found) == [1234]
