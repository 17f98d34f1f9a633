"""The preflight finds what it should, changes nothing, and says nothing of healthy trainings."""

import math
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from snellen.core.seeds import rng_state, seed_everything
from snellen.doctor.chart import Chart
from snellen.doctor.check import all_checks
from snellen.doctor.exams import counts, memory, moments, slopes, votes
from snellen.doctor.exams._case import Case, Live
from snellen.doctor.exams._part import of_tensors, read
from snellen.doctor.exams.copies import look as look_for_copies
from snellen.doctor.exams.order import look as look_at_order
from snellen.doctor.exams.skill import relabelled
from snellen.doctor.script import run_script
from snellen.doctor.watch import doctor


@pytest.fixture(autouse=True)
def _seed():
    seed_everything(11)


def blobs(count=400, classes=4, width=12):
    centres = 2 * torch.randn(classes, width, generator=torch.Generator().manual_seed(1))
    y = torch.randint(0, classes, (count,))
    return centres[y] + 0.5 * torch.randn(count, width), y


def net(*extra, width=12, classes=4):
    return nn.Sequential(nn.Linear(width, 24), *extra, nn.ReLU(), nn.Linear(24, classes))


def watched(model, train, val=None, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    return doctor(model, optimizer, loss, train=train, val=val), optimizer


def ids(findings):
    return [f.id for f in findings]


def test_nothing_is_said_of_a_healthy_net_and_nothing_is_changed():
    x, y = blobs()
    model = net(nn.BatchNorm1d(24), nn.Dropout(0.4))
    model[1].eval()
    loader = DataLoader(TensorDataset(x[:300], y[:300]), 32, shuffle=True)
    doc, _ = watched(model, loader, DataLoader(TensorDataset(x[300:], y[300:]), 32))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes, rng, heard = [m.training for m in model.modules()], rng_state(), []
    with doc:
        found = doc.preflight(progress=lambda done, total, what: heard.append((done, total, what)))
    assert ids(found) == []
    assert doc.notes == []
    assert set(doc.chart.exams) >= {
        "copies", "moments", "counts", "votes", "order", "memory", "slopes"
    }  # fmt: skip
    assert doc.chart.exams["memory"]["learnt"]
    assert doc.chart.exams["slopes"]["tested"] > 10
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1]
    after = rng_state()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(rng[k], after[k]) for k in ("torch", "numpy", "python"))


class Half(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return grad @ w.T, 0.5 * x.T @ grad


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(0.2 * torch.randn(24, 24))

    def forward(self, x):
        return Half.apply(x, self.w)


def test_a_wrong_backward_is_named_with_its_parameter():
    loader = DataLoader(TensorDataset(*blobs()), 32, shuffle=True)
    doc, _ = watched(net(nn.ReLU(), Layer()), loader)
    with doc:
        finding = doc.preflight()[0]
    assert finding.id == "check-gradient-mismatch"
    assert finding.where["parameter"] == "2.w"
    assert finding.evidence["parameters"] == ["2.w"]
    entry = doc.chart.exams["slopes"]["wrong"][0]
    assert entry["analytic"] == pytest.approx(0.5 * entry["numeric"], rel=1e-4)


def test_twenty_samples_that_cannot_be_learnt():
    model = net()
    nn.init.constant_(model[0].bias, -1000.0)
    doc, _ = watched(model, DataLoader(TensorDataset(*blobs()), 32, shuffle=True))
    with doc:
        found = ids(doc.preflight())
    assert "check-cannot-overfit-20" in found


def test_a_loss_that_still_falls_after_two_hundred_steps_shows_nothing():
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    x = torch.randn(64, 3)
    y = x @ torch.tensor([[2.0], [-9.0], [0.7]]) + 8
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True)
    doc = doctor(model, torch.optim.SGD(model.parameters(), 0.03), F.mse_loss, train=loader)
    with doc:
        found = ids(doc.preflight())
    assert doc.chart.exams["memory"]["learnt"] is False
    assert "check-cannot-overfit-20" not in found


def test_a_network_without_parameters_to_learn_and_a_loss_without_slope_are_left_alone():
    live = Live(nn.Linear(2, 1), 4, lambda net, rows: torch.rand(()) * net.weight.sum(), None)
    assert slopes.look(Case(live=live)) is not None  # seeded before each call: it repeats
    noise = iter(range(10**6))
    live.loss = lambda net, rows: net.weight.sum() * next(noise)
    assert slopes.look(Case(live=live)) is None
    assert memory.look(Case(live=Live(nn.Linear(2, 1), 4, live.loss, None, "other"))) is None


def test_leaks_are_named_by_row_of_the_innermost_set():
    data = TensorDataset(*blobs())
    train, val = Subset(data, range(300)), Subset(data, [350, 5, 351, 299, 3])
    doc, _ = watched(net(), DataLoader(train, 32, shuffle=True), DataLoader(val, 32))
    with doc:
        finding = doc.preflight("quick")[0]
    assert (finding.id, finding.samples) == ("data-leak-train-val", (5, 299, 3))


def test_copies_by_bytes_and_nearly_and_none_in_strangers():
    draw = torch.Generator().manual_seed(3)
    x = torch.rand(60, 1, 20, 20, generator=draw)
    val = torch.cat([x[:2], x[2:5] + 0.001 * torch.rand(3, 1, 20, 20, generator=draw),
                     torch.rand(30, 1, 20, 20, generator=draw)])  # fmt: skip
    parts = {"train": of_tensors("train", x, None), "val": of_tensors("val", val, None)}
    seen = look_for_copies(Case(parts))
    assert (seen["exact"], seen["near"], seen["samples"]) == (2, 3, [0, 1, 2, 3, 4])
    assert seen["pairs"] == [[i, i] for i in range(5)]
    parts["val"] = of_tensors("val", val[5:], None)
    assert look_for_copies(Case(parts))["samples"] == []


def test_moments_are_those_of_numpy():
    a, b = np.random.rand(40, 3, 6, 6), 2 + 5 * np.random.rand(30, 3, 6, 6)
    parts = {n: of_tensors(n, torch.tensor(v), None) for n, v in (("train", a), ("val", b))}
    seen = moments.look(Case(parts, fitted=(a.mean((0, 2, 3)), a.std((0, 2, 3)))))
    both = np.concatenate([a, b])
    for name, values in (("train", a), ("val", b), ("all", both)):
        assert seen[f"{name}_mean"] == pytest.approx(values.mean((0, 2, 3)), rel=1e-5)
        assert seen[f"{name}_std"] == pytest.approx(values.std((0, 2, 3)), rel=1e-4)
    assert seen["fitted_mean"] == pytest.approx(seen["train_mean"], rel=1e-5)


def test_statistics_of_all_samples_are_told_from_those_of_train():
    x, y = blobs()
    x[300:] += 0.3
    for rows, wanted in ((slice(None), True), (slice(300), False)):
        doc, _ = watched(net(), TensorDataset(x[:300], y[:300]), TensorDataset(x[300:], y[300:]))
        with doc:
            found = doc.preflight("quick", fitted=(x[rows].mean(0), x[rows].std(0)))
        assert ("data-stats-from-eval" in ids(found)) is wanted


def test_one_channel_of_val_in_other_units():
    x, y = torch.randn(200, 3, 8, 8), torch.arange(200) % 4
    val = torch.randn(80, 3, 8, 8)
    val[:, 2] += 1
    sets = [TensorDataset(x, y), TensorDataset(val, y[:80])]
    doc, _ = watched(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), *sets)
    with doc:
        finding = doc.preflight("quick")[0]
    assert finding.id == "data-shift-train-val"
    assert finding.evidence["channel"] == 2


def test_a_loader_that_deals_class_after_class():
    x, y = blobs()
    order = y.argsort()
    data = TensorDataset(x[order], y[order])
    found = {}
    for shuffle in (True, False):
        doc, _ = watched(net(), DataLoader(data, 32, shuffle=shuffle))
        with doc:
            found[shuffle] = ids(doc.preflight())
    assert "data-unshuffled" in found[False]
    assert "data-unshuffled" not in found[True]
    seen = look_at_order(Case(loader=DataLoader(TensorDataset(x, y), 32)))
    assert seen["runs"] == pytest.approx(seen["expected"], rel=0.15)


class Files(Dataset):
    """Items read one by one, with paths; drawing numbers on the way."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.paths = [f"{i}.png" for i in range(len(x))]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        torch.rand(3), np.random.rand()
        return {"image": self.x[i], "label": int(self.y[i])}


def test_items_are_read_as_tensors_are_and_no_number_is_drawn():
    x, y = blobs(50)
    before = rng_state()
    one, other = read("train", Files(x, y)), read("train", TensorDataset(x, y))
    after = rng_state()
    assert all(torch.equal(before[k], after[k]) for k in ("torch", "numpy", "python"))
    assert one.digests == other.digests
    assert torch.equal(one.labels_N, other.labels_N)
    assert torch.equal(one.thumbs_ND, other.thumbs_ND)


def test_wrong_labels_are_ranked_first():
    x, y = blobs(600)
    wrong = torch.randperm(600)[:60]
    y[wrong] = (y[wrong] + 1) % 4
    seen = votes.look(Case({"train": of_tensors("train", x, y)}))
    first = set(seen["suspects"][:50])
    assert len(first & set(wrong.tolist())) >= 45
    assert counts.look(Case({"train": of_tensors("train", x, y)}))["counts"] == {
        str(k): int((y == k).sum()) for k in range(4)
    }


def train(doc, optimizer, model, loader, val=(), epochs=3):
    with doc:
        for _ in range(epochs):
            model.train()
            for batch in loader:
                x, y = batch.values() if isinstance(batch, dict) else batch
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                for x, _ in val:
                    model(x)
    return doc.findings


def test_after_a_plain_training_wrong_labels_come_with_their_files():
    x, y = blobs(600)
    wrong = torch.randperm(600)[:60]
    y[wrong] = (y[wrong] + 1) % 4
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    loader = DataLoader(Files(x, y), 32, shuffle=True)
    before = rng_state()["numpy"]
    finding = train(doctor(model, optimizer), optimizer, model, loader, epochs=2)[0]
    assert finding.id == "label-noise"
    assert len(set(finding.samples[:40]) & set(wrong.tolist())) >= 36
    assert finding.paths[:3] == tuple(f"{i}.png" for i in finding.samples[:3])
    assert before is not None


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.2])
def test_the_suspects_are_the_wrong_ones_and_nearly_all_of_them(share):
    """Digits with labels changed: precision and recall of the list, also beyond one group."""
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    x, y = torch.tensor(data, dtype=torch.float32) / 8 - 1, torch.tensor(target)
    torch.manual_seed(1)
    wrong = (torch.rand(len(y)) < share).nonzero()[:, 0]
    y[wrong] = (y[wrong] + torch.randint(1, 10, (len(wrong),))) % 10
    part = of_tensors("train", x, y)
    chart = Chart()
    values = votes.look(Case({"train": part}, seconds=0.0))
    chart.record({"kind": "exam", "step": 0, "name": "votes", "values": values})
    found = all_checks()["label-noise"].look(chart)
    if not share:
        assert found is None
        return
    right = set(found.samples) & set(wrong.tolist())
    assert len(right) >= 0.97 * len(found.samples)
    assert len(right) >= 0.85 * len(wrong)
    assert abs(found.evidence["expected"] - len(wrong)) <= 0.2 * len(wrong)
    assert f"of {len(y)} labels" in found.message
    assert "(labelled " in found.message


def test_after_a_plain_training_classes_of_val_are_numbered_otherwise():
    x, y = blobs(600)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    loader = DataLoader(TensorDataset(x[:450], y[:450]), 32, shuffle=True)
    val = DataLoader(TensorDataset(x[450:], (y[450:] + 1) % 4), 50)
    finding = train(doctor(model, optimizer), optimizer, model, loader, val)[0]
    assert finding.id == "label-map-mismatch"
    assert finding.evidence["mapping"] == {str((k + 1) % 4): k for k in range(4)}


def test_the_look_after_changes_nothing_either():
    def outcome(watch):
        seed_everything(3)
        x, y = blobs(300)
        model = net(nn.BatchNorm1d(24), nn.Dropout(0.2))
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        loader = DataLoader(Files(x, y), 32, shuffle=True)
        if watch:
            train(doctor(model, optimizer), optimizer, model, loader)
        else:
            for _ in range(3):
                model.train()
                for batch in loader:
                    optimizer.zero_grad()
                    F.cross_entropy(model(batch["image"]), batch["label"]).backward()
                    optimizer.step()
                model.eval()
        rng = rng_state()
        state = [v.double() for v in model.state_dict().values()]
        return [*state, *(rng[k] for k in ("torch", "numpy", "python"))]

    assert all(torch.equal(a, b) for a, b in zip(outcome(True), outcome(False), strict=True))


def test_renaming_finds_any_permutation():
    said = torch.randint(0, 7, (400,))
    order = torch.randperm(7)
    seen = relabelled(said, order[said])
    assert seen["relabelled_accuracy"] == 1.0
    assert all(seen["mapping"].get(str(int(order[k])), int(order[k])) == k for k in range(7))


SCRIPT = """
import torch, torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 3 * x
    @staticmethod
    def backward(ctx, grad):
        return grad

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)
    def forward(self, x):
        return self.b(torch.tanh(WRONG(self.a(x))))

WRONG = Wrong.apply if FAULT else (lambda x: 3 * x)
torch.manual_seed(0)
x = torch.randn(200, 8)
y = (x @ torch.randn(8, 3)).argmax(1)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
for epoch in range(2):
    for inputs, labels in DataLoader(TensorDataset(x, y), 20, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
print("sum", sum(p.double().sum().item() for p in net.parameters()), torch.rand(1).item())
"""


@pytest.mark.parametrize("fault", [True, False])
def test_a_script_is_examined_at_its_first_backward(fault, tmp_path, capsys):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.replace("if FAULT", f"if {fault}"))
    said = []
    for preflight in (True, False):
        code = run_script(path, preflight=preflight)
        said.append(capsys.readouterr().out)
        assert code == (1 if fault and preflight else 0)
    assert said[0].splitlines()[0] == said[1].splitlines()[0]  # weights and numbers drawn
    assert ("check-gradient-mismatch" in said[0]) is fault
    assert not fault or "a." in said[0]


@pytest.mark.parametrize("step", [0.004, 0.04])
def test_waits_for_a_slow_reader_are_seen(monkeypatch, step):
    now = [0.0]  # a clock that only reading and computing move

    class Slow(Files):
        def __getitem__(self, i):
            now[0] += 0.001
            return super().__getitem__(i)

    class Work(nn.Identity):
        def forward(self, x):
            now[0] += step
            return x

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    model = net(Work())
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    doc = doctor(model, optimizer)
    loader = DataLoader(Slow(*blobs(400)), 16, shuffle=True)
    found = ids(train(doc, optimizer, model, loader, epochs=1))
    waits = doc.chart.exams["waits"]
    assert waits["batches"] == math.ceil(400 / 16) - 1
    assert waits["waited"] == pytest.approx(0.016 * waits["batches"])
    assert ("perf-input-bound" in found) is (step < 0.016)
