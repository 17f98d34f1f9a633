"""Parts are given what they cannot follow: each says so in words, and keeps its state."""

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.core.errors import UsageError


def test_under_the_doctor_a_size_that_does_not_fit_is_refused_in_the_same_words(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for doctor in (True, False):
        with pytest.raises(UsageError, match="images of 7x7 do not fit"):
            sn.train("digits", augment="window", epochs=1, doctor=doctor)


CELLS = [
    (sn.nn.PeepholeLSTMCell, nn.LSTMCell),
    (sn.nn.CoupledLSTMCell, nn.LSTMCell),
    (sn.nn.ResetBeforeGRUCell, nn.GRUCell),
]


def shapes(out):
    return [o.shape for o in (out if isinstance(out, tuple) else (out,))]


@pytest.mark.parametrize(("own", "torchs"), CELLS)
def test_cells_take_one_sample_and_none_as_pytorchs_do(own, torchs):
    cell, like = own(3, 4), torchs(3, 4)
    for shape in ((3,), (0, 3), (2, 3)):
        x = torch.randn(shape)
        assert shapes(cell(x)) == shapes(like(x))
    x = torch.randn(3)
    first = cell(x[None])
    first = first if isinstance(first, tuple) else (first,)
    second = cell(x)
    second = second if isinstance(second, tuple) else (second,)
    for many, one in zip(first, second, strict=True):
        torch.testing.assert_close(many[0], one)
    assert "3, 4" in repr(cell)


@pytest.mark.parametrize(("own", "torchs"), CELLS)
def test_cells_refuse_a_state_of_one_row_for_two(own, torchs):
    state = torch.zeros(1, 4)
    state = state if torchs is nn.GRUCell else (state, state)
    for cell, error in ((own(3, 4), UsageError), (torchs(3, 4), RuntimeError)):
        with pytest.raises(error):
            cell(torch.randn(2, 3), state)
    for x in (torch.randn(2, 5), torch.randn(1, 2, 3)):
        with pytest.raises(UsageError, match="x of shape"):
            own(3, 4)(x)
    with pytest.raises(UsageError, match="unit"):
        own(3, 0)


def test_lengths_that_are_not_one_whole_number_a_row_are_refused():
    net, x = sn.nn.Recurrent(nn.LSTMCell(3, 4)), torch.randn(2, 5, 3)
    for lengths in ([6, 2], [2], [2.5, 1.0], [5, -1], [[5, 1]], [True, False], ["a", 2]):
        with pytest.raises(UsageError, match="lengths"):
            net(x, None, lengths)
    out, _ = net(x, None, [5, 2])
    torch.testing.assert_close(out, net(x, None, torch.tensor([5, 2]))[0])
    assert not out[1, 2:].any()
    assert out[1, :2].any()
    for truncate in (1.5, 0):
        with pytest.raises(UsageError, match="truncate"):
            sn.nn.Recurrent(nn.LSTMCell(3, 4), truncate=truncate)
