"""Validation that a loop does not report: what is measured is what the loop could print."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.core.seeds import rng_state, seed_everything
from snellen.doctor.validation import Validation
from snellen.doctor.watch import doctor

HIDDEN = 64


def data(noise):
    x = torch.randn(700, 20)
    clear = x[:, 0] + x[:, 1] + noise * torch.randn(700)
    y = (clear > 0).long()
    return x[:100], y[:100], x[100:], y[100:]


class Off:
    def __init__(self, *args):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def train(way, watch=doctor, noise=1.0, epochs=30, seed=1):
    """A loop over 100 samples; returns the doctor and what the loop saw of validation."""
    seed_everything(seed)
    x, y, held_x, held_y = data(noise)
    net = nn.Sequential(nn.Linear(20, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    held = DataLoader(TensorDataset(held_x, held_y), 200)
    seen = []
    with watch(net, optimizer) as doc:
        for _ in range(epochs):
            net.train()
            for rows in torch.randperm(len(x)).split(20):
                optimizer.zero_grad()
                F.cross_entropy(net(x[rows]), y[rows]).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                if way == "tensors":
                    out = net(held_x)
                    seen.append(F.cross_entropy(out, held_y).item())
                elif way == "argmax":
                    [(net(a).argmax(1) == b).sum().item() for a, b in held]
                    seen.append(F.cross_entropy(net(held_x), held_y).item())
                elif way == "train":
                    seen.append(F.cross_entropy(net(x), y).item())
                else:
                    losses = [F.cross_entropy(net(a), b).item() for a, b in held]
                    seen.append(sum(losses) / len(losses))
    rng = rng_state()
    state = [*net.state_dict().values(), rng["torch"], rng["numpy"], rng["python"], torch.rand(1)]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch._C._len_torch_function_stack() == 0
    return doc, seen, state


@pytest.mark.parametrize("way", ["loader", "tensors"])
def test_the_losses_are_those_that_the_loop_could_print(way):
    doc, seen, _ = train(way)
    assert doc.notes == []
    found = [row["val_loss"] for row in doc.chart.epochs]
    assert found == pytest.approx(seen, rel=1e-5)
    assert [f.id for f in doc.findings if f.level != "advice"] == ["gen-overfit"]


def test_targets_come_from_the_loader_where_no_loss_is_called():
    doc, seen, _ = train("argmax")
    assert [row["val_loss"] for row in doc.chart.epochs] == pytest.approx(seen, rel=1e-5)


def test_the_training_samples_are_no_validation():
    doc, _, _ = train("train")
    assert len(doc.chart.epochs) == 0


@pytest.mark.parametrize("way", ["loader", "tensors"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_small_set_that_is_easy_stays_quiet(way, seed):
    doc, _, _ = train(way, noise=0.1, epochs=12, seed=seed)
    assert len(doc.chart.epochs) == 12
    assert [f.id for f in doc.findings if f.level != "advice"] == []


@pytest.mark.parametrize("broken", [None, "_score", "heard", "end"])
@pytest.mark.parametrize("way", ["loader", "tensors", "argmax"])
def test_bit_identical_also_where_the_doctor_fails(way, broken, monkeypatch):
    _, _, bare = train(way, Off, epochs=4)
    if broken:
        monkeypatch.setattr(Validation, broken, lambda *_: 1 / 0)
    doc, seen, state = train(way, epochs=4)
    assert all(torch.equal(a, b) for a, b in zip(bare, state, strict=True))
    assert len(seen) == 4
    assert doc.chart.step == 20
