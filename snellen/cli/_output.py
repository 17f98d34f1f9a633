"""What the verbs print: tables for people, JSON for programs."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..core.errors import DataError, UsageError, nearest
from ..core.words import printable


def print_json(value: Any, indent: int | None = None) -> None:
    """One JSON value to stdout; NaN becomes the string 'nan'."""
    click.echo(json.dumps(_plain(value), indent=indent, ensure_ascii=not _prints_unicode()))


def write_json_file(path: str | None, value: Any) -> None:
    """JSON to a file that the user named; None does nothing."""
    if path is not None:
        from ..core.files import write_json

        write_json(Path(path), _plain(value))


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function (done, of how many) that shows how far a long work is; quiet in a short one."""
    from ..train.progress import is_terminal, open_display

    display = open_display()
    last, shown = time.perf_counter(), (0, 0)

    def tell(done: int, total: int) -> None:
        nonlocal last, shown
        if time.perf_counter() - last >= display.interval:
            last, shown = time.perf_counter(), (done, total)
            display.status(title, done / max(1, total), f"{done:,} of {total:,}")

    try:
        yield tell
        if shown[0] < shown[1] and not is_terminal(sys.stderr):  # a file keeps each line
            display.line(f"{title}  100%  {shown[1]:,} of {shown[1]:,}")
    finally:
        display.close()


def writable(path: str | None) -> str | None:
    """The full name of a file to write, or an error before any work is done for it."""
    if path is None:
        return None
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path!r}; name a file in a folder that you may write to")
    return os.path.abspath(path)  # a script may change its folder


def fails(levels: Iterable[str], fail_on: str) -> int:
    """The exit code: 1 where any level is `fail_on` or graver, else 0.

    >>> fails(["advice"], "warning"), fails(["error"], "warning"), fails(["error"], "never")
    (0, 1, 0)
    """
    order = ("advice", "warning", "error", "never")
    return int(any(order.index(level) >= order.index(fail_on) for level in levels))


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table to stdout; numbers to the right. Lines are cut to the width of a terminal only."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        is_number = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    width = None if sys.stdout.isatty() else 1000
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def existing(path: str) -> Path:
    """The path, or an error that says what lies near it.

    >>> existing("snellen/clii")
    Traceback (most recent call last):
    snellen.core.errors.DataError: there is no 'snellen/clii'; did you mean snellen/cli?
    """
    if os.path.exists(path):
        return Path(path)
    folder, name = os.path.split(path.rstrip("/"))
    if not os.path.isdir(folder or "."):
        raise DataError(f"there is no {path!r}, nor a folder {folder!r}")
    near = [os.path.join(folder, n) for n in nearest(name, os.listdir(folder or "."), 2)]
    hint = f"; did you mean {' or '.join(near)}?" if near else f" in {os.path.abspath(folder)}"
    raise DataError(f"there is no {path!r}{hint}")


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else printable(str(value))


def _plain(value: Any) -> Any:
    from ..core.events import spelled

    return spelled(value)


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
