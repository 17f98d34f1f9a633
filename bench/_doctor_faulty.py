"""Faulty trainings: name -> (the ids that are right, the planted one first; the training)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_healthy import on, unit
from _doctor_nets import (
    Attention,
    Functional,
    Recurrent,
    adam,
    cnn,
    diabetes,
    digits,
    fit,
    images,
    mlp,
    rows,
    sgd,
    tokens,
)
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR

HIGH = ("lr-too-high",)  # what follows from it (overflow, dead units) is not the root
LOW = ("lr-too-low",)
NAN = ("data-nonfinite",)
RAW = ("data-unnormalised",)
DEAD = ("arch-dead-relu",)
ZERO = ("init-zero",)
FAULTY: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "nan in 3 rows, mlp": (NAN, lambda: on(mlp(64, 64, 10), spoilt(digits(), float("nan")))),
    "inf in 3 images, cnn": (NAN, lambda: on(cnn(), spoilt(images(), float("inf")))),
    "nan in a sequence, lstm": (NAN, lambda: on(Recurrent(nn.LSTM), spoilt(rows(), float("nan")))),
    "nan in a target": (NAN, lambda: nan_target()),
    "black image over its std": (("data-poison-sample",), lambda: black()),
    "log of a probability": (("loss-unstable-log", "numerics-nan-loss"), lambda: log_of_zero()),
    "bytes, mlp": (RAW, lambda: on(mlp(64, 64, 10), raw(digits()), sgd)),
    "bytes, cnn": (RAW, lambda: on(cnn(norm=False), raw(images()), sgd)),
    "bytes, mlp, adam": (RAW, lambda: on(mlp(64, 64, 10), raw(digits()))),
    "bytes, tanh": (RAW, lambda: on(mlp(64, 64, 64, 10, act=nn.Tanh), raw(digits()))),
    "a thousandth": (RAW, lambda: on(mlp(64, 64, 10), (digits()[0] / 1000, digits()[1]), sgd)),
    "labels from 1": (("label-out-of-range",), lambda: on(mlp(64, 64, 10), shifted(digits(), 1))),
    "labels from -1": (("label-out-of-range",), lambda: on(cnn(), shifted(images(), -1))),
    "wide head": (("init-loss-unexpected", "init-too-large"), lambda: on(wide_head(), digits())),
    "wide everywhere": (
        ("init-too-large", "init-loss-unexpected"),
        lambda: on(drawn(mlp(64, 64, 64, 10), 1.0), digits()),
    ),
    "narrow everywhere, tanh": (
        ("init-too-small", "grad-vanishing"),
        lambda: on(drawn(mlp(64, *[64] * 5, 10, act=nn.Tanh), 0.01), digits(), sgd),
    ),
    "zero, mlp": (ZERO, lambda: on(zeroed(mlp(64, 64, 64, 10)), digits())),
    "zero, cnn": (ZERO, lambda: on(zeroed(cnn(norm=False)), images(), sgd)),
    "constant 0.02": (ZERO, lambda: on(zeroed(mlp(64, 64, 64, 10), 0.02), digits())),
    "constant, tanh": (ZERO, lambda: on(zeroed(mlp(64, 32, 10, act=nn.Tanh), 0.1), digits(), sgd)),
    "bias -10, mlp": (DEAD, lambda: on(silent(mlp(64, 64, 64, 10)), digits())),
    "bias -10, cnn": (DEAD, lambda: on(silent(cnn(norm=False)), images(), sgd)),
    "deep sigmoid": (
        ("grad-vanishing",),
        lambda: on(mlp(64, *[32] * 8, 10, act=nn.Sigmoid), digits(), sgd),
    ),
    "deep sigmoid, adam": (
        ("grad-vanishing",),
        lambda: on(mlp(64, *[32] * 10, 10, act=nn.Sigmoid), digits()),
    ),
    "saturated tanh": (
        ("arch-saturated", "init-too-large", "init-loss-unexpected"),
        lambda: on(drawn(mlp(64, *[64] * 4, 10, act=nn.Tanh), 2.0), digits(), sgd),
    ),
    "sgd x1000, mlp": (HIGH, lambda: on(mlp(64, 64, 64, 10), digits(), lambda n: sgd(n, 50.0))),
    "sgd x100, mlp": (HIGH, lambda: on(mlp(64, 64, 64, 10), digits(), lambda n: sgd(n, 5.0))),
    "sgd x1000, cnn": (HIGH, lambda: on(cnn(), images(), lambda n: sgd(n, 50.0))),
    "adam x1000, mlp": (HIGH, lambda: on(mlp(64, 64, 10), digits(), lambda n: adam(n, 2.0))),
    "adam x100, functional cnn": (HIGH, lambda: on(Functional(), images(), lambda n: adam(n, 0.2))),
    "adam x300, attention": (HIGH, lambda: on(Attention(), tokens(), lambda n: adam(n, 0.3))),
    "sgd, regression": (
        HIGH, lambda: on(mlp(10, 32, 1), diabetes(), lambda n: sgd(n, 5.0), F.mse_loss)
    ),
    "sgd / 1e6, mlp": (LOW, lambda: on(mlp(64, 64, 10), digits(), lambda n: sgd(n, 1e-7))),
    "adam / 1e4, cnn": (LOW, lambda: on(cnn(), images(), lambda n: adam(n, 1e-7))),
    "adam / 1000, mlp": (LOW, lambda: on(mlp(64, 64, 10), digits(), lambda n: adam(n, 1e-6))),
    "adam 1e-12, lstm": (LOW, lambda: on(Recurrent(nn.LSTM), rows(), lambda n: adam(n, 1e-12))),
    "head replaced": (("optim-missing-params", "weights-not-updating"), lambda: replaced()),
    "optimizer of another net": (
        ("optim-missing-params", "weights-not-updating", "loop-no-step"),
        lambda: fit(mlp(64, 64, 10), adam(mlp(64, 64, 10)), digits()),
    ),
    "lr 0": (
        ("lr-schedule-collapsed", "weights-not-updating"),
        lambda: on(mlp(64, 64, 10), digits(), lambda n: sgd(n, 0.0)),
    ),
    "detached features": (
        ("params-no-grad", "graph-detached", "weights-not-updating"),
        lambda: on(Detached(), digits()),
    ),
    "no zero_grad, mlp": (
        ("loop-no-zero-grad",), lambda: on(mlp(64, 64, 10), digits(), sgd, zero=False)
    ),
    "no zero_grad, cnn, adam": (
        ("loop-no-zero-grad",), lambda: on(cnn(), images(), zero=False)
    ),
    "no step": (("loop-no-step",), lambda: on(mlp(64, 64, 10), digits(), step=False)),
    "softmax twice": (
        ("loss-double-softmax",),
        lambda: on(nn.Sequential(*mlp(64, 64, 10), nn.Softmax(1)), digits()),
    ),
    "nll of logits": (
        ("loss-missing-log-softmax",), lambda: on(mlp(64, 64, 10), digits(), loss=F.nll_loss)
    ),
    "relu on the logits": (
        ("loss-output-activation", "arch-dead-relu"),
        lambda: on(nn.Sequential(*mlp(64, 64, 10), nn.ReLU()), digits()),
    ),
    "minus the loss": (
        ("loss-sign-flipped",),
        lambda: on(mlp(64, 64, 10), digits(), loss=lambda z, y: -F.cross_entropy(z, y)),
    ),
    "(N, 1) against (N,)": (("loss-shape-broadcast",), lambda: broadcast()),
    "targets in thousands": (
        ("target-unscaled",),
        lambda: on(mlp(10, 32, 1), (diabetes()[0], 5e3 * diabetes()[1] + 2e4), sgd, F.mse_loss),
    ),
    "decay a step": (
        ("lr-schedule-collapsed",),
        lambda: on(mlp(64, 64, 10), digits(), sgd, schedule=lambda o: ExponentialLR(o, 0.7)),
    ),
    "sorted by class": (("data-unshuffled",), lambda: on(cnn(), by_class(), shuffle=False)),
    "the same image": (
        ("data-constant-input", "output-constant"),
        lambda: on(cnn(norm=False), (images()[0][:1].expand(1797, -1, -1, -1), images()[1])),
    ),
    "rows for channels": (("data-layout",), lambda: layout()),
    "clip 1e-5": (
        ("optim-clip-too-small", "lr-too-low"),
        lambda: on(mlp(64, 64, 10), digits(), sgd, clip=1e-5),
    ),
    "dropout 0.97": (("reg-dropout-too-high",), lambda: on(dropping(0.97), digits())),
    "weight decay 0.9": (
        ("reg-weight-decay-too-high", "output-constant"),
        lambda: on(mlp(64, 64, 64, 10), digits(), lambda n: sgd(n, 0.05, weight_decay=0.9)),
    ),
    "batches of 2, batch norm": (
        ("arch-bn-small-batch",), lambda: on(mlp(64, 64, 10, norm=True), digits(), batch=2)
    ),
    "trained in eval mode": (
        ("loop-eval-mode-in-training",), lambda: on(cnn(), images(), mode="eval")
    ),
}  # fmt: skip


def spoilt(data: tuple[Tensor, Tensor], value: float) -> tuple[Tensor, Tensor]:
    x = data[0].clone()
    for i in (17, 803, 1402):
        x[i].view(-1)[5] = value
    return x, data[1]


def nan_target() -> Any:
    x, y = diabetes()
    y = y.clone()
    y[11] = float("nan")
    return on(mlp(10, 32, 1), (x, y), loss=F.mse_loss)


class Standardise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(1, keepdim=True)) / x.var(1, keepdim=True).sqrt()


def black() -> Any:
    x, y = digits()
    x = x.clone()
    x[[40, 900]] = 0.0
    return on(nn.Sequential(Standardise(), *mlp(64, 64, 10)), (x, y))


def log_of_zero() -> Any:
    def loss(z: Tensor, y: Tensor) -> Tensor:
        return -torch.log(torch.softmax(400 * z, 1))[torch.arange(len(y)), y].mean()

    return on(mlp(64, 64, 10), digits(), lambda n: adam(n, 1e-2), loss)


def raw(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return (255 * unit(data[0])).round(), data[1]


def shifted(data: tuple[Tensor, Tensor], by: int) -> tuple[Tensor, Tensor]:
    return data[0], data[1] + by


def drawn(net: nn.Sequential, std: float) -> nn.Sequential:
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=std)
            nn.init.zeros_(m.bias)
    return net


def wide_head() -> nn.Sequential:
    net = mlp(64, 64, 10)
    nn.init.normal_(net[-1].weight, std=3.0)
    return net


def zeroed(net: nn.Sequential, value: float = 0.0) -> nn.Sequential:
    for p in net.parameters():
        nn.init.constant_(p, value if p.dim() > 1 else 0.0)
    return net


def silent(net: nn.Sequential) -> nn.Sequential:
    nn.init.constant_(next(m for m in net if getattr(m, "bias", None) is not None).bias, -10.0)
    return net


def replaced() -> Any:
    net = mlp(64, 64, 10)
    optimizer = adam(net)
    net[-1] = nn.Linear(64, 10)
    return fit(net, optimizer, digits())


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = mlp(64, 64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).detach())


def broadcast() -> Any:
    x, y = diabetes()
    return on(mlp(10, 32, 1), (x, y.squeeze(1)), loss=F.mse_loss)


def by_class() -> tuple[Tensor, Tensor]:
    x, y = images()
    order = y.argsort(stable=True)
    return x[order], y[order]


def layout() -> Any:
    """Pictures in colour, channels last: (N, 8, 8, 3) into a network of 8 channels."""
    x, y = images()
    net = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
                        nn.Linear(16 * 8 * 3, 10))  # fmt: skip
    return on(net, (x.permute(0, 2, 3, 1).expand(-1, -1, -1, 3), y))


def dropping(p: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(p), nn.Linear(64, 10))
