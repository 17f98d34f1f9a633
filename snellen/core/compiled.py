"""Loops that numba compiles where it is here (the extra `fast`); else they are plain Python.

numba is no dependency: whoever has a compiled loop has another way too, and asks `is_here` first.
A file of such loops imports numba as it is imported itself, so import it inside the function that
needs it. What was compiled is kept in the cache folder; the next process only loads it.
"""

import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from .cache import cache_folder

Loop = TypeVar("Loop", bound=Callable[..., Any])


@cache
def is_here() -> bool:
    """Whether numba is installed.

    >>> isinstance(is_here(), bool)
    True
    """
    return find_spec("numba") is not None


def compiled(loop: Loop) -> Loop:
    """A function of NumPy arrays and numbers -> the same, compiled at its first call.

    It runs without Python's lock, so that threads can share the work out. It may call other
    compiled functions, which must stand above it.

    >>> @compiled
    ... def twice(n):
    ...     return 2 * n
    >>> twice(21)
    42
    """
    if not is_here():
        return loop
    numba: Any = import_module("numba")
    made = numba.njit(nogil=True)(loop)
    _keep(made)
    wanted: Loop = made
    return wanted


def _keep(made: Any) -> None:
    """Let what is compiled lie in our folder, or nowhere where that cannot be; other users of numba
    in this process keep theirs.
    """
    config: Any = import_module("numba.core.config")
    theirs, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder() / "compiled")
    try:
        made.enable_caching()
    except RuntimeError:  # no folder that can be written, or a function that lies in no file
        return
    finally:
        config.CACHE_DIR = theirs
    kept = made._cache
    _seal(kept._cache_file)
    for name in ("load_overload", "save_overload"):
        setattr(kept, name, _only_a_saving(getattr(kept, name), kept.flush))


def _seal(file: Any) -> None:
    """Keep each piece of machine code with its checksum: a wrong bit in it would be run."""
    dumps = import_module("numba.core.serialize").dumps
    save, load = file.save, file.load

    def saved(key: Any, data: Any) -> None:
        whole = dumps(data)
        save(key, (blake2b(whole).digest(), whole))

    def loaded(key: Any) -> Any:
        found = load(key)
        if found is None:
            return None
        digest, whole = found
        if blake2b(whole).digest() != digest:
            raise ValueError("what was compiled is damaged")
        return pickle.loads(whole)

    file.save, file.load = saved, loaded


def _only_a_saving(way: Callable[..., Any], empty: Callable[[], None]) -> Callable[..., Any]:
    """A way to read or write what is compiled that no full disk and no damaged file breaks off;
    what is damaged is emptied, to be written anew.
    """

    def tried(*args: Any) -> Any:
        try:
            return way(*args)
        except Exception:  # a wrong bit in a pickle raises whatever it happens to stand for
            with suppress(OSError):
                empty()
        return None

    return tried
