"""Batch normalisation: each feature gets mean 0 and variance 1 over the batch.

Then a scale gamma and a shift beta, which are learned, so that nothing is lost. It stands after
w x + b and before the activation (notes 004; notes 003, Study 5 (10); notes 002;
arXiv:1502.03167). For pictures every pixel of every picture counts as a sample: as_rows.
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 6)


def batch_norm_forward(
    x_BC: Array, gamma_C: Array, beta_C: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """x_BC, gamma_C, beta_C -> y_BC, cache: as in training, by the batch's own statistics.

        mu_c    = sum_b x_bc / B
        var_c   = sum_b (x_bc - mu_c)^2 / B
        xhat_bc = (x_bc - mu_c) / sqrt(var_c + eps)
        y_bc    = gamma_c xhat_bc + beta_c

    With gamma = sqrt(var + eps) and beta = mu it does nothing (the notes' fifth remark).

    Source: notes 004, batch normalization; arXiv:1502.03167, algorithm 1.

    >>> x = np.array([[1.0], [3.0]])
    >>> batch_norm_forward(x, np.array([2.0]), np.array([5.0]), eps=0.0)[0].tolist()
    [[3.0], [7.0]]
    """
    mean_C = x_BC.mean(axis=0)
    centred_BC = x_BC - mean_C
    # divided by B, not by B - 1: this is the batch's own spread, not an estimate
    var_C = (centred_BC**2).mean(axis=0)
    std_C = np.sqrt(var_C + eps)
    xhat_BC = centred_BC / std_C
    y_BC = gamma_C * xhat_BC + beta_C
    return y_BC, (xhat_BC, std_C, gamma_C)


def batch_norm_backward(d_y_BC: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """d_y_BC, cache -> d_x_BC, d_gamma_C, d_beta_C.

    One sample moves xhat of all others, through mu and var. With g = dL/dxhat = d_y gamma and
    s = sqrt(var + eps), the three ways from x to xhat add up to

        dL/dx_b = ( g_b  -  mean(g)  -  xhat_b mean(g xhat) ) / s
                    direct  through mu  through var

    where the means are over the batch. The last two take from g what a shift or a stretch of the
    whole batch would do: the layer is blind to both.

        dL/dgamma = sum_b d_y_b xhat_b         dL/dbeta = sum_b d_y_b

    Derivation of the last term: dL/dvar = -sum_b g_b xhat_b / (2 s^2), and
    dvar/dx_b = 2 (x_b - mu) / B = 2 s xhat_b / B; their product is -xhat_b mean(g xhat) / s.

    Source: notes 004, batch normalization; arXiv:1502.03167, section 3.

    >>> x = np.array([[1.0], [3.0], [8.0]])
    >>> _, cache = batch_norm_forward(x, np.array([2.0]), np.array([5.0]))
    >>> d_x, _, _ = batch_norm_backward(np.array([[1.0], [-2.0], [0.5]]), cache)
    >>> round(float(abs(d_x.sum())), 9), round(float(abs((d_x * x).sum())), 5)
    (0.0, 0.0)
    """
    xhat_BC, std_C, gamma_C = cache
    d_xhat_BC = d_y_BC * gamma_C
    # what a shift of the whole batch would do: nothing, so it is taken out
    shift_C = d_xhat_BC.mean(axis=0)
    # what a stretch of the whole batch would do: nothing as well
    stretch_C = (d_xhat_BC * xhat_BC).mean(axis=0)
    d_x_BC = (d_xhat_BC - shift_C - xhat_BC * stretch_C) / std_C
    # gamma and beta had a part in every sample
    d_gamma_C = (d_y_BC * xhat_BC).sum(axis=0)
    d_beta_C = d_y_BC.sum(axis=0)
    return d_x_BC, d_gamma_C, d_beta_C


def batch_norm_test(
    x_BC: Array, gamma_C: Array, beta_C: Array, *, mean_C: Array, var_C: Array, eps: float = 1e-5
) -> Array:
    """x_BC, gamma_C, beta_C and the population's mean_C and var_C -> y_BC: as at test time.

        y = gamma (x - mean) / sqrt(var + eps) + beta

    No sample depends on another now, and the whole is one linear function of x: it can be folded
    into the layer before it.

    Source: notes 004, batch normalization (4).

    >>> one = np.ones(1)
    >>> batch_norm_test(np.array([[7.0]]), one, one, mean_C=3 * one, var_C=4 * one, eps=0).tolist()
    [[3.0]]
    """
    return gamma_C * (x_BC - mean_C) / np.sqrt(var_C + eps) + beta_C


def running_statistics(
    x_BC: Array, mean_C: Array, var_C: Array, *, momentum: float = 0.1
) -> tuple[Array, Array]:
    """x_BC and the running mean_C and var_C -> both, moved towards this batch's.

        mean <- (1 - momentum) mean + momentum mu
        var  <- (1 - momentum) var  + momentum var_batch B / (B - 1)

    A batch is spread less around its own mean than around the population's, by the factor
    (B - 1) / B on average; the last factor makes up for that, and the estimate is unbiased.

    Source: notes 004, batch normalization (4); the decay is PyTorch's.

    >>> mean, var = running_statistics(np.array([[1.0], [3.0]]), np.zeros(1), np.ones(1))
    >>> round(float(mean[0]), 6), round(float(var[0]), 6)
    (0.2, 1.1)
    """
    unbiased_C = x_BC.var(axis=0, ddof=1)
    mean_C = (1.0 - momentum) * mean_C + momentum * x_BC.mean(axis=0)
    return mean_C, (1.0 - momentum) * var_C + momentum * unbiased_C


def population_statistics(batches: list[Array]) -> tuple[Array, Array]:
    """Batches x_BC of one size -> mean_C and var_C of the population, as the notes have it.

        E[x] = mean of mu over the batches     Var[x] = B / (B - 1) mean of var over the batches

    No decay: every batch counts alike.

    Source: notes 004, batch normalization (4); arXiv:1502.03167, algorithm 2.

    >>> mean, var = population_statistics([np.array([[1.0], [3.0]]), np.array([[2.0], [6.0]])])
    >>> mean.tolist(), var.tolist()
    ([3.0], [5.0])
    """
    means = [x_BC.mean(axis=0) for x_BC in batches]
    variances = [x_BC.var(axis=0, ddof=1) for x_BC in batches]
    return np.mean(means, axis=0), np.mean(variances, axis=0)


def as_rows(x_BCHW: Array) -> Array:
    """x_BCHW -> x_NC with N = B H W: every pixel is a sample of its channels.

    >>> as_rows(np.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[0.0, 4.0], [1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]
    """
    return np.moveaxis(x_BCHW, 1, -1).reshape(-1, x_BCHW.shape[1])


def as_pictures(x_NC: Array, shape: tuple[int, ...]) -> Array:
    """x_NC, the shape (B, C, H, W) -> x_BCHW: the way back.

    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> bool((as_pictures(as_rows(x), x.shape) == x).all())
    True
    """
    B, C, H, W = shape
    return np.moveaxis(x_NC.reshape(B, H, W, C), -1, 1)


def walk(page: "Page") -> None:
    """Three samples of two features; then what is kept for the test."""
    given = page.layer(
        batch_norm_forward,
        batch_norm_backward,
        x_BC=np.array([[1.0, 0.0], [3.0, 2.0], [8.0, -1.0]]),
        gamma_C=np.array([2.0, 1.0]),
        beta_C=np.array([0.0, 5.0]),
    )
    page.say("Kept for the test, from a running mean of 0 and a running variance of 1:")
    start = {"mean_C": np.zeros(2), "var_C": np.ones(2)}
    mean_C, var_C = page.run(running_statistics, x_BC=given["x_BC"], **start)
    page.show("the running statistics", mean_C=mean_C, var_C=var_C)
    page.run(batch_norm_test, **given, mean_C=mean_C, var_C=var_C)
