"""Is a box fit to learn from? One judge for all formats, and the policy: cut, drop, and say so.

A box that lies partly outside is cut to the image; one of which nothing remains, or whose numbers
make no box, is dropped; an image that loses all its boxes so is left out, for it is not empty.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ...core.errors import DataError
from ..boxes import Box, Record, Thing
from ..source import Problem

ROUNDING = 1.0  # pixels beyond the edge that rounding and 0- or 1-based counting explain
RELATIVE_ROUNDING = 2e-3  # the same in shares: a pixel of 500
EXCHANGED = "; with x and y exchanged it would lie inside"
PIXELS_NOT_SHARES = 2.0  # shares beyond this are pixels
Fault = tuple[str, str, str]  # id, message, harm


@dataclass
class Notes:
    """What is wrong with one annotation, gathered while it is read."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(
        self, id: str, message: str, line: int | None = None, *, harm: str = "harmful", do: str = ""
    ) -> None:
        """One problem with its line."""
        self.found.append(Problem(id, message, harm, self.file, line, do=do))

    def unreadable(self, error: DataError, policy: str) -> None:
        """A file that cannot be read, with the line that the error names."""
        match = re.fullmatch(r"(?:line (\d+):? )?(.*)", str(error).removeprefix(f"{self.file} "))
        line, message = match.groups() if match else (None, str(error))
        self.add("label-unreadable", f"{message}; {policy}", int(line) if line else None,
                 do="repair it, or remove it with its image")  # fmt: skip


def judge(
    box: Box, size: tuple[float, float] | None, raw: Box | None = None
) -> tuple[Box | None, list[Fault]]:
    """x1, y1, x2, y2 half-open and the image's W, H -> (what is kept of the box, its faults).

    A size of (1, 1) means shares of the image. `raw` are the four numbers as the file has them.

    >>> judge((-40.0, 10.0, 20.0, 30.0), (100, 50))[0]
    (0.0, 10.0, 20.0, 30.0)
    >>> judge((20, 10, 5, 30), (100, 50))[1][0][0]
    'box-swapped'
    """
    raw = raw or box
    id = _impossible(box, size, raw)
    if id:
        return None, [(id, f"the box {_words(raw)} {MEANING[id]}; it is dropped", "harmful")]
    if size is None:
        return box, []
    x1, y1, x2, y2 = box
    width, height = size
    cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    over = max(a - b for a, b in ((cut[0], x1), (cut[1], y1), (x2, cut[2]), (y2, cut[3])))
    slack = RELATIVE_ROUNDING if size == (1, 1) else ROUNDING
    where = f"the image of {width:g} x {height:g}" if size != (1, 1) else "the image"
    hint = EXCHANGED if _fits_exchanged(box, size) else ""
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        message = f"the box {_words(raw)} lies outside {where}; it is dropped{hint}"
        return None, [("box-outside", message, "harmful")]
    if over > slack:
        id = "box-negative" if min(x1, y1) < -slack else "box-outside"
        message = f"the box {_words(raw)} reaches out of {where}; it is cut{hint}"
        return cut, [(id, message, "harmful")]
    if over > slack / 100:
        message = f"the box {_words(raw)} ends {over:.2g} beyond {where}; it is cut"
        return cut, [("box-overshoot", message, "harmless")]
    return cut, []


def _fits_exchanged(box: Box, size: tuple[float, float]) -> bool:
    """Whether a box lies in the picture with its axes exchanged; not for squares, or shares."""
    x1, y1, x2, y2 = box
    width, height = size
    fits = min(x1, y1) >= -ROUNDING and y2 <= width + ROUNDING and x2 <= height + ROUNDING
    return fits and width != height


def _impossible(box: Box, size: tuple[float, float] | None, raw: Box) -> str:
    x1, y1, x2, y2 = box
    if not all(math.isfinite(v) for v in box):
        return "box-nonfinite"
    if size == (1, 1):
        if max(map(abs, box)) > PIXELS_NOT_SHARES:
            return "box-not-normalised"
    elif min(raw) >= 0 and max(raw) <= 1 and any(v % 1 for v in raw):
        return "box-normalised"
    if x2 < x1 or y2 < y1:
        return "box-swapped"
    return "box-zero-area" if x1 == x2 or y1 == y2 else ""


def unique(things: Iterable[Thing], notes: Notes, is_relative: bool = False) -> list[Thing]:
    """Things of an image -> the same without repetitions; two classes, outlines or bodies on one
    box are said and kept.
    """
    digits = 7 if is_relative else 3
    at: dict[tuple[float, ...], list[int]] = {}
    kept: list[Thing] = []
    for thing in things:
        there = at.setdefault(tuple(round(v, digits) for v in thing.box), [])
        twin = next((k for k in there if _is_repeated(kept[k], thing)), None)
        if twin is not None:
            where = f" of line {kept[twin].line}" if kept[twin].line else ""
            message = f"the box {_words(thing.box)} repeats that{where}; it is dropped"
            notes.add("box-duplicate", message, thing.line, do="remove one of the two")
            kept[twin] = _joined(kept[twin], thing)
            continue
        if there:
            _twice(thing, [kept[k] for k in there], notes)
        there.append(len(kept))
        kept.append(thing)
    return kept


def _is_repeated(twin: Thing, thing: Thing) -> bool:
    """Whether two things on one box are one: what both say of class, outline and joints agrees."""
    outlines = twin.outline == thing.outline or not (twin.outline and thing.outline)
    joints = twin.keypoints == thing.keypoints or not (any(twin.keypoints) and any(thing.keypoints))
    return twin.label == thing.label and outlines and joints


def _joined(twin: Thing, thing: Thing) -> Thing:
    """A thing with the outline and the joints that only its repetition has."""
    return replace(twin, outline=twin.outline or thing.outline,
                   keypoints=max(twin.keypoints, thing.keypoints, key=any))  # fmt: skip


def _twice(thing: Thing, others: list[Thing], notes: Notes) -> None:
    """Say that a box is there under another class, or with another outline or other joints."""
    id, words = "box-two-classes", "under two classes"
    do = "find out which class is right"
    if all(other.label == thing.label for other in others):
        what = "outlines" if any(other.outline != thing.outline for other in others) else "bodies"
        id, words = "box-duplicate", f"with two {what}; both are kept"
        do = "look at them; remove one where both are the same thing"
    message = f"the box {_words(thing.box)} is there twice, {words}"
    notes.add(id, message, thing.line, harm="suspect", do=do)


def finish(record: Record, num_read: int, notes: Notes) -> Record | None:
    """A record -> the same without repetitions, or None where none of its boxes could be kept."""
    if num_read and not record.things:
        message = f"none of its {num_read} boxes can be used; its image is left out"
        notes.add("label-none-usable", message, record.line, do="correct the boxes")
        return None
    return replace(record, things=tuple(unique(record.things, notes, record.is_relative)))


def _words(box: Box) -> str:
    return "(" + ", ".join(f"{v:g}" for v in box) + ")"


MEANING = {
    "box-nonfinite": "holds NaN or infinity",
    "box-not-normalised": "is in pixels where shares of the image are wanted",
    "box-normalised": "is in shares of the image where pixels are wanted",
    "box-swapped": "has its corners swapped",
    "box-zero-area": "has no area",
}
