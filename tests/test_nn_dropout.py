"""Dropout in its four forms: the mean stays, the test is plain, the mask can be had again."""

import itertools

import pytest
import torch
from close import array, grads, normal, same
from torch import nn

import snellen as sn
from snellen.byhand import dropout

DRAWS = 20_000


@pytest.fixture(autouse=True)
def _same_draws():
    torch.manual_seed(0)


def within_three_sigma(samples, mean):
    """samples_N* -> whether their average is the mean, to three standard errors each."""
    error = samples.std(0) / len(samples) ** 0.5
    return ((samples.mean(0) - mean).abs() <= 3 * error + 1e-12).float().mean() > 0.95


def masks(width, keep):
    """Every mask over `width` values, with its probability."""
    for bits in itertools.product((0.0, 1.0), repeat=width):
        mask = torch.tensor(bits, dtype=torch.float64)
        yield mask, (keep**mask * (1 - keep) ** (1 - mask)).prod()


def test_vanilla_dropouts_test_is_the_mean_over_all_masks_of_a_linear_layer():
    keep, x = 0.3, normal(4, 6)
    linear = nn.Linear(6, 3).double()
    layer = sn.nn.VanillaDropout(keep).eval()
    mean = sum(chance * linear(x * mask) for mask, chance in masks(6, keep))
    same(linear(layer(x)), mean)


def test_vanilla_dropout_masks_in_training_and_scales_in_the_test():
    x, layer = normal(50, 40) + 10, sn.nn.VanillaDropout(0.8)
    out = layer(x)
    assert ((out == 0) | (out == x)).all()
    assert (out != 0).double().mean().item() == pytest.approx(0.8, abs=0.03)
    same(layer.eval()(x), dropout.vanilla_test(array(x), keep=0.8))
    assert torch.equal(sn.nn.VanillaDropout(1.0)(x), x)


def test_vanilla_dropouts_gradient_is_the_mask():
    x = normal(5, 6, requires_grad=True)
    torch.manual_seed(3)
    out = sn.nn.VanillaDropout(0.5)(x)
    mask = (out.detach() != 0).double()
    down, found = grads(out, x)
    _, cache = dropout.vanilla_forward(array(x), array(mask))
    same(found, dropout.vanilla_backward(down, cache))


def test_inverted_dropout_keeps_the_mean_and_its_p_is_what_is_dropped():
    keep = 0.8  # the notes' p
    layer = nn.Dropout(1 - keep)
    x = normal(8) + 3
    samples = layer(x.expand(DRAWS, 8))
    assert within_three_sigma(samples, x)
    assert (samples != 0).double().mean().item() == pytest.approx(keep, abs=0.01)
    assert torch.equal(layer.eval()(x), x)


def test_inverted_dropout_is_the_formula_under_its_mask_and_a_seed_repeats_it():
    x, layer = normal(6, 7, requires_grad=True), nn.Dropout(0.4)
    torch.manual_seed(5)
    out = layer(x)
    torch.manual_seed(5)
    same(layer(x), out, atol=0)
    mask = (out.detach() != 0).double()
    wanted, cache = dropout.inverted_forward(array(x), array(mask), keep=0.6)
    same(out, wanted)
    down, found = grads(out, x)
    same(found, dropout.inverted_backward(down, cache))

    def fixed(x):
        torch.manual_seed(5)
        return layer(x)

    assert torch.autograd.gradcheck(fixed, (x,))


def test_spatial_dropout_drops_whole_maps():
    x = normal(200, 5, 3, 3).abs() + 1
    out = nn.Dropout2d(0.3)(x)
    alive = (out != 0).flatten(2)
    assert (alive.all(2) | ~alive.any(2)).all()
    assert alive.any(2).double().mean().item() == pytest.approx(0.7, abs=0.05)
    samples = nn.Dropout2d(0.3)(x[:1].expand(DRAWS // 4, 5, 3, 3))
    assert within_three_sigma(samples, x[0])


@pytest.mark.parametrize("inner", [lambda: nn.Linear(6, 4), lambda: nn.Conv2d(2, 3, 2)])
def test_drop_connect_drops_weights_and_keeps_the_mean(inner):
    torch.manual_seed(0)
    layer = sn.nn.DropConnect(inner().double(), p=0.4)
    x = normal(1, 6) if isinstance(layer.layer, nn.Linear) else normal(1, 2, 3, 3)
    samples = torch.cat([layer(x) for _ in range(3000)]).detach()
    assert samples.std(0).min() > 0
    assert within_three_sigma(samples, layer.layer(x)[0])
    same(layer.eval()(x), layer.layer(x), atol=0)


def test_drop_connect_with_nothing_to_drop_is_the_layer():
    layer = sn.nn.DropConnect(nn.Linear(6, 4).double(), p=0.0)
    x = normal(2, 6)
    same(layer(x), layer.layer(x), atol=0)


def test_drop_connects_gradient_is_right_under_its_mask():
    layer = sn.nn.DropConnect(nn.Linear(3, 2).double(), p=0.3)
    x = normal(4, 3, requires_grad=True)
    torch.manual_seed(2)
    scale = nn.functional.dropout(torch.ones(2, 3, dtype=torch.float64), 0.3)
    assert 0 < (scale == 0).sum() < 6
    torch.manual_seed(2)
    out = layer(x)
    same(out, x @ (layer.layer.weight * scale).T + layer.layer.bias)
    down, found = grads(out, layer.layer.weight)
    same(found, (down.T @ array(x)) * array(scale))  # a dropped weight learns nothing
    assert {name for name, _ in layer.named_parameters()} == {"layer.weight", "layer.bias"}
