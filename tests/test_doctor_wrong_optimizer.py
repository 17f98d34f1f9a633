"""An optimiser built over the wrong network, or too early, is said to be just that."""

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.core.seeds import seed_everything
from snellen.doctor.script import run_script
from snellen.doctor.watch import doctor


def mlp(norm=False):
    parts = [nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3)]
    return nn.Sequential(*parts[:1], nn.BatchNorm1d(16), *parts[1:]) if norm else \
        nn.Sequential(*parts)  # fmt: skip


def other():
    return mlp(), torch.optim.SGD(mlp().parameters(), 0.1)


def copied():
    net = mlp()
    return copy.deepcopy(net), torch.optim.Adam(net.parameters())


def used_before():
    net = mlp(norm=True)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 20))
    return copy.deepcopy(net), torch.optim.Adam(net.parameters())


def head():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    net[2] = nn.Linear(16, 3)
    return net, optimizer


def moved():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    return net.to("cpu").float(), optimizer


def train(net, optimizer, watch):
    x = torch.randn(320, 20)
    y = x[:, :3].argmax(1)
    with watch(net, optimizer) as doc:
        for _ in range(4):
            for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
                optimizer.zero_grad()
                F.cross_entropy(net(a), b).backward()
                optimizer.step()
                net.zero_grad()
    return [f for f in doc.findings if f.level != "advice"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (other, ["holds 4 parameters that no forward pass uses", "network's 2 weights that get"]),
        (copied, ["holds 4 parameters that no forward pass uses", "network's 2 weights that get"]),
        (used_before, ["holds 6 parameters that no forward pass uses", "in no optimiser"]),
        (head, ["1 of 2 trainable weights", "2.weight first", "holds 2 parameters that no"]),
    ],
)
def test_the_words_say_what_is_held_and_what_is_not(case, words):
    seed_everything(2)
    found = train(*case(), doctor)
    assert [f.id for f in found] == ["optim-missing-params"]
    for word in words:
        assert word in found[0].message


def test_a_network_that_is_only_cast_keeps_its_parameters():
    seed_everything(2)
    assert train(*moved(), doctor) == []


SCRIPT = """
import copy, torch, sys
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
net, other = nn.Linear(20, 3), nn.Linear(20, 3)
optimizer = torch.optim.SGD((other if sys.argv[1] == "other" else net).parameters(), 0.1)
if sys.argv[1] == "copy":
    net = copy.deepcopy(net)
if sys.argv[1] == "teacher":
    teacher = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
x = torch.randn(320, 20)
y = x[:, :3].argmax(1)
for step in range(60):
    rows = torch.randperm(320)[:32]
    out = net(x[rows])
    loss = F.cross_entropy(out, y[rows])
    if sys.argv[1] == "teacher":
        loss = loss + 0.01 * F.mse_loss(teacher(x[rows]), out)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    net.zero_grad()
"""


@pytest.mark.parametrize(
    ("case", "first"), [("other", 1), ("copy", 1), ("right", 0), ("teacher", 0)]
)
def test_in_a_script(case, first, tmp_path, capsys):
    path, report = tmp_path / "train.py", tmp_path / "found.json"
    path.write_text(SCRIPT)
    run_script(path, [case], json=report)
    found = [f for f in json.loads(report.read_text())["findings"] if f["level"] != "advice"]
    assert [f["id"] for f in found] == ["optim-missing-params"] * first
    if first:
        assert "holds 2 parameters that no forward pass uses" in found[0]["message"]
        assert "in no optimiser" in found[0]["message"]
