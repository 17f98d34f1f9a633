"""The optimisers' formulas: torch.optim's paths, closed forms, and what the notes' misprints do."""

import itertools

import numpy as np
import pytest
import torch

from snellen.byhand import adaptive, descent, momentum, newton

TIGHT = {"rtol": 1e-10, "atol": 1e-12}
START = np.array([2.0, -1.0, 0.5])
STEPS = 12


def torch_path(make):
    """The bowl descended by an optimiser of torch."""
    x = torch.tensor(START, requires_grad=True)
    steepness = torch.linspace(1, 10, len(START)).double()
    optimizer, path = make([x]), [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        (steepness * x**2 / 2).sum().backward()
        optimizer.step()
        path.append(x.detach().numpy().copy())
    return np.stack(path)


def path(step, start=START, **settings):
    return descent.descend(step, descent.bowl_gradient, start, num_steps=STEPS, **settings)


optim = torch.optim
PATHS = {  # what -> (our step, its settings, torch's)
    "sgd": (descent.sgd_step, {"lr": 0.05}, lambda p: optim.SGD(p, lr=0.05)),
    "momentum": (momentum.momentum_step, {"lr": 0.02, "rho": 0.8},
                 lambda p: optim.SGD(p, lr=0.02, momentum=0.8)),
    "caffe momentum, constant lr": (momentum.caffe_momentum_step, {"lr": 0.02, "rho": 0.8},
                                    lambda p: optim.SGD(p, lr=0.02, momentum=0.8)),
    "nesterov": (momentum.nesterov_substituted_step, {"lr": 0.02, "rho": 0.8},
                 lambda p: optim.SGD(p, lr=0.02, momentum=0.8, nesterov=True)),
    "adagrad": (adaptive.adagrad_step, {"lr": 0.3, "eps": 1e-7},
                lambda p: optim.Adagrad(p, lr=0.3, eps=1e-7)),
    "rmsprop": (adaptive.rmsprop_step, {"lr": 0.1, "decay": 0.9, "eps": 1e-7},
                lambda p: optim.RMSprop(p, lr=0.1, alpha=0.9, eps=1e-7)),
    "adadelta": (adaptive.adadelta_step, {"lr": 2.0, "rho": 0.8, "eps": 1e-4},
                 lambda p: optim.Adadelta(p, lr=2.0, rho=0.8, eps=1e-4)),
    "adam": (adaptive.adam_step, {"lr": 0.2, "beta1": 0.8, "beta2": 0.9},
             lambda p: optim.Adam(p, lr=0.2, betas=(0.8, 0.9))),
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_path_is_that_of_torch(name):
    step, settings, make = PATHS[name]
    np.testing.assert_allclose(path(step, **settings), torch_path(make), **TIGHT)


def test_gradient_descent_on_a_bowl_is_a_power():
    """x_t = (1 - lr a)^t x_0."""
    shrink = 1 - 0.15 * np.linspace(1, 10, 3)
    wanted = START * shrink ** np.arange(STEPS + 1)[:, None]
    np.testing.assert_allclose(path(descent.sgd_step, lr=0.15), wanted, **TIGHT)


def test_the_notes_plus_climbs():
    def misprinted(x, d_x, state, lr):
        return x + lr * d_x, None

    heights = [descent.bowl(x) for x in path(misprinted, lr=0.05)]
    assert heights == sorted(heights)
    heights = [descent.bowl(x) for x in path(descent.sgd_step, lr=0.05)]
    assert heights == sorted(heights, reverse=True)


def test_mini_batches_cover_each_sample_once_and_their_mean_is_the_whole_gradient():
    random = np.random.default_rng(0)
    x, y, w = random.normal(size=(12, 3)), random.normal(size=12), START

    def gradient(rows):
        return 2 * x[rows].T @ (x[rows] @ w - y[rows]) / len(rows)

    for size in (1, 3, 12):
        batches = list(descent.mini_batches(12, size=size, seed=4))
        assert sorted(np.concatenate(batches)) == list(range(12))
        mean = np.mean([gradient(rows) for rows in batches], axis=0)
        np.testing.assert_allclose(mean, gradient(np.arange(12)), **TIGHT)


def test_both_forms_of_nesterov_walk_one_path():
    """The substituted form follows the point that looked ahead."""
    settings = {"lr": 0.03, "rho": 0.9}
    x, v = START, None
    ahead = [momentum.look_ahead(x, v)]
    for _ in range(STEPS):
        gradient = descent.bowl_gradient(momentum.look_ahead(x, v))
        x, v = momentum.nesterov_step(x, gradient, v, **settings)
        ahead.append(momentum.look_ahead(x, v))
    ours = path(momentum.nesterov_substituted_step, **settings)
    np.testing.assert_allclose(ours, ahead, rtol=1e-12, atol=1e-13)


def test_the_two_momenta_part_when_the_learning_rate_falls():
    ends = {}
    for step in (momentum.momentum_step, momentum.caffe_momentum_step):
        x, v = START, None
        for lr in (0.02, 0.02, 0.002):
            before = x
            x, v = step(x, descent.bowl_gradient(x), v, lr=lr)
        ends[step.__name__] = np.linalg.norm(x - before)
    assert ends["caffe_momentum_step"] > 5 * ends["momentum_step"]


def test_velocity_of_a_constant_gradient_is_ten_times_it():
    x, v = np.zeros(1), None
    for _ in range(300):
        x, v = momentum.momentum_step(x, np.ones(1), v, lr=1e-3, rho=0.9)
    np.testing.assert_allclose(v, 10.0)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_first_steps_in_closed_form(size):
    """Whatever the gradient: lr, or with almost-Adam (1 - b1) / sqrt(1 - b2) times it."""
    gradient = np.array([size, -size])
    first = {
        step.__name__: step(np.zeros(2), gradient, lr=0.1, eps=0.0)[0]
        for step in (adaptive.adagrad_step, adaptive.adam_step, adaptive.almost_adam_step)
    }
    for name, factor in (("adagrad_step", 1), ("adam_step", 1),
                         ("almost_adam_step", 0.1 / np.sqrt(0.001))):  # fmt: skip
        np.testing.assert_allclose(first[name], [-0.1 * factor, 0.1 * factor], rtol=1e-12)


def test_adams_misprints():
    """A product for the sum stays 0; t from 0 divides by 0; corrections unused are almost-Adam."""
    m = 0.0
    for _ in range(5):
        m = 0.9 * m * (1 - 0.9) * 3.0
    assert m == 0.0
    with pytest.raises(ZeroDivisionError):
        m / (1 - 0.9**0)
    almost = path(adaptive.almost_adam_step, lr=0.1, eps=1e-8)
    assert np.abs(path(adaptive.adam_step, lr=0.1) - almost).max() > 0.1


def test_the_average_weighs_by_powers_and_is_corrected_on_constants():
    values, beta = np.random.default_rng(0).normal(size=20), 0.9
    v = np.zeros(1)
    for t, value in enumerate(values, 1):
        v = adaptive.average_step(np.array([value]), v, beta=beta)
        weights = (1 - beta) * beta ** np.arange(t - 1, -1, -1.0)
        np.testing.assert_allclose(v[0], weights @ values[:t], **TIGHT)
        np.testing.assert_allclose(weights.sum(), 1 - beta**t)
    assert abs(0.9**10 - 1 / np.e) < 0.03  # the notes' window of 1 / (1 - beta)


def test_newton_solves_a_quadratic_in_one_step():
    random = np.random.default_rng(0)
    root = random.normal(size=(4, 4))
    hessian, goal = root @ root.T + np.eye(4), random.normal(size=4)

    def gradient(x):
        return hessian @ (x - goal)

    x = random.normal(size=4) * 100
    np.testing.assert_allclose(newton.numerical_hessian(gradient, x), hessian, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(newton.newton_step(x, gradient(x), hessian), goal, rtol=1e-9)


def test_bfgs_with_exact_steps_knows_the_inverse_after_as_many_steps_as_directions():
    random = np.random.default_rng(1)
    root = random.normal(size=(4, 4))
    hessian = root @ root.T + np.eye(4)
    x, inverse = random.normal(size=4), np.eye(4)
    for _ in range(4):
        gradient = hessian @ x
        direction = -inverse @ gradient
        step = direction * -(gradient @ direction) / (direction @ hessian @ direction)
        x = x + step
        inverse = newton.bfgs_inverse(inverse, step, hessian @ step)
        np.testing.assert_allclose(inverse @ hessian @ step, step, rtol=1e-8)
        np.testing.assert_allclose(inverse, inverse.T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(inverse, np.linalg.inv(hessian), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(x, 0, atol=1e-7)


def test_following_the_numerical_gradient_is_the_same_path():
    from snellen.byhand.gradients import numerical_gradient

    ours = descent.descend(
        descent.sgd_step, lambda x: numerical_gradient(descent.bowl, x), START,
        num_steps=STEPS, lr=0.1,
    )  # fmt: skip
    np.testing.assert_allclose(ours, path(descent.sgd_step, lr=0.1), atol=1e-5)


def test_no_step_changes_what_it_was_given():
    for step, settings, _ in PATHS.values():
        x, gradient, state = START.copy(), START.copy() * 2, None
        for _ in range(3):
            before = [np.copy(part) for part in (state if isinstance(state, tuple) else (state,))
                      if part is not None]  # fmt: skip
            old = state if isinstance(state, tuple) else (state,)
            _, new = step(x, gradient, state, **settings)
            after = [part for part in old if part is not None]
            for a, b in itertools.zip_longest(before, after):
                np.testing.assert_array_equal(a, b)
            state = new
        np.testing.assert_array_equal(x, START)
