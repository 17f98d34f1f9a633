"""Hinge loss: the right score must lead by a margin, and then all is well.

The loss of support vector machines. Unlike cross-entropy it is content: scores of [10, -100, -100]
and of [10, 9, 9] are the same to it, 0, while softmax goes on pushing the second (notes 003,
Study 2 (7) and (11); the notes have it the wrong way round which of the two softmax finds worse).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache, Whole, check_labels

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("losses", 2)


def hinge_forward(
    scores_BK: Array, label_B: Whole, *, margin: float = 1.0, power: int = 1
) -> tuple[Array, Cache]:
    """scores_BK, label_B in 0..K-1 -> the loss, a mean over the batch, cache.

        L = sum_b sum_(j != y) max(0, s_bj - s_by + margin)^power / B

    Power 1 is the usual one (Weston and Watkins), 2 the squared hinge, L2-SVM, which punishes
    large violations more and has no kink. Where all scores are alike the loss is
    (K - 1) margin^power.

    PyTorch's multi_margin_loss divides by K besides.

    Source: notes 003, Study 2 (7).

    >>> label = np.array([0, 0])
    >>> loss, _ = hinge_forward(np.array([[10.0, -100.0, -100.0], [10.0, 9.0, 9.0]]), label)
    >>> float(loss)
    0.0
    >>> float(hinge_forward(np.zeros((1, 10)), np.array([3]))[0])
    9.0
    """
    check_labels(label_B, scores_BK.shape[1])
    rows_B = np.arange(len(label_B))
    right_B1 = scores_BK[rows_B, label_B][:, None]
    # by how much each class comes too near to the right one
    over_BK = np.maximum(0.0, scores_BK - right_B1 + margin)
    # the right class is not compared with itself
    over_BK[rows_B, label_B] = 0.0
    loss = (over_BK**power).sum() / len(label_B)
    return loss, (over_BK, label_B, power)


def hinge_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_scores_BK.

    A class that comes too near is pushed down, and the right one up by as much in all:

        dL/ds_j = power over_j^(power - 1) / B     if j comes too near, else 0
        dL/ds_y = -sum_j dL/ds_j

    With power 1 that is a count. At the kink, where a class leads by the margin exactly, 0.

    Source: notes 003, Study 2 (7), differentiated.

    >>> _, cache = hinge_forward(np.array([[1.0, 2.0, 0.5]]), np.array([0]))
    >>> hinge_backward(np.array(1.0), cache).tolist()
    [[-2.0, 1.0, 1.0]]
    """
    over_BK, label_B, power = cache
    # the wrong classes that come too near are pushed down
    d_BK = (over_BK > 0) * power * over_BK ** (power - 1)
    # the right one is pushed up by as much as all of them together
    d_BK[np.arange(len(label_B)), label_B] = -d_BK.sum(axis=1)
    return d_loss * d_BK / len(label_B)


def attribute_hinge_forward(f_BK: Array, y_BK: Array) -> tuple[Array, Cache]:
    """f_BK (scores), y_BK of -1 and 1 -> the loss, a sum over attributes, a mean over B, cache.

        L = sum_b sum_k max(0, 1 - y_bk f_bk) / B

    One support vector machine an attribute: a score of the right sign and of at least 1 costs
    nothing.

    Source: notes 003, Study 5 (17).

    >>> loss, _ = attribute_hinge_forward(np.array([[2.0, 0.5, 0.5]]), np.array([[1.0, 1.0, -1.0]]))
    >>> float(loss)
    2.0
    """
    # by how much each score falls short of its margin
    short_BK = np.maximum(0.0, 1.0 - y_BK * f_BK)
    loss = short_BK.sum() / len(f_BK)
    return loss, (short_BK, y_BK)


def attribute_hinge_backward(d_loss: Array, cache: Cache) -> Array:
    """d_loss, cache -> d_f_BK.

        dL/df = -y / B if the score falls short, else 0

    Source: notes 003, Study 5 (17), differentiated.

    >>> _, cache = attribute_hinge_forward(np.array([[2.0, 0.5]]), np.array([[1.0, -1.0]]))
    >>> attribute_hinge_backward(np.array(1.0), cache).tolist()
    [[0.0, 1.0]]
    """
    short_BK, y_BK = cache
    # towards its label, if it falls short
    d_f_BK = np.where(short_BK > 0, -y_BK, 0.0)
    return d_loss * d_f_BK / len(y_BK)


def walk(page: "Page") -> None:
    """Two samples of three classes, plain and squared; then two attributes."""
    given = {
        "scores_BK": np.array([[2.0, 1.5, -1.0], [0.0, 3.0, 0.5]]),
        "label_B": np.array([0, 2]),
    }
    page.layer(hinge_forward, hinge_backward, **given)
    page.say("Squared:")
    page.pair(hinge_forward, hinge_backward, **given, power=2)
    page.layer(
        attribute_hinge_forward,
        attribute_hinge_backward,
        f_BK=np.array([[2.0, 0.3]]),
        y_BK=np.array([[1.0, -1.0]]),
    )
