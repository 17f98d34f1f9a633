"""The gradient check by hand: how wrong differences are, and that it names what is wrong."""

import itertools

import numpy as np
import pytest
from byhand_torch import numbers, pair_of

from snellen.byhand import gradients, linear

LAYER = {"x_BI": numbers(3, 4), "w_OI": numbers(2, 4), "b_O": numbers(2)}


def test_differences_are_wrong_by_h_and_by_its_square():
    x = np.array([0.7])
    errors = {True: [], False: []}
    steps = np.array([1e-1, 1e-2, 1e-3])
    for centred, h in itertools.product(errors, steps):
        slope = gradients.numerical_gradient(lambda x: float(np.exp(x[0])), x, h=h, centred=centred)
        errors[centred].append(abs(slope[0] - np.exp(0.7)))
    for centred, order in ((False, 1), (True, 2)):
        slopes = np.diff(np.log(errors[centred])) / np.diff(np.log(steps))
        np.testing.assert_allclose(slopes, order, atol=0.05)


FAULTS = {  # a wrong backward of the linear layer -> what it does wrong
    "sign": lambda d, c: (d @ c[1], -d.T @ c[0], d.sum(0)),
    "factor": lambda d, c: (d @ c[1], d.T @ c[0] / len(d), d.sum(0)),
    "axis": lambda d, c: (d @ c[1], d.T @ c[0], d.sum(1)[:2]),
    "forgotten": lambda d, c: (d @ c[1], d.T @ c[0], 0 * d.sum(0)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_names_the_gradient_that_is_wrong(fault):
    arrays = LAYER
    errors = gradients.check(linear.linear_forward, FAULTS[fault], **arrays)
    wrong = {name for name, error in errors.items() if gradients.band(error) == "wrong"}
    assert wrong == {"b_O" if fault in ("axis", "forgotten") else "w_OI"}
    right = gradients.check(*pair_of(linear, "linear"), **arrays)
    assert set(map(gradients.band, right.values())) == {"good"}


def test_a_check_that_would_compare_the_wrong_things_is_refused():
    pair, x = pair_of(linear, "linear"), np.array([[1, 2]])
    with pytest.raises(ValueError, match=r"gives 3 gradients, and of arrays of floats there are 2"):
        gradients.check(*pair, x_BI=x, w_OI=numbers(1, 2), b_O=numbers(1))
    turned = lambda d, cache: (d @ cache[1], cache[0].T @ d, d.sum(0))  # noqa: E731
    with pytest.raises(
        ValueError, match=r"gradient of w_OI has shape \(3, 2\), w_OI itself \(2, 3\)"
    ):
        gradients.check(pair[0], turned, x_BI=numbers(4, 3), w_OI=numbers(2, 3), b_O=numbers(2))


def test_bands_have_the_notes_borders():
    said = [gradients.band(error) for error in (1e-7, 1.1e-7, 1e-4, 1.1e-4, 1e-2, 1.1e-2)]
    assert [group for group, _ in itertools.groupby(said)] == [
        words for _, words in gradients.BANDS
    ]
    assert gradients.band(float("nan")) == "wrong"
