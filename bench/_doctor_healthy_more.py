"""More healthy trainings: other losses, optimisers and shapes than the usual classifier's."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_healthy import on, unit, zero_head
from _doctor_nets import adam, cnn, digits, endless, images, mlp, rows, sgd, tokens
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

import snellen as sn

MORE: dict[str, Callable[[], Any]] = {
    "rmsprop": lambda: on(mlp(64, 64, 10), digits(), lambda n: torch.optim.RMSprop(n.parameters(),
                                                                                  1e-3)),
    "adagrad": lambda: on(
        mlp(64, 64, 10), digits(), lambda n: torch.optim.Adagrad(n.parameters(), 0.02)
    ),
    "nesterov": lambda: on(cnn(), images(), lambda n: sgd(n, 0.02, nesterov=True)),
    "channels last, fused": lambda: on(
        cnn().to(memory_format=torch.channels_last),
        images(),
        lambda n: torch.optim.AdamW(n.parameters(), 2e-3, fused=True),
    ),
    "batches of 1": lambda: on(mlp(64, 64, 10), digits(), lambda n: sgd(n, 0.003), batch=1),
    "to convergence": lambda: on(mlp(64, 64, 10), few(), steps=500),
    "lr steps down by ten": lambda: on(
        mlp(64, 64, 10), digits(), sgd, schedule=lambda o: StepLR(o, 40)
    ),
    "many labels, bce": lambda: many_labels(),
    "soft targets (mixup)": lambda: on(mlp(64, 64, 10), soft()),
    "log-softmax and nll": lambda: on(
        nn.Sequential(*mlp(64, 64, 10), nn.LogSoftmax(1)), digits(), loss=F.nll_loss
    ),
    "classes weighted": lambda: on(
        mlp(64, 64, 10), digits(), loss=lambda z, y: F.cross_entropy(z, y, torch.arange(1.0, 11))
    ),
    "segmentation": lambda: segmentation(),
    "vae, summed": lambda: vae(),
    "triplets": lambda: triplets(),
    "policy gradient": lambda: bandit(),
    "linear from zero": lambda: on(
        zero_head(nn.Sequential(nn.Linear(64, 10))), digits(), lambda n: sgd(n, 0.1)
    ),
    "bag of words": lambda: bag_of_words(),
    "convolution over sequences": lambda: on(temporal(), rows()),
    "norm of the input inside": lambda: on(
        nn.Sequential(nn.BatchNorm1d(64), *mlp(64, 64, 10)), (255 * unit(digits()[0]), digits()[1])
    ),
    "bytes divided inside": lambda: on(
        nn.Sequential(Divide(), *mlp(64, 64, 10)), (255 * unit(digits()[0]), digits()[1])
    ),
    "heavy tails": lambda: heavy_tails(),
    "counts, poisson": lambda: counts(),
    "unused head": lambda: on(Spare(), digits()),
    "weights tied": lambda: on(Tied(), digits()),
    "hand-written loss": lambda: on(
        mlp(64, 64, 10), digits(), loss=lambda z, y: -z.log_softmax(1)[range(len(y)), y].mean()
    ),
}  # fmt: skip


class Divide(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 128 - 1


def few() -> tuple[Tensor, Tensor]:
    return digits()[0][:200], digits()[1][:200]


def many_labels() -> Any:
    x, y = digits()
    wanted = torch.stack([y % 2 == 0, y % 3 == 0, y > 6, y < 2], 1).float()
    return on(mlp(64, 64, 4), (x, wanted), loss=F.binary_cross_entropy_with_logits)


def soft() -> tuple[Tensor, Tensor]:
    x, y = digits()
    wanted, order = F.one_hot(y, 10).float(), torch.randperm(len(y))
    return 0.7 * x + 0.3 * x[order], 0.7 * wanted + 0.3 * wanted[order]


def segmentation() -> Any:
    x, _ = images()
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(16, 2, 1))  # fmt: skip
    return on(net, (x + 0.3 * torch.randn_like(x), (x[:, 0] > 0.5).long()))


def vae() -> Any:
    """Loss summed over the pixels of a sample."""
    x = unit(digits()[0])
    net, back = mlp(64, 64, 16), mlp(8, 64, 64)
    optimizer, batches = adam(nn.ModuleList([net, back])), endless(x, x, 64)
    with sn.doctor([net, back], optimizer) as doc:
        for _ in range(150):
            b, _ = next(batches)
            mu, log = net(b).chunk(2, 1)
            out = back(mu + (log / 2).exp() * torch.randn_like(mu))
            likely = F.binary_cross_entropy_with_logits(out, b, reduction="sum")
            loss = (likely - 0.5 * (1 + log - mu**2 - log.exp()).sum()) / len(b)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return doc


def triplets() -> Any:
    (x, y), net = digits(), mlp(64, 64, 16)
    optimizer, groups = adam(net), [torch.where(y == c)[0] for c in range(10)]
    with sn.doctor(net, optimizer) as doc:
        for _ in range(100):
            a, b = torch.randperm(10)[:2].tolist()
            same, other = groups[a][torch.randperm(150)[:32]], groups[b][torch.randperm(150)[:32]]
            loss = F.triplet_margin_loss(net(x[same]), net(x[same.flip(0)]), net(x[other]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return doc


def bandit() -> Any:
    """REINFORCE: the loss is noise about zero, and need not fall."""
    (x, y), net = digits(), mlp(64, 32, 10)
    optimizer = adam(net, 3e-3)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(200):
            i = torch.randint(0, len(x), (64,))
            policy = torch.distributions.Categorical(logits=net(x[i]))
            action = policy.sample()
            reward = (action == y[i]).float()
            loss = -(policy.log_prob(action) * (reward - reward.mean())).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return doc


def bag_of_words() -> Any:
    x, y = tokens()
    return on(mlp(400, 32, 4), (F.one_hot(x, 400).sum(1).float(), y))


def temporal() -> nn.Module:
    return nn.Sequential(nn.Conv1d(8, 32, 3, padding=1), nn.GELU(), nn.Conv1d(32, 32, 3, padding=1),
                         nn.GELU(), nn.Flatten(), nn.Linear(256, 10))  # fmt: skip


def heavy_tails() -> Any:
    x, y = digits()
    return on(mlp(64, 64, 10), (x * torch.randn_like(x).exp(), y))


def counts() -> Any:
    x, y = digits()
    return on(mlp(64, 32, 1), (x, y.float().unsqueeze(1)), loss=F.poisson_nll_loss)


class Spare(nn.Module):
    """A second head that this loss does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head, self.spare = mlp(64, 64, 64), nn.Linear(64, 10), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.trunk(x)))


class Tied(nn.Module):
    """One layer used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.relu(self.layer(x))
        return self.head(x)
