"""Maxout: the largest of k linear functions.

An activation that is learned: with pieces enough it comes near any convex function of the inputs.
It neither saturates nor dies, and costs k times the weights (notes 003, Study 5 (2); notes 004;
arXiv:1302.4389).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("activations", 3)


def maxout_forward(x_BI: Array, w_KOI: Array, b_KO: Array) -> tuple[Array, Cache]:
    """x_BI, w_KOI, b_KO -> y_BO, cache; K is the number of pieces.

        z_bko = sum_i x_bi w_koi + b_ko        y_bo = max_k z_bko

    ReLU is the special case of two pieces of which one is 0, leaky ReLU that of w and 0.01 w.

    Source: notes 003, Study 5 (2); notes 004, activations.

    >>> x, w = np.array([[1.0], [-2.0]]), np.array([[[0.0]], [[3.0]]])
    >>> maxout_forward(x, w, np.zeros((2, 1)))[0].tolist()              # max(0, 3x)
    [[3.0], [0.0]]
    """
    # k linear layers side by side
    z_BKO = np.einsum("bi,koi->bko", x_BI, w_KOI) + b_KO
    # which of them is the largest, for each unit of each sample
    best_BO = z_BKO.argmax(axis=1)
    y_BO = z_BKO.max(axis=1)
    return y_BO, (x_BI, w_KOI, best_BO)


def maxout_backward(d_y_BO: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """d_y_BO, cache -> d_x_BI, d_w_KOI, d_b_KO.

    Moving a piece that is not the largest changes nothing, so it gets no gradient:

        dL/dz_bko = d_y_bo if k = argmax_k z_bko, else 0

    and from z on it is a linear layer's backward.

    Source: notes 003, Study 5 (2).

    >>> x, w = np.array([[1.0], [-2.0]]), np.array([[[0.0]], [[3.0]]])
    >>> _, cache = maxout_forward(x, w, np.zeros((2, 1)))
    >>> [d.ravel().tolist() for d in maxout_backward(np.ones((2, 1)), cache)]
    [[3.0, 0.0], [-2.0, 1.0], [1.0, 1.0]]
    """
    x_BI, w_KOI, best_BO = cache
    # 1 at the winner of each unit, 0 at the others
    winner_BKO = np.arange(len(w_KOI))[None, :, None] == best_BO[:, None, :]
    d_z_BKO = winner_BKO * d_y_BO[:, None, :]
    # a linear layer's backward, added up over the pieces
    d_x_BI = np.einsum("bko,koi->bi", d_z_BKO, w_KOI)
    d_w_KOI = np.einsum("bko,bi->koi", d_z_BKO, x_BI)
    d_b_KO = d_z_BKO.sum(axis=0)
    return d_x_BI, d_w_KOI, d_b_KO


def walk(page: "Page") -> None:
    """Two samples of two values, one unit of two pieces."""
    page.layer(
        maxout_forward,
        maxout_backward,
        x_BI=np.array([[1.0, 2.0], [-1.0, 0.5]]),
        w_KOI=np.array([[[0.5, -1.0]], [[1.0, 0.3]]]),
        b_KO=np.array([[0.1], [-0.2]]),
    )
