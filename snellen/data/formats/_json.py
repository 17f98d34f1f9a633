"""Reading a large JSON object with the line of each element of its lists."""

import json
import re
from bisect import bisect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import DataError
from ._text import decode_text, read_bytes

MOST_BYTES = 2**31  # COCO's largest is 450 MB, and a parsed one takes about five times its size
SPACE = re.compile(r"[ \t\r\n]*")


@dataclass
class Document:
    """The values of the top object, and for each list the line where each element begins."""

    values: dict[str, Any]
    lines: dict[str, list[int]] = field(default_factory=dict)


def read_json(file: Path) -> Document:
    """A file that holds one object -> Document; raises DataError with the line that is broken.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.json").write_text('{"images": [1,\\n 2], "info": {}}')
    ...     read_json(Path(folder, "a.json"))
    Document(values={'images': [1, 2], 'info': {}}, lines={'images': [1, 2]})
    """
    text = decode_text(read_bytes(file, MOST_BYTES), file)
    try:
        values, starts = _object(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{file} line {error.lineno} is no JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested too deep, a number of 5,000 digits
        raise DataError(f"{file} is no JSON that can be read: {error}") from error
    ends = [match.start() for match in re.finditer("\n", text)]
    lines = {key: [bisect(ends, start) + 1 for start in places] for key, places in starts.items()}
    return Document(values, lines)


def _object(text: str) -> tuple[dict[str, Any], dict[str, list[int]]]:
    decoder = json.JSONDecoder()
    values: dict[str, Any] = {}
    starts: dict[str, list[int]] = {}
    position = _after(text, 0, "{")
    while text[position : position + 1] != "}":
        key, position = decoder.raw_decode(text, position)
        position = _after(text, position, ":")
        if text[position : position + 1] == "[":
            values[key], starts[key], position = _list(text, position, decoder)
        else:
            values[key], position = decoder.raw_decode(text, position)
        position = _next(text, position, "}")
    if _skip(text, position + 1) != len(text):
        raise json.JSONDecodeError("more follows the object", text, position + 1)
    return values, starts


def _list(text: str, position: int, decoder: json.JSONDecoder) -> tuple[list, list[int], int]:
    """The list that begins at a position -> (elements, where they begin, position after it)."""
    items: list[Any] = []
    starts: list[int] = []
    position = _after(text, position, "[")
    while text[position : position + 1] != "]":
        starts.append(position)
        item, position = decoder.raw_decode(text, position)
        items.append(item)
        position = _next(text, position, "]")
    return items, starts, position + 1


def _next(text: str, position: int, end: str) -> int:
    """Past a comma to the next element, or at the sign that ends them."""
    position = _skip(text, position)
    return position if text[position : position + 1] == end else _after(text, position, ",")


def _after(text: str, position: int, sign: str) -> int:
    position = _skip(text, position)
    if text[position : position + 1] != sign:
        raise json.JSONDecodeError(f"{sign!r} is wanted", text, position)
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    return match.end() if match else position
