"""Transposed convolution: the matrix of a convolution, turned over.

A convolution is a linear map, so it is a matrix C: y = C x. Its transpose maps back from the
shape of y to the shape of x, and so enlarges. It does not undo the convolution, and its weights
are its own: only the pattern of the matrix is borrowed (notes 003, Study 9 (3)).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache
from .conv import col2im, conv_forward, im2col

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 3)


def conv_matrix(
    w_OCRS: Array, size: tuple[int, int], *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Array:
    """w_OCRS, (H, W) -> matrix_YX with Y = O P Q and X = C H W: the convolution, written out.

    Column by column: column x is the convolution of the picture that is 1 at pixel x and else 0.
    Every row holds the same weights, one window further on: that is what sharing weights means.

    Source: notes 003, Study 9 (3).

    >>> conv_matrix(np.array([[[[2.0, 3.0]]]]), (1, 4)).tolist()
    [[2.0, 3.0, 0.0, 0.0], [0.0, 2.0, 3.0, 0.0], [0.0, 0.0, 2.0, 3.0]]
    """
    shape_CHW = (w_OCRS.shape[1], *size)
    pixels = int(np.prod(shape_CHW))
    one_at_a_time = np.eye(pixels).reshape(pixels, *shape_CHW)
    no_bias_O = np.zeros(len(w_OCRS))
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return conv_forward(one_at_a_time, w_OCRS, no_bias_O, **how)[0].reshape(pixels, -1).T


def transposed_forward(
    x_BCHW: Array, w_CORS: Array, b_O: Array, *,
    stride: int = 1, padding: int = 0, dilation: int = 1,
) -> tuple[Array, Cache]:  # fmt: skip
    """x_BCHW, w_CORS, b_O -> y_BOPQ, cache.

        y = C^T x + b          P = (H - 1) stride - 2 padding + dilation (R - 1) + 1

    C is the matrix of the convolution from (O, P, Q) to (C, H, W) with these weights. Every pixel
    of x stamps its filter, times its value, onto y; stamps that overlap add up. That is a
    convolution's backward to its picture, so it is a product and col2im.

    Source: notes 003, Study 9 (3).

    >>> x, w = np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0, 4.0]]]])
    >>> transposed_forward(x, w, np.zeros(1), stride=2)[0].tolist()
    [[[[2.0, 3.0, 24.0, 30.0, 40.0]]]]
    """
    (B, C, H, W), (_, filters, R, S) = x_BCHW.shape, w_CORS.shape
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    P = (H - 1) * stride - 2 * padding + dilation * (R - 1) + 1
    Q = (W - 1) * stride - 2 * padding + dilation * (S - 1) + 1
    # the stamp of each pixel: its value times the filter
    x_BCM, w_CL = x_BCHW.reshape(B, C, H * W), w_CORS.reshape(C, filters * R * S)
    stamps_BLM = w_CL.T @ x_BCM
    # laid onto the larger picture, a stride apart, and added up
    y_BOPQ = col2im(stamps_BLM, (B, filters, P, Q), (R, S), **how) + b_O[:, None, None]
    return y_BOPQ, (x_BCM, x_BCHW.shape, w_CL, w_CORS.shape, how)


def transposed_backward(d_y_BOPQ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """d_y_BOPQ, cache -> d_x_BCHW, d_w_CORS, d_b_O.

    The transpose of the transpose is the convolution itself:

        D_x = C D_y = W im2col(D_y)          D_w = sum_b X im2col(D_y)^T

    Source: notes 003, Study 9 (3), differentiated.

    >>> x, w = np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0, 4.0]]]])
    >>> _, cache = transposed_forward(x, w, np.zeros(1), stride=2)
    >>> [d.ravel().tolist() for d in transposed_backward(np.ones((1, 1, 1, 5)), cache)]
    [[9.0, 9.0], [11.0, 11.0, 11.0], [5.0]]
    """
    x_BCM, x_shape, w_CL, w_shape, how = cache
    # the window of the large picture onto which each pixel was stamped
    columns_BLM = im2col(d_y_BOPQ, w_shape[2:], **how)
    # a plain convolution of what came down
    d_x_BCM = w_CL @ columns_BLM
    d_w_CL = (x_BCM @ columns_BLM.swapaxes(1, 2)).sum(axis=0)
    d_b_O = d_y_BOPQ.sum(axis=(0, 2, 3))
    return d_x_BCM.reshape(x_shape), d_w_CL.reshape(w_shape), d_b_O


def walk(page: "Page") -> None:
    """A row of two pixels becomes one of five; then the same with the matrix."""
    given = page.layer(
        transposed_forward,
        transposed_backward,
        x_BCHW=np.array([[[[1.0, -2.0]]]]),
        w_CORS=np.array([[[[2.0, 3.0, 4.0]]]]),
        b_O=np.array([0.0]),
        stride=2,
    )
    page.say("The matrix of the convolution with these weights, from five pixels to two:")
    matrix_YX = conv_matrix(given["w_CORS"], (1, 5), stride=2)
    page.show("its transpose times x is the same row", matrix_YX=matrix_YX,
              y=matrix_YX.T @ given["x_BCHW"].ravel())  # fmt: skip
