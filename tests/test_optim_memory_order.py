"""A fused step that sees weights in the order of memory changes no bit and no shape."""

import copy

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.optim.memory_order import MemoryOrder

KINDS = {
    "sgd": lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, nesterov=True, fused=True),
    "plain sgd": lambda ps: torch.optim.SGD(ps, 0.1, weight_decay=0.01, fused=True),
    "adam": lambda ps: torch.optim.Adam(ps, 0.01, amsgrad=True, fused=True),
    "adamw": lambda ps: torch.optim.AdamW(ps, 0.01, fused=True),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, 0.01, fused=True),
}


def network():
    """Large and small convolutions, one that rests, and a linear layer; channels last."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 3),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))  # fmt: skip
    net[2].requires_grad_(False)
    return net.to(memory_format=torch.channels_last)


def learn(net, optimizer, steps=3):
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        net(x.contiguous(memory_format=torch.channels_last)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_gradients_and_state_are_the_same_to_the_bit(kind):
    plain = network()
    ordered = copy.deepcopy(plain)
    first, second = KINDS[kind](plain.parameters()), KINDS[kind](ordered.parameters())
    order = MemoryOrder(second)
    assert [w.shape for w in order.large] == [(64, 64, 3, 3)] * 2
    learn(plain, first)
    learn(ordered, second)
    for p, q in zip(plain.parameters(), ordered.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.stride() == q.stride()
        assert (p.grad is None) == (q.grad is None)
        assert p.grad is None or torch.equal(p.grad, q.grad)
    torch.testing.assert_close(second.state_dict(), first.state_dict(), rtol=0, atol=0)


def test_everybody_else_sees_the_weights_as_they_are_and_the_step_does_not():
    net, seen = network(), []
    optimizer = KINDS["sgd"](net.parameters())

    def look(*_):
        seen.append(net[1].weight.shape)

    optimizer.register_step_pre_hook(look)
    MemoryOrder(optimizer)
    optimizer.register_step_pre_hook(look)
    optimizer.register_step_post_hook(look)
    learn(net, optimizer, steps=1)
    whole, turned = (64, 64, 3, 3), (64, 3, 3, 64)
    assert seen == [whole, turned, whole]


def test_a_step_that_raises_leaves_no_weight_turned(monkeypatch, tmp_path):
    net = network()

    def fail(*_, **__):
        assert net[1].weight.shape == (64, 3, 3, 64)
        raise RuntimeError("broken off")

    monkeypatch.setattr(torch, "_fused_adamw_", fail)
    x = torch.randint(256, (40, 3, 9, 9), dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="broken off"):
        sn.train((x, torch.arange(40) % 2), model=net, epochs=1, project=tmp_path, quiet=True,
                 preflight="off", doctor=False, channels_last=True)  # fmt: skip
    assert [p.shape for p in net.parameters() if p.ndim == 4] == [
        (64, 3, 3, 3), (64, 64, 3, 3), (64, 64, 3, 3)
    ]  # fmt: skip
