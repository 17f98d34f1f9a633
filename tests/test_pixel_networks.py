"""PixelCNN and PixelRNN: nothing looks ahead, probabilities sum to 1, and digits are learned."""

import itertools
import math

import pytest
import torch
from sklearn.datasets import load_digits

import snellen as sn

N = sn.nn
NETWORKS = {
    "cnn": N.pixel_cnn,
    "row": lambda *args, **kwargs: N.pixel_rnn(*args, kind="row", **kwargs),
    "diagonal": N.pixel_rnn,
}


def network(name, levels, channels=1):
    torch.manual_seed(0)
    return NETWORKS[name](levels, channels=channels, width=8 * channels, depth=1).double()


def looks(net, levels, channels, height=3, width=4):
    """|d log p_i / d x_j| > 0 as (i, j), both in the order of reading, colours last."""
    x = torch.randint(0, levels, (1, height, width, channels)).double()

    def told(x_N):
        x_BCHW = x_N.view(x.shape).permute(0, 3, 1, 2)
        return net(x_BCHW).log_softmax(1).permute(0, 3, 4, 2, 1).reshape(x_N.numel(), levels)

    jacobian = torch.autograd.functional.jacobian(told, x.flatten())
    return jacobian.abs().amax(1) > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_pixel_sees_itself_or_a_later_one(name, channels):
    seen = looks(network(name, 3, channels), 3, channels)
    assert not seen.triu().any()
    assert seen.sum() > 0.5 * torch.ones_like(seen).tril(-1).sum()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_probabilities_of_all_tiny_pictures_sum_to_one(name, channels):
    count = 4 * channels
    pictures = torch.tensor(list(itertools.product((0, 1), repeat=count)))
    x_BCHW = pictures.view(-1, channels, 2, 2)
    bits_B = N.bits_per_dimension(network(name, 2, channels)(x_BCHW), x_BCHW)
    assert bits_B.std() > 0
    assert (2.0 ** (-bits_B * count)).sum().item() == pytest.approx(1, abs=1e-12)


def test_drawn_pictures_are_as_frequent_as_they_are_likely():
    net, count = network("cnn", 2), 4000
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.7)
    drawn = N.draw_pictures(net, (count, 1, 2, 2), torch.Generator().manual_seed(0))
    all_BCHW = torch.tensor(list(itertools.product((0, 1), repeat=4))).view(-1, 1, 2, 2)
    p_16 = 2.0 ** (-4 * N.bits_per_dimension(net(all_BCHW), all_BCHW)).detach()
    found_16 = torch.bincount(drawn.flatten(1) @ torch.tensor([8, 4, 2, 1]), minlength=16)
    assert p_16.max() > 3 * p_16.min()
    spread_16 = (count * p_16 * (1 - p_16)).sqrt()
    assert ((found_16 - count * p_16).abs() < 4.5 * spread_16).all()


def digits():
    """Ink or none of scikit-learn's digits -> 1,400 to learn from, 397 to be told."""
    x = torch.tensor(load_digits().images > 7).long()[:, None]
    return x[:1400], x[1400:]


def bits_of_independent_pixels(train, test):
    """What is told where each pixel has its own frequency of ink, and knows of no other."""
    p_HW = (train.double().sum((0, 1)) + 1) / (len(train) + 2)
    nats = torch.distributions.Bernoulli(p_HW).log_prob(test.double())
    return -nats.mean().item() / math.log(2)


@pytest.mark.parametrize(("name", "steps"), [("cnn", 120), ("row", 60), ("diagonal", 60)])
def test_digits_are_told_in_fewer_bits_than_pixel_by_pixel(name, steps):
    """Three seeds: 0.461 to 0.489 bits, where independent pixels need 0.561."""
    train, test = digits()
    baseline = bits_of_independent_pixels(train, test)
    torch.manual_seed(0)
    net = NETWORKS[name](2, width=16, depth=1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        x = train[torch.randint(len(train), (64,))]
        loss = N.bits_per_dimension(net(x), x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        bits = N.bits_per_dimension(net(test), test).mean().item()
    assert bits < 0.9 * baseline


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: N.MaskedConv2d(1, 1, 4, "A"),
        lambda: N.MaskedConv2d(1, 1, (3, 3, 3), "A"),
        lambda: N.MaskedConv2d(1, 1, 3, "C"),
        lambda: N.MaskedConv2d(0, 1, 3, "A"),
        lambda: N.RowLSTM(4, 4, colours=3),
        lambda: N.DiagonalBiLSTM(4, 4, colours=0),
        lambda: N.pixel_cnn(1),
        lambda: N.pixel_cnn(2, width=9),
        lambda: N.pixel_cnn(2, depth=-1),
        lambda: N.pixel_rnn(2, kind="column"),
        lambda: N.pixel_cnn(2, width=8)(torch.zeros(4, 4)),
        lambda: N.pixel_cnn(2, width=8)(torch.full((1, 1, 4, 4), 2)),
        lambda: N.bits_per_dimension(torch.zeros(1, 2, 1, 3, 3), torch.zeros(1, 1, 3, 4)),
        lambda: N.bits_per_dimension(torch.zeros(1, 2, 1, 3, 3), torch.full((1, 1, 3, 3), 2)),
        lambda: N.draw_pictures(N.pixel_cnn(2, width=8), (0, 1, 3, 3)),
        lambda: N.draw_pictures(N.pixel_cnn(2, width=8), (3, 3)),
    ],
)
def test_what_cannot_work_is_refused_in_words(wrong):
    with pytest.raises(sn.UsageError) as caught:
        wrong()
    assert len(str(caught.value)) > 20
