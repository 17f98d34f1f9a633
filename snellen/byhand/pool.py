"""Pooling: one number for each window, with nothing to learn.

Channel by channel, so a channel is treated as a sample of its own. The windows come from im2col,
and the gradient goes back by col2im (notes 003, Study 4 (2); notes 001; notes 000 (4)).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache
from .conv import col2im, im2col, output_size

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 4)


def max_pool_forward(x_BCHW: Array, *, size: int = 2, stride: int = 2) -> tuple[Array, Cache]:
    """x_BCHW -> y_BCPQ, cache: the largest of each window of size x size.

        y_pq = max_rs x_(p stride + r),(q stride + s)

    Windows overlap where the stride is below the size (AlexNet's 3 and 2). No border: the notes
    pool without zeros around.

    Source: notes 003, Study 4 (2).

    >>> max_pool_forward(np.arange(16.0).reshape(1, 1, 4, 4))[0].tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    B, C, H, W = x_BCHW.shape
    P, Q = output_size(H, size, stride=stride), output_size(W, size, stride=stride)
    windows_NLM = im2col(x_BCHW.reshape(B * C, 1, H, W), (size, size), stride=stride)
    # where in its window the largest lies; the first, of equals
    best_NM = windows_NLM.argmax(axis=1)
    y_NM = windows_NLM.max(axis=1)
    return y_NM.reshape(B, C, P, Q), (x_BCHW.shape, best_NM, size, stride)


def max_pool_backward(d_y_BCPQ: Array, cache: Cache) -> Array:
    """d_y_BCPQ, cache -> d_x_BCHW: all of the gradient goes to the largest.

        dy/dx_rs = 1 if (r, s) is the place of the largest, else 0

    Moving a pixel that is not the largest changes nothing. A pixel that is the largest of several
    windows gets the sum.

    Source: notes 000, weekly log (4, pooling).

    >>> _, cache = max_pool_forward(np.arange(4.0).reshape(1, 1, 2, 2))
    >>> max_pool_backward(np.array([[[[7.0]]]]), cache).tolist()
    [[[[0.0, 0.0], [0.0, 7.0]]]]
    """
    (B, C, H, W), best_NM, size, stride = cache
    # 1 at the place of the largest of each window
    winner_NLM = np.arange(size * size)[None, :, None] == best_NM[:, None, :]
    d_windows_NLM = winner_NLM * d_y_BCPQ.reshape(B * C, 1, -1)
    d_x = col2im(d_windows_NLM, (B * C, 1, H, W), (size, size), stride=stride)
    return d_x.reshape(B, C, H, W)


def average_pool_forward(
    x_BCHW: Array, *, size: int = 2, stride: int = 2, padding: int = 0
) -> tuple[Array, Cache]:
    """x_BCHW -> y_BCPQ, cache: the mean of each window.

        y_pq = sum_rs x_(p stride + r),(q stride + s) / size^2

    Zeros of the border count as pixels (PyTorch's count_include_pad).

    Source: notes 001, pooling layer.

    >>> average_pool_forward(np.arange(16.0).reshape(1, 1, 4, 4))[0].tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    B, C, H, W = x_BCHW.shape
    how = {"stride": stride, "padding": padding}
    P, Q = output_size(H, size, **how), output_size(W, size, **how)
    windows_NLM = im2col(x_BCHW.reshape(B * C, 1, H, W), (size, size), **how)
    y_NM = windows_NLM.mean(axis=1)
    return y_NM.reshape(B, C, P, Q), (x_BCHW.shape, size, how)


def average_pool_backward(d_y_BCPQ: Array, cache: Cache) -> Array:
    """d_y_BCPQ, cache -> d_x_BCHW: the gradient is shared out evenly.

        dy/dx_rs = 1 / size^2

    Source: notes 000, weekly log (4, pooling).

    >>> _, cache = average_pool_forward(np.zeros((1, 1, 2, 2)))
    >>> average_pool_backward(np.array([[[[8.0]]]]), cache).tolist()
    [[[[2.0, 2.0], [2.0, 2.0]]]]
    """
    (B, C, H, W), size, how = cache
    # each pixel of a window gets the same share
    share_N1M = d_y_BCPQ.reshape(B * C, 1, -1) / size**2
    d_windows_NLM = share_N1M.repeat(size**2, axis=1)
    d_x = col2im(d_windows_NLM, (B * C, 1, H, W), (size, size), **how)
    return d_x.reshape(B, C, H, W)


def global_average_forward(x_BCHW: Array) -> tuple[Array, Cache]:
    """x_BCHW -> y_BC, cache: one mean a channel, in place of the large linear layers.

        y_c = sum_hw x_chw / (H W)

    Source: notes 004, ResNet (its 7 x 7 average at the end).

    >>> global_average_forward(np.arange(8.0).reshape(1, 2, 2, 2))[0].tolist()
    [[1.5, 5.5]]
    """
    return x_BCHW.mean(axis=(2, 3)), (x_BCHW.shape,)


def global_average_backward(d_y_BC: Array, cache: Cache) -> Array:
    """d_y_BC, cache -> d_x_BCHW: every pixel of the map gets the same share.

        dy_c/dx_chw = 1 / (H W)

    Source: notes 004, ResNet, differentiated.

    >>> global_average_backward(np.array([[8.0]]), ((1, 1, 2, 2),)).tolist()
    [[[[2.0, 2.0], [2.0, 2.0]]]]
    """
    ((B, C, H, W),) = cache
    return np.broadcast_to(d_y_BC[:, :, None, None] / (H * W), (B, C, H, W)).copy()


def walk(page: "Page") -> None:
    """A picture of 2 x 4 in two windows."""
    x_BCHW = np.array([[[[1.0, 5.0, 0.0, 2.0], [3.0, 4.0, -1.0, 7.0]]]])
    page.layer(max_pool_forward, max_pool_backward, x_BCHW=x_BCHW)
    page.pair(average_pool_forward, average_pool_backward, x_BCHW=x_BCHW)
    page.pair(global_average_forward, global_average_backward, x_BCHW=x_BCHW)
