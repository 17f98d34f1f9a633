"""Trainings as they are met: several optimisers, several networks, transforms in odd places."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snellen as sn


def ids(doc):
    return [f.id for f in doc.findings if f.level != "advice"]


def dense(*sizes):
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def gan(made=1e-3, judged=1e-3, steps=40):
    """A ring of points; the rates of the generator and of the discriminator."""
    g, d = dense(4, 32, 32, 2), dense(2, 32, 32, 1)
    og, od = (torch.optim.Adam(net.parameters(), lr) for net, lr in ((g, made), (d, judged)))
    judge = F.binary_cross_entropy_with_logits
    with sn.doctor([g, d], [og, od]) as doc:
        for _ in range(steps):
            angle = torch.rand(64, 1) * 2 * math.pi
            real, fake = torch.cat([angle.cos(), angle.sin()], 1), g(torch.randn(64, 4))
            od.zero_grad()
            ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
            (judge(d(real), ones) + judge(d(fake.detach()), zeros)).backward()
            od.step()
            og.zero_grad()
            judge(d(fake), ones).backward()
            og.step()
    return doc


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_of_two_optimisers_the_one_whose_rate_is_too_high_is_told(seed):
    torch.manual_seed(seed)
    assert ids(gan()) == []
    found = gan(made=1.0).findings[0]
    assert (found.id, found.evidence["optimizer"], found.evidence["lr"]) == ("lr-too-high", 0, 1.0)
    found = gan(judged=1.0).findings[0]
    assert (found.id, found.evidence["optimizer"]) == ("lr-too-high", 1)
