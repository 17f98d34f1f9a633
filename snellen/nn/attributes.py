"""Several yes-or-no attributes an image (notes 003): a binary classifier each, no softmax.

scores_BA: one score an attribute, above 0 for yes.
"""

from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part
from ._labels import check_same, holds, reduce

PARTS = {
    "Per-attribute hinge": Part(
        "Losses", "sn.nn.attribute_hinge",
        "sum over attributes of max(0, 1 - y f), y = +-1; MultiLabelMarginLoss is another loss",
        "003",
    ),
    "Per-attribute logistic": Part(
        "Losses",
        "sn.nn.attribute_logistic, torch.nn.functional.binary_cross_entropy_with_logits",
        "sum over attributes of the binary cross-entropy",
        "003",
    ),
}  # fmt: skip


def attribute_hinge(scores_BA: Tensor, signs_BA: Tensor, *, reduction: str = "mean") -> Tensor:
    """scores_BA, signs_BA (+1 or -1) -> sum over attributes of max(0, 1 - y f), mean over B.

    Raises UsageError for shapes that differ and for signs that are neither +1 nor -1.

    >>> import torch
    >>> attribute_hinge(torch.tensor([[2.0, 0.25, -0.5]]), torch.tensor([[1, -1, -1]]))
    tensor(1.7500)
    """
    check_same(scores_BA, signs_BA, "scores and signs")
    if not holds(signs_BA.abs() == 1):
        raise UsageError("signs must be +1 (has the attribute) or -1; of 0 and 1 make 2 * y - 1")
    short_BA = (1 - signs_BA * scores_BA).clamp(min=0)
    return reduce(short_BA.flatten(1).sum(1), reduction)


def attribute_logistic(scores_BA: Tensor, labels_BA: Tensor, *, reduction: str = "mean") -> Tensor:
    """scores_BA, labels_BA (0 to 1) -> sum over attributes of the binary cross-entropy, mean over
    the batch. Raises UsageError for shapes that differ and for labels outside 0..1.

    >>> import torch
    >>> attribute_logistic(torch.zeros(1, 3), torch.tensor([[1, 0, 1]]))  # 3 ln 2
    tensor(2.0794)
    """
    check_same(scores_BA, labels_BA, "scores and labels")
    if not holds((labels_BA >= 0) & (labels_BA <= 1)):
        raise UsageError("labels must lie in 0..1; of signs +1 and -1 make (y + 1) / 2")
    target_BA = labels_BA.to(scores_BA.dtype)
    loss_BA = F.binary_cross_entropy_with_logits(scores_BA, target_BA, reduction="none")
    return reduce(loss_BA.flatten(1).sum(1), reduction)
