"""GAN losses: the best discriminator and the fixed point in closed form; DCGAN; a ring covered."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snellen as sn

N = sn.nn
P, Q = torch.tensor([1, 2, 3, 4]), torch.tensor([4, 3, 2, 1])  # tenths of the real, of the fake


def samples(counts_K):
    """Counts -> that many of each."""
    return torch.arange(len(counts_K)).repeat_interleave(counts_K)


def test_losses_are_cross_entropies():
    real, fake = torch.randn(7) * 5, torch.randn(9) * 5
    right = F.binary_cross_entropy_with_logits(real, torch.ones(7))
    right = right + F.binary_cross_entropy_with_logits(fake, torch.zeros(9))
    torch.testing.assert_close(N.discriminator_loss(real, fake), right)
    d_B = torch.sigmoid(fake.double())
    close = torch.testing.assert_close
    close(N.generator_loss(fake.double()), -d_B.log().mean())
    close(N.generator_loss(fake.double(), "minimax"), (1 - d_B).log().mean())


def test_a_discriminator_finds_p_over_p_plus_q():
    logit_K = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([logit_K], lr=4.0)
    for _ in range(100):
        loss = N.discriminator_loss(logit_K[samples(P)], logit_K[samples(Q)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(logit_K.sigmoid(), P / (P + Q).double(), atol=1e-6, rtol=0)
    p_K, q_K = P / 10, Q / 10
    divergence = sum(N.kl_divergence(share_K, (p_K + q_K) / 2) for share_K in (p_K, q_K)) / 2
    assert loss.item() == pytest.approx(math.log(4) - 2 * divergence.item())


@pytest.mark.parametrize("kind", ["non-saturating", "minimax"])
def test_a_generator_against_the_best_discriminator_becomes_the_data(kind):
    p_K = P / 10
    score_K = torch.tensor([2.0, 0.0, 0.0, -2.0], requires_grad=True)
    optimizer = torch.optim.SGD([score_K], lr=1.0)
    start = N.kl_divergence(p_K, score_K.softmax(0)).item()
    for _ in range(200):
        q_K = score_K.softmax(0)
        logit_K = (p_K / q_K).log().detach()  # of D* = p / (p + q)
        loss = sum(q * N.generator_loss(d[None], kind) for q, d in zip(q_K, logit_K, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert N.kl_divergence(p_K, q_K.detach()).item() < 0.001 < start


def test_only_the_minimax_form_is_flat_where_the_discriminator_is_sure():
    fake_B = torch.full((1,), -8.0, requires_grad=True)
    steep, flat = (torch.autograd.grad(N.generator_loss(fake_B, kind), fake_B)[0].item()
                   for kind in ("non-saturating", "minimax"))  # fmt: skip
    assert steep == pytest.approx(-(1 - 1 / (1 + math.exp(8))))
    assert flat == pytest.approx(-1 / (1 + math.exp(8)))


def on_circle(turn):
    """Eight places on the circle, the first `turn` of a step past the x axis -> (8, 2)."""
    angle_8 = (torch.arange(8) + turn) * (math.pi / 4)
    return torch.stack([angle_8.cos(), angle_8.sin()], 1)


MODES_82, GAPS_82 = on_circle(0), on_circle(0.5)


def shares(points_N2, places_82):
    """Points -> of each place, the share within 0.15: three spreads of a mode."""
    distance_N, place_N = torch.cdist(points_N2, places_82).min(1)
    return torch.bincount(place_N[distance_N < 0.15], minlength=8) / len(points_N2)


def test_a_ring_of_gaussians_is_covered():
    """Three seeds: 3.0 % or more in each mode, and 1.9 times as many there as between them, where a
    circle has as many. An untrained generator misses some mode.
    """
    torch.manual_seed(0)

    def mlp(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64),
                             nn.LeakyReLU(0.2), nn.Linear(64, outputs))  # fmt: skip

    makes, judges = mlp(8, 2), nn.Sequential(mlp(2, 1), nn.Flatten(0))
    steps = [torch.optim.Adam(net.parameters(), lr, betas=(0.5, 0.99), fused=True)
             for net, lr in ((judges, 4e-3), (makes, 2e-3))]  # fmt: skip
    assert shares(makes(torch.randn(2000, 8)).detach(), MODES_82).min() == 0
    for _ in range(600):
        real = MODES_82[torch.randint(8, (128,))] + 0.05 * torch.randn(128, 2)
        fake = makes(torch.randn(128, 8))
        losses = (
            lambda: N.discriminator_loss(judges(real), judges(fake.detach())),  # noqa: B023
            lambda: N.generator_loss(judges(fake)),  # noqa: B023
        )
        for optimizer, loss in zip(steps, losses, strict=True):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
    points_N2 = makes(torch.randn(2000, 8)).detach()
    found_8, between_8 = shares(points_N2, MODES_82), shares(points_N2, GAPS_82)
    assert found_8.min() > 0.015
    assert found_8.sum() > 1.5 * between_8.sum()


def test_dcgan_has_the_paper_s_sizes():
    """Counted by hand: 4x4 kernels without biases, two numbers a map of batch norm."""
    widths = [64, 128, 256, 512]
    pairs = sum(16 * a * b for a, b in itertools.pairwise(widths))
    makes, judges = N.dcgan_generator(), N.dcgan_discriminator()
    wanted = 16 * (100 * 512 + 64 * 3) + pairs + 2 * sum(widths)
    assert sum(p.numel() for p in makes.parameters()) == wanted == 3_576_704
    wanted = 16 * (3 * 64 + 512) + pairs + 2 * sum(widths[1:])
    assert sum(p.numel() for p in judges.parameters()) == wanted == 2_765_568
    picture = makes.to("meta")(torch.zeros(2, 100, device="meta"))
    assert picture.shape == (2, 3, 64, 64)
    assert judges.to("meta")(picture).shape == (2,)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: N.generator_loss(torch.zeros(2), "saturating"),
        lambda: N.discriminator_loss(torch.zeros(2).long(), torch.zeros(2)),
        lambda: N.dcgan_generator(size=28),
        lambda: N.dcgan_discriminator(size=4),
        lambda: N.dcgan_generator(0),
    ],
)
def test_what_cannot_work_is_refused_in_words(wrong):
    with pytest.raises(sn.UsageError) as caught:
        wrong()
    assert len(str(caught.value)) > 20
