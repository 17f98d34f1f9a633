"""Recurrent network: the same small layer at every step, and a memory between them.

Laid out in time it is a deep network whose layers share their weights, and backpropagation
through it is called backpropagation through time, BPTT (notes 003, Study 8; notes 004, RNN).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, zeros_like

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("recurrent", 1)


def rnn_forward(
    x_TBI: Array, h_BH: Array, *, u_HI: Array, w_HH: Array, b_H: Array
) -> tuple[Array, Cache]:
    """x_TBI, the first state h_BH, u_HI, w_HH, b_H -> the states h_TBH, cache.

        s*_t = U x_t + W s_(t-1) + b           s_t = tanh(s*_t)

    in the letters of the notes, whose s is h here. An output o_t = V s_t is a fully connected
    layer of every state: linear.py, with T B samples.

    Source: notes 004, RNN; notes 003, Study 8 (3).

    >>> one = np.ones((1, 1))
    >>> h, _ = rnn_forward(np.zeros((2, 1, 1)), one, u_HI=one, w_HH=one, b_H=np.zeros(1))
    >>> h.ravel().round(4).tolist()                          # tanh(1), tanh(tanh(1))
    [0.7616, 0.642]
    """
    # one more state than steps: the first is what came before
    h_SBH = np.zeros((len(x_TBI) + 1, *h_BH.shape))
    h_SBH[0] = h_BH
    for t in range(len(x_TBI)):
        # what comes in and what is remembered
        sum_BH = x_TBI[t] @ u_HI.T + h_SBH[t] @ w_HH.T + b_H
        h_SBH[t + 1] = np.tanh(sum_BH)
    return h_SBH[1:], (x_TBI, h_SBH, u_HI, w_HH)


def rnn_backward(
    d_h_TBH: Array, cache: Cache, *, window: int | None = None
) -> tuple[Array, Array, Array, Array, Array]:
    """d_h_TBH, cache -> d_x_TBI, d_h_BH (of the first state), d_u_HI, d_w_HH, d_b_H.

    A state acts on the loss of its own step and on the next state, so from the last step to the
    first, with D_t = dL/ds*_t:

        dL/ds_t = d_h_t + W^T D_(t+1)          D_t = (1 - s_t^2) dL/ds_t

    U and W serve at every step, so their derivatives are sums over time (the notes' formulas):

        dL/dU = sum_t D_t x_t^T                dL/dW = sum_t D_t s_(t-1)^T

    `window` truncates: every k steps nothing is handed back any further. The states still go on,
    the gradient forgets the paths that cross a border between windows (rnn_terms has them one by
    one). With k >= T it is the whole.

    Source: notes 004, RNN BPTT; notes 003, Study 8 (6).

    >>> one = np.ones((1, 1))
    >>> _, cache = rnn_forward(np.ones((2, 1, 1)), 0 * one, u_HI=one, w_HH=one, b_H=np.zeros(1))
    >>> d_h = np.array([0.0, 1.0]).reshape(2, 1, 1)          # a loss at the second step alone
    >>> rnn_backward(d_h, cache)[0].ravel().round(4).tolist()
    [0.0468, 0.1114]
    >>> rnn_backward(d_h, cache, window=1)[0].ravel().round(4).tolist()
    [0.0, 0.1114]
    """
    x_TBI, h_SBH, u_HI, w_HH = cache
    window = window or len(x_TBI)
    d_x_TBI, d_u_HI, d_w_HH, d_b_H = zeros_like(x_TBI, u_HI, w_HH, w_HH[0])
    d_next_BH = np.zeros(h_SBH.shape[1:])
    for t in reversed(range(len(x_TBI))):
        # from the loss of this step, and from the step after it
        d_h_BH = d_h_TBH[t] + d_next_BH
        # through tanh
        d_sum_BH = d_h_BH * (1.0 - h_SBH[t + 1] ** 2)
        # the weights serve at every step: add up
        d_u_HI = d_u_HI + d_sum_BH.T @ x_TBI[t]
        d_w_HH = d_w_HH + d_sum_BH.T @ h_SBH[t]
        d_b_H = d_b_H + d_sum_BH.sum(axis=0)
        d_x_TBI[t] = d_sum_BH @ u_HI
        # to the step before, unless a window begins here
        cut = t > 0 and t % window == 0
        d_next_BH = (d_sum_BH @ w_HH) * (not cut)
    return d_x_TBI, d_next_BH, d_u_HI, d_w_HH, d_b_H


def rnn_terms(d_h_TBH: Array, cache: Cache) -> Array:
    """d_h_TBH, cache -> term_TTHH: what the loss of step t adds to dL/dW through step k.

        dL/dW = sum_t sum_(k <= t) term_tk     term_tk = (dL_t/ds*_k) s_(k-1)^T
        dL_t/ds*_(k-1) = tanh'(s*_(k-1)) W^T dL_t/ds*_k

    The double sum as the notes print it: T^2 / 2 terms, which rnn_backward adds up in one pass.
    Truncated BPTT keeps those whose t and k lie in one window, t // window = k // window.

    Source: notes 004, RNN BPTT.

    >>> one = np.ones((1, 1))
    >>> _, cache = rnn_forward(np.ones((2, 1, 1)), 0 * one, u_HI=one, w_HH=one, b_H=np.zeros(1))
    >>> rnn_terms(np.ones((2, 1, 1)), cache)[:, :, 0, 0].round(4).tolist()
    [[0.0, 0.0], [0.0, 0.0848]]
    """
    x_TBI, h_SBH, _, w_HH = cache
    T = len(x_TBI)
    term_TTHH = np.zeros((T, T, *w_HH.shape))
    for t in range(T):
        d_h_BH = d_h_TBH[t]
        for k in reversed(range(t + 1)):
            d_sum_BH = d_h_BH * (1.0 - h_SBH[k + 1] ** 2)
            term_TTHH[t, k] = d_sum_BH.T @ h_SBH[k]
            d_h_BH = d_sum_BH @ w_HH
    return term_TTHH


def rnn_flow(d_last_BH: Array, cache: Cache) -> Array:
    """The gradient at the last state d_last_BH, cache -> d_SBH: what is left of it at each state.

        dL/ds_(t-1) = W^T (1 - s_t^2) dL/ds_t

    T factors of W^T: the norm falls or grows as the T-th power of W's spectral radius, times the
    slopes, which are at most 1. Below 1 early steps are not heard (vanishing), above 1 they
    drown everything (exploding). In a network without recurrence the factors are different
    matrices, and only the slopes are to blame.

    Source: notes 004, why the gradient of an RNN vanishes.

    >>> half = np.full((1, 1), 0.5)
    >>> _, cache = rnn_forward(np.zeros((3, 1, 1)), 0 * half, u_HI=half, w_HH=half, b_H=np.zeros(1))
    >>> rnn_flow(np.ones((1, 1)), cache).ravel().tolist()
    [0.125, 0.25, 0.5, 1.0]
    """
    _, h_SBH, _, w_HH = cache
    d_SBH = np.zeros_like(h_SBH)
    d_SBH[-1] = d_last_BH
    for t in reversed(range(len(h_SBH) - 1)):
        d_SBH[t] = (d_SBH[t + 1] * (1.0 - h_SBH[t + 1] ** 2)) @ w_HH
    return d_SBH


def walk(page: "Page") -> None:
    """Three steps of one value through two units; then what truncating forgets."""
    given = page.layer(
        rnn_forward,
        rnn_backward,
        x_TBI=np.array([1.0, -1.0, 0.5]).reshape(3, 1, 1),
        h_BH=np.array([[0.1, -0.2]]),
        u_HI=np.array([[0.5], [-1.0]]),
        w_HH=np.array([[0.3, 0.8], [-0.4, 0.2]]),
        b_H=np.array([0.0, 0.1]),
    )
    h_TBH, cache = rnn_forward(**given)
    d_h_TBH = np.ones_like(h_TBH)
    page.say("dL/dW of a loss that adds up all states: whole, and truncated to windows of 2.")
    whole_HH = rnn_backward(d_h_TBH, cache)[3]
    cut_HH = rnn_backward(d_h_TBH, cache, window=2)[3]
    page.show("both", whole_HH=whole_HH, cut_HH=cut_HH)
    term_TTHH = rnn_terms(d_h_TBH, cache)
    crossing_HH = term_TTHH[2, 0] + term_TTHH[2, 1]
    why = "the terms of the third loss through the first and second step"
    page.show(why, crossing_HH=crossing_HH, left_HH=whole_HH - cut_HH - crossing_HH)
