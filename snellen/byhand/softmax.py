"""Softmax: scores become probabilities.

Each score is made positive by exp, then divided by the sum of all: the largest gets most, none
gets nothing (notes 001; notes 003, Study 2 (10)).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("activations", 2)


def log_softmax(scores_BK: Array) -> Array:
    """scores_BK -> log_p_BK, finite for scores of any size.

        log p_k = s_k - log sum_j exp(s_j)

    exp(1e4) overflows. Taking the largest score from all leaves p as it is, since a factor
    C = exp(-max s) cancels, and then no exponent is above 0:

        exp(s_k) / sum_j exp(s_j) = C exp(s_k) / sum_j C exp(s_j)

    The notes print the last denominator as sum(exp(s_j)) + log C; log C belongs in the exponent.

    Source: notes 003, Study 2 (10).

    >>> log_softmax(np.array([[1e4, 0.0]])).tolist()
    [[0.0, -10000.0]]
    """
    shifted_BK = scores_BK - scores_BK.max(axis=1, keepdims=True)
    return shifted_BK - np.log(np.exp(shifted_BK).sum(axis=1, keepdims=True))


def softmax_forward(scores_BK: Array) -> tuple[Array, Cache]:
    """scores_BK -> p_BK that are positive and add up to 1 in each row, cache.

        p_k = exp(s_k) / sum_j exp(s_j)

    Source: notes 003, Study 2 (10); notes 001.

    >>> softmax_forward(np.array([[1e4, 1e4]]))[0].tolist()
    [[0.5, 0.5]]
    """
    # the largest score becomes 0: the answer is the same, and exp cannot overflow
    shifted_BK = scores_BK - scores_BK.max(axis=1, keepdims=True)
    power_BK = np.exp(shifted_BK)
    p_BK = power_BK / power_BK.sum(axis=1, keepdims=True)
    return p_BK, (p_BK,)


def softmax_backward(d_p_BK: Array, cache: Cache) -> Array:
    """d_p_BK, cache -> d_scores_BK.

    A score raises its own probability and lowers all others:

        dp_j/ds_k = p_j (1 if j = k else 0) - p_j p_k

    so, adding up over all j that a score had a part in,

        dL/ds_k = p_k (d_p_k - sum_j d_p_j p_j)

    Each row adds up to 0, since raising all scores alike changes nothing.

    Source: notes 003, Study 2 (10), differentiated.

    >>> softmax_backward(np.array([[1.0, 0.0]]), (np.array([[0.5, 0.5]]),)).tolist()
    [[0.25, -0.25]]
    """
    (p_BK,) = cache
    # what the average class is worth, by the probabilities
    average_B1 = (d_p_BK * p_BK).sum(axis=1, keepdims=True)
    # a score is pushed by how much its class is worth more than that
    return p_BK * (d_p_BK - average_B1)


def walk(page: "Page") -> None:
    """One sample of three classes, then scores that would overflow."""
    page.layer(softmax_forward, softmax_backward, scores_BK=np.array([[2.0, 1.0, -1.0]]))
    page.say("The same scores, 10000 higher: the same probabilities.")
    page.run(softmax_forward, scores_BK=np.array([[10002.0, 10001.0, 9999.0]]))
