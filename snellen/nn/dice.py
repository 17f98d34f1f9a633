"""The Dice loss of segmentation (arXiv:1606.04797): overlap, which large grounds cannot hide."""

from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part
from ._labels import check_floats, holds

PARTS = {
    "Dice loss": Part(
        "Losses", "sn.nn.dice_loss", "1 - 2|A and B| / (|A| + |B|), mean over the classes", "003"
    ),
}


def dice_loss(logits_BKHW: Tensor, true_BHW: Tensor, *, ignore: int = 255) -> Tensor:
    """logits_BKHW, true_BHW -> 1 - the mean over the classes that occur of their soft Dice.

    Counted over the whole batch; pixels of class `ignore` do not count. Raises
    UsageError for shapes and labels that do not fit.

    >>> import torch
    >>> true = torch.tensor([[[0, 1, 255]]])
    >>> dice_loss(torch.tensor([[[[40.0, -40, 0]], [[-40, 40, 0]]]]), true)
    tensor(0.)
    """
    check_floats(logits_BKHW, "scores")
    if logits_BKHW.ndim != 4 or true_BHW.shape != logits_BKHW[:, 0].shape:
        raise UsageError(
            f"scores of shape {tuple(logits_BKHW.shape)} and labels of shape "
            f"{tuple(true_BHW.shape)}; (B, K, H, W) and (B, H, W) are wanted"
        )
    if true_BHW.is_floating_point():
        raise UsageError(f"labels of {true_BHW.dtype}; class numbers are whole: use .long()")
    count = logits_BKHW.shape[1]
    if not holds((true_BHW == ignore) | ((true_BHW >= 0) & (true_BHW < count))):
        raise UsageError(
            f"labels outside 0..{count - 1}, and not {ignore}, which is ignored; "
            f"scores of {count} classes want these"
        )
    known_B1HW = (true_BHW != ignore)[:, None]
    said = logits_BKHW.softmax(1) * known_B1HW
    true = F.one_hot(true_BHW.where(known_B1HW[:, 0], 0).long(), count).movedim(-1, 1) * known_B1HW
    hits_K = (said * true).sum((0, 2, 3))
    true_K = true.sum((0, 2, 3))
    dice_K = 2 * hits_K / (said.sum((0, 2, 3)) + true_K).clamp(min=1)
    occurs_K = true_K > 0
    return ((1 - dice_K) * occurs_K).sum() / occurs_K.sum().clamp(min=1)
