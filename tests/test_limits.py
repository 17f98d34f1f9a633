"""What a user's own network does not take of speed is seen before it trains, and left out."""

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.core.errors import UsageError
from snellen.nn._limits import UNASKED, limits
from snellen.serve import bench
from snellen.train import speed


class Viewed(nn.Module):
    """Flattens by `view`, which only contiguous maps allow."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        return self.head(maps.view(maps.size(0), -1))


class Scattered(nn.Module):
    """Writes into float32 numbers of its own, which bfloat16 cannot be written into."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head = nn.Conv2d(1, 8, 3), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = self.maps(x).mean((2, 3))
        places = torch.arange(8).expand_as(means)
        return self.head(torch.zeros(len(x), 8).scatter(1, places, means))


class Backwards(nn.Module):
    """As `Viewed`, and only on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.more = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        if maps.requires_grad:
            maps.register_hook(lambda grad: grad.view(-1).view_as(grad))
        return self.more(maps).mean((2, 3))


class Broken(nn.Module):
    """Runs in no way."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(1, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("net", "contiguous", "fp32"),
    [
        (Viewed(), "x.flatten(1)", ""),
        (Backwards(), "x.flatten(1)", ""),
        (Scattered(), "", "raises under bf16: scatter()"),
        (Broken(), "", ""),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), UNASKED, ""),
        (sn.model("resnet8_w32", classes=10, imgsz=8, channels=1), "", ""),
    ],
)
def test_what_a_network_does_not_take(net, contiguous, fp32):
    drawn = torch.get_rng_state()
    found = limits(net, (1, 8, 8))
    assert contiguous in found.contiguous
    assert bool(contiguous) == bool(found.contiguous)
    assert fp32 in found.fp32
    assert bool(fp32) == bool(found.fp32)
    assert all(p.grad is None and p.is_contiguous() for p in net.parameters())
    assert torch.equal(drawn, torch.get_rng_state())


def train(net, folder, **typed):
    x, y = torch.randint(256, (40, 8, 8), dtype=torch.uint8).numpy(), torch.arange(40).numpy() % 10
    return (x, y), sn.train((x, y), model=net, epochs=1, project=str(folder), preflight="off",
                            doctor=False, batch=20, **typed)  # fmt: skip


@pytest.mark.parametrize("tiny", [True, False])
@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Viewed, "channels_last=False: the network raises so; write x.flatten(1)"),
        (Scattered, "amp=off: the network raises under bf16: scatter()"),
    ],
)
def test_it_is_trained_as_it_is_and_told_why(net, words, tiny, tmp_path, capsys, monkeypatch):
    if not tiny:
        monkeypatch.setattr(speed, "TINY_STEP", 0)
        monkeypatch.setattr("snellen.train.speed.has_fast_bf16", lambda: True)
    _, run = train(net(), tmp_path)
    assert run.status == "finished"
    said = " ".join(capsys.readouterr().out.split())
    assert words in said or (tiny and "amp=off: a tiny network" in said)


def test_what_is_typed_all_the_same_is_refused_in_one_line(tmp_path):
    with pytest.raises(UsageError, match="your module Viewed raised on a batch"):
        train(Viewed(), tmp_path, channels_last=True)
    with pytest.raises(UsageError, match="your module Scattered raised on a batch"):
        train(Scattered(), tmp_path, amp="bf16")


@pytest.mark.parametrize(
    ("net", "names"), [(Viewed, ["eager fp32", "eager bf16"]), (Scattered, ["eager fp32"])]
)
def test_its_speed_is_measured_as_it_is(net, names, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "runtimes", dict)
    data, run = train(net(), tmp_path, quiet=True)
    rows, notes = run.bench(data=data, seconds=0.01)
    assert [row.name for row in rows] == names
    assert bool(notes) == (net is Scattered)


def test_lazy_layers_get_their_shapes_before_anything_is_counted(tmp_path):
    def build():
        return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))

    data, run = train(build(), tmp_path, quiet=True)
    assert run.status == "finished"
    again = sn.load(run.path, model=build())
    one, other = (found.predict(data[0])[0].scores_K for found in (run, again))
    assert torch.equal(one, other)
    with pytest.raises(UsageError, match="your module Sequential raised on a batch of shape"):
        train(nn.Sequential(nn.LazyLinear(4), nn.Linear(3, 10)), tmp_path)
