"""What every row of every TABLE is: the columns of a paper's table, its claims, and `build`."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, get_type_hints

from ..core.errors import UnknownName, UsageError
from ..core.shapes import shapes_alone
from ._columns import fitted
from ._names import Named
from ._network import Network

USUAL = {
    "family": "", "paper": "", "input": (3, 224, 224), "classes": 1000, "task": "classify",
}  # fmt: skip


@dataclass(frozen=True)
class Row(ABC):
    """One network of a family, as data. A family's row is a frozen dataclass with these columns.

    `params` and `macs` are claims about the network at `input` with `classes` outputs, in eval
    mode; the contract test recounts them. `aux_params` is the share of `params` in auxiliary heads.
    `top1` is a published accuracy on ImageNet in percent, and whose: the tag of torchvision's or
    timm's weights, or a page. `family`, `paper`, `input`, `classes` and `task` stand in the class,
    and in a row where it differs. Dropout is the paper's, also where timm leaves it to training.

    >>> import snellen as sn
    >>> sn.model("resnet18").row.params, sn.models.row("resnet18").input
    (11689512, (3, 224, 224))
    """

    params: int
    macs: int
    _: KW_ONLY
    family: str = ""
    paper: str = ""
    input: tuple[int, int, int] = (0, 0, 0)
    classes: int = 0
    aux_params: int = 0
    top1: tuple[float, str] | None = None
    task: str = ""  # what the network gives: logits (classify), or what that task reads

    thin: ClassVar[Mapping[str, Any]]  # columns of a small network of the same kind, for tests
    thin_size: ClassVar[int] = 32  # the image side that the thin network is tested at
    small: ClassVar[Mapping[str, Any]] = {}  # columns for small images, where that is customary
    names: ClassVar[tuple[str | Named, ...]] = ()  # how others name the layers

    def __post_init__(self) -> None:
        """What a row does not say is the family's, and what that does not say is usual."""
        for word, usual in USUAL.items():
            unsaid = getattr(Row, word)
            if getattr(self, word) == unsaid:
                family = getattr(type(self), word)
                object.__setattr__(self, word, usual if family == unsaid else family)

    @abstractmethod
    def build(self, classes: int, channels: int) -> Network:
        """The network with `classes` outputs for x of shape (B, channels, H, W)."""

    def make(self, classes: int | None = None, channels: int | None = None) -> Network:
        """The network, by default as its paper has it, which knows its row.

        Raises UsageError where the columns make none; want of memory stays PyTorch's own error.
        """
        sizes = classes or self.classes, channels or self.input[0]
        try:
            net = self.build(*sizes)
        except (RuntimeError, ValueError, ArithmeticError) as error:
            if not self._fails_without_memory(*sizes):
                raise
            raise UsageError(f"these columns make no {self.family}: {error}") from error
        net.row = self
        return net

    def _fails_without_memory(self, classes: int, channels: int) -> bool:
        """Whether the columns are at fault: it fails also where no numbers are kept."""
        try:
            with shapes_alone():
                self.build(classes, channels)
        except (RuntimeError, ValueError, ArithmeticError):
            return True
        return False


CLAIMS = tuple(f.name for f in dataclasses.fields(Row))


def options(row: Row) -> dict[str, Any]:
    """The columns that a caller may change, with their values: all but the claims."""
    return {f.name: getattr(row, f.name) for f in dataclasses.fields(row) if f.name not in CLAIMS}


def identity(row: Row) -> tuple[Any, ...]:
    """What makes two rows the same network, whoever trained it.

    >>> from snellen.models import row
    >>> identity(row("tv:resnet50")) == identity(row("timm:resnet50"))
    True
    """
    return (type(row), *options(row).items(), row.input, row.classes)


def changed(row: Any, name: str, changes: Mapping[str, Any]) -> Any:
    """The row with some columns changed.

    An unknown column or word names the nearest right ones, another value what may be.

    >>> from snellen.models import row
    >>> changed(row("mlp"), "mlp", {"imgsz": 8}).imgsz
    8
    """
    kinds, known = get_type_hints(type(row), include_extras=True), options(row)
    for word in changes:
        if word not in known:
            raise UnknownName(word, known, f"the options of model {name!r}")
    taken = {word: fitted(word, value, kinds[word]) for word, value in changes.items()}
    return dataclasses.replace(row, **taken)
