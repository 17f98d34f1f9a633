"""A search over settings: trials that are told, and trainings of one script that are the trials."""

import math
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

import snellen as sn
from snellen.doctor.script import ScriptDoctor

SWEEP = """
    import torch
    from torch import nn
    torch.manual_seed(0)
    x = torch.randn(512, 8)
    y = (x @ torch.randn(8, 4)).argmax(1)
    for lr in RATES:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
        optimizer = torch.optim.SGD(net.parameters(), lr)
        for step in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
"""


def swept(rates):
    code = textwrap.dedent(SWEEP).replace("RATES", repr(rates))
    with ScriptDoctor(ignore=(), preflight=False) as doc:
        exec(compile(code, "sweep.py", "exec"), {})
    return [f for f in doc.findings if f.id == "search-optimum-at-boundary"]


def test_a_sweep_whose_best_rate_is_the_highest_tried():
    rates = [10 ** (-4 + 0.4 * k) for k in range(9)]  # to 0.16: a higher one learns faster yet
    (found,) = swept(rates[::-1])
    assert found.evidence["settings"]["lr"] == pytest.approx(rates[-1])
    assert "upper end of 0.0001 to 0.158" in found.message


def test_a_sweep_with_its_best_in_the_middle_and_a_cross_validation_are_silent():
    assert swept([10 ** (-3 + 0.75 * k) for k in range(9)]) == []  # to 1000: the best is near 1
    assert swept([0.1] * 9) == []
    assert swept([0.001, 0.01, 0.1]) == []


@pytest.mark.parametrize("beyond", [False, True])
def test_trials_that_a_search_of_ones_own_tells(beyond):
    doc = sn.doctor(nn.Linear(2, 1))
    torch.manual_seed(0)
    for place in torch.linspace(0, 1, 12)[torch.randperm(12)].tolist():
        lr = 1e-5 * 10 ** (2 * place)
        score = -abs(math.log10(lr) - (-1 if beyond else -4))
        doc.trial(score, {"lr": lr, "width": 64}, {"lr": (1e-5, 1e-3, True), "width": (64, 64)})
    assert [f.id for f in doc.findings] == ["search-optimum-at-boundary"] * beyond


@pytest.mark.parametrize("number", [np.float32, torch.tensor])
def test_numbers_of_numpy_and_tensors_are_numbers(number, tmp_path):
    doc = sn.doctor(nn.Linear(2, 1))
    for k in range(10):
        lr, ends = number(10 ** (-5 + 2 * k / 9)), (number(1e-5), number(1e-3), True)
        doc.trial(number(k / 10), {"lr": lr}, {"lr": ends})
    assert [f.id for f in doc.findings] == ["search-optimum-at-boundary"]
    doc.to_json(tmp_path / "findings.json")


def test_a_range_without_two_ends_is_refused():
    with pytest.raises(sn.UsageError, match="the range of lr"):
        sn.doctor(nn.Linear(2, 1)).trial(0.5, {"lr": 0.1}, {"lr": (0.1,)})
