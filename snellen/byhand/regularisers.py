"""Regularisers: what is added to the loss so that weights stay small, or few.

    full loss = data loss + R(w)

R belongs to the weights alone, so its gradient is added to theirs. Check the two gradients apart:
that of R is simple and can hide a wrong one of the data (notes 003, Study 2 (8), Study 5 (15) and
Study 6 (1); notes 001).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("losses", 4)


def l2_forward(w_N: Array, *, strength: float) -> tuple[Array, Cache]:
    """w_N -> the penalty, cache.

        R = strength / 2 sum w^2

    The half is there so that the gradient has no 2; the notes also print it without the half
    (003, Study 2) and divided by the number of samples (001). Say which you mean.

    Source: notes 003, Study 5 (15).

    >>> float(l2_forward(np.array([3.0, 4.0]), strength=0.1)[0])
    1.25
    """
    return 0.5 * strength * (w_N**2).sum(), (w_N, strength)


def l2_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_w_N.

        dR/dw = strength w

    A step of plain gradient descent multiplies w by 1 - lr strength: weight decay.

    Source: notes 003, Study 5 (15); notes 004, overfitting.

    >>> l2_backward(np.array(1.0), (np.array([3.0, 4.0]), 0.5)).tolist()
    [1.5, 2.0]
    """
    w_N, strength = cache
    # large weights are pulled most, small ones hardly
    return d_loss * strength * w_N


def l1_forward(w_N: Array, *, strength: float) -> tuple[Array, Cache]:
    """w_N -> the penalty, cache.

        R = strength sum |w|

    Source: notes 003, Study 5 (15); notes 001.

    >>> float(l1_forward(np.array([3.0, -4.0]), strength=0.1)[0].round(6))
    0.7
    """
    return strength * np.abs(w_N).sum(), (w_N, strength)


def l1_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_w_N, a subgradient.

        dR/dw = strength sign(w)               at 0 anything in [-strength, strength]; here 0

    Small weights are pulled as hard as large ones, so they end at 0: few weights are left. But
    steps along the subgradient jump over 0 and back; soft_threshold stops there.

    Source: notes 003, Study 5 (15).

    >>> l1_backward(np.array(1.0), (np.array([3.0, 0.0, -4.0]), 0.5)).tolist()
    [0.5, 0.0, -0.5]
    """
    w_N, strength = cache
    # all weights are pulled alike
    return d_loss * strength * np.sign(w_N)


def soft_threshold(w_N: Array, amount: float) -> Array:
    """w_N, lr times strength -> w_N moved towards 0 by that much, and no further.

        argmin_v (v - w)^2 / 2 + amount |v| = sign(w) max(0, |w| - amount)

    An exact step for the L1 penalty: for v > 0 the derivative v - w + amount is 0 at w - amount,
    likewise below, and between -amount and amount 0 is the best.

    Source: notes 003, Study 5 (15), L1; the proximal step (Donoho 1995).

    >>> soft_threshold(np.array([3.0, 0.25, -1.0]), 0.5).tolist()
    [2.5, 0.0, -0.5]
    """
    return np.sign(w_N) * np.maximum(0.0, np.abs(w_N) - amount) + 0.0


def elastic_net_forward(w_N: Array, *, l1: float, l2: float) -> tuple[Array, Cache]:
    """w_N -> the penalty, cache.

        R = sum l1 |w| + l2 w^2                no half here

    Source: notes 003, Study 5 (15).

    >>> float(elastic_net_forward(np.array([3.0, -4.0]), l1=1.0, l2=0.5)[0])
    19.5
    """
    return l1 * np.abs(w_N).sum() + l2 * (w_N**2).sum(), (w_N, l1, l2)


def elastic_net_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_w_N.

        dR/dw = l1 sign(w) + 2 l2 w

    Source: notes 003, Study 5 (15), differentiated.

    >>> elastic_net_backward(np.array(1.0), (np.array([3.0, -4.0]), 1.0, 0.5)).tolist()
    [4.0, -5.0]
    """
    w_N, l1, l2 = cache
    return d_loss * (l1 * np.sign(w_N) + 2.0 * l2 * w_N)


def max_norm(w_OI: Array, *, largest: float = 3.0) -> Array:
    """w_OI -> w_OI with no unit's vector longer than `largest`: a projection after each step.

        w_o <- w_o min(1, c / ||w_o||_2)       c = 3 or 4

    It is no penalty: below c nothing happens, above it the direction is kept. Even a learning
    rate that is far too high cannot make the weights explode.

    Source: notes 003, Study 5 (15).

    >>> max_norm(np.array([[3.0, 4.0], [0.3, 0.4]]), largest=1.0).round(6).tolist()
    [[0.6, 0.8], [0.3, 0.4]]
    """
    norm_O1 = np.sqrt((w_OI**2).sum(axis=1, keepdims=True))
    # those that are short enough are left alone
    scale_O1 = largest / np.maximum(norm_O1, largest)
    return w_OI * scale_O1


def walk(page: "Page") -> None:
    """Three weights under each penalty; then two units under max-norm."""
    w_N = page.given(w_N=np.array([3.0, 0.2, -1.0]))["w_N"]
    page.pair(l2_forward, l2_backward, w_N=w_N, strength=0.1)
    page.pair(l1_forward, l1_backward, w_N=w_N, strength=0.1)
    page.run(soft_threshold, w_N=w_N, amount=0.5)
    page.pair(elastic_net_forward, elastic_net_backward, w_N=w_N, l1=0.1, l2=0.05)
    page.run(max_norm, w_OI=np.array([[3.0, 4.0], [0.3, 0.4]]), largest=3.0)
