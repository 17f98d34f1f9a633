"""Recurrent cells by hand: torch's cells and autograd through time, and what truncating forgets."""

import numpy as np
import pytest
import torch
from byhand_torch import TIGHT, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.byhand import coupled, gru, linear, lstm, peephole, rnn
from snellen.byhand.activations import sigmoid

STEPS, SAMPLES, INPUTS, HIDDEN = 5, 2, 3, 4
GATES = {"rnn": 1, "lstm": 4, "peephole": 4, "coupled": 3, "gru": 3}


def arrays_of(cell, T=STEPS, B=SAMPLES, inputs=INPUTS, H=HIDDEN):
    G = GATES[cell] * H
    arrays = {"x_TBI": numbers(T, B, inputs), "h_BH": numbers(B, H)}
    if cell in ("lstm", "peephole", "coupled"):
        arrays["c_BH"] = numbers(B, H, seed=1)
    if cell == "rnn":
        return arrays | {"u_HI": numbers(H, inputs), "w_HH": numbers(H, H, seed=2) / 2,
                         "b_H": numbers(H)}  # fmt: skip
    arrays |= {"w_GI": numbers(G, inputs), "u_GH": numbers(G, H), "b_G": numbers(G)}
    if cell == "peephole":
        arrays["p_3H"] = numbers(3, H)
    if cell == "gru":
        arrays["c_G"] = numbers(G, seed=3)
    return arrays


def torch_cell(kind, w_ih, w_hh, b_ih, b_hh=None):
    """A module of torch whose parameters are these very tensors, so that gradients reach them."""
    b_hh = torch.zeros_like(b_ih) if b_hh is None else b_hh
    module = kind(w_ih.shape[1], w_hh.shape[1]).double()
    given = {"weight_ih_l0": w_ih, "weight_hh_l0": w_hh, "bias_ih_l0": b_ih, "bias_hh_l0": b_hh}
    return lambda *x: torch.func.functional_call(module, given, x)[0]


def torch_rnn(x, h, u, w, b):
    return torch_cell(torch.nn.RNN, u, w, b)(x, h[None])


def torch_lstm(x, h, c, w, u, b):
    return torch_cell(torch.nn.LSTM, w, u, b)(x, (h[None], c[None]))


def torch_gru(x, h, w, u, b, c):
    return torch_cell(torch.nn.GRU, w, u, b, c)(x, h[None])


def torch_gru_before(x, h, w, u, b, c):
    """The paper's equations 5 to 8, one sample after another."""
    H, states = h.shape[1], []
    for now in x:
        r = torch.sigmoid(now @ w[:H].T + b[:H] + h @ u[:H].T + c[:H])
        z = torch.sigmoid(now @ w[H:-H].T + b[H:-H] + h @ u[H:-H].T + c[H:-H])
        n = torch.tanh(now @ w[-H:].T + b[-H:] + (r * h) @ u[-H:].T + c[-H:])
        h = z * h + (1 - z) * n
        states.append(h)
    return torch.stack(states)


def torch_peephole(x, h, c, w, u, b, p):
    states = []
    for now in x:
        i, f, g, o = (now @ w.T + h @ u.T + b).chunk(4, dim=1)
        i, f = torch.sigmoid(i + p[0] * c), torch.sigmoid(f + p[1] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + p[2] * c) * torch.tanh(c)
        states.append(h)
    return torch.stack(states)


def torch_coupled(x, h, c, w, u, b):
    states = []
    for now in x:
        f, g, o = (now @ w.T + h @ u.T + b).chunk(3, dim=1)
        c = torch.lerp(torch.tanh(g), c, torch.sigmoid(f))
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states)


CELLS = {  # what -> (file, in torch, settings)
    "rnn": (rnn, torch_rnn, {}),
    "lstm": (lstm, torch_lstm, {}),
    "peephole": (peephole, torch_peephole, {}),
    "coupled": (coupled, torch_coupled, {}),
    "gru": (gru, torch_gru, {}),
    "gru, reset before": (gru, torch_gru_before, {"reset": "before"}),
}


def compare(name, arrays):
    file, reference, how = CELLS[name]
    cell = name.partition(",")[0]
    h, cache = getattr(file, f"{cell}_forward")(**arrays, **how)
    leaves = {key: torch.tensor(value, requires_grad=True) for key, value in arrays.items()}
    theirs = reference(*leaves.values())
    np.testing.assert_allclose(h, theirs.detach().numpy(), **TIGHT)
    d_h = numbers(*h.shape, seed=7)
    ours = getattr(file, f"{cell}_backward")(d_h, cache)
    wanted = torch.autograd.grad(theirs, list(leaves.values()), torch.tensor(d_h))
    for key, mine, right in zip(arrays, ours, wanted, strict=True):
        np.testing.assert_allclose(mine, right.numpy(), err_msg=key, **TIGHT)


@pytest.mark.parametrize("name", CELLS)
def test_equals_autograd(name):
    compare(name, arrays_of(name.partition(",")[0]))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(name=st.sampled_from(list(CELLS)), T=st.integers(1, 4), B=st.integers(1, 3),
       inputs=st.integers(1, 3), H=st.integers(1, 3))  # fmt: skip
def test_equals_autograd_in_any_size(name, T, B, inputs, H):
    compare(name, arrays_of(name.partition(",")[0], T, B, inputs, H))


def test_zero_peepholes_are_the_lstm_and_there_are_3h_of_them():
    arrays = arrays_of("lstm")
    plain, cache = lstm.lstm_forward(**arrays)
    blind, blind_cache = peephole.peephole_forward(**arrays, p_3H=np.zeros((3, HIDDEN)))
    np.testing.assert_array_equal(blind, plain)
    d_h = numbers(*plain.shape)
    pairs = zip(lstm.lstm_backward(d_h, cache), peephole.peephole_backward(d_h, blind_cache),
                strict=False)  # fmt: skip
    for mine, blind_one in pairs:
        np.testing.assert_allclose(blind_one, mine, **TIGHT)
    weights = sum(np.size(arrays_of("peephole")[key]) for key in ("w_GI", "u_GH", "b_G", "p_3H"))
    assert weights == 4 * HIDDEN * (INPUTS + HIDDEN) + 4 * HIDDEN + 3 * HIDDEN


def test_the_coupled_cell_is_an_lstm_whose_write_gate_mirrors_its_keep_gate():
    """1 - sigmoid(a) = sigmoid(-a): the rows of i are those of f with the other sign."""
    arrays = arrays_of("coupled")
    tied = {
        key: np.concatenate([-arrays[key][:HIDDEN], arrays[key]]) for key in ("w_GI", "u_GH", "b_G")
    }
    ours = coupled.coupled_forward(**arrays)[0]
    np.testing.assert_allclose(ours, lstm.lstm_forward(**{**arrays, **tied})[0], **TIGHT)


def test_z_of_the_other_convention_has_the_other_sign():
    arrays = arrays_of("gru", T=1)
    h, x = arrays["h_BH"], arrays["x_TBI"][0]
    into = x @ arrays["w_GI"].T + arrays["b_G"]
    old = h @ arrays["u_GH"].T + arrays["c_G"]
    r, z = (sigmoid(part) for part in np.split((into + old)[:, : 2 * HIDDEN], 2, axis=1))
    n = np.tanh(into[:, -HIDDEN:] + r * old[:, -HIDDEN:])
    turned = dict(arrays)
    for key in ("w_GI", "u_GH", "b_G", "c_G"):
        turned[key] = arrays[key].copy()
        turned[key][HIDDEN : 2 * HIDDEN] *= -1
    ours = gru.gru_forward(**turned)[0][0]
    np.testing.assert_allclose(ours, (1 - z) * h + z * n, **TIGHT)


def test_the_two_resets_are_one_where_the_gate_is_open_and_differ_elsewhere():
    arrays = arrays_of("gru")
    closed = [gru.gru_forward(**arrays, reset=how)[0] for how in ("after", "before")]
    assert np.abs(closed[0] - closed[1]).max() > 1e-3
    arrays["b_G"] = arrays["b_G"].copy()
    arrays["b_G"][:HIDDEN] = 1e3
    opened = [gru.gru_forward(**arrays, reset=how)[0] for how in ("after", "before")]
    np.testing.assert_allclose(*opened, **TIGHT)
    with pytest.raises(ValueError, match="'after' the matrix or 'before' it"):
        gru.gru_forward(**arrays, reset="never")


def test_the_output_matrix_v_is_a_linear_layer_of_all_steps():
    """dL/dV = sum_t d_o_t s_t^T, the notes' third formula."""
    h_TBH, _ = rnn.rnn_forward(**arrays_of("rnn"))
    v, d_o = numbers(2, HIDDEN), numbers(STEPS, SAMPLES, 2)
    _, cache = linear.linear_forward(h_TBH.reshape(-1, HIDDEN), v, np.zeros(2))
    _, d_v, _ = linear.linear_backward(d_o.reshape(-1, 2), cache)
    by_hand = sum(d_o[t].T @ h_TBH[t] for t in range(STEPS))
    np.testing.assert_allclose(d_v, by_hand, **TIGHT)


@pytest.mark.parametrize("window", [STEPS, STEPS + 3, None])
def test_a_window_of_the_whole_sequence_forgets_nothing(window):
    h, cache = rnn.rnn_forward(**arrays_of("rnn"))
    whole = rnn.rnn_backward(np.ones_like(h), cache)
    for a, b in zip(rnn.rnn_backward(np.ones_like(h), cache, window=window), whole, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("window", [1, 2, 3, 4])
def test_truncation_forgets_exactly_the_terms_that_cross_a_border(window):
    arrays = arrays_of("rnn")
    h, cache = rnn.rnn_forward(**arrays)
    d_h = numbers(*h.shape, seed=7)
    term_TTHH = rnn.rnn_terms(d_h, cache)
    whole, cut = rnn.rnn_backward(d_h, cache), rnn.rnn_backward(d_h, cache, window=window)
    np.testing.assert_allclose(term_TTHH.sum((0, 1)), whole[3], **TIGHT)
    t, k = np.indices((STEPS, STEPS))
    crossing = term_TTHH[t // window != k // window].sum(0)
    assert np.abs(crossing).max() > 1e-3
    np.testing.assert_allclose(whole[3] - cut[3], crossing, **TIGHT)
    for mine, right in zip(cut, detached(arrays, d_h, window), strict=True):
        np.testing.assert_allclose(mine, right.numpy(), **TIGHT)


def detached(arrays, d_h, window):
    """The gradients in torch where the state is detached at every border."""
    leaves = [torch.tensor(value, requires_grad=True) for value in arrays.values()]
    x, h, u, w, b = leaves
    loss = torch.zeros(()).double()
    for t in range(STEPS):
        h = h.detach() if t and t % window == 0 else h
        h = torch.tanh(x[t] @ u.T + h @ w.T + b)
        loss = loss + (h * torch.tensor(d_h[t])).sum()
    return torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("window", [1, 2, 3, STEPS, None])
@pytest.mark.parametrize("name", CELLS)
def test_truncation_of_every_cell_is_a_detached_state(name, window):
    """Torch's cells over one window after the other, states and cells detached between them."""
    file, reference, how = CELLS[name]
    cell = name.partition(",")[0]
    arrays = arrays_of(cell)
    h, cache = getattr(file, f"{cell}_forward")(**arrays, **how)
    d_h = numbers(*h.shape, seed=7)
    ours = getattr(file, f"{cell}_backward")(d_h, cache, window=window)
    leaves = {key: torch.tensor(value, requires_grad=True) for key, value in arrays.items()}
    x, *start = list(leaves.values())[: 3 if "c_BH" in arrays else 2]
    weights = list(leaves.values())[1 + len(start) :]
    cells = cache[2] if "c_BH" in arrays else None  # what is in the cell before each step
    loss, size = torch.zeros(()).double(), window or STEPS
    for t in range(0, STEPS, size):
        states = reference(x[t : t + size], *start, *weights)
        loss = loss + (states * torch.tensor(d_h[t : t + size])).sum()
        start = [states[-1].detach()]
        if cells is not None:
            start.append(torch.tensor(cells[min(t + size, STEPS)]))
    wanted = torch.autograd.grad(loss, list(leaves.values()))
    for key, mine, right in zip(arrays, ours, wanted, strict=True):
        np.testing.assert_allclose(mine, right.numpy(), err_msg=key, **TIGHT)


@pytest.mark.parametrize(("radius", "word"), [(0.5, "vanishes"), (1.0, "stays"), (1.5, "explodes")])
def test_the_spectral_radius_predicts_the_norm(radius, word):
    """At states of zero the slopes are 1: a rotation times r changes the norm by r a step."""
    steps, angle = 40, 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    w = radius * turn
    assert abs(np.abs(np.linalg.eigvals(w)).max() - radius) < 1e-12
    zeros = {"x_TBI": np.zeros((steps, 1, 1)), "h_BH": np.zeros((1, 2))}
    _, cache = rnn.rnn_forward(**zeros, u_HI=np.zeros((2, 1)), w_HH=w, b_H=np.zeros(2))
    norms = np.linalg.norm(rnn.rnn_flow(np.array([[3.0, 4.0]]), cache), axis=(1, 2))
    np.testing.assert_allclose(norms, 5 * radius ** np.arange(steps, -1, -1.0), rtol=1e-10)
    assert {"vanishes": norms[0] < 1e-9, "explodes": norms[0] > 1e6}.get(word, norms[0] > 4.9)


def test_any_matrix_ends_at_its_spectral_radius_and_slopes_only_lower_it():
    w = numbers(6, 6) * 0.4
    radius = np.abs(np.linalg.eigvals(w)).max()
    start = {"h_BH": np.zeros((1, 6)), "u_HI": np.ones((6, 1)), "w_HH": w, "b_H": np.zeros(6)}
    rates = {}
    for size in (0.0, 1.0):
        _, cache = rnn.rnn_forward(np.full((400, 1, 1), size), **start)
        norms = np.linalg.norm(rnn.rnn_flow(np.ones((1, 6)), cache), axis=(1, 2))
        rates[size] = (norms[50] / norms[350]) ** (1 / 300)
    assert abs(rates[0.0] - radius) < 0.01 * radius
    assert rates[1.0] < rates[0.0]


def test_the_cell_of_an_lstm_keeps_what_the_state_of_an_rnn_forgets():
    steps = 100
    x, start = np.zeros((steps, 1, 1)), np.full((1, 1), 0.1)
    small = np.full((1, 1), 0.5)
    d_h = np.zeros((steps, 1, 1))
    d_h[-1] = 1.0
    _, cache = rnn.rnn_forward(x, start, u_HI=small, w_HH=small, b_H=np.zeros(1))
    assert abs(rnn.rnn_backward(d_h, cache)[1][0, 0]) < 1e-20
    open_gates = {"w_GI": np.zeros((4, 1)), "u_GH": np.zeros((4, 1)),
                  "b_G": np.array([0.0, 99.0, 0.0, 99.0])}  # fmt: skip
    _, cache = lstm.lstm_forward(x, start, start, **open_gates)
    assert lstm.lstm_backward(d_h, cache)[2][0, 0] > 0.9
