"""Fully connected layers as convolutions and back; what a unit sees; what a layer costs."""

import copy
from dataclasses import replace

import pytest
import torch
from close import array, normal, same
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.byhand.transposed import conv_matrix
from snellen.models import row


@pytest.fixture(scope="module")
def vgg():
    """VGG-16 with thin maps, at its real size: 7x7 maps into the first fully connected layer."""
    torch.manual_seed(0)
    net = replace(row("vgg16"), widths=(2, 2, 3, 3, 4), hidden=6).build(5, 3)
    return net.double().eval()


def features(vgg, x):
    """x_BCHW -> the maps before the head."""
    for name, stage in vgg.named_children():
        if name.startswith("block"):
            x = stage(x)
    return x


def head_of(vgg):
    sequences = [m for m in vgg.modules() if isinstance(m, nn.Sequential)]
    return next(m for m in sequences if isinstance(m[0], nn.AdaptiveAvgPool2d))


@torch.no_grad()
def test_a_converted_vgg_equals_the_original_at_224(vgg):
    x = normal(2, 3, 224, 224)
    converted = sn.nn.convolutional_head(head_of(vgg))
    assert [m.kernel_size for m in converted if isinstance(m, nn.Conv2d)] == [
        (7, 7),
        (1, 1),
        (1, 1),
    ]
    dense = converted(features(vgg, x))
    assert dense.shape == (2, 5, 1, 1)
    same(dense.flatten(1), vgg(x))


@torch.no_grad()
def test_at_384_it_equals_the_classifier_on_each_window(vgg):
    maps = features(vgg, normal(1, 3, 384, 384))
    assert maps.shape[-2:] == (12, 12)
    head = head_of(vgg)
    dense = sn.nn.convolutional_head(head)(maps)
    assert dense.shape == (1, 5, 6, 6)
    for i in range(6):
        for j in range(6):
            same(dense[:, :, i, j], head(maps[:, :, i : i + 7, j : j + 7]))


@torch.no_grad()
def test_windows_of_the_picture_are_the_same_only_where_nothing_pads():
    """The notes' claim for 224x224 crops of a 384x384 picture, on a small net with both kinds."""
    x = normal(1, 3, 20, 20)
    for padding, equal in ((0, True), (1, False)):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2))
        side = 6 if padding else 5
        head = nn.Sequential(nn.Flatten(), nn.Linear(4 * side**2, 3))
        body, head = body.double(), head.double()
        dense = sn.nn.convolutional_head(head, (side, side))(body(x))
        assert dense.shape[-1] > 2
        crop = x[:, :, 2:14, 2:14]  # one step of the pooling in
        assert torch.allclose(dense[:, :, 1, 1], head(body(crop)), atol=1e-10) is equal


def test_a_linear_becomes_a_convolution_with_and_without_bias_and_nested():
    for bias in (True, False):
        linear = nn.Linear(3 * 4 * 5, 6, bias=bias).double()
        x = normal(2, 3, 4, 5)
        same(sn.nn.conv_from_linear(linear, (4, 5))(x).flatten(1), linear(x.flatten(1)))
    inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    head = nn.Sequential(inner, nn.ReLU(), nn.Dropout(), nn.Linear(4, 2)).double().eval()
    x = normal(2, 3, 2, 2)
    same(sn.nn.convolutional_head(head, (2, 2))(x).flatten(1), head(x))
    alone = nn.Linear(7, 2).double()
    x = normal(2, 7, 3, 3)
    same(sn.nn.convolutional_head(alone, (1, 1))(x)[:, :, 1, 2], alone(x[:, :, 1, 2]))


def test_the_copy_leaves_the_original_alone():
    linear = nn.Linear(4, 2)
    before = linear.weight.clone()
    conv = sn.nn.conv_from_linear(linear, (2, 2))
    nn.init.zeros_(conv.weight)
    assert torch.equal(linear.weight, before)


@pytest.mark.parametrize("way", [{}, {"stride": 2, "padding": 1}, {"groups": 2, "bias": False}])
def test_a_convolution_becomes_a_linear_of_mostly_zeros(way):
    conv = nn.Conv2d(2, 4, 3, **way).double()
    linear = sn.nn.linear_from_conv(conv, (5, 5))
    x = normal(3, 2, 5, 5)
    same(linear(x.flatten(1)), conv(x).flatten(1))
    if not way:
        same(linear.weight, conv_matrix(array(conv.weight), (5, 5)))
    places = conv(x)[0, 0].numel()
    inside = F.conv2d(torch.ones(1, 2 // conv.groups, 5, 5), torch.ones(1, 2 // conv.groups, 3, 3),
                      stride=conv.stride, padding=conv.padding).sum()  # fmt: skip
    assert (linear.weight != 0).sum() == inside * 4
    assert linear.out_features == 4 * places


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_small_filters_see_as_much_as_a_large_one(depth):
    layers = [nn.Conv2d(2, 2, 3, padding=1) if i % 2 else nn.ReLU() for i in range(1, 2 * depth)]
    net = nn.Sequential(*layers)
    side = {1: 3, 2: 5, 3: 7}[depth]
    assert sn.nn.field_by_gradient(net, (2, 15, 15)) == (side, side)
    assert sn.nn.field_of_stack([3] * depth) == side
    assert sn.nn.layers(net, (2, 15, 15))[-1]["receptive_field"] == side
    assert 3 * (3 * 3) < 7 * 7  # 27 C^2 weights for 49 C^2


@pytest.mark.parametrize(
    ("net", "kernels", "strides"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 7, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(3, 2),
                       nn.Conv2d(2, 2, 3)), (7, 3, 3), (2, 2, 1)),
        (nn.Sequential(nn.Conv2d(1, 1, 2), nn.Tanh(), nn.AvgPool2d(2),
                       nn.Conv2d(1, 1, 2, bias=False)), (2, 2, 2), (1, 2, 1)),
    ],
)  # fmt: skip
def test_three_ways_to_a_receptive_field_agree(net, kernels, strides):
    side = sn.nn.field_of_stack(kernels, strides)
    weights = [p.clone() for p in net.parameters()]
    assert sn.nn.field_by_gradient(net, (1, 60, 60)) == (side, side)
    assert sn.nn.layers(net, (1, 60, 60))[-1]["receptive_field"] == side
    assert all(map(torch.equal, weights, net.parameters()))  # the copy was measured


class Pooled(nn.Module):
    """Pools by the function and not by a layer."""

    def forward(self, x):
        return F.max_pool2d(x, 3, 2, 1)


GROW = {  # net -> the side of what one output sees at most
    "transposed": (nn.Sequential(nn.ConvTranspose2d(1, 1, 2, 2), nn.Conv2d(1, 1, 3)), 2),
    "overlapping": (nn.Sequential(nn.ConvTranspose2d(1, 1, 3, 2), nn.Conv2d(1, 1, 3)), 3),
    "transposed, alone": (nn.ConvTranspose2d(1, 1, 2, 2), 1),
    "transposed, dense": (nn.ConvTranspose2d(1, 1, 4, 1, dilation=2), 7),
    "nearest": (nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3)), 2),
    "nearest, even": (nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 4)), 3),
    "nearest, 1.5": (nn.Sequential(nn.Upsample(scale_factor=1.5), nn.Conv2d(1, 1, 3)), 3),
    "bilinear": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"),
                               nn.Conv2d(1, 1, 3)), 3),
    "corners": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                              nn.Conv2d(1, 1, 3)), 3),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), 4),
    "hourglass": (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 1, 3), nn.Upsample(scale_factor=2),
                                nn.Conv2d(1, 1, 3)), 8),
    "dilated pool": (nn.MaxPool2d(2, dilation=3), 4),
    "bare pool": (nn.MaxPool2d(3, 2), 3),
    "pool by function": (nn.Sequential(nn.Conv2d(1, 1, 3), Pooled()), 5),
    "shuffle": (nn.Sequential(nn.Conv2d(1, 4, 1), nn.PixelShuffle(2), nn.Conv2d(1, 1, 3)), 2),
}  # fmt: skip


@pytest.mark.parametrize("name", GROW)
def test_fields_of_what_enlarges_or_pools_are_those_of_a_search(name):
    """The search moves each pixel of a row, and sees which outputs hear of it."""
    net, side = GROW[name]
    over = name == "hourglass"  # a bound: not followed is where in a stride one is
    assert sn.nn.layers(net, (1, 24, 24))[-1]["receptive_field"] == side + over
    assert searched(net) == side
    assert sn.nn.field_by_gradient(net, (1, 24, 24))[0] in (side, side - 1)  # of the middle one
    if isinstance(net, nn.MaxPool2d | nn.Sequential) and "pool" in name:
        assert sn.nn.field_by_gradient(net, (1, 24, 24)) == (side, side)


def searched(net):
    """The most pixels from the first to the last that one output hears of, max pools as means."""
    net = copy.deepcopy(net).double()
    for p in net.parameters():
        nn.init.ones_(p)
    x = torch.rand(24, 1, 24, 24, dtype=torch.float64, generator=torch.manual_seed(0))
    x[:] = x[:1]
    x[torch.arange(24), 0, :, torch.arange(24)] += 2  # a column higher than all: a maximum hears
    low = x.clone()
    low[torch.arange(24), 0, :, torch.arange(24)] -= 4
    heard = (net(x) - net(low)).abs().amax((1, 2)) > 1e-12  # (pixel, output)
    sides = [int(h.nonzero()[-1] - h.nonzero()[0]) + 1 for h in heard.T if h.any()]
    return max(sides)


def test_a_field_behind_an_unknown_step_is_not_told():
    class Warped(nn.Module):
        def forward(self, x):
            return F.grid_sample(x, torch.zeros(1, 5, 5, 2, device=x.device), align_corners=False)

    assert sn.nn.layers(Warped(), (1, 24, 24))[-1]["receptive_field"] is None


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.ConvTranspose2d(3, 5, 2, 2, groups=1), (3, 4, 4), 3 * 16 * 5 * 4),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 4, 4), 4 * 16 * 3 * 9),
        (nn.Conv1d(4, 6, 3), (4, 10), 6 * 8 * 4 * 3),
        (nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 2, 2)), (3, 4, 4),
         2 * 2 * 3 * 3 * 8),
        (nn.LSTM(4, 5, num_layers=2, batch_first=True), (7, 4), 7 * 4 * 5 * (4 + 5 + 5 + 5)),
        (nn.GRU(4, 5, bidirectional=True, batch_first=True), (7, 4), 7 * 2 * 3 * 5 * 9),
    ],
)  # fmt: skip
def test_multiply_adds_of_every_layer_with_weights(layer, shape, macs):
    assert sn.nn.count_macs(layer, shape) == macs


def test_multiply_adds_of_attention_are_its_four_projections():
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x)[0]

    assert sn.nn.count_macs(Attend(), (5, 8)) == 4 * 5 * 8 * 8


def test_a_field_ends_at_the_picture_and_may_be_oblong():
    net = nn.Sequential(nn.Conv2d(1, 1, (3, 5), padding=(1, 2)), nn.Conv2d(1, 1, 3, padding=1))
    assert sn.nn.field_by_gradient(net, (1, 12, 12)) == (5, 7)
    assert sn.nn.field_by_gradient(net, (1, 4, 4)) == (4, 4)


def test_vgg16_keeps_its_memory_in_front_and_its_parameters_behind():
    """Notes 003: most memory in the first convolutions, most parameters in the first fc."""
    with torch.device("meta"):
        net = row("vgg16").build(1000, 3)
    table = sn.nn.layers(net, (3, 224, 224))
    by_params = max(table, key=lambda line: line["params"])
    assert by_params["params"] == 25_088 * 4096 + 4096 == 102_764_544
    assert sum(line["params"] for line in table) == 138_357_544
    first = [line for line in table if line["kind"] == "Conv2d"][:2]
    assert [line["activation_bytes"] for line in first] == [4 * 64 * 224 * 224] * 2
    total = sum(line["activation_bytes"] for line in table)
    assert sum(line["activation_bytes"] for line in first) > 0.4 * total
    assert max(line["activation_bytes"] for line in table) == first[0]["activation_bytes"]
