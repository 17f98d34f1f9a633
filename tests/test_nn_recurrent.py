"""Recurrent cells and sequences, against PyTorch's and NumPy's; truncation; attention."""

import numpy as np
import pytest
import torch
from close import array, grads, normal, same
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import snellen as sn
from snellen.byhand import coupled, gru, lstm, peephole, rnn

B, T, IN, H = 3, 6, 4, 5
NAMES = [("weight_ih", "weight_ih"), ("weight_hh", "weight_hh"), ("bias", "bias_ih")]
STARTS = [False, True]  # from zeros, or from a state that is given


def double(module: nn.Module) -> nn.Module:
    """Larger weights than usual, so that gates and states matter."""
    torch.manual_seed(0)
    module = module.double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def start(given, count=1):
    states = [normal(B, H, seed=20 + i) if given else torch.zeros(B, H).double()
              for i in range(count)]  # fmt: skip
    return states[0] if count == 1 else tuple(states)


def by_time(x):
    return np.ascontiguousarray(array(x).swapaxes(0, 1))


def copied(cell, layer):
    """The cell's weights in a one-layer module of PyTorch's."""
    for name, values in cell.named_parameters():
        getattr(layer, f"{name}_l0").data.copy_(values)
    return layer


@pytest.mark.parametrize("given", STARTS)
@pytest.mark.parametrize(
    ("cell", "layer"), [(nn.RNNCell, nn.RNN), (nn.LSTMCell, nn.LSTM), (nn.GRUCell, nn.GRU)]
)
def test_a_cell_over_a_sequence_is_pytorchs_layer(cell, layer, given):
    cell = double(cell(IN, H))
    whole = copied(cell, layer(IN, H, batch_first=True).double())
    is_lstm = isinstance(cell, nn.LSTMCell)
    state = start(given, 1 + is_lstm)
    x = normal(B, T, IN)
    outputs, last = sn.nn.Recurrent(cell)(x, state if given else None)
    first = tuple(s[None] for s in state) if is_lstm else state[None]
    wanted, end = whole(x, first)
    same(outputs, wanted)
    same(last[1] if is_lstm else last, (end[1] if is_lstm else end)[0])


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_lengths_are_pytorchs_packed_sequences(cell):
    layer = {nn.RNNCell: nn.RNN, nn.LSTMCell: nn.LSTM, nn.GRUCell: nn.GRU}[cell]
    cell = double(cell(IN, H))
    whole = copied(cell, layer(IN, H, batch_first=True).double())
    lengths, x = torch.tensor([6, 2, 4]), normal(B, T, IN)
    x[1, 2:] = float("nan")  # padding may hold anything
    outputs, last = sn.nn.Recurrent(cell)(x, lengths=lengths)
    weight = cell.weight_ih
    assert torch.autograd.grad(outputs.sum(), weight, retain_graph=True)[0].isfinite().all()
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    padded, end = whole(packed)
    same(outputs, pad_packed_sequence(padded, batch_first=True)[0])
    pairs = zip(last, end, strict=True) if isinstance(last, tuple) else [(last, end)]
    for got, want in pairs:
        same(got, want[0])


@pytest.mark.parametrize("given", STARTS)
def test_vanilla_rnn_and_its_bptt_are_the_formulas(given):
    cell = double(nn.RNNCell(IN, H))
    x, state = normal(B, T, IN, requires_grad=True), start(given).requires_grad_()
    outputs, _ = sn.nn.Recurrent(cell)(x, state)
    weights = {"u_HI": array(cell.weight_ih), "w_HH": array(cell.weight_hh)}
    bias = array(cell.bias_ih + cell.bias_hh)
    wanted, cache = rnn.rnn_forward(by_time(x), array(state), **weights, b_H=bias)
    same(by_time(outputs), wanted)
    down, *found = grads(outputs, x, state, cell.weight_ih, cell.weight_hh, cell.bias_ih)
    found[0] = found[0].swapaxes(0, 1)
    for got, want in zip(found, rnn.rnn_backward(down.swapaxes(0, 1), cache), strict=True):
        same(got, want)
    # the double sum of the notes: dL/dW is the sum of what step t's loss adds through step k
    same(found[3], rnn.rnn_terms(down.swapaxes(0, 1), cache).sum((0, 1)))


@pytest.mark.parametrize("given", STARTS)
def test_lstm_is_the_formula_forward_and_backward(given):
    cell = double(nn.LSTMCell(IN, H))
    x, state = normal(B, T, IN, requires_grad=True), start(given, 2)
    outputs, _ = sn.nn.Recurrent(cell)(x, state)
    wanted, cache = lstm.lstm_forward(
        by_time(x), *map(array, state), w_GI=array(cell.weight_ih), u_GH=array(cell.weight_hh),
        b_G=array(cell.bias_ih + cell.bias_hh),
    )  # fmt: skip
    same(by_time(outputs), wanted)
    down, d_x, d_w, d_u, d_b = grads(outputs, x, cell.weight_ih, cell.weight_hh, cell.bias_ih)
    back = lstm.lstm_backward(down.swapaxes(0, 1), cache)
    for got, want in zip((d_x.swapaxes(0, 1), d_w, d_u, d_b), (back[0], *back[3:]), strict=True):
        same(got, want)


@pytest.mark.parametrize(
    ("cell", "forward", "backward", "names"),
    [
        (sn.nn.PeepholeLSTMCell, peephole.peephole_forward, peephole.peephole_backward,
         {"w_GI": "weight_ih", "u_GH": "weight_hh", "b_G": "bias", "p_3H": "peephole"}),
        (sn.nn.CoupledLSTMCell, coupled.coupled_forward, coupled.coupled_backward,
         {"w_GI": "weight_ih", "u_GH": "weight_hh", "b_G": "bias"}),
    ],
    ids=["peephole", "coupled"],
)  # fmt: skip
@pytest.mark.parametrize("given", STARTS)
def test_variants_of_the_lstm_are_the_formulas(cell, forward, backward, names, given):
    cell = double(cell(IN, H))
    x, state = normal(B, T, IN, requires_grad=True), start(given, 2)
    outputs, (_, c) = sn.nn.Recurrent(cell)(x, state if given else None)
    weights = {name: array(getattr(cell, ours)) for name, ours in names.items()}
    wanted, cache = forward(by_time(x), *map(array, state), **weights)
    same(by_time(outputs), wanted)
    parameters = [getattr(cell, ours) for ours in names.values()]
    down, d_x, *found = grads(outputs, x, *parameters)
    back = backward(down.swapaxes(0, 1), cache)
    for got, want in zip((d_x.swapaxes(0, 1), *found), (back[0], *back[3:]), strict=True):
        same(got, want)
    assert c.shape == (B, H)


def test_without_peepholes_it_is_the_lstm_exactly():
    for bias in (True, False):
        cell = double(nn.LSTMCell(IN, H, bias=bias))
        ours = sn.nn.with_peepholes(cell)
        x, state = normal(B, IN), start(True, 2)
        for got, want in zip(ours(x, state), cell(x, state), strict=True):
            same(got, want, atol=1e-14)
        assert not ours.peephole.any()
        assert ours.peephole.requires_grad
        nn.init.ones_(ours.peephole)
        assert (ours(x, state)[0] - cell(x, state)[0]).abs().max() > 0.01


def test_coupled_gates_are_an_lstm_whose_input_gate_is_the_forget_gate_turned():
    ours, whole = double(sn.nn.CoupledLSTMCell(IN, H)), nn.LSTMCell(IN, H).double()
    with torch.no_grad():
        for mine, theirs in NAMES:
            f, g, o = getattr(ours, mine).chunk(3)
            getattr(whole, theirs).copy_(torch.cat([-f, f, g, o]))
        whole.bias_hh.zero_()
    x, state = normal(B, IN), start(True, 2)
    for got, want in zip(ours(x, state), whole(x, state), strict=True):
        same(got, want, atol=1e-14)
    assert sn.nn.count_params(ours) == 3 * H * (IN + H) + 3 * H


def test_a_peephole_lstm_has_the_notes_number_of_parameters():
    for i, h in ((1, 1), (4, 5), (10, 20)):
        assert sn.nn.count_params(sn.nn.PeepholeLSTMCell(i, h)) == 4 * h * (i + h) + 4 * h + 3 * h


@pytest.mark.parametrize("given", STARTS)
def test_both_conventions_of_the_gru(given):
    x, state = normal(B, T, IN, requires_grad=True), start(given)
    zeros = np.zeros(3 * H)
    after, before = double(nn.GRUCell(IN, H)), double(sn.nn.ResetBeforeGRUCell(IN, H))
    wanted, _ = gru.gru_forward(
        by_time(x), array(state), w_GI=array(after.weight_ih), u_GH=array(after.weight_hh),
        b_G=array(after.bias_ih), c_G=array(after.bias_hh), reset="after",
    )  # fmt: skip
    same(by_time(sn.nn.Recurrent(after)(x, state)[0]), wanted)
    outputs, _ = sn.nn.Recurrent(before)(x, state if given else None)
    weights = {"w_GI": array(before.weight_ih), "u_GH": array(before.weight_hh)}
    wanted, cache = gru.gru_forward(
        by_time(x), array(state), **weights, b_G=array(before.bias), c_G=zeros, reset="before"
    )
    same(by_time(outputs), wanted)
    down, d_x, *found = grads(outputs, x, before.weight_ih, before.weight_hh, before.bias)
    back = gru.gru_backward(down.swapaxes(0, 1), cache)
    wanted = (back[0], back[2], back[3], back[4])
    for got, want in zip((d_x.swapaxes(0, 1), *found), wanted, strict=True):
        same(got, want)


def test_the_conventions_differ_but_for_a_gate_that_is_open():
    after, before = double(nn.GRUCell(IN, H)), sn.nn.ResetBeforeGRUCell(IN, H).double()
    with torch.no_grad():
        after.bias_hh.zero_()
        for mine, theirs in NAMES:
            getattr(before, mine).copy_(getattr(after, theirs))
        x, state = normal(B, IN), start(True)
        assert (after(x, state) - before(x, state)).abs().max() > 0.05
        after.bias_ih[:H] = before.bias[:H] = 1e3  # r = 1
        same(after(x, state), before(x, state))


@pytest.mark.parametrize("k", [1, 2, 4, T, T + 5])
def test_truncation_leaves_the_outputs_and_cuts_the_known_terms(k):
    cell = double(nn.RNNCell(IN, H))
    nn.init.normal_(cell.weight_hh, std=0.4)
    x = normal(B, T, IN)
    whole, _ = sn.nn.Recurrent(cell)(x)
    cut, _ = sn.nn.Recurrent(cell, truncate=k)(x)
    same(cut, whole, atol=0)
    _, cache = rnn.rnn_forward(
        by_time(x), np.zeros((B, H)), u_HI=array(cell.weight_ih), w_HH=array(cell.weight_hh),
        b_H=array(cell.bias_ih + cell.bias_hh),
    )  # fmt: skip
    down, found = grads(cut, cell.weight_hh)
    terms = rnn.rnn_terms(down.swapaxes(0, 1), cache)
    kept = np.add.outer(np.arange(T) // k, -(np.arange(T) // k)) == 0
    same(found, terms[kept].sum(0))
    _, full = grads(whole, cell.weight_hh)
    same(full - found, terms[~kept].sum(0) if (~kept).any() else np.zeros((H, H)))
    assert (k >= T) == np.allclose(full, found)


def test_truncating_a_stream_by_hand_is_truncating_within():
    cell = double(sn.nn.PeepholeLSTMCell(IN, H))
    x = normal(B, T, IN)
    outputs, _ = sn.nn.Recurrent(cell, truncate=2)(x)
    pieces, state = [], None
    for part in x.split(2, 1):
        piece, state = sn.nn.Recurrent(cell)(part, sn.nn.detach_state(state))
        pieces.append(piece)
    by_hand = torch.cat(pieces, 1)
    same(by_hand, outputs, atol=0)
    for got, want in zip(grads(by_hand, *cell.parameters()), grads(outputs, *cell.parameters()),
                         strict=True):  # fmt: skip
        same(got, want)


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.1, 1.5])
def test_the_spectral_radius_predicts_how_the_gradient_fades_or_grows(radius):
    steps, width = 60, 8
    cell = nn.RNNCell(1, width, bias=False).double()
    weight = normal(width, width)
    with torch.no_grad():
        weight *= radius / torch.linalg.eigvals(weight).abs().max()
        cell.weight_hh.copy_(weight)
    first = (normal(1, width, seed=1) * 1e-30).requires_grad_()  # where tanh is the identity
    outputs, _ = sn.nn.Recurrent(cell)(torch.zeros(1, steps, 1).double(), first)
    norms = [torch.autograd.grad(outputs[0, t].sum(), first, retain_graph=True)[0].norm().item()
             for t in (steps - 21, steps - 1)]  # fmt: skip
    assert (norms[1] / norms[0]) ** (1 / 20) == pytest.approx(radius, rel=0.1)
    assert (norms[1] < norms[0]) == (radius < 1)


def test_attention_is_the_formula_and_its_weights_sum_to_one():
    torch.manual_seed(0)
    layer = sn.nn.AdditiveAttention(3, 4, 5).double()
    query, keys = normal(2, 3), normal(2, 6, 4, seed=1)
    context, weights = layer(query, keys)
    for b in range(2):
        scores = [layer.score.weight[0] @ torch.tanh(
            layer.query.weight @ query[b] + layer.query.bias + layer.key.weight @ key
        ) for key in keys[b]]  # fmt: skip
        wanted = torch.stack(scores).softmax(0)
        same(weights[b], wanted)
        same(context[b], sum(w * key for w, key in zip(wanted, keys[b], strict=True)))
    same(weights.sum(1), torch.ones(2).double(), atol=1e-15)
    again, _ = layer(query, keys, projected=layer.key(keys))
    same(again, context, atol=0)


def test_attention_looks_only_where_there_is_something():
    torch.manual_seed(0)
    layer = sn.nn.AdditiveAttention(3, 4, 5).double()
    query, keys = normal(3, 3), normal(3, 6, 4, seed=1)
    keys[1, 2:] = float("nan")
    keys.requires_grad_()
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    context, weights = layer(query, keys, mask)
    same(weights.sum(1), torch.tensor([1.0, 1, 0]).double())
    assert (weights[~mask] == 0).all()
    shorter, _ = layer(query[1:2], keys[1:2, :2])
    same(context[1:2], shorter)
    assert not context[2].any()
    context.sum().backward()
    assert keys.grad.isfinite().all()
    assert (keys.grad[~mask] == 0).all()
    layer.zero_grad()
    again, _ = layer(query, keys, mask, projected=layer.key(keys))
    same(again, context)
    again.sum().backward()
    assert layer.query.weight.grad.isfinite().all()


def test_attention_finds_the_key_that_is_asked_for():
    torch.manual_seed(0)
    layer = sn.nn.AdditiveAttention(6, 6, 32)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(150):
        order = torch.rand(32, 6).argsort(1)
        keys, asked = torch.eye(6)[order], torch.randint(6, (32,))
        _, weights = layer(torch.eye(6)[asked], keys)
        loss = nn.functional.nll_loss(weights.log(), (order == asked[:, None]).int().argmax(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def learn(parameters, batch, steps=150, lr=0.02):
    """Train on `batch()` -> (logits_NK, labels_N); returns the last batch's accuracy."""
    optimiser = torch.optim.Adam(list(parameters), lr=lr)
    for _ in range(steps):
        logits, labels = batch()
        optimiser.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()
        optimiser.step()
    return (logits.argmax(1) == labels).float().mean().item()


def words(count=64, time=4):
    labels = torch.randint(3, (count, time))
    return labels, torch.eye(3)[labels]


@pytest.mark.parametrize(
    "shape", ["one to one", "one to many", "many to one", "many to many", "every step"]
)
def test_the_five_shapes_of_sequences_are_learned(shape):
    torch.manual_seed(0)
    net, read = sn.nn.Recurrent(sn.nn.ResetBeforeGRUCell(3, 24)), nn.Linear(24, 3)
    decoder = sn.nn.Recurrent(sn.nn.PeepholeLSTMCell(3, 24))
    modules = nn.ModuleList([net, read, decoder])

    def batch():
        labels, x = words()
        if shape == "one to one":  # one step: the word after this
            return read(net(x[:, :1])[0][:, 0]), (labels[:, 0] + 1) % 3
        if shape == "one to many":  # a word, then silence: count on from it
            silence = torch.cat([x[:, :1], torch.zeros(len(x), 3, 3)], 1)
            counted = (labels[:, :1] + torch.arange(4)) % 3
            return read(net(silence)[0]).flatten(0, 1), counted.flatten()
        if shape == "many to one":  # which came first
            return read(net(x)[1]), labels[:, 0]
        if shape == "many to many":  # listen, then say the first two backwards
            state = net(x[:, :2])[1]
            said, _ = decoder(torch.zeros(len(x), 2, 3), (state, state))
            return read(said).flatten(0, 1), labels[:, :2].flip(1).flatten()
        before = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1]], 1)
        return read(net(x)[0]).flatten(0, 1), ((labels + before) % 3).flatten()  # this and the last

    assert learn(modules.parameters(), batch) == 1.0
