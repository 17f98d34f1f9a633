"""What single checks say of real little trainings: the side that is wrong, and a do that fits."""

import math
import warnings
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.doctor.check import OPPOSITES, all_checks, judge
from snellen.doctor.checks._cases import training
from snellen.doctor.finding import Finding, at_or_above, fold
from snellen.doctor.watch import doctor


def digits():
    data, target = load_digits(return_X_y=True)
    return torch.tensor(data, dtype=torch.float32) / 16, torch.tensor(target)


def mlp(*sizes):
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))[:-1]


def train(net, data, loss=F.cross_entropy, optimizer=torch.optim.Adam, lr=2e-3, steps=60):
    """A loop under the doctor; its findings at warning or above."""
    warnings.simplefilter("ignore")
    parameters = [p for p in net.parameters() if p.requires_grad]
    taken, opt = 0, optimizer(parameters or net.parameters(), lr)
    loader = DataLoader(TensorDataset(*data), 32, shuffle=True, drop_last=True)
    with doctor(net, opt) as doc:
        while taken < steps:
            for x, y in loader:
                opt.zero_grad()
                loss(net(x), y).backward()
                opt.step()
                taken += 1
                if taken == steps:
                    break
    assert doc.notes == []
    return at_or_above(doc.findings, "warning")


@pytest.mark.parametrize(
    ("change", "seen", "do"),
    [
        (lambda x: x / 255, "too small: they run from 0 to 0.00392", "divide by 255 once"),
        (lambda x: (x / 255 - 0.13) / 0.3, "too small: they reach 0.433", "look for it"),
        (lambda x: 255 * x, "too large: they run from 0 to 255", "divide by 255, then"),
        (lambda x: 4000 * (x - 0.5), "too large: they reach 2e+03", "standardise each feature"),
        (lambda x: x + 900, "too large: they run from 900 to 901", "take the offset out"),
    ],
)
def test_inputs_of_another_size_are_told_which_way(change, seen, do):
    torch.manual_seed(0)
    x, y = digits()
    found = train(mlp(64, 32, 10), (change(x), y))
    assert found[0].id == "data-unnormalised"
    assert seen in found[0].message
    assert found[0].do.startswith(do)


PRICES = (1.5e5, 4e5)  # std and mean


def priced(std, mean):
    x = torch.randn(320, 10, generator=torch.Generator().manual_seed(0))
    return x, std * (x[:, :1] + 0.5 * x[:, 1:2].sin()) + mean


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss])
@pytest.mark.parametrize(("optimizer", "lr"), [(torch.optim.Adam, 1e-3), (torch.optim.SGD, 1e-5)])
def test_targets_of_hundreds_of_thousands_are_told(loss, optimizer, lr):
    torch.manual_seed(0)
    found = train(mlp(10, 32, 1), priced(*PRICES), loss, optimizer, lr)
    assert [f.id for f in found] == ["target-unscaled"]
    assert "(mean " in found[0].message
    assert "the loss went from" in found[0].message


@pytest.mark.parametrize("loss", [F.mse_loss, lambda z, y: ((z - y) ** 2).mean()])
def test_they_are_told_without_a_loader_and_with_a_loss_by_hand(loss):
    torch.manual_seed(0)
    (x, y), net = priced(*PRICES), mlp(10, 32, 1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with doctor(net, optimizer) as doc:
        for rows in [torch.randperm(320)[:32] for _ in range(60)]:
            optimizer.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimizer.step()
    assert [f.id for f in at_or_above(doc.findings, "warning")] == ["target-unscaled"]


def count_data():
    x, _ = priced(1, 0)
    return x, torch.poisson((0.4 * x[:, :1] + 5).exp(), torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("data", "loss", "lr", "steps"),
    [
        (priced(1.0, 0.0), F.mse_loss, 2e-3, 80),
        (priced(20.0, 50.0), F.mse_loss, 3e-2, 200),
        (priced(20.0, 50.0), F.l1_loss, 3e-2, 200),
        (priced(80.0, 150.0), F.mse_loss, 5e-2, 400),
        (count_data(), F.poisson_nll_loss, 2e-3, 120),
    ],
)
def test_targets_that_are_learnt_are_left_alone(data, loss, lr, steps):
    """Standardised; 0 to 100; several hundreds that the rate copes with; counts by their own."""
    torch.manual_seed(0)
    assert train(mlp(10, 32, 1), data, loss, lr=lr, steps=steps) == ()


def pile(*ids):
    return [Finding(id, "warning", "1", confidence=0.9 - 0.1 * i) for i, id in enumerate(ids)]


@pytest.mark.parametrize("pair", [tuple(sorted(pair)) for pair in OPPOSITES])
def test_opposites_are_never_told_together(pair):
    """Under a common root, as root and symptom, and side by side: the surer one stays."""
    explains = {id: check.explains for id, check in all_checks().items()}
    assert set(pair) <= set(explains)
    for order in (pair, pair[::-1]):
        roots = fold(pile(*order), explains, OPPOSITES)
        assert [(r.id, r.symptoms) for r in roots] == [(order[0], ())]
        roots = fold(pile("root", *order), {"root": pair}, OPPOSITES)
        assert [s.id for s in roots[0].symptoms] == [order[0]]


def test_a_rate_that_leaps_is_not_called_too_low():
    """Stuck after one leap: later updates are small beside weights that are huge."""
    leap = {"*": {"update_ratio": lambda t: 0.6 if t < 6 else 1e-7}}
    still = {"loss": lambda t: 2.3 + 40 * (t < 3), "lr": 1.0}
    said = judge(training(60, params=leap, step=still))
    ids = [f.id for root in said for f in (root, *root.symptoms)]
    assert not {"lr-too-high", "lr-too-low"} <= set(ids)


def test_small_inputs_explain_no_explosion():
    tiny = {"min": 0.0, "max": 0.004, "absmax": 0.004, "mean": 0.001, "std": 1e-3}
    grown = {"loss": lambda t: 2.3 * 3.0**t, "grad_norm": lambda t: 0.5 * 4.0**t, "lr": 30.0}
    leap = {"*": {"update_ratio": 0.6, "update_norm": 2.8}}
    said = {f.id: [s.id for s in f.symptoms] for f in
            judge(training(batch=tiny, step=grown, params=leap))}  # fmt: skip
    assert "data-unnormalised" in said
    assert not {"lr-too-high", "grad-exploding"} & set(said["data-unnormalised"])
    assert "lr-too-high" in said


def test_what_a_finding_explains_is_not_part_of_its_json():
    found = Finding("a", "error", "1", explains=("b",), symptoms=(Finding("c", "error", "1"),))
    assert "explains" not in found.as_dict()
    assert "explains" not in found.as_dict()["symptoms"][0]
    assert math.isclose(Finding.from_dict(found.as_dict()).confidence, 0.9)
