"""Faults in other families than the classifier: detection, autoencoders, recurrent nets, GANs,
accumulation and fine-tuning; name -> (right ids, training)."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_faulty import HIGH, LOW, NAN, RAW, drawn, zeroed
from _doctor_healthy import on, unit
from _doctor_nets import (
    Recurrent,
    adam,
    cnn,
    diabetes,
    digits,
    endless,
    images,
    mlp,
    rows,
    sgd,
)
from torch import Tensor, nn

import snellen as sn

REACH, SCALE, FROZEN = ("loss-output-activation",), ("target-unscaled",), ("optim-frozen-layer",)
RANGE, SIGN, GRADS = ("label-out-of-range",), ("loss-sign-flipped",), ("loop-no-zero-grad",)
FAMILIES: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "autoencoder of bytes": ((*RAW, *SCALE), lambda: coded(autoencoder(), 255 * grey())),
    "autoencoder, sigmoid at the end": (
        REACH, lambda: coded(nn.Sequential(*autoencoder(), nn.Sigmoid()), digits()[0])
    ),
    "autoencoder, zero": (("init-zero",), lambda: coded(zeroed(autoencoder()), digits()[0])),
    "autoencoder, adam 1": (HIGH, lambda: coded(autoencoder(), digits()[0], lambda n: adam(n, 1))),
    "boxes in pixels of 1600": (SCALE, lambda: detect(100 * boxes()[1])),
    "boxes, sigmoid for pixels": (REACH, lambda: detect(boxes()[1], head=nn.Sigmoid())),
    "boxes, adam 0.3": (HIGH, lambda: detect(boxes()[1] / 16, lambda n: adam(n, 0.3))),
    "boxes, adam 1e-7": (LOW, lambda: detect(boxes()[1] / 16, lambda n: adam(n, 1e-7))),
    "boxes, one of nan": (NAN, lambda: detect(put(boxes()[1] / 16, 77, math.nan))),
    "boxes, minus": (
        SIGN, lambda: detect(boxes()[1] / 16, loss=lambda z, y: -F.smooth_l1_loss(z, y))
    ),
    "boxes, no zero_grad": (GRADS, lambda: detect(boxes()[1] / 16, sgd, zero=False)),
    "gru, bytes divided twice": (
        RAW, lambda: on(Recurrent(nn.GRU), (grey().view(-1, 8, 8) / 255, digits()[1]))
    ),
    "mlp, bytes divided twice": (RAW, lambda: on(mlp(64, 64, 10), (grey() / 255, digits()[1]))),
    "rnn, sgd 100": (HIGH, lambda: on(Recurrent(nn.RNN), rows(), lambda n: sgd(n, 100.0))),
    "lstm, clip 1e-6": (
        ("optim-clip-too-small", *LOW), lambda: on(Recurrent(nn.LSTM), rows(), sgd, clip=1e-6)
    ),
    "gru, one label of -1": (
        RANGE, lambda: on(Recurrent(nn.GRU), (rows()[0], put(digits()[1], 321, -1)))
    ),
    "masks from 1": (RANGE, lambda: on(masker(), (images()[0], masks() + 1))),
    "gan, generator at 1": ((*HIGH, "arch-saturated"), lambda: gan(rate=1.0)),
    "gan, dead generator": (("arch-dead-relu",), lambda: gan(bias=-20.0)),
    "gan, generator never steps": (
        ("loop-no-step", "weights-not-updating"), lambda: gan(is_stepped=False)
    ),
    "accumulated, never zeroed": (GRADS, lambda: accumulated(zero=False)),
    "prices": (SCALE, lambda: on(mlp(10, 32, 1), (diabetes()[0], prices()), loss=F.mse_loss)),
    "prices, l1, sgd": (
        SCALE, lambda: on(mlp(10, 32, 1), (diabetes()[0], prices()), sgd, F.l1_loss)
    ),
    "prices, huber": (
        SCALE, lambda: on(mlp(10, 32, 1), (diabetes()[0], prices()), loss=F.huber_loss)
    ),
    "prices by hand, no loader": (SCALE, lambda: bare(prices())),
    "regression, dropout 0.95": (("reg-dropout-too-high",), lambda: on(nn.Sequential(
        nn.Linear(10, 64), nn.ReLU(), nn.Dropout(0.95), nn.Linear(64, 1)), diabetes(),
        loss=F.mse_loss)),
    "sigmoid before logits' bce": (REACH, lambda: on(
        nn.Sequential(*mlp(64, 32, 1), nn.Sigmoid()),
        (digits()[0], (digits()[1] < 5).float()[:, None]),
        loss=F.binary_cross_entropy_with_logits)),
    "softmax over the samples": (
        (*REACH, "loss-double-softmax"),
        lambda: on(nn.Sequential(*mlp(64, 64, 10), nn.Softmax(0)), digits()),
    ),
    "cnn, drawn wide": (("init-too-large", "init-loss-unexpected"), lambda: on(drawn(nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(),
        nn.Linear(64, 10)), 1.0), images())),
    "fine-tuning at 1": (HIGH, lambda: on(trained(cnn(), images()), images(),
                                          lambda n: adam(n, 1.0))),
    "a random body, frozen": (FROZEN, lambda: on(held(mlp(64, 64, 64, 10), 4), digits())),
    "a random body of He's, frozen": (
        FROZEN, lambda: on(held(drawn_by_he(cnn(norm=False)), 7), images())
    ),
    "a frozen new head": (FROZEN, lambda: frozen_head()),
    "a frozen lstm": (FROZEN, lambda: frozen_cell()),
}  # fmt: skip


def grey() -> Tensor:
    return unit(digits()[0])


def put(values: Tensor, row: int, value: float) -> Tensor:
    values = values.clone()
    values[row] = value
    return values


def autoencoder() -> nn.Sequential:
    return nn.Sequential(*mlp(64, 32, 8), nn.ReLU(), *mlp(8, 32, 64))


def coded(net: nn.Module, x: Tensor, optimizer: Any = adam) -> Any:
    return on(net, (x, x), optimizer, F.mse_loss)


@cache
def boxes() -> tuple[Tensor, Tensor]:
    """-> x_N11616 with a bright square each, and its corners_N4 in pixels."""
    draw = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(800, 1, 16, 16, generator=draw)
    side = torch.randint(3, 8, (800,), generator=draw)
    low = torch.randint(0, 8, (800, 2), generator=draw)
    for i, ((a, b), s) in enumerate(zip(low.tolist(), side.tolist(), strict=True)):
        x[i, 0, b : b + s, a : a + s] += 1
    return (x - x.mean()) / x.std(), torch.cat([low, low + side[:, None]], 1).float()


def detector(head: nn.Module | None = None) -> nn.Sequential:
    parts = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
             nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
             *mlp(512, 64, 4)]  # fmt: skip
    return nn.Sequential(*parts, *([head] if head else []))


def detect(
    corners: Tensor,
    optimizer: Any = adam,
    loss: Any = F.smooth_l1_loss,
    head: nn.Module | None = None,
    **more: Any,
) -> Any:
    return on(detector(head), (boxes()[0], corners), optimizer, loss, **more)


def masker() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 2, 1))


def masks() -> Tensor:
    return (images()[0][:, 0] > 0.5).long()


def gan(rate: float = 1e-3, bias: float = 0.0, is_stepped: bool = True) -> Any:
    """A ring of points."""
    g, d = mlp(4, 32, 32, 2), mlp(2, 32, 32, 1, act=nn.LeakyReLU)
    if bias:
        nn.init.constant_(g[0].bias, bias)
    og, od = adam(g, rate, betas=(0.5, 0.99)), adam(d, 1e-3, betas=(0.5, 0.99))
    judge = F.binary_cross_entropy_with_logits
    with sn.doctor([g, d], [og, od]) as doc:
        for _ in range(150):
            angle = torch.rand(64, 1) * 2 * math.pi
            real, fake = torch.cat([angle.cos(), angle.sin()], 1), g(torch.randn(64, 4))
            od.zero_grad()
            ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
            (judge(d(real), ones) + judge(d(fake.detach()), zeros)).backward()
            od.step()
            og.zero_grad()
            judge(d(fake), ones).backward()
            if is_stepped:
                og.step()
    return doc


def accumulated(every: int = 4, zero: bool = True, divide: bool = True) -> Any:
    net, batches = mlp(64, 64, 10), endless(*digits(), 32)
    optimizer = sgd(net)
    with sn.doctor(net, optimizer) as doc:
        for t in range(160):
            x, y = next(batches)
            (F.cross_entropy(net(x), y) / (every if divide else 1)).backward()
            if (t + 1) % every == 0:
                optimizer.step()
                if zero:
                    optimizer.zero_grad()
    return doc


def prices() -> Tensor:
    return 3e5 * (0.35 * diabetes()[1]).exp()


def bare(y: Tensor) -> Any:
    """A loop by hand with a squared error by hand."""
    x, net = diabetes()[0], mlp(10, 32, 1)
    optimizer = adam(net)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(150):
            i = torch.randint(0, len(x), (64,))
            optimizer.zero_grad()
            ((net(x[i]) - y[i]) ** 2).mean().backward()
            optimizer.step()
    return doc


def trained(net: nn.Module, data: tuple[Tensor, Tensor], steps: int = 150) -> nn.Module:
    optimizer, batches = adam(net, 5e-3), endless(*data, 64)
    for _ in range(steps):
        x, y = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net


def held(net: nn.Sequential, count: int) -> nn.Sequential:
    """The first `count` modules frozen."""
    net[:count].requires_grad_(False)
    return net


def drawn_by_he(net: nn.Module) -> nn.Module:
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.kaiming_normal_(p)
    return net


def frozen_head() -> Any:
    net = trained(mlp(64, 64, 64, 10), digits())
    net[-1] = nn.Linear(64, 10).requires_grad_(False)
    return on(net, digits())


def frozen_cell() -> Any:
    net = Recurrent(nn.LSTM)
    net.cell.requires_grad_(False)
    return on(net, rows())
