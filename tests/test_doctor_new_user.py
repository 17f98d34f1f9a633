"""Faults as a new user wrote them, each beside the same script without the fault."""

import json

import pytest

from snellen.doctor.script import run_script

DATA = """
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(320, 20)
y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
"""


def found(source, tmp_path, *, advice=False):
    """The findings of a script, as they stand in the JSON."""
    path, report = tmp_path / "train.py", tmp_path / "found.json"
    path.write_text(source)
    run_script(path, json=report)
    every = json.loads(report.read_text())["findings"]
    return [f for f in every if advice or f["level"] != "advice"]


HEAD = (
    DATA
    + """
trunk, head = nn.Sequential(nn.Linear(20, 32), nn.ReLU()), nn.Linear(32, 4)
critic = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1)){after}
optimizer = torch.optim.Adam([{held}], 1e-2)
for epoch in range(4):
    for inputs, labels in DataLoader(TensorDataset(x, y), 32, shuffle=True):
        out = head(trunk(inputs))
        loss = F.cross_entropy(out, labels){more}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
)
BOTH = "*trunk.parameters(), *head.parameters()"


def test_a_head_of_its_own_that_no_optimiser_holds(tmp_path, capsys):
    source = HEAD.format(held="*trunk.parameters()", more="", after="")
    first = found(source, tmp_path)[0]
    assert (first["id"], first["level"]) == ("optim-missing-params", "error")
    assert first["where"]["parameter"] == "Linear.weight"
    assert first["evidence"]["weights"] == ["Linear.weight", "Linear.bias"]


@pytest.mark.parametrize("after", [".eval()", ".requires_grad_(False)"])
def test_a_held_head_and_a_perceptual_loss_are_none(after, tmp_path, capsys):
    more = " + 0.01 * (critic(out) - critic(F.one_hot(labels, 4).float())).square().mean()"
    assert found(HEAD.format(held=BOTH, more=more, after=after), tmp_path) == []
    assert found(HEAD.format(held=BOTH, more="", after=after), tmp_path) == []


CRITIC = """
import torch, torch.nn as nn, torch.nn.functional as F
torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
of_g, of_d = torch.optim.Adam(G.parameters(), 1e-3), torch.optim.Adam(D.parameters(), 1e-3)
for i in range(60):
    real, z = torch.randn(32, 2) + 2, torch.randn(32, 4)
    of_g.zero_grad()
    (-D(G(z)).mean()).backward()
    of_g.step()
    if i >= 8:
        of_d.zero_grad()
        (D(G(z).detach()).mean() - D(real).mean() + 0.1 * D(real).square().mean()).backward()
        of_d.step()
"""


def test_a_critic_whose_turn_comes_later_is_none(tmp_path, capsys):
    assert "optim-missing-params" not in {f["id"] for f in found(CRITIC, tmp_path)}


HIDDEN = (
    DATA
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(20, 32), nn.Linear(32, 4)
        self.blocks = {kind}([nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.GELU())
                              for _ in range(3)])

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(h)


net = Net()
hidden = [p for block in net.blocks for p in block.parameters()]
optimizer = torch.optim.AdamW([*net.parameters(){more}], 3e-3)
for epoch in range(4):
    for rows in torch.randperm(320).split(32):
        loss = F.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
)


def test_blocks_in_a_plain_list(tmp_path, capsys):
    first, *others = found(HIDDEN.format(kind="list", more=""), tmp_path, advice=True)
    assert (first["id"], first["level"]) == ("arch-unregistered-layers", "error")
    assert first["where"]["parameter"] == "blocks[0].0.weight"
    assert "nn.ModuleList" in first["do"]
    assert not others


@pytest.mark.parametrize(("kind", "more"), [("nn.ModuleList", ""), ("list", ", *hidden")])
def test_blocks_that_are_registered_or_held(kind, more, tmp_path, capsys):
    assert found(HIDDEN.format(kind=kind, more=more), tmp_path, advice=True) == []


PICKED = (
    DATA
    + """
net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(net.parameters(), 3e-3)
for epoch in range(4):
    for rows in torch.randperm(320).split(32):
        logp = F.log_softmax(net(x[rows]), 1)
        wanted = y[rows]
        loss = {loss}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
)
CHOICES = [
    "logp.gather(1, wanted[:, None])", "logp[torch.arange(len(rows)), wanted]",
    "(logp * F.one_hot(wanted, 4)).sum(1)",
]  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES)
def test_a_likelihood_of_ones_own_without_its_minus(choice, tmp_path, capsys):
    first = found(PICKED.format(loss=f"{choice}.mean()"), tmp_path)[0]
    assert (first["id"], first["level"]) == ("loss-sign-flipped", "error")


@pytest.mark.parametrize(
    "loss",
    [f"-{choice}.mean()" for choice in CHOICES]
    + ["-(-1.0 - torch.rand(32)[:, None]).mul(logp.gather(1, wanted[:, None])).mean()"],
)
def test_a_likelihood_with_its_minus_and_a_return_that_is_negative(loss, tmp_path, capsys):
    assert "loss-sign-flipped" not in {f["id"] for f in found(PICKED.format(loss=loss), tmp_path)}
    if "rand" not in loss:
        assert found(PICKED.format(loss=loss), tmp_path) == []


REGRESSION = (
    DATA
    + """
t = (x[:, :3].sum(1) + 0.1 * torch.randn(320)) / 1.8
net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(net.parameters(), 3e-3)
for epoch in range(4):
    for a, b in {batches}:
        out = net(a)
        loss = {loss}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
)
LOADER = "DataLoader(TensorDataset(x, t), 32, shuffle=True)"
BY_HAND = "[(x[i], t[i]) for i in torch.randperm(320).split(32)]"


@pytest.mark.parametrize("batches", [LOADER, BY_HAND])
@pytest.mark.parametrize("loss", ["((out - b) ** 2).mean()", "(b - out).abs().sum() / len(b)"])
def test_a_difference_of_a_column_and_a_row(loss, batches, tmp_path, capsys):
    first = found(REGRESSION.format(loss=loss, batches=batches), tmp_path)[0]
    assert (first["id"], first["level"]) == ("loss-shape-broadcast", "error")
    assert first["evidence"] == {"input": [32, 1], "target": [32]}


PAIRS = "2 * (out - b[None]).abs().mean() - (out - out.T).abs().mean()"


@pytest.mark.parametrize(
    "loss", ["((out - b[:, None]) ** 2).mean()", "((out[:, 0] - b) ** 2).mean()", PAIRS]
)
def test_a_difference_of_equals_and_an_energy_distance(loss, tmp_path, capsys):
    every = found(REGRESSION.format(loss=loss, batches=LOADER), tmp_path)
    assert "loss-shape-broadcast" not in {f["id"] for f in every}
    if loss != PAIRS:
        assert every == []


LABELS = (
    DATA
    + """
{change}
net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(net.parameters(), 3e-3)
for epoch in range(4):
    for rows in torch.randperm(320).split(64):
        loss = F.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
)


def test_labels_from_one_in_rows_indexed_by_hand(tmp_path, capfd):
    rare = "y[y == 3] = torch.where(torch.rand(int((y == 3).sum())) < 0.3, 3, 0)"
    for change in ("y = y + 1", f"{rare}; y = y + 1"):
        first = found(LABELS.format(change=change), tmp_path)[0]
        assert first["id"] == "label-out-of-range"
        assert "labels start at 1: subtract 1" in first["do"]
        assert first["samples"] == []
    assert found(LABELS.format(change=""), tmp_path) == []


def test_a_slip_of_one_label_is_still_a_slip(tmp_path, capfd):
    first = found(LABELS.format(change="y[7] = 4"), tmp_path)[0]
    assert (first["id"], len(first["samples"])) == ("label-out-of-range", 1)
    assert first["do"].startswith("give this item its right label")


PICTURES = """
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
y = torch.randint(0, 4, (256,))
x = torch.randn(256, 1, {side}, {side})
x[:, 0, 4:8, 4:8] += 2.0 * (y % 2)[:, None, None]
x[:, 0, 12:16, 12:16] += 2.0 * (y // 2)[:, None, None]
net = nn.Sequential(nn.Conv2d(1, 8, {window}), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
net(x[:2])
optimizer = torch.optim.Adam(net.parameters(), {lr})
for epoch in range(5):
    for inputs, labels in DataLoader(TensorDataset(x, y), 32, shuffle=True):
        loss = F.cross_entropy(net(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        {more}
"""
KILL = "net[3].weight.data.view(4, 8, 13, 13)[..., 4:] = 0"


def test_one_row_of_pixels_is_normal_and_four_are_not(tmp_path, capsys):
    def dropped(**values):
        source = PICTURES.format(**{"lr": "3e-3", "more": "", **values})
        return [f for f in found(source, tmp_path, advice=True)
                if f["id"] == "arch-conv-drops-pixels"]  # fmt: skip

    assert dropped(side=28, window="3, 2") == []
    assert dropped(side=28, window="3, 2", more=KILL) == []
    assert dropped(side=32, window="7, 7")[0]["level"] == "warning"


NORMED = (
    DATA
    + """
x[:, :4] += 3 * F.one_hot(y, 4)
net = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32, momentum={momentum}), nn.ReLU(),
                    nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(net.parameters(), {lr}, momentum=0.9)
for epoch in range(3):
    for inputs, labels in DataLoader(TensorDataset(x, y), 32, shuffle=True):
        loss = F.cross_entropy(net(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
)


def test_stale_statistics_are_the_work_of_leaps(tmp_path, capsys):
    first, *others = found(NORMED.format(lr=30, momentum=0.1), tmp_path)
    assert (first["id"], others) == ("lr-too-high", [])
    assert "bn-stale-stats" in {f["id"] for f in first["symptoms"]}
    assert found(NORMED.format(lr=0.03, momentum=0.1), tmp_path) == []


def test_statistics_that_stand_still_are_their_own_fault(tmp_path, capsys):
    every = found(NORMED.format(lr=30, momentum=0), tmp_path)
    assert {"lr-too-high", "bn-stale-stats"} <= {f["id"] for f in every}
