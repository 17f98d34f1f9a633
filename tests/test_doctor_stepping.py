"""What is looked at on every step: two gradients, the loss, and the time that it took."""

import math

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.doctor.probes._probe import Stepper
from snellen.doctor.stepping import SHORT, gradients_finite, name_parameters

BAD = (math.nan, math.inf, -math.inf)


class Marked(torch.Tensor):
    """A tensor class of a user's, whose rows cannot be read one by one."""

    def tolist(self):
        raise TypeError("ask for the sum")


def sparse(grad):
    return grad.to_sparse()


@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("kind", [lambda g: g, sparse, lambda g: g.as_subclass(Marked)])
@pytest.mark.parametrize("shape", [(1,), (SHORT,), (SHORT + 1,), (2, 2), ()])
def test_one_value_is_seen_in_gradients_of_any_shape_and_kind(shape, kind, at):
    p = nn.Parameter(torch.zeros(shape))
    stepper = Stepper(0, torch.optim.SGD([p], 0.1), steps=1)
    name_parameters(stepper, [])
    for value in (0.5, *BAD):
        grad = torch.full(shape, 0.25)
        grad.view(-1)[at] = value
        p.grad = kind(grad) if grad.dim() or kind is not sparse else grad
        assert gradients_finite(stepper, sampling=False) == math.isfinite(value)


@pytest.mark.parametrize("count", [3, SHORT + 1])
def test_large_finite_gradients_whose_sum_overflows_are_finite(count):
    p = nn.Parameter(torch.zeros(count))
    stepper = Stepper(0, torch.optim.SGD([p], 0.1), steps=1)
    name_parameters(stepper, [])
    p.grad = torch.full((count,), 3e38)
    assert gradients_finite(stepper, sampling=False)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("at", [0, 40])
def test_a_loss_that_is_no_number_is_seen_on_its_step(at, value):
    torch.manual_seed(0)
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with sn.doctor(net, optimizer) as doc:
        for step in range(at + 1):
            optimizer.zero_grad()
            loss = net(torch.ones(4, 2)).square().mean()
            (loss + value if step == at else loss).backward()
            assert [row["step"] for row in doc.chart.nonfinite] == [at][: step == at]
            optimizer.step()


def test_statistics_are_kept_once_for_the_forward_passes_of_a_backward_pass():
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    with sn.doctor(net, torch.optim.SGD(net.parameters(), 0.01)) as doc:
        patient = doc.engine.patients[0]
        for _ in range(3):
            before = net[0].running_mean.clone()
            for _ in range(2):
                loss = net(torch.randn(4, 2)).mean()
                torch.testing.assert_close(patient._kept[0], before, rtol=0, atol=0)
            loss.backward()
