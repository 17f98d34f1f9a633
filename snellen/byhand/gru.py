"""GRU: two gates and no cell beside the state.

The update gate z decides how much of the state stays, the reset gate r how much of it the new
candidate may see. The notes' picture of it resets before the matrix, PyTorch after it; both are
here (notes 004, GRU; Cho et al., arXiv:1406.1078).

What z means is a convention, too: here and in PyTorch it is the share that stays, elsewhere the
share that is new. Changing the signs of z's weights and biases turns one into the other, since
1 - sigmoid(a) = sigmoid(-a).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, zeros_like
from .activations import sigmoid

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("recurrent", 5)


def gru_forward(
    x_TBI: Array, h_BH: Array, *,
    w_GI: Array, u_GH: Array, b_G: Array, c_G: Array, reset: str = "after",
) -> tuple[Array, Cache]:  # fmt: skip
    """x_TBI, h_BH, w_GI, u_GH, b_G, c_G (G = 3 H, order r z n; c is U's own bias) -> h_TBH, cache.

        r, z = sigmoid(W x_t + b + U h_(t-1) + c)
        n    = tanh(W x_t + b + r (U h_(t-1) + c))           reset "after" the matrix: PyTorch
        n    = tanh(W x_t + b + U (r h_(t-1)) + c)           reset "before" it: the paper
        h_t  = z h_(t-1) + (1 - z) n

    Raises ValueError for another `reset`.

    Source: notes 004, GRU; arXiv:1406.1078, equations 5 to 8.

    >>> zeros, one = np.zeros((3, 1)), np.ones((1, 1))
    >>> start = {"w_GI": zeros, "u_GH": zeros, "b_G": np.zeros(3), "c_G": np.zeros(3)}
    >>> gru_forward(np.zeros((2, 1, 1)), one, **start)[0].ravel().tolist()
    [0.5, 0.25]
    """
    if reset not in ("after", "before"):
        raise ValueError(f"reset={reset!r}: 'after' the matrix or 'before' it")
    T, (B, H) = len(x_TBI), h_BH.shape
    gate_TBG, h_SBH = np.zeros((T, B, 3 * H)), np.zeros((T + 1, B, H))
    h_SBH[0] = h_BH
    for t in range(T):
        in_BG = x_TBI[t] @ w_GI.T + b_G
        old_BG = h_SBH[t] @ u_GH.T + c_G
        r_BH = sigmoid(in_BG[:, :H] + old_BG[:, :H])
        z_BH = sigmoid(in_BG[:, H : 2 * H] + old_BG[:, H : 2 * H])
        # what the candidate may see of the state
        seen_BH = r_BH * old_BG[:, 2 * H :]
        if reset == "before":
            seen_BH = (r_BH * h_SBH[t]) @ u_GH[2 * H :].T + c_G[2 * H :]
        n_BH = np.tanh(in_BG[:, 2 * H :] + seen_BH)
        # an average of the old state and the candidate
        h_SBH[t + 1] = z_BH * h_SBH[t] + (1.0 - z_BH) * n_BH
        gate_TBG[t] = np.concatenate([r_BH, z_BH, n_BH], axis=1)
    return h_SBH[1:], (x_TBI, h_SBH, gate_TBG, w_GI, u_GH, c_G, reset)


def gru_backward(d_h_TBH: Array, cache: Cache, *, window: int | None = None) -> tuple[Array, ...]:
    """d_h_TBH, cache -> d_x_TBI, d_h_BH (of the first state), d_w_GI, d_u_GH, d_b_G, d_c_G.

    From the last step to the first, with D the derivatives by the sums before the gates:

        D_z = dL/dh (h_(t-1) - n) z (1 - z)    D_n = dL/dh (1 - z) (1 - n^2)

    The candidate saw r (U h + c), so what comes back to r and to U h + c is

        after:   D_r = D_n (U h + c) r (1 - r)         U h + c gets   D_n r
        before:  with E = U^T D_n, what came back to r h:
                 D_r = E h r (1 - r)                   h gets         E r

    The old state acts in four ways: it stays by z, and it is in both gates and in the candidate.

    `window` truncates: every k steps nothing is handed back any further, as if the state
    were given anew; see rnn_backward.

    Source: arXiv:1406.1078, differentiated.

    >>> zeros, one = np.zeros((3, 1)), np.ones((1, 1))
    >>> start = {"w_GI": zeros, "u_GH": zeros, "b_G": np.zeros(3), "c_G": np.zeros(3)}
    >>> _, cache = gru_forward(np.zeros((2, 1, 1)), one, **start)
    >>> gru_backward(np.array([[[0.0]], [[1.0]]]), cache)[1].tolist()
    [[0.25]]
    """
    x_TBI, h_SBH, gate_TBG, w_GI, u_GH, c_G, reset = cache
    d_x_TBI, d_w_GI, d_u_GH, d_b_G, d_c_G = zeros_like(x_TBI, w_GI, u_GH, c_G, c_G)
    d_next_BH = np.zeros(h_SBH.shape[1:])
    for t in reversed(range(len(x_TBI))):
        # the window ends before step t + 1
        if window and (t + 1) % window == 0:
            d_next_BH = np.zeros_like(d_next_BH)
        r_BH, z_BH, n_BH = np.split(gate_TBG[t], 3, axis=1)
        d_h_BH = d_h_TBH[t] + d_next_BH
        d_z_BH = d_h_BH * (h_SBH[t] - n_BH) * z_BH * (1.0 - z_BH)
        d_n_BH = d_h_BH * (1.0 - z_BH) * (1.0 - n_BH**2)
        # back through what the candidate saw: to the reset gate, to U and c, to the state
        d_r_BH, d_seen_BG, d_u_n_HH, d_kept_BH = _back_through_reset(
            d_n_BH, r_BH, h_SBH[t], u_GH=u_GH, c_G=c_G, reset=reset
        )
        gates_BG = np.concatenate([d_r_BH, d_z_BH], axis=1)
        d_in_BG = np.concatenate([gates_BG, d_n_BH], axis=1)
        # the weights serve at every step: add up
        d_w_GI = d_w_GI + d_in_BG.T @ x_TBI[t]
        d_u_GH = d_u_GH + np.concatenate([gates_BG.T @ h_SBH[t], d_u_n_HH])
        d_b_G = d_b_G + d_in_BG.sum(axis=0)
        d_c_G = d_c_G + np.concatenate([gates_BG, d_seen_BG], axis=1).sum(axis=0)
        d_x_TBI[t] = d_in_BG @ w_GI
        # the state stayed by z, was in both gates, and was seen by the candidate
        d_next_BH = d_h_BH * z_BH + gates_BG @ u_GH[: gates_BG.shape[1]] + d_kept_BH
    return d_x_TBI, d_next_BH, d_w_GI, d_u_GH, d_b_G, d_c_G


def _back_through_reset(
    d_n_BH: Array, r_BH: Array, h_BH: Array, *, u_GH: Array, c_G: Array, reset: str
) -> tuple[Array, Array, Array, Array]:
    """What comes back to r's sum, to c's last rows, to U's last rows and to the old state."""
    u_n_HH, c_n_H = u_GH[-len(d_n_BH[0]) :], c_G[-len(d_n_BH[0]) :]
    slope_BH = r_BH * (1.0 - r_BH)
    if reset == "after":
        d_old_BH = d_n_BH * r_BH
        d_r_BH = d_n_BH * (h_BH @ u_n_HH.T + c_n_H) * slope_BH
        return d_r_BH, d_old_BH, d_old_BH.T @ h_BH, d_old_BH @ u_n_HH
    d_rh_BH = d_n_BH @ u_n_HH
    return d_rh_BH * h_BH * slope_BH, d_n_BH, d_n_BH.T @ (r_BH * h_BH), d_rh_BH * r_BH


def walk(page: "Page") -> None:
    """Two steps of one value through one unit, reset after and before the matrix."""
    given = page.layer(
        gru_forward,
        gru_backward,
        x_TBI=np.array([1.0, -0.5]).reshape(2, 1, 1),
        h_BH=np.array([[0.4]]),
        w_GI=np.array([[0.5], [-0.3], [0.8]]),
        u_GH=np.array([[0.1], [0.4], [-0.6]]),
        b_G=np.array([0.0, 1.0, 0.0]),
        c_G=np.array([0.2, 0.0, 0.5]),
    )
    page.say("Reset before the matrix:")
    page.pair(gru_forward, gru_backward, **given, reset="before")
