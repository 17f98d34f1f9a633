"""Convolution and pooling by hand equal PyTorch's autograd, of any legal shape."""

import itertools

import numpy as np
import pytest
import torch
from byhand_torch import TIGHT, numbers, pair_of, same_as_torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from snellen.byhand import batch_norm, conv, gradients, linear, pool, transposed, unpool

SHAPES = {
    "B": st.integers(1, 2), "groups": st.integers(1, 3), "per_group": st.integers(1, 2),
    "filters": st.integers(1, 2), "R": st.integers(1, 3), "S": st.integers(1, 3),
    "P": st.integers(1, 3), "Q": st.integers(1, 3), "stride": st.integers(1, 3),
    "padding": st.integers(0, 2), "dilation": st.integers(1, 2),
}  # fmt: skip


def side(outputs, kernel, stride, padding, dilation):
    """The size of an input that gives so many outputs: the notes' formula, the other way."""
    return (outputs - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**SHAPES)
def test_convolution_of_any_legal_shape(B, groups, per_group, filters, R, S, P, Q, **how):
    H, W = side(P, R, **how), side(Q, S, **how)
    if min(H, W) < 1:
        return
    arrays = {
        "x_BCHW": numbers(B, groups * per_group, H, W),
        "w_OCRS": numbers(groups * filters, per_group, R, S),
        "b_O": numbers(groups * filters),
    }
    assert conv.output_size(H, R, **how) == P
    same_as_torch(pair_of(conv, "conv"), lambda *a: F.conv2d(*a, groups=groups, **how), arrays,
                  groups=groups, **how)  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**SHAPES)
def test_columns_are_unfold_and_col2im_is_their_adjoint(
    B, groups, per_group, filters, R, S, P, Q, **how
):
    shape = (B, per_group, side(P, R, **how), side(Q, S, **how))
    if min(shape) < 1:
        return
    x = numbers(*shape)
    columns = conv.im2col(x, (R, S), **how)
    np.testing.assert_array_equal(columns, F.unfold(torch.tensor(x), (R, S), **how).numpy())
    y = numbers(*columns.shape, seed=1)
    back = conv.col2im(y, shape, (R, S), **how)
    np.testing.assert_allclose((columns * y).sum(), (x * back).sum(), rtol=1e-11, atol=1e-11)
    theirs = F.fold(torch.tensor(y), shape[2:], (R, S), **how)
    np.testing.assert_allclose(back, theirs.numpy(), **TIGHT)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**SHAPES)
def test_transposed_convolution_is_the_matrix_turned_over(
    B, groups, per_group, filters, R, S, P, Q, **how
):
    H, W = side(P, R, **how), side(Q, S, **how)  # P x Q is the small side here
    if min(H, W) < 1:
        return
    arrays = {
        "x_BCHW": numbers(B, filters, P, Q),
        "w_CORS": numbers(filters, per_group, R, S),
        "b_O": numbers(per_group),
    }
    same_as_torch(pair_of(transposed, "transposed"), lambda *a: F.conv_transpose2d(*a, **how),
                  arrays, **how)  # fmt: skip
    matrix = transposed.conv_matrix(arrays["w_CORS"], (H, W), **how)
    no_bias = np.zeros(per_group)
    y, _ = transposed.transposed_forward(arrays["x_BCHW"], arrays["w_CORS"], no_bias, **how)
    stretched = arrays["x_BCHW"].reshape(B, -1) @ matrix
    np.testing.assert_allclose(y.reshape(B, -1), stretched, **TIGHT)


def test_depthwise_convolution_is_one_filter_a_channel():
    x, w, b = numbers(2, 3, 5, 5), numbers(3, 1, 3, 3), numbers(3)
    whole = conv.conv_forward(x, w, b, padding=1, groups=3)[0]
    alone = [conv.conv_forward(x[:, [c]], w[[c]], b[[c]], padding=1)[0] for c in range(3)]
    np.testing.assert_allclose(whole, np.concatenate(alone, axis=1), **TIGHT)


def test_pointwise_convolution_is_linear_over_channels():
    x, w, b = numbers(2, 3, 4, 4), numbers(5, 3, 1, 1), numbers(5)
    rows = linear.linear_forward(batch_norm.as_rows(x), w[:, :, 0, 0], b)[0]
    wide = conv.conv_forward(x, w, b)[0]
    np.testing.assert_allclose(wide, batch_norm.as_pictures(rows, wide.shape), **TIGHT)


GRID = list(itertools.product((4, 5, 6, 7), (1, 2, 3), (1, 2, 3), (0, 1)))


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), GRID)
def test_sizes_that_do_not_divide_are_refused_with_a_size_that_would_do(
    size, kernel, stride, padding
):
    how = {"stride": stride, "padding": padding}
    exact = (size - kernel + 2 * padding) / stride + 1
    if exact == int(exact):
        assert conv.output_size(size, kernel, **how) == exact
        return
    with pytest.raises(ValueError, match=f"= {exact:g} is no whole number") as refused:
        conv.im2col(np.zeros((1, 1, size, size)), (kernel, kernel), **how)
    advice = str(refused.value).rpartition("(size ")[2].removesuffix(" would do)")
    for better in map(int, advice.split(" or ")):
        conv.output_size(better, kernel, **how)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"window of 5 pixels does not fit into 3 \+ 2\*0"):
        conv.output_size(3, 3, dilation=2)
    with pytest.raises(ValueError, match="at least 1"):
        conv.output_size(3, 3, stride=0)


@pytest.mark.parametrize("size", [2, 3])
def test_unpooling_puts_back_where_the_largest_were(size):
    x = numbers(2, 3, 3 * size, 2 * size)
    y, pooled = pool.max_pool_forward(x, size=size, stride=size)
    theirs, where = F.max_pool2d(torch.tensor(x), size, return_indices=True)
    np.testing.assert_array_equal(y, theirs.numpy())
    ours, cache = unpool.max_unpool_forward(y, pooled)
    np.testing.assert_array_equal(ours, F.max_unpool2d(theirs, where, size).numpy())
    d = numbers(*x.shape, seed=3)
    picked = torch.tensor(d).flatten(2).gather(2, where.flatten(2)).reshape(where.shape)
    np.testing.assert_array_equal(unpool.max_unpool_backward(d, cache), picked.numpy())


def test_unpooling_is_checked_where_windows_overlap():
    x = numbers(1, 2, 5, 5)
    _, pooled = pool.max_pool_forward(x, size=3, stride=2)
    errors = gradients.check(*pair_of(unpool, "max_unpool"), x_BCPQ=numbers(1, 2, 2, 2),
                             pooled=pooled)  # fmt: skip
    assert max(errors.values()) < 1e-7


@settings(max_examples=25, deadline=None, derandomize=True)
@given(B=st.integers(1, 2), C=st.integers(1, 3), P=st.integers(1, 4), Q=st.integers(1, 4),
       size=st.integers(1, 3), stride=st.integers(1, 3))  # fmt: skip
def test_pooling_of_any_legal_shape(B, C, P, Q, size, stride):
    arrays = {"x_BCHW": numbers(B, C, (P - 1) * stride + size, (Q - 1) * stride + size)}
    how = {"size": size, "stride": stride}
    same_as_torch(pair_of(pool, "max_pool"), lambda x: F.max_pool2d(x, size, stride), arrays, **how)
    same_as_torch(pair_of(pool, "average_pool"), lambda x: F.avg_pool2d(x, size, stride), arrays,
                  **how)  # fmt: skip


def test_the_gradient_of_a_picture_is_a_convolution_with_the_filters_turned():
    x, w, d_y = numbers(2, 3, 6, 5), numbers(4, 3, 3, 2), numbers(2, 4, 4, 4)
    _, cache = conv.conv_forward(x, w, np.zeros(4))
    d_x, _, _ = conv.conv_backward(d_y, cache)
    wide = np.pad(d_y, ((0, 0), (0, 0), (2, 2), (1, 1)))
    turned = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    np.testing.assert_allclose(conv.conv_forward(wide, turned, np.zeros(3))[0], d_x, **TIGHT)
