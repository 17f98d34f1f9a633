"""Warnings of the user's code, as they would be without us: once each, at the user's line."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BETWEEN = 4  # frames: ours below, the mode's, torch's dispatch, and the function that came to it


@contextmanager
def hushed() -> Iterator[None]:
    """No warning is heard inside, and none that was heard before is heard again after.

    Python forgets what it has warned of whenever the filters change, so that is put back.
    """
    spaces = [getattr(module, "__dict__", {}) for module in [*sys.modules.values()]]
    kept = [(r, dict(r)) for space in spaces
            if isinstance(r := space.get("__warningregistry__"), dict)]  # fmt: skip
    before = _version()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        now = _version()
        for registry, content in kept:
            registry.clear()
            registry.update(content)
            if content.get("version") == before:
                registry["version"] = now


def _version() -> Any:
    """The number that Python counts up with each change of the filters."""
    registry: dict[str, Any] = {}
    show, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
    try:
        warnings.warn_explicit("", UserWarning, "", 0, registry=registry)  # type: ignore[arg-type]
    except UserWarning:  # -W error
        pass
    finally:
        warnings.showwarning = show
    return registry.get("version")


@contextmanager
def at_caller() -> Iterator[None]:
    """A torch function that we call in the user's stead warns of the user's line, not of ours."""
    warn = warnings.warn

    def further(message: Any, category: Any = None, stacklevel: int = 1, **more: Any) -> None:
        warn(message, category, stacklevel + BETWEEN, **more)

    warnings.warn = further  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.warn = warn
