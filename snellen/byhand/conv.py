"""Convolution: one small linear layer at every place of the picture.

A filter of R x S pixels slides over the picture with a stride, over a border of zeros, and at
each place it is a linear layer of the window under it. To compute it, copy every window into a
column of a matrix (im2col); then convolution is one product of matrices, and backward needs only
the way back from columns to picture (col2im). Notes 003, Study 4; notes 004, how convolution is
implemented.
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 2)


def output_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Pixels along one side of the input -> pixels along that side of the output.

        W2 = (W1 - F + 2P) / S + 1

    A dilated filter of F pixels covers D (F - 1) + 1. Where the stride does not divide the rest,
    the last pixels would belong to no window; the notes (002, Convolution) advise against that,
    and here it is refused.

    Source: notes 003, Study 4 (2).

    >>> output_size(227, 11, stride=4)                                      # AlexNet
    55
    >>> output_size(5, 2, stride=2)
    Traceback (most recent call last):
    ...
    ValueError: (5 - 2 + 2*0)/2 + 1 = 2.5 is no whole number of outputs: choose a size, kernel, \
stride or padding so that the stride divides 5 - 2 + 2*0 (size 4 or 6 would do)
    """
    if min(size, kernel, stride, dilation) < 1 or padding < 0:
        raise ValueError(
            f"size {size}, kernel {kernel}, stride {stride}, dilation {dilation} must be at least "
            f"1, padding {padding} at least 0"
        )
    covers = dilation * (kernel - 1) + 1
    free = size - covers + 2 * padding
    if free < 0:
        raise ValueError(
            f"a window of {covers} pixels does not fit into {size} + 2*{padding}: "
            "take a smaller kernel or dilation, or more padding"
        )
    rest = free % stride
    if rest:
        sum_ = f"{size} - {covers} + 2*{padding}"
        raise ValueError(
            f"({sum_})/{stride} + 1 = {free / stride + 1:g} is no whole number of outputs: choose "
            f"a size, kernel, stride or padding so that the stride divides {sum_} "
            f"(size {size - rest} or {size + stride - rest} would do)"
        )
    return free // stride + 1


def im2col(
    x_BCHW: Array, kernel: tuple[int, int], *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Array:
    """x_BCHW, (R, S) -> columns_BLM: L = C R S pixels of a window, M = P Q windows.

    The order is that of torch.nn.functional.unfold. A pixel that lies in several windows is
    copied into several columns: that costs memory, and makes the product one of matrices.

    Raises ValueError where the windows do not tile the picture.

    Source: notes 004, how convolution is implemented.

    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), (2, 2))[0].tolist()
    [[0.0, 1.0, 3.0, 4.0], [1.0, 2.0, 4.0, 5.0], [3.0, 4.0, 6.0, 7.0], [4.0, 5.0, 7.0, 8.0]]
    """
    (B, C, H, W), (R, S) = x_BCHW.shape, kernel
    P = output_size(H, R, stride=stride, padding=padding, dilation=dilation)
    Q = output_size(W, S, stride=stride, padding=padding, dilation=dilation)
    padded = np.pad(x_BCHW, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows_BCRSPQ = np.empty((B, C, R, S, P, Q))
    for r, s in np.ndindex(R, S):
        # what all windows have at their place (r, s) is the picture itself, moved and thinned
        rows = slice(r * dilation, r * dilation + (P - 1) * stride + 1, stride)
        cols = slice(s * dilation, s * dilation + (Q - 1) * stride + 1, stride)
        windows_BCRSPQ[:, :, r, s] = padded[:, :, rows, cols]
    return windows_BCRSPQ.reshape(B, C * R * S, P * Q)


def col2im(
    columns_BLM: Array, shape: tuple[int, ...], kernel: tuple[int, int], *,
    stride: int = 1, padding: int = 0, dilation: int = 1,
) -> Array:  # fmt: skip
    """columns_BLM, the shape (B, C, H, W) -> x_BCHW: each pixel the sum of all its copies.

    This is im2col's adjoint, not its inverse: for all x and y

        sum(im2col(x) * y) = sum(x * col2im(y))

    which is what backward asks for: a pixel's derivative is the sum over the places it was
    copied to. Border pixels that were padding are dropped.

    Source: notes 004, how convolution is implemented.

    >>> col2im(np.ones((1, 4, 4)), (1, 1, 3, 3), (2, 2))[0, 0].tolist()     # copies of each pixel
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    (B, C, H, W), (R, S) = shape, kernel
    P = output_size(H, R, stride=stride, padding=padding, dilation=dilation)
    Q = output_size(W, S, stride=stride, padding=padding, dilation=dilation)
    windows_BCRSPQ = columns_BLM.reshape(B, C, R, S, P, Q)
    padded = np.zeros((B, C, H + 2 * padding, W + 2 * padding))
    for r, s in np.ndindex(R, S):
        rows = slice(r * dilation, r * dilation + (P - 1) * stride + 1, stride)
        cols = slice(s * dilation, s * dilation + (Q - 1) * stride + 1, stride)
        padded[:, :, rows, cols] += windows_BCRSPQ[:, :, r, s]
    return padded[:, :, padding : padding + H, padding : padding + W]


def conv_forward(
    x_BCHW: Array, w_OCRS: Array, b_O: Array, *,
    stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1,
) -> tuple[Array, Cache]:  # fmt: skip
    """x_BCHW, w_OCRS, b_O -> y_BOPQ, cache; with g groups w has C / g channels.

        y_opq = sum_crs w_ocrs x_c,(p stride + r dilation - padding),(q stride + ...) + b_o

    With im2col the three sums are one, and it is a linear layer of each column:

        Y = W columns + b          (O, M) = (O, L) (L, M)

    C R S O weights and O biases serve every place (the notes' F F D K + K). Groups are
    convolutions side by side, each of its own channels; with g = C it is called depthwise.

    Raises ValueError where the filter does not tile the picture.

    Source: notes 003, Study 4 (2); notes 004.

    >>> x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    >>> conv_forward(x, w, np.zeros(1))[0].tolist()
    [[[[-4.0, -4.0], [-4.0, -4.0]]]]
    """
    (B, C, H, W), (filters, _, R, S) = x_BCHW.shape, w_OCRS.shape
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    P, Q = output_size(H, R, **how), output_size(W, S, **how)
    # every window becomes a column
    columns_BLM = im2col(x_BCHW, (R, S), **how)
    # the channels of a group lie together: cut columns and filters by groups
    columns_BGLM = columns_BLM.reshape(B, groups, C // groups * R * S, P * Q)
    w_GOL = w_OCRS.reshape(groups, filters // groups, -1)
    # convolution is this product
    y_BGOM = w_GOL @ columns_BGLM
    y_BOPQ = y_BGOM.reshape(B, filters, P, Q) + b_O[:, None, None]
    return y_BOPQ, (x_BCHW.shape, w_OCRS.shape, w_GOL, columns_BGLM, how)


def conv_backward(d_y_BOPQ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """d_y_BOPQ, cache -> d_x_BCHW, d_w_OCRS, d_b_O.

    The linear layer's rules, with places in the role of samples, and then col2im:

        D_w = sum_b D_y columns^T      D_columns = W^T D_y      D_x = col2im(D_columns)

    A weight is used at every place, so its derivative is a sum over all of them; a pixel lies in
    several windows, so its derivative is a sum over these. Written out, D_x is a convolution of
    D_y with the filters turned by half a turn.

    Source: notes 000, weekly log (4, convolution); notes 004.

    >>> _, cache = conv_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1))
    >>> d_x, d_w, d_b = conv_backward(np.ones((1, 1, 2, 2)), cache)
    >>> d_x[0, 0].tolist(), d_w[0, 0].tolist(), d_b.tolist()
    ([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], [[4.0, 4.0], [4.0, 4.0]], [4.0])
    """
    x_shape, w_shape, w_GOL, columns_BGLM, how = cache
    (B, C, _, _), (filters, _, R, S) = x_shape, w_shape
    groups = len(w_GOL)
    d_y_BGOM = d_y_BOPQ.reshape(B, groups, filters // groups, -1)
    # a weight: what came down at each place times the pixel it met there
    d_w_GOL = (d_y_BGOM @ columns_BGLM.swapaxes(2, 3)).sum(axis=0)
    # a pixel of a window: what came down for the window times the weight it met
    d_columns_BGLM = w_GOL.swapaxes(1, 2) @ d_y_BGOM
    # a pixel of the picture: the sum over its windows
    d_x_BCHW = col2im(d_columns_BGLM.reshape(B, C * R * S, -1), x_shape, (R, S), **how)
    d_b_O = d_y_BOPQ.sum(axis=(0, 2, 3))
    return d_x_BCHW, d_w_GOL.reshape(w_shape), d_b_O


def walk(page: "Page") -> None:
    """A picture of 3 x 3 under a filter of 2 x 2."""
    page.layer(
        conv_forward,
        conv_backward,
        x_BCHW=np.array([[[[1.0, 2.0, 0.0], [0.0, 3.0, -1.0], [2.0, 1.0, 1.0]]]]),
        w_OCRS=np.array([[[[1.0, -1.0], [0.5, 2.0]]]]),
        b_O=np.array([0.1]),
    )
