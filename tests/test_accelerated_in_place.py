"""What comes out of an accelerated layer may be changed in place, as out of any other layer."""

import copy

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.nn import quickest

LAST = {"memory_format": torch.channels_last}


@pytest.fixture(autouse=True, params=[False, True], ids=["library", "other"])
def one_way(request, monkeypatch):
    monkeypatch.setattr(quickest, "_read", lambda file: {})  # what another test has timed
    monkeypatch.setattr(quickest, "_is_quicker", lambda one, other: request.param)


class Added(nn.Module):
    """A residual sum in place, as torchvision's blocks have."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16))

    def forward(self, x):
        out = self.body(x)
        out += x
        return out


CONV = nn.Conv2d(16, 16, 3, padding=1)
NETS = {
    "relu": [CONV, nn.ReLU(inplace=True)],
    "relu6": [CONV, nn.ReLU6(inplace=True)],
    "strided": [nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU(inplace=True)],
    "depthwise": [nn.Conv2d(16, 16, 3, 2, 1, groups=16), nn.ReLU(inplace=True)],
    "transposed": [nn.ConvTranspose2d(16, 16, 2, 2), nn.ReLU(inplace=True)],
    "leaky": [CONV, nn.LeakyReLU(0.1, inplace=True), CONV],
    "norm": [CONV, nn.BatchNorm2d(16), nn.ReLU(inplace=True), CONV, nn.ReLU(inplace=True)],
    "norm alone": [CONV, nn.BatchNorm2d(16), nn.Hardswish(inplace=True)],
    "added": [Added(), nn.ReLU(inplace=True), Added()],
}


@pytest.mark.parametrize("name", NETS)
def test_a_change_in_place_behind_an_accelerated_layer_is_as_behind_a_plain_one(name):
    torch.manual_seed(0)
    plain = nn.Sequential(*copy.deepcopy(NETS[name])).to(**LAST)
    fast = sn.accelerate(copy.deepcopy(plain))
    x = torch.randn(2, 16, 6, 6).contiguous(**LAST)
    found = []
    for net in (plain, fast):
        leaf = x.clone().requires_grad_()
        out = net(leaf * 1)
        out.square().mean().backward()
        found.append([out.detach(), leaf.grad, *(p.grad for p in net.parameters())])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-6)
