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
    "amsgrad": lambda params, **how: torch.optim.Adam(params, 1e-3, amsgrad=True, **how),
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


def found(net, optimizer, train=trained, **how):
    with sn.doctor(net, optimizer) as doc:
        train(net, optimizer, **how)
    assert not [note for note in doc.notes if "topped" in note]
    return [f for f in doc.findings if f.id == "optim-state-layout"]


@pytest.mark.parametrize("kind", KINDS)
def test_turned_half_way_is_told_and_is_indeed_wrong(kind):
    plain, fused, told = cnn(), cnn(), cnn()
    trained(plain, KINDS[kind](plain.parameters(), fused=False), turned=5)
    trained(fused, KINDS[kind](fused.parameters(), fused=True), turned=5)
    assert (plain[2].weight - fused[2].weight).abs().max() > 1e-4  # PyTorch's, which says nothing
    (finding,) = found(told, KINDS[kind](told.parameters(), fused=True), turned=5)
    assert (finding.level, finding.where["parameter"]) == ("error", "0.weight")
    assert finding.since == 5
    assert "moments of 2 of 6 weights" in finding.message
    assert finding.evidence["weights"] == ["0.weight", "2.weight"]


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


def laid(net, optimizer, *, order, steps=12):
    """Gradients by hand, in an order of their own."""
    for _ in range(steps):
        x, y = torch.rand(8, 3, 8, 8), torch.arange(8) % 4
        grads = torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))
        for p, grad in zip(net.parameters(), grads, strict=True):
            p.grad = grad.contiguous(memory_format=order) if grad.dim() == 4 else grad
        optimizer.step()
    return net


@pytest.mark.parametrize("order", [LAST, torch.contiguous_format])
def test_gradients_in_another_order_are_told_and_are_indeed_wrong(order):
    is_wrong = order == LAST
    nets = []
    for fused in (False, True):
        net = cnn()
        torch.manual_seed(1)
        nets.append(laid(net, torch.optim.SGD(net.parameters(), 0.1, fused=fused), order=order))
    assert ((nets[0][2].weight - nets[1][2].weight).abs().max() > 1e-4) == is_wrong
    net = cnn()
    told = found(net, torch.optim.SGD(net.parameters(), 0.1, fused=True), laid, order=order)
    assert [f.where["parameter"] for f in told] == ["0.weight"] * is_wrong
    assert all("gradients of 2 of 6 weights" in f.message for f in told)


class ByValue(torch.optim.Optimizer):
    """A user's own, which pairs values; what it keeps may be anything."""

    def __init__(self, params, kept):
        super().__init__(params, {"fused": True})
        self.kept = kept

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self.kept(p)
                p.sub_(0.01 * p.grad)


class Averaging(torch.optim.Adam):
    """PyTorch's with something beside it."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["average"] = p.detach().contiguous()


@pytest.mark.parametrize(
    "make",
    [
        lambda params: ByValue(params, lambda p: {"exp_avg": torch.rand(p.shape)}),
        lambda params: ByValue(params, torch.rand_like),
        lambda params: ByValue(params, lambda p: None),
        lambda params: Averaging(params, 1e-3, fused=True),
    ],
)
def test_an_optimiser_of_ones_own_is_left_alone(make):
    net = cnn().to(memory_format=LAST)
    assert found(net, make(net.parameters())) == []


@pytest.mark.parametrize(("turned", "wrong"), [(0, False), (5, True)])
def test_moments_that_are_one_number_may_be_turned(turned, wrong):
    """Adagrad has them before its first step; the same weights come of it."""
    nets = [cnn(), cnn()]
    for net, fused in zip(nets, (False, True), strict=True):
        trained(net, KINDS["adagrad"](net.parameters(), fused=fused), turned=turned)
    assert ((nets[0][2].weight - nets[1][2].weight).abs().max() > 1e-5) == wrong
    net = cnn()
    assert bool(found(net, KINDS["adagrad"](net.parameters(), fused=True), turned=turned)) == wrong


def test_of_two_groups_the_fused_one_is_judged():
    for fused in ([True, False], [False, True]):
        net = cnn()
        groups = [{"params": [net[0].weight], "fused": fused[0]},
                  {"params": [net[2].weight], "fused": fused[1]}]  # fmt: skip
        (finding,) = found(net, torch.optim.SGD(groups, 0.01, momentum=0.9), turned=5)
        assert finding.where["parameter"] == f"{2 * fused.index(True)}.weight"
        assert "of 1 of 1 weights" in finding.message


def test_weights_that_are_no_more_moved_are_left_alone():
    net = cnn()
    optimizer = KINDS["adam"](net.parameters(), fused=True)
    trained(net, optimizer)
    optimizer.zero_grad()
    for conv in (net[0], net[2]):
        conv.requires_grad_(False)
    net.to(memory_format=LAST)
    assert found(net, optimizer) == []
