"""Gradient check: is a gradient that was derived by hand right?

The derivative is the limit of a quotient of differences, so it can be had from the loss alone:
slow, since each entry costs two losses, and only nearly right, but nobody can derive it wrongly.
That makes it the judge of every backward in this room (notes 003, Study 3 and 6; notes 001).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ._array import Array

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("gradients", 1)
BANDS = (  # notes 003, Study 6: largest relative error -> what it means
    (1e-7, "good"),
    (1e-4, "fine only with kinks"),  # too much where the loss is smooth
    (1e-2, "suspect"),
    (np.inf, "wrong"),
)


def numerical_gradient(
    loss: Callable[[Array], float], x_N: Array, *, h: float = 1e-5, centred: bool = True
) -> Array:
    """loss of x_N, x_N -> d_x_N by differences; x_N may have any shape.

    Taylor's series says how far each quotient is from the derivative f':

        forward    (f(x + h) - f(x)) / h         =  f' + h f'' / 2 + ...
        centred    (f(x + h) - f(x - h)) / (2h)  =  f' + h^2 f''' / 6 + ...

    so halving h halves the error of the first and quarters that of the second. But the difference
    of two nearly equal numbers loses digits: its rounding error grows as 1/h. Between 1e-4 and
    1e-6 both are small in double precision; in single precision no h is good.

    Source: notes 003, Study 3 (2) and Study 6 (1).

    >>> cube = lambda x: float((x**3).sum())
    >>> x = np.array([1.0, 2.0])                       # the derivative is 3 x^2
    >>> print(numerical_gradient(cube, x, h=0.1, centred=False).round(6))
    [ 3.31 12.61]
    >>> print(numerical_gradient(cube, x, h=0.1).round(6))
    [ 3.01 12.01]
    """
    # one entry at a time is moved, the others stand still
    d_x_N = np.zeros_like(x_N, dtype=np.float64)
    for place in np.ndindex(x_N.shape):
        step_N = np.zeros_like(d_x_N)
        step_N[place] = h
        below, width = (x_N - step_N, 2 * h) if centred else (x_N, h)
        d_x_N[place] = (loss(x_N + step_N) - loss(below)) / width
    return d_x_N


def relative_error(analytic_N: Array, numerical_N: Array) -> float:
    """Two gradients of one shape -> how far apart they are, as a share of the larger one.

        |a - n| / max(|a|, |n|)

    A difference of 1e-4 is nothing between gradients of 1 and everything between gradients of
    1e-5; hence relative. For arrays the bars are Euclidean norms (notes 001), so that one entry
    that is zero but for rounding does not condemn the rest. Two zeros agree.

    Source: notes 003, Study 6 (1); notes 001, gradient checking.

    >>> round(relative_error(np.array([1.0]), np.array([1.0001])), 6)
    0.0001
    """
    norm = np.linalg.norm
    largest = max(norm(analytic_N), norm(numerical_N))
    return float(norm(analytic_N - numerical_N) / largest) if largest else 0.0


def band(error: float) -> str:
    """A relative error -> what the notes say to it, in the words of `sn.gradcheck`.

    Source: notes 003, Study 6 (1).

    >>> for error in (3e-11, 1e-5, 1e-3, 0.5):
    ...     print(error, band(error))
    3e-11 good
    1e-05 fine only with kinks
    0.001 suspect
    0.5 wrong
    """
    return next((words for most, words in BANDS if error <= most), BANDS[-1][1])


def upstream(out_N: Array) -> Array:
    """out_N -> d_out_N of the same shape: plain numbers that stand for the layers above.

    The loss that they belong to is sum(d_out * out). They have both signs and no order, so that
    an error cannot cancel in a sum. Of a single number, a loss already, the derivative is 1.

    >>> print(upstream(np.zeros((2, 3))))
    [[ 1.  -2.   0.5]
     [ 3.  -1.   1. ]]
    """
    out_N = np.asarray(out_N)
    return np.resize([1.0, -2.0, 0.5, 3.0, -1.0], out_N.shape) if out_N.ndim else np.array(1.0)


def check(
    forward: Callable[..., Any], backward: Callable[..., Any], *, h: float = 1e-5, **given: Any
) -> dict[str, float]:
    """A forward, its backward and what forward takes -> the relative error of each gradient.

    Each array of floats that backward has a gradient for is moved, entry by entry, while the rest
    stands still; what is random must come in as an array (a mask, say), or the two losses of one
    quotient would be losses of two different networks.

    Source: notes 003, Study 6 (1).

    >>> def square_forward(x):
    ...     return x * x, (x,)
    >>> def forgot_the_two(d_out, cache):
    ...     return d_out * cache[0]
    >>> check(square_forward, forgot_the_two, x=np.array([1.0, 2.0]))["x"].__round__(6)
    0.5
    """
    out, cache = forward(**given)
    d_out = upstream(out)
    gradients = backward(d_out, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    arrays = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    names = [name for name, value in arrays.items() if value.dtype.kind == "f"]
    if len(names) < len(gradients):
        raise ValueError(
            f"backward gives {len(gradients)} gradients, and of arrays of floats there are "
            f"{len(names)} ({', '.join(names)}): give every array as floats"
        )
    errors = {}
    for name, gradient in zip(names, gradients, strict=False):
        if np.shape(gradient) != arrays[name].shape:
            raise ValueError(
                f"the gradient of {name} has shape {np.shape(gradient)}, {name} itself "
                f"{arrays[name].shape}: every entry has one derivative"
            )

        def loss(value: Array, name: str = name) -> float:
            return float(np.sum(d_out * forward(**{**given, name: value})[0]))

        errors[name] = relative_error(gradient, numerical_gradient(loss, arrays[name], h=h))
    return errors


def walk(page: "Page") -> None:
    """A product of two numbers, then what the step h does to the error."""
    page.say("f(x, y) = x y + sin(x), so df/dx = y + cos(x) and df/dy = x.")
    x_N = page.given(x_N=np.array([1.0, 3.0]))["x_N"]
    page.run(numerical_gradient, loss=_example, x_N=x_N, h=0.1)
    exact_N = np.array([x_N[1] + np.cos(x_N[0]), x_N[0]])
    page.show("the derivative by the rules", exact_N=exact_N)
    page.say("The error by step h. Forward falls with h, centred with its square, until rounding:")
    page.line("h         forward     centred")
    for power in range(1, 12, 2):
        errors = [
            relative_error(exact_N, numerical_gradient(_example, x_N, h=10.0**-power, centred=way))
            for way in (False, True)
        ]
        page.line(f"1e-{power:02d}     {errors[0]:.1e}     {errors[1]:.1e}")
    page.verdict("h = 1e-05", relative_error(exact_N, numerical_gradient(_example, x_N)))


def _example(x_N: Array) -> float:
    return float(x_N[0] * x_N[1] + np.sin(x_N[0]))
