"""The matrix product equals the library's convolution; a choice between them changes no more."""

import copy
import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import snellen as sn
from snellen.nn import quickest
from snellen.nn.conv_by_shape import ConvByShape, choices, recall
from snellen.nn.depthwise import roomy_gradient, spread_gradient
from snellen.nn.im2col import Geometry, input_gradient, matrix_conv, weight_gradient
from snellen.nn.quickest import Quickest
from snellen.train.checkpoint import load

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.fixture
def products(monkeypatch):
    """The matrix product is taken wherever it is possible, whatever another test has timed."""
    monkeypatch.setattr(quickest, "_read", lambda file: {})
    monkeypatch.setattr(quickest, "_is_quicker", lambda one, other: True)


@settings(deadline=None, max_examples=80)
@given(
    kernel=PAIR, stride=PAIR, dilation=PAIR,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    size=st.tuples(st.integers(7, 10), st.integers(7, 10)), seed=st.integers(0, 99),
)  # fmt: skip
def test_output_and_gradients_are_the_convolutions(kernel, stride, dilation, padding, size, seed):
    generator = torch.Generator().manual_seed(seed)
    geometry = Geometry(kernel, stride, padding, dilation)
    x, weight, bias = (
        torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True)
        for s in ((2, 3, *size), (4, 3, *kernel), (4,))
    )
    wanted = F.conv2d(x, weight, bias, stride, padding, dilation)
    grad = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    to_x, to_weight = torch.autograd.grad(wanted, (x, weight), grad)
    close = {"atol": 1e-10, "rtol": 1e-10}
    torch.testing.assert_close(matrix_conv(x, weight, bias, geometry=geometry), wanted, **close)
    torch.testing.assert_close(input_gradient(size, weight, grad, geometry=geometry), to_x, **close)
    torch.testing.assert_close(weight_gradient(x, grad, geometry), to_weight, **close)


@settings(deadline=None, max_examples=60)
@given(
    kernel=PAIR, stride=PAIR, dilation=PAIR, size=st.tuples(st.integers(7, 10), st.integers(7, 10)),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)  # fmt: skip
def test_the_spread_gradient_is_the_depthwise_one(kernel, stride, dilation, size, share):
    reach = (d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    padding = tuple(round(part * r) for part, r in zip(share, reach, strict=True))
    geometry = Geometry(kernel, stride, padding, dilation)
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, *kernel, dtype=torch.float64)
    out = F.conv2d(x, weight, None, stride, padding, dilation, 4)
    grad = torch.randn_like(out)
    (wanted,) = torch.autograd.grad(out, x, grad)
    torch.testing.assert_close(spread_gradient(size, weight, grad, geometry=geometry), wanted)


@settings(deadline=None, max_examples=60)
@given(
    kernel=PAIR, stride=PAIR, dilation=PAIR, size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)  # fmt: skip
def test_a_map_with_room_around_has_the_depthwise_weight_gradient(kernel, stride, dilation, size):
    padding = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    weight = torch.randn(4, 1, *kernel, dtype=torch.float64, requires_grad=True)
    out = F.conv2d(x, weight, None, stride, padding, dilation, 4)
    grad = torch.randn_like(out)
    (wanted,) = torch.autograd.grad(out, weight, grad)
    geometry = Geometry(kernel, stride, padding, dilation)
    torch.testing.assert_close(roomy_gradient(x, weight, grad, geometry=geometry), wanted)


def one_step(net, x, *, bf16):
    """Logits and the gradient of every parameter."""
    net.zero_grad()
    torch.manual_seed(0)  # of dropout
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = net(x.contiguous(memory_format=torch.channels_last))
    out.float().square().sum().backward()
    return [out.detach().double(), *(p.grad.double() for p in net.parameters())]


def strays(some, truth):
    """Relative errors; a gradient that is nothing but rounding counts by the others' size."""
    least = 1e-3 * max(float(b.norm()) for b in truth)
    pairs = zip(some, truth, strict=True)
    return [float((a - b).norm()) / max(float(b.norm()), least) for a, b in pairs]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_network_computes_the_same_within_rounding(products, name):
    torch.manual_seed(0)
    net = sn.model(name, classes=5, imgsz=32)
    fast = sn.accelerate(copy.deepcopy(net), norms=False)
    x = torch.randn(4, 3, 32, 32)
    whole = one_step(net, x, bf16=False)
    assert max(strays(one_step(fast, x, bf16=False), whole)) < 1e-3
    assert sum(choices(fast).values()) > 20
    library = strays(one_step(net, x, bf16=True), whole)
    ours = strays(one_step(fast, x, bf16=True), whole)
    assert all(a < 1.5 * b + 1e-3 for a, b in zip(ours, library, strict=True))


def test_nothing_but_the_class_of_plain_convolutions_changes():
    net = nn.Sequential(
        nn.Conv2d(16, 16, 3), nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 4, 1)), nn.ReLU()
    )
    seen = []
    net[0].register_forward_hook(lambda *_: seen.append(1))
    before, identities = copy.deepcopy(net.state_dict()), [id(p) for p in net.parameters()]
    assert sn.accelerate(net) is net
    assert [type(m) for m in net][::2] == [ConvByShape, nn.ReLU]
    assert not isinstance(net[1], ConvByShape)
    assert [id(p) for p in net.parameters()] == identities
    assert list(net.state_dict()) == list(before)
    net(torch.zeros(1, 16, 8, 8))
    assert seen == [1]
    assert copy.deepcopy(net)[0].quickest is not net[0].quickest


@pytest.mark.parametrize(
    ("conv", "shape"),
    [
        (nn.Conv2d(16, 16, 3, groups=4), (2, 16, 8, 8)),
        (nn.Conv2d(16, 16, 3, padding="same"), (2, 16, 8, 8)),
        (nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"), (2, 16, 8, 8)),
        (nn.Conv2d(16, 16, 3).double(), (2, 16, 8, 8)),
        (nn.Conv2d(3, 16, 3), (2, 3, 8, 8)),
        (nn.Conv2d(16, 16, 3), (16, 8, 8)),
        (nn.Conv2d(16, 16, 3), (0, 16, 8, 8)),
        (nn.Conv2d(16, 16, 1), (1, 16, 40, 40)),
    ],
    ids=["grouped", "same", "reflect", "float64", "thin", "unbatched", "empty", "large"],
)
def test_what_has_no_choice_is_left_to_the_library(conv, shape, products):
    x = torch.randn(shape, dtype=conv.weight.dtype)
    wanted = conv(x)
    fast = sn.accelerate(conv)
    torch.testing.assert_close(fast(x), wanted)
    assert choices(fast) == {}


def test_an_input_that_does_not_fit_is_refused_as_ever():
    conv = sn.accelerate(nn.Conv2d(16, 4, 5))
    for shape in ((1, 8, 8, 8), (1, 16, 3, 3)):
        with pytest.raises(RuntimeError):
            conv(torch.zeros(shape).contiguous(memory_format=torch.channels_last))


def test_transforms_export_and_second_derivatives_work(products):
    net = sn.accelerate(nn.Conv2d(16, 4, 3, bias=False))
    x = torch.randn(2, 16, 5, 5).contiguous(memory_format=torch.channels_last)
    wanted = F.conv2d(x, net.weight)
    torch.testing.assert_close(torch.func.vmap(lambda v: net(v[None])[0])(x), wanted)
    torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), wanted)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(net(x).pow(3).sum(), x, create_graph=True)
    (curve,) = torch.autograd.grad(slope.square().sum(), net.weight)
    (plain,) = torch.autograd.grad(F.conv2d(x, net.weight).pow(3).sum(), x, create_graph=True)
    (wanted,) = torch.autograd.grad(plain.square().sum(), net.weight)
    torch.testing.assert_close(curve, wanted, rtol=1e-3, atol=1e-3)


def test_a_choice_is_timed_once_and_kept_in_the_file(tmp_path):
    file = tmp_path / "deep" / "table.json"
    calls = []
    ways = [lambda: calls.append("slow") or torch.randn(400, 400).matmul(torch.randn(400, 400)),
            lambda: calls.append("quick") or torch.zeros(1)]  # fmt: skip
    Quickest(file).of("key", *ways)
    assert json.loads(file.read_text()) == {f"key {torch.get_num_threads()}t": True}
    calls.clear()
    Quickest(file).of("key", *ways)
    assert calls == ["quick"]


def test_a_choice_holds_for_the_threads_that_it_was_timed_with(tmp_path, monkeypatch):
    """A network is accelerated before the training sets its threads."""
    seen = []
    monkeypatch.setattr(
        quickest, "_is_quicker", lambda one, other: seen.append(torch.get_num_threads()) or True
    )
    table, before = Quickest(tmp_path / "table.json"), torch.get_num_threads()
    try:
        for count in (2, 1, 2):
            torch.set_num_threads(count)
            table.is_second("key", list, list)
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 1]
    assert json.loads((tmp_path / "table.json").read_text()) == {"key 1t": True, "key 2t": True}


def test_a_damaged_or_forbidden_cache_only_costs_the_timing(tmp_path):
    damaged = tmp_path / "table.json"
    for text in ("[1, 2", "[1, 2]", '{"key": "yes"}'):
        damaged.write_text(text)
        assert Quickest(damaged).kept == {}
    (tmp_path / "file").write_text("no folder")
    table = Quickest(tmp_path / "file" / "table.json")
    assert table.of("key", lambda: torch.ones(1), lambda: torch.ones(1)).item() == 1
    assert len(table.table) == 1


def test_a_network_that_grew_is_accelerated_again_with_the_same_choices():
    net = sn.accelerate(nn.Sequential(nn.Conv2d(16, 16, 3)))
    net.append(nn.Conv2d(16, 16, 3, 2))
    sn.accelerate(net)(torch.zeros(1, 16, 8, 8).contiguous(memory_format=torch.channels_last))
    assert len(choices(net)) == 2


def test_choices_that_are_recalled_are_made_again():
    x = torch.randn(2, 16, 6, 6).contiguous(memory_format=torch.channels_last)
    first = sn.accelerate(nn.Conv2d(16, 16, 3))
    first(x)
    turned = {key: not product for key, product in choices(first).items()}
    recall(first, turned)
    first(x)
    assert choices(first) == turned != {}


def test_a_run_keeps_its_choices_in_its_checkpoint(tmp_path):
    x = torch.randint(0, 256, (32, 3, 16, 16), dtype=torch.uint8)
    y = torch.arange(32) % 2
    net = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3), nn.Flatten(),
                        nn.Linear(16 * 36, 2))  # fmt: skip
    run = sn.train((x, y), model=net, epochs=1, convolution="by_shape", channels_last=True,
                   doctor=False, preflight="off", project=str(tmp_path), quiet=True)  # fmt: skip
    kept = load(run.path / "weights")[0].state["convolutions"]
    assert any(key.startswith("to weight") for key in kept)
    assert os.environ["SNELLEN_CACHE"] in str(quickest.machine_table("convolution"))


def pair():
    """A net as it is, and accelerated."""
    net = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                        nn.ConvTranspose2d(16, 8, 2, 2), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten())  # fmt: skip
    return net, sn.accelerate(copy.deepcopy(net))


def batched(net, x):
    return torch.autograd.functional.jacobian(net, x, vectorize=True)


def forward_mode(net, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(net(forward_ad.make_dual(x, x.cos()))).tangent


def by_fx(net, x):
    graph = torch.fx.symbolic_trace(net)
    assert len(graph.graph.nodes) == len(net) + 2
    return graph(x)


def scripted(net, x):
    return torch.jit.script(net)(x)


def of_double_in_autocast(net, x):
    with torch.autocast("cpu", torch.bfloat16):
        return net.double()(x.double())


def backward_in_autocast(net, x):
    out = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        return torch.autograd.grad(out.square().sum(), net[0].weight)[0]


def counted(net, x):
    with FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    return torch.tensor(counter.get_flop_counts()["Global"][torch.ops.aten.convolution])


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("use", [batched, forward_mode, by_fx, scripted, of_double_in_autocast,
                                 backward_in_autocast, counted])  # fmt: skip
def test_what_a_plain_network_can_an_accelerated_one_can(use, products):
    plain, fast = pair()
    x = torch.randn(2, 16, 5, 5).contiguous(memory_format=torch.channels_last)
    wanted, found = use(plain, x), use(fast, x)
    assert found.dtype == wanted.dtype
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("frozen", "moved", "asked"),
    [("weight", True, {"out", "to input"}), ("none", False, {"out", "to weight"}),
     ("none", True, {"out", "to input", "to weight"}), ("bias", True,
                                                        {"out", "to input", "to weight"})],
)  # fmt: skip
def test_only_gradients_that_are_wanted_are_computed(frozen, moved, asked):
    net = sn.accelerate(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1)))
    net[0].quickest = Quickest()
    if frozen != "none":
        getattr(net[0], frozen).requires_grad_(False)
    x = torch.randn(2, 32, 4, 4).contiguous(memory_format=torch.channels_last)
    net(x.requires_grad_(moved)).sum().backward()
    assert {key.split(" 2x32")[0] for key in net[0].quickest.table} == asked
    grads = (x.grad, net[0].weight.grad, net[0].bias.grad)
    wanted = (moved, frozen != "weight", frozen != "bias")
    assert tuple(grad is not None for grad in grads) == wanted


def test_shapes_are_told_apart_by_type_and_by_how_windows_lie():
    x = torch.randn(2, 32, 4, 4).contiguous(memory_format=torch.channels_last)
    keys = set()
    for how in ({"padding": 1}, {"padding": 2, "dilation": 2}, {"padding": 1, "stride": 2}):
        net = sn.accelerate(nn.Sequential(nn.Conv2d(32, 32, 3, **how)))
        for dtype in (torch.float32, torch.bfloat16):
            net[0].quickest = Quickest()
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                net(x)
            (key,) = net[0].quickest.table
            keys.add(key)
    assert len(keys) == 6
