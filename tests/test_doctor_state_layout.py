"""Moments in another memory order than their weights: PyTorch's fused steps go wrong, and the
doctor says so; it is quiet of every other way to get there."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snellen as sn

KINDS = {
    "sgd": lambda params, **how: torch.optim.SGD(params, 0.01, momentum=0.9, **how),
    "adam": lambda params, **how: torch.optim.Adam(params, 1e-3, **how),
    "adamw": lambda params, **how: torch.optim.AdamW(params, 1e-3, **how),
    "adagrad": lambda params, **how: torch.optim.Adagrad(params, 1e-3, **how),
}
LAST = torch.channels_last


def cnn(kernel: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel, padding="same"), nn.ReLU(), nn.Conv2d(8, 8, kernel), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def trained(net, optimizer, *, turned=None, steps=12):
    """Some steps; before that of number `turned` the network is put channels last."""
    random = torch.Generator().manual_seed(0)
    for step in range(steps):
        if step == turned:
            net.to(memory_format=LAST)
        x, y = torch.rand(8, 3, 8, 8, generator=random), torch.arange(8) % 4
        optimizer.zero_grad()
        F.cross_entropy(net(x.contiguous(memory_format=LAST)), y).backward()
        optimizer.step()
    return net


def found(net, optimizer, **how):
    with sn.doctor(net, optimizer) as doc:
        trained(net, optimizer, **how)
    return [f for f in doc.findings if f.id == "optim-state-layout"]


@pytest.mark.parametrize("kind", KINDS)
def test_turned_half_way_is_told_and_is_indeed_wrong(kind):
    plain, fused, told = cnn(), cnn(), cnn()
    trained(plain, KINDS[kind](plain.parameters(), fused=False), turned=5)
    trained(fused, KINDS[kind](fused.parameters(), fused=True), turned=5)
    assert (plain[2].weight - fused[2].weight).abs().max() > 1e-4  # PyTorch's, which says nothing
    (finding,) = found(told, KINDS[kind](told.parameters(), fused=True), turned=5)
    assert (finding.level, finding.where["parameter"]) == ("error", "0.weight")
    assert finding.since >= 5


def test_a_state_that_was_saved_before_is_told():
    old = cnn()
    optimizer = KINDS["adam"](old.parameters())
    trained(old, optimizer)
    net = cnn().to(memory_format=LAST)
    again = KINDS["adam"](net.parameters(), fused=True)
    again.load_state_dict(optimizer.state_dict() | {
        "param_groups": [g | {"fused": True} for g in optimizer.state_dict()["param_groups"]]
    })  # fmt: skip
    assert len(found(net, again)) == 1


@pytest.mark.parametrize(
    ("kernel", "fused", "turned"),
    [(3, True, None), (3, True, 0), (3, False, 5), (3, None, 5), (1, True, 5)],
)
def test_one_order_or_no_fused_step_is_no_fault(kernel, fused, turned):
    """Of a kernel of 1 x 1 both orders are the same line."""
    net = cnn(kernel)
    assert found(net, KINDS["adam"](net.parameters(), fused=fused), turned=turned) == []


def test_an_optimiser_built_anew_is_well():
    net = cnn()
    trained(net, KINDS["sgd"](net.parameters(), fused=True))
    net.to(memory_format=LAST)
    assert found(net, KINDS["sgd"](net.parameters(), fused=True)) == []
