"""Writing that survives a crash: beside, fsync, rename, fsync of the folder.

A reader sees the old file or the new one, never half of one; a full disk leaves the old one.
"""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import DataError


def write_atomically(path: Path, write: Callable[[Path], None], expected_bytes: int = 0) -> None:
    """Let `write` fill a file beside `path`, then rename it into place, all of it or nothing.

    Raises DataError with the space needed where the disk is full; the old file stays, and the
    unfinished one is removed.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _need_space(path.parent, expected_bytes)
        write(beside)
        _sync(beside)
        os.replace(beside, path)
        _sync(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(_full(path, expected_bytes)) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8."""
    data = text.encode()
    write_atomically(path, lambda beside: _write_bytes(beside, data), len(data))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, UTF-8."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(path: Path) -> None:
    """Force a file or a folder to the disk; folders cannot be synced on Windows."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _need_space(folder: Path, expected_bytes: int) -> None:
    if not expected_bytes or not hasattr(os, "statvfs"):
        return
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < expected_bytes:
        raise OSError(errno.ENOSPC, "no space")


def _full(path: Path, expected_bytes: int) -> str:
    need = f"; {expected_bytes / 2**20:.1f} MiB are needed" if expected_bytes else ""
    return (
        f"the disk of {path.parent} is full{need}: "
        f"{path.name} was not written, the previous one stays"
    )
