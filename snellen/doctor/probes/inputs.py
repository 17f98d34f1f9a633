"""What reached the network: range, moments, kind, rows that are not finite, and the targets."""

from statistics import median
from typing import Any

import torch
from torch import Tensor

from ..loader import Record, row_of, tensors_of
from ._measure import SAMPLE, bad_rows, first_tensor, summary, target_facts
from ._probe import Feed, Probe

CHANNELS = 64  # more are features that are not told apart

FAR, KEPT = 10.0, 64  # times the batches' median; batches


class Inputs(Probe):
    """A batch event for the first forward pass of a sampled step, and for some of evaluation."""

    _last = -1

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._sizes: dict[str, list[float]] = {"input": [], "target": []}  # of training batches

    def forward(self, feed: Feed, full: bool) -> None:
        """Measure the batch once a step."""
        if feed.turn != self._last:
            self._last = feed.turn
            self._emit(feed, "train")

    def evaluation(self, feed: Feed) -> None:
        """Measure a batch of evaluation."""
        self._emit(feed, (feed.record.split if feed.record else "") or "val")

    def _emit(self, feed: Feed, split: str) -> None:
        x = first_tensor(feed.args, feed.kwargs)
        if x is None:
            return
        values = batch_values(x)
        if feed.record is not None and (given := tensors_of(feed.record.data)):
            values["altered"] = is_altered(given[0][1], x)
        target = target_of(feed.record, x)
        if target is not None:
            values |= target_facts(target)
        values["train_mode"] = feed.training
        if split == "train":
            for what, t in (("input", x), ("target", target)):
                if (row := self._row_far_out(what, t, feed.record)) is not None:
                    values[f"{what}_row"] = row
        self.eyes.emit("batch", feed.step, split=split, values=values)

    def _row_far_out(self, what: str, t: Tensor | None, record: Record | None) -> int | None:
        """The data set's row with the largest value of a batch whose like was not seen before."""
        rows = record.indices() if record is not None else None
        if record is None or rows is None or t is None or not t.is_floating_point():
            return None
        if not t.dim() or len(t) != len(rows) or not t.numel():
            return None
        size_B = t.detach().abs().flatten(1).amax(1) if t.dim() > 1 else t.detach().abs()
        largest, sizes = float(size_B.max()), self._sizes[what]
        is_far = bool(sizes) and largest > FAR * median(sizes)
        sizes.append(largest)
        del sizes[:-KEPT]
        return row_of(record.dataset, rows[int(size_B.argmax())]) if is_far else None


def batch_values(x_B: Tensor) -> dict[str, Any]:
    """x_B... -> the values of a batch event."""
    x_B = x_B.detach()
    if x_B.is_sparse or x_B.is_nested:
        return {"shape": list(x_B.shape)}
    few = x_B[: max(2, SAMPLE // max(1, x_B[:1].numel()))] if x_B.dim() else x_B
    values: dict[str, Any] = dict(summary(few))
    rows = () if _is_mask(x_B) else bad_rows(x_B)
    # fmt: off
    values |= {"nonfinite_rows": len(rows), "shape": list(x_B.shape),
               "dtype": str(x_B.dtype).removeprefix("torch."),
               "whole_numbers": not few.is_floating_point() or bool((few == few.floor()).all()),
               "zero_share": (few == 0).float().mean().item() if few.numel() else 0.0}
    # fmt: on
    if len(few) > 1 and few.dim() > 1:
        flat = few.flatten(1)
        values["constant_share"] = (flat == flat[:1]).all(0).float().mean().item()
    return values


def _is_mask(x: Tensor) -> bool:
    """Zeros and minus infinity alone: what attention adds to its scores.

    >>> _is_mask(torch.tensor([[0.0, -torch.inf]])), _is_mask(torch.tensor([1.0, -torch.inf]))
    (True, False)
    """
    low = x.is_floating_point() and x.numel() > 0 and bool(x.min() == -torch.inf)
    return low and bool(((x == 0) | (x == -torch.inf)).all())


def is_altered(given: Tensor, x: Tensor) -> bool:
    """Whether more than a scale and an offset lies between a loader's input and the network's.

    >>> a = torch.tensor([[1.0], [2.0], [4.0]]); is_altered(a, 3 * a - 1), is_altered(a, a.flip(0))
    (False, True)
    """
    if given.shape != x.shape or x.dim() < 2 or not x.numel():
        return False
    pair = [t.detach()[:8].cpu().double() for t in (given, x)]
    channels = x.shape[1] if x.shape[1] <= CHANNELS else 1
    a, b = (t.reshape(len(t), channels, -1).transpose(0, 1).flatten(1) for t in pair)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    alike = ((a * b).sum(1) ** 2) >= 0.999 * a.square().sum(1) * b.square().sum(1)
    return not bool(alike.all())


def target_of(record: Record | None, x: Tensor) -> Tensor | None:
    """The target of a loader's batch: its second tensor, where the first is the input."""
    if record is None or record.data is None:
        return None
    tensors = [t for _, t in tensors_of(record.data)]
    if len(tensors) < 2 or not tensors[0].dim() or len(tensors[0]) != (len(x) if x.dim() else 0):
        return None
    target = tensors[1]
    return None if target.dtype == torch.bool else target


PROBES = {"inputs": Inputs}
