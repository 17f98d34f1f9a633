"""Thin networks of a few quick families learn; bench/zoo_learns.py does it with every kind."""

import pytest

from bench.zoo_learns import BY_HEART, accuracy, digits, learn, overfit, thin
from snellen.models import row

QUICK = ("lenet5_bn", "mlp", "resnet20_cifar_A", "vgg11_bn", "convnet", "zfnet",
         "squeezenet1_0_bypass")  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_twenty_digits_are_learnt_by_heart(name):
    x, label_B = digits(row(name).thin_size)
    loss, _ = overfit(thin(name), x[:20], label_B[:20])
    assert loss < BY_HEART


@pytest.mark.parametrize("name", ["lenet5_bn", "vgg11_bn"])
def test_unseen_digits_are_told_apart(name):
    x, label_B = digits(row(name).thin_size)
    net = thin(name)
    learn(net, x[:400], label_B[:400], epochs=2)
    assert accuracy(net, x[420:], label_B[420:]) > 0.5
