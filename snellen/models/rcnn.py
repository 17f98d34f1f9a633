"""Faster R-CNN (arXiv:1506.01497) on a pyramid of maps (arXiv:1612.03144), Mask R-CNN (1703.06870).

x_BCHW -> maps of the first stage, regions, their logits and codes; `sn.nn.TwoStage` says what they
mean. task=instances: then boxes, and logits of their masks (`sn.nn.MaskedTwoStage`); task=pose:
logits of where joints are in the boxes of people (`sn.nn.JointedTwoStage`).
`classes` are those of things; the class of nothing comes on top: torchvision's 91 are 90 here. Of
task=pose they are the joints, as in all its networks.
torchvision's weights want pixels standardised as ImageNet's, a shorter side of 800.
"""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from ..nn.two_stage import TwoStage
from ._columns import Block, Count, Factor, Share
from ._names import Named
from ._network import Network
from ._parts import conv_bn, he_init
from ._row import Row
from ._two_stage import FeaturePyramid, Joints, Masks, TwoStageHead, start_faint
from .resnet import ResNet

BODY = "backbone.body.conv1 backbone.body.bn1 backbone.body.layer#.#.(conv# bn# downsample.#) "
FIRST = (
    "backbone.fpn.inner_blocks.#.0 backbone.fpn.layer_blocks.#.0 rpn.head.conv.0.0 "
    "rpn.head.cls_logits rpn.head.bbox_pred roi_heads.box_head.fc# "
)
BOXES = " roi_heads.box_predictor.cls_score roi_heads.box_predictor.bbox_pred"
MASK_HEAD = "roi_heads.mask_head.#.0 roi_heads.mask_predictor.conv5_mask"
JOINTS = "roi_heads.keypoint_head.#"
JOINT_LOGITS = " roi_heads.keypoint_predictor.kps_score_lowres"
MASK_LOGITS = " roi_heads.mask_predictor.mask_fcn_logits"
THEIRS: dict[str, Any] = {"corner": True, "stem": "paper"}
PUBLISHED = {"eps": 1e-15}


@dataclass(frozen=True)
class Rcnn(Row):
    """`block`, `depths` and `base` are ResNet's; the last maps of the body go into a pyramid.

    The pyramid's maps are `width` wide, `pooled` adds one; each has anchors of `sides`. Of a
    picture's proposals `keep` are read, of `before` on each map; `regions` are learned from.
    Of `found` things masks are told, by convolutions as wide as `masks` (task=instances), or joints
    by those of `people` (task=pose). `stem` "halving" is one convolution of 6x6, stride 2. Regions
    of `usual` pixels are read from the map of 16 pixels a cell, smaller ones from finer maps. `eps`
    is that of norms; torchvision's published weights were learned with norms at rest, which have
    next to none (1e-15). `score` and `overlap` are of boxes that are told, as in `sn.nn.TwoStage`.
    """

    block: Block = "bottleneck"
    depths: tuple[Count, ...] = (3, 4, 6, 3)
    base: Count = 64
    stem: Literal["paper", "halving"] = "paper"
    width: Count = 256
    hidden: Count = 1024
    sides: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    pooled: bool = True
    before: Count = 1000
    keep: Count = 1000
    regions: Count = 512
    corner: bool = True
    usual: Factor = 224.0
    eps: Share = 1e-5
    score: Share = 0.05
    overlap: Share = 0.5
    found: Count = 100
    masks: tuple[Count, ...] = (256,) * 4
    people: tuple[Count, ...] = (512,) * 8
    family = "Detection/segmentation"
    paper = "arXiv:1506.01497"
    task: str = "detect"
    input = (3, 800, 800)
    classes = 90
    names = (
        Named("torchvision", BODY + FIRST + BOXES, THEIRS, published=PUBLISHED),
        Named(
            "torchvision",
            BODY + FIRST + MASK_HEAD + BOXES + MASK_LOGITS,
            THEIRS,
            published=PUBLISHED,
        ),
        Named(
            "torchvision", BODY + FIRST + JOINTS + BOXES + JOINT_LOGITS, THEIRS, published=PUBLISHED
        ),
    )
    thin = {
        "block": "basic", "depths": (1, 1, 1, 1), "base": 4, "width": 8, "hidden": 8,
        "before": 20, "keep": 8, "regions": 16, "found": 4, "masks": (4,),
        "people": (4,),
    }  # fmt: skip

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> raw."""
        body = ResNet(0, 0, self.block, self.depths, width=self.base).build(1, channels)
        stages = {name: getattr(body, name) for name in body.stages}
        if self.stem == "halving":
            stages["stem"] = conv_bn(channels, self.base, 6, 2, padding=2)
        read = len(self.sides) - self.pooled
        first = (4 if self.stem == "paper" else 2) << (len(self.depths) - read)
        things = 1 if self.task == "pose" else classes
        facts = TwoStage(
            things, self.sides, [first << i for i in range(len(self.sides))],
            before=self.before, keep=self.keep, regions=self.regions, corner=self.corner,
            usual=self.usual, score=self.score, overlap=self.overlap,
        )  # fmt: skip
        wide = 4 if self.block == "bottleneck" else 1
        widths = [wide * self.base << i for i in range(len(self.depths))][-read:]
        pyramid = FeaturePyramid(widths, self.width, pooled=self.pooled)
        branch = self._branch(classes)
        head = TwoStageHead(
            pyramid, facts, width=self.width, hidden=self.hidden, read=read, branch=branch
        )
        net = he_init(Network(stages, head, channels, taps=body.stages[-read:]))
        start_faint(head)
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = self.eps
        return net

    def _branch(self, classes: int) -> Masks | Joints | None:
        """What is asked of each thing beside its box."""
        if self.task == "pose":
            return Joints(self.width, self.people, classes, found=self.found)
        return Masks(self.width, self.masks, self.found) if self.task == "instances" else None


SMALL: dict[str, Any] = {
    "block": "basic", "depths": (1, 1, 1, 1), "base": 16, "stem": "halving", "width": 48,
    "hidden": 128, "sides": ((12.0,), (20.0,), (34.0,)), "pooled": False, "before": 100,
    "keep": 100, "regions": 32, "corner": False, "usual": 96.0, "found": 100,
    "masks": (32,), "input": (3, 96, 96), "classes": 6,
}  # fmt: skip
MASKED: dict[str, Any] = {"task": "instances", "paper": "arXiv:1703.06870"}

TABLE = {  #                           parameters  multiply-adds
    "tv:fasterrcnn_resnet50_fpn": Rcnn(41_808_406, 134_379_721_216),
    "tv:keypointrcnn_resnet50_fpn": Rcnn(
        59_190_378, 483_470_127_616, task="pose", classes=17, paper="arXiv:1703.06870"
    ),
    "tv:maskrcnn_resnet50_fpn": Rcnn(44_454_513, 187_586_351_616, **MASKED),
    "faster_rcnn-small": Rcnn(725_810, 105_008_192, **SMALL, score=0.005, overlap=0.6),
    "mask_rcnn-small": Rcnn(744_025, 473_801_792, **SMALL, **MASKED),
    "keypoint_rcnn-small": Rcnn(
        816_487, 471_976_512, **{**SMALL, "classes": 14, "found": 20, "regions": 16}, task="pose",
        people=(48,) * 4, paper="arXiv:1703.06870",
    ),
}  # fmt: skip
