"""Peephole LSTM: the gates also see the cell.

The notes' first variant of the LSTM: each gate gets one weight a unit for what is in the cell,
whether or not it is shown. With these weights 0 it is the LSTM (notes 004, LSTM, variant 1; Gers
and Schmidhuber 2000: one weight a unit and gate, though the usual picture writes matrices).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, zeros_like
from .activations import sigmoid

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("recurrent", 3)


def peephole_forward(
    x_TBI: Array, h_BH: Array, c_BH: Array, *, w_GI: Array, u_GH: Array, b_G: Array, p_3H: Array
) -> tuple[Array, Cache]:
    """x_TBI, h_BH, c_BH, w_GI, u_GH, b_G (G = 4 H, order i f g o), p_3H (i f o) -> h_TBH, cache.

        i, f = sigmoid(W x_t + U h_(t-1) + p c_(t-1) + b)
        g    = tanh(W x_t + U h_(t-1) + b)
        c_t  = f c_(t-1) + i g
        o    = sigmoid(W x_t + U h_(t-1) + p c_t + b)          the new cell, not the old
        h_t  = o tanh(c_t)

    4 H (I + H) weights, 4 H biases and 3 H peepholes.

    Source: notes 004, LSTM, variant 1; Gers and Schmidhuber 2000.

    >>> zeros, one = np.zeros((4, 1)), np.ones((1, 1))
    >>> h, _ = peephole_forward(np.zeros((1, 1, 1)), one, one, w_GI=zeros, u_GH=zeros,
    ...                         b_G=np.zeros(4), p_3H=np.array([[0.0], [99.0], [99.0]]))
    >>> h.ravel().round(4).tolist()                  # what is in the cell keeps itself
    [0.7616]
    """
    T, (B, H) = len(x_TBI), h_BH.shape
    gate_TBG = np.zeros((T, B, 4 * H))
    h_SBH, c_SBH = np.zeros((T + 1, B, H)), np.zeros((T + 1, B, H))
    h_SBH[0], c_SBH[0] = h_BH, c_BH
    for t in range(T):
        sums_BG = x_TBI[t] @ w_GI.T + h_SBH[t] @ u_GH.T + b_G
        i_BH, f_BH, g_BH, o_BH = np.split(sums_BG, 4, axis=1)
        # writing and keeping look at the cell as it is
        i_BH = sigmoid(i_BH + p_3H[0] * c_SBH[t])
        f_BH = sigmoid(f_BH + p_3H[1] * c_SBH[t])
        g_BH = np.tanh(g_BH)
        c_SBH[t + 1] = f_BH * c_SBH[t] + i_BH * g_BH
        # reading looks at the cell as it has become
        o_BH = sigmoid(o_BH + p_3H[2] * c_SBH[t + 1])
        h_SBH[t + 1] = o_BH * np.tanh(c_SBH[t + 1])
        gate_TBG[t] = np.concatenate([i_BH, f_BH, g_BH, o_BH], axis=1)
    return h_SBH[1:], (x_TBI, h_SBH, c_SBH, gate_TBG, w_GI, u_GH, p_3H)


def peephole_backward(
    d_h_TBH: Array, cache: Cache, *, window: int | None = None
) -> tuple[Array, ...]:
    """d_h_TBH, cache -> d_x_TBI, d_h_BH, d_c_BH (first ones), d_w_GI, d_u_GH, d_b_G, d_p_3H.

    As for the LSTM, and three ways more into the cell: o_t sees c_t, and i_(t+1), f_(t+1) see it
    one step later. With D the derivatives by the sums before the gates,

        dL/dc_t = [ dL/dc f + D_i p_i + D_f p_f ]_(t+1) + dL/dh_t o (1 - tanh^2) + D_o p_o
        dL/dp_i = sum_t D_i c_(t-1)     dL/dp_f = sum_t D_f c_(t-1)     dL/dp_o = sum_t D_o c_t

    `window` truncates: every k steps nothing is handed back any further, by state or cell,
    as if both were given anew; see rnn_backward.

    Source: Gers and Schmidhuber 2000, differentiated in full (they cut some of these paths).

    >>> zeros, one = np.zeros((4, 1)), np.ones((1, 1))
    >>> _, cache = peephole_forward(np.zeros((1, 1, 1)), one, one, w_GI=zeros, u_GH=zeros,
    ...                             b_G=np.zeros(4), p_3H=np.zeros((3, 1)))
    >>> peephole_backward(np.ones((1, 1, 1)), cache)[6].ravel().round(4).tolist()
    [0.0, 0.0983, 0.0578]
    """
    x_TBI, h_SBH, c_SBH, gate_TBG, w_GI, u_GH, p_3H = cache
    d_x_TBI, d_w_GI, d_u_GH, d_b_G = zeros_like(x_TBI, w_GI, u_GH, w_GI[:, 0])
    d_p_3H, d_h_next_BH, d_c_next_BH = zeros_like(p_3H, h_SBH[0], c_SBH[0])
    for t in reversed(range(len(x_TBI))):
        # the window ends before step t + 1
        if window and (t + 1) % window == 0:
            d_h_next_BH, d_c_next_BH = zeros_like(h_SBH[0], c_SBH[0])
        i_BH, f_BH, g_BH, o_BH = np.split(gate_TBG[t], 4, axis=1)
        shown_BH = np.tanh(c_SBH[t + 1])
        d_h_BH = d_h_TBH[t] + d_h_next_BH
        d_o_BH = d_h_BH * shown_BH * o_BH * (1.0 - o_BH)
        # the reading gate's peephole is one more way from the cell to the loss
        d_c_BH = d_c_next_BH + d_h_BH * o_BH * (1.0 - shown_BH**2) + d_o_BH * p_3H[2]
        d_i_BH = d_c_BH * g_BH * i_BH * (1.0 - i_BH)
        d_f_BH = d_c_BH * c_SBH[t] * f_BH * (1.0 - f_BH)
        d_g_BH = d_c_BH * i_BH * (1.0 - g_BH**2)
        d_sum_BG = np.concatenate([d_i_BH, d_f_BH, d_g_BH, d_o_BH], axis=1)
        d_w_GI = d_w_GI + d_sum_BG.T @ x_TBI[t]
        d_u_GH = d_u_GH + d_sum_BG.T @ h_SBH[t]
        d_b_G = d_b_G + d_sum_BG.sum(axis=0)
        # a peephole's weight meets the cell that its gate saw
        seen = (d_i_BH * c_SBH[t], d_f_BH * c_SBH[t], d_o_BH * c_SBH[t + 1])
        d_p_3H = d_p_3H + np.stack(seen).sum(axis=1)
        d_x_TBI[t] = d_sum_BG @ w_GI
        d_h_next_BH = d_sum_BG @ u_GH
        # the old cell was kept, and seen by two gates
        d_c_next_BH = d_c_BH * f_BH + d_i_BH * p_3H[0] + d_f_BH * p_3H[1]
    return d_x_TBI, d_h_next_BH, d_c_next_BH, d_w_GI, d_u_GH, d_b_G, d_p_3H


def walk(page: "Page") -> None:
    """Two steps of one value through one cell."""
    page.layer(
        peephole_forward,
        peephole_backward,
        x_TBI=np.array([1.0, -0.5]).reshape(2, 1, 1),
        h_BH=np.array([[0.1]]),
        c_BH=np.array([[0.5]]),
        w_GI=np.array([[0.5], [-0.3], [0.8], [0.2]]),
        u_GH=np.array([[0.1], [0.4], [-0.6], [0.3]]),
        b_G=np.array([0.0, 1.0, 0.0, 0.0]),
        p_3H=np.array([[0.5], [-0.5], [1.0]]),
    )
