"""Writing that survives a crash: beside, fsync, rename, fsync of the folder.

A reader sees the old file or the new one, never half of one; a full disk leaves the old one. A
process that is killed while it writes leaves `.NAME.PID.tmp`, which the next writer sweeps away.
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from .errors import DataError

# A file name need not be UTF-8; \udce9 is how JSON itself writes what stands for such a byte.
ODD_NAMES = "backslashreplace"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # EFBIG: a quota set with `ulimit -f`


def write_atomically(path: Path, write: Callable[[Path], None], expected_bytes: int = 0) -> None:
    """Let `write` fill a file beside `path`, then rename it into place, all of it or nothing.

    Raises DataError where it cannot, with the space needed where the disk is full; the old file
    stays, and the unfinished one is removed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     write_atomically(path, lambda beside: beside.write_text("all of it") and None)
    ...     path.read_text()
    'all of it'
    """
    write_together({path: write}, expected_bytes)


def write_together(
    parts: Mapping[Path, Callable[[Path], None]],
    expected_bytes: int = 0,
    before: Callable[[], None] | None = None,
) -> None:
    """Write files of one folder beside it all; when every one is on the disk, rename in order.

    `before` runs between the last write and the first rename. The renames are not one step: the
    last file of `parts` is the mark by which a reader knows that the others are in place.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = {Path(folder, n): lambda beside: beside.touch() for n in ("weights", "mark")}
    ...     write_together(parts)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['mark', 'weights']
    """
    folder = next(iter(parts)).parent
    sweep(folder)
    beside = {path: _beside(path) for path in parts}
    try:
        _need_space(folder, expected_bytes)
        for path, write in parts.items():
            write(beside[path])
            _sync(beside[path])
        if before:
            before()
        for path in parts:
            os.replace(beside[path], path)
        _sync(folder)
    except OSError as error:
        raise DataError(_refusal(list(parts), error, expected_bytes)) from error
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder, "a.txt"), "é")
    ...     Path(folder, "a.txt").read_bytes()
    b'\\xc3\\xa9'
    """
    data = text.encode(errors=ODD_NAMES)
    write_atomically(path, lambda beside: _write_bytes(beside, data), len(data))


def json_text(value: Any) -> str:
    """JSON as the files of a run hold it: indented, with a line's end.

    >>> json_text({"epochs": 3})
    '{\\n "epochs": 3\\n}\\n'
    """
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "a.json"), {"epochs": 3})
    ...     print(Path(folder, "a.json").read_text(), end="")
    {
     "epochs": 3
    }
    """
    write_text(path, json_text(value))


def appended(path: Path) -> TextIO:
    """A text file opened to append lines to, UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     with appended(path) as file:
    ...         _ = file.write("caf\\udce9")
    ...     path.read_bytes()
    b'caf\\\\udce9'
    """
    return open(path, "a", newline="", encoding="utf-8", errors=ODD_NAMES)


def link_over(source: Path, target: Path) -> None:
    """Give `source` the second name `target`, over what stands there, in one step.

    A file system without hard links gets a copy; so long as it is not whole, `target` is the old.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     last, previous = Path(folder, "last"), Path(folder, "previous")
    ...     _ = last.write_text("new"), previous.write_text("old")
    ...     link_over(last, previous)
    ...     previous.read_text()
    'new'
    """
    beside = _beside(target)
    beside.unlink(missing_ok=True)
    try:
        try:
            os.link(source, beside)
        except OSError:
            shutil.copyfile(source, beside)
            _sync(beside)
        os.replace(beside, target)
    finally:
        # Renaming one name of a file over another name of the same file does nothing at all.
        beside.unlink(missing_ok=True)


def sweep(folder: Path) -> list[Path]:
    """Remove what dead processes left half-written in `folder`; return what was removed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, ".best.999999999.tmp").touch()
    ...     [path.name for path in sweep(Path(folder))]
    ['.best.999999999.tmp']
    """
    dead = [path for path, pid in _unfinished(folder) if not _alive(pid)]
    for path in dead:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return dead


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sync_folder(Path(folder))
    """
    _sync(folder)


def _unfinished(folder: Path) -> list[tuple[Path, int]]:
    found = ((path, re.fullmatch(r"\..+\.(\d+)\.tmp", path.name)) for path in folder.glob(".*.tmp"))
    return [(path, int(match[1])) for path, match in found if match]


def _alive(pid: int) -> bool:
    """Whether a process runs; where that cannot be asked safely (Windows), say that it does."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    with contextlib.suppress(OSError):  # a killed process whose parent has not looked yet
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


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
    room = _room(folder) if expected_bytes else None
    if room is not None and room < expected_bytes:
        raise OSError(errno.ENOSPC, "no space")


def _room(folder: Path) -> int | None:
    """Bytes that a file in `folder` may still take; None where that cannot be asked."""
    if not hasattr(os, "statvfs"):
        return None
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def _refusal(paths: list[Path], error: OSError, expected_bytes: int) -> str:
    names = ", ".join(path.name for path in paths)
    folder = paths[0].parent
    if error.errno not in FULL:
        return f"cannot write {names} in {folder}: {error.strerror}; name a folder you may write to"
    room = _room(folder)
    free = "" if room is None else f" and {size(room)} are free"
    need = f": {size(expected_bytes)} are needed{free}" if expected_bytes else ""
    return (
        f"the disk of {folder} is full{need}; {names} not written, what was there before stays; "
        "make room, or name another folder"
    )


def size(num_bytes: int) -> str:
    """Bytes for people.

    >>> size(300), size(5 * 2**20)
    ('300 bytes', '5.0 MiB')
    """
    if num_bytes < 2**10:
        return f"{num_bytes} bytes"
    return f"{num_bytes / 2**10:.1f} KiB" if num_bytes < 2**20 else f"{num_bytes / 2**20:.1f} MiB"
