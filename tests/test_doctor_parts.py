"""Networks that are never called themselves are seen as those that are, and left as they were."""

import json
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as torch_module
from torch.utils.data import DataLoader, TensorDataset

from snellen.core.seeds import rng_state, seed_everything
from snellen.doctor.parts import Parts
from snellen.doctor.script import run_script
from snellen.doctor.watch import doctor


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
        self.dec = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 20))

    def encode(self, x):
        return self.enc(x)

    def decode(self, z):
        return self.dec(z)

    def forward(self, x):
        return self.decode(self.encode(x.flatten(1)))


def grouped():
    net = Coder()
    return nn.ModuleDict({"enc": net.enc, "dec": net.dec})


WAYS = {
    "itself": (Coder, lambda net, x: net(x)),
    "forward": (Coder, lambda net, x: net.forward(x)),
    "methods": (Coder, lambda net, x: net.decode(net.encode(x))),
    "attributes": (Coder, lambda net, x: net.dec(net.enc(x))),
    "dict": (grouped, lambda net, x: net["dec"](net["enc"](x))),
    "list": (lambda: nn.ModuleList(grouped().values()), lambda net, x: net[1](net[0](x))),
    "every layer": (
        lambda: nn.ModuleList(nn.Sequential(*grouped()["enc"], *grouped()["dec"])),
        lambda net, x: [x := layer(x) for layer in net][-1],
    ),
}


def items(fault=""):
    x = torch.randn(400, 20) @ torch.randn(20, 20) * 0.3
    if fault == "nan":
        x[[77, 301], 3] = torch.nan
    return x


def trained(way, watch, fault=""):
    seed_everything(3)
    make, call = WAYS[way]
    net, x = make(), items(fault)
    if fault == "zero":
        for name, p in net.named_parameters():
            if "1." not in name:
                nn.init.zeros_(p)
    lr = 300.0 if fault == "lr" else 0.05
    optimizer = torch.optim.SGD(net.parameters(), lr)
    with watch(net, optimizer) as doc:
        for _ in range(4):
            net.train()
            for (b,) in DataLoader(TensorDataset(x), 32, shuffle=True):
                if fault != "zero_grad":
                    optimizer.zero_grad()
                F.mse_loss(call(net, b), b).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                call(net, x[:100])
    rng = rng_state()
    state = [*net.state_dict().values(), *(p.grad for p in net.parameters())]
    return doc, net, [*state, rng["torch"], rng["numpy"], rng["python"], torch.rand(1)]


class Off:
    def __init__(self, *args):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def loud(findings):
    return [(f.id, f.samples) for f in findings if f.level != "advice"]


FIRST = {"": None, "nan": "data-nonfinite", "zero": "init-zero", "lr": "lr-too-high",
         "zero_grad": "loop-no-zero-grad"}  # fmt: skip


@cache
def the_whole(fault):
    """What the doctor saw of it, to which each way is compared."""
    return trained("itself", doctor, fault)[0].chart


@pytest.mark.parametrize("fault", FIRST)
@pytest.mark.parametrize("way", [w for w in WAYS if w != "itself"])
def test_parts_tell_what_the_whole_would(way, fault):
    doc, _, _ = trained(way, doctor, fault)
    found = loud(doc.findings)
    assert doc.notes == []
    assert [id for id, _ in found[:1]] == ([FIRST[fault]] if FIRST[fault] else [])
    if fault == "nan":
        assert found[0][1] == (77, 301)
    whole = the_whole(fault)
    kinds = [t.facts["kind"] for t in whole.layers.values()]
    assert [t.facts["kind"] for t in doc.chart.layers.values()] == kinds
    modules = {t.facts["module"] for t in doc.chart.layers.values()}
    assert {n.rpartition(".")[0] for n in doc.chart.params} <= modules
    assert len(doc.chart.params) == len(whole.params)


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_bit_identical_and_no_hook_left(way, broken, monkeypatch):
    if broken:
        monkeypatch.setattr(Parts, "meet", lambda *_: 1 / 0)
    _, _, bare = trained(way, Off)
    doc, net, seen = trained(way, doctor)
    assert all(torch.equal(a, b) for a, b in zip(bare, seen, strict=True))
    assert not torch_module._global_forward_pre_hooks
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert len(doc.notes) == (broken and way != "itself")
    assert not broken or doc.chart.step == 52


SCRIPT = """
import sys, torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(int(sys.argv[3]))
way, fault = sys.argv[1:3]
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 16))
        self.dec = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 20))
    def encode(self, x):
        return self.enc(x).chunk(2, 1)
    def decode(self, z):
        return self.dec(z)
    def forward(self, x):
        mu, log = self.encode(x)
        return self.decode(mu + (log / 2).exp() * torch.randn_like(mu)), mu, log
    def loss(self, x):
        if way == "forward":
            out, mu, log = self.forward(x)
        else:
            mu, log = self.encode(x)
            out = self.decode(mu + (log / 2).exp() * torch.randn_like(mu))
        kl = -0.5 * (1 + log - mu**2 - log.exp()).sum(1).mean()
        return F.mse_loss(out, x, reduction="sum") / len(x) + kl
net = VAE()
x = torch.randn(400, 20) @ torch.randn(20, 20) * 0.3
if fault == "nan":
    x[[77, 301], 3] = torch.nan
if fault == "zero":
    for p in net.parameters():
        nn.init.zeros_(p)
optimizer = torch.optim.Adam(net.parameters(), 3.0 if fault == "lr" else 1e-3)
for epoch in range(8):
    for (b,) in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), 32, shuffle=True):
        if fault != "zero_grad":
            optimizer.zero_grad()
        net.loss(b).backward()
        optimizer.step()
print(sum(p.double().sum().item() for p in net.parameters()), torch.rand(1).item())
"""


@pytest.mark.parametrize("fault", FIRST)
@pytest.mark.parametrize("way", ["forward", "methods"])
def test_a_script_whose_network_is_never_called(way, fault, tmp_path, capsys):
    path, report = tmp_path / "vae.py", tmp_path / "found.json"
    path.write_text(SCRIPT)
    run_script(path, [way, fault, "1"], json=report)
    out = capsys.readouterr().out
    found = [f for f in json.loads(report.read_text())["findings"] if f["level"] != "advice"]
    assert [f["id"] for f in found[:1]] == ([FIRST[fault]] if FIRST[fault] else [])
    assert "note:" not in out
    if fault == "nan":
        assert found[0]["samples"] == [77, 301]
    if fault == "zero":
        assert found[0]["where"]["module"].startswith(("enc", "dec"))
    assert not torch_module._global_forward_pre_hooks
