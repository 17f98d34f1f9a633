"""Activations: identities, limits, kinks, and what the notes say of them."""

import pytest
import torch
from close import array, grads, normal, same
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.byhand import activations, maxout, softmax

FAR = torch.tensor([-1e4, -1.0, 0.0, 1.0, 1e4], dtype=torch.float64)


@pytest.mark.parametrize(
    ("function", "forward", "backward"),
    [
        (torch.sigmoid, activations.sigmoid_forward, activations.sigmoid_backward),
        (torch.tanh, activations.tanh_forward, activations.tanh_backward),
        (torch.relu, activations.relu_forward, activations.relu_backward),
        (F.leaky_relu, activations.leaky_relu_forward, activations.leaky_relu_backward),
        (F.elu, activations.elu_forward, activations.elu_backward),
    ],
    ids=["sigmoid", "tanh", "relu", "leaky_relu", "elu"],
)
def test_activation_is_the_formula_forward_and_backward(function, forward, backward):
    x = normal(200, seed=4, requires_grad=True) * 3
    x = x.detach().requires_grad_()
    assert x.abs().min() > 1e-4  # away from the kink
    out = function(x)
    wanted, cache = forward(array(x))
    same(out, wanted)
    down, found = grads(out, x)
    same(found, backward(down, cache))
    assert torch.autograd.gradcheck(function, (x[:20],))


def test_sigmoid_and_tanh_do_not_overflow_and_saturate():
    x = FAR.clone().requires_grad_()
    out = torch.sigmoid(x)
    assert out.tolist()[::4] == [0.0, 1.0]
    out.sum().backward()
    same(x.grad, out * (1 - out))
    assert x.grad.isfinite().all()
    assert torch.tanh(FAR).tolist()[::4] == [-1.0, 1.0]


@pytest.mark.parametrize(("scale", "low", "high"), [(0.1, 0.0, 0.0), (50.0, 0.8, 1.0)])
def test_the_saturated_share_of_a_sigmoid_grows_with_its_inputs(scale, low, high):
    out = torch.sigmoid(normal(10_000) * scale)
    share = ((out < 0.01) | (out > 0.99)).double().mean().item()
    assert low <= share <= high


def test_tanh_is_two_sigmoids_less_one():
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    same(2 * torch.sigmoid(2 * x) - 1, torch.tanh(x), atol=1e-15)
    assert torch.tanh(x).mean().abs() < 1e-12
    assert torch.sigmoid(x).mean().item() == pytest.approx(0.5)  # never below 0


def test_a_relu_that_no_sample_opens_is_dead_and_a_leaky_one_lives():
    x = normal(256, 8)
    linear = nn.Linear(8, 10).double()
    with torch.no_grad():
        linear.bias[:4] = -100
    dead = ((torch.relu(linear(x)) > 0).sum(0) == 0).sum().item()
    assert dead == 4
    for function, gradient_stops in ((torch.relu, True), (F.leaky_relu, False)):
        linear.zero_grad()
        function(linear(x)).sum().backward()
        assert (linear.weight.grad[:4] == 0).all().item() is gradient_stops


def test_prelu_is_the_formula_forward_and_backward():
    x, slope = normal(50, 3, seed=2, requires_grad=True), normal(1, seed=3, requires_grad=True)
    out = F.prelu(x, slope)
    wanted, cache = activations.prelu_forward(array(x), array(slope[0]))
    same(out, wanted)
    down, *found = grads(out, x, slope)
    d_x, d_slope = activations.prelu_backward(down, cache)
    same(found[0], d_x)
    same(found[1], d_slope.reshape(1))
    assert nn.PReLU().weight.item() == 0.25


def test_the_notes_form_of_prelu_holds_up_to_a_slope_of_one():
    x, slopes = normal(50, 3), torch.tensor([0.25, 0.9, 1.8], dtype=torch.float64)
    notes, out = torch.maximum(x, slopes * x), F.prelu(x, slopes)
    same(notes[:, :2], out[:, :2])
    assert not torch.allclose(notes[:, 2], out[:, 2])


def test_leaky_relus_slope_is_a_hundredth():
    assert nn.LeakyReLU()(FAR).tolist() == [-100.0, -0.01, 0.0, 1.0, 1e4]


def test_elu_saturates_at_minus_alpha_and_is_smooth_at_zero():
    assert F.elu(FAR, 2.0)[0].item() == -2
    x = torch.tensor([-1e-9, 1e-9], dtype=torch.float64, requires_grad=True)
    F.elu(x).sum().backward()
    same(x.grad, torch.ones(2, dtype=torch.float64), atol=1e-8)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_maxout_is_the_largest_map_forward_and_backward(pieces):
    torch.manual_seed(0)
    layer = sn.nn.Maxout(4, 5, pieces).double()
    x = normal(6, 4, requires_grad=True)
    out = layer(x)
    weight, bias = layer.linear.weight, layer.linear.bias

    def by_piece(values_R):
        return values_R.reshape(5, pieces, *values_R.shape[1:]).swapaxes(0, 1)

    wanted, cache = maxout.maxout_forward(array(x), by_piece(array(weight)), by_piece(array(bias)))
    same(out, wanted)
    down, d_x, d_w, d_b = grads(out, x, weight, bias)
    found = d_x, by_piece(d_w), by_piece(d_b)
    for got, want in zip(found, maxout.maxout_backward(down, cache), strict=True):
        same(got, want)
    assert sn.nn.count_params(layer) == pieces * sn.nn.count_params(nn.Linear(4, 5))


@pytest.mark.parametrize(("slope", "function"), [(0.0, torch.relu), (0.01, F.leaky_relu)])
def test_maxout_of_a_map_and_its_fraction_is_relu_exactly(slope, function):
    layer, linear = sn.nn.Maxout(3, 4).double(), nn.Linear(3, 4).double()
    with torch.no_grad():
        layer.linear.weight[0::2] = linear.weight * slope
        layer.linear.bias[0::2] = linear.bias * slope
        layer.linear.weight[1::2] = linear.weight
        layer.linear.bias[1::2] = linear.bias
    x = normal(2, 5, 3)  # any axes before the last
    same(layer(x), function(linear(x)), atol=0 if slope == 0 else 1e-15)


def test_maxout_behind_a_convolution_is_the_largest_of_k_convolutions():
    x, conv = normal(2, 3, 5, 5), nn.Conv2d(3, 8, 3).double()
    every = [F.conv2d(x, conv.weight[i::2], conv.bias[i::2]) for i in range(2)]
    same(sn.nn.largest_piece(conv(x), 2), torch.maximum(*every))


def test_softmax_is_finite_at_ten_thousand_and_blind_to_shifts():
    scores = normal(4, 5) * 1e4
    p = scores.softmax(1)
    assert p.isfinite().all()
    same(p.sum(1), torch.ones(4, dtype=torch.float64))
    assert (scores.exp() / scores.exp().sum(1, keepdim=True)).isnan().any()  # the naive form
    same((normal(4, 5) + 100).softmax(1), normal(4, 5).softmax(1))
    wanted, cache = softmax.softmax_forward(array(scores))
    same(p, wanted)
    x = normal(4, 5, seed=2, requires_grad=True)
    _, cache = softmax.softmax_forward(array(x))
    down, found = grads(x.softmax(1), x)
    same(found, softmax.softmax_backward(down, cache))


def test_relu6_and_hard_swish_are_clipped():
    x = torch.linspace(-9, 9, 181, dtype=torch.float64)
    clipped = x.clamp(0, 6)
    same(F.relu6(x), clipped)
    same(F.hardswish(x), x * (x + 3).clamp(0, 6) / 6)
    assert (F.hardswish(x) - F.silu(x)).abs().max() < 0.3


def test_embedding_is_a_linear_of_the_one_hot_vector():
    words = torch.tensor([[2, 0, 2], [4, 1, 3]])
    layer = nn.Embedding(5, 3).double()
    one_hot = F.one_hot(words, 5)
    assert one_hot.tolist()[0] == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    same(layer(words), one_hot.double() @ layer.weight)
    down, found = grads(layer(words), layer.weight)
    same(found, one_hot.double().flatten(0, 1).T @ torch.as_tensor(down).flatten(0, 1))
