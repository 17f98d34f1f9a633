"""Parts are given what they cannot follow: each says so in words, and keeps its state."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snellen as sn
from snellen.core import registry
from snellen.core.errors import DataError, UsageError
from snellen.data import scaling, splits
from snellen.data.augment import compose
from snellen.data.augment.views import ten_crops
from snellen.data.balance import class_weights
from snellen.data.decorrelate import principal
from snellen.data.downsample import downsample, false_pattern
from snellen.data.sample import Batch
from snellen.doctor.slopes.rules import Rules

AUGMENTS = registry.collect("snellen.data.augment", "AUGMENTS")


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


def test_a_sample_that_is_not_finite_moves_no_centre_and_no_grad_moves_none():
    loss = sn.nn.CenterLoss(2, 2)
    x, labels = torch.tensor([[2.0, 4.0], [torch.inf, 0.0], [6.0, 6.0]]), torch.tensor([0, 0, 1])
    with torch.no_grad():
        loss(x, labels)
    assert not loss.centers_KD.any()
    loss(x, labels)
    torch.testing.assert_close(loss.centers_KD, torch.tensor([[0.5, 1.0], [1.5, 1.5]]))


def test_statistics_come_of_a_loaders_batches_and_of_none_nothing_is_set():
    norm, x = nn.BatchNorm1d(2), torch.randn(6, 2)
    assert sn.nn.recompute_statistics(norm, []) == 0
    loader = DataLoader(TensorDataset(x, torch.zeros(6)), batch_size=3)
    assert sn.nn.recompute_statistics(norm, loader) == 1
    torch.testing.assert_close(norm.running_mean, x.mean(0))
    with pytest.raises(UsageError, match="a batch is a dict"):
        sn.nn.recompute_statistics(norm, [{"x": x}])


@pytest.mark.parametrize(
    "make",
    [
        lambda: scaling.standardise(torch.rand(4, 3), per="pixel"),
        lambda: false_pattern(256, 4, "lanczos"),
        lambda: false_pattern(256, 0),
        lambda: downsample(torch.rand(1, 1, 8, 8), 9),
        lambda: sn.nn.Reorg(0),
        lambda: sn.nn.PadSame(0),
        lambda: sn.nn.response_norm_of("paper", 0),
        lambda: sn.nn.CenterLoss(2, 3, reduction="x"),
        lambda: sn.nn.SpatialPyramidPool((2, 1))(torch.zeros(3, 8, 8)),
    ],
)
def test_settings_that_mean_nothing_are_refused(make):
    with pytest.raises(UsageError):
        make()


def test_labels_below_zero_are_named_where_a_class_is_empty():
    with pytest.raises(DataError, match="1 labels below 0"):
        class_weights(torch.tensor([-1, 0]), 2)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (sn.nn.VanillaDropout(0.7), "keep=0.7"),
        (sn.nn.SpatialPyramidPool((3, 1)), "levels=(3, 1)"),
        (sn.nn.CenterLoss(5, 2, 0.3), "5, 2, alpha=0.3"),
        (sn.nn.ASoftmax(5, 2, 3), "5, 2, margin=3"),
        (sn.nn.Reorg(4), "block=4"),
        (sn.nn.PadSame(3, 2), "3, stride=2"),
    ],
)
def test_parts_show_their_settings(part, says):
    assert says in repr(part)


LABELS = torch.arange(20) % 2
WEIGHT = [nn.Parameter(torch.ones(2, 2))]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sn.optim.build("sgd", WEIGHT, lr=torch.nan), "lr=nan"),
        (lambda: sn.optim.build("adam", WEIGHT, lr="a"), "lr='a'"),
        (lambda: sn.optim.build("adam", WEIGHT, lr=0.1, weight_decay=-1.0), "weight_decay=-1.0"),
        (lambda: sn.optim.CaffeSGD(WEIGHT, lr=torch.nan), "lr=nan"),
        (lambda: sn.optim.CaffeSGD(WEIGHT, weight_decay=-1.0), "weight_decay=-1.0"),
        (lambda: sn.optim.AlmostAdam(WEIGHT, lr=torch.nan), "lr=nan"),
        (lambda: sn.optim.AlmostAdam(WEIGHT, eps=-1.0), "eps=-1.0"),
        (lambda: sn.optim.LossWatch(patience=-1), "patience=-1"),
        (lambda: sn.optim.random_search(lambda x: x * torch.nan, lambda: torch.ones(()), 3), "3"),
        (lambda: sn.optim.quasi_newton(lambda x: x.sum() * torch.nan, torch.ones(2)), "nan"),
        (lambda: splits.split_three(LABELS, -0.1, 0.2, 0), "val=-0.1"),
        (lambda: splits.k_fold(5, 2.5, 0), "2.5 folds"),
        (lambda: compose("flip+"), r"flip\+"),
        (lambda: compose("+"), "with nothing"),
        (lambda: compose("off+flip"), r"off\+flip"),
        (lambda: ten_crops(torch.zeros(1, 1, 8, 8), (0, 7)), "0 x 7"),
    ],
)
def test_numbers_and_words_that_mean_nothing_are_named(make, says):
    with pytest.raises(UsageError, match=says):
        make()


def test_principal_directions_of_nan_are_refused_by_the_sample():
    x = torch.randn(5, 3)
    x[2, 1] = torch.nan
    with pytest.raises(DataError, match="sample 2"):
        principal(x)


def test_three_parts_take_numpy_labels_and_an_empty_part():
    for labels in (LABELS, LABELS.numpy()):
        learn, choose, held = splits.split_three(labels, 0.0, 0.2, 0)
        assert (len(learn), choose, len(held)) == (16, [], 4)
    assert splits.split_three(LABELS, 0.2, 0.2, 0) == splits.split_three(
        LABELS.numpy(), 0.2, 0.2, 0
    )


NO_THINGS = {
    "none": {},
    "listed": {"boxes_N4": [], "masks_NHW": [], "keypoints_NK2": [], "mirror_K": []},
    "stacked": {"boxes_N4": torch.zeros(0, 2, 4), "semantic_HW": torch.zeros(0, 32, 32).long()},
}


@pytest.mark.parametrize("things", NO_THINGS)
@pytest.mark.parametrize("word", sorted(AUGMENTS))
def test_a_batch_of_nothing_stays_one(word, things):
    nothing = torch.zeros(0).long()
    batch = Batch(torch.zeros(0, 3, 32, 32), NO_THINGS[things], nothing, nothing.view(0, 2))
    out = compose(word)(batch, torch.Generator())
    assert len(out.x) == 0
    for name in NO_THINGS[things]:
        assert len(out.y[name]) == 0
        if name == "semantic_HW":
            assert out.y[name].shape[1:] == out.x.shape[2:]


@pytest.mark.parametrize("name", ["step", "rows", "numbers", "burn_in"])
def test_rules_of_the_gradient_check_that_cannot_be_followed_are_named(name):
    for value in (-1, torch.nan) if name == "step" else (-1,):
        with pytest.raises(UsageError, match=rf"Rules\({name}={value}\)"):
            sn.gradcheck(nn.Linear(2, 1), torch.ones(1, 2), rules=Rules(**{name: value}))


def test_windows_of_no_size_have_no_receptive_field():
    for kernels, strides in (([-3], None), ([3], [0])):
        with pytest.raises(UsageError, match="1 or more"):
            sn.nn.field_of_stack(kernels, strides)


def test_losses_refuse_margins_and_scales_that_mean_nothing():
    x, labels = torch.rand(2, 3), torch.tensor([0, 1])
    for wrong in ({"margin": -1.0}, {"scale": 0.0}, {"margin": torch.nan}):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))}="):
            sn.nn.am_softmax(x, labels, **wrong)
    with pytest.raises(UsageError, match="mix=-1"):
        sn.nn.l_softmax(x, torch.rand(3, 3), labels, mix=-1.0)
    with pytest.raises(UsageError, match="margin=-1"):
        sn.nn.contrastive_loss(x, x, labels, margin=-1.0)


MAPS = torch.zeros(1, 4, 4, 4)


def sparse_step(make):
    table = nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    make(table.parameters()).step()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sn.nn.space_to_depth(MAPS[0]), r"\(4, 4, 4\)"),
        (lambda: sn.nn.depth_to_space(MAPS[0]), r"\(4, 4, 4\)"),
        (lambda: sn.nn.Reorg(2.0), "2.0 pixels"),
        (lambda: sn.nn.PadSame(3, mode="mirror"), "mirror"),
        (lambda: sn.nn.unpool_maxima(MAPS, torch.full(MAPS.shape, 99), (8, 8)), "place 99"),
        (lambda: sn.nn.PeepholeLSTMCell(2, 3)(torch.zeros(1, 2), torch.zeros(1, 3)), "a Tensor"),
        (lambda: sn.nn.CoupledLSTMCell(2, 3)(torch.zeros(1, 2), (torch.zeros(1, 3),)), "a tuple"),
        (lambda: sn.nn.ResetBeforeGRUCell(2, 3)(torch.zeros(1, 2), (torch.zeros(1, 3),)), "h is w"),
        (lambda: sn.nn.AdditiveAttention(3, 4, 5)(torch.zeros(2, 3), torch.zeros(2, 6, 3)), "T, 4"),
        (lambda: scaling.unit_rows(torch.ones(3)), r"\(3,\)"),
        (lambda: scaling.standardise(MAPS.numpy()), "ndarray"),
        (lambda: sparse_step(sn.optim.AlmostAdam), "sparse"),
        (lambda: sn.optim.l1_penalty([MAPS], -1.0), "strength=-1"),
        (lambda: sn.optim.l2_penalty([MAPS], torch.nan), "strength=nan"),
        (lambda: sn.optim.quasi_newton(torch.square, torch.ones(2)), r"shape \(2,\)"),
        (lambda: sn.optim.quasi_newton(lambda x: torch.ones(()), torch.ones(2)), "depends on x"),
        (lambda: sn.optim.random_local_search(lambda x: x.sum() * torch.nan, MAPS, 3, step=0.1),
         "not a number"),
    ],
)  # fmt: skip
def test_inputs_of_another_kind_are_refused_in_words(call, says):
    with pytest.raises(UsageError, match=says):
        call()
