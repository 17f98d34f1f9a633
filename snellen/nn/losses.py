"""Losses by the names that a recipe knows (`loss=`), and where PyTorch keeps those that it has.

A file of this folder offers a loss for classification by declaring `LOSSES`, name -> Loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.last import last_layer
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
        GROUP,
        "sn.nn.Loss, sn.nn.fit_head",
        "what `loss=` of a recipe finds; a file declares LOSSES of them",
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
    scale: float | None = None  # of a head with a scale: the one that `of` counts on


def fit_head(net: nn.Module, loss: Loss, classes: int) -> None:
    """Put the loss's own last layer in the place of the network's, where it needs one.

    The network's is what `core.last` finds; one of the loss's kind that is there already stays.
    Raises UsageError where the network does not end in `classes` linear outputs, or in a layer of
    another scale than the loss counts on.

    >>> from snellen.nn.cos_face import LOSSES
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> fit_head(net, LOSSES["am-softmax"], 3); net[2]
    CosineLinear(8, 3, scale=30)
    """
    if loss.head is None:
        return
    name, last = last_layer(net)
    if hasattr(last, "with_outputs"):
        scale = getattr(last, "scale", loss.scale)
        if loss.scale is not None and scale != loss.scale:
            raise UsageError(
                f"the network's last layer, {name}, has scale {scale}; this loss counts on "
                f"{loss.scale:g}: build the layer with scale={loss.scale:g}"
            )
        return
    if not name or not isinstance(last, nn.Linear) or last.out_features != classes:
        raise UsageError(
            f"this loss puts its own last layer in the place of a linear one of {classes} outputs;"
            f" this network {_said(name, last)}"
        )
    net.set_submodule(name, loss.head(last))


def _said(name: str, last: nn.Module | None) -> str:
    if last is None:
        return "has neither a linear layer nor a convolution"
    if not name:
        return f"is a single layer, {last}: put it into a Sequential"
    if isinstance(last, nn.Conv2d):
        return f"ends in a convolution, {name}: {last}; take another loss or another model"
    return f"ends in {name}: {last}; the last layer that is linear counts, or that of `head`"


LOSSES = {"cross-entropy": Loss("softmax and -log of the right class", F.cross_entropy,
                                can_smooth=True)}  # fmt: skip
