"""Trainings whose fault lies in the data, the labels or their split; and healthy ones beside."""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_nets import (
    Attention,
    Functional,
    Recurrent,
    adam,
    cnn,
    diabetes,
    digits,
    images,
    mlp,
    rows,
    sgd,
    tokens,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import snellen as sn

Data = tuple[Tensor, Tensor]
SHUFFLED, NOISE = ("label-misaligned",), ("label-noise",)
LEAK, SHIFT = ("data-leak-train-val",), ("data-shift-train-val",)
SLOPE, MEMORY = ("check-gradient-mismatch",), ("check-cannot-overfit-20",)
FAULTY: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "labels shuffled, mlp": (SHUFFLED, lambda: run(mlp(64, 64, 10), shuffled(digits()))),
    "labels shuffled, cnn": (SHUFFLED, lambda: run(cnn(), shuffled(images()), epochs=4)),
    "labels shuffled, learnt by heart": (
        SHUFFLED, lambda: run(mlp(64, 256, 256, 10), shuffled(digits()), epochs=25)
    ),
    "labels shuffled, lstm": (SHUFFLED, lambda: run(Recurrent(nn.LSTM), shuffled(rows()))),
    "labels shuffled, no loader": (SHUFFLED, lambda: bare(mlp(64, 64, 10), shuffled(digits()))),
    "labels shuffled, two classes": (
        SHUFFLED, lambda: run(mlp(64, 64, 2), shuffled((digits()[0], digits()[1] % 2)))
    ),
    "labels shuffled, preflight": (
        SHUFFLED, lambda: run(mlp(64, 64, 10), shuffled(digits()), flight=True)
    ),
    "10 % wrong labels, mlp": (NOISE, lambda: run(mlp(64, 64, 10), noisy(digits(), 0.1))),
    "10 % wrong labels, cnn": (NOISE, lambda: run(cnn(), noisy(images(), 0.1))),
    "20 % wrong labels, mlp": (NOISE, lambda: run(mlp(64, 64, 10), noisy(digits(), 0.2))),
    "30 % wrong labels, functional": (NOISE, lambda: run(Functional(), noisy(images(), 0.3))),
    "15 % wrong labels, no loader": (NOISE, lambda: bare(mlp(64, 64, 10), noisy(digits(), 0.15))),
    "split that overlaps": (LEAK, lambda: run(mlp(64, 64, 10), digits(), overlap=100)),
    "split that overlaps, cnn": (LEAK, lambda: run(cnn(), images(), overlap=30)),
    "copies in both": (LEAK, lambda: run(mlp(64, 64, 10), digits(), copies=40)),
    "near copies in both": (LEAK, lambda: run(cnn(), images(), copies=60, noise=0.01)),
    "val in other units": (
        SHIFT, lambda: run(mlp(64, 64, 10), digits(), change=lambda x: 0.3 * x + 0.2)
    ),
    "val not centred": (SHIFT, lambda: run(cnn(), images(), change=lambda x: x + 1.5)),
    "classes 98 to 2": (("class-imbalance",), lambda: run(mlp(64, 64, 2), rare(0.02))),
    "a class of six": (("class-imbalance",), lambda: run(cnn(), tail())),
    "val numbered otherwise": (
        ("label-map-mismatch",),
        lambda: run(mlp(64, 64, 10), digits(), relabel=lambda y: (y + 1) % 10),
    ),
    "val numbered backwards, cnn": (
        ("label-map-mismatch",), lambda: run(cnn(), images(), relabel=lambda y: 9 - y)
    ),
    "wrong backward": (SLOPE, lambda: run(mlp(64, 64, 10, act=Wrong), digits(), flight=True)),
    "wrong backward, cnn": (
        SLOPE, lambda: run(nn.Sequential(nn.Conv2d(1, 8, 3), Wrong(), nn.Flatten(),
                                         nn.Linear(288, 10)), images(), flight=True)
    ),
    "head on dead features": (
        (*MEMORY, "arch-dead-relu"), lambda: run(deaf(), digits(), flight=True)
    ),
    "sigmoid for a wide target, preflight": (
        (*MEMORY, "loss-output-activation"),
        lambda: run(nn.Sequential(*mlp(10, 32, 1), nn.Sigmoid()), diabetes(), loss=F.mse_loss,
                    flight=True),
    ),
    "sorted by class, preflight": (
        ("data-unshuffled",),
        lambda: run(cnn(), by_class(images()), shuffle=False, flight=True),
    ),
    "slow reader": (("perf-input-bound",), lambda: run(mlp(64, 64, 10), digits(), slow=0.0005)),
    "scaler fitted on all": (("data-stats-from-eval",), lambda: fitted_on_all()),
    "two units in the middle": (
        ("gen-underfit", "arch-bottleneck"), lambda: run(mlp(64, 1, 10), digits(), epochs=25)
    ),
}  # fmt: skip
HEALTHY: dict[str, Callable[[], Any]] = {
    "mlp with val": lambda: run(mlp(64, 64, 10), digits()),
    "cnn with val, long": lambda: run(cnn(), images(), epochs=8),
    "one epoch with val": lambda: run(mlp(64, 64, 10), digits(), epochs=1),
    "slow sgd with val": lambda: run(mlp(64, 64, 10), digits(), lambda n: sgd(n, 5e-3)),
    "dropout with val": lambda: run(nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10)), digits()),
    "regression with val": lambda: run(mlp(10, 32, 1), diabetes(), loss=F.mse_loss),
    "tokens with val": lambda: run(Attention(), tokens(), epochs=6),
    "3 to 1 with val": lambda: run(mlp(64, 32, 2), (digits()[0], (digits()[1] % 4 == 0).long())),
    "parity of the digit": lambda: run(mlp(64, 64, 2), (digits()[0], digits()[1] % 2)),
    "two of twenty numbers": lambda: run(mlp(20, 64, 4), bits()),
    "exclusive or": lambda: run(mlp(20, 64, 2), exclusive(), epochs=10),
    "hard classes": lambda: run(mlp(64, 64, 10), blurred(), epochs=6),
    "2 % wrong labels": lambda: run(mlp(64, 64, 10), noisy(digits(), 0.02)),
    "validating on train": lambda: run(cnn(), images(), same=True),
    "small val": lambda: run(mlp(64, 64, 10), digits(), held=40),
    "no loader": lambda: bare(mlp(64, 64, 10), digits()),
    "a table of few values": lambda: run(mlp(6, 32, 2), discrete()),
    "preflight, cnn with batch norm": lambda: run(cnn(), images(), flight=True),
    "preflight, dropout": lambda: run(nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)), digits(),
        flight=True),
    "preflight, lstm": lambda: run(Recurrent(nn.LSTM), rows(), lambda n: adam(n, 5e-3),
                                   flight=True),
    "preflight, attention": lambda: run(Attention(), tokens(), flight=True, epochs=4),
    "preflight, functional": lambda: run(Functional(), images(), flight=True),
    "preflight, regression": lambda: run(mlp(10, 32, 1), diabetes(), loss=F.mse_loss, flight=True),
    "preflight, deep tanh": lambda: run(mlp(64, 64, 64, 64, 10, act=nn.Tanh), digits(),
                                        flight=True),
    "preflight, two classes by bce": lambda: run(
        mlp(64, 32, 1), (digits()[0], (digits()[1] < 5).float().unsqueeze(1)),
        loss=F.binary_cross_entropy_with_logits, flight=True),
    "preflight, autoencoder": lambda: run(
        nn.Sequential(*mlp(64, 32, 8), nn.ReLU(), *mlp(8, 32, 64)), (digits()[0], digits()[0]),
        loss=F.mse_loss, flight=True),
    "preflight, straight through": lambda: run(mlp(64, 64, 10, act=Rounded), digits(),
                                               flight=True),
    "preflight, label smoothing": lambda: run(
        mlp(64, 64, 10), digits(), loss=lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
        flight=True),
}  # fmt: skip


def run(
    net: nn.Module,
    data: Data,
    optimizer: Any = adam,
    loss: Any = F.cross_entropy,
    *,
    epochs: int = 3,
    **more: Any,
) -> Any:
    """A script as most are: train and val loaders, epochs, evaluation in eval mode -> the doctor.

    more: held (val samples), overlap, copies, noise, change(x of val), relabel(y of val), same,
    shuffle, slow (seconds an item), flight.
    """
    train, val = split(data, **more)
    loader = DataLoader(train, 32, shuffle=more.get("shuffle", True))
    judged, opt = DataLoader(val, 64), optimizer(net)
    given = {"train": loader, "val": judged} if more.get("flight") else {}
    with sn.doctor(net, opt, loss, **given) as doc:
        if more.get("flight"):
            doc.preflight()
        for _ in range(epochs):
            net.train()
            for x, y in loader:
                opt.zero_grad()
                loss(net(x), y).backward()
                opt.step()
            net.eval()
            with torch.no_grad():
                sum(float(loss(net(x), y)) for x, y in judged)
    return doc


def split(data: Data, **more: Any) -> tuple[Any, Any]:
    """Data -> training and validation sets, with the faults that were asked for."""
    x, y = data
    order = torch.arange(len(x)) if not more.get("shuffle", True) else torch.randperm(len(x))
    held = more.get("held", len(x) // 5)
    tr, va = order[held:], order[:held]
    va = torch.cat([va, tr[: more.get("overlap", 0)]])
    if more.get("same"):
        train = TensorDataset(x[tr], y[tr])
        return train, train
    xv, yv = x[va], y[va]
    if k := more.get("copies", 0):
        near = x[tr[:k]] + more.get("noise", 0.0) * torch.randn_like(x[tr[:k]])
        xv, yv = torch.cat([xv, near]), torch.cat([yv, y[tr[:k]]])
    xv, yv = more.get("change", lambda x: x)(xv), more.get("relabel", lambda y: y)(yv)
    train = TensorDataset(x[tr], y[tr])
    return (Slow(train, more["slow"]) if more.get("slow") else train), TensorDataset(xv, yv)


def bare(net: nn.Module, data: Data, epochs: int = 4) -> Any:
    """A loop over slices, no loader, no val."""
    (x, y), opt = data, adam(net)
    with sn.doctor(net, opt) as doc:
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(32):
                opt.zero_grad()
                F.cross_entropy(net(x[rows]), y[rows]).backward()
                opt.step()
    return doc


class Slow(Dataset[Any]):
    """Reads with a pause."""

    def __init__(self, inner: Any, seconds: float) -> None:
        self.inner, self.seconds = inner, seconds

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, i: int) -> Any:
        time.sleep(self.seconds)
        return self.inner[i]


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * x.sigmoid()  # the second term of the product is forgotten


class Wrong(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _Square.apply(x)


class Rounded(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) + ((4 * F.relu(x)).round() / 4 - F.relu(x)).detach()


def shuffled(data: Data) -> Data:
    return data[0], data[1][torch.randperm(len(data[1]))]


def noisy(data: Data, share: float) -> Data:
    x, y = data
    wrong, y = torch.rand(len(y)) < share, y.clone()
    y[wrong] = (y[wrong] + torch.randint(1, 10, (int(wrong.sum()),))) % 10
    return x, y


def rare(share: float) -> Data:
    x, y = digits()
    some = (y == 3) & (torch.rand(len(y)) < 0.14)
    kept = (y != 3) | some
    return x[kept], some[kept].long()


def tail() -> Data:
    x, y = images()
    kept = (y != 7) | (torch.cumsum((y == 7).long(), 0) <= 8)
    return x[kept], y[kept]


def by_class(data: Data) -> Data:
    order = data[1].argsort(stable=True)
    return data[0][order], data[1][order]


def deaf() -> nn.Sequential:
    net = mlp(64, 32, 10)
    nn.init.constant_(net[0].bias, -40.0)
    return net


def fitted_on_all() -> Any:
    x, y = digits()
    raw = 16 * x
    mean, std = raw.mean(0), raw.std(0).clamp(min=1e-3)
    net = nn.Sequential(nn.BatchNorm1d(64), *mlp(64, 64, 10))
    opt = adam(net)
    train, val = TensorDataset(raw[360:], y[360:]), TensorDataset(raw[:360], y[:360])
    loader = DataLoader(train, 32, shuffle=True)
    with sn.doctor(net, opt, train=loader, val=DataLoader(val, 64)) as doc:
        doc.preflight(fitted=(mean, std))
        for x_B, y_B in loader:
            opt.zero_grad()
            F.cross_entropy(net((x_B - mean) / std), y_B).backward()
            opt.step()
    return doc


def bits() -> Data:
    x = torch.randn(1200, 20)
    return x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()


def exclusive() -> Data:
    x = torch.randn(1500, 20)
    return x, ((x[:, 0] > 0) ^ (x[:, 1] > 0)).long()


def blurred() -> Data:
    x, y = digits()
    return x + 2.0 * torch.randn_like(x), y


def discrete() -> Data:
    x = torch.randint(0, 3, (1200, 6)).float() - 1
    return x, (x.sum(1) > 0).long()
