"""Is a picture file whole? Its first and last bytes tell nearly always; decoding decides."""

import os
from collections.abc import Callable

from ...core.errors import DataError
from ..images import read_pixels
from ..source import Problem, SampleSet

TAIL = 64  # bytes looked at from the end
HEADS = {  # first bytes -> (Pillow's format, usual endings, bytes near the end of a whole file)
    b"\xff\xd8\xff": ("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), b"\xff\xd9"),
    b"\x89PNG\r\n\x1a\n": ("PNG", (".png",), b"IEND"),
    b"GIF8": ("GIF", (".gif",), b"\x3b"),
    b"BM": ("BMP", (".bmp", ".dib"), b""),
    b"RIFF": ("WEBP", (".webp",), b""),
    b"II*\0": ("TIFF", (".tif", ".tiff"), b""),
    b"MM\0*": ("TIFF", (".tif", ".tiff"), b""),
    b"\0\0\0\x0cjP": ("JPEG2000", (".jp2",), b""),
}
TEXT = (b"<!doc", b"<html", b"<?xml", b"{", b"<svg", b"version https://git-lfs")


def screen_part(
    part: SampleSet, progress: Callable[[int, int], None] | None = None
) -> tuple[list[int], list[Problem]]:
    """Part -> (rows to leave out, why)."""
    rows: list[int] = []
    problems: list[Problem] = []
    labels = part.labels()
    strays = [] if labels is None else (labels < 0).nonzero()[:, 0].tolist()
    if strays:
        message = f"{len(strays)} samples have a label that fits none of the classes"
        problems.append(Problem("label-out-of-range", message, samples=tuple(strays)))
    if len(part) and part.path(0) is not None:
        for i in range(len(part)):
            problem = file_problem(part.path(i) or "", i)
            if problem:
                rows.append(i)
                problems.append(problem)
            if progress and i % 256 == 255:
                progress(i + 1, len(part))
    return sorted({*rows, *strays}), problems


def file_problem(path: str, row: int = 0, decode: bool = False) -> Problem | None:
    """A picture file -> why it cannot be learned from, or None.

    Without `decode` only a file whose end looks wrong is decoded.
    """
    try:
        head, tail, size = _ends(path)
    except OSError as error:
        return _damaged("file-unreadable", f"cannot be opened: {error.strerror}", path, row)
    if not size:
        return _damaged("file-empty", "is empty: no byte in it", path, row)
    if not head.strip(b"\0"):
        return _damaged("file-zeros", "holds zeros and no picture", path, row)
    what = text_kind(head)
    if what:
        return _damaged("file-not-an-image", f"is {what}, not a picture", path, row)
    known = kind_of(head)
    end = known[2] if known else b""
    looks_whole = known is not None and end != b"" and end in tail
    if known and end and not looks_whole and not tail.strip(b"\0"):
        message = f"ends in zeros: a {known[0]} that was not written to its end"
        return _damaged("file-truncated", message, path, row)
    return _decoded(path, row, known is not None) if decode or not looks_whole else None


def kind_of(head: bytes) -> tuple[str, tuple[str, ...], bytes] | None:
    """First bytes -> (format, its usual endings, how it ends), or None.

    >>> kind_of(b"GIF89a")[0]
    'GIF'
    """
    return next((kind for start, kind in HEADS.items() if head.startswith(start)), None)


def text_kind(head: bytes) -> str:
    """What text the first bytes are, or "" where they are none.

    >>> text_kind(b"<!DOCTYPE html><p>404"), text_kind(bytes([255, 216, 255]))
    ('a web page or other text', '')
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(TEXT[-1]):
        return "a pointer of Git LFS (run `git lfs pull`)"
    printable = all(b >= 32 or b in b"\t\r\n" for b in head)
    if start.startswith(TEXT) or (printable and head.isascii() and not _is_netpbm(head)):
        return "a web page or other text"
    return ""


def _is_netpbm(head: bytes) -> bool:
    return head[:1] == b"P" and head[1:2].isdigit() and head[2:3].isspace()


def _ends(path: str) -> tuple[bytes, bytes, int]:
    with open(path, "rb") as file:
        head = file.read(TAIL)
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - TAIL))
        return head, file.read(TAIL), size


def _decoded(path: str, row: int, is_known: bool) -> Problem | None:
    try:
        read_pixels(path)
    except DataError as error:
        message = str(error).removeprefix(f"{path} ").removesuffix("; replace or remove it")
        truncated = is_known and any(w in message.lower() for w in ("truncat", "broken", "end of"))
        return _damaged("file-truncated" if truncated else "file-unreadable", message, path, row)
    return None


def _damaged(id: str, message: str, path: str, row: int) -> Problem:
    do = "copy it again from where it came, or remove it"
    return Problem(id, message, file=path, samples=(row,), do=do)
