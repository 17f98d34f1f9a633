"""C outputs answer for the labels 0..C-1; a label outside either crashes or trains nonsense."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ..labels import IGNORED, few
from ._cases import examined, seen, training
from ._readings import finite, left_out, num_classes

USUAL = 3  # labels of each class: then e^-3 of the sets have no 0 by chance
SHOWN = 4  # labels and items that the message names


@dataclass
class Seen:
    """Labels outside: who carries them where that is known, and the range of all labels."""

    outputs: int
    low: int
    high: int
    step: int = 0
    labels: dict[int, int] = field(default_factory=dict)  # item -> label, where few
    items_of: str = "train"
    paths: list[str] = field(default_factory=list)
    searched: int = 0
    is_sure: bool = True  # the outputs were counted, not guessed from the labels
    left: str = ""  # what the search had no time for


class LabelOutOfRange(Check):
    """Class labels below 0 or not below the number of outputs."""

    id = "label-out-of-range"
    level = "error"
    signal = "smallest and largest class label beside the width of the output, and who carries them"
    threshold = "0 <= label < outputs"
    source = "notes 002, loss functions: labels index the scores"
    why = "on the CPU the loss raises; on a GPU it asserts; a hand-written loss indexes wrongly"
    do = "labels that start at 1: subtract 1; else give the last layer one output for each class"
    bad = "loss = F.cross_entropy(net(x), y)      # y in 1..10, ten outputs"
    good = "loss = F.cross_entropy(net(x), y - 1)  # y in 0..9"
    explains = ("numerics-nan-loss", "init-loss-unexpected", "loop-no-step")

    def look(self, chart: Chart) -> Finding | None:
        """What the search or the loss named; else the data, unless a library loss took them."""
        told = next(_seen(chart), None)
        if told is None:
            return None
        return self._slips(told) if told.labels else self._range(told)

    def _slips(self, told: Seen) -> Finding:
        """Single items: correct them; more classes would only hide the slip."""
        listed = list(told.labels.items())
        named = [f"{_name(told, i)} is labelled {label}" for i, label in listed[:SHOWN]]
        more = len(listed) - len(named)
        words = ", ".join(named) + (f" and {more} more are" if more else "")
        of = f" ({len(listed)} of {told.searched} labels)" if told.searched else ""
        last = told.outputs - 1
        one = told.low >= 1 and set(told.labels.values()) == {told.outputs}
        hint = "where all labels start at 1, subtract 1; else " if one else ""
        return self.finding(
            f"{words}, outside 0 to {last}{of}{told.left}",
            level="error" if told.is_sure else "warning",
            do=f"{hint}give {'this item its' if len(listed) == 1 else 'these items their'} right"
            f" label, 0 to {last}, or leave {'it' if len(listed) == 1 else 'them'} out",
            samples=tuple(told.labels),
            samples_of=told.items_of,
            paths=tuple(told.paths),
            since=told.step,
            confidence=0.98 if told.is_sure else 0.7,
            evidence={"labels": {str(i): label for i, label in listed[:50]},
                      "outputs": told.outputs, "searched": told.searched},
        )  # fmt: skip

    def _range(self, told: Seen) -> Finding:
        """Many: another numbering, or more classes than outputs."""
        low, high, outputs = told.low, told.high, told.outputs
        settings: dict[str, Any] = {}
        if low >= 1 and high == outputs:
            do = "labels start at 1: subtract 1 from them"
        elif low < 0:
            do = f"labels that start at {low}: add {-low}; where {low} means no label, give the" \
                 f" loss ignore_index={low}"  # fmt: skip
        else:
            do = f"give the last layer {high + 1} outputs, one for each class from 0 to {high}"
            settings = {"classes": high + 1}
        return self.finding(
            f"labels run from {low} to {high}, but {outputs} outputs answer for 0 to {outputs - 1}",
            settings=settings,
            do=do,
            since=told.step,
            confidence=0.98,
            evidence={"target_min": low, "target_max": high, "outputs": outputs},
        )


def _name(told: Seen, item: int) -> str:
    place = list(told.labels).index(item)
    path = f" ({told.paths[place]})" if place < len(told.paths) else ""
    return f"{'row of the batch' if told.items_of == 'batch' else 'item'} {item}{path}"


def _seen(chart: Chart) -> Iterator[Seen]:
    yield from _searched(chart)
    yield from _refused(chart)
    if not any(row.get("value") is not None for row in chart.loss_calls):
        yield from _counted(chart)
        yield from _dealt(chart)


def _searched(chart: Chart) -> Iterator[Seen]:
    """The items that the culprit search named."""
    for row in chart.culprits:
        if row.get("cause") == "label" and row.get("classes"):
            values = row.get("values") or {}
            items = {i: values[str(i)]["label"] for i in row.get("samples", ()) if str(i) in values}
            yield Seen(int(row["classes"]), row.get("target_min", 0), row.get("target_max", 0),
                       row.get("step", 0), items, row.get("samples_of") or "train",
                       list(row.get("paths") or ()), int(row.get("searched") or 0),
                       left=left_out(row))  # fmt: skip


def _refused(chart: Chart) -> Iterator[Seen]:
    """What a loss of the library refused."""
    for row in chart.loss_calls:
        if "out of bounds" in str(row.get("error")) and row.get("target_max") is not None:
            outputs = int(row.get("classes") or num_classes(chart))
            told = Seen(outputs, row.get("target_min") or 0, row["target_max"], row["step"])
            items, size = row.get("outside") or {}, (row.get("target_shape") or [0])[0]
            if len(items) * 4 <= size and not _starts_at_one(chart, row, outputs):
                told.labels = {int(i): label for i, label in items.items()}
                told.items_of, told.searched = "batch", size
            yield told


def _starts_at_one(chart: Chart, refused: dict[str, Any], outputs: int) -> bool:
    """Whether so many labels without a single 0, and none above C, are numbered from 1."""
    rows = [r for r in chart.loss_calls if r.get("classes") == refused.get("classes")]
    count = sum((r.get("target_shape") or [0])[0] for r in rows)
    low = min(r.get("target_min") or 0 for r in rows)
    return low == 1 and refused["target_max"] == outputs and count >= USUAL * outputs


def _counted(chart: Chart) -> Iterator[Seen]:
    """The labels of the data set as they were counted."""
    exam = chart.exams.get("counts") or {}
    counts = Counter({int(k): int(n) for k, n in (exam.get("counts") or {}).items()})
    known = int(exam.get("classes") or 0) or _outputs(chart)
    outputs = known or int(exam.get("likely") or 0)
    beyond = [k for k in counts if not 0 <= k < outputs]
    if not outputs or not beyond:
        return
    told = Seen(outputs, min(counts), max(counts), exam.get("step", 0), is_sure=known > 0)
    if few(counts, outputs):
        rare = {int(i): label for i, label in (exam.get("rare") or {}).items()}
        told.labels = {i: label for i, label in rare.items() if label in beyond}
        paths = dict(zip(rare, exam.get("paths") or (), strict=False))
        told.paths = [paths[i] for i in told.labels if i in paths]
        told.searched = int(exam.get("searched") or 0)
    if told.labels or known:
        yield told


def _dealt(chart: Chart) -> Iterator[Seen]:
    """What reached the network, where no library loss accepted the labels."""
    outputs = _outputs(chart)
    for row in chart.batches.get("train", ()) if outputs else ():
        low, high = row.get("target_min"), row.get("target_max")
        if low is None or high is None:
            continue
        if high >= outputs or (low < 0 and low != IGNORED):
            yield Seen(outputs, low, high, row["step"])
    if not outputs:
        yield from _one_based(chart)


def _outputs(chart: Chart) -> int:
    return num_classes(chart) if chart.facts.get("targets") == "class" else 0


def _one_based(chart: Chart) -> Iterator[Seen]:
    """A loss written by hand: labels 1..C beside C outputs can hardly be chance."""
    last = list(chart.layers.values())[-1] if chart.layers else None
    shape = list(last.facts.get("out_shape") or ()) if last else []
    rows = [r for r in chart.batches.get("train", ()) if "int" in str(r.get("target_dtype"))]
    low = finite(r.get("target_min") for r in rows)
    high = finite(r.get("target_max") for r in rows)
    if len(shape) != 2 or shape[1] < 2 or not low or not high or len(chart.loss_calls):
        return
    if min(low) == 1 and max(high) == shape[1]:
        yield Seen(shape[1], 1, int(max(high)), rows[0]["step"])


def sick() -> list[Chart]:
    """One-based: refused, and swallowed by a loss written by hand; single slips, thrice known."""
    refused = {"target_max": 10, "target_min": 1, "value": None, "target_shape": [64],
               "outside": {str(i): 10 for i in range(16)},
               "error": "Target 10 is out of bounds."}  # fmt: skip
    by_hand = training(batch={"target_min": -1, "target_max": 8})
    by_hand.loss_calls = type(by_hand.loss_calls)()
    slip = seen("culprit", 0, cause="label", samples=[321], samples_of="train", classes=10,
                values={"321": {"label": 11}}, searched=1797, outside={"11": 1}, count=1,
                target_min=0, target_max=11)  # fmt: skip
    many = {str(k): 180 for k in range(10)}
    counted = examined("counts", counts={**many, "-1": 1}, rare={"321": -1}, classes=10, likely=10,
                       searched=1801, total=1801)  # fmt: skip
    begins = {**refused, "outside": {"5": 10, "9": 10}}
    alone = {**refused, "outside": {"5": 10}, "target_min": 0}
    return [
        training(1, loss_call=refused, batch={"target_min": 1, "target_max": 10}),
        by_hand,
        training(1, loss_call={**refused, "target_max": 11}, sick=(slip,)),
        training(0, sick=(counted,)),
        training(1, loss_call=alone),
        training(1, loss_call=begins),
    ]


def healthy() -> list[Chart]:
    """Padding that the loss ignores; values, not classes; a loss that took every label; all in."""
    padded = {"target_min": IGNORED}
    values = {"target_min": -3.0, "target_max": 40.0, "target_dtype": "float32"}
    within = examined("counts", counts={str(k): 180 for k in range(10)}, classes=10, likely=10)
    return [
        training(batch=padded, loss_call=padded),
        training(facts={"targets": "value", "classes": None, "loss_fn": "HuberLoss"},
                 batch=values, loss_call={"function": "huber_loss", "classes": None}),
        training(batch={"target_min": -1}, loss_call={"target_min": -1}),
        training(0, sick=(within,)),
    ]  # fmt: skip


CHECKS = {LabelOutOfRange.id: LabelOutOfRange()}
