"""A thin network of every family learns; bench/zoo_learns.py does it with every kind of row."""

import pytest

from bench.zoo_learns import BY_HEART, accuracy, digits, learn, overfit, thin
from snellen.models import listing, row

QUICK = {  # one of each family -> the side of the digits, as small as it takes them
    "alexnet_2gpu": 67, "convnet": 32, "darknet19": 32, "densenet100_k12_cifar": 16,
    "googlenet": 32, "inception_resnet_v2": 75, "inception_v2_bn": 32, "timm:inception_v3": 79,
    "inception_v4": 75, "legacy_seresnet18": 16, "legacy_xception": 32, "lenet5": 32,
    "lenet5_1998": 32, "mlp": 32, "mobilenet_v1_0.25": 32, "mobilenet_v2": 32,
    "mobilenet_v3_small": 32, "resnet20_cifar_A": 32, "resnetv2_18": 16,
    "shufflenet_v1_g3_0.5x": 16, "shufflenet_v2_x0_5": 16, "squeezenet1_0_bypass": 32, "vgg11": 32,
    "zfnet": 67, "lenet5_bn": 32, "vgg11_bn": 32,
}  # fmt: skip
MORE = {  # what these want more than twenty digits for, and the share of others they then know
    "mobilenet_v1_0.25": 0.2, "mobilenet_v2": 0.2, "mobilenet_v3_small": 0.3, "lenet5_bn": 0.5,
    "vgg11_bn": 0.5,
}  # fmt: skip


def test_no_family_is_left_out():
    assert {type(row(name)) for name in listing()} == {type(row(name)) for name in QUICK}


@pytest.mark.parametrize("name", QUICK)
def test_twenty_digits_are_learnt_by_heart_and_tell_others_apart(name):
    """Of others more than the most frequent class, by three standard errors of that share."""
    x, label_B = digits(QUICK[name])
    net = thin(name)
    net.aux = net.aux if QUICK[name] >= row(name).thin_size else None  # too small for its pool
    loss, _ = overfit(net, x[:20], label_B[:20])
    assert loss < BY_HEART
    if name not in MORE:
        others = label_B[420:]
        always = others.bincount().max().item() / len(others)
        error = (always * (1 - always) / len(others)) ** 0.5
        assert accuracy(net, x[420:], others) > always + 3 * error


@pytest.mark.parametrize("name", MORE)
def test_four_hundred_digits_tell_others_apart(name):
    x, label_B = digits(row(name).thin_size)
    net = thin(name)
    learn(net, x[:400], label_B[:400], epochs=2)
    assert accuracy(net, x[420:], label_B[420:]) > MORE[name]
