"""Pooling, unpooling and the moves between space and channels."""

import numpy as np
import pytest
import torch
from close import array, grads, normal, same
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.byhand import pool, unpool


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_max_pooling_is_the_largest_and_its_gradient_goes_there(size, stride):
    x = normal(2, 3, 7 if size == 3 else 6, 7 if size == 3 else 6, requires_grad=True)
    layer = nn.MaxPool2d(size, stride)
    assert sn.nn.count_params(layer) == 0
    out = layer(x)
    wanted, cache = pool.max_pool_forward(array(x), size=size, stride=stride)
    same(out, wanted)
    down, found = grads(out, x)
    same(found, pool.max_pool_backward(down, cache))
    # by hand once more: a pixel moves only by windows whose largest it is
    touched = torch.zeros_like(x).flatten(-2)
    _, places = F.max_pool2d(x, size, stride, return_indices=True)
    touched.scatter_(-1, places.flatten(-2), 1.0)
    assert ((torch.as_tensor(found).flatten(-2) != 0) == (touched != 0)).all()


def test_average_pooling_counts_the_padding_unless_told():
    x = normal(1, 2, 4, 4, requires_grad=True)
    out = F.avg_pool2d(x, 3, 1, 1)
    wanted, cache = pool.average_pool_forward(array(x), size=3, stride=1, padding=1)
    same(out, wanted)
    down, found = grads(out, x)
    same(found, pool.average_pool_backward(down, cache))
    ones = torch.ones(1, 1, 4, 4)
    assert F.avg_pool2d(ones, 3, 1, 1)[0, 0, 0, 0].item() == pytest.approx(4 / 9)
    assert F.avg_pool2d(ones, 3, 1, 1, count_include_pad=False)[0, 0, 0, 0].item() == 1


def test_global_average_is_the_mean_of_each_map():
    x = normal(2, 3, 7, 7, requires_grad=True)
    wanted, _ = pool.global_average_forward(array(x))
    same(nn.AdaptiveAvgPool2d(1)(x).flatten(1), wanted)
    same(nn.AvgPool2d(7)(x).flatten(1), wanted)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_bed_of_nails_is_numpys_and_the_adjoint_of_thinning(times):
    x = normal(2, 3, 4, 5, requires_grad=True)
    out = sn.nn.bed_of_nails(x, times)
    wanted, cache = unpool.bed_of_nails_forward(array(x), times=times)
    same(out, wanted)
    down, found = grads(out, x)
    same(found, unpool.bed_of_nails_backward(down, cache))
    y = normal(*out.shape, seed=3)
    assert (out * y).sum().item() == pytest.approx((x * y[..., ::times, ::times]).sum().item())


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_max_unpooling_puts_values_back_also_where_windows_overlap(size, stride):
    picture = normal(2, 3, 7 if size == 3 else 6, 7 if size == 3 else 6)
    pooled, places = F.max_pool2d(picture, size, stride, return_indices=True)
    x = normal(*pooled.shape, seed=1, requires_grad=True)
    out = sn.nn.unpool_maxima(x, places, tuple(picture.shape[-2:]))
    _, cache = pool.max_pool_forward(array(picture), size=size, stride=stride)
    wanted, back = unpool.max_unpool_forward(array(x), cache)
    same(out, wanted)
    down, found = grads(out, x)
    same(found, unpool.max_unpool_backward(down, back))
    if size == stride:
        same(out, nn.MaxUnpool2d(size)(x, places))
    assert torch.equal(
        sn.nn.unpool_maxima(pooled, places, tuple(picture.shape[-2:])) != 0, out != 0
    )


def test_max_unpooling_is_the_adjoint_of_picking_the_maxima():
    picture = normal(1, 1, 7, 7)
    pooled, places = F.max_pool2d(picture, 3, 2, return_indices=True)
    y = normal(*pooled.shape, seed=1)
    picked = picture.flatten(-2).gather(-1, places.flatten(-2)).view_as(pooled)
    back = sn.nn.unpool_maxima(y, places, (7, 7))
    assert (picked * y).sum().item() == pytest.approx((picture * back).sum().item(), abs=1e-12)


def test_nearest_is_numpys():
    x = normal(1, 2, 3, 3)
    same(nn.Upsample(scale_factor=2)(x), unpool.nearest_forward(array(x))[0])


def test_reorg_is_yolos_and_its_inverse_exact():
    x = torch.randn(1, 512, 26, 26)
    out = sn.nn.Reorg()(x)
    assert out.shape == (1, 2048, 13, 13)
    assert torch.equal(sn.nn.depth_to_space(out), x)
    # group (i, j) of channels is the picture that begins at pixel (i, j), every second one
    for group, (i, j) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert torch.equal(out[:, 512 * group : 512 * (group + 1)], x[:, :, i::2, j::2])


@pytest.mark.parametrize("block", [1, 2, 3])
def test_reorg_is_pixel_unshuffle_in_another_order(block):
    x = normal(2, 5, 6, 12)
    unshuffled = nn.PixelUnshuffle(block)(x).unflatten(1, (5, block**2))
    same(sn.nn.space_to_depth(x, block), unshuffled.transpose(1, 2).flatten(1, 2), atol=0)
    same(sn.nn.depth_to_space(sn.nn.space_to_depth(x, block), block), x, atol=0)


def test_channel_shuffle_is_view_transpose_view_and_is_undone_by_c_over_g():
    x = normal(2, 12, 3, 3)
    for groups in (1, 2, 3, 4, 6, 12):
        shuffled = nn.ChannelShuffle(groups)(x)
        by_hand = x.view(2, groups, 12 // groups, 3, 3).transpose(1, 2).reshape(2, 12, 3, 3)
        same(shuffled, by_hand, atol=0)
        same(nn.ChannelShuffle(12 // groups)(shuffled), x, atol=0)


@pytest.mark.parametrize("size", [(13, 13), (10, 14), (6, 6), (4, 3), (1, 1)])
def test_a_pyramid_gives_one_length_for_every_size(size):
    layer = sn.nn.SpatialPyramidPool()
    x = normal(2, 3, *size)
    out = layer(x)
    assert out.shape == (2, 3 * (36 + 9 + 4 + 1))
    start = 0
    for level in (6, 3, 2, 1):
        bins = out[:, start : start + 3 * level**2].view(2, 3, level, level)
        same(bins, F.adaptive_max_pool2d(x, level), atol=0)
        for i, j in np.ndindex(level, level):
            rows = slice(i * size[0] // level, -(-(i + 1) * size[0] // level))
            columns = slice(j * size[1] // level, -(-(j + 1) * size[1] // level))
            same(bins[:, :, i, j], x[:, :, rows, columns].amax((2, 3)), atol=0)
        start += 3 * level**2
