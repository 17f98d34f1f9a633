"""LSTM: a memory cell with gates that write, keep and read.

The state of a plain recurrent network is multiplied by W at every step, so its gradient vanishes
or explodes. The cell here is only multiplied by the forget gate and added to, and while the gate
is open the gradient passes unchanged (notes 003, Study 8 (8); notes 004, LSTM).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, zeros_like
from .activations import sigmoid

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("recurrent", 2)


def gates(sum_BG: Array) -> tuple[Array, Array, Array, Array]:
    """sum_BG with G = 4 H -> i_BH (write), f_BH (keep), g_BH (what to write), o_BH (read).

    The order is PyTorch's.

    >>> [gate.tolist() for gate in gates(np.zeros((1, 4)))]
    [[[0.5]], [[0.5]], [[0.0]], [[0.5]]]
    """
    i_BH, f_BH, g_BH, o_BH = np.split(sum_BG, 4, axis=1)
    return sigmoid(i_BH), sigmoid(f_BH), np.tanh(g_BH), sigmoid(o_BH)


def lstm_forward(
    x_TBI: Array, h_BH: Array, c_BH: Array, *, w_GI: Array, u_GH: Array, b_G: Array
) -> tuple[Array, Cache]:
    """x_TBI, first state h_BH and cell c_BH, w_GI, u_GH, b_G (G = 4 H) -> h_TBH, cache.

        i, f, o = sigmoid(W x_t + U h_(t-1) + b), each with its own rows of W, U and b
        g       = tanh(W x_t + U h_(t-1) + b)
        c_t     = f c_(t-1) + i g
        h_t     = o tanh(c_t)

    Source: notes 004, LSTM; notes 003, Study 8 (8); Gers et al. 2000 for f.

    >>> w, u, b = np.zeros((4, 1)), np.zeros((4, 1)), np.array([-99.0, 99.0, 0.0, 99.0])
    >>> start = np.ones((1, 1))
    >>> h, _ = lstm_forward(np.zeros((5, 1, 1)), start, start, w_GI=w, u_GH=u, b_G=b)
    >>> h.ravel().round(4).tolist()                  # kept, nothing written: tanh(1) for ever
    [0.7616, 0.7616, 0.7616, 0.7616, 0.7616]
    """
    T, (B, H) = len(x_TBI), h_BH.shape
    gate_TBG = np.zeros((T, B, 4 * H))
    h_SBH, c_SBH = np.zeros((T + 1, B, H)), np.zeros((T + 1, B, H))
    h_SBH[0], c_SBH[0] = h_BH, c_BH
    for t in range(T):
        # all four gates look at what comes in and at the last state
        sum_BG = x_TBI[t] @ w_GI.T + h_SBH[t] @ u_GH.T + b_G
        i_BH, f_BH, g_BH, o_BH = gates(sum_BG)
        # keep a part of the old, add a part of the new
        c_SBH[t + 1] = f_BH * c_SBH[t] + i_BH * g_BH
        # show a part of it
        h_SBH[t + 1] = o_BH * np.tanh(c_SBH[t + 1])
        gate_TBG[t] = np.concatenate([i_BH, f_BH, g_BH, o_BH], axis=1)
    return h_SBH[1:], (x_TBI, h_SBH, c_SBH, gate_TBG, w_GI, u_GH)


def lstm_backward(d_h_TBH: Array, cache: Cache, *, window: int | None = None) -> tuple[Array, ...]:
    """d_h_TBH, cache -> d_x_TBI, d_h_BH, d_c_BH (of the first ones), d_w_GI, d_u_GH, d_b_G.

    From the last step to the first. Two things come back from step t + 1: through the gates to
    h_t, and straight along the cell to c_t:

        dL/dh_t = d_h_t + U^T D_(t+1)
        dL/dc_t = dL/dc_(t+1) f_(t+1) + dL/dh_t o (1 - tanh(c_t)^2)

    D_t, the derivative by the sums before the gates, is by the product rule and by the slopes
    sigmoid' = y (1 - y) and tanh' = 1 - y^2:

        i: dL/dc g i (1 - i)                   f: dL/dc c_(t-1) f (1 - f)
        g: dL/dc i (1 - g^2)                   o: dL/dh tanh(c_t) o (1 - o)

    and then, as in every recurrent network, dL/dW = sum_t D_t x_t^T, dL/dU = sum_t D_t h_(t-1)^T.

    `window` truncates: every k steps nothing is handed back any further, by state or cell,
    as if both were given anew; see rnn_backward.

    Source: notes 003, Study 8 (8), differentiated.

    >>> w, u, b = np.zeros((4, 1)), np.zeros((4, 1)), np.array([-99.0, 99.0, 0.0, 99.0])
    >>> start = np.ones((1, 1))
    >>> _, cache = lstm_forward(np.zeros((50, 1, 1)), start, start, w_GI=w, u_GH=u, b_G=b)
    >>> d_h = np.zeros((50, 1, 1))
    >>> d_h[-1] = 1.0
    >>> round(float(lstm_backward(d_h, cache)[2][0, 0]), 4)      # 1 - tanh(1)^2, not its power
    0.42
    """
    x_TBI, h_SBH, c_SBH, gate_TBG, w_GI, u_GH = cache
    d_x_TBI, d_w_GI, d_u_GH, d_b_G = zeros_like(x_TBI, w_GI, u_GH, w_GI[:, 0])
    d_h_next_BH, d_c_next_BH = zeros_like(h_SBH[0], c_SBH[0])
    for t in reversed(range(len(x_TBI))):
        # the window ends before step t + 1
        if window and (t + 1) % window == 0:
            d_h_next_BH, d_c_next_BH = zeros_like(h_SBH[0], c_SBH[0])
        i_BH, f_BH, g_BH, o_BH = np.split(gate_TBG[t], 4, axis=1)
        shown_BH = np.tanh(c_SBH[t + 1])
        d_h_BH = d_h_TBH[t] + d_h_next_BH
        # the cell hears of the loss through its state and through the next cell
        d_c_BH = d_c_next_BH + d_h_BH * o_BH * (1.0 - shown_BH**2)
        # through each gate's product and slope
        d_i_BH = d_c_BH * g_BH * i_BH * (1.0 - i_BH)
        d_f_BH = d_c_BH * c_SBH[t] * f_BH * (1.0 - f_BH)
        d_g_BH = d_c_BH * i_BH * (1.0 - g_BH**2)
        d_o_BH = d_h_BH * shown_BH * o_BH * (1.0 - o_BH)
        d_sum_BG = np.concatenate([d_i_BH, d_f_BH, d_g_BH, d_o_BH], axis=1)
        # the weights serve at every step: add up
        d_w_GI = d_w_GI + d_sum_BG.T @ x_TBI[t]
        d_u_GH = d_u_GH + d_sum_BG.T @ h_SBH[t]
        d_b_G = d_b_G + d_sum_BG.sum(axis=0)
        d_x_TBI[t] = d_sum_BG @ w_GI
        # to the step before: through the gates, and along the cell
        d_h_next_BH = d_sum_BG @ u_GH
        d_c_next_BH = d_c_BH * f_BH
    return d_x_TBI, d_h_next_BH, d_c_next_BH, d_w_GI, d_u_GH, d_b_G


def walk(page: "Page") -> None:
    """Two steps of one value through one cell."""
    page.layer(
        lstm_forward,
        lstm_backward,
        x_TBI=np.array([1.0, -0.5]).reshape(2, 1, 1),
        h_BH=np.array([[0.1]]),
        c_BH=np.array([[0.5]]),
        w_GI=np.array([[0.5], [-0.3], [0.8], [0.2]]),
        u_GH=np.array([[0.1], [0.4], [-0.6], [0.3]]),
        b_G=np.array([0.0, 1.0, 0.0, 0.0]),
    )
