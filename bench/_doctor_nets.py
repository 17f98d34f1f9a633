"""Small real data, small networks and one plain loop, for the doctor's matrix.

Digits are scikit-learn's 1797 scans (8 x 8), diabetes its 442 patients; both come with it.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes, load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import snellen as sn

Loss = Callable[[Tensor, Tensor], Tensor]


@cache
def digits() -> tuple[Tensor, Tensor]:
    """-> x_N64, standardised, and labels_N."""
    data, target = load_digits(return_X_y=True)
    x = torch.tensor(data, dtype=torch.float32) / 16
    return (x - x.mean()) / x.std(), torch.tensor(target)


def images() -> tuple[Tensor, Tensor]:
    """-> x_N188, standardised, and labels_N."""
    x, y = digits()
    return x.view(-1, 1, 8, 8), y


def rows() -> tuple[Tensor, Tensor]:
    """-> x_N88: each picture as a sequence of eight rows, and labels_N."""
    x, y = digits()
    return x.view(-1, 8, 8), y


@cache
def diabetes() -> tuple[Tensor, Tensor]:
    """-> x_N10 and values_N1, both standardised."""
    data, target = load_diabetes(return_X_y=True, scaled=False)
    x, y = torch.tensor(data, dtype=torch.float32), torch.tensor(target, dtype=torch.float32)
    return (x - x.mean(0)) / x.std(0), ((y - y.mean()) / y.std()).unsqueeze(1)


def tokens(seed: int = 0, count: int = 1024) -> tuple[Tensor, Tensor]:
    """-> indices_NT and labels_N: is the first token seen again?"""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 50, (count, 12), generator=draw)
    return x, (x % 5 == 0).sum(1).clamp(max=3)


def mlp(*sizes: int, act: type[nn.Module] = nn.ReLU, norm: bool = False) -> nn.Sequential:
    """Widths -> a plain network; PyTorch's initial weights."""
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        parts.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            parts += [nn.BatchNorm1d(b)] * norm + [act()]
    return nn.Sequential(*parts)


def cnn(norm: bool = True, channels: int = 1, width: int = 16) -> nn.Sequential:
    """Two convolutions and a linear head for 8 x 8 pictures."""

    def block(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, padding=1), *[nn.BatchNorm2d(b)] * norm, nn.ReLU()]

    return nn.Sequential(*block(channels, width), nn.MaxPool2d(2), *block(width, 2 * width),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * width, 10))  # fmt: skip


class Functional(nn.Module):
    """A CNN as many write it: activations are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(128, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Recurrent(nn.Module):
    """A recurrent network that reads a picture row by row."""

    def __init__(self, cell: type[nn.Module]) -> None:
        super().__init__()
        self.cell, self.head = cell(8, 48, batch_first=True), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Attention(nn.Module):
    """Embeddings, one transformer layer, the mean of its outputs."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(50, 32), nn.Parameter(torch.zeros(1, 12, 32))
        self.block = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.head = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.embed(x) + self.place).mean(1))


class Residual(nn.Module):
    """A residual MLP whose branches start at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.blocks = nn.ModuleList(mlp(64, 64, 64) for _ in range(3))
        for block in self.blocks:
            nn.init.zeros_(block[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def endless(x: Tensor, y: Tensor, batch: int, shuffle: bool = True) -> Iterator[Any]:
    """Batches of a loader, epoch after epoch."""
    loader = DataLoader(TensorDataset(x, y), batch, shuffle=shuffle, drop_last=True)
    while True:
        yield from loader


def adam(net: nn.Module, lr: float = 2e-3, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam((p for p in net.parameters() if p.requires_grad), lr, **more)


def sgd(net: nn.Module, lr: float = 0.05, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr,
                           **{"momentum": 0.9, **more})  # fmt: skip


def fit(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[Tensor, Tensor],
    loss: Loss = F.cross_entropy,
    *,
    steps: int = 120,
    batch: int = 32,
    **more: Any,
) -> Any:
    """The usual loop under the doctor -> the doctor.

    more: shuffle, schedule (of the optimiser), zero=False, step=False, clip, accumulate, mode
    ("eval" for training in eval mode), wrap (of each batch: augmentation in the loop).
    """
    net.train(more.get("mode") != "eval")
    schedule = more["schedule"](optimizer) if "schedule" in more else None
    batches = endless(*data, batch, more.get("shuffle", True))
    accumulate = more.get("accumulate", 1)
    with sn.doctor(net, optimizer) as doc:
        for t in range(steps):
            x, y = next(batches)
            if more.get("zero", True) and t % accumulate == 0:
                optimizer.zero_grad()
            x = more["wrap"](x) if "wrap" in more else x
            (loss(net(x), y) / accumulate).backward()
            if more.get("clip"):
                nn.utils.clip_grad_norm_(net.parameters(), more["clip"])
            if more.get("step", True) and (t + 1) % accumulate == 0:
                optimizer.step()
                if schedule:
                    schedule.step()
    return doc
