"""Networks trained one after the other in a script: each finding is of one, and says of which."""

import json
import subprocess
import sys
from functools import cache

import pytest
from torch.nn.modules import module as torch_module

from snellen.doctor.discover import Discovery
from snellen.doctor.script import run_script

SCRIPT = """
import copy, itertools, sys, torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
what = sys.argv[1]
x = torch.randn(600, 20)
y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.a, self.b = nn.Linear(20, width), nn.Linear(width, 4)
    def forward(self, x):
        return self.b(torch.relu(self.a(x)))
class Other(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 4))
def train(net, lr=0.1, x=x, zero=True, epochs=4):
    optimizer = torch.optim.SGD(net.parameters(), lr)
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True)
    for a, b in itertools.chain(*[loader] * epochs):
        if zero:
            optimizer.zero_grad()
        F.cross_entropy(net(a), b).backward()
        optimizer.step()
    with torch.no_grad():
        print((net(x).argmax(1) == y).float().mean().item(), torch.rand(1).item())
spoilt = x.clone()
spoilt[[77, 301]] = float("nan")
if what == "rates":
    for lr in (0.03, 100.0, 0.1):
        train(Net(), lr)
if what == "healthy":
    for net in (Net(), Other(), Net(8)):
        train(net)
if what == "samples":
    train(Net(), x=spoilt)
    train(Other(), lr=1000.0)
if what == "same fault":
    for _ in range(3):
        train(Net(), zero=False)
if what == "many":
    for fold in range(11):
        train(Net(), lr=1000.0 if fold == 2 else 0.1, epochs=1)
if what == "reset":
    net = Net()
    state = copy.deepcopy(net.state_dict())
    for fold in range(3):
        net.load_state_dict(state)
        train(net, x=spoilt if fold == 2 else x)
"""


@pytest.fixture
def judged(tmp_path, capsys):
    def judge(what):
        path, report = tmp_path / "train.py", tmp_path / "found.json"
        path.write_text(SCRIPT)
        run_script(path, [what], json=report)
        out = capsys.readouterr().out
        assert "note:" not in out
        found = json.loads(report.read_text())["findings"]
        return [f for f in found if f["level"] != "advice"], out

    return judge


def test_a_sweep_with_one_rate_too_high(judged):
    found, out = judged("rates")
    assert [f["id"] for f in found] == ["lr-too-high"]
    assert found[0]["where"]["network"] == "network 2 of 3 (Net, lr 100)"
    assert found[0]["message"].startswith("network 2 of 3 (Net, lr 100): ")
    assert found[0]["settings"]["lr"] < 100
    assert "network 2 of 3" in out


def test_healthy_networks_one_after_the_other(judged):
    found, out = judged("healthy")
    assert found == []
    assert "nothing wrong in 228 steps" in out


def test_samples_of_one_are_not_named_of_another(judged):
    found, _ = judged("samples")
    by_network = {f["where"]["network"][:9]: f for f in found}
    assert by_network["network 1"]["id"] == "data-nonfinite"
    assert by_network["network 1"]["samples"] == [77, 301]
    assert by_network["network 2"]["id"] == "lr-too-high"
    assert by_network["network 2"]["samples"] == []
    assert "(Other, lr 1000)" in by_network["network 2"]["where"]["network"]
    named = json.dumps(by_network["network 2"])
    assert "77" not in named or "301" not in named


def test_a_fault_of_all_is_told_once(judged):
    found, _ = judged("same fault")
    carried = [f for f in found if f["id"] == "loop-no-zero-grad"]
    assert [f["where"]["network"] for f in carried] == ["networks 1, 2, 3 of 3"]


def test_more_networks_than_are_kept(judged):
    found, _ = judged("many")
    assert [f["id"] for f in found] == ["lr-too-high"]
    assert found[0]["where"]["network"] == "network 3 of 11 (Net, lr 1000)"
    assert not torch_module._global_forward_pre_hooks


def test_one_network_reset_for_each_fold(judged):
    found, _ = judged("reset")
    assert [f["id"] for f in found] == ["data-nonfinite"]
    assert found[0]["where"]["network"].startswith("network 3 of 3")
    assert found[0]["samples"] == [77, 301]


@cache
def under_python(what):
    """What the script prints by itself."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, what], capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize("broken", [None, "_patient", "_begin_again", "joined"])
@pytest.mark.parametrize("what", ["healthy", "reset"])
def test_the_scripts_numbers_are_pythons_own(what, broken, tmp_path, monkeypatch, capsys):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    if broken:
        monkeypatch.setattr(Discovery, broken, lambda *_: 1 / 0)
    run_script(path, [what])
    out = capsys.readouterr().out
    bare = under_python(what)
    assert len(bare) > 40
    assert out.startswith(bare)
