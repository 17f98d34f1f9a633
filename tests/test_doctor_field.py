"""Trainings as they are met: several optimisers, several networks, transforms in odd places."""

import math
import textwrap
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

import snellen as sn
from snellen.doctor.probes.received import _mixed
from snellen.doctor.script import ScriptDoctor


def ids(doc):
    return [f.id for f in doc.findings if f.level != "advice"]


def dense(*sizes):
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def gan(made=1e-3, judged=1e-3, steps=40):
    """A ring of points; the rates of the generator and of the discriminator."""
    g, d = dense(4, 32, 32, 2), dense(2, 32, 32, 1)
    og, od = (torch.optim.Adam(net.parameters(), lr) for net, lr in ((g, made), (d, judged)))
    judge = F.binary_cross_entropy_with_logits
    with sn.doctor([g, d], [og, od]) as doc:
        for _ in range(steps):
            angle = torch.rand(64, 1) * 2 * math.pi
            real, fake = torch.cat([angle.cos(), angle.sin()], 1), g(torch.randn(64, 4))
            od.zero_grad()
            ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
            (judge(d(real), ones) + judge(d(fake.detach()), zeros)).backward()
            od.step()
            og.zero_grad()
            judge(d(fake), ones).backward()
            og.step()
    return doc


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_of_two_optimisers_the_one_whose_rate_is_too_high_is_told(seed):
    torch.manual_seed(seed)
    assert ids(gan()) == []
    found = gan(made=1.0).findings[0]
    assert (found.id, found.evidence["optimizer"], found.evidence["lr"]) == ("lr-too-high", 0, 1.0)
    found = gan(judged=1.0).findings[0]
    assert (found.id, found.evidence["optimizer"]) == ("lr-too-high", 1)


class Sequence(nn.Module):
    """An LSTM over rows of eight values."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(8, 32, batch_first=True)

    def forward(self, x):
        return self.cell(x.unflatten(1, (4, 8)))[0][:, -1]


def pictures():
    return nn.Sequential(nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 16, 3), nn.ReLU(),
                         nn.Flatten(), nn.Linear(64, 32))  # fmt: skip


TRUNKS = {"dense": lambda: dense(32, 64, 32), "convolutions": pictures, "lstm": Sequence}


def data(count=512):
    x = torch.randn(count, 32)
    return x, (x @ torch.randn(32, 4, generator=torch.Generator().manual_seed(5))).argmax(1)


def behind(trunk, features=None, *, optimizers=(), extra=None, steps=40):
    """Train a head on what a trunk in a variable of its own makes of the data."""
    head = nn.Sequential(nn.ReLU(), nn.Linear(32, 4))
    x, y = data()
    optimizer = torch.optim.Adam(head.parameters(), 3e-3)
    with sn.doctor(head, optimizer) as doc:
        for _ in range(steps):
            for other in (optimizer, *optimizers):
                other.zero_grad()
            out = head((features or trunk)(x))
            (F.cross_entropy(out, y) + (extra(x, out) if extra else 0)).backward()
            for other in (optimizer, *optimizers):
                other.step()
    return doc


@pytest.mark.parametrize("name", TRUNKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_new_trunk_that_no_optimiser_holds_is_told(name, seed):
    torch.manual_seed(seed)
    (found,) = behind(TRUNKS[name]()).findings
    assert (found.id, found.level) == ("optim-missing-params", "error")
    assert "are not its own" in found.message


def by_choice(name):
    """Trunks beside the optimiser that are as they are to be."""
    trunk = dense(32, 64, 32)
    if name == "no_grad":
        return behind(trunk, torch.no_grad()(trunk))
    if name == "frozen":
        return behind(trunk.requires_grad_(False))
    if name == "held by another optimiser":
        return behind(trunk, optimizers=[torch.optim.Adam(trunk.parameters(), 3e-3)])
    if name == "trained before":
        x, y = data()
        whole = nn.Sequential(trunk, nn.ReLU(), nn.Linear(32, 4))
        optimizer = torch.optim.Adam(whole.parameters(), 3e-3)
        for _ in range(150):
            optimizer.zero_grad()
            F.cross_entropy(whole(x), y).backward()
            optimizer.step()
        return behind(trunk)
    teacher = dense(32, 64, 4)  # behind the output, with gradients that nobody wants
    judge = dense(4, 64, 16)
    kinds = {
        "teacher": lambda x, out: F.mse_loss(out, teacher(x).detach()),
        "perceptual": lambda x, out: 0.01 * judge(out).square().mean(),
    }
    return behind(trunk, torch.no_grad()(trunk), extra=kinds[name])


@pytest.mark.parametrize("name", ["no_grad", "frozen", "held by another optimiser",
                                  "trained before", "teacher", "perceptual"])  # fmt: skip
def test_a_trunk_that_stays_by_choice_is_not(name):
    torch.manual_seed(0)
    assert ids(by_choice(name)) == []


class Collate:
    """Batches with noise drawn anew, or times a constant."""

    def __init__(self, noise=0.0, factor=1.0):
        self.noise, self.factor = noise, factor

    def __call__(self, items):
        x, y = default_collate(items)
        return self.factor * x + self.noise * torch.randn_like(x), y


def collated(collate, preflight):
    x, y = data(1024)
    train, val = TensorDataset(x[:768], y[:768]), TensorDataset(x[768:], y[768:])
    net = dense(32, 64, 4)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    loaders = DataLoader(train, 64, shuffle=True, collate_fn=collate), DataLoader(val, 64)
    with sn.doctor(net, optimizer, train=loaders[0], val=loaders[1]) as doc:
        if preflight:
            doc.preflight("quick")
        for _ in range(4):
            for a, b in loaders[0]:
                optimizer.zero_grad()
                F.cross_entropy(net(a), b).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                for a, _ in loaders[1]:
                    net(a)
            net.train()
    return doc


@pytest.mark.parametrize("preflight", [False, True])
def test_an_augmentation_in_the_collate_function_is_no_shift(preflight):
    torch.manual_seed(0)
    assert ids(collated(Collate(noise=2.5), preflight)) == []
    assert ids(collated(Collate(factor=2.7), preflight)) == ["data-shift-train-val"]


def autoencoder(sign):
    """A VAE over digits; its error may enter with a minus."""
    x = (torch.rand(512, 32) > 0.5).float()
    encode, decode = nn.Linear(32, 8), dense(4, 32, 32)
    net = nn.ModuleDict({"encode": encode, "decode": decode})
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(60):
            mean, log_var = encode(x).chunk(2, 1)
            z = mean + torch.randn_like(mean) * (log_var / 2).exp()
            error = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum")
            spread = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
            optimizer.zero_grad()
            (sign * error + spread).backward()
            optimizer.step()
    return doc


def test_an_error_that_enters_with_a_minus():
    torch.manual_seed(0)
    assert ids(autoencoder(1.0)) == []
    assert ids(autoencoder(-1.0))[0] == "loss-sign-flipped"


def test_a_rate_that_is_too_high_after_a_warm_up():
    x, y = data()
    for rate, wanted in ((3e-3, []), (3.0, ["lr-too-high"])):
        torch.manual_seed(0)
        net = dense(32, 64, 4)
        optimizer = torch.optim.AdamW(net.parameters(), rate)
        with sn.doctor(net, optimizer) as doc:
            for step in range(120):
                optimizer.param_groups[0]["lr"] = rate if step > 21 else 1e-6
                optimizer.zero_grad()
                (-net(x).log_softmax(1)[range(len(y)), y]).mean().backward()
                optimizer.step()
        assert ids(doc) == wanted


def test_a_leap_of_lbfgs_on_its_way_to_the_minimum_is_no_fault():
    torch.manual_seed(0)
    x = torch.randn(64, 3, 8, 8)
    y = (x[:, 0].mean((1, 2)) > 0).long()
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))  # fmt: skip
    optimizer, losses = torch.optim.LBFGS(net.parameters(), max_iter=4), []

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        losses.append(loss.item())
        return loss

    with sn.doctor(net, optimizer) as doc:
        for _ in range(12):
            optimizer.step(closure)
    assert max(losses) > 100 > 0.01 > losses[-1]
    assert ids(doc) == []


def test_mixup_destroys_nothing_and_noise_does():
    torch.manual_seed(0)
    x, given = torch.randn(32, 64), torch.randn(32, 64)
    for share in (0.0, 0.3, 0.9, 1.0):
        assert _mixed(share * given + (1 - share) * given.flip(0), given) > 0.6
    assert _mixed(x + 0.1 * given, given) < 0.6
    assert _mixed(given[torch.randperm(32)], given) == 0.0


def test_a_student_whose_optimiser_holds_its_teacher():
    code = """
        import torch
        from torch import nn
        import torch.nn.functional as F
        from torch.utils.data import DataLoader, TensorDataset
        torch.manual_seed(0)
        x = torch.randn(256, 16); y = (x @ torch.randn(16, 4)).argmax(1)
        def made(width):
            return nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 4))
        def train(net, optimizer, loss):
            for _ in range(40):
                optimizer.zero_grad()
                loss(net(x)).backward()
                optimizer.step()
        teacher, student = made(64), made(16)
        def adam(net):
            return torch.optim.Adam(net.parameters(), 3e-3)
        train(teacher, adam(teacher), lambda z: F.cross_entropy(z, y))
        with torch.no_grad():
            told = torch.cat([teacher(a) for a, _ in DataLoader(TensorDataset(x, y), 64)])
        train(student, adam(WHO), lambda z: F.mse_loss(z, told))
    """
    for who, wanted in (("student", []), ("teacher", ["optim-missing-params"])):
        with ScriptDoctor(ignore=(), preflight=False) as doc:
            exec(compile(textwrap.dedent(code).replace("WHO", who), "distil.py", "exec"), {})
        assert ids(doc) == wanted
