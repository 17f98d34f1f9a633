"""Batch norm and its relatives, response normalisation: formulas, conventions, identities."""

import numpy as np
import pytest
import torch
from close import array, grads, normal, same
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.byhand import batch_norm, layer_norm, response_norm


def test_batch_norm_is_the_formula_forward_and_backward():
    x = (normal(6, 3, seed=1) * 2 + 5).requires_grad_()
    gamma, beta = normal(3, seed=2, requires_grad=True), normal(3, seed=3, requires_grad=True)
    out = F.batch_norm(x, None, None, gamma, beta, training=True)
    wanted, cache = batch_norm.batch_norm_forward(array(x), array(gamma), array(beta))
    same(out, wanted)
    down, *found = grads(out, x, gamma, beta)
    for got, want in zip(found, batch_norm.batch_norm_backward(down, cache), strict=True):
        same(got, want)


def test_in_a_convolutional_net_places_are_samples():
    x = normal(2, 3, 4, 5)
    layer = nn.BatchNorm2d(3).double()
    rows = batch_norm.as_rows(array(x))
    wanted, _ = batch_norm.batch_norm_forward(rows, np.ones(3), np.zeros(3))
    same(layer(x), batch_norm.as_pictures(wanted, x.shape))


def test_gamma_sigma_and_beta_mu_are_the_identity():
    """Notes 004, remark 5."""
    x = normal(50, 4, seed=1) * torch.tensor([1.0, 2.0, 0.1, 30.0]) + 7
    layer = nn.BatchNorm1d(4).double()
    with torch.no_grad():
        layer.weight.copy_((x.var(0, unbiased=False) + layer.eps).sqrt())
        layer.bias.copy_(x.mean(0))
    same(layer(x), x)
    assert not torch.allclose(nn.BatchNorm1d(4).double()(x), x)


def test_running_variance_is_unbiased_and_momentum_the_share_of_the_new():
    x = normal(5, 2) * 3
    layer = nn.BatchNorm1d(2, momentum=0.3).double()
    layer(x)
    same(layer.running_mean, 0.3 * x.mean(0))
    same(layer.running_var, 0.7 + 0.3 * x.var(0, unbiased=True))
    ones, zeros = np.ones(2), np.zeros(2)
    mean, var = batch_norm.running_statistics(array(x), zeros, ones, momentum=0.3)
    same(layer.running_mean, mean)
    same(layer.running_var, var)
    wanted = batch_norm.batch_norm_test(array(x), ones, zeros, mean_C=mean, var_C=var)
    same(layer.eval()(x), wanted)


def test_population_statistics_are_averages_over_batches_that_no_running_one_reaches():
    x = normal(64, 3, seed=1) * 4 + 9
    layer = nn.BatchNorm1d(3).double()
    for part in x.split(16):
        layer(part)  # four steps of momentum 0.1 from mean 0
    assert (layer.running_mean - x.mean(0)).abs().min() > 3
    assert sn.nn.recompute_statistics(layer, x.split(16)) == 1
    same(layer.running_mean, x.mean(0))
    same(layer.running_var, x.var(0))


def test_layer_norm_is_the_formula_forward_and_backward():
    x, gamma = normal(4, 6, seed=1, requires_grad=True), normal(6, seed=2, requires_grad=True)
    beta = normal(6, seed=3, requires_grad=True)
    out = F.layer_norm(x, (6,), gamma, beta)
    wanted, cache = layer_norm.layer_norm_forward(array(x), array(gamma), array(beta))
    same(out, wanted)
    down, *found = grads(out, x, gamma, beta)
    for got, want in zip(found, layer_norm.layer_norm_backward(down, cache), strict=True):
        same(got, want)


def test_the_relatives_differ_by_their_axes():
    x = normal(3, 6, 4, 5, seed=1) * 2 + 1

    def over(axes, x=x):
        mean = x.mean(axes, keepdim=True)
        return (x - mean) / (x.var(axes, unbiased=False, keepdim=True) + 1e-5).sqrt()

    same(F.layer_norm(x, x.shape[1:]), over((1, 2, 3)))
    same(F.instance_norm(x), over((2, 3)))
    same(F.group_norm(x, 2), over((2, 3, 4), x.unflatten(1, (2, 3))).flatten(1, 2))
    same(F.group_norm(x, 1), F.layer_norm(x, x.shape[1:]))
    same(F.group_norm(x, 6), F.instance_norm(x))
    same(F.batch_norm(x, None, None, training=True), over((0, 2, 3)))


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_response_norm_in_the_papers_convention_is_the_papers_formula(channels, n):
    x = normal(2, channels, 3, 3, seed=1, requires_grad=True) * 5
    layer = sn.nn.response_norm_of(n=n, alpha=0.1, beta=0.6, k=1.5)
    wanted, cache = response_norm.response_norm_forward(
        array(x), size=n, k=1.5, alpha=0.1, beta=0.6
    )
    out = layer(x)
    same(out, wanted)
    down, found = grads(out, x)
    same(found, response_norm.response_norm_backward(down, cache))


def test_caffe_and_pytorch_divide_alpha_by_n():
    x = normal(1, 8, 2, 2) * 3
    caffe = sn.nn.response_norm_of("caffe", 5, 1e-2, k=1.0)
    same(caffe(x), nn.LocalResponseNorm(5, 1e-2, 0.75, 1.0)(x), atol=0)
    same(caffe(x), sn.nn.response_norm_of("paper", 5, 1e-2 / 5, k=1.0)(x))
    paper = sn.nn.response_norm_of("paper", 5, 1e-2, k=1.0)
    assert (caffe(x) - paper(x)).abs().max() > 1e-2
    alexnet = sn.nn.response_norm_of()
    assert (alexnet.size, alexnet.alpha, alexnet.beta, alexnet.k) == (5, 5 * 1e-4, 0.75, 2.0)
