"""A small convolutional network for records in speed, after airbench (arXiv:2404.00498).

x_BCHW -> whitening, 2x2, not learnt -> three blocks that each halve H and W -> logits_BK
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 2  # pixels a side that are whitened together
EPSILON = 5e-4  # added to the variances: directions that hardly vary are mostly noise


class Filters(nn.Module):
    """A convolution whose filters are the rows of a matrix, as torch.optim.Muon wants them.

    The matrix lies in memory as channels_last does, so nothing is copied.
    """

    def __init__(self, before: int, after: int, side: int = 3) -> None:
        super().__init__()
        self.before, self.side = before, side
        self.weight_OF = nn.Parameter(torch.empty(after, side * side * before))

    def as_filters(self) -> Tensor:
        """The same numbers as weight_OIHW."""
        shape = (-1, self.side, self.side, self.before)
        return self.weight_OF.view(shape).permute(0, 3, 1, 2)

    @torch.no_grad()
    def reset(self) -> None:
        """Random, but the first filters hand their maps on unchanged."""
        nn.init.kaiming_uniform_(self.weight_OF, a=5**0.5)
        nn.init.dirac_(self.as_filters()[: self.before])

    def forward(self, x: Tensor) -> Tensor:
        """x_BIHW -> x_BOHW."""
        return F.conv2d(x, self.as_filters(), padding=self.side // 2)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm that learns no scale; its running statistics keep pace with a short training."""
    layer = nn.BatchNorm2d(channels, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


class SpeedNet(nn.Module):
    """`whiten` once on training pictures, then train all that asks for a gradient."""

    def __init__(self, widths: tuple[int, ...], channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        stem = 2 * channels * PATCH * PATCH
        self.first = nn.Conv2d(channels, stem, PATCH)
        self.first.weight.requires_grad_(False)
        layers: list[nn.Module] = [nn.GELU()]
        for before, after in zip((stem, *widths), widths, strict=False):
            layers += [Filters(before, after), nn.MaxPool2d(2), norm(after), nn.GELU(),
                       Filters(after, after), norm(after), nn.GELU()]  # fmt: skip
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes, bias=False)
        self.reset()

    def reset(self) -> None:
        """New weights in the same tensors: what was compiled stays."""
        for layer in self.modules():
            if isinstance(layer, Filters):
                layer.reset()
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
        nn.init.normal_(self.head.weight)

    @torch.no_grad()
    def whiten(self, x_BCHW: Tensor) -> None:
        """The first layer's outputs on these pictures get mean 0 and covariance I.

        Each direction comes twice, with both signs, as what follows it is nearly a ReLU.
        """
        windows = x_BCHW.float().unfold(2, PATCH, 1).unfold(3, PATCH, 1)
        patches_ND = windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)
        mean_D = patches_ND.mean(0)
        apart_ND = patches_ND - mean_D
        variances_K, directions_DK = torch.linalg.eigh(apart_ND.T @ apart_ND / len(apart_ND))
        rows_KD = (directions_DK * (variances_K + EPSILON).rsqrt()).T
        rows_KD = torch.cat([rows_KD, -rows_KD])
        self.first.weight.copy_(rows_KD.view_as(self.first.weight))
        self.first.bias.copy_(-rows_KD @ mean_D)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> logits_BK."""
        maps = self.blocks(self.first(x)).amax((2, 3))
        return self.head(maps) / maps.shape[1]
