"""More faulty trainings: the faults of the first list in other networks, rates and loops."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_faulty import DEAD, HIGH, LOW, NAN, RAW, ZERO, drawn, raw, shifted, spoilt, zeroed
from _doctor_healthy import on
from _doctor_nets import (
    Attention,
    Functional,
    Recurrent,
    Residual,
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
from torch.optim.lr_scheduler import StepLR

import snellen as sn

MORE: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "nan in one image of 1797": (NAN, lambda: on(Functional(), one_nan(images()), sgd)),
    "inf in a table": (NAN, lambda: on(mlp(10, 32, 1), one_nan(diabetes()), loss=F.mse_loss)),
    "nan, no loader": (NAN, lambda: bare(one_nan(digits()))),
    "nan behind batch norm": (NAN, lambda: on(mlp(64, 64, 64, 10, norm=True), one_nan(digits()))),
    "huge image": (
        ("data-outlier", "data-poison-sample", "data-nonfinite", "numerics-nan-loss"),
        lambda: on(mlp(64, 64, 10), spoilt(digits(), 1e30), sgd),
    ),
    "bytes, functional cnn": (RAW, lambda: on(Functional(), raw(images()), sgd)),
    "bytes, cnn with batch norm": (RAW, lambda: on(cnn(), raw(images()))),
    "bytes, lstm": (RAW, lambda: on(Recurrent(nn.LSTM), raw(rows()))),
    "table in its own units": (RAW, lambda: on(mlp(10, 32, 1), units(), sgd, F.mse_loss)),
    "offset of 1000": (RAW, lambda: on(mlp(64, 64, 10), (digits()[0] + 1000, digits()[1]))),
    "labels from 1, own loss": (("label-out-of-range",), lambda: own_loss()),
    "one label of 99": (("label-out-of-range",), lambda: one_label(99)),
    "wide head, cnn": (
        ("init-loss-unexpected", "init-too-large"), lambda: on(wide_head(cnn()), images(), sgd)
    ),
    "zero, lstm": (ZERO, lambda: on(zero_all(Recurrent(nn.LSTM)), rows())),
    "zero, functional": (ZERO, lambda: on(zero_all(Functional()), images())),
    "constant 0.5, cnn": (ZERO, lambda: on(zeroed(cnn(norm=False), 0.05), images())),
    "dead middle": (DEAD, lambda: on(silent_middle(), digits(), sgd)),
    "dead, functional": (DEAD, lambda: on(dead_functional(), images())),
    "vanishing, relu, narrow": (
        ("grad-vanishing", "init-too-small"),
        lambda: on(drawn(mlp(64, *[64] * 8, 10), 0.02), digits(), sgd),
    ),
    "vanishing, sigmoid, 6 layers": (
        ("grad-vanishing",), lambda: on(mlp(64, *[64] * 7, 10, act=nn.Sigmoid), digits(), sgd)
    ),
    "sgd x100, functional cnn": (
        HIGH, lambda: on(Functional(), images(), lambda n: sgd(n, 3.0))
    ),
    "sgd x1000, lstm": (HIGH, lambda: on(Recurrent(nn.LSTM), rows(), lambda n: sgd(n, 100.0))),
    "adam 1.0, cnn": (HIGH, lambda: on(cnn(), images(), lambda n: adam(n, 1.0))),
    "adam 1.0, residual": (HIGH, lambda: on(Residual(), digits(), lambda n: adam(n, 1.0))),
    "sgd 10, tanh": (
        (*HIGH, "arch-saturated"),
        lambda: on(mlp(64, 64, 64, 10, act=nn.Tanh), digits(), lambda n: sgd(n, 10.0)),
    ),
    "adam 1.0, regression": (
        HIGH, lambda: on(mlp(10, 32, 32, 1), diabetes(), lambda n: adam(n, 3.0), F.mse_loss)
    ),
    "rate too high, no loader": (HIGH, lambda: bare(digits(), lr=20.0)),
    "sgd 1e-6, functional": (LOW, lambda: on(Functional(), images(), lambda n: sgd(n, 1e-6))),
    "adam 1e-7, attention": (LOW, lambda: on(Attention(), tokens(), lambda n: adam(n, 1e-7))),
    "sgd 1e-6, regression": (
        LOW, lambda: on(mlp(10, 32, 1), diabetes(), lambda n: sgd(n, 1e-6), F.mse_loss)
    ),
    "rate too low, no loader": (LOW, lambda: bare(digits(), lr=1e-8)),
    "optimizer of the first layer": (
        ("optim-missing-params", "weights-not-updating"), lambda: partly(slice(0, 2))
    ),
    "optimizer of the last layer": (
        ("optim-missing-params", "weights-not-updating"), lambda: partly(slice(4, 6))
    ),
    "channels last half-way, fused": (("optim-state-layout",), lambda: turned(40)),
    "data copied": (
        ("params-no-grad", "graph-detached", "weights-not-updating"), lambda: on(Copied(), digits())
    ),
    "no zero_grad, lstm": (
        ("loop-no-zero-grad",), lambda: on(Recurrent(nn.LSTM), rows(), zero=False)
    ),
    "no zero_grad, no loader": (("loop-no-zero-grad",), lambda: bare(digits(), zero=False)),
    "no step, cnn": (("loop-no-step",), lambda: on(cnn(), images(), step=False)),
    "softmax twice, outside": (
        ("loss-double-softmax",),
        lambda: on(cnn(), images(), loss=lambda z, y: F.cross_entropy(z.softmax(1), y)),
    ),
    "nll of probabilities": (
        ("loss-missing-log-softmax",),
        lambda: on(cnn(), images(), loss=lambda z, y: F.nll_loss(z.softmax(1), y)),
    ),
    "sigmoid for a wide target": (
        ("loss-output-activation",),
        lambda: on(nn.Sequential(*mlp(10, 32, 1), nn.Sigmoid()), diabetes(), loss=F.mse_loss),
    ),
    "targets in thousands, adam": (
        ("target-unscaled",),
        lambda: on(mlp(10, 32, 1), (diabetes()[0], 5e3 * diabetes()[1]), loss=F.mse_loss),
    ),
    "steps every batch": (
        ("lr-schedule-collapsed",),
        lambda: on(cnn(), images(), schedule=lambda o: StepLR(o, 3)),
    ),
    "eval mode, dropout": (
        ("loop-eval-mode-in-training",),
        lambda: on(nn.Sequential(*mlp(64, 64, 64), nn.Dropout(0.3), nn.Linear(64, 10)), digits(),
                   mode="eval"),
    ),
    "summed, sgd": (
        ("loss-sum-reduction", *HIGH),
        lambda: on(mlp(64, 64, 64, 10), digits(), lambda n: sgd(n, 0.3),
                   lambda z, y: F.cross_entropy(z, y, reduction="sum")),
    ),
    "validated in other units": (("data-shift-train-val",), lambda: validated(scale=0.3)),
    "validated in train mode": (("loop-train-mode-in-eval",), lambda: validated()),
}  # fmt: skip


def one_nan(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    x = data[0].clone()
    x[123].view(-1)[3] = float("nan")
    return x, data[1]


def bare(data: tuple[Tensor, Tensor], lr: float = 0.05, zero: bool = True) -> Any:
    """A loop that draws its batches by hand."""
    (x, y), net = data, mlp(64, 64, 10)
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(120):
            i = torch.randint(0, len(x), (64,))
            if zero:
                optimizer.zero_grad()
            F.cross_entropy(net(x[i]), y[i]).backward()
            optimizer.step()
    return doc


def units() -> tuple[Tensor, Tensor]:
    """Features of 100 and more beside some of 1, as tables have them."""
    x, y = diabetes()
    return x * torch.logspace(0, 3, 10) + 50, y


def own_loss() -> Any:
    def loss(z: Tensor, y: Tensor) -> Tensor:
        return -z.log_softmax(1)[torch.arange(len(y)), y].mean()

    return on(mlp(64, 64, 10), shifted(digits(), 1), loss=loss)


def one_label(value: int) -> Any:
    x, y = digits()
    y = y.clone()
    y[::50] = value
    return on(mlp(64, 64, 10), (x, y))


def wide_head(net: nn.Sequential) -> nn.Sequential:
    nn.init.normal_(net[-1].weight, std=2.0)
    return net


def zero_all(net: nn.Module) -> nn.Module:
    for p in net.parameters():
        nn.init.zeros_(p)
    return net


def silent_middle() -> nn.Sequential:
    net = mlp(64, 64, 64, 64, 10)
    nn.init.constant_(net[2].bias, -20.0)
    return net


def dead_functional() -> nn.Module:
    net = Functional()
    nn.init.constant_(net.fc1.bias, -20.0)
    return net


def partly(which: slice) -> Any:
    net = mlp(64, 64, 64, 10)
    return fit(net, torch.optim.Adam(list(net.parameters())[which], 2e-3), digits())


def turned(at: int) -> Any:
    """A network that is put channels last before step `at` of a fused optimiser."""
    net, steps = cnn(), iter(range(1000))

    def wrap(x: Tensor) -> Tensor:
        if next(steps) == at:
            net.to(memory_format=torch.channels_last)
        return x

    return fit(net, torch.optim.Adam(net.parameters(), 2e-3, fused=True), images(), wrap=wrap)


class Copied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = mlp(64, 64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(torch.tensor(self.trunk(x).detach().numpy())))


def validated(scale: float = 1.0) -> Any:
    (x, y), net = digits(), nn.Sequential(*mlp(64, 64, 64), nn.Dropout(0.5), nn.Linear(64, 10))
    optimizer = adam(net)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(6):
            for i in torch.randperm(1400).split(100):
                optimizer.zero_grad()
                F.cross_entropy(net(x[i]), y[i]).backward()
                optimizer.step()
            net.train(scale == 1.0)
            with torch.no_grad():
                for i in range(1400, 1797, 40):
                    net(scale * x[i : i + 40]).argmax(1)
            net.train()
    return doc
