"""FCN, arXiv:1411.4038: a classifier slid over the picture, its coarse maps enlarged.

x_BCHW -> logits_BKHW of the picture's size, whatever that is
FCN-32s enlarges the last map; 16s and 8s add what finer maps say, step by step. VGG-16's fc layers
are convolutions here too, with padding that keeps the size where the paper pads the picture by 100.
torchvision's has a ResNet that keeps an eighth of the size: strides turned into holes, no skips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.upsample import BilinearUp, crop
from ._columns import Count, Share
from ._names import Named
from ._network import Network
from ._parts import conv_bn, conv_relu, he_init
from ._row import Row
from .resnet import D50, D101, ResNet

NAMES = (
    "backbone.conv1 backbone.bn1 backbone.layer#.#.(conv# bn# downsample.#) "
    "aux_classifier.# classifier.#"
)


@dataclass(frozen=True)
class Fcn(Row):
    """`depths` and `widths` are VGG's; `hidden` and `kernel` fc6's, fc7 is 1x1. `skips` finer maps
    take part: 0 for 32s, 1 for 16s, 2 for 8s.
    """

    depths: tuple[Count, ...] = (2, 2, 3, 3, 3)
    widths: tuple[Count, ...] = (64, 128, 256, 512, 512)
    skips: Literal[0, 1, 2] = 2
    hidden: Count = 4096
    kernel: Literal[1, 3, 5, 7] = 7
    dropout: Share = 0.5
    norm: bool = False
    family = "Detection/segmentation"
    paper = "arXiv:1411.4038"
    task = "segment"
    input = (3, 500, 500)
    classes = 21
    thin = {"widths": (4, 4, 8, 8, 8), "depths": (1, 1, 1, 1, 1), "hidden": 8, "kernel": 3}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BKHW."""
        make = conv_bn if self.norm else conv_relu
        stages: dict[str, nn.Module] = {"image": nn.Identity()}
        cin = channels
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            convs = [make(cin if j == 0 else width, width, 3) for j in range(depth)]
            stages[f"block{i}"] = nn.Sequential(*convs, nn.MaxPool2d(2, ceil_mode=True))
            cin = width
        drop = nn.Dropout(self.dropout)
        fc6, fc7 = make(cin, self.hidden, self.kernel), make(self.hidden, self.hidden, 1)
        stages["fc"] = nn.Sequential(fc6, drop, fc7, drop)
        last = len(self.depths)
        finer = tuple(f"block{i}" for i in range(last - self.skips, last))
        widths = (self.hidden, *reversed(self.widths[last - self.skips - 1 : -1]))
        head = Skips(widths, classes, 1 << (last - self.skips))
        return he_init(Network(stages, head, channels, taps=("image", *finer, "fc")))


class Skips(nn.Module):
    """The picture and maps, fine to coarse -> logits_BKHW.

    A score of each map; the coarser ones' sum is doubled by weights that begin as bilinear and
    learn, the last one enlarged by bilinear weights that stay.
    """

    def __init__(self, widths: Sequence[int], classes: int, stride: int) -> None:
        super().__init__()
        scores = [nn.Sequential(nn.Conv2d(width, classes, 1)) for width in widths]
        ups = [nn.Sequential(BilinearUp(classes)) for _ in widths[1:]]
        self.outs = nn.ModuleList([*scores, *ups])
        self.stride, self.count = stride, len(scores)

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """[x_BCHW, maps ...] -> logits_BKHW."""
        picture, *maps = seen
        scores, ups = self.outs[: self.count], self.outs[self.count :]
        x = scores[0](maps.pop())
        for up, score in zip(ups, scores[1:], strict=True):
            finer = score(maps.pop())
            x = crop(up(x), _size(finer)) + finer
        x = F.interpolate(x, scale_factor=float(self.stride), mode="bilinear")
        return crop(x, _size(picture))


@dataclass(frozen=True)
class FcnResnet(Row):
    """`depths` are ResNet's; `aux` is a second head on its third stage, for training."""

    depths: tuple[Count, ...]
    aux: bool = False
    width: Count = 64
    family = "Detection/segmentation"
    paper = "arXiv:1411.4038"
    task = "segment"
    input = (3, 520, 520)
    classes = 21
    names = (Named("torchvision", NAMES),)
    thin = {"depths": (1, 1, 1, 1), "width": 8}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BKHW."""
        body = ResNet(0, 0, "bottleneck", self.depths, width=self.width).build(1, channels)
        stages = {"image": nn.Identity(), **{name: getattr(body, name) for name in body.stages}}
        for name, before, after in (("layer3", 1, 2), ("layer4", 2, 4)):
            _dilate(stages[name], before, after)
        widths = [4 * self.width << i for i in range(len(self.depths))]
        aux = {"layer3": _answer(widths[-2], classes)} if self.aux else None
        head = Enlarged(_answer(widths[-1], classes))
        taps = ("image", "layer4")
        return he_init(Network(stages, head, channels, aux=aux, aux_weight=0.5, taps=taps))


class Enlarged(nn.Module):
    """The picture and a map -> logits_BKHW, bilinear between the map's pixels."""

    def __init__(self, answer: nn.Module) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """[x_BCHW, map] -> logits_BKHW."""
        picture, x = seen
        return F.interpolate(self.answer(x), _size(picture), mode="bilinear")


def _answer(cin: int, classes: int) -> nn.Sequential:
    """A map -> logits of its size."""
    return nn.Sequential(
        conv_bn(cin, cin // 4, 3), nn.Dropout(0.1), nn.Conv2d(cin // 4, classes, 1)
    )


def _dilate(stage: Any, first: int, others: int) -> None:
    """No stride in a stage, but holes in its 3x3: of the first block, and of the others."""
    for i, block in enumerate(stage):
        for conv in (m for m in block.modules() if isinstance(m, nn.Conv2d)):
            conv.stride = (1, 1)
            if conv.kernel_size == (3, 3):
                conv.dilation = conv.padding = (others if i else first,) * 2


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


TABLE = {  #              parameters  multiply-adds
    "tv:fcn_resnet50": FcnResnet(32_957_013, 142_725_772_800, D50),
    "tv:fcn_resnet101": FcnResnet(51_949_141, 222_746_867_200, D101),
    "paper:fcn32s_vgg16": Fcn(134_346_581, 107_793_533_952, skips=0),
    "paper:fcn16s_vgg16": Fcn(134_357_690, 107_804_630_016, skips=1),
    "paper:fcn8s_vgg16": Fcn(134_363_423, 107_826_311_424),
    "fcn-small": Fcn(
        583_285, 173_520_576, (1, 1, 2, 2), (32, 64, 96, 128), 2, 128, 3, 0.1, True,
        input=(3, 96, 96), classes=7,
    ),
}  # fmt: skip
