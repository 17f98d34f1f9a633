"""Activations: bend the line, one number at a time.

Without them any number of layers is one linear layer (notes 002, Activations). All here work on
each number alone, so the derivative of the whole is the derivative of one, times what came down:

    y = f(x)          dL/dx = dL/dy f'(x)

Where f' is nearly 0 the unit is saturated and passes no gradient on (notes 003, Study 5 (2)).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("activations", 1)


def sigmoid(x_N: Array) -> Array:
    """x_N -> 1 / (1 + exp(-x)), any shape, without overflow.

    exp(-x) overflows for x of -1e4. Both forms below are the same number, and each is asked only
    for exponents that are not positive:

        1 / (1 + exp(-x)) = exp(x) / (exp(x) + 1)

    >>> sigmoid(np.array([-1e4, 0.0, 1e4])).tolist()
    [0.0, 0.5, 1.0]
    """
    small_N = np.exp(-np.abs(x_N))
    return np.where(x_N >= 0, 1.0, small_N) / (1.0 + small_N)


def sigmoid_forward(x_N: Array) -> tuple[Array, Cache]:
    """x_N -> y_N in (0, 1), cache.

        y = 1 / (1 + exp(-x))

    Source: notes 003, Study 5 (2); notes 001.

    >>> sigmoid_forward(np.array([0.0]))[0].tolist()
    [0.5]
    """
    y_N = sigmoid(x_N)
    return y_N, (y_N,)


def sigmoid_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = exp(-x) / (1 + exp(-x))^2 = y (1 - y)

    At most 1/4, at 0: a chain of ten sigmoids with weights of 1 passes on at most 1/4^10, a
    millionth (network.py).

    Source: notes 004, activations; notes 003, Study 5 (2).

    >>> sigmoid_backward(np.array([1.0]), sigmoid_forward(np.array([0.0]))[1]).tolist()
    [0.25]
    """
    (y_N,) = cache
    # the slope is known from the output alone
    return d_y_N * y_N * (1.0 - y_N)


def tanh_forward(x_N: Array) -> tuple[Array, Cache]:
    """x_N -> y_N in (-1, 1), cache: a sigmoid that is centred at zero.

        y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)) = 2 sigmoid(2x) - 1

    Source: notes 003, Study 5 (2); notes 004, activations (whose brackets are missing).

    >>> round(float(tanh_forward(np.array([0.5]))[0][0]), 6), round(float(np.tanh(0.5)), 6)
    (0.462117, 0.462117)
    """
    # stretched to twice the height and half the width, and moved down
    y_N = 2.0 * sigmoid(2.0 * x_N) - 1.0
    return y_N, (y_N,)


def tanh_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = 1 - y^2

    Source: notes 003, Study 5 (2).

    >>> tanh_backward(np.array([2.0]), (np.array([0.5]),)).tolist()
    [1.5]
    """
    (y_N,) = cache
    # the slope is 1 at zero and falls to 0 on both sides
    return d_y_N * (1.0 - y_N**2)


def relu_forward(x_N: Array) -> tuple[Array, Cache]:
    """x_N -> y_N >= 0, cache.

        y = max(0, x)

    Source: notes 003, Study 5 (2).

    >>> relu_forward(np.array([-1.0, 2.0]))[0].tolist()
    [0.0, 2.0]
    """
    y_N = np.maximum(0.0, x_N)
    return y_N, (x_N,)


def relu_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = 1 if x > 0, else 0

    At 0 there is a kink and no derivative; 0 is the custom. A unit that is below 0 for every
    sample gets no gradient, never changes again, and is called dead.

    Source: notes 003, Study 5 (2).

    >>> relu_backward(np.array([5.0, 5.0]), (np.array([-1.0, 2.0]),)).tolist()
    [0.0, 5.0]
    """
    (x_N,) = cache
    # a gate: open where the input was positive
    return d_y_N * (x_N > 0)


def leaky_relu_forward(x_N: Array, *, slope: float = 0.01) -> tuple[Array, Cache]:
    """x_N -> y_N, cache: a ReLU that cannot die.

        y = x if x >= 0, else slope x

    Source: notes 003, Study 5 (2).

    >>> leaky_relu_forward(np.array([-1.0, 2.0]))[0].tolist()
    [-0.01, 2.0]
    """
    y_N = np.where(x_N >= 0, x_N, slope * x_N)
    return y_N, (x_N, slope)


def leaky_relu_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = 1 if x > 0, else slope

    Source: notes 003, Study 5 (2).

    >>> leaky_relu_backward(np.array([5.0, 5.0]), (np.array([-1.0, 2.0]), 0.01)).tolist()
    [0.05, 5.0]
    """
    x_N, slope = cache
    # the gate is never quite shut
    return d_y_N * np.where(x_N > 0, 1.0, slope)


def prelu_forward(x_N: Array, a: Array) -> tuple[Array, Cache]:
    """x_N, a (one number, an array without axes) -> y_N, cache: the slope is learned.

        y = max(0, x) + a min(0, x)

    The notes print max(x, a x): the same for a of at most 1, and for larger ones the bent half is
    on the other side.

    Source: notes 004, activations; arXiv:1502.01852.

    >>> prelu_forward(np.array([-1.0, 2.0]), np.array(3.0))[0].tolist()
    [-3.0, 2.0]
    """
    y_N = np.maximum(0.0, x_N) + a * np.minimum(0.0, x_N)
    return y_N, (x_N, a)


def prelu_backward(d_y_N: Array, cache: Cache) -> tuple[Array, Array]:
    """d_y_N, cache -> d_x_N, d_a.

        dy/dx = 1 if x > 0, else a             dy/da = min(0, x)

    The one a had a part in every number, so its derivatives are added up.

    Source: notes 004, activations; arXiv:1502.01852.

    >>> d_x, d_a = prelu_backward(np.array([5.0, 5.0]), (np.array([-1.0, 2.0]), 0.25))
    >>> d_x.tolist(), float(d_a)
    ([1.25, 5.0], -5.0)
    """
    x_N, a = cache
    d_x_N = d_y_N * np.where(x_N > 0, 1.0, a)
    # the slope is learned from the negative inputs only
    d_a = np.sum(d_y_N * np.minimum(0.0, x_N))
    return d_x_N, d_a


def elu_forward(x_N: Array, *, alpha: float = 1.0) -> tuple[Array, Cache]:
    """x_N -> y_N > -alpha, cache: below zero it levels out, robust to noise there.

        y = x if x > 0, else alpha (exp(x) - 1)

    Source: notes 003, Study 5 (2); arXiv:1511.07289.

    >>> elu_forward(np.array([-1e4, 2.0]))[0].tolist()
    [-1.0, 2.0]
    """
    # min keeps exp from overflowing on the side that is not taken
    y_N = np.where(x_N > 0, x_N, alpha * np.expm1(np.minimum(0.0, x_N)))
    return y_N, (x_N, y_N, alpha)


def elu_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = 1 if x > 0, else alpha exp(x) = y + alpha

    Source: notes 003, Study 5 (2); arXiv:1511.07289.

    >>> elu_backward(np.array([1.0]), (np.array([-1.0]), np.array([-0.75]), 1.0)).tolist()
    [0.25]
    """
    x_N, y_N, alpha = cache
    # again the slope is known from the output
    return d_y_N * np.where(x_N > 0, 1.0, y_N + alpha)


def walk(page: "Page") -> None:
    """Three values through each."""
    x_N = page.given(x_N=np.array([-2.0, 0.5, 3.0]), a=np.array(0.25))["x_N"]
    for pair in (
        (sigmoid_forward, sigmoid_backward),
        (tanh_forward, tanh_backward),
        (relu_forward, relu_backward),
        (leaky_relu_forward, leaky_relu_backward),
        (elu_forward, elu_backward),
    ):
        page.pair(*pair, x_N=x_N)
    page.pair(prelu_forward, prelu_backward, x_N=x_N, a=np.array(0.25))
