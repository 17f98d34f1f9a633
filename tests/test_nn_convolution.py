"""The kinds of convolution and linear layer, against NumPy, matrices and one another."""

import itertools

import numpy as np
import pytest
import torch
from close import array, grads, normal, same
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.byhand.conv import col2im, conv_backward, conv_forward, im2col
from snellen.byhand.linear import bias_trick, linear_backward, linear_forward, with_ones
from snellen.byhand.transposed import conv_matrix, transposed_backward, transposed_forward

WAYS = [
    {},
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": 2},
    {"groups": 2},
]


def test_linear_is_the_formula_forward_and_backward():
    x, w, b = normal(4, 3, requires_grad=True), normal(5, 3, seed=1), normal(5, seed=2)
    w.requires_grad_(), b.requires_grad_()
    out = F.linear(x, w, b)
    wanted, cache = linear_forward(array(x), array(w), array(b))
    same(out, wanted)
    down, *found = grads(out, x, w, b)
    for got, want in zip(found, linear_backward(down, cache), strict=True):
        same(got, want)
    assert torch.autograd.gradcheck(F.linear, (x, w, b), rtol=1e-7, atol=1e-9)


def test_a_bias_is_the_weight_of_a_constant_one():
    x, w, b = normal(4, 3), normal(5, 3, seed=1), normal(5, seed=2)
    folded = F.linear(torch.as_tensor(with_ones(array(x))), torch.as_tensor(bias_trick(w, b)))
    same(folded, F.linear(x, w, b), atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_convolution_is_im2col_times_matrix_forward_and_backward(way):
    x = normal(2, 4, 7, 7, requires_grad=True)
    w = normal(6, 4 // way.get("groups", 1), 3, 3, seed=1, requires_grad=True)
    b = normal(6, seed=2, requires_grad=True)
    out = F.conv2d(x, w, b, **way)
    wanted, cache = conv_forward(array(x), array(w), array(b), **way)
    same(out, wanted)
    down, *found = grads(out, x, w, b)
    for got, want in zip(found, conv_backward(down, cache), strict=True):
        same(got, want)


def test_output_size_for_every_legal_tuple_and_a_refusal_for_the_others():
    legal = 0
    for size, kernel, padding, stride in itertools.product(
        range(1, 10), range(1, 6), range(3), range(1, 4)
    ):
        room = size - kernel + 2 * padding
        if room < 0 or room % stride:
            with pytest.raises(sn.UsageError, match="kernel"):
                sn.nn.conv_size(size, kernel, stride, padding=padding)
            continue
        legal += 1
        out = F.conv2d(torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel),
                       stride=stride, padding=padding)  # fmt: skip
        assert out.shape[-1] == sn.nn.conv_size(size, kernel, stride, padding=padding)
    assert legal > 200


def test_a_size_that_does_not_fit_is_told_with_those_that_do():
    with pytest.raises(sn.UsageError, match=r"10 with kernel 3, stride 2.*4\.5.* 9 or 11"):
        sn.nn.conv_size(10, 3, 2)
    assert sn.nn.conv_size(9, 3, 2) == 4
    assert sn.nn.conv_size(11, 3, 2) == 5
    with pytest.raises(sn.UsageError, match="1 larger"):
        sn.nn.conv_size(4, 3, dilation=2)
    with pytest.raises(sn.UsageError, match="1 or more"):
        sn.nn.conv_size(4, 0)


@pytest.mark.parametrize("way", WAYS[:3])
def test_unfold_and_fold_are_im2col_and_col2im_and_adjoint(way):
    x = normal(2, 3, 7, 7)
    columns = F.unfold(x, 3, **way)
    same(columns, im2col(array(x), (3, 3), **way))
    y = normal(*columns.shape, seed=1)
    folded = F.fold(y, (7, 7), 3, **way)
    same(folded, col2im(array(y), x.shape, (3, 3), **way))
    assert (columns * y).sum().item() == pytest.approx((x * folded).sum().item(), abs=1e-10)


def test_a_1x1_convolution_is_a_linear_layer_over_channels():
    conv = nn.Conv2d(5, 4, 1).double()
    x = normal(2, 5, 3, 6)
    over_channels = F.linear(x.movedim(1, -1), conv.weight.flatten(1), conv.bias).movedim(-1, 1)
    same(conv(x), over_channels)
    assert sn.nn.count_macs(conv, (5, 3, 6)) == 3 * 6 * 5 * 4  # H W C D


def test_depthwise_is_one_convolution_a_channel():
    conv = nn.Conv2d(3, 3, 3, padding=1, groups=3).double()
    x = normal(2, 3, 5, 4)
    each = [F.conv2d(x[:, c : c + 1], conv.weight[c : c + 1], conv.bias[c : c + 1], padding=1)
            for c in range(3)]  # fmt: skip
    same(conv(x), torch.cat(each, 1))
    assert sn.nn.count_macs(conv, (3, 5, 4)) == 5 * 4 * 3 * 3 * 3  # H W C K K


def test_grouped_is_convolutions_side_by_side_on_a_gth_of_the_weights():
    conv = nn.Conv2d(6, 4, 3, groups=2).double()
    x = normal(1, 6, 5, 5)
    halves = zip(x.chunk(2, 1), conv.weight.chunk(2), conv.bias.chunk(2), strict=True)
    same(conv(x), torch.cat([F.conv2d(*half) for half in halves], 1))
    assert conv.weight.numel() * 2 == nn.Conv2d(6, 4, 3).weight.numel()


def test_parameters_are_ffdk_plus_k_and_multiply_adds_hwcdkk():
    conv = nn.Conv2d(7, 11, 5, padding=2)
    assert sn.nn.count_params(conv) == 5 * 5 * 7 * 11 + 11
    assert (
        sn.nn.count_macs(conv, (7, 6, 8)) == 6 * 8 * 7 * 11 * 5 * 5
    )  # notes 004 call it parameters


def test_a_3d_convolution_is_the_sum_of_2d_ones_over_depth():
    conv = nn.Conv3d(2, 4, (3, 2, 2)).double()
    x = normal(1, 2, 5, 4, 4)
    for place in range(3):
        pieces = [F.conv2d(x[:, :, place + d], conv.weight[:, :, d]) for d in range(3)]
        same(conv(x)[:, :, place], sum(pieces) + conv.bias[:, None, None])


@pytest.mark.parametrize("way", WAYS[:3])
def test_a_transposed_convolution_is_the_transposed_matrix_and_the_adjoint(way):
    w = normal(4, 3, 3, 3)  # from 3 maps to 4; transposed from 4 to 3
    matrix = torch.as_tensor(conv_matrix(array(w), (7, 7), **way))
    there = F.conv2d(normal(2, 3, 7, 7, seed=1), w, **way)
    y = normal(*there.shape, seed=2, requires_grad=True)
    back = F.conv_transpose2d(y, w, **way)
    same(back.flatten(1), y.flatten(1) @ matrix)
    forward = (there * y).sum().item()
    assert forward == pytest.approx((normal(2, 3, 7, 7, seed=1) * back).sum().item(), abs=1e-10)
    wanted, cache = transposed_forward(array(y), array(w), np.zeros(3), **way)
    same(back, wanted)
    w.requires_grad_()
    down, *found = grads(F.conv_transpose2d(y, w, **way), y, w)
    for got, want in zip(found, transposed_backward(down, cache)[:2], strict=True):
        same(got, want)


def test_a_dilated_kernel_is_one_with_holes():
    w = normal(2, 3, 3, 3)
    holes = torch.zeros(2, 3, 5, 5, dtype=torch.float64)
    holes[:, :, ::2, ::2] = w
    x = normal(1, 3, 8, 8, seed=1)
    same(F.conv2d(x, w, dilation=2), F.conv2d(x, holes))


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_modes_are_pad_then_valid(mode):
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode).double()
    x = normal(1, 2, 5, 6)
    padded = F.pad(x, (1, 1, 1, 1), mode="constant" if mode == "zeros" else mode)
    same(conv(x), F.conv2d(padded, conv.weight, conv.bias))


def test_full_padding_is_the_adjoint_of_valid():
    x, w = normal(1, 1, 4, 4), normal(1, 1, 3, 3, seed=1)
    full = F.conv2d(x, w, padding=2)
    assert full.shape[-1] == 4 + 3 - 1
    same(full, F.conv_transpose2d(x, w.flip(-1, -2)))


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_at_stride_one_is_pytorchs_also_for_even_kernels(kernel, dilation, recwarn):
    x, w = normal(1, 2, 6, 5), normal(3, 2, kernel, kernel, seed=1)
    pad = sn.nn.PadSame(kernel, dilation=dilation)
    wanted = F.conv2d(x, w, padding="same", dilation=dilation)  # warns that it copies, once
    same(F.conv2d(pad(x), w, dilation=dilation), wanted)


def test_same_with_strides_is_pinned():
    """TensorFlow's numbers: ceil(in / stride) outputs, and the odd pixel behind."""
    assert [sn.nn.same_padding(n, 3, 2) for n in (4, 5, 6, 7)] == [(0, 1), (1, 1), (0, 1), (1, 1)]
    assert [sn.nn.same_padding(n, 2, 2) for n in (4, 5)] == [(0, 0), (0, 1)]
    assert [sn.nn.same_padding(n, 7, 2) for n in (224, 225)] == [(2, 3), (3, 3)]
    assert sn.nn.same_padding(6, 1, 3) == (0, 0)
    for size, kernel, stride in itertools.product(range(1, 9), range(1, 6), range(1, 4)):
        out = F.conv2d(sn.nn.PadSame(kernel, stride)(torch.zeros(1, 1, size, size)),
                       torch.zeros(1, 1, kernel, kernel), stride=stride)  # fmt: skip
        assert out.shape[-1] == -(-size // stride)


def test_same_pads_by_other_modes_and_sides_of_their_own():
    x = normal(1, 1, 4, 5)
    same(sn.nn.PadSame(2, mode="replicate")(x), F.pad(x, (0, 1, 0, 1), mode="replicate"))
    same(sn.nn.PadSame(3, 2)(x), F.pad(x, (1, 1, 0, 1)))


def test_a_stride_in_place_of_pooling_gives_the_same_shape_at_other_costs():
    """Notes 001: what each costs on 8 maps of 16 x 16."""
    pooled = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(2))
    strided = nn.Conv2d(8, 8, 3, 2, 1)
    both = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 2, 2))
    x = torch.zeros(1, 8, 16, 16)
    assert pooled(x).shape == strided(x).shape == both(x).shape == (1, 8, 8, 8)
    table = [
        (sn.nn.count_params(n), sn.nn.count_macs(n, (8, 16, 16))) for n in (pooled, strided, both)
    ]
    assert table == [(584, 147_456), (584, 36_864), (584 + 264, 147_456 + 16_384)]


def test_flatten_and_concatenation_are_reshape_and_stacking():
    x, y = normal(2, 3, 4, 5), normal(2, 1, 4, 5, seed=1)
    same(nn.Flatten()(x), x.reshape(2, 60))
    joined = torch.cat([x, y], 1)
    same(joined[:, :3], x)
    same(joined[:, 3:], y)
