"""Networks that find boxes: what they give, at the sizes that they take."""

import pytest
import torch

import snellen as sn
from snellen.models import listing, row

NAMES = listing("detect")


def thin(name, classes=3):
    return sn.model(name, classes=classes, **row(name).thin)


@pytest.mark.parametrize("name", NAMES)
def test_maps_have_the_strides_that_the_style_says(name):
    net = thin(name).eval()
    style = net.head.style(3, {"9": [[8.0, 8.0]] * 9, "5": [[8.0, 8.0]] * 5})
    with torch.no_grad():
        maps = net(torch.zeros(2, 3, 64, 96))
    for stride, raw in zip(style["strides"], maps, strict=True):
        assert raw.shape[-2:] == (64 // stride, 96 // stride)
        assert len(raw) == 2
