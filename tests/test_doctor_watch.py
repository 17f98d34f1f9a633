"""The watch changes nothing, sees what happened, and never stops a training."""

import json
import random
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import dataloader as torch_dataloader

from snellen.core.errors import DoctorError, UsageError
from snellen.core.events import KINDS
from snellen.core.seeds import rng_state, seed_everything
from snellen.doctor.chart import Chart
from snellen.doctor.schedule import Schedule
from snellen.doctor.watch import doctor


def digits_like(count=96):
    return TensorDataset(torch.randn(count, 1, 8, 8), torch.randint(0, 4, (count,)))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
                         nn.Dropout(0.3), nn.Flatten(), nn.Linear(8 * 36, 4))  # fmt: skip


@pytest.mark.parametrize("ignore", [["lr-too-hihg"], "lr-too-high"])
def test_ignoring_what_is_no_check_is_refused(ignore):
    with pytest.raises(UsageError, match="lr-too-high"):
        doctor(cnn(), ignore=ignore)


def plain(watch, workers=0, optim=torch.optim.Adam):
    net = cnn()
    optimizer = optim(net.parameters(), 1e-3)
    loader = DataLoader(digits_like(), 16, shuffle=True, num_workers=workers)
    with watch(net, optimizer):
        for _ in range(5):
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(net(x + random.random() * np.random.rand()), y).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                for x, _ in loader:
                    net(x)
            net.train()
    return [net], [optimizer]


def with_workers(watch):
    return plain(watch, workers=2)


def accumulation(watch):
    net = cnn()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    with watch(net, optimizer):
        for k, (x, y) in enumerate(DataLoader(digits_like(400), 8, shuffle=True)):
            (F.cross_entropy(net(x), y) / 4).backward()
            if k % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    return [net], [optimizer]


def lbfgs(watch):
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=6)
    x = torch.randn(40, 6)
    y = x.sum(1, keepdim=True)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        return loss

    with watch(net, optimizer):
        for _ in range(8):
            optimizer.step(closure)
    return [net], [optimizer]


def gan(watch):
    made, judge = nn.Linear(3, 5), nn.Sequential(nn.Linear(5, 8), nn.LeakyReLU(), nn.Linear(8, 1))
    optimizers = [torch.optim.Adam(judge.parameters(), 1e-3),
                  torch.optim.Adam(made.parameters(), 1e-3)]  # fmt: skip
    one, zero = torch.ones(16, 1), torch.zeros(16, 1)
    loss = F.binary_cross_entropy_with_logits
    with watch([made, judge], optimizers):
        for _ in range(40):
            fake = made(torch.randn(16, 3))
            optimizers[0].zero_grad()
            (loss(judge(torch.randn(16, 5)), one) + loss(judge(fake.detach()), zero)).backward()
            optimizers[0].step()
            optimizers[1].zero_grad()
            loss(judge(fake), one).backward()
            optimizers[1].step()
    return [made, judge], optimizers


class Off:
    """What `doctor` is replaced by in the run that nobody watches."""

    def __init__(self, *args):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def outcome(run, watch):
    seed_everything(5)
    nets, optimizers = run(watch)
    state = [t for net in nets for t in net.state_dict().values()]
    state += [p.grad for net in nets for p in net.parameters() if p.grad is not None]
    state += [t for o in optimizers for s in o.state.values() for t in s.values()
              if isinstance(t, torch.Tensor)]  # fmt: skip
    state += [torch.tensor(m.training) for net in nets for m in net.modules()]
    rng = rng_state()
    return [*state, rng["torch"], rng["numpy"], rng["python"], torch.rand(1)], nets, optimizers


@pytest.mark.parametrize("run", [plain, with_workers, accumulation, lbfgs, gan])
def test_bit_identical_with_and_without(run):
    originals = (torch.autograd.backward, torch.amp.GradScaler.scale,
                 *vars(torch_dataloader._BaseDataLoaderIter).values())  # fmt: skip
    docs = []

    def watch(*args):
        docs.append(doctor(*args))
        return docs[-1]

    bare, _, _ = outcome(run, Off)
    seen, nets, optimizers = outcome(run, watch)
    assert len(bare) == len(seen)
    assert all(torch.equal(a, b) for a, b in zip(bare, seen, strict=True))
    (doc,) = docs
    assert doc.notes == []
    assert doc.chart.step > 0
    assert originals == (torch.autograd.backward, torch.amp.GradScaler.scale,
                         *vars(torch_dataloader._BaseDataLoaderIter).values())  # fmt: skip
    for module in [m for net in nets for m in net.modules()]:
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    for optimizer in optimizers:
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
    assert torch._C._len_torch_function_stack() == 0
    assert not any(f.level in ("error", "warning") for f in doc.findings if run is not gan), [
        f.id for f in doc.findings
    ]


def test_steps_are_optimiser_steps_not_backward_passes():
    docs = []

    def watch(*args):
        docs.append(doctor(*args))
        return docs[-1]

    torch.manual_seed(0)
    accumulation(watch)
    assert docs[-1].chart.step == 12
    assert set(docs[-1].chart.column("backwards")) == {4}
    assert not any(docs[-1].chart.column("carried"))
    lbfgs(watch)
    assert docs[-1].chart.step == 8
    assert max(docs[-1].chart.column("backwards")) > 1
    gan(watch)
    assert docs[-1].chart.step == 40
    assert len(docs[-1].chart.column("other_loss")) == 40
    assert not any(docs[-1].chart.column("carried"))


def test_what_the_probes_measured_is_what_torch_says():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        net[0].bias[:4] = -100.0  # four units are dead
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    x, y = torch.randn(20, 6), torch.randint(0, 3, (20,))
    before = [p.detach().clone() for p in net.parameters()]
    with doctor(net, optimizer, classes=3) as doc:
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    chart = doc.chart
    assert chart.column("loss") == [loss.item()]
    row = chart.params["0.weight"].rows[0]
    assert row["update_norm"] == pytest.approx((net[0].weight - before[0]).norm().item(), rel=1e-5)
    assert row["grad_norm"] == pytest.approx(net[0].weight.grad.norm().item(), rel=1e-5)
    assert row["changed"] is True
    total = torch.cat([p.grad.flatten() for p in net.parameters()]).norm().item()
    assert chart.column("grad_norm")[0] == pytest.approx(total, rel=1e-5)
    assert chart.layers["1"].rows[0]["dead_share"] == 4 / 16
    assert chart.layers["1"].facts["activation"] == "relu"
    assert "dead_share" not in chart.layers["0"].rows[0]
    assert chart.batches["train"][0]["max"] == pytest.approx(x.max().item())
    call = chart.loss_calls[0]
    assert (call["function"], call["classes"], call["target_max"]) == ("cross_entropy", 3, 2)
    assert call["value"] == pytest.approx(loss.item())


def test_functional_activations_and_bf16_are_seen():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.b(torch.tanh(F.relu(self.a(x)) * 100))

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc, torch.autocast("cpu", torch.bfloat16):
        net(torch.randn(9, 4)).float().pow(2).mean().backward()
        optimizer.step()
    assert doc.notes == []
    assert doc.chart.layers["Net.relu"].facts["activation"] == "relu"
    assert doc.chart.layers["Net.tanh"].rows[0]["saturated_share"] > 0.2


def test_gradients_that_are_never_zeroed_are_carried():
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with doctor(net, optimizer) as doc:
        for _ in range(6):
            net(torch.randn(4, 3)).sum().backward()
            optimizer.step()
    assert doc.chart.column("carried") == [False, True, True, True, True, True]


def test_the_same_events_give_the_same_chart_again():
    events = []
    net = cnn()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with doctor(net, optimizer, sink=events.append) as doc:
        for x, y in DataLoader(digits_like(), 16):
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    again = Chart.replay(events)
    assert again.step == doc.chart.step == 6
    assert list(again.layers) == list(doc.chart.layers)
    assert again.column("loss") == doc.chart.column("loss")
    for event in events:
        assert set(event) - {"kind", "step"} == set(KINDS[event["kind"]])


def test_nothing_grows_with_the_steps():
    events = []
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 1e-4)
    x = torch.ones(2, 2)
    with doctor(net, optimizer, sink=events.append) as doc:
        sizes = []
        for k in range(6000):
            optimizer.zero_grad()
            net(x).mean().backward()
            optimizer.step()
            if k in (2999, 5999):
                sizes.append(len(events))
        assert len(doc.chart.steps) <= 256
        assert doc.engine.feed is None
    assert sizes[1] - sizes[0] < 400  # the log is thinned: about 200 rows for each factor e
    schedule = Schedule()
    sampled = 0
    for k in range(100_000):
        if schedule.sampled(k):
            sampled += 1
            schedule.took(k, 0.001, True)
    assert sampled < 300


def test_an_error_of_the_doctor_never_reaches_the_user(monkeypatch):
    from snellen.doctor.probes.params import Params

    monkeypatch.setattr(Params, "after_update", lambda *_: 1 / 0)
    seed_everything(1)
    net = cnn()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)

    def broken(event):
        if event["kind"] == "loss_call":
            raise RuntimeError("the disk is full")

    with doctor(net, optimizer, sink=broken) as doc:
        for x, y in DataLoader(digits_like(), 16):
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert doc.chart.step == 6
    assert len(doc.notes) == 2
    assert any("ZeroDivisionError" in note for note in doc.notes)
    assert torch._C._len_torch_function_stack() == 0


def test_the_users_own_hooks_and_errors_stay():
    net = nn.Linear(2, 2)
    heard = []
    mine = net.register_forward_hook(lambda *_: heard.append(1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doc = doctor(net, optimizer)
    with pytest.raises(ZeroDivisionError), doc:  # noqa: PT012
        net(torch.full((2, 2), torch.nan)).sum().backward()
        optimizer.step()
        raise ZeroDivisionError
    assert len(heard) == 1  # the culprit search ran the network again, unheard
    assert list(net._forward_hooks) == [mine.id]
    assert not net._forward_pre_hooks


def test_to_json_gives_the_text_and_writes_it_where_a_file_is_named(tmp_path):
    with doctor(nn.Linear(2, 2)) as doc:
        pass
    assert json.loads(doc.to_json()) == {"version": 1, "findings": []}
    assert doc.to_json(tmp_path / "f.json") == (tmp_path / "f.json").read_text()


def test_raise_if_and_wrong_arguments():
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc:
        net(torch.full((2, 2), torch.nan)).sum().backward()
        optimizer.step()
    with pytest.raises(DoctorError) as caught:
        doc.raise_if("error")
    assert caught.value.findings[0].id == "data-nonfinite"
    assert caught.value.findings[0].samples == (0, 1)
    assert caught.value.findings[0].samples_of == "batch"
    with pytest.raises(UsageError, match="levels"):
        doc.raise_if("fatal")
    with pytest.raises(UsageError, match=r"nn\.Module"):
        doctor(3)
    with pytest.raises(UsageError, match="optimizer"):
        doctor(net, net)


def test_suspended_looks_away():
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc:
        with doc.suspended():
            net(torch.full((2, 2), torch.nan)).sum().backward()
            optimizer.zero_grad()
        net(torch.ones(2, 2)).sum().backward()
        optimizer.step()
    assert doc.chart.step == 1
    assert not doc.chart.nonfinite


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_is_compiled_once():
    compiles = []

    def backend(graph, inputs):
        compiles.append(1)
        return graph.forward

    counts = []
    for watched in (False, True):
        torch._dynamo.reset()
        compiles.clear()
        seed_everything(2)
        net = torch.compile(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
                            backend=backend)  # fmt: skip
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        with doctor(net, optimizer) if watched else Off() as doc:
            for _ in range(12):
                optimizer.zero_grad()
                net(torch.randn(5, 4)).pow(2).mean().backward()
                optimizer.step()
        counts.append((len(compiles), [p.detach().clone() for p in net.parameters()]))
    assert doc.notes == []
    assert doc.chart.step == 12
    assert counts[0][0] == counts[1][0]
    assert all(torch.equal(a, b) for a, b in zip(counts[0][1], counts[1][1], strict=True))
