"""Dropout: in training a random part of the units is silent.

No unit can rely on another. Here keep is the probability to keep a unit, as in the notes;
PyTorch's p is the probability to drop one, 1 - keep (notes 003, Study 5 (15); notes 001). The mask
comes in as an array: a gradient check must see the same network twice.
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 9)


def draw_mask(shape: tuple[int, ...], *, keep: float, seed: int) -> Array:
    """A shape, the probability to keep, a seed -> mask of that shape: 1 kept, 0 dropped.

    (B, I) drops units; (B, C, 1, 1) whole channels of pictures, which the notes advise after
    convolutions; the shape of the weights drops connections (DropConnect).

    Raises ValueError for a `keep` outside (0, 1].

    Source: notes 003, Study 5 (15).

    >>> draw_mask((2, 4), keep=0.5, seed=0).tolist()
    [[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep={keep} is the probability to keep a unit: above 0, at most 1")
    return (np.random.default_rng(seed).random(shape) < keep).astype(np.float64)


def vanilla_forward(x_N: Array, mask_N: Array) -> tuple[Array, Cache]:
    """x_N, mask_N -> y_N, cache: as in training, in the form of the first paper.

        y = mask x              E[y] = keep x

    So at test time everything is too large by 1 / keep: see vanilla_test.

    Source: notes 003, Study 5 (15).

    >>> vanilla_forward(np.array([3.0, 4.0]), np.array([1.0, 0.0]))[0].tolist()
    [3.0, 0.0]
    """
    return x_N * mask_N, (mask_N,)


def vanilla_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = mask

    Source: notes 003, Study 5 (15), differentiated.

    >>> vanilla_backward(np.array([5.0, 5.0]), (np.array([1.0, 0.0]),)).tolist()
    [5.0, 0.0]
    """
    (mask_N,) = cache
    # a silent unit is not taught
    return d_y_N * mask_N


def vanilla_test(x_N: Array, *, keep: float) -> Array:
    """x_N -> y_N at test time: nothing is dropped, all is scaled to what training expects.

        y = keep x

    For a linear layer after it this is the mean over all masks. The notes say to multiply by
    "the probability of dropout": it is the probability to keep.

    Source: notes 003, Study 5 (15).

    >>> vanilla_test(np.array([3.0, 4.0]), keep=0.5).tolist()
    [1.5, 2.0]
    """
    return keep * x_N


def inverted_forward(x_N: Array, mask_N: Array, *, keep: float) -> tuple[Array, Cache]:
    """x_N, mask_N -> y_N, cache: scaled in training, so that the test needs nothing.

        y = mask x / keep       E[y] = x

    At test time y = x. This is what everyone uses.

    Source: notes 003, Study 5 (15); notes 001, inverted dropout.

    >>> inverted_forward(np.array([3.0, 4.0]), np.array([1.0, 0.0]), keep=0.5)[0].tolist()
    [6.0, 0.0]
    """
    # those that are kept speak for those that are not
    y_N = x_N * mask_N / keep
    return y_N, (mask_N, keep)


def inverted_backward(d_y_N: Array, cache: Cache) -> Array:
    """d_y_N, cache -> d_x_N.

        dy/dx = mask / keep

    Source: notes 003, Study 5 (15), differentiated.

    >>> inverted_backward(np.array([5.0, 5.0]), (np.array([1.0, 0.0]), 0.5)).tolist()
    [10.0, 0.0]
    """
    mask_N, keep = cache
    # the same mask and the same scale as on the way up
    return d_y_N * mask_N / keep


def walk(page: "Page") -> None:
    """Two samples of three units, half of them dropped."""
    mask_N = page.run(draw_mask, shape=(2, 3), keep=0.5, seed=1)
    x_N = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    page.given(x_N=x_N, mask_N=mask_N, keep=0.5)
    page.pair(vanilla_forward, vanilla_backward, x_N=x_N, mask_N=mask_N)
    page.run(vanilla_test, x_N=x_N, keep=0.5)
    page.pair(inverted_forward, inverted_backward, x_N=x_N, mask_N=mask_N, keep=0.5)
