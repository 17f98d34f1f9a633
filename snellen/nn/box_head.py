"""One box and its class off a map: every cell says where the box would be, the believed ones count.

Cell by cell distances as in FCOS (arXiv:1904.01355), joined by a softmax over cells in place of
a choice: differentiable, and finer than a cell.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part

PARTS = {
    "Box head": Part(
        "Detection and segmentation", "sn.nn.BoxHead",
        "class and box of the one thing in an image, off a map of any size",
    )
}  # fmt: skip
USUAL_SIDE = 0.25  # of the picture: half a box's side before anything is learned


class BoxHead(nn.Linear):
    """x_BCHW -> (B, K + 4): K logits, then x1, y1, x2, y2 in shares of the picture's W and H.

    >>> BoxHead(8, 3)(torch.zeros(2, 8, 6, 6))[0, 3:]
    tensor([0.2500, 0.2500, 0.7500, 0.7500], grad_fn=<SliceBackward0>)
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, 1 + 4 + classes)
        self.classes = classes
        nn.init.normal_(self.weight, std=0.01)
        bias = torch.zeros(1 + 4 + classes)
        bias[1:5] = torch.tensor(USUAL_SIDE).expm1().log()  # the inverse of softplus
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, K + 4)."""
        said = super().forward(x.movedim(1, -1)).movedim(-1, 1)
        height, width = said.shape[-2:]
        belief_BP, box_B4P, class_BKP = said.flatten(2).split([1, 4, self.classes], 1)
        belief_BP = belief_BP.softmax(2)
        rows, cols = ((torch.arange(n, device=x.device) + 0.5) / n for n in (height, width))
        y_P, x_P = (v.flatten().to(said.dtype) for v in torch.meshgrid(rows, cols, indexing="ij"))
        left, top, right, bottom = F.softplus(box_B4P).unbind(1)
        edges_B4P = torch.stack([x_P - left, y_P - top, x_P + right, y_P + bottom], 1)
        box_B4 = (belief_BP * edges_B4P).sum(2)
        return torch.cat([(belief_BP * class_BKP).sum(2), box_B4], 1)
