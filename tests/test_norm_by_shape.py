"""The fused batch norm is PyTorch's; whoever looks at a layer sees what it always gave."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import snellen as sn
from snellen.core import compiled
from snellen.nn import quickest
from snellen.nn.conv_by_shape import choices
from snellen.nn.norm_by_shape import InTurn, NormByShape
from snellen.nn.one_pass_norm import LINEAR, RELU, RELU6, fused_norm
from snellen.nn.quickest import Quickest

pytestmark = pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
ACTS = {LINEAR: lambda x: x, RELU: F.relu, RELU6: F.relu6}
LAST = {"memory_format": torch.channels_last}


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    """The fused way is taken wherever it is possible, after both ways ran as they are timed."""
    monkeypatch.setattr(quickest, "_read", lambda file: {})  # what another test has timed
    monkeypatch.setattr(quickest, "_is_quicker", lambda one, other: [one(), other()] != [])


def draw(*shape, dtype=torch.float32, spread=3.0, middle=5.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * spread + middle).to(dtype).contiguous(**LAST)


def both_ways(x, bounds):
    """Output and gradients, fused and by PyTorch; float32's truth is in float64."""
    channels = x.shape[1]
    weight, bias = (draw(channels, 1, 1, 1, middle=m, seed=1).flatten() for m in (5, 1))
    grad = draw(*x.shape, dtype=x.dtype, middle=0.1, seed=2)
    ins = [v.requires_grad_() for v in (x, weight, bias)]
    out = fused_norm(*ins, bounds=bounds)
    found = [out, *torch.autograd.grad(out, ins, grad)]
    if x.dtype == torch.float32:
        ins, grad = [v.detach().double().requires_grad_() for v in ins], grad.double()
    truth = ACTS[bounds](F.batch_norm(ins[0], None, None, *ins[1:], True))
    truths = [truth, *torch.autograd.grad(truth, ins, grad)]
    return [(a.detach().double(), b.detach().double()) for a, b in zip(found, truths, strict=True)]


@pytest.mark.parametrize("bounds", ACTS, ids=["linear", "relu", "relu6"])
@pytest.mark.parametrize("shape", [(4, 3, 5, 7), (2, 64, 8, 8), (1, 24, 3, 3), (3, 700, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_output_and_gradients_are_pytorchs(shape, bounds, dtype):
    least = {torch.float32: 1e-5, torch.bfloat16: 6e-3}[dtype]
    for ours, truth in both_ways(draw(*shape, dtype=dtype), bounds):
        assert float((ours - truth).norm() / truth.norm()) < least


@pytest.mark.parametrize("bounds", [RELU, RELU6], ids=["relu", "relu6"])
@pytest.mark.parametrize("bound", [0.0, 6.0])
def test_what_lies_on_a_bound_has_the_same_gradient_derivable_or_not(bounds, bound):
    """A scale of 0, as residual branches begin, puts every value of a channel on one."""
    slopes = []
    for way, again in ((fused_norm, False), (fused_norm, True), (None, True)):
        x, weight, bias = draw(4, 8, 3, 3), torch.zeros(8), torch.full((8,), bound)
        ins = [v.requires_grad_() for v in (x, weight, bias)]
        plain = ACTS[bounds](F.batch_norm(x, None, None, weight, bias, True))
        out = plain if way is None else way(*ins, bounds=bounds)
        slopes.append(torch.autograd.grad(out, ins, draw(*x.shape, seed=2), create_graph=again))
    for some in slopes[:2]:
        torch.testing.assert_close(some, slopes[2], rtol=1e-4, atol=1e-4)


def test_a_mean_far_above_the_spread_does_not_cancel_out():
    x = draw(8, 4, 16, 16, spread=1.0, middle=1000.0)
    wanted = F.batch_norm(x.double(), None, None, training=True)
    assert float((fused_norm(x, None, None) - wanted).norm() / wanted.norm()) < 1e-4


def test_bfloat16_is_rounded_as_pytorch_rounds():
    x = draw(8, 16, 8, 8, dtype=torch.bfloat16)
    exact = F.batch_norm(x.double(), None, None, training=True)
    assert (fused_norm(x, None, None) != exact.bfloat16()).double().mean() < 1e-3


def test_what_is_not_a_number_stays_so_in_its_channel():
    for dtype in (torch.float32, torch.bfloat16):
        x = draw(2, 8, 4, 4, dtype=dtype)
        x[0, 3, 1, 1] = float("nan")
        x[1, 5, 0, 0] = float("inf")
        out = fused_norm(x.requires_grad_(), None, None, bounds=RELU6)
        (slope,) = torch.autograd.grad(out.sum(), x)
        for v in (out, slope):
            assert v.isnan().all((0, 2, 3)).nonzero().flatten().tolist() == [3, 5]


def test_two_threads_sum_up_the_same_each_time():
    x = draw(64, 64, 8, 8, dtype=torch.bfloat16)
    one, before = fused_norm(x, None, None, bounds=RELU), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = [fused_norm(x, None, None, bounds=RELU) for _ in range(3)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(two[0], again) for again in two)
    torch.testing.assert_close(two[0], one)


@pytest.mark.parametrize("settings", [{}, {"momentum": None}, {"affine": False},
                                      {"track_running_stats": False}, {"eps": 0.1}])  # fmt: skip
def test_running_statistics_and_modes_are_pytorchs(settings):
    plain = nn.Sequential(nn.BatchNorm2d(6, **settings), nn.ReLU())
    fast = sn.accelerate(copy.deepcopy(plain))
    for step in range(3):
        x = draw(4 + step, 6, 5, 5)
        torch.testing.assert_close(fast(x), plain(x), rtol=1e-5, atol=1e-5)
    assert len(choices(fast)) == 3
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fast.eval()(x), plain.eval()(x), rtol=1e-5, atol=1e-5)
    assert len(choices(fast)) == 3


def test_a_network_learns_the_same_with_and_without_a_look_at_its_layers():
    plain = sn.model("mobilenet_v2", classes=5, imgsz=32, width=0.25, dropout=0.0)
    nets = [sn.accelerate(copy.deepcopy(plain)) for _ in range(2)]
    seen = {}

    def keep(name, out):
        seen[name] = out.detach().clone()

    for name, module in nets[1].named_modules():
        if isinstance(module, nn.BatchNorm2d | nn.ReLU6):
            module.register_forward_hook(lambda m, x, y, name=name: keep(name, y))
    x = draw(4, 3, 32, 32, middle=0.0)
    for net in nets:
        with torch.autocast("cpu", torch.bfloat16):
            net(x).square().sum().backward()
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert torch.equal(seen["stem.act"], F.relu6(seen["stem.bn"]))
    assert seen["stem.bn"].min() < 0


def hooked(net):
    return [net[0].register_forward_hook(lambda *_: None)]


def backward_hooked(net):
    return [net[1].register_full_backward_hook(lambda *_: None)]


def everywhere(net):
    return [nn.modules.module.register_module_forward_pre_hook(lambda *_: None)]


def replaced(net):
    net[1].forward = lambda x: x.sigmoid()
    return []


@pytest.mark.parametrize("look", [hooked, backward_hooked, everywhere, replaced])
def test_a_pair_that_somebody_watches_is_computed_apart(look, monkeypatch):
    net = sn.accelerate(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    taken = []
    monkeypatch.setattr(NormByShape, "activated", lambda *_: taken.append(1))
    handles = look(net)
    try:
        assert isinstance(net(draw(2, 4, 3, 3)), torch.Tensor)
    finally:
        for handle in handles:
            handle.remove()
    assert not taken
    assert sn.accelerate(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))(draw(2, 4, 3, 3)) is None


def test_each_activation_is_timed_for_itself():
    net = nn.Sequential(*(nn.BatchNorm2d(4) for _ in range(3)))
    net.insert(1, nn.ReLU())
    net.insert(3, nn.ReLU6())
    sn.accelerate(net)(draw(2, 4, 3, 3))
    bounds = [key.split()[2] for key in choices(net)]
    assert bounds == ["0,inf", "0,6", "-inf,inf"]


@pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU6(), nn.Tanh()])
def test_a_new_shape_is_timed_unseen_by_autograd(act):
    x = draw(2, 4, 3, 3)
    plain = nn.Sequential(nn.BatchNorm2d(4), act)
    fast = sn.accelerate(copy.deepcopy(plain))
    fast[0].quickest = Quickest()
    with torch.inference_mode():
        torch.testing.assert_close(fast(x), plain(x), rtol=1e-5, atol=1e-5)
    fast[0].quickest = Quickest()
    outs = []
    for net in (fast, plain):
        out = checkpoint(net, x.clone().requires_grad_(), use_reentrant=False)
        out.square().sum().backward()
        outs.append([out, net[0].weight.grad])
    torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-4)


def test_only_the_class_of_plain_modules_changes_and_a_slice_goes_on():
    class Own(nn.Sequential):
        def forward(self, x):
            return super().forward(x) + 1

    net = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), Own(nn.BatchNorm2d(4), nn.Tanh()))
    before = copy.deepcopy(net)
    assert sn.accelerate(net) is net
    assert [type(m) for m in (net, net[0], net[2], net[2][0])] == [
        InTurn, NormByShape, Own, NormByShape]  # fmt: skip
    x = draw(2, 4, 3, 3)
    torch.testing.assert_close(net(x), before(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(net[:2](x), before[:2](x), rtol=1e-5, atol=1e-5)
    assert list(net.state_dict()) == list(before.state_dict())
    assert copy.deepcopy(net)(x).shape == x.shape


@pytest.mark.parametrize(
    "x",
    [draw(2, 4, 3, 3).contiguous(), draw(2, 4, 3, 3).double(), draw(2, 4, 6, 6)[:, :, ::2]],
    ids=["channels first", "float64", "holes"],
)
def test_what_has_no_choice_is_left_to_the_library(x):
    plain = nn.Sequential(nn.BatchNorm2d(4, dtype=x.dtype), nn.ReLU())
    fast = sn.accelerate(copy.deepcopy(plain))
    torch.testing.assert_close(fast(x), plain(x))
    assert choices(fast) == {}


def test_a_batch_that_cannot_be_normalised_is_refused_as_ever():
    net = sn.accelerate(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    with pytest.raises(ValueError, match="more than 1 value"):
        net(draw(1, 4, 1, 1))
    with pytest.raises(RuntimeError):
        net(draw(2, 5, 3, 3))


def test_second_derivatives_export_and_compilers_work():
    net = sn.accelerate(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    plain = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
    x = draw(3, 4, 5, 5).requires_grad_()
    curves = []
    for one in (net, plain):
        (slope,) = torch.autograd.grad(one(x).pow(3).sum(), x, create_graph=True)
        curves.append(torch.autograd.grad(slope.square().sum(), (x, one[0].weight)))
    torch.testing.assert_close(*curves, rtol=1e-3, atol=1e-4)
    x = x.detach()
    torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), plain(x))
    torch.testing.assert_close(torch.compile(net, backend="eager")(x), plain(x))
