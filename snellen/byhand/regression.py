"""Losses of regression: how far a number is from the one that is wanted.

Harder to train than a classification, and a squared error is pulled about by outliers: bin the
numbers into classes where that will do (notes 003, Study 5 (18)). All are sums over a sample's
numbers and means over the batch.
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("losses", 3)


def squared_error_forward(f_BI: Array, y_BI: Array) -> tuple[Array, Cache]:
    """f_BI (predicted), y_BI (wanted) -> the loss, cache.

        L = sum_b ||f_b - y_b||_2^2 / B

    Source: notes 003, Study 5 (18); notes 004, losses.

    >>> float(squared_error_forward(np.array([[1.0, 5.0]]), np.array([[0.0, 2.0]]))[0])
    10.0
    """
    miss_BI = f_BI - y_BI
    loss = (miss_BI**2).sum() / len(f_BI)
    return loss, (miss_BI,)


def squared_error_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_f_BI.

        dL/df = 2 (f - y) / B

    It grows with the miss: one outlier may outweigh all the rest.

    Source: notes 003, Study 5 (18), differentiated.

    >>> squared_error_backward(np.array(1.0), (np.array([[1.0, 3.0]]),)).tolist()
    [[2.0, 6.0]]
    """
    (miss_BI,) = cache
    return d_loss * 2.0 * miss_BI / len(miss_BI)


def absolute_error_forward(f_BI: Array, y_BI: Array) -> tuple[Array, Cache]:
    """f_BI (predicted), y_BI (wanted) -> the loss, cache.

        L = sum_b ||f_b - y_b||_1 / B

    Source: notes 003, Study 5 (18).

    >>> float(absolute_error_forward(np.array([[1.0, 5.0]]), np.array([[0.0, 2.0]]))[0])
    4.0
    """
    miss_BI = f_BI - y_BI
    loss = np.abs(miss_BI).sum() / len(f_BI)
    return loss, (miss_BI,)


def absolute_error_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_f_BI.

        dL/df = sign(f - y) / B                0 at the kink

    Every miss pulls alike, however large; and however small, so it never comes to rest.

    Source: notes 003, Study 5 (18), differentiated.

    >>> absolute_error_backward(np.array(1.0), (np.array([[-0.1, 0.0, 3.0]]),)).tolist()
    [[-1.0, 0.0, 1.0]]
    """
    (miss_BI,) = cache
    return d_loss * np.sign(miss_BI) / len(miss_BI)


def smooth_l1_forward(f_BI: Array, y_BI: Array, *, beta: float = 1.0) -> tuple[Array, Cache]:
    """f_BI (predicted), y_BI (wanted) -> the loss, cache: squared near 0, absolute far from it.

        |m| < beta:   m^2 / (2 beta)           else:   |m| - beta / 2           m = f - y

    The two meet at beta with the same value, beta / 2, and the same slope, 1. Fast R-CNN's loss
    of boxes.

    Source: notes 004, object detection (Fast R-CNN); arXiv:1504.08083, equation 3.

    >>> float(smooth_l1_forward(np.array([[0.5, 5.0]]), np.array([[0.0, 2.0]]))[0])
    2.625
    """
    miss_BI = f_BI - y_BI
    far_BI = np.abs(miss_BI)
    each_BI = np.where(far_BI < beta, 0.5 * miss_BI**2 / beta, far_BI - 0.5 * beta)
    loss = each_BI.sum() / len(f_BI)
    return loss, (miss_BI, beta)


def smooth_l1_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_f_BI.

        dL/df = m / beta, cut to [-1, 1], / B

    Source: arXiv:1504.08083, equation 3, differentiated.

    >>> smooth_l1_backward(np.array(1.0), (np.array([[0.5, 3.0, -9.0]]), 1.0)).tolist()
    [[0.5, 1.0, -1.0]]
    """
    miss_BI, beta = cache
    # grows with the miss, as far as beta and no further
    return d_loss * np.clip(miss_BI / beta, -1.0, 1.0) / len(miss_BI)


def walk(page: "Page") -> None:
    """Three numbers of one sample, of which the last is an outlier."""
    given = page.given(f_BI=np.array([[1.0, 2.4, 9.0]]), y_BI=np.array([[1.5, 2.0, 1.0]]))
    page.pair(squared_error_forward, squared_error_backward, **given)
    page.pair(absolute_error_forward, absolute_error_backward, **given)
    page.pair(smooth_l1_forward, smooth_l1_backward, **given)
