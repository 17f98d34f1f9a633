"""Healthy trainings: on none of them may the doctor say anything at warning or above."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_nets import (
    Attention,
    Functional,
    Recurrent,
    Residual,
    adam,
    cnn,
    diabetes,
    digits,
    endless,
    fit,
    images,
    mlp,
    rows,
    sgd,
    tokens,
)
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

import snellen as sn

HEALTHY: dict[str, Callable[[], Any]] = {
    "mlp, adam": lambda: on(mlp(64, 64, 64, 10), digits()),
    "mlp, sgd": lambda: on(mlp(64, 64, 64, 10), digits(), sgd),
    "mlp, sgd without momentum": lambda: on(
        mlp(64, 128, 10), digits(), lambda n: sgd(n, 0.1, momentum=0.0)
    ),
    "mlp, tanh": lambda: on(mlp(64, 64, 64, 10, act=nn.Tanh), digits()),
    "mlp, sigmoid": lambda: on(mlp(64, 64, 10, act=nn.Sigmoid), digits()),
    "deep mlp with batch norm": lambda: on(mlp(64, *[64] * 8, 10, norm=True), digits()),
    "deep mlp, relu, he": lambda: on(he(mlp(64, *[64] * 6, 10)), digits()),
    "deep mlp, pytorch's init": lambda: on(mlp(64, *[64] * 5, 10), digits()),
    "leaky relu": lambda: on(mlp(64, 64, 64, 10, act=nn.LeakyReLU), digits()),
    "dropout": lambda: on(
        nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)), digits()
    ),
    "cnn with batch norm": lambda: on(cnn(), images(), sgd),
    "cnn without": lambda: on(cnn(norm=False), images()),
    "cnn, functional": lambda: on(Functional(), images(), lambda n: sgd(n, 0.03)),
    "cnn, long": lambda: on(cnn(), images(), steps=300),
    "rnn": lambda: on(Recurrent(nn.RNN), rows()),
    "lstm": lambda: on(Recurrent(nn.LSTM), rows(), lambda n: adam(n, 5e-3)),
    "gru, clipped": lambda: on(Recurrent(nn.GRU), rows(), clip=1.0),
    "embeddings and attention": lambda: on(Attention(), tokens(), lambda n: adam(n, 1e-3)),
    "residual, zero branches": lambda: on(Residual(), digits()),
    "zero head": lambda: on(zero_head(mlp(64, 64, 10)), digits()),
    "zero head, warm-up from 0": lambda: on(
        zero_head(mlp(64, 64, 10)), digits(), schedule=lambda o: LambdaLR(o, ramp(10))
    ),
    "autoencoder": lambda: autoencoder(),
    "regression": lambda: on(mlp(10, 32, 1), diabetes(), loss=F.mse_loss),
    "regression, huber": lambda: on(mlp(10, 32, 1), diabetes(), sgd, loss=F.huber_loss),
    "linear regression": lambda: on(
        nn.Linear(10, 1), diabetes(), lambda n: sgd(n, 0.05, momentum=0.0), loss=F.mse_loss
    ),
    "gaussian likelihood": lambda: gaussian(),
    "two classes, bce": lambda: two_classes(3),
    "imbalance 3:1": lambda: imbalance(),
    "label smoothing": lambda: on(
        mlp(64, 64, 10), digits(), loss=lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1)
    ),
    "fine-tuning, frozen trunk": lambda: fine_tuned(frozen=True),
    "fine-tuning, all, low rate": lambda: fine_tuned(frozen=False),
    "accumulation over 4": lambda: on(mlp(64, 64, 10), digits(), sgd, accumulate=4, steps=160),
    "warm-up": lambda: on(mlp(64, 64, 10), digits(), schedule=lambda o: LambdaLR(o, ramp(100))),
    "warm-up, seen only": lambda: on(
        mlp(64, 64, 10), digits(), steps=60, schedule=lambda o: LambdaLR(o, ramp(100_000))
    ),
    "cosine to zero": lambda: on(
        mlp(64, 64, 10), digits(), sgd, schedule=lambda o: CosineAnnealingLR(o, 120)
    ),
    "one cycle": lambda: on(cnn(), images(), schedule=lambda o: OneCycleLR(o, 0.01, 121)),
    "sum loss, adam": lambda: on(
        mlp(64, 64, 10), digits(), loss=lambda z, y: F.cross_entropy(z, y, reduction="sum")
    ),
    "lbfgs": lambda: lbfgs(),
    "gan": lambda: gan(),
    "weight decay": lambda: on(
        mlp(64, 64, 10), digits(), lambda n: torch.optim.AdamW(n.parameters(), 2e-3,
                                                               weight_decay=0.05)
    ),
    "inputs in [0, 1]": lambda: on(mlp(64, 64, 10), (unit(digits()[0]), digits()[1])),
    "one epoch of small batches": lambda: on(cnn(norm=False), images(), batch=4),
}  # fmt: skip


def on(net: nn.Module, data: Any, optimizer: Any = adam, loss: Any = F.cross_entropy,
       **more: Any) -> Any:  # fmt: skip
    return fit(net, optimizer(net), data, loss, **more)


def unit(x: torch.Tensor) -> torch.Tensor:
    return (x - x.min()) / (x.max() - x.min())


def ramp(steps: int) -> Callable[[int], float]:
    return lambda t: min(1.0, t / steps)


def he(net: nn.Sequential) -> nn.Sequential:
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    return net


def zero_head(net: nn.Sequential) -> nn.Sequential:
    nn.init.zeros_(net[-1].weight)
    nn.init.zeros_(net[-1].bias)
    return net


def autoencoder() -> Any:
    x = unit(digits()[0])
    net = nn.Sequential(*mlp(64, 32, 8), nn.ReLU(), *mlp(8, 32, 64), nn.Sigmoid())
    return on(net, (x, x), loss=F.mse_loss)


def gaussian() -> Any:
    x, y = diabetes()
    y = 0.05 * y + 0.01 * x[:, :1]

    def likelihood(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.gaussian_nll_loss(out[:, :1], y, out[:, 1:].exp())

    return on(mlp(10, 32, 2), (x, y), loss=likelihood, steps=200)


def two_classes(threshold: int) -> Any:
    x, y = digits()
    wanted = (y < threshold).float().unsqueeze(1)
    return on(mlp(64, 32, 1), (x, wanted), loss=F.binary_cross_entropy_with_logits)


def imbalance() -> Any:
    x, y = digits()
    return on(mlp(64, 32, 2), (x, (y % 4 == 0).long()))


def fine_tuned(frozen: bool) -> Any:
    net = cnn()
    optimizer, batches = adam(net, 5e-3), endless(*images(), 64)
    for _ in range(100):
        x, y = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    if frozen:
        net.requires_grad_(False)
        net[-1] = nn.Linear(128, 10)
        return on(net, images())
    return on(net, images(), lambda n: adam(n, 1e-5))


def lbfgs() -> Any:
    (x, y), net = digits(), mlp(64, 32, 10)
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=5)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(25):

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x[:512]), y[:512])
                loss.backward()
                return loss

            optimizer.step(closure)
    return doc


def gan() -> Any:
    """A ring of points; discriminator and generator, one optimiser each."""
    g, d = mlp(4, 32, 32, 2), mlp(2, 32, 32, 1, act=nn.LeakyReLU)
    og, od = adam(g, 1e-3, betas=(0.5, 0.99)), adam(d, 1e-3, betas=(0.5, 0.99))
    judge = F.binary_cross_entropy_with_logits
    with sn.doctor([g, d], [og, od]) as doc:
        for _ in range(150):
            angle = torch.rand(64, 1) * 2 * math.pi
            real, fake = torch.cat([angle.cos(), angle.sin()], 1), g(torch.randn(64, 4))
            od.zero_grad()
            (judge(d(real), torch.ones(64, 1)) + judge(d(fake.detach()), torch.zeros(64, 1))
             ).backward()  # fmt: skip
            od.step()
            og.zero_grad()
            judge(d(fake), torch.ones(64, 1)).backward()
            og.step()
    return doc
