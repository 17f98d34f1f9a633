"""The event log: the one format between training, doctor and studio.

One JSON object a line: {"kind": ..., "step": ..., "time": ..., fields of the kind}. Readers skip
kinds and fields that they do not know; writers may only use what KINDS lists.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import DataError, UnknownName
from .files import appended

KINDS: dict[str, tuple[str, ...]] = {
    "start": ("command", "recipe", "set_by"),
    "choice": ("setting", "value", "reason"),
    "note": ("text",),
    "epoch": ("epoch", "metrics", "seconds"),
    "metric": ("epoch", "split", "name", "value"),
    "checkpoint": ("file", "epoch"),
    "resume": ("file", "epoch", "same"),
    "finding": ("finding",),
    "end": ("status", "seconds"),
    # What the doctor's probes measured: `Chart.record` takes exactly these, live or from the log.
    "facts": ("values",),
    "step": ("values",),
    "layer": ("name", "values"),
    "param": ("name", "values"),
    "batch": ("split", "values"),
    "loss_call": ("values",),
    "nonfinite": ("values",),
    "culprit": ("values",),
    "probe": ("name", "values"),  # what a behavioural probe saw; names in doctor/probes
    "exam": ("name", "values"),  # one examination of the data or the network, as a whole
    "trial": ("values",),  # one trial of a search over settings
}


class EventLog:
    """Appends events to a file as they happen; a crash costs at most the last half line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = EventLog(Path(folder) / "events.jsonl")
    ...     log.write("note", 0, text="hello")
    ...     log.close()
    ...     [event["text"] for event in read_events(log.path)]
    ['hello']
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _cut_half_line(path)
        self._file = appended(path)

    def write(self, kind: str, step: int, **fields: Any) -> None:
        """Append one event; a kind or a field that KINDS does not list is an error."""
        if kind not in KINDS:
            raise UnknownName(kind, KINDS, "event kinds")
        for name in fields:
            if name not in KINDS[kind]:
                raise UnknownName(name, KINDS[kind], f"the fields of event {kind!r}")
        event = {"kind": kind, "step": step, "time": round(time.time(), 3), **fields}
        self._file.write(json.dumps(plain(event), ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole event of a log, in order; a half-written last line is skipped.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "events.jsonl")
    ...     _ = path.write_text('{"kind": "step", "step": 1}\\n{"kind": "st')
    ...     list(read_events(path))
    [{'kind': 'step', 'step': 1}]
    """
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield unplain(json.loads(line))
        except ValueError:  # not JSON, or not UTF-8
            if number < len(lines):
                raise DataError(f"{path} line {number} is not an event: {line[:60]!r}") from None


def _cut_half_line(path: Path) -> None:
    """Drop what a killed writer left after the last newline: appending to it would hide both."""
    if path.exists():
        whole = path.read_bytes().rpartition(b"\n")
        if whole[2]:
            os.truncate(path, len(whole[0]) + len(whole[1]))


def plain(value: Any) -> Any:
    """JSON has no NaN: a non-finite number becomes {"$float": "nan"}, so that words stay words.

    >>> plain({"loss": float("nan"), "class": "nan", "n": (1, 2)})
    {'loss': {'$float': 'nan'}, 'class': 'nan', 'n': [1, 2]}
    """
    return _json(value, lambda number: {"$float": str(number)})


def spelled(value: Any) -> Any:
    """As `plain`, but non-finite numbers become the words nan, inf and -inf: for other programs.

    >>> spelled({"loss": float("nan"), "n": (1, 2)})
    {'loss': 'nan', 'n': [1, 2]}
    """
    return _json(value, str)


def _json(value: Any, instead: Callable[[float], Any]) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else instead(value)
    if isinstance(value, dict):
        return {str(k): _json(v, instead) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v, instead) for v in value]
    return value


def unplain(value: Any) -> Any:
    """The inverse of `plain` for numbers.

    >>> unplain({"loss": {"$float": "inf"}, "class": "nan"})
    {'loss': inf, 'class': 'nan'}
    """
    if isinstance(value, dict):
        if value.keys() == {"$float"} and value["$float"] in ("nan", "inf", "-inf"):
            return float(value["$float"])
        return {k: unplain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unplain(v) for v in value]
    return value
