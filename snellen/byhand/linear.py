"""Fully connected layer: every unit weighs all inputs and adds its bias.

Also called affine; the linear classifier is one of these, alone. A network is these with an
activation between them, without which two in a row would be one (notes 003, Study 2 (5) and
Study 4; notes 002, Activations; notes 000).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 1)


def linear_forward(x_BI: Array, w_OI: Array, b_O: Array) -> tuple[Array, Cache]:
    """x_BI, w_OI, b_O -> y_BO, cache.

        y_bo = sum_i x_bi w_oi + b_o           Y = X W^T + b

    A row of w is what its unit looks for: for pictures, a template.

    Source: notes 003, Study 2 (5).

    >>> x = np.array([[1.0, 2.0]])
    >>> w = np.array([[3.0, 4.0], [0.0, -1.0]])
    >>> linear_forward(x, w, np.array([0.5, 0.0]))[0].tolist()
    [[11.5, -2.0]]
    """
    # each unit multiplies its weights with the inputs, adds up, and adds its bias
    y_BO = x_BI @ w_OI.T + b_O
    return y_BO, (x_BI, w_OI)


def linear_backward(d_y_BO: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """d_y_BO, cache -> d_x_BI, d_w_OI, d_b_O.

    An entry of the loss's derivative is a sum over all outputs that the entry had a part in:

        dL/dx_bi = sum_o d_y_bo w_oi           D_x = D_y W
        dL/dw_oi = sum_b d_y_bo x_bi           D_w = D_y^T X
        dL/db_o  = sum_b d_y_bo

    The notes' trick: one need not remember which factor is transposed, the shapes allow only one
    order. D_w has x as a factor: where all x are 0 nothing is learned, and where all x are
    positive the weights of a unit all move the same way.

    Source: notes 003, Study 3 (4); notes 000, weekly log (gradients of weights); notes 002.

    >>> x, w = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [0.0, -1.0]])
    >>> _, cache = linear_forward(x, w, np.zeros(2))
    >>> d_x, d_w, d_b = linear_backward(np.array([[1.0, 10.0]]), cache)
    >>> d_x.tolist(), d_w.tolist(), d_b.tolist()
    ([[3.0, -6.0]], [[1.0, 2.0], [10.0, 20.0]], [1.0, 10.0])
    """
    x_BI, w_OI = cache
    # an input had a part in every unit, by that unit's weight
    d_x_BI = d_y_BO @ w_OI
    # a weight had a part in every sample, by that sample's input
    d_w_OI = d_y_BO.T @ x_BI
    # a bias is a weight whose input is always 1
    d_b_O = d_y_BO.sum(axis=0)
    return d_x_BI, d_w_OI, d_b_O


def with_ones(x_BI: Array) -> Array:
    """x_BI -> x_BJ with J = I + 1: a last input that is always 1, whose weight is the bias.

        [x 1] [W b]^T = x W^T + b

    So bias and weights are one matrix, and what holds for weights holds for the bias.

    Source: notes 003, Study 2 (5).

    >>> with_ones(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0, 1.0]]
    """
    return np.concatenate([x_BI, np.ones((len(x_BI), 1))], axis=1)


def bias_trick(w_OI: Array, b_O: Array) -> Array:
    """w_OI, b_O -> w_OJ with J = I + 1: the bias as a last column of the weights.

    Source: notes 003, Study 2 (5).

    >>> x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([0.5])
    >>> (with_ones(x) @ bias_trick(w, b).T).tolist() == linear_forward(x, w, b)[0].tolist()
    True
    """
    return np.concatenate([w_OI, b_O[:, None]], axis=1)


def walk(page: "Page") -> None:
    """Two samples of three values through two units."""
    given = page.layer(
        linear_forward,
        linear_backward,
        x_BI=np.array([[1.0, 2.0, -1.0], [0.0, 0.5, 3.0]]),
        w_OI=np.array([[0.2, -0.4, 1.0], [0.5, 0.1, -0.3]]),
        b_O=np.array([0.1, -0.2]),
    )
    page.say("The same with the bias as a weight of an input that is always 1:")
    x_BJ, w_OJ = with_ones(given["x_BI"]), bias_trick(given["w_OI"], given["b_O"])
    page.show("[x 1] [W b]^T", x_BJ=x_BJ, w_OJ=w_OJ, y_BO=x_BJ @ w_OJ.T)
