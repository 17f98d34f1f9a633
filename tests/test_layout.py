"""Channels last for any network: what has four axes and no other; `accelerate` and a training."""

import copy

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.core.errors import UsageError
from snellen.nn._layout import channels_last, why_contiguous
from snellen.serve import bench
from snellen.tasks.compute import Compute


class Volumes(nn.Module):
    """Pictures -> a volume of depth 4 -> logits, with a table of five axes."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.deep = nn.Conv2d(1, 8, 3), nn.Conv3d(2, 4, 3)
        self.table = nn.Parameter(torch.ones(1, 1, 1, 1, 1))
        self.head = nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        volume = self.deep(self.flat(x).unflatten(1, (2, 4))) * self.table
        return self.head(volume.mean((2, 3, 4)))


@pytest.mark.parametrize(
    "place", [sn.accelerate, channels_last, Compute.of("cpu", None, True).place]
)
def test_networks_with_volumes_and_lazy_layers_are_taken(place):
    net = Volumes()
    x = torch.randn(2, 1, 8, 8)
    wanted = copy.deepcopy(net)(x)
    net(x).sum().backward()
    assert place(net) is net
    assert net.flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert net.flat.weight.grad.is_contiguous(memory_format=torch.channels_last)
    assert net.deep.weight.is_contiguous()
    torch.testing.assert_close(net(x), wanted)
    lazy = place(nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU()))
    assert lazy(x).shape == (2, 8, 6, 6)
    assert type(lazy[0]) is nn.Conv2d


def test_a_network_as_pytorch_lays_it_out():
    net = sn.model("resnet18", classes=10)
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)
    channels_last(net)
    pairs = zip(
        [*net.parameters(), *net.buffers()], [*twin.parameters(), *twin.buffers()], strict=True
    )
    assert all(a.stride() == b.stride() for a, b in pairs)


def test_training_a_network_with_volumes_channels_last(tmp_path):
    run = sn.train("digits", model=Volumes(), epochs=1, channels_last=True, quiet=True,
                   project=str(tmp_path), preflight="off")  # fmt: skip
    assert run.status == "finished"


@pytest.mark.parametrize("what", [3, "x", None, nn.Conv2d], ids=str)
def test_what_is_no_network_is_refused_by_name(what):
    with pytest.raises(
        UsageError, match=r"takes a network: an instance of nn.Module, not"
    ) as caught:
        sn.accelerate(what)
    assert repr(what) in str(caught.value)


class Viewed(nn.Module):
    """Flattens by `view`, which only contiguous maps allow."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(width * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        return self.head(maps.view(maps.size(0), -1))


@pytest.mark.parametrize("width", [8, 7000])  # of a step that is tiny, and of one that is not
def test_a_network_that_flattens_by_view_is_trained_as_it_is(width, tmp_path, capsys):
    x, y = torch.randint(256, (40, 8, 8), dtype=torch.uint8).numpy(), torch.arange(40).numpy() % 10
    run = sn.train((x, y), model=Viewed(width), epochs=1, project=str(tmp_path), preflight="off",
                   doctor=False, batch=20)  # fmt: skip
    assert run.status == "finished"
    assert "channels_last=False: the network raises so; write x.flatten(1)" in " ".join(
        capsys.readouterr().out.split()
    )


def test_who_stays_contiguous():
    volumes = why_contiguous(Volumes(), (1, 8, 8))
    assert volumes == ""
    assert why_contiguous(sn.model("lenet5", classes=10), (1, 32, 32)) == ""
    assert "x.view" in why_contiguous(Viewed(), (1, 8, 8))
    assert why_contiguous(Viewed(), (1, 8, 8), tried=False) == ""
    assert "no convolution" in why_contiguous(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), (1, 8, 8)
    )
    broken = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(5, 2))  # in either format
    assert why_contiguous(broken, (1, 8, 8)) == ""


def test_its_speed_is_measured_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "runtimes", dict)
    x, y = torch.randint(256, (40, 8, 8), dtype=torch.uint8).numpy(), torch.arange(40).numpy() % 10
    run = sn.train((x, y), model=Viewed(), epochs=1, project=str(tmp_path), preflight="off",
                   doctor=False, batch=20, quiet=True)  # fmt: skip
    rows, _ = run.bench(data=(x, y), seconds=0.01)
    assert [row.name for row in rows] == ["eager fp32", "eager bf16"]
