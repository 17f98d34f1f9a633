"""Pictures stored in an unusual way: all are read right, and it is said."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..images import Header
from ._album import Album
from ._files import TAIL, kind_of

MODES = {  # Pillow's mode -> (id, what it is)
    "CMYK": ("file-cmyk", "has printing colours (CMYK); read as RGB"),
    "YCCK": ("file-cmyk", "has printing colours (YCCK); read as RGB"),
    "LAB": ("file-lab", "has Lab colours; read as RGB"),
    "P": ("file-palette", "has a palette; read as RGB"),
    "PA": ("file-alpha", "has a palette and transparency; shown on white"),
    "RGBA": ("file-alpha", "has transparency; shown on white"),
    "LA": ("file-alpha", "is gray with transparency; shown on white"),
    "I": ("file-16-bit", "has 16 or more bits a pixel; read as 8"),
    "F": ("file-float", "has floating-point pixels; read as 8 bits"),
    "1": ("file-gray", "is black and white among colour pictures; read as RGB"),
    "L": ("file-gray", "is gray among colour pictures; read as RGB"),
}


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator:
    """Albums -> a harmless problem for each oddity of a file."""
    for album in albums:
        modes = Counter(header.mode for header in album.headers.values())
        usual = modes.most_common(1)[0][0] if modes else ""
        for row, header in album.headers.items():
            for id, message in oddities(album.file(row) or "", header, usual):
                yield album.problem(id, message, row, harm="harmless")


def oddities(path: str, header: Header, usual: str) -> Iterator[tuple[str, str]]:
    """A file's header and the usual mode of its part -> (id, message) for each oddity.

    >>> list(oddities("a.png", Header("PNG", "L", 8, 8, orientation=6), "L"))
    [('file-exif-rotated', 'is stored turned (EXIF orientation 6); read upright')]
    """
    mode = "I" if header.mode.startswith("I;16") else header.mode
    if mode in MODES and header.mode != usual and not (header.is_gray and usual in ("1", "L")):
        yield MODES[mode]
    elif header.mode in ("RGB", "RGBA") and _is_deep_png(path, header):
        yield MODES["I"]
    if header.orientation not in (0, 1):
        turn = header.orientation
        yield "file-exif-rotated", f"is stored turned (EXIF orientation {turn}); read upright"
    if header.frames > 1:
        yield "file-animated", f"is an animation of {header.frames} frames; the first is read"
    endings = _endings(path)
    if endings and Path(path).suffix.lower() not in endings:
        ends = Path(path).suffix
        yield "file-wrong-extension", f"is a {header.format} named {ends}; read as {header.format}"


def _is_deep_png(path: str, header: Header) -> bool:
    if header.format != "PNG":
        return False
    with open(path, "rb") as file:
        return file.read(25)[24:] == b"\x10"  # the bit depth in IHDR


def _endings(path: str) -> tuple[str, ...]:
    """The endings usual for a file's first bytes; empty for kinds that nobody confuses."""
    try:
        with open(path, "rb") as file:
            kind = kind_of(file.read(TAIL))
    except OSError:
        return ()
    return kind[1] if kind else ()


AUDITS = {"headers": look}
