"""Penalties, soft threshold and max-norm against scikit-learn, closed forms and PyTorch's steps."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, Lasso
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F

import snellen as sn
from snellen.data.augment import compose
from snellen.data.open import open_data
from snellen.data.sample import Batch
from snellen.optim.penalties import CONVENTIONS


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def regression(num=60, width=8, orthonormal=False):
    X = torch.randn(num, width, dtype=torch.float64)
    if orthonormal:
        X = torch.linalg.qr(X)[0]
    truth = torch.tensor([3.0, -2, 0, 0, 1, 0, 0, 0.5], dtype=torch.float64)
    return X, X @ truth + 0.1 * torch.randn(num, dtype=torch.float64)


# L2 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_each_l2_takes_the_very_steps_of_its_weight_decay(convention, momentum):
    X, y = regression()
    strength, m = 0.3, len(X)
    factor = {"1/2 lambda w^2": 0.5, "lambda w^2": 1.0, "lambda/2m w^2": 0.5 / m}[convention]
    start = torch.randn(8, dtype=torch.float64)
    paths = []
    for by_penalty in (True, False):
        w = nn.Parameter(start.clone())
        decay = 0.0 if by_penalty else sn.optim.weight_decay_of(strength, convention, m)
        optimizer = torch.optim.SGD([w], lr=0.05, momentum=momentum, weight_decay=decay)
        for _ in range(20):
            optimizer.zero_grad()
            loss = (X @ w - y).square().mean()
            if by_penalty:
                loss = loss + factor * strength * w.square().sum()
            loss.backward()
            optimizer.step()
        paths.append(w.detach())
    torch.testing.assert_close(paths[0], paths[1], rtol=1e-12, atol=1e-12)


def test_l2_penalty_is_the_half_and_adamw_is_none_of_them():
    w = nn.Parameter(torch.tensor([3.0, -4.0]))
    assert sn.optim.l2_penalty([w], 0.1).item() == pytest.approx(1.25)
    w.grad = torch.zeros(2)
    torch.optim.AdamW([w], lr=0.01, weight_decay=0.1).step()
    torch.testing.assert_close(w.detach(), torch.tensor([3.0, -4.0]) * (1 - 0.01 * 0.1))
    with pytest.raises(sn.UsageError, match="conventions of L2"):
        sn.optim.weight_decay_of(0.1, "w^2")
    with pytest.raises(sn.UsageError, match="num_samples=0"):
        sn.optim.weight_decay_of(0.1, "lambda/2m w^2", 0)


# L1 and elastic net -------------------------------------------------------------------------------


def proximal(X, y, l1, l2, num_steps=4000):
    """Gradient steps on 1/2n |y - Xw|^2 + l2 w^2, each followed by the soft threshold."""
    w = nn.Parameter(torch.zeros(X.shape[1], dtype=torch.float64))
    n = len(X)
    lr = 1 / (torch.linalg.matrix_norm(X, 2) ** 2 / n + 2 * l2).item()
    optimizer = torch.optim.SGD([w], lr=lr)
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = (X @ w - y).square().sum() / (2 * n) + sn.optim.elastic_net([w], 0.0, l2)
        loss.backward()
        optimizer.step()
        sn.optim.shrink_([w], lr * l1)
    return w.detach()


@pytest.mark.parametrize("l1", [0.01, 0.1])
def test_lasso_with_an_orthonormal_design_is_the_soft_threshold(l1):
    X, y = regression(orthonormal=True)
    plain = X.T @ y  # least squares
    want = sn.optim.soft_threshold(plain, l1)
    got = proximal(X, y, l1 / len(X), 0.0, num_steps=50)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    peer = Lasso(alpha=l1 / len(X), fit_intercept=False, tol=1e-14).fit(X.numpy(), y.numpy())
    np.testing.assert_allclose(want, peer.coef_, atol=1e-8)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 1.0])
def test_elastic_net_finds_the_weights_of_scikit_learn(ratio):
    X, y = regression()
    alpha = 0.2
    peer = ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-14, max_iter=100_000)
    want = torch.from_numpy(peer.fit(X.numpy(), y.numpy()).coef_)
    l1, l2 = alpha * ratio, alpha * (1 - ratio) / 2
    got = proximal(X, y, l1, l2, num_steps=500)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-8)
    assert torch.equal(got == 0, want == 0)

    def objective(w):
        return (X @ w - y).square().mean() / 2 + sn.optim.elastic_net([w], l1, l2)

    least = objective(want)
    assert all(least < objective(want + 0.01 * torch.randn(8)) for _ in range(20))


def test_l1_in_the_loss_makes_weights_small_and_the_soft_threshold_zero():
    X, y = regression()
    w = nn.Parameter(torch.zeros(8, dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=0.01)
    for _ in range(500):
        optimizer.zero_grad()
        ((X @ w - y).square().mean() / 2 + sn.optim.l1_penalty([w], 0.2)).backward()
        optimizer.step()
    small = w.detach()[[2, 3, 5, 6]].abs()
    assert small.max() < 0.02
    exact = proximal(X, y, 0.2, 0.0, num_steps=300)[[2, 3, 5, 6]]
    assert (exact == 0).all()


# The whole loss: data and penalty -----------------------------------------------------------------


@pytest.mark.parametrize("term", ["data", "penalty", "both"])
def test_gradient_of_each_term_alone_and_of_their_sum(term):
    X, y = regression(num=6)
    w = torch.randn(8, dtype=torch.float64, requires_grad=True)

    def loss(w):
        data = F.binary_cross_entropy_with_logits(X @ w, (y > 0).double())
        penalty = sn.optim.elastic_net([w], 0.3, 0.2)
        return {"data": data, "penalty": penalty, "both": data + penalty}[term]

    assert gradcheck(loss, (w,))


def test_the_penalty_of_weight_decay_is_what_its_steps_go_down():
    w, v, b = (nn.Parameter(torch.randn(3, 2, dtype=torch.float64)) for _ in range(3))
    groups = [{"params": [w], "weight_decay": 0.3}, {"params": [v], "weight_decay": 0.1},
              {"params": [b], "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.SGD(groups, lr=1.0)
    before = sn.optim.decay_penalty(optimizer)
    closed = 0.15 * w.square().sum() + 0.05 * v.square().sum()
    assert before == pytest.approx(closed.item())
    slopes = torch.autograd.grad(closed, (w, v))
    old = [p.detach().clone() for p in (w, v, b)]
    for p in (w, v, b):
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for p, start, slope in zip((w, v, b), old, (*slopes, 0 * b), strict=True):
        torch.testing.assert_close(p.detach(), start - slope.detach())
    nothing = torch.optim.SGD(groups[2:], lr=1.0)
    nothing.param_groups += [{**nothing.param_groups[0], "params": [], "weight_decay": 1.0}]
    assert sn.optim.decay_penalty(nothing) == 0


@pytest.mark.parametrize(("name", "how", "share"), [
    ("AdamW", {}, 0.0), ("Adafactor", {}, 0.0), ("Muon", {}, 0.0), ("Adam", {}, 1.0),
    ("NAdam", {"decoupled_weight_decay": True}, 0.0), ("NAdam", {}, 1.0),
])  # fmt: skip
def test_a_decay_beside_the_gradient_stands_for_no_penalty(name, how, share):
    """With no gradient a decoupled decay shrinks by lr * decay; through it Adam steps by lr."""
    w = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    optimizer = getattr(torch.optim, name)([w], lr=0.1, weight_decay=0.5, **how)
    assert sn.optim.decay_penalty(optimizer) == share * 0.5 / 2 * 25
    w.grad = torch.zeros_like(w)
    optimizer.step()
    shrinks = torch.allclose(w, torch.tensor([[3.0, 4.0]]) * (1 - 0.1 * 0.5))
    assert shrinks == (share == 0)


def test_penalties_are_for_weights_that_learn_and_not_for_nothing():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 2))
    assert [p.shape for p in sn.optim.weights_of(net)] == [(2, 1, 3, 3), (2, 3)]
    net[0].requires_grad_(False)
    assert len(sn.optim.weights_of(net)) == 1
    with pytest.raises(sn.UsageError, match="no weights"):
        sn.optim.l1_penalty([], 0.1)
    with pytest.raises(sn.UsageError, match="amount=-1"):
        sn.optim.soft_threshold(torch.ones(1), -1)


# Max-norm -----------------------------------------------------------------------------------------

LAYERS = {
    "linear": (nn.Linear(7, 5), lambda w: w),
    "conv": (nn.Conv2d(4, 6, 3), lambda w: w.flatten(1)),
    "conv, channels last": (
        nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last),
        lambda w: w.flatten(1),
    ),
    "grouped conv": (nn.Conv2d(4, 6, 3, groups=2), lambda w: w.flatten(1)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), lambda w: w.transpose(0, 1).flatten(1)),
    "grouped transposed": (
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        lambda w: w.view(2, 2, 3, 9).transpose(1, 2).reshape(6, 18),
    ),
    "grouped transposed, channels last": (
        nn.ConvTranspose2d(4, 6, 3, groups=2).to(memory_format=torch.channels_last),
        lambda w: w.reshape(2, 2, 3, 9).transpose(1, 2).reshape(6, 18),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("limit", [0.5, 3.0])
def test_max_norm_cuts_each_unit_to_the_limit_and_keeps_its_direction(name, limit):
    layer, units = LAYERS[name]
    with torch.no_grad():
        layer.weight.copy_(torch.randn_like(layer.weight))
        layer.weight[0] *= 0.01
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    sn.optim.project_norms(layer, limit)
    rows, old = units(layer.weight.detach()), units(before)
    assert (rows.norm(dim=1) <= limit * (1 + 1e-6)).all()
    torch.testing.assert_close(F.cosine_similarity(rows, old), torch.ones(len(rows)))
    torch.testing.assert_close(rows, torch.renorm(old, 2, 0, limit))  # PyTorch's own, row by row
    short = old.norm(dim=1) < limit
    assert torch.equal(rows[short], old[short])
    assert torch.equal(layer.bias, bias)


def test_max_norm_leaves_what_is_no_units_row():
    net = nn.ModuleDict({
        "embedding": nn.Embedding(5, 8), "bag": nn.EmbeddingBag(5, 8),
        "norm": nn.LayerNorm((4, 8)), "peephole": sn.nn.PeepholeLSTMCell(3, 8),
        "held": nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)),
        "gru": nn.GRU(3, 8), "attention": nn.MultiheadAttention(8, 2, add_bias_kv=True),
    })  # fmt: skip
    for param in net.parameters():
        nn.init.constant_(param, 9.0)
    sn.optim.project_norms(net, 1.0)
    after = dict(net.named_parameters())
    cut = {name for name, param in after.items() if bool((param != 9).any())}
    assert cut == {
        "peephole.weight_ih", "peephole.weight_hh", "gru.weight_ih_l0", "gru.weight_hh_l0",
        "attention.in_proj_weight", "attention.out_proj.weight",
        "held.parametrizations.weight.original0", "held.parametrizations.weight.original1",
    }  # fmt: skip
    torch.testing.assert_close(net["held"].weight.norm(dim=1), torch.ones(4))


def trained(lr, limit):
    """A small network after 60 steps -> (largest weight norm of a unit, last loss)."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))
    x, y = torch.randn(64, 10), torch.randint(3, (64,))
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    if limit:
        sn.optim.keep_norms(optimizer, net, limit)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    return max(p.norm(dim=1).max().item() for p in net.parameters() if p.ndim > 1), loss.item()


def test_a_hundredfold_learning_rate_does_not_blow_up_under_max_norm():
    free, wild = trained(0.5 * 100, None)
    assert not free < 100  # or NaN
    assert not wild < 100
    held, loss = trained(0.5 * 100, 3.0)
    assert held <= 3.0 * (1 + 1e-6)
    assert math.isfinite(loss)
    assert trained(0.5, 3.0)[1] < 1.0  # and with a usual one it learns


def test_max_norm_ends_when_its_handle_is_removed():
    layer = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=100.0)
    handle = sn.optim.keep_norms(optimizer, layer, 1.0)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert layer.weight.norm() <= 1 + 1e-6
    handle.remove()
    optimizer.step()
    assert layer.weight.norm() > 100
    with pytest.raises(sn.UsageError, match="limit=0"):
        sn.optim.project_norms(layer, 0)


# Augmentation and noise ---------------------------------------------------------------------------


def gap(change):
    """Validation less training loss of a network on 150 digits whose inputs `change` alters."""
    torch.manual_seed(0)
    source = open_data("digits")
    rows = [source.train[int(i)] for i in torch.randperm(len(source.train))[:600]]
    x = torch.stack([s.image_CHW for s in rows]).float() / 255
    y = torch.tensor([s.target.label for s in rows])
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(net(change(x[:150], y[:150], generator)), y[:150]).backward()
        optimizer.step()
    with torch.no_grad():
        losses = F.cross_entropy(net(x), y, reduction="none")
    return (losses[150:].mean() - losses[:150].mean()).item()


def test_augmentation_and_input_noise_shrink_the_gap_between_training_and_validation():
    affine = compose("affine")

    def moved(x, y, generator):
        sizes = torch.tensor([[8, 8]] * len(x))
        return affine(Batch(x, {"label": y}, torch.arange(len(x)), sizes), generator).x

    def noisy(x, y, generator):
        return x + 0.5 * torch.randn(x.shape, generator=generator)

    plain = gap(lambda x, y, generator: x)
    assert plain > 0.1
    assert gap(moved) < 0.8 * plain
    assert gap(noisy) < 0.95 * plain
