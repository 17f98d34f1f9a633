"""How a command ends that cannot go on: at most 8 lines on stderr, and the contract's exit code."""

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import click

from ..core.errors import LeftOut, SnellenError
from ..core.words import printable

MAX_LINES = 8
BUG = 70  # sysexits.h EX_SOFTWARE: none of the contract's codes means "our fault"
PIPE = 141  # 128 + SIGPIPE, as a shell reports it


def ending(error: BaseException) -> int:
    """Say what went wrong; returns the exit code. SNELLEN_TRACEBACK=1 raises it instead."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, BrokenPipeError):
        return _quiet_pipe()
    if os.environ.get("SNELLEN_TRACEBACK") == "1":
        raise error
    message, code = _translate(error)
    click.echo(printable(shorten(f"snellen: {message}"), keep="\n"), err=True)
    return code


def shorten(message: str, limit: int = MAX_LINES) -> str:
    r"""A message of at most `limit` lines.

    >>> shorten("a\nb\nc\nd", 3)
    'a\nb\n... and 2 lines more'
    """
    lines = message.rstrip().splitlines()
    if len(lines) <= limit:
        return "\n".join(lines)
    kept = lines[: limit - 1]
    return "\n".join([*kept, f"... and {len(lines) - len(kept)} lines more"])


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Show what was left out in a line of its own; all other warnings as Python does."""
    show = warnings.showwarning

    def plain(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, LeftOut):
            click.echo(printable(f"snellen: {message}"), err=True)
        else:
            show(message, category, *place, **more)

    warnings.showwarning = plain
    try:
        yield
    finally:
        warnings.showwarning = show


def _translate(error: BaseException) -> tuple[str, int]:
    """(what to say, exit code) of anything that can be raised."""
    if isinstance(error, SnellenError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return _usage(error), 2
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted", 130
    if _is_out_of_memory(error):
        return (
            "the memory ran out; a smaller batch= or imgsz= needs less "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ), 2
    if isinstance(error, OSError) and error.errno:
        return _system(error), 3
    return _bug(error), BUG


def _usage(error: click.ClickException) -> str:
    message = error.format_message().replace("\n", " ")
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    verb = context.command_path if context else "snellen"
    return f"{message}\n`{verb} --help` lists its words"


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's own, a GPU's (named, so that torch need not be imported), or a CPU tensor's."""
    name, text = type(error).__name__, str(error)
    return (
        isinstance(error, MemoryError)
        or name == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in text)
    )


def _system(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{_file(error)}; free some space, or name another project="
    return f"{error.strerror or error}{_file(error)}"


def _file(error: OSError) -> str:
    return f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""


def _bug(error: BaseException) -> str:
    import tempfile
    import traceback

    handle, path = tempfile.mkstemp(prefix="snellen-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        traceback.print_exception(error, file=file)
    text = str(error).splitlines()[0][:200] if str(error) else ""
    return (
        f"this is a bug of Snellen, not a mistake of yours: {type(error).__name__}: {text}\n"
        f"Please report it with {path}, which holds the traceback."
    )


def _quiet_pipe() -> int:
    """The reader went away (`snellen models | head`): end without a word."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # a captured stream has no file behind it
    finally:
        os.close(null)
    return PIPE
