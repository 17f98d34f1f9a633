"""Cross-entropy: the loss is minus the log of the right answer's probability.

Its gradient is as simple as can be, p - y: large where the answer is wrong, small where it is
right, which a squared error behind a sigmoid is not (notes 001; notes 003, Study 2 (10); notes
004, losses).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, Whole, check_labels
from .activations import sigmoid
from .softmax import log_softmax

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("losses", 1)


def cross_entropy_forward(scores_BK: Array, label_B: Whole) -> tuple[Array, Cache]:
    """scores_BK, label_B in 0..K-1 -> the loss, a mean over the batch, cache.

        L = -sum_b log p_b,y(b) / B            p = softmax(scores)

    Before anything is learned all scores are alike, and the loss is log K: 2.302 for ten classes.

    Source: notes 003, Study 2 (10) and Study 6 (2); notes 001.

    >>> loss, _ = cross_entropy_forward(np.zeros((4, 10)), np.array([0, 3, 9, 9]))
    >>> round(float(loss), 4)
    2.3026
    """
    check_labels(label_B, scores_BK.shape[1])
    # the logarithm of softmax, without ever forming a probability of 0
    logp_BK = log_softmax(scores_BK)
    # what the right class got
    right_B = logp_BK[np.arange(len(label_B)), label_B]
    loss = -right_B.mean()
    return loss, (logp_BK, label_B)


def cross_entropy_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_scores_BK.

    For one sample L = log sum_j exp(s_j) - s_y. The first term's derivative is softmax:

        dL/ds_k = p_k - (1 if k = y else 0)

    and for the mean over the batch a B-th of it. Each row adds up to 0.

    Source: notes 003, Study 2 (10), differentiated; notes 004, cross-entropy.

    >>> _, cache = cross_entropy_forward(np.zeros((1, 2)), np.array([1]))
    >>> cross_entropy_backward(np.array(1.0), cache).tolist()
    [[0.5, -0.5]]
    """
    logp_BK, label_B = cache
    p_BK = np.exp(logp_BK)
    # 1 at the right class, else 0
    y_BK = np.eye(p_BK.shape[1])[label_B]
    # what is said minus what is true, shared by the batch
    return d_loss * (p_BK - y_BK) / len(label_B)


def logistic_forward(f_N: Array, y_N: Array) -> tuple[Array, Cache]:
    """f_N (scores), y_N of 0 and 1 -> the loss, a sum, cache; any shape.

    One question of yes or no each: an attribute that a picture may have beside others.

        L = -sum y log sigmoid(f) + (1 - y) log(1 - sigmoid(f))

    The notes (003, Study 5 (17)) print it without the minus: that is the log-likelihood, which
    one maximises. Computed as max(f, 0) - y f + log(1 + exp(-|f|)), the same number, which is
    finite for every score.

    Source: notes 001, logistic function; notes 003, Study 5 (17).

    >>> loss, _ = logistic_forward(np.array([0.0, 1e4]), np.array([1.0, 1.0]))
    >>> round(float(loss), 4)
    0.6931
    """
    each_N = np.maximum(f_N, 0.0) - y_N * f_N + np.log1p(np.exp(-np.abs(f_N)))
    loss = each_N.sum()
    return loss, (f_N, y_N)


def logistic_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_f_N.

    With sigma' = sigma (1 - sigma) the slope of the sigmoid cancels:

        dL/df = -y (1 - sigma(f)) + (1 - y) sigma(f) = sigma(f) - y

    which is why a unit that is sure and wrong still learns.

    Source: notes 003, Study 5 (17), with the sign of a loss.

    >>> logistic_backward(np.array(1.0), (np.array([0.0, 1e4]), np.array([1.0, 0.0]))).tolist()
    [-0.5, 1.0]
    """
    f_N, y_N = cache
    # what is said minus what is true
    return d_loss * (sigmoid(f_N) - y_N)


def entropy(p_BK: Array) -> Array:
    """p_BK, rows that add up to 1 -> the entropy of each row, entropy_B, in nats.

        H(p) = -sum_k p_k log p_k              0 log 0 = 0

    Source: notes 004, losses (information entropy).

    >>> entropy(np.array([[0.0, 1.0], [0.5, 0.5]])).round(4).tolist()
    [0.0, 0.6931]
    """
    return -(p_BK * np.log(np.where(p_BK > 0, p_BK, 1.0))).sum(axis=1) + 0.0


def kl_divergence(p_BK: Array, q_BK: Array) -> Array:
    """p_BK, q_BK, rows that add up to 1 -> KL(p || q) of each row, divergence_B.

        KL(p || q) = sum_k p_k log(p_k / q_k) = H(p, q) - H(p)

    Never negative, 0 only for p = q, and not symmetric. The cross-entropy H(p, q) has the same
    gradient by q, since H(p) does not depend on it; for labels, H(p) is 0.

    Source: notes 004, losses (KL divergence).

    >>> p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    >>> kl_divergence(p, q).round(4).tolist(), kl_divergence(q, p).round(4).tolist()
    ([0.1438], [0.1308])
    """
    ratio_BK = np.where(p_BK > 0, p_BK, 1.0) / np.where(p_BK > 0, q_BK, 1.0)
    return (p_BK * np.log(ratio_BK)).sum(axis=1)


def walk(page: "Page") -> None:
    """Two samples of three classes; then three questions of yes or no."""
    page.layer(
        cross_entropy_forward,
        cross_entropy_backward,
        scores_BK=np.array([[2.0, 1.0, -1.0], [0.0, 3.0, 0.5]]),
        label_B=np.array([0, 2]),
    )
    page.layer(
        logistic_forward,
        logistic_backward,
        f_N=np.array([2.0, -1.0, 0.5]),
        y_N=np.array([1.0, 0.0, 0.0]),
    )
