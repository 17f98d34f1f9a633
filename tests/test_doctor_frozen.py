"""Freezing on purpose is left alone; a random body, a frozen head and a frozen whole are told."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from snellen.doctor.finding import at_or_above
from snellen.doctor.probes.frozen import is_normal, is_within
from snellen.doctor.watch import doctor


def digits():
    data, target = load_digits(return_X_y=True)
    return torch.tensor(data, dtype=torch.float32) / 8 - 1, torch.tensor(target)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                         nn.Linear(64, 10))  # fmt: skip


def steps(net, count, x_from=None):
    (x, y), net = digits(), net.train()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for rows in [torch.randperm(len(x))[:64] for _ in range(count)]:
        optimizer.zero_grad()
        z = x[rows] if x_from is None else x[rows].requires_grad_()
        F.cross_entropy(net(z), y[rows]).backward()
        optimizer.step()
    return net


def watched(net, count=60, **more):
    warnings.simplefilter("ignore")
    with doctor(net) as doc:
        steps(net, count, **more)
    assert doc.notes == []
    return at_or_above(doc.findings, "warning")


def test_a_trained_body_under_a_new_head_is_left_alone():
    net = steps(mlp(), 150)
    net.requires_grad_(False)
    net[4] = nn.Linear(64, 10)
    assert watched(net) == ()


@pytest.mark.parametrize("draw", [None, nn.init.kaiming_normal_, nn.init.xavier_uniform_])
def test_a_random_body_is_told_with_what_to_unfreeze(draw):
    net = mlp()
    for layer in (net[0], net[2]):
        layer.requires_grad_(False)
        if draw:
            draw(layer.weight)
    found = next(f for f in watched(net) if f.id == "optim-frozen-layer")
    assert "2 of 3 layers are frozen, 0 first" in found.message
    assert "net.0.requires_grad_(True)" in found.do


@pytest.mark.parametrize("trained", [0, 150])
def test_a_head_that_was_frozen_by_mistake_is_named(trained):
    net = steps(mlp(), trained)
    net[4] = nn.Linear(64, 10).requires_grad_(False)
    (found,) = watched(net)
    assert (found.id, found.where["module"]) == ("optim-frozen-layer", "4")
    assert "the last layer, 4, is frozen" in found.message
    assert found.do.startswith("unfreeze it: net.4.requires_grad_(True)")


def test_all_frozen_is_told_though_backward_raises():
    net = mlp().requires_grad_(False)
    doc = doctor(net, torch.optim.Adam(net.parameters(), 1e-3))
    x, y = digits()
    with pytest.raises(RuntimeError), doc:
        F.cross_entropy(net(x[:32]), y[:32]).backward()
    (found,) = doc.findings
    assert (found.id, found.level) == ("optim-frozen-layer", "error")
    assert "all 6 parameters" in found.message


def test_all_frozen_is_told_where_backward_runs_because_of_the_input():
    found = watched(mlp().requires_grad_(False), 30, x_from="input")
    assert [f.id for f in found] == ["optim-frozen-layer"]


def test_a_frozen_network_whose_input_is_optimised_is_left_alone():
    net = steps(mlp(), 100).requires_grad_(False)
    x = digits()[0][:8].clone().requires_grad_()
    optimizer = torch.optim.Adam([x], 0.01)
    with doctor(net, optimizer) as doc:
        for _ in range(30):
            optimizer.zero_grad()
            F.cross_entropy(net(x), torch.full((8,), 3)).backward()
            optimizer.step()
    assert at_or_above(doc.findings, "warning") == ()


def test_draws_are_told_from_trained_weights():
    """The distributions, beside weights that were trained for a while from the same draws."""
    new, trained = mlp(), steps(mlp(), 60)
    assert all(is_within(new[i].weight) for i in (0, 2, 4))
    assert not any(is_within(trained[i].weight) or is_normal(trained[i].weight) for i in (0, 2))
    he = nn.Conv2d(16, 32, 3)
    nn.init.kaiming_normal_(he.weight, mode="fan_out")
    assert is_normal(he.weight)
    he.weight.data += 0.1 * torch.randn(32, 1, 1, 1)  # one direction that noise has not
    assert not is_normal(he.weight)
    assert is_within(nn.LSTM(8, 48).weight_ih_l0, nn.LSTM(8, 48))
