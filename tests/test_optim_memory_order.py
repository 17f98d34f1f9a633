"""A fused step that sees weights in the order of memory changes no bit, and nothing of it shows."""

import copy
import json

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.optim import memory_order
from snellen.optim.memory_order import MemoryOrder

KINDS = {
    "sgd": lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, nesterov=True, fused=True),
    "plain sgd": lambda ps: torch.optim.SGD(ps, 0.1, weight_decay=0.01, fused=True),
    "adam": lambda ps: torch.optim.Adam(ps, 0.01, amsgrad=True, fused=True),
    "adamw": lambda ps: torch.optim.AdamW(ps, 0.01, fused=True),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, 0.01, fused=True),
    "not fused": lambda ps: torch.optim.AdamW(ps, 0.01, foreach=True),
}


def network():
    """Large and small convolutions, one that rests, and a linear layer; channels last."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 3),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))  # fmt: skip
    net[2].requires_grad_(False)
    return net.to(memory_format=torch.channels_last)


def backward(net, optimizer):
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    optimizer.zero_grad()
    net(x.contiguous(memory_format=torch.channels_last)).square().sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_gradients_and_state_are_the_same_to_the_bit(kind):
    plain = network()
    ordered = copy.deepcopy(plain)
    first, second = KINDS[kind](plain.parameters()), KINDS[kind](ordered.parameters())
    for _ in range(3):
        backward(plain, first)
        first.step()
        backward(ordered, second)
        kept = ordered[1].weight.grad
        with MemoryOrder():
            second.step()
        assert ordered[1].weight.grad is kept
    for p, q in zip(plain.parameters(), ordered.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.stride() == q.stride()
        assert p.grad is None or torch.equal(p.grad, q.grad)
    torch.testing.assert_close(second.state_dict(), first.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "count"), [("sgd", 3), ("adamw", 4), ("adagrad", 3)])
def test_the_kernel_sees_lines_and_everybody_else_the_weights(kind, count, monkeypatch):
    net, seen, given = network(), [], []
    optimizer = KINDS[kind](net.parameters())
    backward(net, optimizer)
    for hook in (optimizer.register_step_pre_hook, optimizer.register_step_post_hook):
        hook(lambda *_: seen.append(net[1].weight.shape))
    inside = memory_order._seen
    monkeypatch.setattr(memory_order, "_seen", lambda *a: given.append(inside(*a)) or given[-1])
    with MemoryOrder():
        optimizer.step()
    assert seen == [(64, 64, 3, 3)] * 2
    large = [t for tensors in given for t in tensors if t.numel() >= memory_order.LEAST]
    assert len(large) == count
    assert all(t.shape == (64, 3, 3, 64) and t.is_contiguous() for t in large)


def test_a_closure_runs_the_network_as_it_is():
    plain = network()
    ordered = copy.deepcopy(plain)
    for net, order in ((plain, None), (ordered, MemoryOrder())):
        optimizer = KINDS["sgd"](net.parameters())

        def closure(net=net, optimizer=optimizer):
            with torch.enable_grad():
                backward(net, optimizer)

        for _ in range(2):
            if order is None:
                optimizer.step(closure)
            else:
                with order:
                    optimizer.step(closure)
    assert all(map(torch.equal, plain.parameters(), ordered.parameters()))


def test_the_doctor_sees_what_changes_in_a_training(tmp_path):
    x = torch.randint(256, (80, 3, 9, 9), dtype=torch.uint8)
    run = sn.train((x, torch.arange(80) % 2), model=network().requires_grad_(), epochs=2, batch=4,
                   project=tmp_path, quiet=True, preflight="off", channels_last=True)  # fmt: skip
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert sum(event["kind"] == "param" for event in events) > 20
    facts = [event["values"] for event in events if event["kind"] == "facts"]
    assert [values["notes"] for values in facts if values.get("notes")] == []
