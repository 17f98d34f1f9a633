"""Search without backpropagation, and second-order steps, against what theory says of them."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import snellen as sn

DOUBLE = torch.float64


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def digits(num=300):
    """x_ND in 0..1 and labels, and the loss and accuracy of a linear classifier's weights."""
    data = load_digits()
    x = torch.from_numpy(data.data[:num].astype(np.float32)) / 16
    y = torch.from_numpy(data.target[:num])
    return (
        lambda w: sn.nn.multiclass_hinge(x @ w, y),
        lambda w: float(((x @ w).argmax(1) == y).float().mean()),
    )


def test_random_search_beats_chance_and_its_best_never_rises():
    loss, accuracy = digits()
    walk = sn.optim.random_search(loss, lambda: 0.1 * torch.randn(64, 10), 300)
    assert walk.losses == sorted(walk.losses, reverse=True)
    assert len(walk.losses) == 300
    assert walk.losses[-1] == pytest.approx(float(loss(walk.x)))
    chance = sum(accuracy(0.1 * torch.randn(64, 10)) for _ in range(50)) / 50
    assert 0.05 < chance < 0.15
    assert accuracy(walk.x) > chance + 0.05


def test_random_local_search_only_goes_down_and_beats_random_points():
    loss, accuracy = digits()
    points = sn.optim.random_search(loss, lambda: 0.1 * torch.randn(64, 10), 300)
    local = sn.optim.random_local_search(loss, torch.zeros(64, 10), 300, step=0.05)
    assert local.losses == sorted(local.losses, reverse=True)
    assert len(local.losses) == 301
    assert local.losses[-1] == pytest.approx(float(loss(local.x)))
    assert local.losses[-1] < points.losses[-1]
    assert accuracy(local.x) > accuracy(points.x)


def test_following_the_numerical_gradient_is_following_the_analytic_one():
    torch.manual_seed(1)
    x, y = torch.randn(20, 4, dtype=DOUBLE), torch.randint(3, (20,))

    def loss(w):
        return F.cross_entropy((x @ w).tanh(), y)

    start = torch.randn(4, 3, dtype=DOUBLE)
    walk = sn.optim.follow_numerical_gradient(loss, start, 30, lr=0.3)
    w = nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([w], lr=0.3)
    losses = [loss(w).item()]
    for _ in range(30):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
        losses.append(loss(w).item())
    assert (walk.x - w).abs().max() < 1e-5
    np.testing.assert_allclose(walk.losses, losses, atol=1e-5)
    assert walk.losses[-1] < 0.9 * walk.losses[0]


def test_numerical_gradient_errs_by_the_square_of_h():
    x = torch.tensor([0.7, -1.2], dtype=DOUBLE)
    exact = x.exp()

    def error(h):
        got = sn.optim.numerical_gradient(lambda x: x.exp().sum(), x, h)
        return float((got - exact).abs().max())

    errors = [error(h) for h in (1e-1, 1e-2, 1e-3)]
    slopes = np.diff(np.log10(errors))
    np.testing.assert_allclose(slopes, -2, atol=0.05)


def test_searches_refuse_what_they_cannot_do():
    with pytest.raises(sn.UsageError, match=r"x\.double\(\)"):
        sn.optim.numerical_gradient(torch.sum, torch.ones(2))
    with pytest.raises(sn.UsageError, match="num_tries=0"):
        sn.optim.random_search(torch.sum, lambda: torch.ones(2), 0)


# Second order -------------------------------------------------------------------------------------


def bowl(width):
    a = torch.randn(width, width, dtype=DOUBLE)
    A, b = a @ a.T + torch.eye(width, dtype=DOUBLE), torch.randn(width, dtype=DOUBLE)
    return (lambda x: x @ A @ x / 2 - b @ x), A, b, torch.linalg.solve(A, b)


@pytest.mark.parametrize("width", [1, 2, 7, 20])
def test_newton_solves_a_quadratic_in_one_step(width):
    loss, _, _, best = bowl(width)
    x = sn.optim.newton(loss, torch.randn(width, dtype=DOUBLE))
    assert (x - best).abs().max() < 1e-9


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 20])
def test_lbfgs_solves_a_quadratic_in_one_step_more_than_it_has_axes(width):
    loss, _, _, best = bowl(width)
    start = torch.randn(width, dtype=DOUBLE)
    x = sn.optim.quasi_newton(loss, start, width + 1)
    assert (x - best).abs().max() < 1e-9 * (1 + best.abs().max())
    short = sn.optim.quasi_newton(loss, start, width + 1, history=1)  # conjugate gradients
    torch.testing.assert_close(short, best, rtol=1e-3, atol=1e-3)
    assert width < 3 or (sn.optim.quasi_newton(loss, start, width // 2) - best).abs().max() > 1e-4


BOWLS = {  # what is no quadratic: loss, start, where it is lowest
    "steep on one side": (lambda x: (x.exp() - 2 * x).sum(), [10.0, -30.0], math.log(2)),
    "flat afar": (lambda x: -(-(x**2)).exp().sum(), [1.0, 0.5], 0.0),
    "undefined below 0": (lambda x: (x - x.log()).sum(), [100.0, 0.001], 1.0),
    "quartic": (lambda x: (x - 1).pow(4).sum(), [3.0, -5.0], 1.0),
    "kinked": (lambda x: x.abs().sum(), [1.0, 0.5], 0.0),
    "at the bottom": (lambda x: x.square().sum(), [0.0, 0.0], 0.0),
}


@pytest.mark.parametrize("name", BOWLS)
def test_lbfgs_finds_the_bottom_of_what_is_no_quadratic(name):
    loss, start, bottom = BOWLS[name]
    x = sn.optim.quasi_newton(loss, torch.tensor(start, dtype=DOUBLE))
    assert (x - bottom).abs().max() < 1e-4


@pytest.mark.parametrize("kind", [torch.float32, DOUBLE])
def test_lbfgs_says_that_a_loss_has_no_bottom(kind):
    with pytest.raises(sn.UsageError, match="without end"):
        sn.optim.quasi_newton(lambda x: x.sum(), torch.zeros(2, dtype=kind))


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def test_lbfgs_reaches_the_bottom_of_rosenbrocks_valley_where_gradient_descent_does_not():
    start = torch.tensor([-1.2, 1.0], dtype=DOUBLE)
    x = sn.optim.quasi_newton(rosenbrock, start, 60)
    assert rosenbrock(x) < 1e-10
    torch.testing.assert_close(x, torch.ones(2, dtype=DOUBLE), rtol=0, atol=1e-5)
    w = nn.Parameter(start)
    optimizer = torch.optim.SGD([w], lr=1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        rosenbrock(w).backward()
        optimizer.step()
    assert rosenbrock(w) > 0.1
    newton = sn.optim.newton(rosenbrock, start.detach(), 7)
    assert rosenbrock(newton) < 1e-10


@pytest.mark.parametrize("search", [
    sn.optim.newton, sn.optim.quasi_newton,
    lambda *given: sn.optim.follow_numerical_gradient(*given, 1, lr=0.1).x,
])  # fmt: skip
def test_a_start_that_learns_gives_a_point_without_a_graph(search):
    assert not search(rosenbrock, torch.zeros(2, dtype=DOUBLE, requires_grad=True)).requires_grad


def test_newton_says_that_a_flat_direction_has_no_step():
    with pytest.raises(sn.UsageError, match="no inverse"):
        sn.optim.newton(lambda x: x[0] ** 2 + 0 * x[1], torch.ones(2))
