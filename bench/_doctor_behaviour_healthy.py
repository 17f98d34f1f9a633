"""Healthy trainings that tempt the behavioural checks: linear, frozen or cut by right."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _doctor_behaviour import Memory, first_token
from _doctor_healthy import on, unit
from _doctor_nets import adam, cnn, diabetes, digits, endless, fit, images, mlp, sgd
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import snellen as sn

TEMPTING: dict[str, Callable[[], Any]] = {
    "linear autoencoder (pca)": lambda: on(
        nn.Sequential(nn.Linear(64, 8), nn.Linear(8, 64)), (digits()[0], digits()[0]),
        loss=F.mse_loss
    ),
    "a matrix of low rank": lambda: on(
        nn.Sequential(nn.Linear(64, 6, bias=False), nn.Linear(6, 10)), digits()
    ),
    "softmax regression on pixels": lambda: on(
        nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)), images()
    ),
    "two linear branches": lambda: on(Branches(), digits()),
    "prelu": lambda: on(mlp(64, 64, 64, 10, act=nn.PReLU), digits()),
    "maxout by hand": lambda: on(Maxout(), digits()),
    "residual, norm scales at zero": lambda: on(ZeroGamma(), images(), sgd),
    "layer norm transformer": lambda: on(VisionTransformer(), images(), lambda n: adam(n, 1e-3)),
    "dilated convolutions": lambda: on(dilated(), images()),
    "strided, padded": lambda: on(strided(3, 2, 1), images()),
    "patches of 2": lambda: on(strided(2, 2, 0), images(), sgd),
    "shortcuts of 1 x 1, stride 2": lambda: on(Shortcut(), images()),
    "max pooling first": lambda: on(
        nn.Sequential(nn.MaxPool2d(2), *strided(3, 1, 1)[:-4], nn.Flatten(), nn.Linear(512, 10)),
        images()
    ),
    "embedding bag": lambda: on(Bag(), words()),
    "weight norm": lambda: on(normed(parametrizations.weight_norm), digits()),
    "spectral norm": lambda: on(normed(parametrizations.spectral_norm), digits()),
    "byol": lambda: byol(),
    "simsiam": lambda: simsiam(),
    "dqn, a target network": lambda: dqn(),
    "ema of the weights": lambda: ema(),
    "vae with its penalty": lambda: vae(),
    "l2 by hand": lambda: penalised(1e-3, 2),
    "l1 by hand": lambda: penalised(1e-4, 1),
    "elastic and weight decay": lambda: penalised(1e-4, 2, weight_decay=1e-4),
    "orthogonal penalty": lambda: orthogonal(),
    "gradient penalty": lambda: gradient_penalty(),
    "lora on a trained base": lambda: lora(),
    "a small batch norm training": lambda: on(cnn(), images(), steps=30),
    "batch norm, 20 steps of sgd": lambda: on(
        mlp(64, 64, 64, 10, norm=True), digits(), sgd, steps=20, batch=64
    ),
    "batch norm, one epoch, unit inputs": lambda: on(
        cnn(), (unit(images()[0]), images()[1]), steps=56
    ),
    "batch norm, batches of 8": lambda: on(cnn(), images(), lambda n: adam(n, 1e-3), batch=8),
    "batch norm, dropout": lambda: on(
        nn.Sequential(*cnn()[:-1], nn.Dropout(0.5), nn.Linear(128, 10)), images(), steps=80
    ),
    "batch norm, to convergence": lambda: on(cnn(), images(), steps=400),
    "batch norm, momentum 0.01, long": lambda: on(slow(cnn()), images(), steps=400),
    "lstm of 28 steps": lambda: on(Memory(nn.LSTM), (signals(28)), lambda n: adam(n, 5e-3)),
    "gru that must remember": lambda: on(
        Memory(nn.GRU), first_token(8), lambda n: adam(n, 1e-2), steps=250
    ),
    "an rnn by hand": lambda: on(HandRnn(), signals(28), lambda n: adam(n, 3e-3)),
    "two numbers, long": lambda: on(
        mlp(64, 64, 2, 64, 10), digits(), lambda n: adam(n, 1e-2), steps=500
    ),
    "noise, some": lambda: on(
        mlp(64, 64, 10), digits(), wrap=lambda x: x + 0.5 * torch.randn_like(x)
    ),
    "pixels permuted": lambda: on(mlp(64, 64, 10), digits(), wrap=lambda x: x.flip(1)),
    "rolled about": lambda: on(
        cnn(), images(), wrap=lambda x: torch.roll(x, int(torch.randint(3, ())) - 1, 3)
    ),
    "several inputs": lambda: several(),
    "dict in, tuple out": lambda: named(),
    "metric learning": lambda: centres(),
    "entropy bonus": lambda: on(
        mlp(64, 64, 10), digits(),
        loss=lambda z, y: F.cross_entropy(z, y)
        - 0.01 * torch.distributions.Categorical(logits=z).entropy().mean(),
    ),
    "bpr: log of a sigmoid": lambda: ranking(),
    "perceptual loss": lambda: perceptual(),
    "negative cosine": lambda: on(
        mlp(64, 64, 10), (digits()[0], F.one_hot(digits()[1], 10).float()),
        loss=lambda z, y: -F.cosine_similarity(z, y).mean()
    ),
    "distances for scores": lambda: on(
        mlp(64, 64, 10), digits(), loss=lambda d, y: F.cross_entropy(-d, y)
    ),
    "sum of squares by hand, small rate": lambda: on(
        mlp(10, 32, 1), diabetes(), lambda n: sgd(n, 3e-4), loss=lambda z, y: ((z - y) ** 2).sum()
    ),
    "pseudo-labels in train mode": lambda: pseudo(),
}  # fmt: skip


class Branches(nn.Module):
    """Trend and rest, a linear layer each: deep in no path."""

    def __init__(self) -> None:
        super().__init__()
        self.trend, self.rest = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True).expand_as(x)
        return self.trend(mean) + self.rest(x - mean)


class Maxout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.maximum(self.a(x), self.b(x)))


class ZeroGamma(nn.Module):
    """Residual blocks whose last batch norm starts at zero: affine at the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(16, 10)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                          nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)) for _ in range(2)
        )  # fmt: skip
        for block in self.blocks:
            nn.init.zeros_(block[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)))


class VisionTransformer(nn.Module):
    """Patches by a convolution whose kernel is its stride."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.place = nn.Conv2d(1, 32, 2, 2), nn.Parameter(torch.zeros(1, 16, 32))
        self.block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.head = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.block(x).mean(1))


def dilated() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 10))  # fmt: skip


def strided(kernel: int, stride: int, padding: int) -> nn.Sequential:
    side = (8 + 2 * padding - kernel) // stride + 1
    return nn.Sequential(nn.Conv2d(1, 32, kernel, stride, padding), nn.ReLU(), nn.Flatten(),
                         nn.Linear(32 * side * side, 32), nn.ReLU(), nn.Linear(32, 10))  # fmt: skip


class Shortcut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.main = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, 2, 1)
        self.short, self.head = nn.Conv2d(16, 32, 1, 2), nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        return self.head(F.relu(self.main(x) + self.short(x)).flatten(1))


def words() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randint(0, 200, (1024, 12), generator=draw)
    return x, (x < 50).sum(1).clamp(max=5)


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(200, 32), nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bag(x))


def normed(norm: Callable[[nn.Module], nn.Module]) -> nn.Sequential:
    return nn.Sequential(norm(nn.Linear(64, 64)), nn.ReLU(), norm(nn.Linear(64, 10)))


def byol() -> Any:
    """A target that follows by averaging, inside the same module, and in the optimiser."""
    net = nn.ModuleDict({"online": mlp(64, 64, 16), "predict": mlp(16, 32, 16)})
    net["target"] = copy.deepcopy(net["online"])
    whole = Pair(net)
    optimizer, batches = adam(whole), endless(*digits(), 64)
    with sn.doctor(whole, optimizer) as doc:
        for _ in range(120):
            x, _ = next(batches)
            p, t = whole(x + 0.2 * torch.randn_like(x), x + 0.2 * torch.randn_like(x))
            optimizer.zero_grad()
            (-F.cosine_similarity(p, t).mean()).backward()
            optimizer.step()
            with torch.no_grad():
                for a, b in zip(net["target"].parameters(), net["online"].parameters(),
                                strict=True):  # fmt: skip
                    a.lerp_(b, 0.05)
    return doc


class Pair(nn.Module):
    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = self.parts["target"](b)
        return self.parts["predict"](self.parts["online"](a)), target


def simsiam() -> Any:
    net = nn.ModuleDict({"encode": mlp(64, 64, 16, norm=True), "predict": mlp(16, 32, 16)})

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = net

        def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            p = self.parts["predict"](self.parts["encode"](a))
            return p, self.parts["encode"](b).detach()

    whole = Two()
    optimizer, batches = sgd(whole), endless(*digits(), 64)
    with sn.doctor(whole, optimizer) as doc:
        for _ in range(120):
            x, _ = next(batches)
            p, z = whole(x + 0.2 * torch.randn_like(x), x + 0.2 * torch.randn_like(x))
            optimizer.zero_grad()
            (-F.cosine_similarity(p, z).mean()).backward()
            optimizer.step()
    return doc


def dqn() -> Any:
    """Values of random moves on a line; the target network is no part of the optimiser."""
    net = mlp(4, 32, 2)
    target = copy.deepcopy(net).requires_grad_(False)
    optimizer = adam(net, 1e-3)
    with sn.doctor([net, target], optimizer) as doc:
        for t in range(200):
            s, a = torch.randn(64, 4), torch.randint(0, 2, (64, 1))
            reward = (s[:, :1] > 0).float() * (2 * a - 1)
            with torch.no_grad():
                wanted = reward + 0.5 * target(s.roll(1, 1)).max(1, keepdim=True).values
            optimizer.zero_grad()
            F.smooth_l1_loss(net(s).gather(1, a), wanted).backward()
            optimizer.step()
            if t % 25 == 24:
                target.load_state_dict(net.state_dict())
    return doc


def ema() -> Any:
    net = mlp(64, 64, 10)
    mean = torch.optim.swa_utils.AveragedModel(net)
    optimizer, batches = adam(net), endless(*digits(), 64)
    with sn.doctor(net, optimizer) as doc:
        for t in range(120):
            x, y = next(batches)
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
            mean.update_parameters(net)
            if t % 40 == 39:
                with torch.no_grad():
                    mean(x)
    return doc


def vae() -> Any:
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.there, self.back = mlp(64, 64, 16), mlp(8, 64, 64)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mean, log = self.there(x).chunk(2, 1)
            return self.back(mean + torch.randn_like(mean) * (log / 2).exp()), mean, log

    net, x = Vae(), unit(digits()[0])
    optimizer, batches = adam(net), endless(x, digits()[1], 64)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(150):
            x, _ = next(batches)
            out, mean, log = net(x)
            likely = F.binary_cross_entropy_with_logits(out, x, reduction="none").sum(1)
            loss = (likely - 0.5 * (1 + log - mean**2 - log.exp()).sum(1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return doc


def penalised(factor: float, power: int, **more: Any) -> Any:
    net = mlp(64, 64, 10)

    def loss(z: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(z, y) + factor * sum(p.abs().pow(power).sum()
                                                    for p in net.parameters())  # fmt: skip

    return fit(net, adam(net, **more), digits(), loss)


def orthogonal() -> Any:
    net = mlp(64, 64, 10)

    def loss(z: Tensor, y: Tensor) -> Tensor:
        w = net[0].weight
        return F.cross_entropy(z, y) + 1e-3 * (w @ w.T - torch.eye(64)).square().sum()

    return fit(net, adam(net), digits(), loss)


def gradient_penalty() -> Any:
    """A critic whose slope is held at one, by a gradient of the gradient."""
    critic, make = mlp(2, 32, 32, 1, act=nn.LeakyReLU), mlp(4, 32, 2)
    optimizers = [adam(critic, 1e-3), adam(make, 1e-3)]
    with sn.doctor([critic, make], optimizers) as doc:
        for _ in range(100):
            real, fake = torch.randn(64, 2) + 2, make(torch.randn(64, 4))
            share = torch.rand(64, 1)
            mixed = (share * real + (1 - share) * fake.detach()).requires_grad_()
            (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            loss = critic(fake.detach()).mean() - critic(real).mean()
            optimizers[0].zero_grad()
            (loss + 10 * (slope.norm(dim=1) - 1).square().mean()).backward()
            optimizers[0].step()
            optimizers[1].zero_grad()
            (-critic(fake).mean()).backward()
            optimizers[1].step()
    return doc


def trained(net: nn.Module, data: tuple[Tensor, Tensor], steps: int = 120) -> nn.Module:
    optimizer, batches = adam(net, 5e-3), endless(*data, 64)
    for _ in range(steps):
        x, y = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net


class Lora(nn.Module):
    """A frozen layer with a small trained detour."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, 4, bias=False)
        self.up = nn.Linear(4, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


def lora() -> Any:
    net = trained(mlp(64, 64, 10), digits())
    whole = nn.Sequential(Lora(net[0]), nn.ReLU(), Lora(net[2]))
    return on(whole, (digits()[0] + 0.3, digits()[1]))


def slow(net: nn.Module) -> nn.Module:
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 0.01
    return net


def signals(steps: int) -> tuple[Tensor, Tensor]:
    """Four kinds of waves."""
    draw = torch.Generator().manual_seed(2)
    y, t = torch.arange(1024) % 4, torch.arange(steps)[None, :, None]
    phase = 6.28 * torch.rand(1024, 1, 4, generator=draw)
    x = torch.sin(t * (0.3 + 0.25 * y)[:, None, None] + phase)
    return x + 0.2 * torch.randn(1024, steps, 4, generator=draw), y


class HandRnn(nn.Module):
    """A recurrent network written out, of raw matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 48) * 0.3)
        self.u = nn.Parameter(torch.empty(48, 48))
        self.head = nn.Linear(48, 4)
        nn.init.orthogonal_(self.u)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 48)
        for t in range(x.shape[1]):
            h = torch.tanh(x[:, t] @ self.w + h @ self.u)
        return self.head(h)


class Inputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 32), nn.Embedding(10, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Any, hint: Any = None) -> Any:
        if isinstance(x, dict):
            h = F.relu(self.a(x["x"]) + self.b(x["hint"]))
            return self.head(h), h
        return self.head(F.relu(self.a(x) + self.b(hint)))


def several() -> Any:
    net = Inputs()
    optimizer, batches = adam(net), endless(*digits(), 64)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(120):
            x, y = next(batches)
            optimizer.zero_grad()
            F.cross_entropy(net(x, hint=y // 2), y).backward()
            optimizer.step()
    return doc


def named() -> Any:
    net = Inputs()
    optimizer, batches = adam(net), endless(*digits(), 64)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(120):
            x, y = next(batches)
            optimizer.zero_grad()
            z, _ = net({"x": x, "hint": y // 2})
            F.cross_entropy(z, y).backward()
            optimizer.step()
    return doc


def centres() -> Any:
    """A loss with centres of its own, which the optimiser holds."""
    net, centre = mlp(64, 64, 16), nn.Parameter(torch.randn(10, 16) / 4)
    optimizer = torch.optim.Adam([*net.parameters(), centre], 2e-3)
    return fit(net, optimizer, digits(), lambda z, y: F.cross_entropy(-torch.cdist(z, centre), y))


def ranking() -> Any:
    users, items = nn.Embedding(60, 16), nn.Embedding(80, 16)
    net = nn.ModuleList([users, items])
    for table in net:
        nn.init.normal_(table.weight, std=0.3)

    class Score(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tables = net

        def forward(self, u: Tensor, i: Tensor) -> Tensor:
            return (self.tables[0](u) * self.tables[1](i)).sum(1)

    score = Score()
    optimizer = adam(score, 1e-2)
    with sn.doctor(score, optimizer) as doc:
        for _ in range(150):
            u = torch.randint(0, 60, (128,))
            liked, other = (u + torch.randint(0, 8, (128,))) % 80, torch.randint(0, 80, (128,))
            optimizer.zero_grad()
            (-torch.log(torch.sigmoid(score(u, liked) - score(u, other))).mean()).backward()
            optimizer.step()
    return doc


def perceptual() -> Any:
    """A trained network judges the pictures; nobody has switched its gradients off."""
    eyes = trained(cnn(norm=False), images())[:6]
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 3, padding=1))
    x, _ = images()

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(out, y) + F.mse_loss(eyes(out), eyes(y).detach())

    return on(net, (x + 0.5 * torch.randn_like(x), x), loss=loss)


def pseudo() -> Any:
    """Each step first asks the network, without gradients, what it thinks of other samples."""
    net = nn.Sequential(*mlp(64, 64, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))
    optimizer, (x, y) = adam(net), digits()
    batches = endless(x, y, 64)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(120):
            a, b = next(batches)
            with torch.no_grad():
                guess = net(x[:64]).softmax(1)
            keep = guess.max(1).values > 0.95
            optimizer.zero_grad()
            loss = F.cross_entropy(net(a), b)
            if keep.any():
                loss = loss + 0.3 * F.cross_entropy(net(x[:64][keep]), guess[keep].argmax(1))
            loss.backward()
            optimizer.step()
    return doc
