"""What reached the network: range, moments, kind, rows that are not finite, and the targets."""

from typing import Any

import torch
from torch import Tensor

from ..loader import Record, tensors_of
from ._measure import SAMPLE, bad_rows, first_tensor, summary, target_facts
from ._probe import Feed, Probe


class Inputs(Probe):
    """A batch event for the first forward pass of a sampled step, and for some of evaluation."""

    _last = -1

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
        target = target_of(feed.record, x)
        if target is not None:
            values |= target_facts(target)
        values["train_mode"] = feed.training
        self.eyes.emit("batch", feed.step, split=split, values=values)


def batch_values(x_B: Tensor) -> dict[str, Any]:
    """x_B... -> the values of a batch event."""
    x_B = x_B.detach()
    if x_B.is_sparse or x_B.is_nested:
        return {"shape": list(x_B.shape)}
    few = x_B[: max(2, SAMPLE // max(1, x_B[:1].numel()))] if x_B.dim() else x_B
    values: dict[str, Any] = dict(summary(few))
    rows = bad_rows(x_B)
    # fmt: off
    values |= {"nonfinite_rows": len(rows), "shape": list(x_B.shape),
               "dtype": str(x_B.dtype).removeprefix("torch."),
               "whole_numbers": not few.is_floating_point() or bool((few == few.floor()).all())}
    # fmt: on
    if len(few) > 1 and few.dim() > 1:
        flat = few.flatten(1)
        values["constant_share"] = (flat == flat[:1]).all(0).float().mean().item()
    return values


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
