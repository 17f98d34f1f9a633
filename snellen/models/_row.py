"""What every row of every TABLE is: the columns of a paper's table, its claims, and `build`."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ..core.errors import UnknownName
from ._network import Network


class Row(ABC):
    """One network of a family, as data. A family's row is a frozen dataclass with these columns.

    `params` and `macs` are claims about the network at `input` with `classes` outputs, in eval
    mode; the contract test recounts them. `aux_params` is the share of `params` in auxiliary heads.
    """

    family: ClassVar[str]
    paper: ClassVar[str]
    thin: ClassVar[Mapping[str, Any]]  # columns of a small network of the same kind, for tests
    thin_size: ClassVar[int] = 32  # the image side that the thin network is tested at
    small: ClassVar[Mapping[str, Any]] = {}  # columns for small images, where that is customary
    names: ClassVar[tuple[str, ...]] = ()  # how torchvision and timm name the layers: _names.py

    params: int
    macs: int
    aux_params: int = 0
    input: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000

    @abstractmethod
    def build(self, classes: int, channels: int) -> Network:
        """The network with `classes` outputs for x of shape (B, channels, H, W)."""


CLAIMS = ("params", "macs", "aux_params", "input", "classes")


def options(row: Any) -> tuple[str, ...]:
    """The columns that a caller may change: all but the claims."""
    return tuple(f.name for f in dataclasses.fields(row) if f.name not in CLAIMS)


def changed(row: Any, name: str, changes: Mapping[str, Any]) -> Any:
    """The row with some columns changed; an unknown column names the nearest right ones."""
    for word in changes:
        if word not in options(row):
            raise UnknownName(word, options(row), f"the options of model {name!r}")
    return dataclasses.replace(row, **changes)
