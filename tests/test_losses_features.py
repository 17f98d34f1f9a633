"""Losses that shape features: centres, pairs and margins on the angle, by the papers' formulas."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F

import snellen as sn

ANGLES = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_center_loss_is_half_the_squared_distance_and_its_gradient_x_minus_c():
    loss = sn.nn.CenterLoss(3, 4, reduction="sum").double().eval()
    loss.centers_KD.copy_(torch.randn(3, 4))
    x, y = torch.randn(6, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2] * 2)
    value = loss(x, y)
    value.backward()
    want = 0.5 * (x - loss.centers_KD[y]).detach().pow(2).sum()
    torch.testing.assert_close(value.detach(), want)
    torch.testing.assert_close(x.grad, (x - loss.centers_KD[y]).detach())


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_centres_move_as_the_paper_says(alpha):
    loss = sn.nn.CenterLoss(3, 4, alpha=alpha).double()
    before = torch.randn(3, 4, dtype=torch.float64)
    loss.centers_KD.copy_(before)
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 2, 2, 0, 2])
    loss(x, y)
    for j in range(3):
        own = [x[i] for i in range(5) if int(y[i]) == j]
        change = sum((before[j] - xi for xi in own), torch.zeros(4)) / (1 + len(own))
        torch.testing.assert_close(loss.centers_KD[j], before[j] - alpha * change)
    assert torch.equal(loss.centers_KD[1], before[1])  # not in the batch
    after = loss.centers_KD.clone()
    loss.eval()(x, y)
    assert torch.equal(loss.centers_KD, after)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_centres_of_many_half_features_move_as_those_of_float32(dtype):
    loss = sn.nn.CenterLoss(1, 1).to(dtype)
    assert loss(torch.ones(1000, 1, dtype=dtype), torch.zeros(1000).long()) == 0.5
    torch.testing.assert_close(loss.centers_KD, torch.tensor([[0.5 * 1000 / 1001]]))
    assert loss.double().centers_KD.dtype == torch.float64


def spread(features, labels):
    """The mean distance to the own class's mean, over the distance between the means."""
    means = torch.stack([features[labels == k].mean(0) for k in range(3)])
    within = (features - means[labels]).norm(dim=1).mean()
    return float(within / torch.pdist(means).mean())


def trained_features(weight):
    torch.manual_seed(1)
    places = torch.tensor([[0.0, 0], [2, 0], [0, 2]])
    labels = torch.arange(3).repeat(40)
    x = places[labels] + 0.3 * torch.randn(120, 2)
    body, head = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2)), nn.Linear(2, 3)
    center = sn.nn.CenterLoss(3, 2)
    optimiser = torch.optim.Adam([*body.parameters(), *head.parameters()], 0.02)
    for _ in range(150):
        optimiser.zero_grad()
        features = body(x)
        (F.cross_entropy(head(features), labels) + weight * center(features, labels)).backward()
        optimiser.step()
    return spread(body(x).detach(), labels)


def test_center_loss_gathers_the_features_of_a_class():
    assert trained_features(1.0) < 0.5 * trained_features(0.0)


def test_contrastive_loss_is_its_closed_form_with_a_margin():
    one = torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64)
    same = torch.tensor([1, 0, 0, 1])
    got = sn.nn.contrastive_loss(one, torch.zeros_like(one), same, margin=2, reduction="none")
    torch.testing.assert_close(got, torch.tensor([25.0, 0.0, 2.25, 0.0], dtype=torch.float64))


def test_contrastive_loss_of_one_point_twice_has_a_finite_gradient():
    one = torch.zeros(1, 3, requires_grad=True)
    sn.nn.contrastive_loss(one, torch.zeros(1, 3), torch.tensor([0])).backward()
    assert torch.equal(one.grad, torch.zeros(1, 3))


@pytest.mark.parametrize("m", range(9))
def test_chebyshev_is_the_cosine_of_m_times_the_angle(m):
    got = sn.nn.cos_multiple(ANGLES.cos(), m)
    assert (got - (m * ANGLES).cos()).abs().max() < 1e-10


@pytest.mark.parametrize("m", range(1, 7))
def test_psi_is_its_definition_continuous_and_falls_all_the_way(m):
    got = sn.nn.psi(ANGLES.cos(), m)
    k = (m * ANGLES / math.pi).floor().clamp(max=m - 1)
    want = (-1) ** k * (m * ANGLES).cos() - 2 * k
    assert (got - want).abs().max() < 1e-10
    steps = got.diff()
    assert (steps < 0).all()
    assert steps.abs().max() <= m * float(ANGLES[1]) + 1e-12  # no jump: |psi'| <= m
    assert float(got[0]) == pytest.approx(1.0)
    assert float(got[-1]) == pytest.approx(1.0 - 2 * m)


def features(num=8, width=6, classes=4):
    x = 2 * torch.randn(num, width, dtype=torch.float64)
    weight = torch.randn(classes, width, dtype=torch.float64)
    return x, weight, torch.randint(classes, (num,))


def test_l_softmax_without_margin_is_softmax_cross_entropy():
    x, weight, y = features()
    got = sn.nn.l_softmax(x, weight, y, margin=1)
    assert float((got - F.cross_entropy(x @ weight.T, y)).abs()) < 1e-12


@pytest.mark.parametrize("margin", [2, 3, 4])
def test_l_softmax_is_the_papers_formula(margin):
    x, weight, y = features()
    logits = x @ weight.T
    for i, j in enumerate(y.tolist()):
        length = x[i].norm() * weight[j].norm()
        angle = float((x[i] @ weight[j] / length).acos())
        k = int(margin * angle / math.pi)
        logits[i, j] = length * ((-1) ** k * math.cos(margin * angle) - 2 * k)
    got = sn.nn.l_softmax(x, weight, y, margin=margin)
    torch.testing.assert_close(got, F.cross_entropy(logits, y))


def test_a_softmax_without_margin_is_softmax_of_cosines_times_the_length():
    x, weight, y = features()
    cos = F.cosine_similarity(x[:, None], weight[None], dim=2)
    want = F.cross_entropy(x.norm(dim=1, keepdim=True) * cos, y)
    torch.testing.assert_close(sn.nn.a_softmax(x, weight, y, margin=1), want)
    torch.testing.assert_close(
        sn.nn.a_softmax(x, 9 * weight, y, margin=1), want
    )  # |W| does not count


@pytest.mark.parametrize("loss", [sn.nn.l_softmax, sn.nn.a_softmax])
def test_a_larger_margin_is_harder_and_lambda_leads_from_none_to_all_of_it(loss):
    x, weight, y = features()
    by_margin = [float(loss(x, weight, y, margin=m)) for m in range(1, 6)]
    assert by_margin == sorted(by_margin)
    assert len(set(by_margin)) == 5
    by_mix = [float(loss(x, weight, y, margin=4, mix=mix)) for mix in (1e9, 100.0, 5.0, 1.0, 0.0)]
    assert by_mix == sorted(by_mix)
    assert by_mix[0] == pytest.approx(by_margin[0], rel=1e-6)
    assert by_mix[-1] == by_margin[3]


def test_lambda_falls_as_in_the_authors_training_and_rests_in_evaluation():
    values = [sn.nn.annealed_mix(step) for step in range(3000)]
    assert values[0] == 1000.0
    assert values[1] == pytest.approx(1000 / 1.12)
    assert all(a >= b for a, b in itertools.pairwise(values))
    assert values[-1] == 5.0
    loss = sn.nn.ASoftmax(4, 6)
    x, _, y = features()
    first = loss(x.float(), y)
    for _ in range(100):
        loss(x.float(), y)
    assert loss(x.float(), y) > first
    assert int(loss.num_steps) == 102
    loss.eval()(x.float(), y)
    assert int(loss.num_steps) == 102
    again = sn.nn.ASoftmax(4, 6)
    again.load_state_dict(loss.state_dict())
    assert torch.equal(again.eval()(x.float(), y), loss(x.float(), y))


def test_am_softmax_without_margin_and_scale_is_the_normalised_softmax():
    x, weight, y = features()
    cos = sn.nn.cosines(x, weight)
    torch.testing.assert_close(cos, F.cosine_similarity(x[:, None], weight[None], dim=2))
    got = sn.nn.am_softmax(cos, y, margin=0.0, scale=1.0)
    want = -(cos.exp().gather(1, y[:, None])[:, 0] / cos.exp().sum(1)).log().mean()
    torch.testing.assert_close(got, want)


def test_am_softmax_is_the_papers_formula():
    x, weight, y = features()
    cos, s, m = sn.nn.cosines(x, weight), 12.0, 0.2
    right = (s * (cos.gather(1, y[:, None])[:, 0] - m)).exp()
    wrong = (s * cos).exp().sum(1) - (s * cos).exp().gather(1, y[:, None])[:, 0]
    want = -(right / (right + wrong)).log().mean()
    torch.testing.assert_close(sn.nn.am_softmax(cos, y, margin=m, scale=s), want)


def test_a_cosine_layer_knows_no_lengths():
    layer = sn.nn.CosineLinear(6, 4, scale=7.0).double()
    x, _, _ = features()
    torch.testing.assert_close(layer(x), layer(100 * x))
    torch.testing.assert_close(layer(x), 7 * sn.nn.cosines(x, layer.weight))
    assert layer(x.view(2, 4, 6)).shape == (2, 4, 4)


@pytest.mark.parametrize("module", [sn.nn.LSoftmax, sn.nn.ASoftmax])
def test_margin_losses_reduce_as_pytorchs_losses(module):
    x, weight, y = features()
    cos = sn.nn.cosines(x, weight)
    function = {sn.nn.LSoftmax: sn.nn.l_softmax, sn.nn.ASoftmax: sn.nn.a_softmax}[module]
    layers = {how: module(4, 6, reduction=how).double() for how in ("mean", "sum", "none")}
    for layer in layers.values():
        layer.load_state_dict(layers["none"].state_dict())
    for of in (lambda how: function(x, weight, y, reduction=how),
               lambda how: sn.nn.am_softmax(cos, y, reduction=how),
               lambda how: layers[how](x, y)):  # fmt: skip
        each = of("none")
        assert each.shape == y.shape
        torch.testing.assert_close(of("mean"), each.mean())
        torch.testing.assert_close(of("sum"), each.sum())
    rows = [function(x[[i]], weight, y[[i]]) for i in range(len(y))]
    torch.testing.assert_close(function(x, weight, y, reduction="none"), torch.stack(rows))
    with pytest.raises(sn.UsageError, match="reduction='avg'"):
        module(4, 6, reduction="avg")


@pytest.mark.parametrize("loss", [sn.nn.l_softmax, sn.nn.a_softmax])
def test_gradient_for_the_class_vectors_too(loss):
    x, weight, y = features(4, 3, 3)
    assert gradcheck(lambda w: loss(x, w, y, margin=2), (weight.requires_grad_(),))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_margin_loss_of_halves_still_sees_a_sample_that_is_nearly_right(dtype):
    cosines = torch.tensor([[0.75, 0.21875]])
    got = sn.nn.am_softmax(cosines.to(dtype), torch.tensor([0]))
    torch.testing.assert_close(got, sn.nn.am_softmax(cosines, torch.tensor([0])))
    assert got > 0.004
