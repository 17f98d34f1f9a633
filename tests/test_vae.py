"""The VAE's bound against integrals over z that can be computed, and a training on digits."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import snellen as sn

VAE = sn.nn.VAE


def small():
    """One latent number, four pixels, in float64: sums over 80 points of z are exact."""
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    decoder = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 4), nn.Unflatten(1, (1, 2, 2)))
    net = VAE(encoder, decoder, 1).double()
    for p in net.parameters():
        nn.init.normal_(p, std=0.8)
    pictures = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4)
    return net, pictures.view(16, 1, 2, 2)


POINTS, WEIGHTS = map(torch.tensor, np.polynomial.hermite_e.hermegauss(80))
WEIGHTS = WEIGHTS / math.sqrt(2 * math.pi)  # expectations under N(0, 1)


def told(net, x, z_PB):
    """log p(x|z) by torch.distributions: z_PB -> (P, B)."""
    logits = net.decoder(z_PB.reshape(-1, 1)).view(*z_PB.shape, *x.shape[1:])
    return Bernoulli(logits=logits).log_prob(x).sum((2, 3, 4))


def exact(net, x):
    """-> ELBO_B, log p(x)_B, D(q|p(z|x))_B by Gauss-Hermite quadrature."""
    mean_BD, log_variance_BD = net.encoder(x).chunk(2, 1)
    q = Normal(mean_BD[:, 0], (log_variance_BD[:, 0] / 2).exp())
    z_PB = q.mean + q.stddev * POINTS[:, None]
    elbo_B = WEIGHTS @ told(net, x, z_PB) - kl_divergence(q, Normal(0.0, 1.0))
    evidence_B = (WEIGHTS @ told(net, x, POINTS[:, None].expand(-1, len(x))).exp()).log()
    posterior_PB = told(net, x, z_PB) + Normal(0.0, 1.0).log_prob(z_PB) - evidence_B
    return elbo_B, evidence_B, WEIGHTS @ (q.log_prob(z_PB) - posterior_PB)


def test_divergence_from_the_prior_is_that_of_torch():
    mean_BD, std_BD = torch.randn(5, 3), torch.rand(5, 3) + 0.1
    wanted = kl_divergence(Normal(mean_BD, std_BD), Normal(0.0, 1.0)).sum(1)
    found = sn.nn.gaussian_kl(mean_BD, std_BD, mean2_D=torch.zeros(3), std2_D=torch.ones(3))
    torch.testing.assert_close(found, wanted)


def test_the_bound_lies_below_the_evidence_by_the_divergence_from_the_posterior():
    net, x = small()
    elbo_B, evidence_B, gap_B = exact(net, x)
    assert evidence_B.exp().sum().item() == pytest.approx(1, abs=1e-9)  # over all pictures
    torch.testing.assert_close(evidence_B - elbo_B, gap_B)
    torch.manual_seed(0)
    drawn_RB = torch.stack([net.elbo(x, 500) for _ in range(20)]).detach()
    error_B = drawn_RB.std(0) / 20**0.5
    assert ((drawn_RB.mean(0) - elbo_B).abs() < 4.5 * error_B).all()
    assert (elbo_B < evidence_B).all()


def test_gradient_of_the_bound_is_right_on_average():
    net, x = small()
    wanted = torch.autograd.grad(exact(net, x)[0].mean(), list(net.parameters()))
    torch.manual_seed(0)
    drawn = [
        torch.autograd.grad(net.elbo(x, 50).mean(), list(net.parameters())) for _ in range(100)
    ]
    for of_one, draws in zip(wanted, zip(*drawn, strict=True), strict=True):
        draws = torch.stack(draws)
        assert ((draws.mean(0) - of_one).abs() <= 4.5 * draws.std(0) / 10 + 1e-12).all()
        assert of_one.abs().max() > 4.5 * draws.std(0).min() / 10  # 0 would be told from it


def test_many_draws_close_the_gap():
    net, x = small()
    torch.manual_seed(0)
    elbo_B, evidence_B, _ = (part.detach() for part in exact(net, x))
    found_B = net.evidence(x, 20_000)
    assert (found_B - evidence_B).abs().mean() < 0.1 * (evidence_B - elbo_B).mean()


def test_digits_are_told_better_than_pixel_by_pixel():
    """Three seeds: a bound 4.1 nats or more above the baseline, evidence 0.6 or more above it."""
    x = torch.tensor(load_digits().images > 7).double()[:, None]
    train, test = x[:1400], x[1400:]
    p_HW = (train.sum((0, 1)) + 1) / (len(train) + 2)
    baseline = Bernoulli(p_HW).log_prob(test).sum((1, 2, 3)).mean().item()
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    decoder = nn.Sequential(
        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.Unflatten(1, (1, 8, 8))
    )
    net = VAE(encoder, decoder, 8).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    for _ in range(250):
        loss = -net.elbo(train[torch.randint(1400, (64,))]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        bound, evidence = net.elbo(test, 20).mean().item(), net.evidence(test, 20).mean().item()
    assert baseline + 3 < bound < evidence
    drawn = net.draw(4, torch.Generator().manual_seed(0))
    assert drawn.shape == (4, 1, 8, 8)
    assert ((drawn > 0) & (drawn < 1)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda net, x: net(x + 1),
        lambda net, x: net(x.to(torch.uint8)),
        lambda net, x: VAE(net.encoder, net.decoder, 0),
        lambda net, x: VAE(net.encoder, net.decoder, 3)(x),
        lambda net, x: net.elbo(x, 0),
        lambda net, x: VAE(net.encoder, nn.Linear(1, 4).double(), 1).elbo(x),
    ],
)
def test_what_cannot_work_is_refused_in_words(wrong):
    with pytest.raises(sn.UsageError) as caught:
        wrong(*small())
    assert len(str(caught.value)) > 20
