"""AlexNet, Krizhevsky 2012 figure 2; its one-tower form arXiv:1404.5997; ZFNet arXiv:1311.2901.

x_BCHW -> conv 11x11 or 7x7 -> conv 5x5 -> three conv 3x3 -> fc 4096 -> fc 4096 -> logits_BK
On two GPUs conv 2, 4 and 5 saw only their own half of the maps: two groups. ZFNet looks closer
(7x7, stride 2), because the first layer's filters were seen to be coarse and dead.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..nn.response_norm import response_norm_of
from ._columns import Count, Natural, Share
from ._network import Network
from ._parts import classifier, conv_relu, he_init
from ._row import Row


@dataclass(frozen=True)
class AlexNet(Row):
    """Columns for the five convolutions in order; pooling follows the first, second and fifth.

    >>> AlexNet(0, 0, hidden=8).make(10).stages
    ('conv1', 'conv2', 'conv3', 'conv4', 'conv5')
    """

    kernels: tuple[Count, Count] = (11, 5)  # of the first two convolutions; the others are 3x3
    strides: tuple[Count, Count] = (4, 1)
    paddings: tuple[Natural, Natural] = (2, 2)
    widths: tuple[Count, Count, Count, Count, Count] = (64, 192, 384, 256, 256)
    groups: tuple[Count, Count, Count, Count, Count] = (1, 1, 1, 1, 1)
    norm: Literal["none", "before", "after"] = (
        "none"  # response normalisation before or after the first two pools
    )
    ceil: bool = False  # pooling rounds up
    hidden: Count = 4096
    dropout: Share = 0.5
    dropout_before: bool = False  # each hidden layer, not after it
    family = "AlexNet"
    paper = "Krizhevsky 2012"
    names = ("features.# classifier.#",)
    thin = {"widths": (8, 16, 16, 16, 16), "hidden": 32}
    thin_size = 67

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        kernels, strides, paddings = (
            (*given, *(usual,) * 3)
            for given, usual in ((self.kernels, 3), (self.strides, 1), (self.paddings, 1))
        )
        stages: dict[str, nn.Module] = {}
        cin = channels
        for i, width in enumerate(self.widths):
            stage = conv_relu(
                cin, width, kernels[i], strides[i], padding=paddings[i], groups=self.groups[i]
            )
            stages[f"conv{i + 1}"] = stage.extend(self._pooling(i))
            cin = width
        fcs = classifier(cin * 36, self.hidden, classes, self.dropout, before=self.dropout_before)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten(), *fcs)
        return he_init(Network(stages, head, channels))

    def _pooling(self, i: int) -> list[nn.Module]:
        pool = [nn.MaxPool2d(3, 2, ceil_mode=self.ceil)] if i in (0, 1, 4) else []
        norm = [response_norm_of()] if self.norm != "none" and i < 2 else []
        return [*norm, *pool] if self.norm == "before" else [*pool, *norm]


TABLE = {
    "tv:alexnet": AlexNet(
        61_100_840, 714_188_480, dropout_before=True, top1=(56.522, "IMAGENET1K_V1")
    ),
    "paper:alexnet_2gpu": AlexNet(
        60_965_224,
        724_406_816,
        paddings=(0, 2),
        widths=(96, 256, 384, 384, 256),
        groups=(1, 2, 1, 2, 2),
        norm="before",
        input=(3, 227, 227),
    ),
    "paper:zfnet": AlexNet(
        62_357_608,
        1_168_032_896,
        kernels=(7, 5),
        strides=(2, 2),
        paddings=(1, 0),
        widths=(96, 256, 384, 384, 256),
        norm="after",
        ceil=True,
        family="ZFNet",
        paper="arXiv:1311.2901",
    ),
}
