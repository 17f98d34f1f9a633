"""What networks of two stages share: a pyramid of maps (arXiv:1612.03144), proposals, boxes."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.region_align import pyramid_align
from ..nn.two_stage import TwoStage
from ._parts import relu

BINS = 7  # a side of the grid that a region is read as
FAINT = 0.01  # deviation of the first stage's initial weights: no anchor is preferred


class FeaturePyramid(nn.Module):
    """Maps, fine to coarse -> as many of one width, each told what the coarser ones saw.

    With `pooled` one more, every second cell of the coarsest.
    """

    def __init__(self, widths: Sequence[int], width: int, *, pooled: bool) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(cin, width, 1) for cin in widths)
        self.outer = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in widths)
        self.pooled = pooled

    def forward(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """Maps -> maps of one width."""
        maps: list[Tensor] = []
        told: Tensor | None = None
        for x, inner, outer in reversed(list(zip(seen, self.inner, self.outer, strict=True))):
            here = inner(x)
            if told is not None:
                here = here + F.interpolate(told, size=here.shape[-2:], mode="nearest")
            told = here
            maps.insert(0, outer(here))
        return [*maps, F.max_pool2d(maps[-1], 1, 2)] if self.pooled else maps


class Proposals(nn.Module):
    """x_BCHW -> (B, A x (1 + 4), H, W): whether each anchor holds a thing, and the thing's box."""

    def __init__(self, width: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), relu())
        self.objectness = nn.Conv2d(width, anchors, 1)
        self.codes = nn.Conv2d(width, 4 * anchors, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> the raw map."""
        x = self.conv(x)
        return torch.cat([self.objectness(x), self.codes(x)], 1)


class PerClass(nn.Module):
    """x -> `count` numbers for nothing and for each class, by a layer of its own."""

    def __init__(self, layer: nn.Module, count: int = 1) -> None:
        super().__init__()
        self.layer, self.count = layer, count

    def forward(self, x: Tensor) -> Tensor:
        """x -> the layer's outputs."""
        return self.layer(x)

    def outputs(self, classes: int) -> int:
        """How many numbers there are."""
        return self.count * (1 + classes)


class TwoStageHead(nn.Module):
    """The body's maps -> raw of `sn.nn.TwoStage`: proposals, then regions read off the pyramid.

    `read` finest maps of the pyramid are read from. Told the truths, it reads a sample to learn.
    """

    def __init__(
        self, pyramid: FeaturePyramid, facts: TwoStage, *, width: int, hidden: int, read: int
    ) -> None:
        super().__init__()
        self.facts, self.read = facts, read
        self.pyramid = pyramid
        self.proposals = Proposals(width, len(facts.ratios) * len(facts.sides[0]))
        layers = OrderedDict(
            flatten=nn.Flatten(), fc6=nn.Linear(width * BINS**2, hidden), act6=relu(),
            fc7=nn.Linear(hidden, hidden), act7=relu(),
        )  # fmt: skip
        self.box = nn.Sequential(layers)
        self.outs = nn.ModuleList(
            PerClass(nn.Linear(hidden, count * (1 + facts.classes)), count) for count in (1, 4)
        )

    def forward(self, seen: Sequence[Tensor], told: Any = None) -> list[Tensor]:
        """Maps -> raw."""
        maps = self.pyramid(seen)
        raw = [self.proposals(m) for m in maps]
        regions = self.regions(raw, told)
        x = self.box(self.grids(maps, regions, BINS))
        said = [out(x).unflatten(0, regions.shape[:2]) for out in self.outs]
        return [*raw, regions, *said]

    def regions(self, raw: Sequence[Tensor], told: Any) -> Tensor:
        """Maps of the first stage -> the regions that are read, (B, P, 4), without gradients."""
        with torch.no_grad():
            high, wide = (side * self.facts.strides[0] for side in raw[0].shape[2:])
            regions = self.facts.propose(raw, (high, wide))
            return regions if told is None else self.facts.sample(regions, told)

    def grids(self, maps: Sequence[Tensor], regions: Tensor, bins: int) -> Tensor:
        """Maps of the pyramid, regions (B, P, 4) -> (B * P, C, bins, bins)."""
        strides = self.facts.strides[: self.read]
        return pyramid_align(
            maps[: self.read], regions, bins, strides=strides, aligned=not self.facts.corner
        ).flatten(0, 1)

    def style(self, classes: int, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of `sn.nn.TwoStage`, whose anchors are the network's and not the data's."""
        return {"name": self.facts.name, **replace(self.facts, classes=classes).as_dict()}


def start_faint(head: TwoStageHead) -> None:
    """Initial weights of the first stage that prefer no anchor, in place."""
    for layer in (head.proposals.objectness, head.proposals.codes):
        nn.init.normal_(layer.weight, std=FAINT)
