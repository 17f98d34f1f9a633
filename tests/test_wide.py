"""Nothing is made in float64 on a device that cannot hold it, as Apple's MPS cannot.

The CPU stands in for such a device: what `.cpu()` gives counts as moved, and only that may widen.
"""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from snellen.core import wide as wides
from snellen.core.wide import has_float64, wide
from snellen.data.sample import Batch
from snellen.doctor.by_hand import _rate
from snellen.doctor.gradients import gradient_norm
from snellen.doctor.probes.additivity import additivity
from snellen.doctor.probes.params import _norms
from snellen.doctor.slopes.twin import double
from snellen.nn.divergence import entropy, kl_divergence
from snellen.nn.precise_norm import recompute_statistics
from snellen.tasks.regress import Regress


class OnCpu(torch.Tensor):
    """What has been moved from the device; so is all that is computed with it."""


class NoFloat64(TorchFunctionMode):
    """Refuses what MPS refuses: float64 made of what is on the device."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func is torch.Tensor.cpu:
            return out.as_subclass(OnCpu)
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        for t in tree_leaves(out):
            if isinstance(t, torch.Tensor) and t.dtype == torch.float64:
                held = not given or any(isinstance(g, OnCpu) for g in given)
                assert held or any(g.dtype == torch.float64 for g in given), f"{func} in float64"
        return out


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(wides, "has_float64", lambda device: False)
    with NoFloat64():
        yield


def test_the_stand_in_refuses_float64_and_wide_avoids_it(device):
    for make in (torch.Tensor.double, lambda x: x.sum(dtype=torch.float64)):
        with pytest.raises(AssertionError, match="in float64"):
            make(torch.ones(2))
    assert isinstance(wide(torch.ones(2)), OnCpu)
    assert wide(torch.ones(2)).dtype == torch.float64


def test_a_device_is_asked_by_making_a_tensor(monkeypatch):
    def refuse(*size, dtype, device):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    assert has_float64("cpu")
    monkeypatch.setattr(wides, "_found", {})
    with monkeypatch.context() as patched:
        patched.setattr(torch, "empty", refuse)
        assert not has_float64("mps")


def test_layers_and_losses_need_none(device, monkeypatch):
    net, x = nn.BatchNorm1d(3), torch.randn(8, 3)
    assert recompute_statistics(net, [x[:3], x[3:]]) == 1
    torch.testing.assert_close(net.running_var, x.var(0))
    monkeypatch.setattr("snellen.nn.divergence.can_look", lambda p: False)  # not on the CPU
    p = x.softmax(-1)
    assert entropy(p).shape == kl_divergence(p, p).shape == (8,)


@pytest.mark.parametrize("spec", [{}, {"bins": 3}])
def test_numbers_are_learnt_without_it(device, spec):
    quantiles = [[k / 50 for k in range(101)]]
    task = Regress({"values": ["a"], "mean": [0.0], "std": [1.0], "quantiles": quantiles, **spec})
    net = nn.Linear(5, task.num_outputs())
    batch = Batch(torch.randn(4, 5), {"values": torch.randn(4, 1)}, torch.arange(4),
                  torch.ones(4, 2))  # fmt: skip
    task.loss(net, batch)["loss"].backward()
    assert net.weight.grad.any()


def test_the_doctor_needs_none(device):
    w, x = torch.randn(3, 2), torch.randn(8, 4)
    assert _rate(SimpleNamespace(watched=[w - 0.5 * w], before=[w], gradients=[w])) == 0.5
    replay = SimpleNamespace(only_input=lambda: x, size=8, args=(x,), kwargs={})
    assert additivity(replay, nn.Linear(4, 2))["error"] < 1e-3
    assert _norms([w, w.bfloat16()], 2.0)[0] == pytest.approx(float(w.norm()))
    w.grad = torch.full((3, 2), 2e30)
    assert gradient_norm([w]) == pytest.approx(2e30 * 6**0.5)


def test_gradients_are_checked_on_copies_elsewhere(device):
    assert isinstance(double(torch.ones(2)), OnCpu)


def test_torch_compile_traces_it_without_a_word(recwarn, monkeypatch):
    monkeypatch.setattr(wides, "_found", {})
    torch._dynamo.reset()
    compiled = torch.compile(wide, backend="eager", fullgraph=True)
    assert compiled(torch.ones(2)).dtype == compiled(torch.ones(3)).dtype == torch.float64
    assert [str(warning.message) for warning in recwarn] == []
