"""Transposed convolutions as products equal the library's, with all of their gradients."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import snellen as sn
from snellen.nn import quickest
from snellen.nn.conv_by_shape import choices, slowed
from snellen.nn.transposed_by_shape import TransposedByShape

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
LAST = {"memory_format": torch.channels_last}


@pytest.fixture
def products(monkeypatch):
    """The product is taken wherever it is possible, whatever another test has timed."""
    monkeypatch.setattr(quickest, "_read", lambda file: {})
    monkeypatch.setattr(quickest, "_is_quicker", lambda one, other: True)


def there_and_back(layer, x):
    """What a layer gives, and the gradients at its input and at its parameters."""
    leaf = x.clone().requires_grad_()
    out = layer(leaf)
    pull = torch.cos(torch.arange(out.numel()).view(out.shape)).to(out)
    return [out.detach(), *torch.autograd.grad(out, (leaf, *layer.parameters()), pull)]


@settings(deadline=None, max_examples=60,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(kernel=PAIR, stride=PAIR, dilation=PAIR, share=PAIR, beyond=PAIR, size=PAIR,
       bias=st.booleans())  # fmt: skip
def test_output_and_gradients_are_the_librarys(
    products, kernel, stride, dilation, share, beyond, size, bias
):
    padding = tuple(min(p - 1, k - 1) for p, k in zip(share, kernel, strict=True))
    beyond = tuple(min(b - 1, s - 1) for b, s in zip(beyond, stride, strict=True))
    size = tuple(n + 3 for n in size)
    torch.manual_seed(0)
    plain = nn.ConvTranspose2d(16, 3, kernel, stride, padding, beyond, 1, bias, dilation).to(**LAST)
    fast = sn.accelerate(copy.deepcopy(plain))
    x = torch.randn(2, 16, *size).contiguous(**LAST)
    found, wanted = there_and_back(fast, x), there_and_back(plain, x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert [t.stride() for t in found[:2]] == [t.stride() for t in wanted[:2]]
    assert type(fast) is TransposedByShape
    assert len(choices(fast)) == 3
    assert all(choices(fast).values())


@pytest.mark.parametrize("way", [False, True], ids=["library", "product"])
def test_bf16_is_as_far_from_the_truth_as_the_librarys(way, monkeypatch):
    monkeypatch.setattr(quickest, "_read", lambda file: {})
    monkeypatch.setattr(quickest, "_is_quicker", lambda one, other: way)
    torch.manual_seed(0)
    plain = nn.ConvTranspose2d(64, 32, 2, 2).to(**LAST)
    x = torch.randn(4, 64, 8, 8).contiguous(**LAST)
    truth = there_and_back(copy.deepcopy(plain).double(), x.double())

    def strays(layer):
        with torch.autocast("cpu", torch.bfloat16):
            found = there_and_back(layer, x)
        return [float((a - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True)]

    library = strays(plain)
    assert all(
        a < 1.5 * b + 1e-3 for a, b in zip(strays(sn.accelerate(plain)), library, strict=True)
    )


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.ConvTranspose2d(16, 16, 2, 2, groups=4), (2, 16, 8, 8)),
        (nn.ConvTranspose2d(16, 4, 2, 2).double(), (2, 16, 8, 8)),
        (nn.ConvTranspose2d(3, 16, 2, 2), (2, 3, 8, 8)),
        (nn.ConvTranspose2d(16, 4, 2, 2), (16, 8, 8)),
        (nn.ConvTranspose2d(16, 4, 2, 2, output_padding=2, dilation=3), (2, 16, 4, 4)),
        (nn.ConvTranspose2d(16, 2, 4, 2, 1), (1, 16, 20, 20)),
    ],
    ids=["grouped", "float64", "thin", "unbatched", "padded beyond its stride", "large"],
)
def test_what_has_no_choice_is_left_to_the_library(layer, shape, products):
    x = torch.randn(shape, dtype=layer.weight.dtype)
    x = x.contiguous(**LAST) if x.ndim == 4 else x
    wanted = there_and_back(layer, x)
    fast = sn.accelerate(layer)
    torch.testing.assert_close(there_and_back(fast, x), wanted, rtol=1e-4, atol=1e-4)
    assert choices(fast) == {}


def test_a_size_that_is_asked_for_is_given(products):
    plain = nn.ConvTranspose2d(16, 4, 3, 2)
    fast, x = sn.accelerate(copy.deepcopy(plain)), torch.randn(1, 16, 4, 4)
    torch.testing.assert_close(fast(x, [10, 10]), plain(x, [10, 10]))
    assert fast(x.contiguous(**LAST)).shape == plain(x).shape


def test_an_output_without_pixels_is_refused_as_ever(products):
    layer = sn.accelerate(nn.ConvTranspose2d(16, 4, 3, 2, 4))
    with pytest.raises(RuntimeError):
        layer(torch.randn(2, 16, 3, 4).contiguous(**LAST))


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(16, 4, 3, 2)

    def forward(self, x):
        return self.up(x, [10, 10])


def test_a_size_that_is_asked_for_is_traced(products):
    net, x = sn.accelerate(Sized()), torch.randn(1, 16, 4, 4)
    torch.testing.assert_close(torch.fx.symbolic_trace(net)(x), net(x))


def test_the_plain_layer_comes_back():
    layer = sn.accelerate(nn.Sequential(nn.ConvTranspose2d(16, 4, 2, 2)))
    slowed(layer)
    assert type(layer[0]) is nn.ConvTranspose2d
    assert "quickest" not in vars(layer[0])


def test_a_u_net_computes_the_same(products):
    torch.manual_seed(0)
    net = sn.model("unet-small", classes=3, imgsz=32)
    fast = sn.accelerate(copy.deepcopy(net))
    x = torch.randn(2, 3, 32, 32).contiguous(**LAST)
    found, wanted = there_and_back(fast, x), there_and_back(net, x)
    for a, b in zip(found, wanted, strict=True):
        assert float((a - b).norm()) <= 1e-3 * float(b.norm()) + 1e-4
    assert sum(key.startswith("transposed") for key in choices(fast)) >= 6
