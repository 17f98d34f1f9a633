"""A network: pairs in a chain, run forward and then backward.

Each forward hands its output up and keeps its cache; each backward hands down the derivative by
its input, which is the d_out of the pair below. That is all of backpropagation: the chain rule,
from the loss to the first layer, every derivative computed once (notes 000, weekly log, gradients
of the weights; notes 003, Study 3 (4)).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, Whole
from .activations import relu_backward, relu_forward, sigmoid
from .cross_entropy import cross_entropy_backward, cross_entropy_forward
from .linear import linear_backward, linear_forward

if TYPE_CHECKING:
    from ._page import Page

CHAIN = 12  # layers of the chain that the walk shows
PLACE = ("networks", 1)


def two_layers_forward(
    x_BI: Array, w_HI: Array, b_H: Array, *, w_KH: Array, b_K: Array, label_B: Whole
) -> tuple[Array, Cache]:
    """x_BI, first layer w_HI and b_H, second w_KH and b_K, label_B -> the loss, cache.

        x -> linear -> relu -> linear -> softmax -> cross-entropy

    Source: notes 003, Study 5 (3); notes 000.

    >>> zeros = {"w_HI": np.zeros((3, 2)), "b_H": np.zeros(3), "w_KH": np.zeros((5, 3))}
    >>> label = np.array([4])
    >>> loss, _ = two_layers_forward(np.ones((1, 2)), **zeros, b_K=np.zeros(5), label_B=label)
    >>> round(float(loss), 4)                                # nothing learned yet: log 5
    1.6094
    """
    sum_BH, first = linear_forward(x_BI, w_HI, b_H)
    hidden_BH, gate = relu_forward(sum_BH)
    scores_BK, second = linear_forward(hidden_BH, w_KH, b_K)
    loss, end = cross_entropy_forward(scores_BK, label_B)
    return loss, (first, gate, second, end)


def two_layers_backward(d_loss: Array, cache: Cache) -> tuple[Array, ...]:
    """d_loss, cache -> d_x_BI, d_w_HI, d_b_H, d_w_KH, d_b_K.

    Written out for the output layer and for the hidden one, with delta = dL/dsum:

        delta_K = p - y                        dL/dw_KH = delta_K^T hidden
        delta_H = (delta_K w_KH) relu'         dL/dw_HI = delta_H^T x

    and so on for every further layer: times the weights above, times the slope here. Where all
    weights are 0, delta_H is 0 and hidden is 0, and but for the last biases nothing ever moves.

    Source: notes 000, weekly log (1 to 3); notes 002, Activations.

    >>> zeros = {"w_HI": np.zeros((3, 2)), "b_H": np.zeros(3), "w_KH": np.zeros((2, 3))}
    >>> label = np.array([1])
    >>> _, cache = two_layers_forward(np.ones((1, 2)), **zeros, b_K=np.zeros(2), label_B=label)
    >>> [bool(d.any()) for d in two_layers_backward(np.array(1.0), cache)]
    [False, False, False, False, True]
    """
    first, gate, second, end = cache
    # from the top: what each pair hands down is what the one below begins with
    d_scores_BK = cross_entropy_backward(d_loss, end)
    d_hidden_BH, d_w_KH, d_b_K = linear_backward(d_scores_BK, second)
    d_sum_BH = relu_backward(d_hidden_BH, gate)
    d_x_BI, d_w_HI, d_b_H = linear_backward(d_sum_BH, first)
    return d_x_BI, d_w_HI, d_b_H, d_w_KH, d_b_K


def sigmoid_chain(x: Array, w_N: Array) -> tuple[Array, Array]:
    """x (one number, an array without axes), w_N -> y_N of each layer, d_N = d y_N[-1] / d y_n.

    N layers of one unit each, y_n = sigmoid(w_n y_(n-1)). By the chain rule the gradient is a
    product with one factor a layer:

        dy_N/dy_n = product over m > n of w_m y_m (1 - y_m)

    The slope is at most 1/4, so with |w| below 4 it vanishes on the way down; with weights large
    enough it could explode, but then the units saturate and their slope is 0.

    Source: notes 000, weekly log; notes 001, vanishing and exploding; notes 004, why the gradient
    of an RNN vanishes.

    >>> _, d = sigmoid_chain(np.array(0.0), np.zeros(3))
    >>> d.tolist()
    [0.0, 0.0, 1.0]
    >>> bool(sigmoid_chain(np.array(0.5), np.ones(10))[1][0] < 0.25**9)
    True
    """
    y_N, d_N = np.zeros_like(w_N), np.ones_like(w_N)
    below = x
    for n in range(len(w_N)):
        below = sigmoid(w_N[n] * below)
        y_N[n] = below
    for n in reversed(range(len(w_N) - 1)):
        # one factor more: the weight above and the slope above
        d_N[n] = d_N[n + 1] * w_N[n + 1] * y_N[n + 1] * (1.0 - y_N[n + 1])
    return y_N, d_N


def walk(page: "Page") -> None:
    """Two samples of two values, three hidden units, two classes; then a long chain of sigmoids."""
    page.layer(
        two_layers_forward,
        two_layers_backward,
        x_BI=np.array([[1.0, -1.0], [0.5, 2.0]]),
        w_HI=np.array([[0.5, -1.0], [1.0, 0.3], [-0.4, 0.8]]),
        b_H=np.array([0.1, 0.0, -0.1]),
        w_KH=np.array([[0.7, -0.5, 0.2], [-0.3, 0.4, 1.0]]),
        b_K=np.array([0.0, 0.1]),
        label_B=np.array([0, 1]),
    )
    page.say(f"What a chain of {CHAIN} sigmoids leaves of the gradient, from the first layer on:")
    for weight in (1.0, 4.0):
        _, d_N = sigmoid_chain(np.array(0.5), np.full(CHAIN, weight))
        page.show(f"every weight {weight:g}", d_N=d_N)
