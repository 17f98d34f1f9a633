"""Whole scripts for the matrix, sick and healthy, run as `snellen doctor SCRIPT` runs them.

Networks whose parts are called, several trainings one after the other, optimisers built over the
wrong network, and validation that nobody reports.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from snellen.doctor.script import ScriptDoctor, _run

HEAD = """
import copy, itertools, torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset, random_split
from sklearn.datasets import load_digits, load_diabetes
torch.manual_seed({seed})
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
order = torch.randperm(len(x))
x, y = x[order], y[order]
x = (x - x.mean()) / x.std()
def mlp(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
class Net(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.body, self.head = nn.Linear(64, width), nn.Linear(width, 10)
    def forward(self, x):
        return self.head(F.relu(self.body(x)))
def train(net, data, lr=0.1, epochs=4, zero=True, kind=torch.optim.SGD):
    optimizer = kind(net.parameters(), lr)
    for epoch in range(epochs):
        net.train()
        for a, b in DataLoader(data, 64, shuffle=True):
            if zero:
                optimizer.zero_grad()
            loss = F.cross_entropy(net(a), b)
            loss.backward()
            optimizer.step()
    return net
def score(net, data):
    net.eval()
    with torch.no_grad():
        return sum((net(a).argmax(1) == b).sum().item() for a, b in DataLoader(data, 256))
"""
CODER = """
class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 2 * 8))
        self.dec = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 64))
    def encode(self, x):
        return self.enc(x).chunk(2, 1)
    def decode(self, z):
        return self.dec(z)
    def forward(self, x):
        mu, log = self.encode(x)
        return self.decode(mu + (log / 2).exp() * torch.randn_like(mu)), mu, log
net, lr, zero = Coder(), 1e-3, True
{fault}
optimizer = torch.optim.Adam(net.parameters(), lr)
for epoch in range(6):
    for a, _ in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        if zero:
            optimizer.zero_grad()
        {call}
        kl = -0.5 * (1 + log - mu**2 - log.exp()).sum(1).mean()
        loss = F.mse_loss(out, a, reduction="sum") / len(a) + kl
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        net.decode(torch.randn(16, 8))
"""
PARTS = """
nets = nn.ModuleDict(dict(enc=mlp(64, 48, 8), dec=mlp(8, 48, 64)))
lr, zero = 1e-3, True
net = nets
{fault}
optimizer = torch.optim.Adam(nets.parameters(), lr)
for epoch in range(6):
    for a, _ in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        if zero:
            optimizer.zero_grad()
        loss = F.mse_loss(nets["dec"](nets["enc"](a)), a)
        loss.backward()
        optimizer.step()
"""
GAN = """
class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.made = mlp(8, 32, 64)
        self.judge = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    def generate(self, z):
        return self.made(z)
    def judged(self, x):
        return self.judge(x)
net = gan = Gan()
lr, zero = 2e-4, True
{fault}
g = torch.optim.Adam(gan.made.parameters(), lr, betas=(0.5, 0.999))
d = torch.optim.Adam(gan.judge.parameters(), lr, betas=(0.5, 0.999))
loss = F.binary_cross_entropy_with_logits
for epoch in range(5):
    for a, _ in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        one, none = torch.ones(len(a), 1), torch.zeros(len(a), 1)
        fake = gan.generate(torch.randn(len(a), 8))
        if zero:
            d.zero_grad()
        (loss(gan.judged(a), one) + loss(gan.judged(fake.detach()), none)).backward()
        d.step()
        if zero:
            g.zero_grad()
        loss(gan.judged(fake), one).backward()
        g.step()
"""
CALLS = {
    "forward": "out, mu, log = net.forward(a)",
    "methods": "mu, log = net.encode(a)\n"
    "        out = net.decode(mu + (log / 2).exp() * torch.randn_like(mu))",
}  # fmt: skip
NAN = "x[[33, 801], 5] = float('nan')"
HIGH = "lr = {lr}"
ZERO = "for p in net.parameters(): nn.init.zeros_(p)"
CARRIED = "zero = False"
SWEEP = """
train_set, val_set = random_split(TensorDataset(x, y), [1500, 297])
{before}
for lr in ({rates}):
    net = {net}
    train(net, train_set, lr)
    print(lr, score(net, val_set))
"""
FOLDS = """
{before}
for fold in range(5):
    held = torch.arange(len(x)) % 5 == fold
    rest, out = torch.where(~held)[0].tolist(), torch.where(held)[0].tolist()
    {body}
    score(net, Subset(TensorDataset(x, y), out))
"""
WRONG = """
net, other = Net(), Net()
{change}
for epoch in range(4):
    for a, b in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(net(a), b).backward()
        optimizer.step()
"""
ADAM = "optimizer = torch.optim.Adam(net.parameters())\n"
VALIDATED = """
{data}
train_set, val_set = TensorDataset(x[:rows], y[:rows]), TensorDataset(x[1200:], y[1200:])
train_loader, val_loader = DataLoader(train_set, 32, shuffle=True), DataLoader(val_set, 128)
net = {net}
optimizer = torch.optim.Adam(net.parameters(), 3e-3)
for epoch in range(25):
    net.train()
    for a, b in train_loader:
        optimizer.zero_grad()
        F.cross_entropy(net(a), b).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        {score}
"""
SCORES = {
    "argmax": "print(sum((net(a).argmax(1) == b).sum().item() for a, b in val_loader))",
    "loss": "print(sum(F.cross_entropy(net(a), b).item() for a, b in val_loader))",
    "tensors": "print(F.cross_entropy(net(x[1200:]), y[1200:]).item())",
}
NOISY = """
rows, x = 150, x + 1.5 * torch.randn_like(x)
y = torch.where(torch.rand(len(y)) < 0.3, (y + 1) % 10, y)
"""
MISSING = ("optim-missing-params",)


def script(source: str, **parts: Any) -> Callable[[], Any]:
    """Pieces of a script -> what runs it under the doctor, with the seed that torch has now."""

    def written(seed: int) -> str:
        text = (HEAD + source).replace("{seed}", str(seed))
        for name, value in parts.items():
            text = text.replace("{" + name + "}", value)
        return text

    def run() -> Any:
        text = written(torch.initial_seed())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.py"
            path.write_text(text)
            doc = ScriptDoctor(ignore=(), preflight=False)
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()) as errors,
            ):
                _run(doc, text.encode(), str(path), [])
        if "Traceback" in errors.getvalue():
            raise AssertionError(errors.getvalue())
        return doc

    run.written = written  # type: ignore[attr-defined]  # for doctor_cli.py
    return run


def parts_of(fault: str) -> dict[str, Callable[[], Any]]:
    """The four networks that are never called themselves, with one fault."""
    rates = {"vae": "0.5", "dict": "1.0", "gan": "5.0"}

    def made(kind: str) -> str:
        return fault.replace("{lr}", rates[kind])

    return {
        "vae, forward": script(CODER, call=CALLS["forward"], fault=made("vae")),
        "vae, methods": script(CODER, call=CALLS["methods"], fault=made("vae")),
        "autoencoder, parts": script(PARTS, fault=made("dict")),
        "gan, methods": script(GAN, fault=made("gan")),
    }


SWEPT = {"net": "Net()", "before": ""}
FIT = "net = train(Net(), Subset(TensorDataset(x, y), rest))"
RESET = """
    for m in net.modules():
        if hasattr(m, "reset_parameters"): m.reset_parameters()
    train(net, Subset(TensorDataset(x, y), rest))"""

SCRIPT_FAULTY: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    **{f"script: nan, {k}": (("data-nonfinite",), v) for k, v in parts_of(NAN).items()},
    **{f"script: rate, {k}": (("lr-too-high", "grad-exploding"), v)
       for k, v in parts_of(HIGH).items() if "gan" not in k},
    **{f"script: zero, {k}": (("init-zero",), v) for k, v in parts_of(ZERO).items()},
    **{f"script: carried, {k}": (("loop-no-zero-grad",), v) for k, v in parts_of(CARRIED).items()},
    "script: sweep, last diverges": (
        ("lr-too-high",), script(SWEEP, rates="0.01, 0.1, 50.0", **SWEPT)),
    "script: sweep, middle diverges": (
        ("lr-too-high",), script(SWEEP, rates="0.03, 50.0, 0.1", **SWEPT)),
    "script: sweep, last too slow": (
        ("lr-too-low",), script(SWEEP, rates="0.1, 0.03, 1e-8", **SWEPT)),
    "script: folds, nan in one": (
        ("data-nonfinite",), script(FOLDS, before="", body="""
    z = x.clone()
    if fold == 3: z[rest[7], 4] = float('inf')
    net = train(Net(), Subset(TensorDataset(z, y), rest))""")),
    "script: folds, carried": (
        ("loop-no-zero-grad",),
        script(FOLDS, before="", body=FIT.replace("rest))", "rest), zero=False)"))),
    "script: classes, one zero": (
        ("init-zero",), script(
            SWEEP, rates="0.05, 0.1, 0.2", net="made.pop(0)",
            before="made = [Net(), mlp(64, 32, 10), Net(32)]\n"
            "for p in made[1].parameters(): nn.init.zeros_(p)")),
    **{f"script: overfit, {k}": (
        ("gen-overfit", "label-noise"), script(VALIDATED, data=NOISY, net="Net(128)", score=v))
       for k, v in SCORES.items()},
    "script: optimizer of another": (
        MISSING, script(WRONG, change="optimizer = torch.optim.SGD(other.parameters(), 0.1)")),
    "script: rebuilt after": (
        MISSING, script(WRONG, change=ADAM + "net = Net()")),
    "script: copied after": (
        MISSING, script(WRONG, change=ADAM + "net = copy.deepcopy(net)")),
    "script: head after": (
        MISSING, script(WRONG, change=ADAM + "net.head = nn.Linear(64, 10)")),
}  # fmt: skip

SCRIPT_HEALTHY: dict[str, Callable[[], Any]] = {
    **{f"script: healthy, {k}": v for k, v in parts_of("").items()},
    **{f"script: small set, {k}": script(VALIDATED, data="rows = 300", net="Net()", score=v)
       for k, v in SCORES.items()},
    **{f"script: validated, {k}": script(VALIDATED, data="rows = 1200", net="Net()", score=v)
       for k, v in SCORES.items()},
    "script: sweep": script(SWEEP, rates="0.01, 0.03, 0.1", **SWEPT),
    "script: sweep of widths": script(
        SWEEP, rates="16, 64, 256", before="from functools import partial\n"
        "kept, train = train, lambda net, data, lr: kept(net, data)", net="Net(lr)"),
    "script: folds": script(FOLDS, before="", body=FIT),
    "script: folds, one network reset": script(FOLDS, before="net = Net()", body=RESET),
    "script: folds, state put back": script(
        FOLDS, before="net = Net()\nstate = copy.deepcopy(net.state_dict())",
        body="net.load_state_dict(state); train(net, Subset(TensorDataset(x, y), rest))"),
    "script: ensemble": script(SWEEP, rates="0.1, 0.1, 0.1, 0.1", **SWEPT),
    "script: ensemble by epochs": script("""
nets = [Net() for _ in range(3)]
optimizers = [torch.optim.Adam(net.parameters(), 2e-3) for net in nets]
for epoch in range(4):
    for net, optimizer in zip(nets, optimizers):
        for a, b in DataLoader(TensorDataset(x, y), 64, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(net(a), b).backward()
            optimizer.step()
"""),
    "script: encoder first, then a head": script("""
enc, dec = mlp(64, 64, 32), mlp(32, 64, 64)
optimizer = torch.optim.Adam([*enc.parameters(), *dec.parameters()], 1e-3)
for epoch in range(4):
    for a, _ in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        optimizer.zero_grad()
        F.mse_loss(dec(enc(a)), a).backward()
        optimizer.step()
net = nn.Sequential(enc, nn.ReLU(), nn.Linear(32, 10))
train(net, TensorDataset(x, y), 1e-3, kind=torch.optim.Adam)
"""),
    "script: teacher, then a student": script("""
teacher = train(Net(128), TensorDataset(x, y))
student = Net(16)
optimizer = torch.optim.Adam(student.parameters(), 3e-3)
for epoch in range(5):
    for a, b in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        told = teacher(a).detach()
        out = student(a)
        soft, told = (out / 2).log_softmax(1), (told / 2).softmax(1)
        loss = F.cross_entropy(out, b) + F.kl_div(soft, told, reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""),
    "script: head first, then all": script("""
net = train(Net(), TensorDataset(x, y))
for p in net.body.parameters(): p.requires_grad = False
net.head = nn.Linear(64, 10)
optimizer = torch.optim.SGD(net.head.parameters(), 0.1)
def epochs(count, optimizer):
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True)
    for a, b in itertools.chain(*[loader] * count):
        optimizer.zero_grad()
        F.cross_entropy(net(a), b).backward()
        optimizer.step()
epochs(2, optimizer)
for p in net.body.parameters(): p.requires_grad = True
epochs(2, torch.optim.SGD(net.parameters(), 0.02))
"""),
}  # fmt: skip
