"""What a loss received, in loops without a loader: each fault beside the same without it."""

import json

import pytest
import torch
import torch.nn.functional as F

from snellen.doctor.probes.tables import table
from snellen.doctor.script import run_script

HEAD = """
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(600, 10)
"""


def found(source, tmp_path):
    """The findings of a script that are no advice, as they stand in the JSON."""
    path, report = tmp_path / "train.py", tmp_path / "found.json"
    path.write_text(HEAD + source)
    run_script(path, json=report)
    every = json.loads(report.read_text())["findings"]
    return [f for f in every if f["level"] != "advice"]


def ids(source, tmp_path):
    return [f["id"] for f in found(source, tmp_path)]


FITTED = """
y = x @ torch.randn(10, 1)
y = (y - y.mean()) / y.std()
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, {wide}){last})
optimizer = torch.optim.Adam(net.parameters(), 2e-3)
for i in range(120):
    k = torch.randperm(600)[:50]
    loss = {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
MSE = "F.mse_loss(net(x[k]), y[k])"
BEYOND = [
    (", nn.Sigmoid()", MSE), (", nn.ReLU()", MSE), (", nn.Tanh()", "F.l1_loss(y[k], net(x[k]))"),
    (", nn.Sigmoid()", "nn.MSELoss()(net(x[k])[:, 0], y[k, 0])"),
    (", nn.Sigmoid()", "F.mse_loss(net(x[k] + 0.1 * torch.randn(50, 10)), x[k])"),
    ("", "F.mse_loss(torch.sigmoid(net(x[k])), y[k])"),
]  # fmt: skip
WITHIN = [
    ("", MSE), (", nn.Sigmoid()", "F.mse_loss(9 * net(x[k]) - 4, y[k])"),
    (", nn.Sigmoid()", "F.mse_loss(net(x[k]), y[k].sigmoid())"),
    (", nn.ReLU()", "F.mse_loss(net(x[k]), y[k].square() - 0.04)"),
]  # fmt: skip


@pytest.mark.parametrize(("last", "loss"), BEYOND)
def test_targets_beyond_the_last_activation_are_told_of_any_loop(last, loss, tmp_path, capsys):
    source = FITTED.format(last=last, loss=loss, wide=10 if loss.endswith(" x[k])") else 1)
    assert ids(source, tmp_path)[0] == "loss-output-activation"


@pytest.mark.parametrize(("last", "loss"), WITHIN)
def test_targets_within_reach_are_none(last, loss, tmp_path, capsys):
    assert ids(FITTED.format(last=last, loss=loss, wide=1), tmp_path) == []


def test_scaling_behind_the_last_layer_counts_with_a_loader_too(tmp_path, capsys):
    loop = FITTED.replace("range(120)", "range(10)").replace(
        "    k = torch.randperm(600)[:50]\n", "  for a, b in DataLoader(TensorDataset(x, y), 50):\n"
    )
    scaled = loop.format(last=", nn.Sigmoid()", loss="F.mse_loss(9 * net(a) - 4, b)", wide=1)
    assert ids(scaled, tmp_path) == []


ELEMENTWISE = {
    "where": lambda e: torch.where(e.abs() < 1, e * e / 2, e.abs() - 0.5),
    "log cosh": lambda e: e.cosh().log(),
    "log1p": lambda e: e.square().log1p(),
    "softplus": F.softplus,
    "minimum": lambda e: torch.minimum(e.abs(), e * e),
    "exp": lambda e: 1 - (-e.square()).exp(),
    "erf": lambda e: e.erf().abs(),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_table_is_seen_behind_any_function_of_elements(name):
    out = torch.randn(6, 1, requires_grad=True) * 1
    y = torch.randn(6)
    assert table(ELEMENTWISE[name](out - y).mean(), 6)["target"] == [6]
    assert table(ELEMENTWISE[name](out[:, 0] - y).mean(), 6) is None


def test_tables_that_are_meant_are_none():
    out, kernel = torch.randn(6, 1, requires_grad=True) * 1, torch.rand(6, 6)
    assert table((out * kernel).mean(), 6) is None
    assert table((out - out.T).exp().mean(), 6) is None
    assert table((out @ out.T).softmax(1).log().mean(), 6) is None


SPIKE = """
y = x @ torch.randn(10)
{spoil}
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for i in range(200):
    k = torch.arange(50) + 50 * (i % 12)
    loss = F.{loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize("loss", ["mse_loss(net(x[k])[:, 0], y[k])",
                                  "smooth_l1_loss(y[k], net(x[k])[:, 0])"])  # fmt: skip
@pytest.mark.parametrize("row", [77, 593])
def test_a_huge_target_is_the_root_without_a_loader_too(row, loss, tmp_path, capsys):
    source = SPIKE.format(spoil=f"y[{row}] = 1e5", loss=loss)
    first, *others = found(source, tmp_path)
    assert (first["id"], first["samples"], others) == ("data-outlier", [row % 50], [])
    assert (first["samples_of"], first["since"] % 12) == ("batch", row // 50)
    assert f"row {row % 50} of that batch" in first["message"]
    assert ids(SPIKE.format(spoil="y[77] *= 3", loss=loss), tmp_path) == []
