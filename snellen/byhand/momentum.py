"""Momentum: the step remembers the steps before it.

A ball that rolls keeps its speed: along the valley the pushes add up, across it they cancel, and
over a saddle it coasts (notes 003, Study 5 (11); notes 001). rho is what is left of the speed
after a step, 0.9 as a rule, or raised from 0.5 to 0.99 over the epochs.
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("optimisers", 2)


def momentum_step(
    x_N: Array, d_x_N: Array, v_N: Array | None = None, *, lr: float, rho: float = 0.9
) -> tuple[Array, Array]:
    """x_N, d_x_N, the velocity v_N (None at first) -> x_N, v_N. The notes' and PyTorch's form.

        v <- rho v + dx
        x <- x - lr v

    v is a sum of gradients, of which the one n steps ago counts rho^n: with a constant gradient
    it grows to dx / (1 - rho), so rho = 0.9 is ten times the learning rate in the long run.

    Source: notes 003, Study 5 (11).

    >>> x, v = momentum_step(np.array([2.0]), np.array([2.0]), np.array([1.0]), lr=0.1)
    >>> x.round(6).tolist(), v.tolist()
    ([1.71], [2.9])
    """
    v_N = np.zeros_like(x_N) if v_N is None else v_N
    # the old velocity, slowed by friction, and a push
    v_N = rho * v_N + d_x_N
    x_N = x_N - lr * v_N
    return x_N, v_N


def caffe_momentum_step(
    x_N: Array, d_x_N: Array, v_N: Array | None = None, *, lr: float, rho: float = 0.9
) -> tuple[Array, Array]:
    """x_N, d_x_N, the velocity v_N (None at first) -> x_N, v_N. Caffe's form.

        v <- rho v + lr dx
        x <- x - v

    The same path while lr stands still. When lr falls, this form goes on with the old speed, and
    momentum_step slows at once: a schedule tuned for one is not right for the other.

    Source: the MSRA ResNet's README; Sutskever et al. 2013.

    >>> x, v = caffe_momentum_step(np.array([2.0]), np.array([2.0]), np.array([0.1]), lr=0.1)
    >>> x.round(6).tolist(), v.round(6).tolist()
    ([1.71], [0.29])
    """
    v_N = np.zeros_like(x_N) if v_N is None else v_N
    # the learning rate is part of the velocity
    v_N = rho * v_N + lr * d_x_N
    x_N = x_N - v_N
    return x_N, v_N


def look_ahead(x_N: Array, v_N: Array | None = None, *, rho: float = 0.9) -> Array:
    """x_N, v_N -> where Nesterov's method asks for the gradient.

        x + rho v

    The velocity will carry us there anyway, so it is the better place to ask.

    Source: notes 003, Study 5 (11).

    >>> look_ahead(np.array([2.0]), np.array([-1.0])).tolist()
    [1.1]
    """
    return x_N if v_N is None else x_N + rho * v_N


def nesterov_step(
    x_N: Array, d_ahead_N: Array, v_N: Array | None = None, *, lr: float, rho: float = 0.9
) -> tuple[Array, Array]:
    """x_N, the gradient at look_ahead(x, v), v_N (None at first) -> x_N, v_N.

        v <- rho v - lr grad f(x + rho v)
        x <- x + v

    Source: notes 003, Study 5 (11).

    >>> x, v = nesterov_step(np.array([2.0]), np.array([1.1]), np.array([-1.0]), lr=0.1)
    >>> x.round(6).tolist(), v.round(6).tolist()
    ([0.99], [-1.01])
    """
    v_N = np.zeros_like(x_N) if v_N is None else v_N
    # the push is the one of where the velocity leads
    v_N = rho * v_N - lr * d_ahead_N
    x_N = x_N + v_N
    return x_N, v_N


def nesterov_substituted_step(
    x_N: Array, d_x_N: Array, v_N: Array | None = None, *, lr: float, rho: float = 0.9
) -> tuple[Array, Array]:
    """x_N (the point that looked ahead), d_x_N at x_N, v_N (None at first) -> x_N, v_N.

    Losses and gradients are wanted at one and the same point, so one follows that which looked
    ahead, y = x + rho v. With x' = x + v':

        v' = rho v - lr grad f(y)
        y' = x' + rho v' = y - rho v + (1 + rho) v' = y + v' + rho (v' - v)

    The notes' formula has lost the -lr before the gradient; their code has it.

    Source: notes 003, Study 5 (11).

    >>> y, v = nesterov_substituted_step(np.array([1.1]), np.array([1.1]), np.array([-1.0]), lr=0.1)
    >>> y.round(6).tolist(), v.round(6).tolist()         # 0.99 + 0.9 * -1.01
    ([0.081], [-1.01])
    """
    old_N = np.zeros_like(x_N) if v_N is None else v_N
    v_N = rho * old_N - lr * d_x_N
    # back to where one is, a step, and ahead again
    x_N = x_N - rho * old_N + (1.0 + rho) * v_N
    return x_N, v_N


def walk(page: "Page") -> None:
    """Three steps of each form down the same bowl."""
    page.say("f(x) = (1 x_0^2 + 10 x_1^2) / 2, from (2, 1)")
    for step in (momentum_step, caffe_momentum_step, nesterov_substituted_step):
        page.optimiser(step, num_steps=3, lr=0.05)
