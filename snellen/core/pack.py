"""A nested state <-> a tree of plain JSON and a flat dict of named tensors. No pickle.

What JSON lacks is written as a dict with one key: {"$tensor": name}, {"$tuple": [...]},
{"$float": "nan"} and {"$dict": [[key, value], ...]} for keys that are not text.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .errors import UsageError

FORMATS = {"channels_last": torch.channels_last, "channels_last_3d": torch.channels_last_3d}


def pack(value: Any, name: str = "state") -> tuple[Any, dict[str, Tensor]]:
    """Nested dicts, lists, tuples, tensors and plain values -> (JSON tree, tensors by path).

    Raises UsageError for a value of any other type, with its place.

    >>> pack({"lr": 0.1, "state": {0: torch.zeros(2)}})
    ({'lr': 0.1, 'state': {'$dict': [[0, {'$tensor': 'state.0'}]]}}, {'state.0': tensor([0., 0.])})
    """
    packer = _Packer(name)
    return packer.tree(value, ()), packer.tensors


def unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `pack`: types, keys and memory formats as they were.

    >>> tree, tensors = pack({"step": (3, torch.ones(2))})
    >>> unpack(tree, tensors)
    {'step': (3, tensor([1., 1.]))}
    """
    if isinstance(tree, list):
        return [unpack(v, tensors) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if not any(key.startswith("$") for key in tree):
        return {key: unpack(v, tensors) for key, v in tree.items()}
    if "$tuple" in tree:
        return tuple(unpack(v, tensors) for v in tree["$tuple"])
    if "$float" in tree:
        return float(tree["$float"])
    if "$dict" in tree:
        return {unpack(k, tensors): unpack(v, tensors) for k, v in tree["$dict"]}
    tensor = tensors[tree["$tensor"]]
    return tensor.contiguous(memory_format=FORMATS[tree["in"]]) if "in" in tree else tensor


class _Packer:
    """The tensors met so far, by name and by identity: one that is met twice is kept once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors: dict[str, Tensor] = {}
        self.names: dict[int, str] = {}

    def tree(self, value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, Tensor):
            return self.tensor(value, path)
        if isinstance(value, dict):
            return self.dict(value, path)
        if isinstance(value, list | tuple):
            items = [self.tree(v, (*path, i)) for i, v in enumerate(value)]
            return {"$tuple": items} if isinstance(value, tuple) else items
        if type(value) is float and not math.isfinite(value):
            return {"$float": str(value)}
        if value is None or type(value) in (bool, int, float, str):
            return value
        place = self.name + "".join(f"[{part!r}]" for part in path)
        raise UsageError(
            f"{place} is a {type(value).__name__}, which cannot be saved without pickle; "
            "make it a tensor or plain numbers, text, lists and dicts"
        )

    def dict(self, value: dict[Any, Any], path: tuple[Any, ...]) -> Any:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: self.tree(v, (*path, key)) for key, v in value.items()}
        items = value.items()
        return {"$dict": [[self.tree(k, path), self.tree(v, (*path, k))] for k, v in items]}

    def tensor(self, value: Tensor, path: tuple[Any, ...]) -> Any:
        if id(value) not in self.names:
            stem = ".".join(map(str, path)) or "tensor"
            name = next(n for n in _spellings(stem) if n not in self.tensors)
            self.names[id(value)], self.tensors[name] = name, value
        # A fused optimiser walks its moments in memory order, so that order is state as well.
        order = [
            n for n, f in FORMATS.items()
            if not value.is_contiguous() and value.dim() == (5 if n.endswith("3d") else 4)
            and value.is_contiguous(memory_format=f)
        ]  # fmt: skip
        return {"$tensor": self.names[id(value)], **({"in": order[0]} if order else {})}


def _spellings(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}#{number}"
        number += 1
