"""Unpooling: larger maps with nothing to learn.

Three ways from a small map to a large one; the fourth, whose weights are learned, is the
transposed convolution (notes 003, Study 9 (3)).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache
from .pool import max_pool_backward, max_pool_forward

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 5)


def nearest_forward(x_BCHW: Array, *, times: int = 2) -> tuple[Array, Cache]:
    """x_BCHW -> y_BCPQ, cache: each pixel becomes a block of times x times alike.

        y_pq = x_(p // times),(q // times)

    Source: notes 003, Study 9 (3).

    >>> nearest_forward(np.array([[[[1.0, 2.0]]]]))[0].tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """
    return x_BCHW.repeat(times, axis=2).repeat(times, axis=3), (times,)


def nearest_backward(d_y_BCPQ: Array, cache: Cache) -> Array:
    """d_y_BCPQ, cache -> d_x_BCHW: the sum over the block.

        dL/dx_hw = sum_rs dL/dy_(h times + r),(w times + s)

    Source: notes 003, Study 9 (3), differentiated.

    >>> nearest_backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), (2,)).tolist()
    [[[[10.0]]]]
    """
    (times,) = cache
    B, C, P, Q = d_y_BCPQ.shape
    # cut into blocks, and add up what came down for each
    blocks = d_y_BCPQ.reshape(B, C, P // times, times, Q // times, times)
    return blocks.sum(axis=(3, 5))


def bed_of_nails_forward(x_BCHW: Array, *, times: int = 2) -> tuple[Array, Cache]:
    """x_BCHW -> y_BCPQ, cache: each pixel into the corner of a block of zeros.

        y_(h times),(w times) = x_hw, else 0

    Source: notes 003, Study 9 (3).

    >>> bed_of_nails_forward(np.array([[[[1.0, 2.0]]]]))[0].tolist()
    [[[[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]
    """
    B, C, H, W = x_BCHW.shape
    y_BCPQ = np.zeros((B, C, H * times, W * times))
    y_BCPQ[:, :, ::times, ::times] = x_BCHW
    return y_BCPQ, (times,)


def bed_of_nails_backward(d_y_BCPQ: Array, cache: Cache) -> Array:
    """d_y_BCPQ, cache -> d_x_BCHW: what stands at the nails.

        dL/dx_hw = dL/dy_(h times),(w times)

    Source: notes 003, Study 9 (3), differentiated.

    >>> bed_of_nails_backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), (2,)).tolist()
    [[[[1.0]]]]
    """
    (times,) = cache
    # the zeros between the nails do not depend on anything
    return d_y_BCPQ[:, :, ::times, ::times]


def max_unpool_forward(x_BCPQ: Array, pooled: Cache) -> tuple[Array, Cache]:
    """x_BCPQ, the cache of a max pooling -> y_BCHW, cache: back to where the largest came from.

    Where the pooling took its largest, the value is put; everywhere else 0. So an edge that the
    pooling moved by a pixel comes back to its place. It is what max_pool_backward does.

    Source: notes 003, Study 9 (3).

    >>> _, pooled = max_pool_forward(np.array([[[[1.0, 5.0], [3.0, 4.0]]]]))
    >>> max_unpool_forward(np.array([[[[9.0]]]]), pooled)[0].tolist()
    [[[[0.0, 9.0], [0.0, 0.0]]]]
    """
    return max_pool_backward(x_BCPQ, pooled), (x_BCPQ.shape, pooled)


def max_unpool_backward(d_y_BCHW: Array, cache: Cache) -> Array:
    """d_y_BCHW, cache -> d_x_BCPQ: what stands at those places.

    Windows that overlap may have had the same largest: then both read the same place.

    Source: notes 003, Study 9 (3), differentiated.

    >>> _, pooled = max_pool_forward(np.array([[[[1.0, 5.0], [3.0, 4.0]]]]))
    >>> _, cache = max_unpool_forward(np.array([[[[9.0]]]]), pooled)
    >>> max_unpool_backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), cache).tolist()
    [[[[2.0]]]]
    """
    (B, C, P, Q), (_, best_NM, size, stride) = cache
    m_M = np.arange(P * Q)
    # the place in the window, plus where the window begins
    rows_NM = best_NM // size + m_M // Q * stride
    cols_NM = best_NM % size + m_M % Q * stride
    d_y_NHW = d_y_BCHW.reshape(B * C, *d_y_BCHW.shape[2:])
    n_N1 = np.arange(B * C)[:, None]
    return d_y_NHW[n_N1, rows_NM, cols_NM].reshape(B, C, P, Q)


def walk(page: "Page") -> None:
    """A row of two values, made larger; then max pooling and back."""
    x_BCHW = page.given(x_BCHW=np.array([[[[1.0, -2.0]]]]))["x_BCHW"]
    page.pair(nearest_forward, nearest_backward, x_BCHW=x_BCHW)
    page.pair(bed_of_nails_forward, bed_of_nails_backward, x_BCHW=x_BCHW)
    picture = np.array([[[[1.0, 5.0, 0.0, 2.0], [3.0, 4.0, -1.0, 7.0]]]])
    page.say("A max pooling remembers where its largest were:")
    _, pooled = page.run(max_pool_forward, x_BCHW=picture)
    page.pair(max_unpool_forward, max_unpool_backward, x_BCPQ=x_BCHW, pooled=pooled)
