"""Faulty trainings that only the network's behaviour gives away: name -> (right ids, training)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_faulty import HIGH
from _doctor_healthy import on
from _doctor_nets import Functional, adam, cnn, diabetes, digits, endless, fit, images, mlp, sgd
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import snellen as sn

FLAT = ("arch-no-nonlinearity",)
PIXELS = ("arch-conv-drops-pixels",)
HIDDEN = ("arch-unregistered-layers",)
CUT = ("graph-detached", "params-no-grad", "weights-not-updating")
STALE = ("bn-stale-stats",)
SHORT = ("grad-vanishing",)
SIGN = ("loss-sign-flipped",)
FROZEN = ("optim-frozen-layer",)
PENALTY = ("reg-penalty-dominates",)
NARROW = ("arch-bottleneck",)
GONE = ("data-augmentation-destroys",)
LOG = ("loss-unstable-log", "numerics-nan-loss")
BEHAVIOUR: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "no activation, mlp": (FLAT, lambda: on(linear(64, 64, 64, 10), digits())),
    "no activation, cnn": (FLAT, lambda: on(linear_cnn(), images(), sgd)),
    "no activation, functional": (FLAT, lambda: on(Flat(), digits())),
    "no activation, batch norm": (
        FLAT, lambda: on(nn.Sequential(nn.Linear(64, 96), nn.BatchNorm1d(96), nn.Linear(96, 10)),
                         digits())
    ),
    "no activation, softmax outside": (
        FLAT, lambda: on(nn.Sequential(*linear(64, 80, 10), nn.LogSoftmax(1)), digits(),
                         loss=F.nll_loss)
    ),
    "no activation, regression": (FLAT, lambda: on(linear(10, 32, 1), diabetes(), loss=F.mse_loss)),
    "stride beyond the kernel": (PIXELS, lambda: on(strided(2, 3), images())),
    "kernel 1, stride 2": (PIXELS, lambda: on(strided(1, 2), images(), sgd)),
    "patches that do not fit": (PIXELS, lambda: on(strided(5, 5), images())),
    "pooling with a stride of 3": (
        PIXELS, lambda: on(nn.Sequential(nn.MaxPool2d(1, 3), nn.Conv2d(1, 16, 2), nn.ReLU(),
                                         nn.Flatten(), nn.Linear(64, 10)), images())
    ),
    "layers in a list": (HIDDEN, lambda: on(Listed(), digits())),
    "layers in a dict": (HIDDEN, lambda: on(Listed(kind=dict), digits(), sgd)),
    "a tensor for a weight": (HIDDEN, lambda: on(Bare(), digits())),
    "a layer made in forward": (HIDDEN, lambda: on(Anew(), digits())),
    "batch norms in a list": (HIDDEN, lambda: on(Listed(norm=True), digits())),
    "detached, cnn": (CUT, lambda: on(DetachedCnn(), images())),
    "data of the first layer": (CUT, lambda: on(Cut("data"), digits(), sgd)),
    "under no_grad": (CUT, lambda: on(Cut("no_grad"), digits())),
    "rounded in between": (CUT, lambda: on(Cut("round"), digits())),
    "momentum 0": (STALE, lambda: on(norms(cnn(), 0.0), images(), sgd)),
    "momentum 1e-4": (STALE, lambda: on(norms(mlp(64, 64, 64, 10, norm=True), 1e-4), digits())),
    "momentum of keras": (STALE, lambda: on(norms(cnn(), 0.01), images(), steps=60)),
    "twenty steps, eight norms": (
        STALE, lambda: on(mlp(64, *[64] * 8, 10, norm=True), digits(), steps=18)
    ),
    "a dozen steps, far from zero": (
        STALE, lambda: on(cnn(), (images()[0] + 20, images()[1]), lambda n: adam(n, 1e-2), steps=12)
    ),
    "momentum None, fast": (
        STALE, lambda: on(norms(mlp(64, *[64] * 8, 10, norm=True), None), digits(),
                          lambda n: adam(n, 1e-2), steps=60)
    ),
    "an rnn over 80 steps": (SHORT, lambda: on(Memory(nn.RNN), first_token(80), steps=200)),
    "a relu cell in a loop": (SHORT, lambda: on(Loop(), first_token(60), steps=150)),
    "an lstm that forgets": (SHORT, lambda: on(forgetful(), first_token(60), steps=150)),
    "by depth, functional": (
        ("grad-vanishing", "init-too-small"), lambda: on(Raw(8, 0.02), digits(), sgd)
    ),
    "by depth, functional sigmoid": (SHORT, lambda: on(Raw(7, 0.1, torch.sigmoid), digits(), sgd)),
    "minus a loss by hand": (
        SIGN, lambda: on(mlp(64, 64, 10), digits(),
                         loss=lambda z, y: z.log_softmax(1)[range(len(y)), y].mean())
    ),
    "minus a squared error": (
        (*SIGN, *HIGH),
        lambda: on(mlp(10, 32, 1), diabetes(), loss=lambda z, y: -((z - y) ** 2).mean())
    ),
    "minus a bce by hand": (
        SIGN, lambda: on(mlp(64, 32, 1), two(), loss=lambda z, y: (
            y * F.logsigmoid(z) + (1 - y) * F.logsigmoid(-z)).mean())
    ),
    "frozen before loading": (FROZEN, lambda: frozen(mlp(64, 64, 64, 64, 10), 2)),
    "frozen convolutions": (FROZEN, lambda: frozen(cnn(norm=False), 1)),
    "l2 by hand, huge": (PENALTY, lambda: penalised(3.0, 2)),
    "l1 by hand, huge": (PENALTY, lambda: penalised(0.05, 1)),
    "norms summed": (PENALTY, lambda: penalised(0.8, 0)),
    "two numbers for ten classes": (NARROW, lambda: on(mlp(64, 64, 2, 64, 10), digits(), sgd,
                                                      steps=80)),
    "one number": (NARROW, lambda: on(mlp(64, 32, 1, 32, 10), digits())),
    "drowned in noise": (GONE, lambda: on(mlp(64, 64, 10), digits(), loss=F.cross_entropy,
                                         wrap=lambda x: x + 30 * torch.randn_like(x))),
    "erased by its transform": (GONE, lambda: erased()),
    "log of softmax": (
        LOG, lambda: on(mlp(64, 64, 10), digits(),
                        loss=lambda z, y: -torch.log(z.softmax(1))[range(len(y)), y].mean())
    ),
    "log of softmax inside": (
        LOG, lambda: on(nn.Sequential(*mlp(64, 64, 10), nn.Softmax(1)), digits(),
                        loss=lambda p, y: F.nll_loss(p.log(), y))
    ),
    "criterion forgotten": (("optim-missing-params",), lambda: centres()),
    "validated in train mode, few": (("loop-train-mode-in-eval",), lambda: validated()),
    "summed by hand, sgd": (
        ("loss-sum-reduction", *HIGH),
        lambda: on(mlp(64, 64, 64, 10), digits(), lambda n: sgd(n, 0.3),
                   lambda z, y: -z.log_softmax(1)[range(len(y)), y].sum()),
    ),
}  # fmt: skip


def linear(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*[m for m in mlp(*sizes) if isinstance(m, nn.Linear)])


def linear_cnn() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.AvgPool2d(2), nn.Conv2d(16, 32, 3),
                         nn.Flatten(), nn.Linear(128, 10))  # fmt: skip


class Flat(nn.Module):
    """Two matrices, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(64, 48) / 8)
        self.b = nn.Parameter(torch.randn(48, 10) / 7)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.a @ self.b


def strided(kernel: int, stride: int) -> nn.Sequential:
    side = (8 - kernel) // stride + 1
    return nn.Sequential(nn.Conv2d(1, 32, kernel, stride), nn.ReLU(), nn.Flatten(),
                         nn.Linear(32 * side * side, 32), nn.ReLU(), nn.Linear(32, 10))  # fmt: skip


class Listed(nn.Module):
    """Layers that a plain list or dict hides."""

    def __init__(self, kind: type = list, norm: bool = False) -> None:
        super().__init__()
        layers = [mlp(64, 64, norm=norm) if not norm else nn.Sequential(
            nn.Linear(64, 64), nn.BatchNorm1d(64)) for _ in range(2)]  # fmt: skip
        self.layers = layers if kind is list else dict(enumerate(layers))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers if isinstance(self.layers, list) else self.layers.values():
            x = F.relu(layer(x))
        return self.head(x)


class Bare(nn.Module):
    """A weight that is a tensor and no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.w = (torch.randn(64, 64) / 8).requires_grad_()
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(x @ self.w))


class Anew(nn.Module):
    """A head that is drawn again in each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = mlp(64, 64, 32)

    def forward(self, x: Tensor) -> Tensor:
        return nn.Linear(32, 10)(F.relu(self.trunk(x)))


class DetachedCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Functional()

    def forward(self, x: Tensor) -> Tensor:
        body = self.body
        x = F.max_pool2d(F.relu(body.conv1(x)), 2)
        x = F.max_pool2d(F.relu(body.conv2(x.detach())), 2)
        return body.fc2(F.relu(body.fc1(x.flatten(1))))


class Cut(nn.Module):
    """The graph ends after the first layer."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.first, self.rest = how, nn.Linear(64, 64), mlp(64, 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                x = F.relu(self.first(x))
            return self.rest(x)
        x = F.relu(self.first(x))
        return self.rest(x.data if self.how == "data" else (8 * x).round() / 8)


def norms(net: nn.Module, momentum: float | None) -> nn.Module:
    for m in net.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.momentum = momentum
    return net


def first_token(steps: int) -> tuple[Tensor, Tensor]:
    """-> x_NT4 of noise, and labels_N that only the first step tells."""
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(1024, steps, 4, generator=draw), torch.arange(1024) % 4
    x[:, 0] = 2.0 * F.one_hot(y, 4)
    return x, y


class Memory(nn.Module):
    def __init__(self, cell: type[nn.Module]) -> None:
        super().__init__()
        self.cell, self.head = cell(4, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Loop(nn.Module):
    """A cell that a loop calls."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(4, 32, nonlinearity="relu"), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 32)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.head(h)


def forgetful() -> nn.Module:
    net = Memory(nn.LSTM)
    with torch.no_grad():
        net.cell.bias_ih_l0[32:64] = -3.0
    return net


class Raw(nn.Module):
    """A deep network of raw parameters."""

    def __init__(self, depth: int, std: float, act: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        sizes = [64] * depth + [10]
        self.weights = nn.ParameterList(torch.randn(b, a) * std for a, b in
                                        zip([64, *sizes], sizes, strict=False))  # fmt: skip
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        for w in self.weights[:-1]:
            x = self.act(F.linear(x, w))
        return F.linear(x, self.weights[-1])


def two() -> tuple[Tensor, Tensor]:
    x, y = digits()
    return x, (y < 5).float().unsqueeze(1)


def frozen(net: nn.Sequential, count: int) -> Any:
    layers = [m for m in net if hasattr(m, "weight")]
    for m in layers[:count]:
        m.requires_grad_(False)
    data = images() if isinstance(layers[0], nn.Conv2d) else digits()
    return on(net, data, sgd)


def penalised(factor: float, power: int) -> Any:
    net = mlp(64, 64, 10)

    def loss(z: Tensor, y: Tensor) -> Tensor:
        terms = [p.norm() if not power else p.abs().pow(power).sum() for p in net.parameters()]
        return F.cross_entropy(z, y) + factor * sum(terms)

    return fit(net, adam(net), digits(), loss)


class Erased(Dataset):
    """Digits whose transform leaves nothing of them."""

    def __init__(self) -> None:
        self.x, self.y = digits()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        keep = torch.rand(64) < 0.02
        return torch.where(keep, self.x[i], 2 * torch.randn(64)), self.y[i]


def erased() -> Any:
    net = mlp(64, 64, 10)
    optimizer, loader = adam(net, 5e-4), DataLoader(Erased(), 64, shuffle=True)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(4):
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimizer.step()
    return doc


class Centres(nn.Module):
    """A loss with a parameter of its own: scores are cosines with one centre a class."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 16) / 4)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(4 * F.linear(F.normalize(z), F.normalize(self.weight)), y)


def centres() -> Any:
    net, criterion = mlp(64, 64, 16), Centres()
    return fit(net, adam(net), digits(), criterion)


def validated() -> Any:
    """Three epochs, two batches of validation each."""
    net = nn.Sequential(*mlp(64, 64, 64), nn.Dropout(0.5), nn.Linear(64, 10))
    optimizer, (x, y) = adam(net), digits()
    batches = endless(x[:1400], y[:1400], 64)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(3):
            for _ in range(21):
                a, b = next(batches)
                optimizer.zero_grad()
                F.cross_entropy(net(a), b).backward()
                optimizer.step()
            with torch.no_grad():
                for i in (1400, 1600):
                    net(x[i : i + 197]).argmax(1)
    return doc
