"""Adaptive steps: every weight gets a learning rate of its own.

Dividing by the size of the gradients so far makes steep and flat directions alike: AdaGrad,
RMSProp, Adadelta, and with momentum Adam (notes 003, Study 5 (11); notes 001; notes 004).
"""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ._array import Array

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("optimisers", 3)
Moments: TypeAlias = tuple[Array, Array, int]


def average_step(value_N: Array, v_N: Array, *, beta: float) -> Array:
    """value_N, the average so far v_N -> v_N, the exponentially weighted average.

        v <- beta v + (1 - beta) value

    The value n steps ago counts (1 - beta) beta^n: about the last 1 / (1 - beta) are in it. Begun
    at 0, after t steps only 1 - beta^t of a whole is in it; dividing by that corrects the bias,
    exactly where the values are constant.

    Source: notes 001, optimisation.

    >>> v = np.zeros(1)
    >>> for t in (1, 2, 3):
    ...     v = average_step(np.array([5.0]), v, beta=0.9)
    ...     print(v.round(3), (v / (1 - 0.9**t)).round(3))
    [0.5] [5.]
    [0.95] [5.]
    [1.355] [5.]
    """
    return beta * v_N + (1.0 - beta) * value_N


def adagrad_step(
    x_N: Array, d_x_N: Array, squares_N: Array | None = None, *, lr: float, eps: float = 1e-7
) -> tuple[Array, Array]:
    """x_N, d_x_N, the sum of squares so far (None at first) -> x_N, squares_N.

        s <- s + dx^2
        x <- x - lr dx / (sqrt(s) + eps)

    The first step is lr in every direction, whatever the gradient. s only grows, so steps only
    shrink: right for a convex function, too early a halt for a network.

    Source: notes 003, Study 5 (11).

    >>> adagrad_step(np.array([2.0, 1.0]), np.array([2.0, 10.0]), lr=0.1)[0].round(6).tolist()
    [1.9, 0.9]
    """
    squares_N = np.zeros_like(x_N) if squares_N is None else squares_N
    # how large the gradients of this direction were, in all
    squares_N = squares_N + d_x_N**2
    x_N = x_N - lr * d_x_N / (np.sqrt(squares_N) + eps)
    return x_N, squares_N


def rmsprop_step(
    x_N: Array, d_x_N: Array, squares_N: Array | None = None, *,
    lr: float, decay: float = 0.99, eps: float = 1e-7,
) -> tuple[Array, Array]:  # fmt: skip
    """x_N, d_x_N, the mean of squares so far (None at first) -> x_N, squares_N.

        s <- decay s + (1 - decay) dx^2
        x <- x - lr dx / (sqrt(s) + eps)

    AdaGrad that forgets, so steps do not die. decay is 0.9, 0.99 or 0.999; in the notes' code a
    `*` is missing after its bracket.

    Source: notes 003, Study 5 (11); notes 001.

    >>> rmsprop_step(np.array([2.0]), np.array([2.0]), lr=0.1)[0].round(6).tolist()
    [1.0]
    """
    squares_N = np.zeros_like(x_N) if squares_N is None else squares_N
    # how large the gradients of this direction are of late
    squares_N = decay * squares_N + (1.0 - decay) * d_x_N**2
    x_N = x_N - lr * d_x_N / (np.sqrt(squares_N) + eps)
    return x_N, squares_N


def adadelta_step(
    x_N: Array, d_x_N: Array, state: tuple[Array, Array] | None = None, *,
    lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
) -> tuple[Array, tuple[Array, Array]]:  # fmt: skip
    """x_N, d_x_N, (mean of squares, of squared steps; None at first) -> x_N, state.

        s     <- rho s + (1 - rho) dx^2
        step   = sqrt(u + eps) / sqrt(s + eps) dx
        u     <- rho u + (1 - rho) step^2
        x     <- x - lr step

    A gradient has the unit of 1 / x, divided by its own size it has none, and the size of the last
    steps gives the unit of x back: no learning rate is needed (lr is 1). The first steps are tiny,
    since u begins at 0.

    Source: notes 004, optimisers; arXiv:1212.5701, algorithm 1.

    >>> x, _ = adadelta_step(np.array([2.0]), np.array([2.0]))
    >>> float((2.0 - x[0]).round(6))                     # sqrt(1e-6) / sqrt(0.1 * 4) * 2
    0.003162
    """
    squares_N, steps_N = (np.zeros_like(x_N), np.zeros_like(x_N)) if state is None else state
    squares_N = rho * squares_N + (1.0 - rho) * d_x_N**2
    # the size of the last steps over the size of the last gradients
    step_N = np.sqrt(steps_N + eps) / np.sqrt(squares_N + eps) * d_x_N
    steps_N = rho * steps_N + (1.0 - rho) * step_N**2
    x_N = x_N - lr * step_N
    return x_N, (squares_N, steps_N)


def almost_adam_step(
    x_N: Array, d_x_N: Array, state: tuple[Array, Array] | None = None, *,
    lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-7,
) -> tuple[Array, tuple[Array, Array]]:  # fmt: skip
    """x_N, d_x_N, (first, second moment; None at first) -> x_N, state: momentum and RMSProp.

        m <- beta1 m + (1 - beta1) dx
        v <- beta2 v + (1 - beta2) dx^2
        x <- x - lr m / (sqrt(v) + eps)

    Both moments begin at 0 and are too small at first, v the longer: the first step is
    (1 - beta1) / sqrt(1 - beta2) = 3.16 times lr. Adam proper corrects that.

    Source: notes 003, Study 5 (11), Adam (almost).

    >>> x, _ = almost_adam_step(np.array([2.0]), np.array([2.0]), lr=0.1)
    >>> float((2.0 - x[0]).round(4))
    0.3162
    """
    m_N, v_N = (np.zeros_like(x_N), np.zeros_like(x_N)) if state is None else state
    m_N = beta1 * m_N + (1.0 - beta1) * d_x_N
    v_N = beta2 * v_N + (1.0 - beta2) * d_x_N**2
    x_N = x_N - lr * m_N / (np.sqrt(v_N) + eps)
    return x_N, (m_N, v_N)


def adam_step(
    x_N: Array, d_x_N: Array, state: Moments | None = None, *,
    lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
) -> tuple[Array, Moments]:  # fmt: skip
    """x_N, d_x_N, (first moment, second moment, t; None at first) -> x_N, state.

        t <- t + 1
        m <- beta1 m + (1 - beta1) dx          mhat = m / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) dx^2        vhat = v / (1 - beta2^t)
        x <- x - lr mhat / (sqrt(vhat) + eps)

    The corrections make both means unbiased, so the first step is lr. Three things are wrong in
    the notes' code: `beta1 * m * (1 - beta1) * dx` for the sum, the corrected moments are
    computed and not used, and t begins at 0, where 1 - beta^0 divides by zero.

    Source: notes 003, Study 5 (11), Adam (full form); arXiv:1412.6980, algorithm 1.

    >>> x, (_, _, t) = adam_step(np.array([2.0, 1.0]), np.array([2.0, 1000.0]), lr=0.1)
    >>> x.round(6).tolist(), t
    ([1.9, 0.9], 1)
    """
    m_N, v_N, t = (np.zeros_like(x_N), np.zeros_like(x_N), 0) if state is None else state
    t = t + 1
    m_N = beta1 * m_N + (1.0 - beta1) * d_x_N
    v_N = beta2 * v_N + (1.0 - beta2) * d_x_N**2
    # after t steps only this much of a whole mean is in them
    mhat_N = m_N / (1.0 - beta1**t)
    vhat_N = v_N / (1.0 - beta2**t)
    x_N = x_N - lr * mhat_N / (np.sqrt(vhat_N) + eps)
    return x_N, (m_N, v_N, t)


def walk(page: "Page") -> None:
    """Two steps of each down the same bowl."""
    page.say("f(x) = (1 x_0^2 + 10 x_1^2) / 2, from (2, 1)")
    for step in (adagrad_step, rmsprop_step, almost_adam_step, adam_step):
        page.optimiser(step, num_steps=2, lr=0.1)
    page.optimiser(adadelta_step, num_steps=2)
