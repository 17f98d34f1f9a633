"""Healthy trainings as the field writes them; the doctor once spoke against each of them."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_nets import adam, digits, mlp
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

import snellen as sn

FIELD: dict[str, Callable[[], Any]] = {
    "rare class drawn more often": lambda: rare(sampler=True),
    "rare class weighted": lambda: rare(weighted=True),
    "rare positives, pos_weight": lambda: positives(),
    "style transfer": lambda: style(),
    "actor and critic, adam 3e-2": lambda: actor_critic(),
    "tf-idf rows": lambda: tfidf(),
    "quiet waveforms, batch norm": lambda: waveforms(),
    "arcface, scale 30": lambda: arcface(),
    "quantile regression, pairwise": lambda: quantiles(),
    "causal mask first": lambda: causal(),
    "big batches from memory": lambda: looped(
        mlp(64, 256, 10), loader(*digits(), 512), epochs=30, rate=1e-3
    ),
    "noise on the training set only": lambda: noisy(),
    "black-padded crops": lambda: crops(),
    "forecast, split by time": lambda: forecast(),
    "dropout for uncertainty": lambda: uncertain(),
}  # fmt: skip


def loader(x: Tensor, y: Tensor, batch: int = 64, **more: Any) -> DataLoader:
    return DataLoader(TensorDataset(x, y), batch, **({"shuffle": True} | more))


def looped(net: nn.Module, data: Any, loss: Any = F.cross_entropy, *, epochs: int = 5,
           rate: float = 1e-3, val: Any = None) -> Any:  # fmt: skip
    """Epochs of a loader, each followed by a validation in eval mode."""
    optimizer = adam(net, rate)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(epochs):
            net.train()
            for x, y in data:
                optimizer.zero_grad()
                loss(net(x), y).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                for x, y in val or ():
                    loss(net(x), y)
    return doc


def halves(x: Tensor, y: Tensor, share: float = 0.8) -> tuple[DataLoader, DataLoader]:
    cut = int(share * len(x))
    return loader(x[:cut], y[:cut]), loader(x[cut:], y[cut:], 256, shuffle=False)


def rare(sampler: bool = False, weighted: bool = False) -> Any:
    x = torch.randn(3000, 8)
    y = (x[:, 0] + x[:, 1] > 2.0).long()
    counts = torch.bincount(y)
    weight = counts.sum() / (2 * counts) if weighted else None
    drawn = {"shuffle": False, "sampler": WeightedRandomSampler((1 / counts)[y], len(x))}
    data = loader(x, y, **(drawn if sampler else {}))
    return looped(mlp(8, 32, 2), data, lambda z, t: F.cross_entropy(z, t, weight))


def positives() -> Any:
    x = torch.randn(3000, 8)
    y = (x[:, 0] + x[:, 1] > 2.0).float()[:, None]
    train, val = halves(x, y)
    heavy = torch.tensor([10.0])
    return looped(
        mlp(8, 32, 1), train, epochs=8, val=val,
        loss=lambda z, t: F.binary_cross_entropy_with_logits(z, t, pos_weight=heavy),
    )  # fmt: skip


def style() -> Any:
    """Gatys: the picture is optimised, the network only looks at it."""
    eyes = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()).eval()  # fmt: skip
    content, art = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)

    def gram(f: Tensor) -> Tensor:
        return (f[0].flatten(1) @ f[0].flatten(1).T) / f[0].numel()

    with torch.no_grad():
        wanted, texture = eyes(content), gram(eyes(art))
    picture = content.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([picture])

    def closure() -> Tensor:
        optimizer.zero_grad()
        seen = eyes(picture)
        loss = F.mse_loss(seen, wanted) + 1e2 * F.mse_loss(gram(seen), texture)
        loss.backward()
        return loss

    with sn.doctor(eyes, optimizer) as doc:
        for _ in range(15):
            optimizer.step(closure)
    return doc


class ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.policy, self.value = nn.Linear(4, 64), nn.Linear(64, 2), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.relu(self.body(x))
        return self.policy(hidden).softmax(-1), self.value(hidden)


def actor_critic() -> Any:
    """PyTorch's example: state by state, the loss of an episode, Adam at 3e-2."""
    net, goal = ActorCritic(), torch.randn(4)
    optimizer = adam(net, 3e-2)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(150):
            logs, values, rewards = [], [], []
            for _ in range(20):
                state = torch.randn(4)
                shares, value = net(state)
                policy = torch.distributions.Categorical(shares)
                action = policy.sample()
                rewards.append(float(int((state @ goal) > 0) == int(action)))
                logs.append(policy.log_prob(action))
                values.append(value)
            total, returns = 0.0, []
            for reward in reversed(rewards):
                total = reward + 0.9 * total
                returns.insert(0, total)
            wanted = torch.tensor(returns)
            wanted = (wanted - wanted.mean()) / (wanted.std() + 1e-6)
            actor = [-p * (r - v.item()) for p, r, v in zip(logs, wanted, values, strict=True)]
            critic = [F.smooth_l1_loss(v, r.reshape(1))
                      for v, r in zip(values, wanted, strict=True)]  # fmt: skip
            optimizer.zero_grad()
            (torch.stack(actor).sum() + torch.stack(critic).sum()).backward()
            optimizer.step()
    return doc


def tfidf() -> Any:
    """Rows of unit length, nearly all zero."""
    words, kinds = 800, 6
    topics = torch.distributions.Dirichlet(torch.full((words,), 0.05)).sample((kinds,))
    common = torch.distributions.Dirichlet(torch.full((words,), 0.3)).sample()
    y = torch.randint(0, kinds, (2000,))
    counts = torch.distributions.Multinomial(80, 0.4 * topics[y] + 0.6 * common).sample()
    rows = counts * ((1 + len(y)) / (1 + (counts > 0).sum(0))).log().add(1)
    return looped(mlp(words, 64, kinds), *halves(F.normalize(rows), y)[:1], epochs=5)


def waveforms() -> Any:
    y = torch.randint(0, 4, (1500,))
    pitch, time = torch.tensor([5.0, 11.0, 17.0, 23.0])[y][:, None], torch.linspace(0, 1, 400)
    x = 0.04 * torch.sin(2 * math.pi * (pitch * time + torch.rand(1500, 1)))
    net = nn.Sequential(
        nn.Conv1d(1, 16, 25, 4), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 32, 9, 4),
        nn.BatchNorm1d(32), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip
    train, val = halves((x + 0.004 * torch.randn(1500, 400))[:, None], y)
    return looped(net, train, epochs=6, val=val)


class Cosines(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.centres = mlp(64, 64, 32), nn.Parameter(0.1 * torch.randn(10, 32))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.body(x)) @ F.normalize(self.centres).T


def arcface() -> Any:
    def loss(z: Tensor, y: Tensor) -> Tensor:
        angle = torch.acos(z.clamp(-1 + 1e-6, 1 - 1e-6))
        return F.cross_entropy(30 * torch.cos(angle + 0.4 * F.one_hot(y, 10)), y)

    return looped(Cosines(), halves(*digits())[0], loss, epochs=8)


def quantiles() -> Any:
    """QR-DQN: every quantile against every sample of the target, within each state."""
    net, still, worth = mlp(4, 64, 11), mlp(4, 64, 11), torch.randn(4)
    still.load_state_dict(net.state_dict())
    optimizer, levels = adam(net, 1e-3), (torch.arange(11) + 0.5) / 11
    with sn.doctor(net, optimizer) as doc:
        for t in range(300):
            state = torch.randn(64, 4)
            with torch.no_grad():
                reward = state @ worth + torch.randn(64)
                wanted = reward[:, None] + 0.5 * still(torch.randn(64, 4))
            q = net(state)
            gap = wanted[:, None, :] - q[:, :, None]
            far = F.smooth_l1_loss(q[:, :, None], wanted[:, None, :], reduction="none")
            loss = (far * (levels[None, :, None] - (gap < 0).float()).abs()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if t % 20 == 0:
                still.load_state_dict(net.state_dict())
    return doc


class MaskFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 32), nn.Linear(32, 20)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)

    def forward(self, mask: Tensor, x: Tensor) -> Tensor:
        return self.head(self.block(self.embed(x), mask))


def causal() -> Any:
    net, text = MaskFirst(), torch.arange(2000) % 7 + 3
    optimizer, mask = adam(net), nn.Transformer.generate_square_subsequent_mask(16)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(100):
            rows = torch.stack([text[i : i + 17] for i in torch.randint(0, 1900, (16,)).tolist()])
            loss = F.cross_entropy(net(mask, rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return doc


class Changed(Dataset):
    """Items that are changed anew each time they are read."""

    def __init__(self, x: Tensor, y: Tensor, change: Callable[[Tensor], Tensor]) -> None:
        self.x, self.y, self.change = x, y, change

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.change(self.x[i]), self.y[i]


def augmented(x: Tensor, y: Tensor, change: Callable[[Tensor], Tensor], net: nn.Module) -> Any:
    cut = int(0.8 * len(x))
    train = DataLoader(Changed(x[:cut], y[:cut], change), 64, shuffle=True)
    return looped(net, train, epochs=8, val=loader(x[cut:], y[cut:], 256, shuffle=False))


def noisy() -> Any:
    return augmented(*digits(), lambda x: x + 1.8 * torch.randn_like(x), mlp(64, 128, 10))


def crops() -> Any:
    """Bright pictures, padded with the darkest value before a crop."""
    y = torch.randint(0, 4, (1200,))
    x = 0.8 + 0.15 * torch.randn(1200, 1, 16, 16)
    x = (x + 0.3 * torch.linspace(-1, 1, 16)[None, None, :, None] * (y % 2)[:, None, None, None]
         + 0.3 * torch.linspace(-1, 1, 16) * (y // 2)[:, None, None, None])  # fmt: skip

    def crop(x: Tensor) -> Tensor:
        i, j = torch.randint(0, 9, (2,)).tolist()
        return F.pad(x, (4, 4, 4, 4))[:, i : i + 16, j : j + 16]

    return augmented(x, y, crop, nn.Sequential(nn.Flatten(), *mlp(256, 64, 4)))


def forecast() -> Any:
    time = torch.linspace(0, 20, 2000)
    wave = torch.sin(3 * time) + 0.1 * time
    x, y = wave.unfold(0, 21, 1)[:, :20].clone(), wave[20:, None]
    return looped(mlp(20, 64, 1), *halves(x, y)[:1], F.mse_loss, epochs=10,
                  val=halves(x, y)[1])  # fmt: skip


def uncertain() -> Any:
    """Monte Carlo dropout: five passes over each batch, in train mode."""
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    optimizer, (train, val) = adam(net, 1e-3), halves(*digits())
    with sn.doctor(net, optimizer) as doc:
        for _ in range(6):
            for x, y in train:
                optimizer.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimizer.step()
            with torch.no_grad():
                for x, _ in val:
                    torch.stack([net(x).softmax(1) for _ in range(5)]).mean(0)
    return doc
