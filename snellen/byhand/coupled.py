"""Coupled LSTM: what is forgotten makes room for what is written.

The notes' second variant of the LSTM: one gate decides both, i = 1 - f, so the cell is a moving
average of what is offered, and a quarter of the weights is saved (notes 004, LSTM, variant 2;
Greff et al. 2015).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, zeros_like
from .activations import sigmoid

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("recurrent", 4)


def coupled_forward(
    x_TBI: Array, h_BH: Array, c_BH: Array, *, w_GI: Array, u_GH: Array, b_G: Array
) -> tuple[Array, Cache]:
    """x_TBI, first h_BH and c_BH, w_GI, u_GH, b_G (G = 3 H, order f g o) -> h_TBH, cache.

        f, o = sigmoid(W x_t + U h_(t-1) + b)
        g    = tanh(W x_t + U h_(t-1) + b)
        c_t  = f c_(t-1) + (1 - f) g
        h_t  = o tanh(c_t)

    Source: notes 004, LSTM, variant 2.

    >>> zeros, one = np.zeros((3, 1)), np.ones((1, 1))
    >>> b = np.array([0.0, 99.0, 99.0])                              # f = 1/2, g = o = 1
    >>> h, _ = coupled_forward(np.zeros((2, 1, 1)), one, 0 * one, w_GI=zeros, u_GH=zeros, b_G=b)
    >>> np.arctanh(h).ravel().round(4).tolist()                      # the cell: half way each time
    [0.5, 0.75]
    """
    T, (B, H) = len(x_TBI), h_BH.shape
    gate_TBG = np.zeros((T, B, 3 * H))
    h_SBH, c_SBH = np.zeros((T + 1, B, H)), np.zeros((T + 1, B, H))
    h_SBH[0], c_SBH[0] = h_BH, c_BH
    for t in range(T):
        sums_BG = x_TBI[t] @ w_GI.T + h_SBH[t] @ u_GH.T + b_G
        f_BH, g_BH, o_BH = np.split(sums_BG, 3, axis=1)
        f_BH, g_BH, o_BH = sigmoid(f_BH), np.tanh(g_BH), sigmoid(o_BH)
        # an average of the old and of what is offered
        c_SBH[t + 1] = f_BH * c_SBH[t] + (1.0 - f_BH) * g_BH
        h_SBH[t + 1] = o_BH * np.tanh(c_SBH[t + 1])
        gate_TBG[t] = np.concatenate([f_BH, g_BH, o_BH], axis=1)
    return h_SBH[1:], (x_TBI, h_SBH, c_SBH, gate_TBG, w_GI, u_GH)


def coupled_backward(
    d_h_TBH: Array, cache: Cache, *, window: int | None = None
) -> tuple[Array, ...]:
    """d_h_TBH, cache -> d_x_TBI, d_h_BH, d_c_BH (of the first ones), d_w_GI, d_u_GH, d_b_G.

    As for the LSTM, but that f acts twice: it lets the old stay and keeps the new out.

        dL/df = dL/dc (c_(t-1) - g)            dL/dg = dL/dc (1 - f)

    `window` truncates: every k steps nothing is handed back any further, by state or cell,
    as if both were given anew; see rnn_backward.

    Source: notes 004, LSTM, variant 2, differentiated.

    >>> zeros, one = np.zeros((3, 1)), np.ones((1, 1))
    >>> _, cache = coupled_forward(np.zeros((1, 1, 1)), one, one, w_GI=zeros, u_GH=zeros,
    ...                            b_G=np.zeros(3))
    >>> coupled_backward(np.ones((1, 1, 1)), cache)[5].round(4).tolist()
    [0.0983, 0.1966, 0.1155]
    """
    x_TBI, h_SBH, c_SBH, gate_TBG, w_GI, u_GH = cache
    d_x_TBI, d_w_GI, d_u_GH, d_b_G = zeros_like(x_TBI, w_GI, u_GH, w_GI[:, 0])
    d_h_next_BH, d_c_next_BH = zeros_like(h_SBH[0], c_SBH[0])
    for t in reversed(range(len(x_TBI))):
        # the window ends before step t + 1
        if window and (t + 1) % window == 0:
            d_h_next_BH, d_c_next_BH = zeros_like(h_SBH[0], c_SBH[0])
        f_BH, g_BH, o_BH = np.split(gate_TBG[t], 3, axis=1)
        shown_BH = np.tanh(c_SBH[t + 1])
        d_h_BH = d_h_TBH[t] + d_h_next_BH
        d_c_BH = d_c_next_BH + d_h_BH * o_BH * (1.0 - shown_BH**2)
        # the one gate lets the old stay and keeps the new out
        d_f_BH = d_c_BH * (c_SBH[t] - g_BH) * f_BH * (1.0 - f_BH)
        d_g_BH = d_c_BH * (1.0 - f_BH) * (1.0 - g_BH**2)
        d_o_BH = d_h_BH * shown_BH * o_BH * (1.0 - o_BH)
        d_sum_BG = np.concatenate([d_f_BH, d_g_BH, d_o_BH], axis=1)
        d_w_GI = d_w_GI + d_sum_BG.T @ x_TBI[t]
        d_u_GH = d_u_GH + d_sum_BG.T @ h_SBH[t]
        d_b_G = d_b_G + d_sum_BG.sum(axis=0)
        d_x_TBI[t] = d_sum_BG @ w_GI
        d_h_next_BH = d_sum_BG @ u_GH
        d_c_next_BH = d_c_BH * f_BH
    return d_x_TBI, d_h_next_BH, d_c_next_BH, d_w_GI, d_u_GH, d_b_G


def walk(page: "Page") -> None:
    """Two steps of one value through one cell."""
    page.layer(
        coupled_forward,
        coupled_backward,
        x_TBI=np.array([1.0, -0.5]).reshape(2, 1, 1),
        h_BH=np.array([[0.1]]),
        c_BH=np.array([[0.5]]),
        w_GI=np.array([[-0.3], [0.8], [0.2]]),
        u_GH=np.array([[0.4], [-0.6], [0.3]]),
        b_G=np.array([1.0, 0.0, 0.0]),
    )
