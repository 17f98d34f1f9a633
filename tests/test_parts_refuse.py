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
from snellen.data.augment.noise import Noise
from snellen.data.augment.views import ten_crops
from snellen.data.balance import class_weights
from snellen.data.decorrelate import principal
from snellen.data.downsample import downsample, false_pattern
from snellen.data.sample import Batch
from snellen.doctor.slopes.rules import Rules
from snellen.models import freeze_through

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


def attend(*given, **more):
    return sn.nn.AdditiveAttention(3, 4, 5)(torch.zeros(2, 3), torch.zeros(2, 6, 4), *given, **more)


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
        (lambda: attend(torch.ones(1, 6).bool()), r"mask of shape \(1, 6\)"),
        (lambda: attend(torch.ones(2, 6)), "torch.float32 for keys"),
        (lambda: attend(projected=torch.zeros(1, 6, 5)), r"projected of shape \(1, 6, 5\)"),
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


SCORES, BOXES = torch.zeros(2, 3), torch.tensor([[0.0, 0, 4, 4], [1, 0, 5, 4]])
LABELS_OF_2, POINT, NAN = torch.tensor([0, 2]), torch.ones(2), torch.nan


def square(x):
    return x.square().sum()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sn.nn.non_maximum_suppression(BOXES, SCORES[:, 0], NAN), "iou=nan"),
        (lambda: sn.nn.non_maximum_suppression(BOXES, SCORES[:, 0], 50), "iou=50"),
        (lambda: sn.nn.soft_suppression(BOXES, SCORES[:, 0], 0.0), "sigma=0.0"),
        (lambda: sn.nn.soft_suppression(BOXES, SCORES[:, 0], -0.5), "sigma=-0.5"),
        (lambda: sn.nn.soft_suppression(BOXES, SCORES[:, 0], least=NAN), "least=nan"),
        (lambda: sn.optim.soft_threshold(POINT, NAN), "amount=nan"),
        (lambda: sn.optim.numerical_gradient(square, POINT.double(), 0.0), "h=0.0"),
        (lambda: sn.nn.multiclass_hinge(SCORES, LABELS_OF_2, NAN), "delta=nan"),
        (lambda: sn.nn.squared_hinge(SCORES, LABELS_OF_2, -1.0), "delta=-1.0"),
        (lambda: sn.nn.CosineLinear(3, 2, NAN), "scale=nan"),
        (lambda: sn.nn.CosineLinear(3, 2, 0.0), "scale=0.0"),
        (lambda: sn.nn.ASoftmax(3, 8, start=NAN), "start=nan"),
        (lambda: sn.nn.annealed_mix(-10), "step=-10"),
        (lambda: sn.nn.LSoftmax(4, 8, 2.5), "margin=2.5"),
        (lambda: sn.nn.LSoftmax(0, 8), "classes=0"),
        (lambda: sn.nn.CenterLoss(0, 8), "classes=0"),
        (lambda: sn.nn.sparse_fan_in_(torch.zeros(3, 4), 2, std=NAN), "std=nan"),
        (lambda: sn.nn.sparse_fan_in_(torch.zeros(3, 4), 2.5), "k=2.5"),
        (lambda: sn.optim.weight_decay_of(-0.1, "lambda w^2"), "strength=-0.1"),
        (lambda: sn.optim.elastic_net([POINT], 0.1, -0.2), "l2=-0.2"),
        (lambda: sn.optim.look_ahead(lambda x: x, POINT, 2, lr=NAN, momentum=0.5), "lr=nan"),
        (lambda: sn.optim.substituted(lambda x: x, POINT, 2, lr=1.0, momentum=2), "momentum=2"),
        (lambda: sn.gradcheck(nn.Linear(2, 1), torch.ones(1, 2), seed="a"), "seed='a'"),
        (lambda: compose(3), "augment=3"),
        (lambda: sn.nn.PadSame(2.5), "kernel=2.5"),
        (lambda: sn.nn.conv_size(9, 3, stride=2.5), "stride=2.5"),
        (lambda: sn.nn.conv_size(7, 3, padding=1.5), "padding=1.5"),
        (lambda: sn.nn.largest_piece(SCORES, 2.0), "pieces=2.0"),
        (lambda: sn.nn.response_norm_of("paper", alpha=NAN), "alpha=nan"),
        (lambda: sn.nn.Maxout(-1, 4), "in_features=-1"),
        (lambda: sn.nn.AdditiveAttention(3, 4, 2.5), "hidden_size=2.5"),
        (lambda: sn.nn.PresenceHead(4, 3, share=NAN), "share=nan"),
        (lambda: sn.nn.BilinearUp(0), "channels=0"),
        (lambda: sn.nn.bed_of_nails(MAPS, 1.5), "stride=1.5"),
        (lambda: sn.nn.roi_pool(MAPS, BOXES[None], stride=-1.0), "stride=-1.0"),
        (lambda: sn.nn.roi_align(MAPS, BOXES[None], stride=0.0), "stride=0.0"),
        (lambda: sn.nn.roi_align(MAPS, BOXES[None], 0), "size=0"),
        (lambda: sn.nn.warp_regions(MAPS, BOXES[None], 0), "size=0"),
        (lambda: sn.nn.kmeans_anchors(POINT.expand(3, 2), 0), "count=0"),
        (lambda: sn.nn.contrastive_loss(SCORES, SCORES, LABELS_OF_2, margin=torch.inf), "=inf"),
        (lambda: sn.nn.focal_loss(SCORES, LABELS_OF_2, torch.inf), "gamma=inf"),
        (lambda: sn.nn.YoloV1(classes=0), "classes=0"),
        (lambda: sn.nn.YoloV1(classes=2, coord=NAN), "coord=nan"),
        (lambda: sn.optim.newton(square, POINT, -1), "num_steps=-1"),
        (lambda: Noise(NAN), "std=nan"),
        (lambda: Noise(mean=torch.inf), "mean=inf"),
    ],
)
def test_a_setting_that_would_give_nan_or_nothing_is_named(call, says):
    with pytest.raises(UsageError, match=says):
        call()


@pytest.mark.parametrize("momentum", [1.0, 1.5, NAN, -0.1])
@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "caffe", "nesterov", "rmsprop", "adam", "adamw"]
)
def test_all_optimisers_refuse_a_momentum_in_the_same_words(name, momentum):
    with pytest.raises(UsageError, match=f"momentum={momentum}; a number from 0 up and below 1"):
        sn.optim.build(name, WEIGHT, lr=0.1, momentum=momentum)


@pytest.mark.parametrize("wrong", [NAN, -0.1, "a", None])
@pytest.mark.parametrize(
    "decay",
    [
        sn.optim.constant,
        sn.optim.cosine,
        sn.optim.onecycle,
        sn.optim.warmup_cosine,
        sn.optim.rising_momentum,
        lambda time: sn.optim.step_decay(time, 10),
        lambda time: sn.optim.exponential_decay(time, 0.1),
        lambda time: sn.optim.inverse_decay(time, 0.1),
    ],
)
def test_schedules_refuse_a_time_that_is_none(decay, wrong):
    with pytest.raises(UsageError, match=f"={wrong!r}; a"):
        decay(wrong)
    assert 0 <= decay(0.5) <= 1


def test_schedules_end_where_the_training_does():
    for name in ("constant", "cosine", "onecycle", "warmup_cosine", "rising_momentum"):
        with pytest.raises(UsageError, match=r"share=1\.5; a number from 0 to 1"):
            getattr(sn.optim, name)(1.5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sn.nn.dice_loss(MAPS, torch.zeros(1, 4, 5).long()), r"\(1, 4, 5\)"),
        (lambda: sn.nn.dice_loss(MAPS, torch.full((1, 4, 4), 4)), r"outside 0\.\.3"),
        (lambda: sn.nn.dice_loss(MAPS, torch.zeros(1, 4, 4)), "float32; class numbers"),
        (lambda: sn.nn.box_iou(BOXES[:, :3], BOXES), r"\(2, 3\); a tensor \(N, 4\)"),
        (lambda: sn.nn.box_iou(BOXES, BOXES[0]), r"\(4,\); a tensor \(N, 4\)"),
        (lambda: sn.nn.aligned_iou(BOXES, BOXES[:1]), "2 boxes and 1 others"),
        (lambda: sn.nn.aligned_giou(BOXES, BOXES[None]), r"\(1, 2, 4\)"),
        (lambda: sn.nn.box_area(torch.tensor(1.0)), r"shape \(\)"),
        (lambda: sn.nn.non_maximum_suppression(BOXES.tolist(), SCORES[:, 0]), "type list"),
        (lambda: sn.nn.kmeans_anchors(POINT, 1), r"sizes of shape \(2,\)"),
        (lambda: sn.nn.roi_align(MAPS, BOXES), r"boxes of shape \(2, 4\)"),
        (lambda: sn.nn.roi_align(MAPS.expand(2, -1, -1, -1), BOXES[None]), r"x of shape \(2, 4"),
        (lambda: sn.nn.roi_pool(MAPS.expand(2, -1, -1, -1), BOXES[None]), r"x of shape \(2, 4"),
        (lambda: sn.nn.warp_regions(MAPS.expand(2, -1, -1, -1), BOXES[None], 3), r"\(2, 4, 4, 4"),
        (lambda: sn.nn.focal_loss(SCORES.long(), LABELS_OF_2), "scores of torch.int64"),
        (lambda: sn.nn.focal_logistic(SCORES.long(), SCORES), "scores of torch.int64"),
        (lambda: sn.nn.SpatialPyramidPool()(torch.zeros(1, 2, 0, 5)), r"\(1, 2, 0, 5\)"),
        (lambda: sn.optim.newton(torch.square, POINT), r"loss of shape \(2,\)"),
        (lambda: sn.optim.newton(square, POINT.long()), "start is of torch.int64"),
        (lambda: sn.optim.newton(lambda x: square(x) * NAN, POINT), "loss at step 1 is nan"),
        (lambda: sn.optim.quasi_newton(square, POINT.long()), "start is of torch.int64"),
        (lambda: sn.optim.random_local_search(square, POINT.long(), 3, step=1), "int64"),
        (lambda: sn.optim.numerical_gradient(torch.square, POINT.double()), r"\(2,\)"),
        (lambda: freeze_through(sn.model("lenet5_bn"), None), "no None in the stages"),
    ],
)  # fmt: skip
def test_a_shape_or_kind_that_does_not_fit_is_named(call, says):
    with pytest.raises(UsageError, match=says):
        call()


def test_one_average_holds_one_shape_and_stays_as_it_was():
    average = sn.optim.ExponentialAverage(0.5)
    average.add(POINT)
    for other in (torch.ones(3), torch.ones(1, 2), 1.0):
        with pytest.raises(UsageError, match=r"after others of \(2,\)"):
            average.add(other)
    assert average.count == 1
    torch.testing.assert_close(average.add(3 * POINT), (0.25 * POINT + 1.5 * POINT) / 0.75)


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "channels_last"])
def test_the_numerical_gradient_is_the_slope_in_every_layout(layout):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    x = {
        "contiguous": x,
        "transposed": x.permute(3, 1, 0, 2),
        "channels_last": x.to(memory_format=torch.channels_last),
    }[layout]
    slope = sn.optim.numerical_gradient(lambda x: x.pow(3).sum(), x)
    torch.testing.assert_close(slope, 3 * x**2, rtol=1e-6, atol=1e-8)
    ones = torch.ones(2, 3, dtype=torch.float64).T
    torch.testing.assert_close(sn.optim.numerical_gradient(square, ones), 2 * ones)
    torch.testing.assert_close(sn.optim.newton(square, ones), 0 * ones)


@pytest.mark.parametrize(
    ("name", "columns", "says"),
    [
        ("resnet18", {"groups": 4}, "groups=4 is for bottlenecks"),
        ("resnet18", {"base": 7}, "base=7 is for bottlenecks"),
        ("resnet18", {"stride_on": "1x1"}, "stride_on=1x1 is for bottlenecks"),
        ("resnet50", {"block": "basic", "stride_on": "1x1"}, "stride_on=1x1"),
        ("legacy_seresnet18", {"groups": 4}, "groups=4 is for bottlenecks"),
        ("resnetv2_18", {"stride_on": "1x1"}, "stride_on=1x1 is for bottlenecks"),
        ("mobilenet_v2", {"width": torch.inf}, "width=inf is not a number"),
        ("shufflenet_v1_g3_1.0x", {"width": 0.1}, "width=0.1 leaves 24 maps"),
    ],
)
def test_columns_that_would_change_nothing_or_build_nothing_are_named(name, columns, says):
    with pytest.raises(UsageError, match=says):
        sn.model(name, classes=4, **columns)
