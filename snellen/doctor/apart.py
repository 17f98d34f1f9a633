"""Calls user code once more without a trace: what it keeps, draws, prints and logs is as before."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from ..core.seeds import untouched_rng
from .hushed import hushed
from .snapshot import Refused, Snapshot

NOTES = 20  # kinds of them
REFUSED = "not called again by the doctor, as nothing could put it back after:"


class Notes(list[str]):
    """What the doctor itself could not do, one line a kind, counted.

    >>> notes = Notes(); notes.add("no"); notes.add("no"); notes
    ['no (2 times)']
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}

    def add(self, text: str, count: int = 1) -> None:
        """Note something, or count it."""
        before = self._counts.get(text, 0)
        if not before and len(self) >= NOTES:
            return
        self._counts[text] = before + count
        said = text if before + count == 1 else f"{text} ({before + count} times)"
        if before:
            self[self.index(text if before == 1 else f"{text} ({before} times)")] = said
        else:
            self.append(said)


@contextmanager
def apart(engine: Any, what: str, *roots: Any, nets: bool = True) -> Iterator[bool]:
    """Whether user code (networks unless not `nets`, loss, `roots`) may be called; all is undone.

    Where something that it could change cannot be put back, it must not be called, and that is
    noted. The engine looks away meanwhile.
    """
    before, engine.off = engine.off, True
    called = [patient.inner for patient in engine.patients] if nets else []
    kept = None
    try:
        try:
            kept = Snapshot(*called, engine.loss_fn, engine.template, *roots)
        except Refused as refusal:
            engine.notes.add(f"{what} was {REFUSED} {refusal}")
        except Exception as error:
            engine.fail(Snapshot, error)
        if kept is None:
            yield False
        else:
            with untouched_rng(), _silent():
                yield True
    finally:
        engine.off = before
        for lost in kept.put_back() if kept is not None else ():
            engine.notes.add(f"{what} could not be put back: {lost}")


@contextmanager
def _silent() -> Iterator[None]:
    level = logging.root.manager.disable
    with hushed(), redirect_stdout(io.StringIO()):
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def aloud(tell: Callable[..., Any]) -> Callable[..., Any]:
    """A function that prints where standard output goes now, also when called inside `apart`."""
    out = sys.stdout

    def told(*args: Any) -> Any:
        with redirect_stdout(out):
            return tell(*args)

    return told
