"""AM-softmax on toy faces: people that nobody trained on are told apart better than by softmax."""

import torch
from torch import nn
from torch.nn import functional as F

import snellen as sn

PEOPLE, KNOWN, PICTURES, PIXELS, BASIS, WIDTH = 100, 60, 20, 100, 10, 16


def faces():
    """A person's mixture of ten pictures, more of ten of light, noise -> x_ND, person_N."""
    person_N = torch.arange(PEOPLE).repeat_interleave(PICTURES)
    identity_ND = torch.randn(PEOPLE, BASIS)[person_N] @ torch.randn(BASIS, PIXELS)
    light_ND = torch.randn(len(person_N), BASIS) @ torch.randn(BASIS, PIXELS)
    x_ND = (identity_ND + 3.0 * light_ND) / BASIS**0.5
    return x_ND + 0.3 * torch.randn_like(x_ND), person_N


def told_apart(features_ND, person_N):
    """The chance that a pair of the same person is more alike than a pair of two."""
    cos_NN = F.normalize(features_ND) @ F.normalize(features_ND).T
    upper = torch.ones_like(cos_NN, dtype=torch.bool).triu(1)
    same = (person_N[:, None] == person_N) & upper
    ours, others = cos_NN[same], cos_NN[upper & ~same].sort().values
    return (torch.searchsorted(others, ours) / len(others)).mean().item()


def verified(margin):
    """How well the people of the test are told apart; margin None is plain softmax."""
    torch.manual_seed(0)
    x, person = faces()
    known = person < KNOWN
    body = nn.Sequential(nn.Linear(PIXELS, 64), nn.ReLU(), nn.Linear(64, WIDTH))
    last = (
        nn.Linear(WIDTH, KNOWN) if margin is None else sn.nn.CosineLinear(WIDTH, KNOWN, scale=1.0)
    )
    optimizer = torch.optim.Adam([*body.parameters(), *last.parameters()], 3e-3)
    for _ in range(200):
        rows = torch.randint(KNOWN * PICTURES, (128,))
        out, y = last(body(x[rows])), person[rows]
        loss = (F.cross_entropy(out, y) if margin is None
                else sn.nn.am_softmax(out, y, margin=margin, scale=20.0))  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return told_apart(body(x[~known]), person[~known])


def test_verification_of_unknown_people_rises_with_the_margin():
    softmax, no_margin, margin = (verified(m) for m in (None, 0.0, 0.35))
    assert min(softmax, no_margin) > 0.9
    assert 1 - margin < 0.5 * (1 - softmax)  # half of the mistakes, at the most
    assert 1 - margin < 0.5 * (1 - no_margin)
