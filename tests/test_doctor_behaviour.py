"""Behavioural probes change nothing, measure what mathematics says, and never break a network."""

import pytest
import torch
import torch.nn.functional as F
from test_doctor_watch import Off, gan, outcome
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.doctor import graph
from snellen.doctor.chart import Chart
from snellen.doctor.checks import bn_stale_stats
from snellen.doctor.checks.bn_stale_stats import StaleStatistics
from snellen.doctor.engine import Engine
from snellen.doctor.patient import Patient
from snellen.doctor.probes import _replay
from snellen.doctor.probes.additivity import additivity
from snellen.doctor.probes.direction import pushed
from snellen.doctor.probes.horizon import horizon
from snellen.doctor.probes.logs import unstable
from snellen.doctor.probes.losses import LossCall
from snellen.doctor.probes.penalty import penalty_gradients
from snellen.doctor.probes.pixels import pixels, touched
from snellen.doctor.probes.received import received
from snellen.doctor.replay import Unfit, loss_of
from snellen.doctor.watch import doctor


class Busy(nn.Module):
    """Dropout, batch norm, a hidden list, a state and a counter that each forward pass changes."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(6, 12, 2, dropout=0.2, batch_first=True)
        self.norm, self.drop, self.head = nn.BatchNorm1d(12), nn.Dropout(0.3), nn.Linear(12, 4)
        self.hidden = [nn.BatchNorm1d(12)]
        self.state, self.calls, self.seen = torch.zeros(12), 0, []

    def forward(self, x):
        self.calls += 1
        self.seen.append(len(x))
        h = self.norm(self.cell(x)[0][:, -1])
        self.state.mul_(0.9).add_(h.detach().mean(0))
        return self.head(self.drop(F.relu(self.hidden[0](h)))) + 0.01 * self.state.sum()


def busy(watch, steps=30):
    net = Busy()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    loader = DataLoader(TensorDataset(torch.randn(480, 10, 6), torch.randint(0, 4, (480,))), 16,
                        shuffle=True)  # fmt: skip
    with watch(net, optimizer):
        for x, y in loader:
            optimizer.zero_grad()
            (F.cross_entropy(net(x), y) + 1e-3 * sum(p.square().sum() for p in net.parameters())
             ).backward()  # fmt: skip
            optimizer.step()
            assert net.calls == len(net.seen)
    net.register_buffer("kept", net.state)
    net.register_buffer("spare", net.hidden[0].running_mean)
    net.register_buffer("count", torch.tensor([net.calls, *net.seen, len(net.hidden)]))
    return [net], [optimizer]


def accumulating(watch):
    """The graph of one forward pass waits while another is trained on."""
    net = nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)
    )
    optimizer = torch.optim.SGD(net.parameters(), 0.02)
    with watch(net, optimizer):
        for _ in range(26):
            x, y = torch.randn(12, 5), torch.randint(0, 3, (12,))
            waiting = net(x)
            F.cross_entropy(net(x.flip(0)), y.flip(0)).backward()
            F.cross_entropy(waiting, y).backward()
            optimizer.step()
            optimizer.zero_grad()
    return [net], [optimizer]


@pytest.mark.parametrize("run", [busy, accumulating, gan])
def test_bit_identical_with_and_without(run):
    docs = []

    def watch(*args):
        docs.append(doctor(*args))
        return docs[-1]

    bare, _, _ = outcome(run, Off)
    seen, nets, _ = outcome(run, watch)
    assert all(torch.equal(a, b) for a, b in zip(bare, seen, strict=True))
    assert docs[0].notes == []
    assert "additivity" in docs[0].chart.probes
    assert all(not m._forward_hooks for net in nets for m in net.modules())


def replay_of(net, x, target=None, call=None, **more):
    eyes = Engine(Chart(), None)
    eyes.step = 100
    values = {"record": None, "rows": None, "last": True, **more}
    return _replay.Replay(eyes, Patient(net), (x,), {}, len(x), target, call, **values)


def ask(function, net, x, **more):
    replay = replay_of(net, x, **more)
    with replay.patient.replayed(statistics=False) as inner:
        return function(replay, inner)


class Heads(nn.Module):
    """A body, and two heads of which one has a sigmoid; or a sine beside an affine skip."""

    def __init__(self, skips=False, cut=False):
        super().__init__()
        self.body, self.first = nn.Linear(6, 9), nn.Linear(9, 3)
        self.last = nn.Linear(6 if skips else 9, 3)
        self.skips, self.cut = skips, cut

    def forward(self, x):
        h = self.body(x).detach() if self.cut else self.body(x)
        if self.skips:
            return self.first(torch.sin(h)) + self.last(x)
        return {"box": self.first(h).sigmoid(), "kind": self.last(h)}


class Added(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


def test_additivity_counts_the_layers_of_what_is_affine_and_of_nothing_else():
    x = torch.randn(12, 6)
    assert ask(additivity, Heads(skips=True), x)["layers"] == 1  # not the two of the sine's way
    head = ask(additivity, Heads(), x)
    assert (head["layers"], head["bent"]) == (2, False)  # the sigmoid is not on its way
    asleep = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 6))
    nn.init.zeros_(asleep[2].weight)
    added = Added(asleep)
    assert ask(additivity, nn.Sequential(added, nn.Linear(6, 9), nn.Linear(9, 4)), x)["bent"]


def test_a_body_that_is_cut_off_from_all_heads_is_detached():
    net = Heads(cut=True)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc:
        for _ in range(60):
            out = net(torch.randn(16, 6))
            optimizer.zero_grad()
            (out["box"].square().mean() + out["kind"].logsumexp(1).mean()).backward()
            optimizer.step()
    assert [f.id for f in doc.findings] == ["graph-detached"]


def test_a_loss_that_was_given_other_targets_leaves_the_outputs_to_be_asked():
    heard = LossCall("binary_cross_entropy_with_logits", {}, (3,), (3,), torch.float32)
    call = loss_of(None, heard)
    assert call(torch.zeros(5, 3), torch.zeros(5, 3)) > 0
    with pytest.raises(Unfit, match="other targets"):
        call(torch.zeros(5, 3), torch.zeros(5, 4))  # boxes, say, beside whether there is one
    replay = replay_of(Heads(), torch.randn(5, 6), torch.zeros(5, 4), call)
    assert replay.loss(torch.zeros(5, 3), 5) is None


def test_additivity_tells_an_affine_network_from_a_bent_one():
    x = torch.randn(12, 6)
    flat = nn.Sequential(nn.Linear(6, 9), nn.Dropout(), nn.BatchNorm1d(9), nn.Linear(9, 4))
    bent = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4))
    found = ask(additivity, flat, x)
    assert found["error"] < 1e-5
    assert (found["layers"], found["rank"]) == (2, 4)
    assert ask(additivity, bent, x)["error"] > 0.01
    assert ask(additivity, nn.Sequential(*flat, nn.Softmax(1)), x)["error"] < 1e-5
    assert ask(additivity, nn.Embedding(9, 3), torch.randint(0, 9, (12, 2))) is None


@pytest.mark.parametrize(
    "shape", [(8, 3, 2, 0, 1), (9, 2, 3, 0, 1), (10, 3, 4, 1, 2), (7, 5, 5, 0, 1)]
)
def test_what_windows_touch_is_what_gets_a_gradient(shape):
    side, kernel, stride, padding, dilation = shape
    x = torch.ones(1, 1, side, requires_grad=True)
    F.conv1d(x, torch.ones(1, 1, kernel), None, stride, padding, dilation).sum().backward()
    assert int((x.grad != 0).sum()) == touched(*shape)


def test_pixels_that_are_lost_are_counted_and_blamed():
    net = nn.Sequential(nn.Conv2d(1, 4, 2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    found = ask(pixels, net, torch.randn(6, 1, 8, 8))
    assert found["lost"] == 0.75
    assert (found["module"], found["gap"]) == ("0", True)
    whole = nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    assert ask(pixels, whole, torch.randn(6, 1, 8, 8))["lost"] == 0.0


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_gradient_by_time_is_autograds(kind):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = kind(3, 5, batch_first=True)

        def forward(self, x):
            return self.cell(x)[0][:, -1]

    net, x = Last(), torch.randn(8, 12, 3)
    found = ask(horizon, net, x)
    leaf = x.clone().requires_grad_()
    net(leaf).square().mean().backward()
    sizes = leaf.grad.transpose(0, 1).flatten(1).norm(dim=1)
    assert found["first"] == pytest.approx(sizes[0].item(), rel=1e-4)
    assert found["ratio"] == pytest.approx((sizes[0] / sizes.max()).item(), rel=1e-4)
    assert found["steps"] == 12


def test_the_penaltys_gradient_is_that_of_its_terms_alone():
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    params = list(net.parameters())
    data = F.cross_entropy(net(torch.randn(5, 4)), torch.tensor([0, 1, 2, 0, 1]))
    penalty = 0.3 * sum(p.abs().sum() for p in params) + 0.1 * params[0].square().sum()
    loss = (data + penalty) / 4
    found = penalty_gradients(loss, params)
    wanted = torch.autograd.grad(penalty / 4, params, retain_graph=True)
    assert all(torch.allclose(found[id(p)], g) for p, g in zip(params, wanted, strict=True))
    loss.backward()  # the graph is still whole
    assert penalty_gradients(data, params) is None


def test_the_push_of_a_loss_has_its_sign():
    z, y = torch.randn(9, 4, requires_grad=True), torch.arange(9) % 4
    (grad,) = torch.autograd.grad(F.cross_entropy(z, y), z)
    assert pushed(grad, z.detach(), y, True)["away"] == 0.0
    assert pushed(-grad, z.detach(), y, True)["away"] == 1.0
    values = z.detach()
    assert pushed(values - 2, values, torch.full((9, 4), 2.0), False)["away"] == 0.0


def test_only_an_unguarded_log_is_unstable():
    z = torch.randn(6, 4, requires_grad=True)
    p = z.softmax(1)
    assert unstable(-torch.log(p).mean())["source"] == "softmax"
    assert unstable(-torch.log(1 - torch.sigmoid(z)).mean())["source"] == "sigmoid"
    assert unstable(-torch.log(p + 1e-8).mean()) is None
    assert unstable(-torch.log(p.clamp(min=1e-8)).mean()) is None
    assert unstable(F.cross_entropy(z, torch.zeros(6, dtype=torch.long))) is None


def test_leaves_and_layers_in_series_of_a_residual_graph():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    x = torch.randn(3, 4)
    out = x + net(x)
    assert {id(t) for t in graph.leaves(out.sum())} == {id(p) for p in net.parameters()}
    assert graph.layers_in_series(out) == (2, 4)


def test_distances_survive_a_permutation_and_drown_in_noise():
    class Record:
        dataset = TensorDataset(torch.randn(40, 16), torch.zeros(40))
        collate = None

    x = Record.dataset.tensors[0]
    chart = type("Chart", (), {"facts": {"classes": 10}, "column": lambda *_: [2.3] * 60})()
    net, rows = nn.Linear(16, 2), [*range(40)]
    for given, low, high in (
        (x.flip(1) * 3 + 1, 0.999, 1.001),
        (30 * torch.randn(40, 16), -0.3, 0.3),
    ):
        replay = replay_of(net, given, record=Record, rows=rows)
        replay.eyes.chart = chart
        before = torch.get_rng_state()
        assert low < received(replay, net)["agreement"] < high
        assert torch.equal(before, torch.get_rng_state())


def test_awkward_networks_are_left_alone():
    """Dicts in, tuples out, an error in eval mode, integers: a note, no findings of ours."""

    class Awkward(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Embedding(9, 8), nn.Linear(8, 3)

        def forward(self, batch, *, scale=1.0):
            if not self.training:
                raise RuntimeError("only for training")
            h = self.a(batch["tokens"]).mean(1)
            return {"logits": self.b(h) * scale, "hidden": (h, None)}

    net = Awkward()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with doctor(net, optimizer) as doc:
        for _ in range(25):
            tokens = torch.randint(0, 9, (16, 5))
            optimizer.zero_grad()
            out = net({"tokens": tokens}, scale=2.0)
            F.cross_entropy(out["logits"], tokens[:, 0] % 3).backward()
            optimizer.step()
    assert doc.notes == ["an examination could not be made: RuntimeError: only for training"]
    assert not set(doc.chart.probes) & {"additivity", "effects", "modes"}


class Chooser(nn.Module):
    """Scores for each of many places, and the places themselves with the best first."""

    def __init__(self, momentum):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1),
                                  nn.BatchNorm2d(8, momentum=momentum), nn.ReLU())  # fmt: skip
        self.scores, self.head = nn.Conv2d(8, 1, 1), nn.Linear(8, 3)

    def forward(self, x):
        maps = self.body(x)
        best = self.scores(maps).flatten(1).topk(40).indices
        return {"logits": self.head(maps.mean((2, 3))), "places": 100.0 * best}


@pytest.mark.parametrize(("momentum", "said"), [(0.1, False), (0.0, True)])
def test_regions_that_a_network_chooses_are_not_compared_between_the_modes(momentum, said):
    torch.manual_seed(0)
    net = Chooser(momentum)
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    with doctor(net, optimizer) as doc:
        for _ in range(60):
            x = 30 + torch.randn(32, 1, 12, 12) + 3 * torch.randn(32, 1, 1, 1)
            optimizer.zero_grad()
            F.cross_entropy(net(x)["logits"], (x.mean((1, 2, 3)) > 30).long()).backward()
            optimizer.step()
    assert doc.chart.probes["modes"]
    assert ("bn-stale-stats" in {f.id for f in doc.findings}) is said


def test_the_prescription_names_the_cause_of_stale_statistics():
    said = [StaleStatistics().look(chart) for chart in bn_stale_stats.sick()]
    assert "momentum=0 " in said[0].message
    assert "momentum=None" in said[1].message
    assert "steps, or momentum=" in said[2].do


def test_a_slow_network_is_asked_within_the_budget(monkeypatch):
    from snellen.doctor.probes import replays

    asked = []
    monkeypatch.setenv("SNELLEN_PATIENCE", "1e-9")
    monkeypatch.setattr(replays.registry, "collect", lambda *_: {"x": lambda *_: asked.append(1)})
    probe = replays.Replays(Engine(Chart(), None))
    probe._kept = replay_of(nn.Linear(2, 1), torch.ones(3, 2))
    probe._spent = 1e-9
    probe._ask(last=True)
    assert asked == []
    monkeypatch.setenv("SNELLEN_PATIENCE", "1000")
    probe._ask(last=True)
    assert asked == [1]


def test_ids_in_one_line_are_compared_as_samples():
    """One number is a sample: no examination stops."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    with doctor(net, optimizer) as doc:
        for _ in range(30):
            x = torch.randint(0, 20, (64,))
            optimizer.zero_grad()
            F.cross_entropy(net(x), x % 3).backward()
            optimizer.step()
    assert doc.notes == []


@pytest.mark.filterwarnings("error")
def test_complex_maps_are_measured_by_their_size():
    torch.manual_seed(0)
    lifted, net = nn.Linear(6, 4, dtype=torch.cfloat), nn.Linear(4, 3)
    both = nn.ModuleList([lifted, net])
    both.forward = lambda x: net(lifted(x.to(torch.cfloat)).abs())
    optimizer = torch.optim.Adam(both.parameters(), 1e-2)
    with doctor(both, optimizer) as doc:
        for _ in range(25):
            optimizer.zero_grad()
            F.cross_entropy(both(torch.randn(16, 6)), torch.arange(16) % 3).backward()
            optimizer.step()
    assert doc.notes == []
    assert doc.chart.layers["0"].column("grad_norm")[0] > 0
