"""The head of networks of two stages: a pyramid of maps (arXiv:1612.03144), proposals, boxes, and
what else is asked of each thing.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..nn.anchors import kmeans_anchors
from ..nn.asked import ask
from ..nn.detector import Style
from ..nn.fast_rcnn import is_region
from ..nn.region_align import pyramid_align, pyramid_level
from ..nn.two_stage import TwoStage
from ..nn.two_stage_joints import JointedTwoStage
from ..nn.two_stage_masks import MaskedTwoStage
from ._parts import conv_relu, relu

BINS, MORE_BINS = 7, 14  # a side of the grid that a region is read as; for masks and joints
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
    """x -> `count` numbers for nothing and for each class, by a layer of its own. With `only` there
    are that many classes, whatever is asked for.
    """

    def __init__(self, layer: nn.Module, count: int = 1, *, only: int = 0) -> None:
        super().__init__()
        self.layer, self.count, self.only = layer, count, only

    def forward(self, x: Tensor) -> Tensor:
        """x -> the layer's outputs."""
        return self.layer(x)

    def outputs(self, classes: int) -> int:
        """How many numbers there are."""
        return self.count * (1 + (self.only or classes))


class TwoStageHead(nn.Module):
    """The body's maps -> raw of `sn.nn.TwoStage`: proposals, then regions read off the pyramid.

    The `read` finest maps of the pyramid are read from. Told the truths, it reads a sample to
    learn. With a `branch` the raw answer goes on with what was asked of it and what it said.
    """

    graphless = "what its second stage reads is chosen by the scores of the first"  # no export

    def __init__(
        self,
        pyramid: FeaturePyramid,
        facts: TwoStage,
        *,
        width: int,
        hidden: int,
        read: int,
        branch: "Masks | Joints | None" = None,
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
        self.branch = branch
        kinds, only = 1 + facts.classes, facts.classes * isinstance(branch, Joints)
        self.outs = nn.ModuleList(
            PerClass(nn.Linear(hidden, n * kinds), n, only=only) for n in (1, 4)
        )
        if branch is not None:
            self.outs.append(branch.last(facts.classes))

    def forward(self, seen: Sequence[Tensor], told: Any = None) -> list[Tensor]:
        """Maps -> raw."""
        maps = self.pyramid(seen)
        raw = [self.proposals(m) for m in maps]
        size = self.size(raw)
        with torch.no_grad():
            regions = self.facts.propose(raw, size)
            regions = regions if told is None else self.facts.sample(regions, told)
        x = self.box(self.grids(maps, regions, BINS))
        raw += [regions, *(out(x).unflatten(0, regions.shape[:2]) for out in self.outs[:2])]
        if self.branch is None:
            return raw
        with torch.no_grad():
            asked = ask(self.facts, raw, size, count=self.branch.found, told=told)
            asked = asked if asked.is_meta else asked[:, : most_regions(asked[..., :4])]
        grids = self.grids(maps, asked[..., :4], MORE_BINS)
        said = self.branch(grids, asked[..., 5].flatten().long(), *self.outs[2:])
        return [*raw, asked, said.unflatten(0, asked.shape[:2])]

    def size(self, raw: Sequence[Tensor]) -> tuple[int, int]:
        """Maps of the first stage -> the picture's H, W."""
        high, wide = (side * self.facts.strides[0] for side in raw[0].shape[2:])
        return high, wide

    def grids(self, maps: Sequence[Tensor], regions: Tensor, bins: int) -> Tensor:
        """Maps of the pyramid, regions (B, P, 4) -> (B * P, C, bins, bins)."""
        facts, strides = self.facts, self.facts.strides[: self.read]
        level = pyramid_level(regions, strides, facts.usual)
        return pyramid_align(
            maps[: self.read], regions, bins,
            strides=strides, level_BP=level, aligned=not facts.corner,
        ).flatten(0, 1)  # fmt: skip

    def make_room(self, most: int) -> None:
        """Read so many regions, and ask so many of them, at least."""
        facts = self.facts
        self.facts = replace(facts, before=max(facts.before, most), keep=max(facts.keep, most))
        if self.branch is not None:
            self.branch.found = max(self.branch.found, most)

    def style(self, classes: int, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of the style, of boxes or of masks. Raises UsageError for one of people."""
        if isinstance(self.branch, Joints):
            raise UsageError(
                "this network tells people and their joints, which task=pose trains and judges"
            )
        facts = self._fitted(classes, anchors)
        style: Style = facts if self.branch is None else self.branch.style(facts)
        return {"name": style.name, **style.as_dict()}

    def of(self, joints: int, limbs: int) -> "TwoStageHead":
        """This head for a body of so many joints. Raises UsageError where it tells none."""
        if not isinstance(self.branch, Joints):
            raise UsageError(
                "this network tells things and no joints; task=pose wants keypoint_rcnn-small, "
                "openpose-small or another of their families; `snellen models` lists them"
            )
        if joints != self.branch.joints:
            self.branch.joints = joints
            (maps,) = self.outs[2].children()
            assert isinstance(maps, JointMaps)
            self.outs[2] = nn.Sequential(maps.with_outputs(joints))
        return self

    def people(self, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """What task=pose notes of a network that tells joints."""
        assert isinstance(self.branch, Joints)
        return {"style": self.branch.style(self._fitted(1, anchors)).as_dict()}

    def _fitted(self, classes: int, anchors: Mapping[str, Any]) -> TwoStage:
        """The facts of boxes. The sides of anchors are taken from those of the data, but
        torchvision's stay: its weights know no others.
        """
        facts = replace(self.facts, classes=classes)
        if anchors and not facts.corner:
            sizes_A2 = torch.tensor(max(anchors.values(), key=len))
            facts = self.facts = replace(facts, sides=fitted_sides(sizes_A2, facts.sides))
        return facts


class Masks(nn.Module):
    """Grids (N, C, 14, 14) and classes_N -> the logits of a mask of each one's class (N, 28, 28).

    3x3 convolutions of `widths`, then a transposed one that doubles the sides.
    """

    def __init__(self, cin: int, widths: Sequence[int], found: int) -> None:
        super().__init__()
        self.found, self.width = found, widths[-1]
        pairs = zip([cin, *widths], widths, strict=False)
        self.convs = nn.Sequential(*(conv_relu(a, b, 3) for a, b in pairs))
        self.up = nn.Sequential(nn.ConvTranspose2d(self.width, self.width, 2, 2), relu())

    def forward(self, grids: Tensor, label_N: Tensor, out: nn.Module) -> Tensor:
        """Grids, classes, the layer that tells the classes apart -> logits."""
        logits = out(self.up(self.convs(grids)))
        return logits.take_along_dim(1 + label_N[:, None, None, None], 1)[:, 0]

    def last(self, classes: int) -> nn.Module:
        """The layer that tells the masks of classes apart."""
        return PerClass(nn.Conv2d(self.width, 1 + classes, 1))

    def style(self, facts: TwoStage) -> MaskedTwoStage:
        """What the raw answer means."""
        return MaskedTwoStage(facts, self.found, 2 * MORE_BINS)


class Joints(nn.Module):
    """Grids (N, C, 14, 14) -> logits of each joint's bins (N, J, 56, 56).

    3x3 convolutions of `widths`, a transposed one to 28 bins, and those are interpolated.
    """

    def __init__(self, cin: int, widths: Sequence[int], joints: int, *, found: int) -> None:
        super().__init__()
        self.found, self.joints, self.width = found, joints, widths[-1]
        pairs = zip([cin, *widths], widths, strict=False)
        self.convs = nn.Sequential(*(conv_relu(a, b, 3) for a, b in pairs))

    def forward(self, grids: Tensor, label_N: Tensor, out: nn.Module) -> Tensor:
        """Grids, classes, which do not matter here, the last layer -> logits."""
        said = out(self.convs(grids))
        return F.interpolate(said, scale_factor=2, mode="bilinear", align_corners=False)

    def last(self, classes: int) -> nn.Module:
        """The layer that tells joints apart."""
        return nn.Sequential(JointMaps(self.width, self.joints, 4, 2, 1))

    def style(self, facts: TwoStage) -> JointedTwoStage:
        """What the raw answer means."""
        return JointedTwoStage(facts, self.joints, 4 * MORE_BINS)


class JointMaps(nn.ConvTranspose2d):
    """x_NCHW -> logits (N, J, 2H, 2W), a map for each joint; can be made again for other joints."""

    def with_outputs(self, joints: int) -> nn.ConvTranspose2d:
        """Such a layer for some joints."""
        fresh = JointMaps(self.in_channels, joints, 4, 2, 1).to(self.weight)
        assert fresh.bias is not None
        nn.init.normal_(fresh.weight, std=FAINT)
        nn.init.zeros_(fresh.bias)
        return fresh


def fitted_sides(
    sizes_A2: Tensor, sides: Sequence[Sequence[float]]
) -> tuple[tuple[float, ...], ...]:
    """Widths and heights of the data's boxes, sides of each map -> as many sides that suit them.

    >>> fitted_sides(torch.tensor([[4.0, 9], [5, 8], [20, 20], [90, 10]]), ((1.0,), (2.0,)))
    ((6.0,), (20.0,))
    """
    count, each = sum(len(some) for some in sides), len(sides[0])
    side_N = sizes_A2.prod(1).sqrt().unique()
    if len(side_N) > count:
        side_N = kmeans_anchors(side_N[:, None].expand(-1, 2), count)[0][:, 0]
    rows = torch.linspace(0, len(side_N) - 1, count).round().long()  # too few: some of them twice
    told = [round(side, 1) for side in side_N[rows].tolist()]
    return tuple(tuple(told[i : i + each]) for i in range(0, count, each))


def most_regions(boxes_BD4: Tensor) -> int:
    """How many rows hold the regions of every image of a batch, which come first; at least one.

    >>> most_regions(torch.tensor([[[0.0, 0, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0]]]))
    1
    """
    return max(1, int(is_region(boxes_BD4).sum(1).amax()))


def start_faint(head: TwoStageHead) -> None:
    """Initial weights of the first stage that prefer no anchor, of joints that prefer no bin, in
    place.
    """
    maps = [layer for layer in head.modules() if isinstance(layer, JointMaps)]
    for layer in (head.proposals.objectness, head.proposals.codes, *maps):
        nn.init.normal_(layer.weight, std=FAINT)
