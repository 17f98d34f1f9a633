"""Channels last for any network: what has four axes and no other; `accelerate` and a training."""

import copy

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.core.errors import UsageError
from snellen.nn._layout import channels_last
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
