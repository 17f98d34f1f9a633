"""What losses ask of their inputs, so that a wrong shape is told in words and not by an index."""

import torch
from torch import Tensor

from ..core.errors import UsageError


def check_labels(scores_BK: Tensor, labels_B: Tensor) -> Tensor:
    """scores_BK, labels_B of any whole type -> labels_B as int64, fit for indexing.

    One row of scores and one class number in 0..K-1 for each sample, else UsageError.
    """
    if scores_BK.ndim != 2 or labels_B.shape != scores_BK.shape[:1]:
        raise UsageError(
            f"scores of shape {tuple(scores_BK.shape)} and labels of shape "
            f"{tuple(labels_B.shape)}; (B, K) and (B,) are wanted, one class number a sample"
        )
    if labels_B.dtype.is_floating_point or labels_B.dtype is torch.bool:
        raise UsageError(
            f"labels of {labels_B.dtype}; class numbers are whole: use labels.long(), "
            "or labels.argmax(1) where they are one-hot"
        )
    if labels_B.numel() and can_look(labels_B):
        low, high = labels_B.aminmax()
        if low < 0 or high >= scores_BK.shape[1]:
            raise UsageError(
                f"labels reach from {int(low)} to {int(high)}; scores of {scores_BK.shape[1]} "
                f"classes want 0..{scores_BK.shape[1] - 1}"
            )
    return labels_B.long()  # as an index PyTorch reads uint8 as a mask


def check_floats(x: Tensor, what: str) -> None:
    """A tensor of floats, else UsageError; `what` names it, as in "scores"."""
    if not x.is_floating_point():
        raise UsageError(f"{what} of {x.dtype}; floats are wanted: use .float()")


def check_weight(features_BD: Tensor, weight_KD: Tensor) -> None:
    """Features and class vectors of one width, else UsageError."""
    if features_BD.ndim != 2 or weight_KD.ndim != 2 or features_BD.shape[1] != weight_KD.shape[1]:
        raise UsageError(
            f"features of shape {tuple(features_BD.shape)} and class vectors of shape "
            f"{tuple(weight_KD.shape)}; (B, D) and (K, D) are wanted"
        )


def check_same(one: Tensor, other: Tensor, what: str) -> None:
    """Two tensors of one shape, else UsageError; `what` names them, as in "scores and signs"."""
    if one.shape != other.shape:
        raise UsageError(f"{what} have shapes {tuple(one.shape)} and {tuple(other.shape)}; "
                         "they must be the same")  # fmt: skip


def widen(x: Tensor) -> Tensor:
    """The same in float32 at least, as autocast has PyTorch's own losses.

    In half precision a logsumexp of 30 and its right logit are the same number.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def margin_loss(logits_BK: Tensor, labels_B: Tensor, reduction: str) -> Tensor:
    """Cross-entropy of logits that a margin has changed: mean, sum or none.

    Not F.cross_entropy: with a margin the first loss is not ln K, and who watches calls of that
    function (the doctor) would take these logits for the network's and be alarmed.
    """
    logits_BK = widen(logits_BK)
    right_B = logits_BK.gather(1, labels_B[:, None])[:, 0]
    return reduce(logits_BK.logsumexp(1) - right_B, reduction)


def holds(flags: Tensor) -> bool:
    """Whether all are true; taken on trust where a look would wait for another device."""
    return not can_look(flags) or bool(flags.all())


def can_look(x: Tensor) -> bool:
    """Whether values can be read at no cost: elsewhere one would wait, or break what compiles."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def check_reduction(how: str) -> None:
    """One of PyTorch's three words, else UsageError."""
    if how not in ("mean", "sum", "none"):
        raise UsageError(f"reduction={how!r} is not one of mean, sum, none")


def reduce(losses_B: Tensor, how: str) -> Tensor:
    """mean, sum or none of the losses of a batch's samples, as PyTorch's losses have it.

    The mean of no samples is NaN, as in PyTorch.
    """
    check_reduction(how)
    return losses_B if how == "none" else losses_B.mean() if how == "mean" else losses_B.sum()
