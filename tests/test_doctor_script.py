"""A script under the doctor behaves as it does under python, and the contract's codes come back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from snellen.core.errors import UsageError
from snellen.doctor.finding import Finding
from snellen.doctor.script import exit_code, run_script

SCRIPT = """
import sys, torch, helper
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
FAULT = sys.argv[1] if len(sys.argv) > 1 else ""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(20, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


def main():
    x = torch.randn(400, 20)
    y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    if FAULT == "nan":
        x[[77, 301], 2] = float("nan")
    if FAULT == "label":
        y[10] = 4
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), helper.LR)
    for epoch in range(3):
        for inputs, labels in DataLoader(TensorDataset(x, y), 32, shuffle=True):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(net(inputs), labels)
            loss.backward()
            optimizer.step()
            if FAULT == "stop":
                raise KeyboardInterrupt
    print("sum", sum(p.double().sum().item() for p in net.parameters()), torch.rand(1).item())
    if FAULT == "exit":
        sys.exit(7)
    if FAULT == "words":
        sys.exit("no luck")


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("LR = 3e-3\n")
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def python(*words):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)


def test_the_same_output_as_under_python_and_nothing_found(script, capsys):
    assert run_script(script, ["fine"]) == 0
    out = capsys.readouterr().out
    bare = python(script, "fine")
    assert out.startswith(bare.stdout)
    assert "nothing" in out[len(bare.stdout) :]
    assert "helper" in sys.modules
    del sys.modules["helper"]
    assert str(script.parent) not in sys.path


def test_a_nan_is_named_in_the_json(script, tmp_path, capsys):
    report, sarif = tmp_path / "f.json", tmp_path / "f.sarif"
    assert run_script(script, ["nan"], json=report, sarif=sarif) == 4
    data = json.loads(report.read_text())
    assert data["version"] == 1
    assert data["findings"][0]["id"] == "data-nonfinite"
    assert data["findings"][0]["samples"] == [77, 301]
    assert json.loads(sarif.read_text())["version"] == "2.1.0"
    assert "77" in capsys.readouterr().out
    assert run_script(script, ["nan"], fail_on="never") == 0


def test_preflight_finds_it_before_the_first_step(script, tmp_path, capsys):
    report = tmp_path / "f.json"
    assert run_script(script, ["nan"], json=report, preflight=True) == 4
    first = json.loads(report.read_text())["findings"][0]
    assert (first["id"], first["samples"], first["since"]) == ("data-nonfinite", [77, 301], 0)


def test_an_exception_is_shown_as_python_shows_it(script, tmp_path, capfd):
    report = tmp_path / "f.json"
    assert run_script(script, ["label"], json=report) == 1
    mine, bare = capfd.readouterr().err, python(script, "label").stderr
    assert json.loads(report.read_text())["findings"][0]["id"] == "label-out-of-range"
    ours = str(Path(run_script.__code__.co_filename).parent)
    assert ours not in mine

    def own_frames(text):
        return [line for line in text.splitlines() if str(script) in line or line[:1] not in " "]

    assert own_frames(mine) == own_frames(bare)


def test_exit_codes_of_the_script_are_kept(script, capsys):
    assert run_script(script, ["exit"]) == 7
    assert run_script(script, ["words"]) == 1
    assert "no luck" in capsys.readouterr().err
    assert run_script(script, ["stop"]) == 130


def test_the_order_of_exit_codes():
    diverged = Finding("numerics-nan-loss", "error", "")
    high = Finding("lr-too-high", "warning", "")
    assert exit_code(0, (diverged,), fail_on="error") == 4
    assert exit_code(0, (diverged,), fail_on="error", interrupted=True) == 130
    root = Finding("data-nonfinite", "error", "", symptoms=(diverged,))
    assert exit_code(0, (root,), fail_on="error") == 4
    assert exit_code(0, (Finding("init-zero", "error", ""),), fail_on="error") == 1
    assert exit_code(9, (high,), fail_on="error") == 9
    assert exit_code(9, (high,), fail_on="warning") == 1
    assert exit_code(0, (diverged,), fail_on="never") == 0


def test_no_script_and_a_script_that_is_no_python(tmp_path, capfd):
    with pytest.raises(UsageError, match="missing"):
        run_script(tmp_path / "missing.py")
    with pytest.raises(UsageError, match="fail_on"):
        run_script(tmp_path / "missing.py", fail_on="fatal")
    bad = tmp_path / "bad.py"
    bad.write_text("x = (1,\nprint(x\n")
    assert run_script(bad) == 1
    assert capfd.readouterr().err == python(bad).stderr


def test_a_gan_and_modules_called_by_parts(tmp_path, capsys):
    path = tmp_path / "gan.py"
    path.write_text(
        """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(1)
made = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
judge = nn.ModuleDict({"body": nn.Linear(2, 16), "head": nn.Linear(16, 1)})
def judged(x):
    return judge["head"](F.leaky_relu(judge["body"](x), 0.2))
d = torch.optim.Adam(judge.parameters(), 1e-3)
g = torch.optim.Adam(made.parameters(), 1e-3)
one, zero = torch.ones(32, 1), torch.zeros(32, 1)
for _ in range(60):
    real, fake = torch.randn(32, 2) + 1, made(torch.randn(32, 4))
    d.zero_grad()
    loss = F.binary_cross_entropy_with_logits
    (loss(judged(real), one) + loss(judged(fake.detach()), zero)).backward()
    d.step()
    g.zero_grad()
    loss(judged(fake), one).backward()
    g.step()
"""
    )
    assert run_script(path) == 0
    out = capsys.readouterr().out
    assert "note:" not in out
    assert "60 steps" in out


GAN = """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(1)
made = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
judge = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
d, g = torch.optim.Adam(judge.parameters(), 1e-3), torch.optim.Adam(made.parameters(), 1e-3)
one, zero, loss = torch.ones(32, 1), torch.zeros(32, 1), F.binary_cross_entropy_with_logits
for _ in range(60):
    real = torch.randn(32, 2) + 1
    fake = made(torch.randn(32, 4))FAULT
    d.zero_grad()
    (loss(judge(real), one) + loss(judge(fake.detach()), zero)).backward()
    d.step()
    g.zero_grad()
    loss(judge(fake), one).backward()
    g.step()
"""


@pytest.mark.parametrize("fault", ["", ".detach()", ".detach().clone()"])
def test_a_generator_that_is_judged_without_its_graph(fault, tmp_path, capsys):
    path, report = tmp_path / "gan.py", tmp_path / "f.json"
    path.write_text(GAN.replace("FAULT", fault))
    assert run_script(path, json=report, fail_on="never") == 0
    found = json.loads(report.read_text())["findings"]
    assert [f["id"] for f in found] == ["graph-detached"] * bool(fault)
    assert [f["where"]["line"] for f in found] == [12] * bool(fault)
    assert "note:" not in capsys.readouterr().out


def test_it_ends_with_no_hook_left(script, capsys):
    from torch.nn.modules import module
    from torch.optim import optimizer

    run_script(script, ["nan"])
    assert not module._global_forward_pre_hooks
    assert not optimizer._global_optimizer_pre_hooks
    assert not optimizer._global_optimizer_post_hooks
