"""The mathematics by hand equals PyTorch's autograd, to 1e-10 in double precision.

The second writings here are torch's own functions, or plain loops where torch has none.
"""

import itertools

import numpy as np
import pytest
import torch
from byhand_torch import TIGHT, numbers, pair_of, same_as_torch
from torch.nn import functional as F

from snellen.byhand import (
    activations,
    batch_norm,
    cross_entropy,
    dropout,
    hinge,
    layer_norm,
    linear,
    maxout,
    network,
    pool,
    regression,
    regularisers,
    response_norm,
    softmax,
    unpool,
)
from snellen.byhand.__main__ import functions, topics

X = {"x_N": numbers(4, 5) * 3}
LABEL = np.array([0, 2, 2, 1])
SIGNS = np.sign(numbers(4, 3))
SCORES = {"scores_BK": numbers(4, 3) * 3}
F_BI = {"f_BI": numbers(4, 3)}
TARGET = torch.tensor(numbers(4, 3, seed=1))
MASK = (numbers(4, 5) > 0).astype(float)
MAP = {"x_BCHW": numbers(2, 6, 3, 4)}
W_N = {"w_N": numbers(3, 4)}


CASES = {  # what -> (pair, the same in torch, arrays, settings)
    "linear": (
        pair_of(linear, "linear"), F.linear,
        {"x_BI": numbers(3, 4), "w_OI": numbers(2, 4), "b_O": numbers(2)}, {},
    ),
    "sigmoid": (pair_of(activations, "sigmoid"), torch.sigmoid, X, {}),
    "tanh": (pair_of(activations, "tanh"), torch.tanh, X, {}),
    "relu": (pair_of(activations, "relu"), F.relu, X, {}),
    "leaky": (pair_of(activations, "leaky_relu"), lambda x: F.leaky_relu(x, 0.2), X,
              {"slope": 0.2}),
    "elu": (pair_of(activations, "elu"), lambda x: F.elu(x, 0.7), X, {"alpha": 0.7}),
    "prelu": (
        pair_of(activations, "prelu"), lambda x, a: F.prelu(x, a.reshape(1)),
        {**X, "a": np.array(0.3)}, {},
    ),
    "prelu above 1": (
        pair_of(activations, "prelu"), lambda x, a: F.prelu(x, a.reshape(1)),
        {**X, "a": np.array(2.0)}, {},
    ),
    "maxout": (
        pair_of(maxout, "maxout"),
        lambda x, w, b: torch.stack([F.linear(x, *one) for one in zip(w, b, strict=True)]).amax(0),
        {"x_BI": numbers(4, 3), "w_KOI": numbers(3, 2, 3), "b_KO": numbers(3, 2)}, {},
    ),
    "softmax": (pair_of(softmax, "softmax"), lambda s: F.softmax(s, 1), SCORES, {}),
    "batch norm": (
        pair_of(batch_norm, "batch_norm"),
        lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True, eps=1e-5),
        {"x_BC": numbers(6, 5) * 3 + 1, "gamma_C": numbers(5), "beta_C": numbers(5, seed=1)}, {},
    ),
    "layer norm": (
        pair_of(layer_norm, "layer_norm"), lambda x, g, b: F.layer_norm(x, (5,), g, b, 1e-5),
        {"x_BI": numbers(4, 5) * 3, "gamma_I": numbers(5), "beta_I": numbers(5, seed=1)}, {},
    ),
    "response norm": (
        pair_of(response_norm, "response_norm"),
        lambda x: F.local_response_norm(x, 3, alpha=0.3 * 3, beta=0.75, k=2.0), MAP,
        {"size": 3, "alpha": 0.3},
    ),
    "response norm of an even size": (
        pair_of(response_norm, "response_norm"),
        lambda x: F.local_response_norm(x, 4, alpha=0.3 * 4, beta=0.5, k=1.0), MAP,
        {"size": 4, "alpha": 0.3, "beta": 0.5, "k": 1.0},
    ),
    "vanilla dropout": (
        pair_of(dropout, "vanilla"), lambda x: x * torch.tensor(MASK), X, {"mask_N": MASK}
    ),
    "inverted dropout": (
        pair_of(dropout, "inverted"), lambda x: x * torch.tensor(MASK) / 0.4, X,
        {"mask_N": MASK, "keep": 0.4},
    ),
    "average pool": (
        pair_of(pool, "average_pool"), lambda x: F.avg_pool2d(x, 2, 1, padding=1), MAP,
        {"stride": 1, "padding": 1},
    ),
    "global average": (pair_of(pool, "global_average"), lambda x: x.mean((2, 3)), MAP, {}),
    "max pool that overlaps": (
        pair_of(pool, "max_pool"), lambda x: F.max_pool2d(x, 3, 2), {"x_BCHW": numbers(2, 3, 7, 5)},
        {"size": 3, "stride": 2},
    ),
    "nearest": (
        pair_of(unpool, "nearest"), lambda x: F.interpolate(x, scale_factor=3), MAP, {"times": 3}
    ),
    "bed of nails": (
        pair_of(unpool, "bed_of_nails"),
        lambda x: F.conv_transpose2d(
            x, F.pad(torch.ones(6, 1, 1, 1).double(), (0, 1, 0, 1)), stride=2, groups=6
        ),
        MAP, {},
    ),
    "two layers": (
        pair_of(network, "two_layers"),
        lambda x, w, b, v, c: F.cross_entropy(
            F.linear(F.relu(F.linear(x, w, b)), v, c), torch.tensor(LABEL)
        ),
        {"x_BI": numbers(4, 5), "w_HI": numbers(6, 5), "b_H": numbers(6), "w_KH": numbers(3, 6),
         "b_K": numbers(3)},
        {"label_B": LABEL},
    ),
    "cross-entropy": (
        pair_of(cross_entropy, "cross_entropy"),
        lambda s: F.cross_entropy(s, torch.tensor(LABEL)), SCORES, {"label_B": LABEL},
    ),
    "logistic": (
        pair_of(cross_entropy, "logistic"),
        lambda f: F.binary_cross_entropy_with_logits(
            f, torch.tensor((SIGNS > 0) * 1.0), reduction="sum"
        ),
        {"f_N": numbers(4, 3)}, {"y_N": (SIGNS > 0) * 1.0},
    ),
    "hinge": (
        pair_of(hinge, "hinge"),
        lambda s: 3 * F.multi_margin_loss(s, torch.tensor(LABEL), margin=0.5), SCORES,
        {"label_B": LABEL, "margin": 0.5},
    ),
    "squared hinge": (
        pair_of(hinge, "hinge"), lambda s: 3 * F.multi_margin_loss(s, torch.tensor(LABEL), p=2),
        SCORES, {"label_B": LABEL, "power": 2},
    ),
    "attribute hinge": (
        pair_of(hinge, "attribute_hinge"),
        lambda f: F.relu(1 - torch.tensor(SIGNS) * f).sum() / 4,
        {"f_BK": numbers(4, 3)}, {"y_BK": SIGNS},
    ),
    "squared error": (
        pair_of(regression, "squared_error"),
        lambda f: F.mse_loss(f, TARGET, reduction="sum") / 4, F_BI, {"y_BI": TARGET.numpy()},
    ),
    "absolute error": (
        pair_of(regression, "absolute_error"),
        lambda f: F.l1_loss(f, TARGET, reduction="sum") / 4, F_BI, {"y_BI": TARGET.numpy()},
    ),
    "smooth L1": (
        pair_of(regression, "smooth_l1"),
        lambda f: F.smooth_l1_loss(f, TARGET, reduction="sum", beta=0.6) / 4, F_BI,
        {"y_BI": TARGET.numpy(), "beta": 0.6},
    ),
    "L2": (pair_of(regularisers, "l2"), lambda w: 0.15 * (w**2).sum(), W_N, {"strength": 0.3}),
    "L1": (pair_of(regularisers, "l1"), lambda w: 0.3 * w.abs().sum(), W_N, {"strength": 0.3}),
    "elastic net": (
        pair_of(regularisers, "elastic_net"), lambda w: 0.3 * w.abs().sum() + 0.2 * (w**2).sum(),
        W_N, {"l1": 0.3, "l2": 0.2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_equals_autograd(name):
    pair, reference, arrays, settings_ = CASES[name]
    same_as_torch(pair, reference, arrays, **settings_)


RECURRENT = {"rnn", "lstm", "peephole", "coupled", "gru"}  # these in test_byhand_recurrent.py


def test_every_pair_of_the_room_is_compared():
    compared = {pair[0].__name__ for pair, *_ in CASES.values()}
    compared |= {
        "conv_forward",
        "transposed_forward",
        "max_unpool_forward",
    }  # in test_byhand_maps.py
    there = {
        name for topic, file in topics().items() if topic not in RECURRENT
        for name in functions(file) if name.endswith("_forward")
    }  # fmt: skip
    assert there == compared


def test_pictures_are_normalised_by_channel():
    x, gamma, beta = numbers(3, 4, 5, 2), numbers(4), numbers(4, seed=1)
    rows = batch_norm.batch_norm_forward(batch_norm.as_rows(x), gamma, beta)[0]
    theirs = F.batch_norm(*map(torch.tensor, (x,)), None, None,
                          torch.tensor(gamma), torch.tensor(beta), training=True)  # fmt: skip
    np.testing.assert_allclose(batch_norm.as_pictures(rows, x.shape), theirs.numpy(), **TIGHT)


def test_running_statistics_and_the_test_are_those_of_torch():
    norm = torch.nn.BatchNorm1d(4, momentum=0.3).double()
    mean, var = np.zeros(4), np.ones(4)
    for seed in range(3):
        x = numbers(5, 4, seed=seed) * 2 + 1
        norm(torch.tensor(x))
        mean, var = batch_norm.running_statistics(x, mean, var, momentum=0.3)
    np.testing.assert_allclose(mean, norm.running_mean.numpy(), **TIGHT)
    np.testing.assert_allclose(var, norm.running_var.numpy(), **TIGHT)
    theirs = norm.eval()(torch.tensor(x)).detach().numpy()
    ours = batch_norm.batch_norm_test(x, np.ones(4), np.zeros(4), mean_C=mean, var_C=var)
    np.testing.assert_allclose(ours, theirs, **TIGHT)


def test_population_variance_is_unbiased_and_the_batches_own_is_not():
    """Over all samples of size 2 from {0, 1, 5}, with replacement: the mean is the population's."""
    population = np.array([0.0, 1.0, 5.0])
    batches = [np.array([[a], [b]]) for a in population for b in population]
    mean, var = batch_norm.population_statistics(batches)
    np.testing.assert_allclose([mean[0], var[0]], [population.mean(), population.var()], **TIGHT)
    biased = np.mean([batch.var(axis=0) for batch in batches])
    np.testing.assert_allclose(biased, population.var() / 2, **TIGHT)


def test_the_notes_fifth_remark_gamma_sigma_and_beta_mu_undo_the_normalisation():
    x = numbers(6, 3) * 4 + 2
    sigma = np.sqrt(x.var(axis=0) + 1e-5)
    np.testing.assert_allclose(batch_norm.batch_norm_forward(x, sigma, x.mean(axis=0))[0], x)


def test_all_masks_of_a_linear_layer_average_to_its_test():
    """E over masks, exactly: all 2^4 masks by their probabilities."""
    x, w, keep = numbers(1, 4), numbers(2, 4), 0.3
    vanilla, inverted = np.zeros((1, 2)), np.zeros((1, 2))
    for bits in itertools.product((0.0, 1.0), repeat=4):
        mask = np.array([bits])
        chance = keep ** sum(bits) * (1 - keep) ** (4 - sum(bits))
        vanilla += chance * dropout.vanilla_forward(x, mask)[0] @ w.T
        inverted += chance * dropout.inverted_forward(x, mask, keep=keep)[0] @ w.T
    np.testing.assert_allclose(vanilla, dropout.vanilla_test(x, keep=keep) @ w.T, **TIGHT)
    np.testing.assert_allclose(inverted, x @ w.T, **TIGHT)


def test_masks_keep_with_the_probability_and_whole_channels():
    share = dropout.draw_mask((100_000,), keep=0.7, seed=0).mean()
    assert abs(share - 0.7) < 3 * np.sqrt(0.7 * 0.3 / 100_000)
    y = numbers(2, 3, 2, 2) * dropout.draw_mask((2, 3, 1, 1), keep=0.5, seed=0)
    whole = (y != 0).reshape(6, 4)
    assert set(whole.sum(axis=1)) == {0, 4}
    for keep in (0.0, 1.1):
        with pytest.raises(ValueError, match="probability to keep"):
            dropout.draw_mask((1,), keep=keep, seed=0)


def test_nothing_overflows():
    far = np.array([[-1e4, 0.0, 1e4]])
    with np.errstate(all="raise", under="ignore"):
        for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu"):
            forward, backward = pair_of(activations, name)
            y, cache = forward(far)
            assert np.isfinite(y).all(), name
            assert np.isfinite(backward(np.ones_like(far), cache)).all(), name
        p, _ = softmax.softmax_forward(far)
        assert p.tolist() == [[0, 0, 1]]
        loss, cache = cross_entropy.cross_entropy_forward(far, np.array([0]))
        assert loss == 2e4
        assert np.isfinite(cross_entropy.cross_entropy_backward(1.0, cache)).all()
        assert cross_entropy.logistic_forward(far, np.ones((1, 3)))[0] == 1e4 + np.log(2)


def test_closed_forms():
    x = np.linspace(-3, 3, 25)
    np.testing.assert_allclose(activations.tanh_forward(x)[0], np.tanh(x), rtol=0, atol=1e-15)
    ones = np.ones(1)
    for classes in (2, 10, 1000):
        nothing = np.zeros((3, classes)), np.array([0, 1, 1])
        np.testing.assert_allclose(
            cross_entropy.cross_entropy_forward(*nothing)[0], np.log(classes)
        )
        assert hinge.hinge_forward(*nothing, margin=0.5)[0] == (classes - 1) * 0.5
    p = softmax.softmax_forward(numbers(4, 6))[0]
    moved = softmax.softmax_forward(numbers(4, 6) + 17.0)[0]
    np.testing.assert_allclose(moved, p, **TIGHT)
    np.testing.assert_allclose(cross_entropy.entropy(np.full((1, 8), 1 / 8)), np.log(8) * ones)
    assert (cross_entropy.kl_divergence(p, p) == 0).all()
    assert (cross_entropy.kl_divergence(p, p[::-1]) > 0).all()
    wanted = torch.distributions.kl_divergence(
        torch.distributions.Categorical(torch.tensor(p)),
        torch.distributions.Categorical(torch.tensor(p[::-1].copy())),
    )
    np.testing.assert_allclose(cross_entropy.kl_divergence(p, p[::-1]), wanted.numpy(), **TIGHT)


def test_the_bias_trick_is_the_same_layer_with_the_same_gradients():
    x, w, b, d = numbers(3, 4), numbers(2, 4), numbers(2), numbers(3, 2)
    plain, cache = linear.linear_forward(x, w, b)
    folded, folded_cache = linear.linear_forward(
        linear.with_ones(x), linear.bias_trick(w, b), np.zeros(2)
    )
    np.testing.assert_allclose(folded, plain, rtol=1e-12)
    _, d_w, d_b = linear.linear_backward(d, cache)
    d_folded = linear.linear_backward(d, folded_cache)[1]
    np.testing.assert_allclose(d_folded, np.hstack([d_w, d_b[:, None]]), rtol=1e-12)


def test_maxout_of_zero_and_w_is_relu():
    x, w = numbers(5, 3), numbers(2, 3)
    pieces = np.stack([np.zeros_like(w), w])
    ours = maxout.maxout_forward(x, pieces, np.zeros((2, 2)))[0]
    np.testing.assert_allclose(ours, np.maximum(0.0, x @ w.T), rtol=1e-14)


@pytest.mark.parametrize("weight", [0.5, 1.0, 4.0, -2.0])
def test_a_chain_of_sigmoids_loses_the_gradient_by_its_product(weight):
    w = np.full(12, weight)
    y, d = network.sigmoid_chain(np.array(0.5), w)
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    outs = [x]
    for one in w:
        outs.append(torch.sigmoid(one * outs[-1]))
    theirs = torch.autograd.grad(outs[-1], outs[1:])
    np.testing.assert_allclose(y, [out.item() for out in outs[1:]], **TIGHT)
    np.testing.assert_allclose(d, [one.item() for one in theirs], **TIGHT)
    ratios = d[:-1] / d[1:]
    np.testing.assert_allclose(ratios, (w * y * (1 - y))[1:], **TIGHT)
    assert (np.abs(ratios) <= abs(weight) / 4).all()


def test_lasso_of_orthonormal_columns_is_the_soft_threshold():
    from sklearn.linear_model import Lasso

    q, _ = np.linalg.qr(numbers(20, 4))
    y, strength = numbers(20, seed=1), 0.2
    theirs = Lasso(alpha=strength / 20, fit_intercept=False, tol=1e-12).fit(q, y).coef_
    np.testing.assert_allclose(regularisers.soft_threshold(q.T @ y, strength), theirs, atol=1e-9)


def test_soft_threshold_is_the_best_of_a_fine_grid():
    grid = np.linspace(-4, 4, 80_001)
    for w in (-2.3, -0.4, 0.0, 0.49, 1.7):
        best = grid[np.argmin((grid - w) ** 2 / 2 + 0.5 * np.abs(grid))]
        ours = regularisers.soft_threshold(np.array([w]), 0.5)[0]
        assert abs(ours - best) <= 1e-4


def test_max_norm_shortens_and_keeps_the_direction():
    w = numbers(6, 4) * 3
    short = regularisers.max_norm(w, largest=3.0)
    norms, before = np.linalg.norm(short, axis=1), np.linalg.norm(w, axis=1)
    assert (before > 3).any()
    assert (before < 3).any()
    np.testing.assert_allclose(norms, np.minimum(before, 3.0), **TIGHT)
    np.testing.assert_allclose(short / norms[:, None], w / before[:, None], **TIGHT)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_without_a_class_are_refused(label):
    labels = np.array([0, label])
    for forward in (cross_entropy.cross_entropy_forward, hinge.hinge_forward):
        with pytest.raises(ValueError, match=f"label {label} of sample 1: with 3 classes"):
            forward(numbers(2, 3), labels)


def test_every_public_function_tells_its_shapes_and_shows_an_example():
    for topic, file in topics().items():
        for name, thing in functions(file).items():
            assert ">>>" in thing.__doc__, f"{topic}.{name} has no example"
            if name.endswith(("_forward", "_backward", "_step")):
                assert "->" in thing.__doc__.splitlines()[0], f"{topic}.{name}"
                assert "Source:" in thing.__doc__, f"{topic}.{name}"
