"""What a format of exported files can do: write one, read its card, run it.

A file holds a graph from pictures as the task encodes them (normalisation is inside) to the
network's raw outputs, and a `Card` from which the task is made again; `task.decode` does the rest.
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..core import registry
from ..core.errors import DataError, UnknownName, UsageError

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor, nn

ROOM = "snellen.serve.runtimes"
PRECISIONS = ("fp32", "bf16", "int8")
INSTALL = "pip install 'snellen[export]'"
KEY = "snellen"  # under which a file keeps its card

Run = Callable[["ndarray"], list["ndarray"]]


@dataclass(frozen=True)
class Card:
    """What an exported file says of itself; plain JSON inside it.

    `outputs` is how the network returns what the graph lists: {"kind": "tensor", "count": 1}, or
    a "list" or "tuple" of `count`. `batch` is how many pictures the graph takes, 0 for any.
    """

    task: str
    spec: Mapping[str, Any]
    precision: str
    input: Mapping[str, Any]  # name, dtype, shape, meaning
    outputs: Mapping[str, Any]
    batch: int = 0
    made_by: str = ""
    run: str = ""
    decoding: str = "whole"  # how files are read, as in training

    def text(self) -> str:
        """One line of JSON; `Card.read` is its inverse."""
        return dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def read(text: str | None, path: Path) -> "Card":
        """The card of a file; raises DataError where it is none of Snellen's.

        >>> card = Card("classify", {}, "fp32", {}, {"kind": "tensor", "count": 1})
        >>> Card.read(card.text(), Path("a.onnx")) == card
        True
        """
        try:
            return Card(**loads(text or ""))
        except (JSONDecodeError, TypeError) as error:
            raise DataError(
                f"{path} was not written by `snellen export`: it does not say how its pictures "
                "are prepared, nor what its outputs mean; export the run again"
            ) from error


@dataclass(frozen=True, eq=False)
class Graph:
    """What is to be written: a module of pictures -> a tuple of raw outputs, and its card.

    `pictures` are what it is traced with; `samples` what int8 is calibrated on, one each.
    """

    module: "nn.Module"
    pictures: "Tensor"
    card: Card
    samples: Sequence["Tensor"] = field(default_factory=tuple)


class Runtime(ABC):
    """A format. `needs` are the modules it imports; `refused` says why a precision is not had."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    beside: ClassVar[tuple[str, ...]] = ()  # suffixes of files that belong to it
    needs: ClassVar[tuple[str, ...]] = ()
    refused: ClassVar[Mapping[str, str]] = {}
    runs_code: ClassVar[bool] = False  # whether opening a file of another maker may run code

    @abstractmethod
    def write(self, graph: Graph, path: Path) -> None:
        """Write the graph and its card at `path`, which ends in `suffix`. Not atomic."""

    @abstractmethod
    def card(self, path: Path) -> str | None:
        """The text of a file's card; None where it has none. May raise anything."""

    @abstractmethod
    def open(self, path: Path, card: Card, threads: int) -> Run:
        """A file -> a function from pictures to raw outputs. May raise anything."""

    def computing(self, precision: str) -> str:
        """What a file of this precision is computed in on this machine."""
        return precision


def pick(name: str, precision: str = "fp32") -> Runtime:
    """Words as typed -> the runtime, all of whose needs are here; raises UsageError.

    >>> pick("onxx")
    Traceback (most recent call last):
    snellen.core.errors.UnknownName: no 'onxx' in the formats of export; did you mean onnx?
    """
    known = runtimes()
    if name not in known:
        raise UnknownName(name, known, "the formats of export")
    if precision not in PRECISIONS:
        raise UnknownName(precision, PRECISIONS, "the precisions of export")
    runtime = known[name]
    if precision in runtime.refused:
        have = ", ".join(p for p in PRECISIONS if p not in runtime.refused)
        raise UsageError(
            f"format={name} has no precision={precision}: {runtime.refused[precision]}; "
            f"format={name} has {have}"
        )
    if absent := missing(runtime):
        raise UsageError(f"format={name} needs {', '.join(absent)}, not installed here: {INSTALL}")
    return runtime


def reader(name: str) -> Runtime:
    """The same, of a format whose files `snellen predict` opens.

    >>> reader("torch")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snellen.core.errors.UsageError: via=torch: predict opens no .pt2, ...
    """
    runtime = runtimes().get(name)
    if runtime is not None and runtime.runs_code:
        raise UsageError(
            f"via={name}: predict opens no {runtime.suffix}, for reading one can run code that it "
            "holds; leave via= out, and PyTorch reads the run itself"
        )
    return pick(name)


def runtimes() -> dict[str, Runtime]:
    """Every format by its name."""
    return registry.collect(ROOM, "RUNTIMES")


def missing(runtime: Runtime) -> list[str]:
    """The modules that a runtime needs and that are not installed."""
    return [name for name in runtime.needs if importlib.util.find_spec(name) is None]


def by_suffix(path: str | Path) -> Runtime | None:
    """The format of a file by its name.

    >>> by_suffix("a/b.onnx").name, by_suffix("runs/pets-1")
    ('onnx', None)
    """
    suffix = Path(path).suffix.lower()
    return next((r for r in runtimes().values() if r.suffix == suffix), None)


def refuse_part(path: Path) -> None:
    """Raises UsageError for a file that only belongs to an exported one: OpenVINO's weights."""
    for runtime in runtimes().values():
        whole = path.with_suffix(runtime.suffix)
        if path.suffix.lower() in runtime.beside and path.is_file() and whole.is_file():
            raise UsageError(f"{path} belongs to {whole}; name that one")


def exported_in(run: Path, runtime: Runtime) -> Path:
    """The file of that format in a run folder; raises where there is none, or are several."""
    found = sorted((run / "export").glob(f"*{runtime.suffix}"))
    if not found:
        raise DataError(
            f"{run} has no exported file of format={runtime.name}; "
            f"`snellen export {run} format={runtime.name}` writes one"
        )
    if len(found) > 1:
        raise UsageError(
            f"{run} has {len(found)} exported files of format={runtime.name}: "
            f"{', '.join(map(str, found))}; name one in place of the run"
        )
    return found[0]
