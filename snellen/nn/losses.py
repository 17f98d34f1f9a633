"""Losses by the names that a recipe knows (`loss=`), and where PyTorch keeps those that it has.

A file of this folder offers a loss for classification by declaring `LOSSES`, name -> Loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part

GROUP = "Losses"
PARTS = {
    "Cross-entropy, softmax": Part(
        GROUP,
        "torch.nn.functional.cross_entropy",
        "-log softmax(f)_y; ln K before any learning; its gradient is p - y",
        "001 003 004",
    ),
    "Cross-entropy, binary (logistic)": Part(
        GROUP,
        "torch.nn.functional.binary_cross_entropy_with_logits",
        "-[y log p + (1-y) log(1-p)]; its gradient is sigma(f) - y",
        "001 003",
    ),
    "Squared error (L2)": Part(
        GROUP,
        "torch.nn.functional.mse_loss",
        "(f - y)^2; an outlier pulls in proportion to its distance",
        "003 004",
    ),
    "Absolute error (L1)": Part(
        GROUP,
        "torch.nn.functional.l1_loss",
        "|f - y|; an outlier pulls no harder than any other",
        "003 004",
    ),
    "Smooth L1 / Huber": Part(
        GROUP,
        "torch.nn.functional.smooth_l1_loss, torch.nn.functional.huber_loss",
        "quadratic up to beta, linear beyond; huber = beta * smooth_l1",
        "004",
    ),
    "A loss by name": Part(
        GROUP, "sn.nn.Loss", "what `loss=` of a recipe finds; a file declares LOSSES of them"
    ),
    "Label smoothing": Part(
        GROUP,
        "torch.nn.CrossEntropyLoss",
        "label_smoothing=e gives every class e/K of each label",
    ),
}


@dataclass(frozen=True)
class Loss:
    """How a classifier may be trained: logits_BK, labels_B -> loss, a mean over the batch.

    `head` takes the place of the network's last linear layer, where the loss needs another one;
    `can_smooth` says that `of` takes label_smoothing.

    >>> LOSSES["cross-entropy"].can_smooth
    True
    """

    about: str
    of: Callable[..., Tensor]
    head: Callable[[nn.Linear], nn.Module] | None = None
    can_smooth: bool = False


LOSSES = {"cross-entropy": Loss("softmax and -log of the right class", F.cross_entropy,
                                can_smooth=True)}  # fmt: skip
