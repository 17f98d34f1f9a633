"""Label files as text: bounded, in UTF-8 or UTF-16, and what is unusual but harmless about them."""

from collections.abc import Iterator
from pathlib import Path

from ...core.errors import DataError
from ..source import Problem

MOST_BYTES = 64 * 2**20  # of one text or XML file of labels


def read_bytes(file: Path, most: int = MOST_BYTES) -> bytes:
    """A file's bytes; raises DataError where it cannot be opened or is absurdly large."""
    try:
        with open(file, "rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise DataError(f"{file} cannot be opened: {error.strerror}") from error
    if len(data) > most:
        raise DataError(f"{file} has more than {most >> 20:,} MB, too many for labels; split it")
    return data


def decode_text(data: bytes, file: Path) -> str:
    """Bytes in UTF-8, with or without its mark, or in UTF-16 with it -> text."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{file} line {line} is not UTF-8 text; save it as UTF-8") from error


def oddities(data: bytes, file: Path) -> Iterator[Problem]:
    """What is unusual about a file of lines, and read right all the same.

    >>> [p.id for p in oddities(b"\\xef\\xbb\\xbf0 1\\r\\n\\r\\n1, 2 \\n", Path("a.txt"))]
    ['label-bom', 'label-crlf', 'label-blank-line', 'label-blanks', 'label-commas']
    """
    lines = data.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    bare = [line.removesuffix(b"\r") for line in lines]
    signs = {
        "label-bom": [data[:3] == b"\xef\xbb\xbf" or data[:2] in (b"\xff\xfe", b"\xfe\xff")],
        "label-crlf": [line.endswith(b"\r") for line in lines],
        "label-blank-line": [not line.strip() for line in bare],
        "label-blanks": [line != line.strip() != b"" for line in bare],
        "label-commas": [b"," in line for line in bare],
    }
    for id, found in signs.items():
        if any(found):
            line = found.index(True) + 1
            yield Problem(id, f"{WORDS[id]}; read right", "harmless", str(file), line)


WORDS = {
    "label-bom": "begins with a byte order mark",
    "label-crlf": "ends its lines as Windows does (CRLF)",
    "label-blank-line": "has an empty line",
    "label-blanks": "has blanks at the end or the start of a line",
    "label-commas": "has commas between its numbers",
}
