"""What a last activation can put out at all, and how much of a target lies beyond it."""

from typing import Any

from torch import Tensor

REACH = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, None)}
MARGIN = 0.05  # a target so little outside is rounding, or noise
MADE = {f"{name.title()}Backward0": name for name in REACH}
SHAPED = (
    "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward0",
    "SqueezeBackward1", "SqueezeBackward2", "UnsqueezeBackward0", "SelectBackward0",
    "SliceBackward0", "TransposeBackward0", "PermuteBackward0", "TBackward0", "CloneBackward0",
    "ToCopyBackward0", "AliasBackward0",
)  # fmt: skip


def activation_behind(x: Tensor) -> str:
    """A tensor with its graph -> the activation that made its values; "" where it was another.

    >>> import torch; z = torch.zeros(4, 1, requires_grad=True)
    >>> activation_behind(z.sigmoid().squeeze(1)), activation_behind(3 * z.sigmoid())
    ('sigmoid', '')
    """
    node: Any = x.grad_fn
    while node is not None and node.name() in SHAPED:
        node = node.next_functions[0][0]
    return MADE.get(node.name(), "") if node is not None else ""


def share_beyond(target: Tensor, activation: str) -> float:
    """What share of a target's values an activation cannot reach.

    >>> import torch; share_beyond(torch.tensor([-2.0, 0.5, 1.0, 1.01]), "sigmoid")
    0.25
    """
    low, high = REACH[activation]
    beyond = target < low - MARGIN
    if high is not None:
        beyond = beyond | (target > high + MARGIN)
    return beyond.float().mean().item() if target.numel() else 0.0


def told(x: Tensor, target: Tensor) -> dict[str, Any]:
    """Outputs and their targets -> what made the outputs, and what of the targets it cannot reach.

    >>> import torch; out = torch.zeros(2, requires_grad=True).tanh()
    >>> told(out, torch.tensor([0.5, 3.0]))
    {'made_by': 'tanh', 'beyond': 0.5, 'wanted_min': 0.5, 'wanted_max': 3.0}
    """
    activation = activation_behind(x)
    if not activation or not target.is_floating_point() or not target.numel():
        return {"made_by": activation}
    target = target.detach()
    return {"made_by": activation, "beyond": share_beyond(target, activation),
            "wanted_min": target.min().item(), "wanted_max": target.max().item()}  # fmt: skip
