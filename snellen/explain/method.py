"""What a way of looking into a network is: a question, a method with its settings, what was seen.

A method is a frozen dataclass in a file of `methods/`, its fields are its settings, and `METHODS`
names it. It gets a network in eval mode, may call it as often as it likes, and changes nothing.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from ..core import registry
from ..core.errors import UnknownName, UsageError

ROOM = "snellen.explain.methods"
AT_ONCE = 16  # pictures in one pass
Others = Iterable[tuple[Tensor, int | None]]  # x_CHW and its class, where that is known


@dataclass(frozen=True, eq=False)
class Question:
    """A network, a picture as it is fed, and which of its answers is asked about.

    `read` gives x_BCHW -> scores_BK; x is float32 or float64. `bounds` are the least and greatest
    x, broadcast; where nobody said them, not `is_bounded`, those of the picture. With `rivals` one
    answer excludes the others. `others` are further pictures to look at.
    """

    net: nn.Module
    x_1CHW: Tensor
    read: Callable[[Tensor], Tensor]
    target: int = 0
    is_named: bool = False  # the target: not just the highest score
    names: Sequence[str] = ()
    layer: str = ""  # as the user named it
    bounds: tuple[Tensor, Tensor] = (torch.tensor(0.0), torch.tensor(1.0))
    is_bounded: bool = True
    rivals: bool = True
    style_1CHW: Tensor | None = None
    others: Callable[[], Others] | None = None
    tell: Callable[[int, int], None] = lambda done, total: None

    def score(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> score_B of the target, with its graph."""
        return self.read(x_BCHW)[:, self.target]

    def gradient(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> d score / d x of each picture, in float32 or better."""
        return torch.cat([slope(self.score, x) for x in self.parts(x_BCHW)])

    def scores(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> scores_BK, without a graph."""
        with torch.no_grad():
            return torch.cat([self.read(x) for x in self.parts(x_BCHW)])

    def parts(self, x_BCHW: Tensor) -> Iterable[Tensor]:
        """A few pictures at a time, said as progress."""
        for start in range(0, len(x_BCHW), AT_ONCE):
            yield x_BCHW[start : start + AT_ONCE]
            self.tell(min(start + AT_ONCE, len(x_BCHW)), len(x_BCHW))

    @property
    def reach(self) -> Tensor:
        """high - low."""
        return self.bounds[1] - self.bounds[0]

    def within(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW held between the bounds, where these are known."""
        return x_BCHW.clamp(*self.bounds) if self.is_bounded else x_BCHW

    def shown(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> the same in 0..1, as a picture has it."""
        return ((x_BCHW - self.bounds[0]) / self.reach.clamp(min=1e-12)).clamp(0, 1).float()

    def name(self, target: int | None = None) -> str:
        """What an answer is called; the target's own by default."""
        k = self.target if target is None else target
        return self.names[k] if k < len(self.names) else str(k)


def slope(score: Callable[[Tensor], Tensor], x_BCHW: Tensor) -> Tensor:
    """x_BCHW -> d sum(score) / d x; no parameter's gradient is touched.

    Raises UsageError where the answer has no gradient.

    >>> slope(lambda x: (x * x).sum(1), torch.tensor([[1.0, 2.0]]))
    tensor([[2., 4.]])
    """
    x = x_BCHW.detach().clone().requires_grad_()
    return slopes(score(x), [x])[0]


def slopes(score_B: Tensor, places: Sequence[Tensor]) -> list[Tensor]:
    """d sum(score) / d each place; zeros where the score does not depend on it."""
    if not score_B.requires_grad:
        raise UsageError(
            "the network's answer has no gradient to its input: it is computed under no_grad, on "
            "detached or on whole numbers; method=occlusion needs none"
        )
    return list(torch.autograd.grad(score_B.sum(), places, allow_unused=True,
                                    materialize_grads=True))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Seen:
    """What a method saw: a map over x, tiles_NCHW in 0..1, a drawing, or several of these.

    `made` is a picture that was made, as the network is fed it; `facts` are for programs.
    """

    map_HW: Tensor | None = None
    tiles_NCHW: Tensor | None = None
    columns: int = 0  # of the tiles; 0: as many as rows
    drawing: Image.Image | None = None
    target: int | None = None  # where the method chose another one
    layer: str = ""
    words: str = ""
    made_1CHW: Tensor | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method(ABC):
    """A way to look. `needs`: "style", a second picture, or "data", further pictures."""

    name: ClassVar[str]
    about: ClassVar[str]
    source: ClassVar[str]
    needs: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Raises UsageError for a setting that is no finite number, or below what can be meant."""
        for one in fields(self):
            value, usual = getattr(self, one.name), one.default
            if isinstance(usual, bool) or not isinstance(usual, int | float):
                continue
            try:
                number = type(usual)(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if not (math.isfinite(number) and (number > 0 or number == 0 == usual)):
                kind = "whole number" if isinstance(usual, int) else "number"
                least = "0 or more" if usual == 0 else "above 0"
                raise UsageError(f"{self.name}: {one.name}={value} is not a {kind} {least}")
            object.__setattr__(self, one.name, number)

    @abstractmethod
    def look(self, question: Question) -> Seen:
        """The answer to a question."""


def methods() -> dict[str, type[Method]]:
    """Every method by its name.

    >>> "gradcam" in methods()
    True
    """
    return registry.collect(ROOM, "METHODS", type)


def pick(name: str) -> type[Method]:
    """A typed name -> the method, or UsageError with the nearest right ones.

    >>> pick("Grad-CAM").name
    'gradcam'
    """
    known, plain = methods(), name.lower().replace("-", "_")
    for word in (plain, plain.replace("_", "")):
        if word in known:
            return known[word]
    raise UnknownName(name, known, "the methods of explain")
