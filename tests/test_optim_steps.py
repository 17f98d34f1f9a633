"""Every optimiser's path against its formula, a loop of plain arithmetic, or PyTorch's own."""

import copy
import inspect
import math
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import snellen as sn
from snellen.byhand import adaptive
from snellen.byhand import momentum as momentum_hand
from snellen.optim.by_name import OPTIMISERS

DOUBLE = torch.float64


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def bowl(width=5):
    """A quadratic loss (A, b), the same each time, and a start."""
    generator = torch.Generator().manual_seed(3)
    numbers = torch.randn(width + 2, width, dtype=DOUBLE, generator=generator)
    a, b, start = numbers.tensor_split([width, width + 1])
    return a @ a.T / width + torch.eye(width, dtype=DOUBLE), b[0], start[0].clone()


def path(make, lrs=(0.05,) * 25):
    """The points that an optimiser goes through on the bowl, each step with its own lr."""
    A, b, start = bowl()
    w = nn.Parameter(start)
    optimizer = make([w])
    points = []
    for lr in lrs:
        optimizer.param_groups[0]["lr"] = lr
        w.grad = (A @ w - b).detach()
        optimizer.step()
        points.append(w.detach().clone())
    return torch.stack(points)


def by_formula(step, lrs=(0.05,) * 25):
    """The same by a function (w, gradient, state dict, t, lr) -> w."""
    A, b, w = bowl()
    state, points = {}, []
    for t, lr in enumerate(lrs, 1):
        w = step(w, A @ w - b, state, t, lr)
        points.append(w)
    return torch.stack(points)


def same(one, other, tolerance=1e-12):
    assert (one - other).abs().max() <= tolerance


# The formulas of the notes ------------------------------------------------------------------------


def momentum(w, g, s, t, lr):
    s["v"] = 0.9 * s.get("v", 0) + g
    return w - lr * s["v"]


def caffe(w, g, s, t, lr):
    s["v"] = 0.9 * s.get("v", 0) + lr * g
    return w - s["v"]


def adagrad(w, g, s, t, lr):
    s["sum"] = s.get("sum", 0) + g * g
    return w - lr * g / (s["sum"].sqrt() + 1e-7)


def rmsprop(decay):
    def step(w, g, s, t, lr):
        s["mean"] = decay * s.get("mean", 0) + (1 - decay) * g * g
        return w - lr * g / (s["mean"].sqrt() + 1e-7)

    return step


def adadelta(w, g, s, t, lr):
    s["g"] = 0.9 * s.get("g", torch.zeros_like(g)) + 0.1 * g * g
    move = g * (s.get("d", torch.zeros_like(g)) + 1e-6).sqrt() / (s["g"] + 1e-6).sqrt()
    s["d"] = 0.9 * s.get("d", torch.zeros_like(g)) + 0.1 * move * move
    return w - lr * move


def almost_adam(w, g, s, t, lr):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    return w - lr * s["m"] / (s["v"].sqrt() + 1e-7)


def adam(w, g, s, t, lr):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    return w - lr * (s["m"] / (1 - 0.9**t)) / ((s["v"] / (1 - 0.999**t)).sqrt() + 1e-8)


PAIRS = {
    "sgd": (torch.optim.SGD, lambda w, g, s, t, lr: w - lr * g),
    "momentum": (lambda p: torch.optim.SGD(p, momentum=0.9), momentum),
    "caffe": (sn.optim.CaffeSGD, caffe),
    "adagrad": (lambda p: torch.optim.Adagrad(p, eps=1e-7), adagrad),
    "rmsprop .9": (lambda p: torch.optim.RMSprop(p, alpha=0.9, eps=1e-7), rmsprop(0.9)),
    "rmsprop .99": (lambda p: torch.optim.RMSprop(p, alpha=0.99, eps=1e-7), rmsprop(0.99)),
    "rmsprop .999": (lambda p: torch.optim.RMSprop(p, alpha=0.999, eps=1e-7), rmsprop(0.999)),
    "adadelta": (torch.optim.Adadelta, adadelta),
    "adam almost": (sn.optim.AlmostAdam, almost_adam),
    "adam": (torch.optim.Adam, adam),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("lrs", [(0.05,) * 25, (0.1,) * 10 + (0.01,) * 15], ids=["same", "tenth"])
def test_steps_are_those_of_the_formula(name, lrs):
    make, formula = PAIRS[name]
    same(path(make, lrs), by_formula(formula, lrs), 1e-10)


BY_HAND = {  # the name of a recipe -> the step by hand, with the usual settings of that recipe
    "sgd": (momentum_hand.momentum_step, {"rho": 0.9}),
    "momentum": (momentum_hand.momentum_step, {"rho": 0.9}),
    "nesterov": (momentum_hand.nesterov_substituted_step, {"rho": 0.9}),
    "caffe": (momentum_hand.caffe_momentum_step, {"rho": 0.9}),
    "adagrad": (adaptive.adagrad_step, {"eps": 1e-10}),  # PyTorch's; the notes have 1e-7
    "rmsprop": (adaptive.rmsprop_step, {"decay": 0.99, "eps": 1e-8}),  # PyTorch's; notes: 1e-7
    "adadelta": (adaptive.adadelta_step, {"rho": 0.9}),
    "adam": (adaptive.adam_step, {}),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_an_optimiser_by_name_steps_as_by_hand(name):
    """What a training gets; its eps are PyTorch's, and the notes' 1e-7 is given only above."""
    step, how = BY_HAND[name]
    A, b, start = bowl()
    points = path(lambda p: sn.optim.build(name, p, lr=0.05, weight_decay=0.0))
    x, state = start.numpy(), None
    for point in points:
        x, state = step(x, A.numpy() @ x - b.numpy(), state, lr=0.05, **how)
        torch.testing.assert_close(point, torch.from_numpy(x), rtol=1e-9, atol=1e-12)


def test_momentum_of_pytorch_and_caffe_part_where_the_learning_rate_changes():
    def torch_form(p):
        return torch.optim.SGD(p, momentum=0.9)

    same(path(torch_form), path(sn.optim.CaffeSGD))
    lrs = (0.1,) * 10 + (0.01,) * 15
    one, other = path(torch_form, lrs), path(sn.optim.CaffeSGD, lrs)
    same(one[:10], other[:10])
    assert (one[10] - other[10]).abs().max() > 1e-3
    before = one[9] - one[8]  # the last large step: Caffe's velocity carries 0.9 of it on
    A, b, _ = bowl()
    same(other[10] - other[9], 0.9 * before - 0.01 * (A @ one[9] - b), 1e-10)
    same(one[10] - one[9], 0.1 * 0.9 * before - 0.01 * (A @ one[9] - b), 1e-10)


def test_caffe_takes_weight_decay_as_pytorch_does():
    same(
        path(lambda p: torch.optim.SGD(p, momentum=0.9, weight_decay=0.1)),
        path(lambda p: sn.optim.CaffeSGD(p, weight_decay=0.1)),
    )


def test_both_forms_of_nesterov_walk_the_same_points_and_pytorch_too():
    A, b, start = bowl()

    def gradient(x):
        return A @ x - b

    ahead = sn.optim.look_ahead(gradient, start, 200, lr=0.05, momentum=0.9)
    other = sn.optim.substituted(gradient, start, 200, lr=0.05, momentum=0.9)
    same(ahead, other)
    peer = path(lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), (0.05,) * 200)
    same(ahead[1:], peer)
    plain = path(lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), (0.05,) * 200)
    assert (peer - plain).abs().max() > 1e-3  # it is not plain momentum


@pytest.mark.parametrize("b1", [0.5, 0.9])
@pytest.mark.parametrize("b2", [0.99, 0.999])
def test_first_step_of_almost_adam_is_too_large_by_a_known_factor(b1, b2):
    moves = []
    for kind in (sn.optim.AlmostAdam, torch.optim.Adam):
        w = nn.Parameter(torch.zeros(3, dtype=DOUBLE))
        w.grad = torch.tensor([1.0, -20.0, 300.0], dtype=DOUBLE)
        kind([w], lr=0.01, betas=(b1, b2)).step()
        moves.append(w.detach())
    torch.testing.assert_close(moves[1], -0.01 * w.grad.sign(), rtol=1e-6, atol=0)
    factor = (1 - b1) / math.sqrt(1 - b2)
    torch.testing.assert_close(moves[0] / moves[1], torch.full((3,), factor, dtype=DOUBLE),
                               rtol=1e-5, atol=0)  # fmt: skip


def test_a_complex_weight_steps_as_its_two_parts():
    start, gradient = (torch.randn(3, dtype=torch.complex128) for _ in range(2))
    for kind in (sn.optim.CaffeSGD, sn.optim.AlmostAdam):
        w = nn.Parameter(start.clone())
        parts = nn.Parameter(torch.view_as_real(start).clone())
        one, other = kind([w], lr=0.1), kind([parts], lr=0.1)
        w.grad, parts.grad = gradient, torch.view_as_real(gradient)
        for optimizer in (one, other, one, other):
            optimizer.step()
        same(torch.view_as_real(w.detach()), parts.detach())


def test_own_optimisers_call_the_closure_go_on_from_a_state_and_refuse_nonsense():
    for kind in (sn.optim.CaffeSGD, sn.optim.AlmostAdam):
        w = nn.Parameter(torch.ones(2))
        optimizer = kind([w], lr=0.1)

        def closure(w=w):
            w.grad = None
            loss = w.square().sum()
            loss.backward()
            return loss

        assert optimizer.step(closure).item() == 2.0
        again = nn.Parameter(w.detach().clone())
        other = kind([again], lr=0.1)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        again.grad = w.grad = torch.tensor([0.3, -1.0])
        optimizer.step()
        other.step()
        assert torch.equal(w, again)
        with pytest.raises(sn.UsageError, match="lr=-1"):
            kind([w], lr=-1)
    with pytest.raises(sn.UsageError, match="momentum=1"):
        sn.optim.CaffeSGD([w], momentum=1)
    with pytest.raises(sn.UsageError, match="betas"):
        sn.optim.AlmostAdam([w], betas=(0.9, 1.0))


# Batches ------------------------------------------------------------------------------------------


def linear_data(num=64, width=4):
    X = torch.randn(num, width, dtype=DOUBLE)
    return X, X @ torch.randn(width, dtype=DOUBLE) + 0.1 * torch.randn(num, dtype=DOUBLE)


def test_batch_gradient_descent_on_linear_regression_is_its_closed_form():
    X, y = linear_data()
    n, lr = len(X), 0.1
    w = nn.Parameter(torch.zeros(4, dtype=DOUBLE))
    optimizer = torch.optim.SGD([w], lr=lr)
    best = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    shrink = torch.eye(4, dtype=DOUBLE) - lr * X.T @ X / n
    for t in range(1, 40):
        optimizer.zero_grad()
        ((X @ w - y).square().mean() / 2).backward()
        optimizer.step()
        same(w.detach(), best - torch.linalg.matrix_power(shrink, t) @ best)


@pytest.mark.parametrize("size", [1, 8, 16])
def test_mean_of_the_minibatch_gradients_is_the_full_one(size):
    X, y = linear_data()
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()

    def gradient(rows):
        net.zero_grad()
        F.mse_loss(net(X[rows])[:, 0], y[rows]).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    order = torch.randperm(len(X))
    parts = torch.stack([gradient(rows) for rows in order.split(size)])
    same(parts.mean(0), gradient(order))
    assert parts.std(0).max() > 1e-3  # one alone is not


WORKER = """
import os, sys
import torch
from torch import distributed, nn
from torch.nn import functional as F
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
x, y = torch.randn(16, 4, dtype=torch.float64), torch.randint(3, (16,))
both = nn.parallel.DistributedDataParallel(net)
F.cross_entropy(both(x[rank::2]), y[rank::2]).backward()
if rank == 0:
    torch.save([p.grad for p in net.parameters()], out)
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_have_the_gradient_of_one(tmp_path):
    env = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", WORKER]
    places = [str(tmp_path / "store"), str(tmp_path / "gradients.pt")]
    both = [subprocess.Popen([*command, str(rank), *places], env=env) for rank in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = torch.randn(16, 4, dtype=DOUBLE), torch.randint(3, (16,))
    F.cross_entropy(net(x), y).backward()
    for own, theirs in zip(net.parameters(), torch.load(places[1], weights_only=True), strict=True):
        same(own.grad, theirs)


# Averages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_average_of_a_constant_is_the_constant_from_the_first_value_on(beta):
    average, raw = (
        sn.optim.ExponentialAverage(beta),
        sn.optim.ExponentialAverage(beta, correct=False),
    )
    for t in range(1, 30):
        assert average.add(7.0) == pytest.approx(7.0, abs=1e-12)
        assert raw.add(7.0) == pytest.approx(7.0 * (1 - beta**t), abs=1e-12)


@pytest.mark.parametrize("beta", [0.9, 0.98, 0.999])
def test_average_is_the_weighted_sum_and_reaches_about_its_window(beta):
    values = torch.randn(50, 3, dtype=DOUBLE)
    average = sn.optim.ExponentialAverage(beta)
    for value in values:
        got = average.add(value)
    weights = (1 - beta) * beta ** torch.arange(49, -1, -1, dtype=DOUBLE)
    same(got, (weights[:, None] * values).sum(0) / weights.sum())
    assert average.window == pytest.approx(1 / (1 - beta))
    window = round(average.window)
    old = beta**window  # the weight of all values before the window
    assert old == pytest.approx(1 / math.e, rel=0.06)
    with pytest.raises(sn.UsageError, match="beta=1"):
        sn.optim.ExponentialAverage(1.0)


def test_an_average_of_losses_keeps_no_graph():
    average, w = sn.optim.ExponentialAverage(0.9), nn.Parameter(torch.ones(2))
    assert not average.add(w.square().sum()).requires_grad
    assert not average.sum.requires_grad


def test_average_of_weights_is_the_closed_form():
    layer = nn.Linear(2, 1).double()
    average = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    want = None
    for _ in range(10):
        with torch.no_grad():
            layer.weight.add_(torch.randn_like(layer.weight))
        average.update_parameters(layer)
        now = layer.weight.detach().clone()
        want = now if want is None else 0.9 * want + 0.1 * now
    same(average.module.weight, want)


# Limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.1, 1.0, 1e6])
def test_clipping_caps_the_norm_and_keeps_the_direction(limit):
    params = [
        nn.Parameter(torch.randn(4, 3, dtype=DOUBLE)),
        nn.Parameter(torch.randn(3, dtype=DOUBLE)),
    ]
    for p in params:
        p.grad = 10 * torch.randn_like(p)
    before = torch.cat([p.grad.flatten() for p in params])
    norm = nn.utils.clip_grad_norm_(params, limit)
    after = torch.cat([p.grad.flatten() for p in params])
    assert norm == pytest.approx(before.norm().item())
    assert after.norm() <= limit * (1 + 1e-9)
    torch.testing.assert_close(
        F.cosine_similarity(before, after, dim=0), torch.ones((), dtype=DOUBLE)
    )
    if limit == 1e6:
        assert torch.equal(before, after)


def test_update_ratio_of_the_doctor_is_that_of_a_hand():
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, y = torch.randn(8, 3), torch.randint(2, (8,))
    before = net.weight.detach().clone()
    with sn.doctor(net, optimizer, F.cross_entropy) as doc:
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    want = (0.1 * net.weight.grad).norm() / before.norm()
    row = next(t for t in doc.chart.params.values() if t.name == "weight").rows[0]
    assert row["update_ratio"] == pytest.approx(want.item(), rel=1e-5)


# By name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_by_name_learns_a_small_task(name):
    named = OPTIMISERS[name]
    places = 3 * torch.randn(3, 5)
    y = torch.arange(3).repeat(20)
    x = places[y] + 0.3 * torch.randn(60, 5)
    net = nn.Linear(5, 3)
    optimizer = sn.optim.build(name, net.parameters(), lr=named.lr, momentum=named.momentum,
                               weight_decay=named.weight_decay, fused=True)  # fmt: skip
    first = F.cross_entropy(net(x), y).item()
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.8 * first
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    assert decays == [named.weight_decay, 0.0]  # biases are left out


def test_momentum_and_nesterov_by_name_are_pytorchs():
    params = list(nn.Linear(2, 1).parameters())
    names = ("sgd", "momentum", "nesterov", "rmsprop", "adamw")
    kinds = {name: sn.optim.build(name, params, lr=0.1, momentum=0.8) for name in names}
    flags = {name: o.param_groups[0].get("nesterov") for name, o in kinds.items()}
    assert (flags["sgd"], flags["momentum"], flags["nesterov"]) == (False, False, True)
    rms = kinds["rmsprop"].param_groups[0]
    assert (rms["momentum"], rms["alpha"]) == (0.8, 0.99)
    assert kinds["adamw"].param_groups[0]["betas"] == (0.8, 0.999)
    with pytest.raises(sn.UsageError, match="did you mean adagrad"):
        sn.optim.build("adagrat", nn.Linear(2, 1).parameters(), lr=0.1)


def test_decay_by_name_is_alpha_of_rmsprop_and_rho_of_adadelta():
    for name, key in (("rmsprop", "alpha"), ("adadelta", "rho")):
        usual, said = (
            sn.optim.build(name, [torch.zeros(1)], lr=0.1, **how).param_groups[0]
            for how in ({}, {"decay": 0.7})
        )
        kind = OPTIMISERS[name].kind
        assert usual[key] == inspect.signature(kind).parameters[key].default
        assert said == {**usual, "params": said["params"], key: 0.7}


@pytest.mark.parametrize(("name", "word"), [
    ("adagrad", "momentum"), ("adadelta", "momentum"), ("adagrad", "decay"), ("adamw", "decay"),
])  # fmt: skip
def test_what_an_optimiser_does_not_have_is_refused(name, word):
    with pytest.raises(sn.UsageError, match=f"{name} has no {word}, so {word}=0.9"):
        sn.optim.build(name, [torch.zeros(1)], lr=0.1, **{word: 0.9})
