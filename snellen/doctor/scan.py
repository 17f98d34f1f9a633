"""Looks through a data set for items that are not finite, within a time, without moving the RNG."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..core.patience import patience
from ..core.seeds import untouched_rng
from .loader import innermost, row_of
from .probes._measure import bad_rows

SECONDS = 10.0
MOST = 10_000  # samples that are named; more is no list but a fault of the reader
IN_MEMORY = 1 << 28  # bytes of an array that are looked at ahead of the items
FAR = 1000.0  # times the median; asked only after a training has gone non-finite
TARGETS = ("y", "label", "labels", "target", "targets", "mask", "boxes", "value", "values")


Unread = Callable[[Exception], None]  # told of an item that could not be read


def ignored(error: Exception) -> None:
    """Nobody is told."""


def scan(
    dataset: Any,
    first: Iterable[int] = (),
    *,
    seconds: float = SECONDS,
    unread: Unread = ignored,
) -> tuple[dict[int, dict[str, Any]], int]:
    """Data set -> {its row: what is wrong in it}, and how many items were looked at.

    The rows in `first` come first. Tensors are looked at as a whole, other sets item by item.

    >>> x = torch.zeros(5, 2); x[3, 1] = torch.nan
    >>> scan(TensorDataset(x))
    ({3: {'field': 'image', 'nan': 1, 'inf': 0}}, 5)
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        return {}, 0
    inner = innermost(dataset)
    if type(inner) is TensorDataset:
        return _scan_tensors(dataset, inner.tensors), len(dataset)
    found: dict[int, dict[str, Any]] = {}
    searched, end = 0, time.monotonic() + patience(seconds)
    with untouched_rng():
        for i in order(len(dataset), [*first, *_suspicious(dataset, inner)]):
            try:
                problem = item_problem(dataset[i])
            except Exception as error:  # another fault
                problem = None
                unread(error)
            searched += 1
            if problem is not None:
                found[i] = problem
            if time.monotonic() > end or len(found) >= MOST:
                break
    return found, searched


def order(count: int, first: Iterable[int]) -> Iterator[int]:
    """All rows, those of `first` ahead of the others.

    >>> list(order(4, [2]))
    [2, 0, 1, 3]
    """
    ahead = dict.fromkeys(i for i in first if 0 <= i < count)
    yield from ahead
    yield from (i for i in range(count) if i not in ahead)


def _suspicious(dataset: Any, inner: Any) -> list[int]:
    """The rows at which what a data set keeps in memory is not finite: they are read first."""
    bad: set[int] = set()
    for value in list(getattr(inner, "__dict__", {}).values()):
        if not isinstance(value, Tensor | np.ndarray) or value.nbytes > IN_MEMORY:
            continue
        if value.ndim and len(value) == len(inner) and not isinstance(value, np.memmap):
            array = value.detach().cpu() if isinstance(value, Tensor) else value
            if isinstance(array, Tensor):
                bad.update(bad_rows(array).tolist())
            elif array.dtype.kind == "f":
                spoilt = ~np.isfinite(array).reshape(len(array), -1).all(1)
                bad.update(np.flatnonzero(spoilt).tolist())
    return rows_in(dataset, bad)


def rows_in(dataset: Any, inner_rows: set[int]) -> list[int]:
    """Rows of the innermost data set -> the rows of this one that hold them."""
    if not inner_rows:
        return []
    return [i for i in range(len(dataset)) if row_of(dataset, i) in inner_rows]


def _scan_tensors(dataset: Any, tensors: tuple[Tensor, ...]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for place, tensor in enumerate(tensors):
        for i in rows_in(dataset, set(bad_rows(tensor).tolist())):
            content = _content(tensor[row_of(dataset, i)])
            found.setdefault(i, {"field": "target" if place else "image", **content})
    return found


def outliers(
    dataset: Any, *, seconds: float = SECONDS, unread: Unread = ignored
) -> tuple[dict[int, dict[str, Any]], int]:
    """Data set -> {its row: by how much it sticks out}, and how many items were looked at.

    An item's largest value must be FAR times the median of all items' largest.

    >>> outliers(TensorDataset(torch.tensor([[1.0], [-2.0], [1e9], [3.0]])))[0].keys()
    dict_keys([2])
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        return {}, 0
    inner = innermost(dataset)
    if type(inner) is TensorDataset:
        return _far(_sizes(dataset, inner.tensors)), len(dataset)
    sizes: dict[tuple[str, int], dict[int, float]] = {}
    searched, end = 0, time.monotonic() + patience(seconds)
    with untouched_rng():
        for i in range(len(dataset)):
            try:
                for key, largest in _largest(dataset[i]).items():
                    sizes.setdefault(key, {})[i] = largest
            except Exception as error:
                unread(error)
            searched += 1
            if time.monotonic() > end:
                break
    return _far(sizes), searched


def _sizes(dataset: Any, tensors: tuple[Tensor, ...]) -> dict[tuple[str, int], dict[int, float]]:
    """The largest value of each item of a data set that is but tensors."""
    places = range(len(dataset))
    rows = torch.tensor([row_of(dataset, i) for i in places], dtype=torch.long)
    sizes: dict[tuple[str, int], dict[int, float]] = {}
    for place, tensor in enumerate(tensors):
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        largest = tensor.detach().reshape(len(tensor), -1).abs().amax(1).cpu()[rows]
        kept = [(i, size) for i, size in zip(places, largest.tolist(), strict=True) if size == size]
        sizes["target" if place else "image", place] = dict(kept)
    return sizes


def _far(sizes: dict[tuple[str, int], dict[int, float]]) -> dict[int, dict[str, Any]]:
    """The rows whose size in a field is far beyond that field's median."""
    found: dict[int, dict[str, Any]] = {}
    for (field, _), column in sizes.items():
        middle = float(np.median(list(column.values())))
        for i, size in column.items():
            if size > FAR * max(middle, 1e-6):
                found.setdefault(i, {"field": field, "absmax": size, "median": middle})
    return found


def _largest(item: Any) -> dict[tuple[str, int], float]:
    """The largest value of each field of an item."""
    found = {}
    for place, (field, leaf) in enumerate(leaves(item)):
        if isinstance(leaf, float) or _is_float_array(leaf) or isinstance(leaf, Tensor):
            value = torch.as_tensor(leaf)
            if value.is_floating_point() and value.numel():
                found[field, place] = value.detach().abs().max().item()
    return {key: size for key, size in found.items() if size == size}


def item_problem(item: Any) -> dict[str, Any] | None:
    """What is not finite in an item of any nesting, or None.

    >>> item_problem((np.zeros(3), float("nan")))
    {'field': 'target', 'nan': 1, 'inf': 0}
    """
    for field, leaf in leaves(item):
        if isinstance(leaf, float):
            if not math.isfinite(leaf):
                return {"field": field, **_content(torch.tensor(leaf))}
            continue
        tensor = torch.as_tensor(leaf) if _is_float_array(leaf) else leaf
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            values = tensor.detach()
            if not math.isfinite(values.sum()) and not torch.isfinite(values).all():
                return {"field": field, **_content(values)}
    return None


def leaves(item: Any, field: str = "image") -> Iterator[tuple[str, Any]]:
    """An item -> (field, leaf) pairs: the first of a tuple is the image, the rest is target."""
    if isinstance(item, dict):
        for name, value in item.items():
            yield from leaves(value, "target" if str(name).lower() in TARGETS else field)
    elif isinstance(item, tuple | list):
        for place, value in enumerate(item):
            yield from leaves(value, field if place == 0 else "target")
    else:
        yield field, item


def _is_float_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | np.floating) and leaf.dtype.kind == "f"


def _content(x: Tensor) -> dict[str, Any]:
    x = x.detach()
    return {"nan": int(torch.isnan(x).sum()), "inf": int(torch.isinf(x).sum())}
