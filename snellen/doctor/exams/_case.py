"""What an examination is given: the parts of the data, and the network with its loss."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..loader import innermost, path_of
from ._part import Part


@dataclass
class Live:
    """A network and one batch for it; `loss(net, rows)` -> scalar, `right(net, rows)` -> share.

    `net` is the user's own: an examination looks at a copy.
    """

    net: nn.Module
    size: int
    loss: Callable[[nn.Module, Tensor], Tensor]
    right: Callable[[nn.Module, Tensor], float] | None = None
    kind: str = "class"  # class | value | other
    prefix: str = ""
    spread: float = 0.0  # variance of the targets, of values
    classes: int = 0  # outputs, where the loss is known to index them by the labels
    ignored: int = -100  # the label that this loss passes over


@dataclass
class Case:
    """All that is known before (or after) a training."""

    parts: dict[str, Part] = field(default_factory=dict)
    live: Live | None = None
    loader: Any = None  # of the training
    fitted: Any = None  # a transform with mean and std, or that pair
    # After the training: part -> what the network says of some of it, logits_MK and places_M.
    answers: Callable[[Part], tuple[Tensor, Tensor] | None] | None = None
    seconds: float = 10.0
    tick: Callable[[], None] = lambda: None


def paths(part: Part, places: list[int]) -> list[str]:
    """The files of some samples, by their rows in the innermost set; [] where there are none."""
    if part.dataset is None:
        return []
    inner = innermost(part.dataset)
    found = [path_of(inner, int(part.rows_N[i])) for i in places]
    return [path for path in found if path]
