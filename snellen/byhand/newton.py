"""Newton's method: the curvature says how far.

The optimisers before follow a slope, a first-order approximation. With the second order there is
no learning rate, but a system of N equations a step, which for a million weights nobody solves:
quasi-Newton methods such as BFGS build up the inverse from gradients (notes 003, Study 5 (13)).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ._array import Array
from .descent import bowl_gradient

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("optimisers", 4)


def numerical_hessian(gradient: Callable[[Array], Array], x_N: Array, *, h: float = 1e-5) -> Array:
    """gradient, x_N -> hessian_NN, by the centred difference of the gradient.

        H_nm = dg_n / dx_m = (g_n(x + h e_m) - g_n(x - h e_m)) / (2h)

    Source: notes 003, Study 3 (2), applied once more.

    >>> numerical_hessian(bowl_gradient, np.array([2.0, 1.0])).round(6).tolist()
    [[1.0, 0.0], [0.0, 10.0]]
    """
    columns = [
        (gradient(x_N + step_N) - gradient(x_N - step_N)) / (2 * h)
        for step_N in h * np.eye(len(x_N))
    ]
    return np.stack(columns, axis=1) + 0.0


def newton_step(x_N: Array, d_x_N: Array, hessian_NN: Array) -> Array:
    """x_N, d_x_N, hessian_NN -> x_N.

    Near x the function is nearly f + g^T s + s^T H s / 2. Its derivative by s, g + H s, is 0 at

        s = -H^-1 g                            x <- x - H^-1 g

    Where the function is that quadratic and H is positive, this is the minimum, in one step. The
    equations are solved; the inverse is never formed.

    Source: notes 003, Study 5 (13).

    >>> hessian = np.array([[1.0, 0.0], [0.0, 10.0]])
    >>> newton_step(np.array([2.0, 1.0]), np.array([2.0, 10.0]), hessian).tolist()
    [0.0, 0.0]
    """
    # how far each direction is from its minimum, all at once
    step_N = np.linalg.solve(hessian_NN, d_x_N)
    return x_N - step_N


def bfgs_inverse(inverse_NN: Array, step_N: Array, change_N: Array) -> Array:
    """The inverse so far, the last step s, the change y of the gradient over it -> inverse_NN.

        B <- (1 - s y^T / y^T s) B (1 - y s^T / y^T s) + s s^T / y^T s

    The curvature along the step is known by now: y = H s. Of all matrices that agree with that,
    B y = s, this is the symmetric one nearest to the one before. L-BFGS keeps the last few pairs
    of s and y in place of the matrix.

    Source: notes 003, Study 5 (13), quasi-Newton; Nocedal and Wright, equation 6.17.

    >>> s, y = np.array([1.0, 2.0]), np.array([3.0, 1.0])
    >>> (bfgs_inverse(np.eye(2), s, y) @ y).round(6).tolist()
    [1.0, 2.0]
    """
    curve = change_N @ step_N
    left_NN = np.eye(len(step_N)) - np.outer(step_N, change_N) / curve
    # along the step what was measured, across it what was known
    return left_NN @ inverse_NN @ left_NN.T + np.outer(step_N, step_N) / curve


def walk(page: "Page") -> None:
    """One step to the bottom of a bowl; then one update of BFGS."""
    page.say("f(x) = (1 x_0^2 + 10 x_1^2) / 2")
    x_N = np.array([2.0, 1.0])
    d_x_N, hessian_NN = bowl_gradient(x_N), numerical_hessian(bowl_gradient, x_N)
    given = page.given(x_N=x_N, d_x_N=d_x_N, hessian_NN=hessian_NN)
    bottom_N = page.run(newton_step, **given)
    page.show("the gradient there is 0", d_bottom_N=bowl_gradient(bottom_N))
    step_N = -0.1 * d_x_N
    page.say("BFGS has to learn the curvature; after a step of gradient descent it knows:")
    change_N = bowl_gradient(x_N + step_N) - d_x_N
    given = page.given(inverse_NN=np.eye(2), step_N=step_N, change_N=change_N)
    inverse_NN = page.run(bfgs_inverse, **given)
    page.show("what it says of the step, and the step itself", said_N=inverse_NN @ change_N,
              step_N=step_N)  # fmt: skip
    page.bowl(x_N)
