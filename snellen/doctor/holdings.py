"""Kinds of objects: what never changes, what holds others, what can be put back and how."""

import io
import random
import sys
import types
from array import array
from collections import OrderedDict
from collections.abc import Callable
from functools import cache, partial
from operator import is_
from typing import Any

import numpy as np
import torch

LEAVES = frozenset((
    type(None), bool, int, float, complex, str, bytes, range, slice, type(...),
    torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, types.CodeType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType,
    types.MethodDescriptorType, types.MappingProxyType, types.GenericAlias, types.UnionType,
))  # fmt: skip
# Modules of the standard library, and libraries, whose C objects reading does not change.
TRUSTED = frozenset((
    "re", "datetime", "decimal", "fractions", "uuid", "zoneinfo", "functools", "operator",
    "_operator", "_thread", "weakref", "_weakref", "_struct", "typing", "pathlib", "enum", "abc",
    "_abc", "string", "types", "numpy", "torch", "scipy", "sklearn", "cv2",
))  # fmt: skip
# Libraries whose objects are left alone: they read, log, or run the training.
FOREIGN = frozenset((
    "PIL", "pandas", "pyarrow", "h5py", "zarr", "lmdb", "polars", "tokenizers", "sentencepiece",
    "datasets", "logging", "lightning", "pytorch_lightning", "lightning_fabric", "accelerate",
    "skorch", "ignite", "deepspeed", "threading",
))  # fmt: skip
HEAP = 1 << 9  # of a type's flags
REMOTE = frozenset(("multiprocessing", "ctypes", "sqlite3", "socket", "subprocess", "mmap"))


@cache
def is_library(module: str) -> bool:
    """Whether a module is the standard library's or an installed one.

    >>> is_library("collections.abc"), is_library("torch.nn"), is_library("__main__")
    (True, True, False)
    """
    root = module.partition(".")[0]
    if root == "__main__":
        return False
    if root in sys.stdlib_module_names or root in ("snellen", "builtins", "") or root in FOREIGN:
        return True
    file = str(getattr(sys.modules.get(root), "__file__", None) or "")
    return "site-packages" in file or "dist-packages" in file or root in ("torch", "numpy")


def is_foreign(kind: type, module: str) -> bool:
    """Whether an object of this class is left alone, whatever it holds."""
    return module.partition(".")[0] in FOREIGN and not issubclass(
        kind, torch.nn.Module | torch.utils.data.Dataset
    )


def is_trusted(kind: type, module: str) -> bool:
    """Whether an object of C code is one that being read does not change."""
    return module.partition(".")[0] in TRUSTED and not hasattr(kind, "__next__")


def is_installed(module: str) -> bool:
    """Whether a module is a library's that is not the standard one.

    >>> is_installed("torch.nn"), is_installed("csv")
    (True, False)
    """
    return is_library(module) and module.partition(".")[0] not in sys.stdlib_module_names


@cache
def is_python(kind: type) -> bool:
    """Whether a class was made in Python: its objects hold nothing but what can be seen.

    >>> is_python(random.Random), is_python(type(iter([])))
    (True, False)
    """
    homes = [vars(cls) for cls in kind.__mro__]
    return bool(kind.__flags__ & HEAP) and any("__dict__" in h or "__slots__" in h for h in homes)


def slots_of(kind: type) -> list[Any]:
    """The slots of a class made in Python."""
    return [member for cls in kind.__mro__ if "__slots__" in vars(cls)
            for member in vars(cls).values()
            if type(member) is types.MemberDescriptorType]  # fmt: skip


def generator(value: Any) -> Callable[[], Any] | None:
    """A random generator -> the call that gives it its present state back.

    >>> rng = random.Random(0); put_back = generator(rng); first = rng.random()
    >>> put_back(); rng.random() == first
    True
    """
    if isinstance(value, np.random.Generator):
        value = value.bit_generator
    if isinstance(value, np.random.BitGenerator):
        return partial(setattr, value, "state", value.state)
    if type(value) is np.random.RandomState:
        return partial(value.set_state, value.get_state(legacy=False))
    if type(value) is random.Random:
        return partial(value.setstate, value.getstate())
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    return None


def content(value: Any) -> Callable[[], Any] | None:
    """A file, a buffer or an array -> the call that puts it back; None for anything else."""
    if isinstance(value, array):
        return partial(value.__setitem__, slice(None), value[:])
    if isinstance(value, io.BytesIO | io.StringIO) and not value.closed:
        return partial(_rewrite, value, value.getvalue(), value.tell())
    if isinstance(value, io.IOBase):
        if value.closed:
            return lambda: None
        if not value.writable() and value.seekable():
            return partial(_rewind, value, value.tell())
    return None


def is_stateful(kind: type, module: str) -> bool:
    """Whether an object of a library's class moves on, or lives elsewhere.

    >>> is_stateful(type(iter([])), "builtins"), is_stateful(dict, "builtins")
    (True, False)
    """
    remote = module.partition(".")[0] in REMOTE
    return remote or hasattr(kind, "__next__") or issubclass(kind, io.IOBase)


def _rewrite(buffer: Any, whole: Any, at: int) -> None:
    if buffer.getvalue() != whole:
        buffer.seek(0)
        buffer.truncate()
        buffer.write(whole)
    buffer.seek(at)


def _rewind(file: Any, at: int) -> None:
    if not file.closed and file.tell() != at:
        file.seek(at)


def copied(home: Any) -> Any:
    """A shallow copy of a list, dict, set, deque or bytearray, by no code of a subclass."""
    if isinstance(home, OrderedDict):
        return OrderedDict([*OrderedDict.items(home)])
    if isinstance(home, dict | set):
        return (dict if isinstance(home, dict) else set).copy(home)  # type: ignore[arg-type]
    return bytes(home) if isinstance(home, bytearray) else [*home]


def refill(home: Any, before: Any) -> None:
    """Give a list, dict, set, deque or bytearray its items back, where they are others."""
    if isinstance(home, dict):
        kind = OrderedDict if isinstance(home, OrderedDict) else dict
        if _same(kind.keys(home), kind.keys(before)) and _same(
            kind.values(home), kind.values(before)
        ):
            return
        kind.clear(home)
        kind.update(home, before)
    elif isinstance(home, set):
        if len(home) != len(before) or home != before:
            set.clear(home)
            set.update(home, before)
    elif isinstance(home, list):
        if not _same(home, before):
            list.__setitem__(home, slice(None), before)
    elif isinstance(home, bytearray):
        home[:] = before
    elif not _same(home, before):
        home.clear()
        home.extend(before)


def _same(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))


def changed(a: Any, before: Any) -> bool:
    """Whether an array is no longer what it was, bit for bit."""
    if a.dtype == object:
        return not _same(a.ravel().tolist(), before.ravel().tolist())
    return bool(a.tobytes() != before.tobytes())
