"""Layer normalisation: each sample gets mean 0 and variance 1 over its features.

Batch normalisation turned by a quarter: the statistics are those of one sample, so training and
test are the same, and the batch may be small, where batch normalisation is not to be used (notes
004, batch normalization (2); arXiv:1607.06450). Not in the notes, which stop at the remark.
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 7)


def layer_norm_forward(
    x_BI: Array, gamma_I: Array, beta_I: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """x_BI, gamma_I, beta_I -> y_BI, cache.

        xhat_bi = (x_bi - mean_b) / sqrt(var_b + eps)          y_bi = gamma_i xhat_bi + beta_i

    Source: arXiv:1607.06450, section 3.

    >>> x = np.array([[1.0, 3.0]])
    >>> layer_norm_forward(x, np.array([2.0, 2.0]), np.array([5.0, 5.0]), eps=0.0)[0].tolist()
    [[3.0, 7.0]]
    """
    centred_BI = x_BI - x_BI.mean(axis=1, keepdims=True)
    var_B1 = (centred_BI**2).mean(axis=1, keepdims=True)
    std_B1 = np.sqrt(var_B1 + eps)
    xhat_BI = centred_BI / std_B1
    y_BI = gamma_I * xhat_BI + beta_I
    return y_BI, (xhat_BI, std_B1, gamma_I)


def layer_norm_backward(d_y_BI: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """d_y_BI, cache -> d_x_BI, d_gamma_I, d_beta_I.

    As for batch normalisation, with the means over the features of a sample: with
    g_bi = d_y_bi gamma_i,

        dL/dx_bi = ( g_bi - mean_i(g_b) - xhat_bi mean_i(g_b xhat_b) ) / sqrt(var_b + eps)

    gamma and beta belong to features, so their sums are still over the samples.

    Source: arXiv:1607.06450, differentiated.

    >>> _, cache = layer_norm_forward(np.array([[1.0, 3.0, 8.0]]), np.ones(3), np.zeros(3))
    >>> round(float(abs(layer_norm_backward(np.array([[1.0, 0.0, 0.0]]), cache)[0].sum())), 12)
    0.0
    """
    xhat_BI, std_B1, gamma_I = cache
    d_xhat_BI = d_y_BI * gamma_I
    # a shift or a stretch of the whole sample would do nothing: both are taken out
    shift_B1 = d_xhat_BI.mean(axis=1, keepdims=True)
    stretch_B1 = (d_xhat_BI * xhat_BI).mean(axis=1, keepdims=True)
    d_x_BI = (d_xhat_BI - shift_B1 - xhat_BI * stretch_B1) / std_B1
    # gamma and beta had a part in every sample
    d_gamma_I = (d_y_BI * xhat_BI).sum(axis=0)
    d_beta_I = d_y_BI.sum(axis=0)
    return d_x_BI, d_gamma_I, d_beta_I


def walk(page: "Page") -> None:
    """Two samples of three features."""
    page.layer(
        layer_norm_forward,
        layer_norm_backward,
        x_BI=np.array([[1.0, 3.0, 8.0], [0.0, 2.0, -1.0]]),
        gamma_I=np.array([2.0, 1.0, 0.5]),
        beta_I=np.array([0.0, 5.0, 0.0]),
    )
