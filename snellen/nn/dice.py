"""The Dice loss of segmentation (arXiv:1606.04797): overlap, which large grounds cannot hide."""

from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part

PARTS = {
    "Dice loss": Part(
        "Losses", "sn.nn.dice_loss", "1 - 2|A and B| / (|A| + |B|), mean over the classes", "003"
    ),
}


def dice_loss(logits_BKHW: Tensor, true_BHW: Tensor, *, ignore: int = 255) -> Tensor:
    """logits_BKHW, true_BHW -> 1 - the mean over the classes that occur of their soft Dice.

    Counted over the whole batch; pixels of class `ignore` do not count.

    >>> import torch
    >>> true = torch.tensor([[[0, 1, 255]]])
    >>> dice_loss(torch.tensor([[[[40.0, -40, 0]], [[-40, 40, 0]]]]), true)
    tensor(0.)
    """
    count = logits_BKHW.shape[1]
    known_B1HW = (true_BHW != ignore)[:, None]
    said = logits_BKHW.softmax(1) * known_B1HW
    true = F.one_hot(true_BHW.where(known_B1HW[:, 0], 0), count).movedim(-1, 1) * known_B1HW
    hits_K = (said * true).sum((0, 2, 3))
    true_K = true.sum((0, 2, 3))
    dice_K = 2 * hits_K / (said.sum((0, 2, 3)) + true_K).clamp(min=1)
    occurs_K = true_K > 0
    return ((1 - dice_K) * occurs_K).sum() / occurs_K.sum().clamp(min=1)
