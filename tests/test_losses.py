"""Every loss against a closed form, a loop, PyTorch or finite differences in float64."""

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F

import snellen as sn
from snellen.core.registry import collect
from snellen.nn.losses import Loss

LOSSES: dict[str, Loss] = collect("snellen.nn", "LOSSES")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def batch(num=6, classes=5, dtype=torch.float64):
    return torch.randn(num, classes, dtype=dtype), torch.randint(classes, (num,))


def loop_hinge(scores, labels, delta, power):
    """The sum as the notes write it."""
    return [
        sum(max(0.0, float(row[j] - row[y]) + delta) ** power for j in range(len(row)) if j != y)
        for row, y in zip(scores, labels.tolist(), strict=True)
    ]


# Cross-entropy ------------------------------------------------------------------------------------


def test_cross_entropy_of_fresh_logits_is_ln_classes_and_its_gradient_p_minus_y():
    zeros = torch.zeros(4, 10, dtype=torch.float64)
    labels = torch.arange(4)
    assert float(F.cross_entropy(zeros, labels)) == pytest.approx(math.log(10), abs=1e-12)
    logits = torch.randn(4, 10, dtype=torch.float64, requires_grad=True)
    F.cross_entropy(logits, labels, reduction="sum").backward()
    torch.testing.assert_close(logits.grad, logits.detach().softmax(1) - F.one_hot(labels, 10))


def test_binary_cross_entropy_is_minus_the_likelihood_and_its_gradient_sigma_minus_y():
    f = torch.randn(20, dtype=torch.float64, requires_grad=True)
    y = (torch.rand(20) < 0.5).double()
    loss = F.binary_cross_entropy_with_logits(f, y, reduction="sum")
    p = f.detach().sigmoid()
    torch.testing.assert_close(loss.detach(), -(y * p.log() + (1 - y) * (1 - p).log()).sum())
    loss.backward()
    torch.testing.assert_close(f.grad, p - y)


@pytest.mark.parametrize(("loss", "pull"), [
    (F.mse_loss, 200.0), (F.l1_loss, 1.0), (F.smooth_l1_loss, 1.0), (F.huber_loss, 1.0),
])  # fmt: skip
def test_an_outlier_pulls_only_the_squared_error_by_its_distance(loss, pull):
    f = torch.zeros((), dtype=torch.float64, requires_grad=True)
    loss(f, torch.tensor(100.0, dtype=torch.float64)).backward()
    assert -float(f.grad) == pull


def test_smooth_l1_is_quadratic_then_linear_and_huber_beta_times_it():
    d = torch.linspace(-3, 3, 61, dtype=torch.float64)
    beta = 0.5
    want = torch.where(d.abs() < beta, d**2 / 2 / beta, d.abs() - beta / 2)
    zeros = torch.zeros_like(d)
    smooth = F.smooth_l1_loss(d, zeros, beta=beta, reduction="none")
    torch.testing.assert_close(smooth, want)
    huber = F.huber_loss(d, zeros, delta=beta, reduction="none")
    torch.testing.assert_close(huber, beta * want)


# Hinge --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(("loss", "power"), [(sn.nn.multiclass_hinge, 1), (sn.nn.squared_hinge, 2)])
def test_hinge_is_the_loop_of_the_notes_and_classes_times_multi_margin_loss(loss, power, delta):
    scores, labels = batch()
    want = torch.tensor(loop_hinge(scores, labels, delta, power), dtype=torch.float64)
    torch.testing.assert_close(loss(scores, labels, delta, reduction="none"), want)
    torch.testing.assert_close(loss(scores, labels, delta), want.mean())
    torch.testing.assert_close(loss(scores, labels, delta, reduction="sum"), want.sum())
    torch_form = nn.MultiMarginLoss(p=power, margin=delta)(scores, labels)
    torch.testing.assert_close(loss(scores, labels, delta), scores.shape[1] * torch_form)


@pytest.mark.parametrize(("classes", "delta"), [(10, 1.0), (3, 0.5), (1000, 10.0)])
def test_hinge_before_learning_is_one_delta_for_each_wrong_class(classes, delta):
    scores, labels = torch.zeros(7, classes), torch.randint(classes, (7,))
    assert float(sn.nn.multiclass_hinge(scores, labels, delta)) == (classes - 1) * delta
    assert float(sn.nn.squared_hinge(scores, labels, delta)) == (classes - 1) * delta**2


def test_hinge_is_local_where_softmax_never_has_enough():
    sure, close = torch.tensor([[10.0, -100, -100]]), torch.tensor([[10.0, 9, 9]])
    right = torch.tensor([0])
    assert float(sn.nn.multiclass_hinge(sure, right)) == 0.0
    assert float(sn.nn.multiclass_hinge(close, right)) == 0.0
    assert float(F.cross_entropy(sure, right)) == 0.0
    want = math.log(1 + 2 * math.exp(-1))  # 0.5514
    assert float(F.cross_entropy(close, right)) == pytest.approx(want, abs=1e-6)


# Attributes ---------------------------------------------------------------------------------------


def test_attribute_hinge_is_its_closed_form():
    scores = torch.randn(5, 4, dtype=torch.float64)
    signs = torch.randint(2, (5, 4)) * 2 - 1
    want = [sum(max(0.0, 1 - int(y) * float(f)) for f, y in zip(row, ys, strict=True))
            for row, ys in zip(scores, signs, strict=True)]  # fmt: skip
    got = sn.nn.attribute_hinge(scores, signs, reduction="none")
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64))
    multi_label = nn.MultiLabelMarginLoss()(scores, torch.zeros(5, 4, dtype=torch.long))
    assert not torch.isclose(got.mean(), multi_label)


def test_attribute_logistic_is_the_sum_of_binary_cross_entropies():
    scores = torch.randn(5, 4, dtype=torch.float64)
    labels = torch.randint(2, (5, 4))
    want = F.binary_cross_entropy_with_logits(scores, labels.double()) * 4
    torch.testing.assert_close(sn.nn.attribute_logistic(scores, labels), want)


# Divergence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_entropy_is_log_classes_for_uniform_and_least_for_certain(classes):
    uniform = torch.full((classes,), 1 / classes, dtype=torch.float64)
    assert float(sn.nn.entropy(uniform)) == pytest.approx(math.log(classes), abs=1e-12)
    assert float(sn.nn.entropy(F.one_hot(torch.tensor(0), classes).double())) == 0.0
    p = torch.randn(50, classes, dtype=torch.float64).softmax(1)
    assert (sn.nn.entropy(p) < math.log(classes)).all()
    own = torch.distributions.Categorical(p).entropy()
    torch.testing.assert_close(sn.nn.entropy(p), own)


def test_kl_is_never_negative_zero_only_for_equals_and_not_symmetric():
    p, q = torch.randn(2, 200, 6, dtype=torch.float64).softmax(-1)
    forth, back = sn.nn.kl_divergence(p, q), sn.nn.kl_divergence(q, p)
    assert (forth > 0).all()
    assert (forth - back).abs().min() > 0
    assert (sn.nn.kl_divergence(p, p) == 0).all()
    torch.testing.assert_close(forth, F.kl_div(q.log(), p, reduction="none").sum(1))
    cross = -(p * q.log()).sum(1)
    torch.testing.assert_close(forth, cross - sn.nn.entropy(p))  # what softmax training minimises


def test_kl_where_one_gives_a_class_no_share():
    half, sure = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    assert float(sn.nn.kl_divergence(half, sure)) == math.inf
    assert float(sn.nn.kl_divergence(sure, half)) == pytest.approx(math.log(2))


def test_gaussian_kl_is_torch_distributions_and_the_autoencoders():
    mean, mean2 = torch.randn(2, 5, 3, dtype=torch.float64)
    std, std2 = torch.rand(2, 5, 3, dtype=torch.float64) + 0.1
    one, other = torch.distributions.Normal(mean, std), torch.distributions.Normal(mean2, std2)
    want = torch.distributions.kl_divergence(one, other).sum(1)
    torch.testing.assert_close(sn.nn.gaussian_kl(mean, std, mean2_D=mean2, std2_D=std2), want)
    zero, unit = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    prior = sn.nn.gaussian_kl(mean, std, mean2_D=zero, std2_D=unit)
    torch.testing.assert_close(prior, -0.5 * (1 + 2 * std.log() - mean**2 - std**2).sum(1))
    assert (sn.nn.gaussian_kl(mean, std, mean2_D=mean, std2_D=std).abs() < 1e-12).all()


# Focal --------------------------------------------------------------------------------------------


def test_focal_loss_without_focus_is_cross_entropy_and_with_it_its_closed_form():
    x, y = batch()
    torch.testing.assert_close(sn.nn.focal_loss(x, y, 0.0), F.cross_entropy(x, y))
    p = x.softmax(1)[range(len(y)), y]
    got = sn.nn.focal_loss(x, y, 3.0, reduction="none")
    torch.testing.assert_close(got, -((1 - p) ** 3) * p.log())
    yes = F.one_hot(y, 5)
    plain = sn.nn.focal_logistic(x, yes, 0.0, alpha=0.5, reduction="sum")
    torch.testing.assert_close(2 * plain, sn.nn.attribute_logistic(x, yes, reduction="sum"))
    two = torch.stack([-x, x], 2).flatten(0, 1)  # a yes or no is two classes, 2 x apart
    got = sn.nn.focal_logistic(2 * x, yes, alpha=0.5, reduction="sum")
    torch.testing.assert_close(2 * got, sn.nn.focal_loss(two, yes.flatten(), reduction="sum"))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_what_is_certain_has_a_finite_gradient(gamma):
    x = torch.tensor([[1000.0, 0.0], [0.0, 1000.0]], requires_grad=True)
    loss = sn.nn.focal_loss(x, torch.tensor([0, 0]), gamma, reduction="none")
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.tensor([0.0, 1000.0]))
    torch.testing.assert_close(x.grad, torch.tensor([[0.0, 0.0], [-1.0, 1.0]]))


# All of them --------------------------------------------------------------------------------------

Y = torch.tensor([0, 1, 2, 0])
SIGNS = torch.tensor([[1, -1, 1], [-1, -1, 1], [1, 1, 1], [-1, 1, -1]])
WEIGHT = torch.randn(3, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def _centred(x, y):
    loss = sn.nn.CenterLoss(3, 3).eval()
    loss.centers_KD.copy_(WEIGHT)
    return loss.to(x.dtype)(x, y)


OF_X = {  # a scalar of x_43
    "hinge": lambda x: sn.nn.multiclass_hinge(x, Y),
    "squared-hinge": lambda x: sn.nn.squared_hinge(x, Y),
    "attribute hinge": lambda x: sn.nn.attribute_hinge(x, SIGNS),
    "attribute logistic": lambda x: sn.nn.attribute_logistic(x, (SIGNS + 1) // 2),
    "center": lambda x: _centred(x, Y),
    "contrastive": lambda x: sn.nn.contrastive_loss(
        x, WEIGHT[Y].to(x.dtype), torch.tensor([1, 0, 0, 1]), margin=3.0),
    "entropy": lambda x: sn.nn.entropy(x.softmax(1)).sum(),
    "kl": lambda x: sn.nn.kl_divergence(x.softmax(1), x.flip(1).softmax(1)).sum(),
    "gaussian kl": lambda x: sn.nn.gaussian_kl(
        x, x.exp(), mean2_D=x.flip(0), std2_D=x.flip(1).exp()).sum(),
    "l-softmax": lambda x: sn.nn.l_softmax(x, WEIGHT.to(x.dtype), Y, margin=3),
    "a-softmax": lambda x: sn.nn.a_softmax(x, WEIGHT.to(x.dtype), Y, margin=4, mix=2.0),
    "am-softmax": lambda x: sn.nn.am_softmax(sn.nn.cosines(x, WEIGHT.to(x.dtype)), Y),
    "focal": lambda x: sn.nn.focal_loss(x, Y, 1.5),
    "focal logistic": lambda x: sn.nn.focal_logistic(x, (SIGNS + 1) // 2),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_X)
def test_gradient_is_that_of_finite_differences(name):
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(OF_X[name], (x,))


WIDE = ("l-softmax", "a-softmax", "am-softmax", "center")  # in float32 at least


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", OF_X)
def test_any_dtype_gives_the_same_in_its_own_precision(name, dtype):
    x = torch.randn(4, 3, dtype=torch.float64)
    got = OF_X[name](x.to(dtype))
    assert got.dtype == (torch.float32 if name in WIDE else dtype)
    exact = float(OF_X[name](x.to(dtype).double()))
    assert float(got) == pytest.approx(
        exact, rel=30 * torch.finfo(dtype).eps, abs=30 * torch.finfo(dtype).eps
    )


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_name_are_means_that_fall_as_the_right_logit_rises(name):
    logits, y = batch(dtype=torch.float32)
    of = LOSSES[name].of
    rows = torch.stack([of(logits[i : i + 1], y[i : i + 1]) for i in range(len(y))])
    torch.testing.assert_close(of(logits, y), rows.mean())
    assert of(logits + 3 * F.one_hot(y, 5), y) < of(logits, y)
    if LOSSES[name].can_smooth:
        assert of(logits, y, label_smoothing=0.1) != of(logits, y)
    else:
        with pytest.raises(TypeError):
            of(logits, y, label_smoothing=0.1)


X = torch.tensor([[0.5, -1.0, 2.0], [-0.3, 0.1, -0.7]])
WRONG = {
    "one label too many": (lambda: sn.nn.multiclass_hinge(X, torch.tensor([0, 1, 2])), r"\(2, 3\)"),
    "one-hot labels": (lambda: sn.nn.squared_hinge(X, torch.eye(3)[:2]), "labels of shape"),
    "float labels": (lambda: sn.nn.multiclass_hinge(X, torch.zeros(2)), r"labels.long\(\)"),
    "label 3 of 3": (lambda: sn.nn.multiclass_hinge(X, torch.tensor([0, 3])), r"0\.\.2"),
    "label -1": (lambda: sn.nn.am_softmax(X, torch.tensor([0, -1])), "from -1"),
    "0 for no": (lambda: sn.nn.attribute_hinge(X, (X > 0).int()), "2 \\* y - 1"),
    "-1 for no": (lambda: sn.nn.attribute_logistic(X, X.sign()), "0..1"),
    "other shapes": (lambda: sn.nn.attribute_hinge(X, torch.ones(2, 4)), r"\(2, 4\)"),
    "logits for shares": (lambda: sn.nn.entropy(X), "softmax"),
    "negative share": (lambda: sn.nn.entropy(torch.tensor([1.5, -0.5])), "negative"),
    "whole shares": (lambda: sn.nn.entropy(torch.tensor([0, 1])), "torch.int64"),
    "no spread": (lambda: sn.nn.gaussian_kl(
        X, X * 0, mean2_D=X, std2_D=X.exp()), "exp"),
    "pairs": (lambda: sn.nn.contrastive_loss(X, X, torch.ones(3)), r"\(3,\)"),
    "same as sign": (lambda: sn.nn.contrastive_loss(X, X, torch.tensor([1, -1])), "0..1"),
    "margin 1.5": (lambda: sn.nn.l_softmax(X, X, torch.tensor([0, 1]), margin=1.5), "margin=1.5"),
    "margin 0": (lambda: sn.nn.a_softmax(X, X, torch.tensor([0, 1]), margin=0), "margin=0"),
    "width": (lambda: sn.nn.l_softmax(X, torch.ones(3, 4), torch.tensor([0, 1])), r"\(3, 4\)"),
    "class 5 of 3": (lambda: sn.nn.CenterLoss(3, 3)(X, torch.tensor([0, 5])), "0 to 5"),
    "center width": (lambda: sn.nn.CenterLoss(3, 4)(X, torch.tensor([0, 1])), r"\(3, 4\)"),
    "alpha": (lambda: sn.nn.CenterLoss(3, 4, alpha=2), "alpha=2"),
    "reduction": (lambda: sn.nn.multiclass_hinge(X, Y[:2], reduction="avg"), "reduction='avg'"),
    "m": (lambda: sn.nn.cos_multiple(X, -1), "m=-1"),
    "gamma": (lambda: sn.nn.focal_loss(X, Y[:2], -1.0), "gamma=-1"),
    "yes or no": (lambda: sn.nn.focal_logistic(X, X.sign()), "0 or 1"),
    "weight of a yes": (lambda: sn.nn.focal_logistic(X, X * 0, alpha=2.0), "alpha=2"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_in_words(name):
    call, words = WRONG[name]
    with pytest.raises(sn.UsageError, match=words):
        call()


def test_a_gpu_is_not_asked_to_wait():
    """The checks of values are for the CPU: elsewhere they would hold up every step."""
    scores, labels = torch.zeros(2, 3, device="meta"), torch.zeros(2, 3, device="meta")
    assert sn.nn.attribute_hinge(scores, labels).device.type == "meta"
    long = labels[:, 0].long()
    assert sn.nn.multiclass_hinge(scores, long).device.type == "meta"


def test_a_share_of_0_adds_nothing_to_the_divergence_nor_to_its_gradient():
    p = torch.tensor([0.0, 0.0, 0.4, 0.6], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.0, 0.3, 0.2, 0.5], dtype=torch.float64, requires_grad=True)
    sn.nn.kl_divergence(p, q).backward()
    torch.testing.assert_close(
        p.grad, torch.tensor([0, 0, math.log(2) + 1, math.log(1.2) + 1]).double()
    )
    torch.testing.assert_close(q.grad, torch.tensor([0, 0, -2.0, -1.2]).double())


OF_LABELS = {
    **{name: loss.of for name, loss in LOSSES.items() if name != "cross-entropy"},  # PyTorch's
    "l_softmax": lambda x, y: sn.nn.l_softmax(x, torch.eye(5, dtype=x.dtype), y),
    "a_softmax": lambda x, y: sn.nn.a_softmax(x, torch.eye(5, dtype=x.dtype), y),
    "am_softmax": sn.nn.am_softmax,
    "center": lambda x, y: sn.nn.CenterLoss(5, 5)(x, y),
}


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize("name", OF_LABELS)
def test_class_numbers_of_any_whole_type_are_class_numbers(name, kind):
    x, y = batch()
    torch.testing.assert_close(OF_LABELS[name](x, y.to(kind)), OF_LABELS[name](x, y))
