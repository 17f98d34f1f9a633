"""Initialisers: what they draw, and what becomes of a signal that goes deep."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.models import row

init = nn.init


def seeded(draw, *shape):
    torch.manual_seed(0)
    return draw(torch.empty(*shape))


def spreads(draw, function, depth, width=500, batch=1000):
    """The standard deviation of the activations after each of `depth` layers."""
    torch.manual_seed(0)
    x = torch.randn(batch, width)
    found = []
    for _ in range(depth):
        x = function(x @ draw(torch.empty(width, width)).T)
        found.append(x.std().item())
    return found


@pytest.mark.parametrize("draw", [init.xavier_normal_, init.xavier_uniform_])
def test_xaviers_variance_is_two_over_in_plus_out(draw):
    weight = seeded(draw, 500, 2000)  # 1e6 numbers
    assert weight.var().item() == pytest.approx(2 / 2500, rel=0.01)
    assert abs(weight.mean().item()) < 1e-4
    if draw is init.xavier_uniform_:
        bound = (6 / 2500) ** 0.5
        assert bound * 0.999 < weight.abs().max().item() <= bound


@pytest.mark.parametrize("draw", [init.kaiming_normal_, init.kaiming_uniform_])
def test_hes_variance_is_two_over_in(draw):
    weight = seeded(lambda w: draw(w, nonlinearity="relu"), 500, 2000)
    assert weight.var().item() == pytest.approx(2 / 2000, rel=0.01)


def test_calibration_gives_the_output_the_inputs_variance():
    weight = seeded(lambda w: init.kaiming_normal_(w, nonlinearity="linear"), 1000, 1000)
    assert weight.std().item() == pytest.approx(1000**-0.5, rel=0.01)
    x = torch.randn(1000, 1000) * 3
    assert (x @ weight.T).var().item() == pytest.approx(x.var().item(), rel=0.02)
    printed = 0.01 * weight  # as the notes print it
    assert (x @ printed.T).var().item() < 1e-3


def test_he_keeps_twenty_relu_layers_alive_and_a_hundredth_does_not():
    he = spreads(lambda w: init.kaiming_normal_(w, nonlinearity="relu"), torch.relu, 20)
    assert max(he) / min(he) < 2
    small = spreads(lambda w: init.normal_(w, std=0.01), torch.relu, 20)
    assert small[-1] < 1e-10


def test_ten_tanh_layers_of_a_hundredth_collapse_as_in_the_course():
    """CS231n draws: 0.21, 0.048, 0.011, ... about 0.22 from one to the next, 1e-7 at the tenth."""
    found = spreads(lambda w: init.normal_(w, std=0.01), torch.tanh, 10)
    assert found[0] == pytest.approx(0.2136, rel=0.03)
    ratios = [b / a for a, b in itertools.pairwise(found)]
    assert ratios[2:] == pytest.approx([0.01 * 500**0.5] * len(ratios[2:]), rel=0.05)
    assert found[-1] < 1e-6
    xavier = spreads(init.xavier_normal_, torch.tanh, 10)
    assert xavier[-1] > 0.2
    large = spreads(lambda w: init.normal_(w, std=1.0), torch.tanh, 10)
    assert large[-1] > 0.9  # all saturated: +-1


def test_all_zeros_leave_the_units_of_a_layer_the_same_and_the_doctor_says_so():
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    for parameter in net.parameters():
        init.zeros_(parameter)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.arange(64) % 3
    with sn.doctor(net, optimiser, nn.functional.cross_entropy) as doc:
        for _ in range(25):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimiser.step()
    gradient = net[0].weight.grad
    assert torch.equal(gradient, gradient[:1].expand_as(gradient))
    assert torch.equal(net[0].weight, net[0].weight[:1].expand_as(net[0].weight))
    assert doc.findings[0].id == "init-zero"


@pytest.mark.parametrize("shape", [(30, 50), (8, 4, 3, 3)])
@pytest.mark.parametrize("k", [1, 10])
def test_sparse_has_exactly_k_inputs_a_unit_and_some_for_each(shape, k):
    weight = torch.full(shape, 7.0)
    torch.manual_seed(0)
    assert sn.nn.sparse_fan_in_(weight, k) is weight
    assert ((weight.flatten(1) != 0).sum(1) == k).all()
    assert (weight.flatten(1) != 0).any(0).sum() > min(k * shape[0], 36) * 0.5
    by_torch = init.sparse_(torch.empty(30, 50), sparsity=0.8)
    assert len((by_torch != 0).sum(1).unique()) > 1  # there the fan-in is left to chance


def test_sparse_keeps_its_deviation_type_and_generator():
    weight = torch.empty(4000, 30, dtype=torch.float64)
    sn.nn.sparse_fan_in_(weight, 10, std=0.5, generator=torch.Generator().manual_seed(3))
    assert weight[weight != 0].std().item() == pytest.approx(0.5, rel=0.02)
    again = torch.empty_like(weight)
    sn.nn.sparse_fan_in_(again, 10, std=0.5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(weight, again)
    parameter = nn.Linear(20, 3).weight
    sn.nn.sparse_fan_in_(parameter)
    assert parameter.requires_grad
    assert sn.nn.sparse_fan_in_(torch.empty(2, 12, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_constant_biases_are_exact():
    assert (init.constant_(torch.empty(9), 0.01) == torch.tensor(0.01)).all()
    assert not init.zeros_(torch.empty(9)).any()


@pytest.fixture
def thin():
    def build(name):
        torch.manual_seed(len(name) + int(name[3:5]))
        return replace(row(name), widths=(4, 4, 8, 8, 8), hidden=8, pooled=1).build(5, 3)

    return build


@pytest.mark.parametrize(("shallow", "deep"), [("vgg11", "vgg16"), ("vgg16", "vgg19"),
                                               ("vgg11_bn", "vgg19_bn")])  # fmt: skip
def test_vgg_grows_layer_by_layer(thin, shallow, deep):
    small, large = thin(shallow), thin(deep)
    before = {k: v.clone() for k, v in large.state_dict().items()}
    copied = sn.nn.grow_from(small, large)
    after, source = large.state_dict(), small.state_dict()
    shared = {key for key in after if key.rpartition(".")[0] in copied}
    assert shared == set(source)
    assert all(torch.equal(after[key], source[key]) for key in shared)
    new = set(after) - shared
    assert all(torch.equal(after[key], before[key]) for key in new)
    convolutions = sum(after[key].ndim == 4 for key in new)
    assert convolutions == int(deep[3:5]) - int(shallow[3:5])
    assert all(after[key].std() > 0 for key in new if after[key].ndim == 4)  # random, not zero


def test_the_paper_copied_four_convolutions_and_three_fully_connected(thin):
    small, large = thin("vgg11"), thin("vgg16")
    copied = sn.nn.grow_from(small, large, fresh=("block4", "block5"))
    kinds = [type(dict(small.named_modules())[name]) for name in copied]
    assert kinds == [nn.Conv2d] * 4 + [nn.Linear] * 3


def test_what_does_not_fit_is_named_and_nothing_is_copied():
    small = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    large = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5))
    before = large[0].weight.clone()
    with pytest.raises(sn.UsageError, match=r"'1'.*\(4, 3\).*\(5, 3\).*fresh"):
        sn.nn.grow_from(small, large)
    assert torch.equal(large[0].weight, before)
    assert sn.nn.grow_from(small, large, fresh=["1"]) == ["0"]


def test_fresh_names_whole_layers_not_beginnings_of_names():
    small = nn.ModuleDict({"block1": nn.Linear(2, 2), "block10": nn.Linear(2, 2)})
    large = nn.ModuleDict({"block1": nn.Linear(2, 2), "block10": nn.Linear(2, 2)})
    assert sn.nn.grow_from(small, large, fresh=["block1"]) == ["block10"]
