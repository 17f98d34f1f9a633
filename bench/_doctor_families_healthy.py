"""Healthy trainings of the same families: on none of them may the doctor say a warning."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_families import (
    accumulated,
    autoencoder,
    boxes,
    coded,
    detect,
    gan,
    grey,
    held,
    masker,
    masks,
    prices,
    trained,
)
from _doctor_healthy import on
from _doctor_nets import Functional, Recurrent, adam, cnn, diabetes, digits, images, mlp, rows, sgd
from torch import Tensor, nn

FAMILIES_WELL: dict[str, Callable[[], Any]] = {
    "autoencoder, standardised": lambda: coded(autoencoder(), digits()[0]),
    "autoencoder, sigmoid and bce": lambda: on(
        nn.Sequential(*autoencoder(), nn.Sigmoid()), (grey(), grey()), loss=F.binary_cross_entropy
    ),
    "boxes in 0 to 1": lambda: detect(boxes()[1] / 16, steps=200),
    "boxes in pixels of 16": lambda: detect(boxes()[1], steps=200),
    "boxes, sigmoid": lambda: detect(boxes()[1] / 16, head=nn.Sigmoid(), steps=200),
    "gru, sgd": lambda: on(Recurrent(nn.GRU), rows(), lambda n: sgd(n, 0.1)),
    "gan, two rates": lambda: gan(rate=2e-4),
    "accumulation over 8": lambda: accumulated(8),
    "accumulation, undivided": lambda: accumulated(divide=False),
    "prices, standardised": lambda: on(
        mlp(10, 32, 1), (diabetes()[0], (prices() - prices().mean()) / prices().std()),
        loss=F.mse_loss
    ),
    "targets of 0 to 100": lambda: on(
        mlp(10, 32, 1), (diabetes()[0], 50 + 20 * diabetes()[1]), lambda n: adam(n, 3e-2),
        F.mse_loss, steps=300
    ),
    "targets of 25 to 346, learnt": lambda: on(
        mlp(10, 32, 1), (diabetes()[0], 152 + 77 * diabetes()[1]), lambda n: adam(n, 0.05),
        F.mse_loss, steps=500
    ),
    "counts of hundreds, poisson": lambda: on(
        mlp(10, 32, 1), (diabetes()[0], (0.4 * diabetes()[1] + 5).exp().round()),
        loss=F.poisson_nll_loss, steps=300
    ),
    "fine-tuning, a new head on features": lambda: new_head(),
    "fine-tuning, lstm, frozen cell": lambda: new_head_of_cell(),
    "fine-tuning, cnn, frozen body": lambda: on(held(trained(cnn(norm=False), images()), 7),
                                                images()),
    "fine-tuning of 20 steps' body": lambda: on(
        held(trained(mlp(64, 64, 64, 10), digits(), 20), 4), digits()
    ),
    "labels of -1, ignored": lambda: on(
        mlp(64, 64, 10), (digits()[0], torch.where(torch.rand(1797) < 0.3, -1, digits()[1])),
        loss=lambda z, y: F.cross_entropy(z, y, ignore_index=-1)
    ),
    "masks with 255, ignored": lambda: on(
        masker(), (images()[0], torch.where(torch.rand(1797, 8, 8) < 0.1, 255, masks())),
        loss=lambda z, y: F.cross_entropy(z, y, ignore_index=255)
    ),
    "dice by hand": lambda: on(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 3, padding=1)),
        (images()[0], masks().float()[:, None]), loss=dice
    ),
    "two rates in one optimizer": lambda: on(trained(cnn(), images()), images(), two_rates),
    "one-hot by mse": lambda: on(
        mlp(64, 64, 10), (digits()[0], F.one_hot(digits()[1], 10).float()), loss=F.mse_loss
    ),
}  # fmt: skip


def new_head() -> Any:
    """Features of a trained body are large: the first loss is almost twice ln C."""
    net = trained(Functional(), images()).requires_grad_(False)
    net.fc2 = nn.Linear(64, 10)
    return on(net, images())


def new_head_of_cell() -> Any:
    net = trained(Recurrent(nn.LSTM), rows()).requires_grad_(False)
    net.head = nn.Linear(48, 10)
    return on(net, rows())


def dice(z: Tensor, y: Tensor) -> Tensor:
    p = z.sigmoid()
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


def two_rates(net: nn.Module) -> torch.optim.Optimizer:
    *body, weight, bias = net.parameters()
    return torch.optim.Adam([{"params": body, "lr": 1e-5},
                             {"params": [weight, bias], "lr": 1e-3}])  # fmt: skip
