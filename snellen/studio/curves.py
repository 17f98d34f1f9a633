"""Events -> the lines that are drawn: each measured number by step, thinned, with its extremes."""

from collections.abc import Iterable, Sequence
from typing import Any

KINDS = ("metric", "step")
STEP = {"loss": ("loss", "each step"), "lr": ("learning rate", "each step"),
        "grad_norm": ("gradient norm", "each step")}  # fmt: skip
MOST = 1500  # points of a line: more than a screen has pixels across

Line = tuple[list[int], list[float]]  # steps, values
Panels = dict[str, dict[str, Line]]  # what is measured -> where (train, val, each step) -> line


def panels(events: Iterable[dict[str, Any]], most: int = MOST) -> Panels:
    """Events of KINDS -> at most so many points a line.

    >>> told = {"kind": "metric", "step": 4, "split": "val", "name": "loss", "value": 2.0}
    >>> panels([told])
    {'loss': {'val': ([4], [2.0])}}
    """
    found: Panels = {}
    for event in events:
        step = event.get("step")
        if not isinstance(step, int):
            continue
        for panel, line, value in _values(event):
            if isinstance(value, int | float):
                steps, values = found.setdefault(panel, {}).setdefault(line, ([], []))
                steps.append(step)
                values.append(value)
    return {panel: {name: thin(*line, most) for name, line in lines.items()}
            for panel, lines in found.items()}  # fmt: skip


def thin(steps: Sequence[int], values: Sequence[float], most: int = MOST) -> Line:
    """A line -> one of about `most` points in which every peak and every gap is still seen.

    Of each stretch the lowest and the highest value stay; where it holds a value that is not
    finite, that one too; and the last value of all.

    >>> thin(range(6), [1, 2, 9, 3, 0, 1], 4)
    ([0, 2, 3, 4, 5], [1, 9, 3, 0, 1])
    """
    if len(steps) <= most:
        return list(steps), list(values)
    each = 2 + any(not _is_finite(value) for value in values)  # that stay of a stretch
    length = -(-each * len(steps) // most)
    kept: list[int] = []
    for begin in range(0, len(steps), length):
        kept += sorted(_extremes(values, range(begin, min(begin + length, len(steps)))))
    kept += [len(steps) - 1] if kept[-1] != len(steps) - 1 else []
    return [steps[i] for i in kept], [values[i] for i in kept]


def _values(event: dict[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """(panel, line, value) of an event."""
    if event.get("kind") == "metric":
        return [(str(event.get("name")), str(event.get("split")), event.get("value"))]
    values = event.get("values")
    if not isinstance(values, dict) or values.get("optimizer"):
        return []
    return [(*place, values.get(name)) for name, place in STEP.items()]


def _extremes(values: Sequence[float], places: range) -> set[int]:
    finite = [i for i in places if _is_finite(values[i])]
    gap = [i for i in places if not _is_finite(values[i])][:1]
    by = values.__getitem__
    return {*gap, min(finite, key=by), max(finite, key=by)} if finite else set(gap)


def _is_finite(value: float) -> bool:
    return value - value == 0
