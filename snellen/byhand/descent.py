"""Gradient descent: against the gradient, a little at a time.

    x_(t+1) = x_t - lr grad f(x_t)

The gradient of all samples (BGD) is exact and dear, that of one (SGD) is cheap and noisy, that
of a mini-batch is between; all have the same mean (notes 003, Study 3 (3) and Study 5 (11); notes
004, optimisers). The notes' code adds where it must subtract: `x += lr * dx` climbs.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ._array import Array, Whole

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("optimisers", 1)


def bowl(x_N: Array) -> float:
    """x_N -> f, a bowl ten times as steep in its last direction as in its first.

        f(x) = sum_n a_n x_n^2 / 2             a from 1 to 10

    Every optimiser here is shown on it; its minimum is at 0.

    >>> bowl(np.array([2.0, 1.0]))
    7.0
    """
    return float((_steepness(len(x_N)) * x_N**2).sum() / 2)


def bowl_gradient(x_N: Array) -> Array:
    """x_N -> the gradient of the bowl, d_x_N.

        df/dx_n = a_n x_n

    >>> bowl_gradient(np.array([2.0, 1.0])).tolist()
    [2.0, 10.0]
    """
    return _steepness(len(x_N)) * x_N


def sgd_step(x_N: Array, d_x_N: Array, state: None = None, *, lr: float) -> tuple[Array, None]:
    """x_N, its gradient d_x_N -> x_N, state (there is none).

        x <- x - lr dx

    On a bowl direction n shrinks by 1 - lr a_n a step: the steepest decides how large lr may be
    (below 2 / a), the flattest how long it takes, and between them the path is a zigzag.

    Source: notes 003, Study 5 (11), with its sign put right.

    >>> sgd_step(np.array([2.0, 1.0]), np.array([2.0, 10.0]), lr=0.1)[0].tolist()
    [1.8, 0.0]
    """
    # downhill
    x_N = x_N - lr * d_x_N
    return x_N, None


def descend(
    step: Callable[..., tuple[Array, Any]], gradient: Callable[[Array], Array], x_N: Array, *,
    num_steps: int, **settings: Any,
) -> Array:  # fmt: skip
    """An optimiser's step, a gradient, the start x_N -> the path path_TN, start included.

    Any step of this room will do: each takes (x, gradient, state) and gives (x, state).

    Source: notes 003, Study 3 (1), following the gradient.

    >>> descend(sgd_step, bowl_gradient, np.array([2.0, 1.0]), num_steps=2, lr=0.1).tolist()
    [[2.0, 1.0], [1.8, 0.0], [1.62, 0.0]]
    """
    path, state = [x_N], None
    for _ in range(num_steps):
        x_N, state = step(x_N, gradient(x_N), state, **settings)
        path.append(x_N)
    return np.stack(path)


def mini_batches(num_samples: int, *, size: int, seed: int) -> Iterator[Whole]:
    """A number of samples, of a batch -> the rows of each batch of one epoch, shuffled.

    Each sample once an epoch. Size 1 is SGD in the strict sense, size num_samples is BGD. For
    batches of one size the mean of their mean gradients is the gradient of all.

    Source: notes 003, Study 3 (3); notes 004, optimisers.

    >>> sorted(row for rows in mini_batches(5, size=2, seed=0) for row in rows.tolist())
    [0, 1, 2, 3, 4]
    """
    order = np.random.default_rng(seed).permutation(num_samples)
    for start in range(0, num_samples, size):
        yield order[start : start + size]


def _steepness(num_directions: int) -> Array:
    return np.linspace(1.0, 10.0, num_directions)


def walk(page: "Page") -> None:
    """Three steps down a bowl; then too large a step."""
    page.say("f(x) = (1 x_0^2 + 10 x_1^2) / 2, from")
    page.optimiser(sgd_step, num_steps=3, lr=0.15)
    page.say("The same with lr = 0.21, more than 2 / 10: the steep direction grows.")
    start = np.array([2.0, 1.0])
    page.show("the path", path_TN=descend(sgd_step, bowl_gradient, start, num_steps=4, lr=0.21))
