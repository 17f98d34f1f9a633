"""compile=yes compiles what the training calls, whatever kind of module it is."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snellen as sn
from snellen.doctor.watch import doctor
from snellen.train import session
from snellen.train.compiling import compile_forward


class Own(nn.Module):
    """A user's class around the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = _plain()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x -> logits."""
        return self.body(x) + 0


class Counting:
    """A backend of torch.compile that counts the graphs that ran."""

    def __init__(self) -> None:
        self.ran = self.ops = 0

    def __call__(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        """Run the graph as it is."""

        def run(*args: Any) -> Any:
            self.ran += 1
            self.ops += sum(node.op.startswith("call") for node in graph.graph.nodes)
            return graph.forward(*args)

        return run


def _plain() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
                         nn.Linear(4 * 36, 2))  # fmt: skip


@pytest.fixture
def backend() -> Any:
    """A counting backend, and no compiled code before or after."""
    torch._dynamo.reset()
    yield Counting()
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", [_plain, Own])
def test_each_call_runs_the_whole_forward_pass_as_one_graph(kind: Any, backend: Counting) -> None:
    net, x = kind(), torch.randn(5, 3, 8, 8)
    plain = copy.deepcopy(net)
    names = list(net.state_dict())
    compile_forward(net, backend=backend)
    for _ in range(4):
        net(x).sum().backward()
        plain(x).sum().backward()
    assert backend.ran == 4
    assert backend.ops >= 4 * 5
    assert list(net.state_dict()) == names
    for (name, a), b in zip(net.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    assert backend.ran == 4
    copy.deepcopy(net)(x)  # computes by itself
    assert backend.ran == 4


def test_hooks_of_the_net_see_each_call_and_stay_out_of_the_graph(backend: Counting) -> None:
    net = _plain()
    compile_forward(net, backend=backend)
    seen: list[tuple[int, ...]] = []
    net.register_forward_hook(lambda module, args, out: seen.append(tuple(out.shape)))
    for _ in range(3):
        net(torch.randn(5, 3, 8, 8))
    assert seen == [(5, 2)] * 3
    assert backend.ran == 3


def test_the_doctor_hears_the_loss_of_a_compiled_sequential(backend: Counting) -> None:
    net = _plain()
    compile_forward(net, backend=backend)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01)
    with doctor(net, optimiser) as doc:
        for _ in range(3):
            loss = nn.functional.cross_entropy(net(torch.randn(5, 3, 8, 8)), torch.ones(5).long())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert backend.ran == 3
    assert len(doc.chart.column("loss")) == 3


def test_a_training_of_a_plain_sequential_is_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, backend: Counting
) -> None:
    def counted(net: nn.Module, **how: Any) -> None:
        compile_forward(net, backend=backend)

    monkeypatch.setattr(session, "compile_forward", counted)
    x = np.random.default_rng(0).integers(0, 255, (32, 8, 8, 3), dtype=np.uint8)
    sn.train((x, np.arange(32) % 2), model=_plain(), epochs=2, batch=8, compile=True, split=0.25,
             doctor=False, project=str(tmp_path), quiet=True)  # fmt: skip
    assert backend.ran >= 6  # three steps an epoch
