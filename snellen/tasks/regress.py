"""Regression: numbers of an image. Notes 003: L2 is fragile, so try a choice among bins first.

x_BCHW -> V numbers in units of the training part's spread -> the numbers themselves. With bins=K
x_BCHW -> V choices among K points at quantiles of the training part -> the expectation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError, UnknownName, UsageError
from ..core.wide import wide
from ..data.columns import ordered
from ..data.inputs import Inputs
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ._cells import Columns, known
from ._pooling import mean_of_shares
from ._spread import spread_rows, targets_of
from .drawing import draw_lines
from .heads import full
from .task import Metric, Task

LOOKS = 500  # samples read for mean and spread where a target cannot be had without its picture
GRID = 100  # quantiles kept in the spec, less one
SURE = 1e-12  # of a probability that is 0


class Regress(Task):
    """Numbers; NaN in the data is not known, and is left out.

    spec: {"values": [names], "mean": [...], "std": [...], "quantiles": V lists, "inputs":
    Inputs.as_dict(), "loss": "smooth-l1", "bins": K}; the last two may be missing.
    """

    name = "regress"
    about = "numbers of an image, straight or as a choice among bins"
    score = "R2"
    default_model = "resnet8_w32"
    settings = ("loss", "bins")
    rivals = False
    squashes = True
    usual = {"augment": "off", "samples": 40_000, "batch": 32}  # a shift may change a number

    def names(self) -> list[str]:
        """What the numbers are called."""
        return list(self.spec["values"])

    def num_outputs(self) -> int:
        """One for each number, or one for each point of each."""
        if "bins" not in self.spec:
            return len(self.names())
        return sum(len(points) for points in self.points())

    def points(self) -> list[Tensor]:
        """The points of each number that bins choose among, ascending; equal ones are one."""
        levels = torch.linspace(0, GRID, self.spec["bins"], dtype=torch.float64)
        low, share = levels.long().clamp(max=GRID - 1), levels - levels.floor()
        share = torch.where(levels == GRID, 1.0, share)
        grids = torch.tensor(self.spec["quantiles"], dtype=torch.float64)
        return [(grid[low].lerp(grid[low + 1], share)).unique() for grid in grids]

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """Data with numbers."""
        if not source.values:
            raise DataError(
                f"{source.name} ({source.format}) has no numbers; task=regress wants a table with "
                "a column of numbers for each, or arrays (x, y) with y of floats"
            )
        return source

    def aligned(self, part: SampleSet, source: Source) -> SampleSet:
        """A part of other data with its numbers in this task's order."""
        return ordered(part, source, values=self.names())

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Regress":
        """Mean, spread and quantiles of the training part; raises DataError for a number that is
        never known or always the same.
        """
        values_NV = gather(source.train, len(source.values)).double()
        spec: dict[str, Any] = {"values": list(source.values), "mean": [], "std": []}
        spec["quantiles"] = []
        for name, column in zip(source.values, values_NV.T, strict=True):
            column = column[~column.isnan()]
            if len(column) < 2 or not bool((column != column[0]).any()):
                said = f"{float(column[0]):g} in every image" if len(column) else "never given"
                raise DataError(f"{source.name}: {name} is {said}; leave that column out")
            spec["mean"].append(float(column.mean()))
            spec["std"].append(float(column.std(correction=0)))
            levels = torch.linspace(0, 1, GRID + 1, dtype=torch.float64)
            spec["quantiles"].append(column.quantile(levels).tolist())
        return cls({**spec, "inputs": Inputs.of(source.train, imgsz).as_dict()})

    def check(self, sample: Sample) -> list[Problem]:
        """Too few or many numbers, or one that is infinite."""
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        given, names = sample.target.values_V, self.names()
        if given is None or len(given) != len(names):
            text = f"{0 if given is None else len(given)} numbers where {len(names)} are wanted"
            return [Problem("value-missing", text, do="give each, or nan", **place)]
        do = "give a finite number; it is left out of loss and scores"
        return [
            Problem("value-infinite", f"{names[i]} is {float(given[i])}", do=do, **place)
            for i in given.isinf().nonzero()[:, 0].tolist()
        ]

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The backbone's outputs are the numbers. Raises UsageError for losses that do not fit."""
        assert backbone is not None
        if "bins" in self.spec and "loss" in self.spec:
            raise UsageError(
                f"bins={self.spec['bins']} learns a choice by cross-entropy; "
                f"loss={self.spec['loss']} says nothing to it; leave one of them out"
            )
        self._loss()
        return backbone

    def _loss(self) -> Callable[..., Tensor]:
        name = self.spec.get("loss", "smooth-l1")
        if name not in NUMBER_LOSSES:
            raise UnknownName(name, NUMBER_LOSSES, "the losses of task=regress")
        return NUMBER_LOSSES[name]

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW at the input size, y = {"values": (B, V)}, NaN where not known."""
        inputs, count = self.inputs(), len(self.names())
        x = stack([inputs.fit(s.image_CHW) for s in samples])
        values = torch.stack([known(s.target.values_V, count) for s in samples])
        index = torch.tensor([s.index for s in samples])
        sizes = torch.tensor([s.size for s in samples])
        return Batch(x, {"values": values}, index, sizes)

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The mean over all known numbers, in units of their spread; of bins, cross-entropy."""
        out, known_BV = full(net(batch.x)), ~batch.y["values"].isnan()
        values_BV = wide(batch.y["values"])
        if "bins" in self.spec:
            columns = zip(self._choices(out), self._shares(values_BV), strict=True)
            loss_BV = torch.stack(
                [F.cross_entropy(c, s.to(c), reduction="none") for c, s in columns], 1
            )
        else:
            true_BV = self._standardised(values_BV).nan_to_num(0.0).to(out)
            loss_BV = self._loss()(out, true_BV, reduction="none")
        total = torch.where(known_BV, loss_BV, 0).sum()
        return {"loss": total / known_BV.sum().clamp(min=1)}

    def evidence(self, out: Tensor, batch: Batch) -> tuple[Tensor, list[str]]:
        """The numbers, of bins their expectations, in units of their spread."""
        if "bins" not in self.spec:
            return out, self.names()
        columns = zip(self._choices(out), self.points(), strict=True)
        values_BV = torch.stack([c.softmax(1) @ points.to(c) for c, points in columns], 1)
        return self._standardised(values_BV), self.names()

    def pool(self, outs: Sequence[Tensor], tasks: Sequence[Task]) -> Tensor:
        """Raw numbers of each, in units of its own training -> those of the mean of the numbers; of
        bins the mean of the shares, which must be of the same points.
        """
        if any(task.spec.get("bins") != self.spec.get("bins") for task in tasks):
            raise UsageError(
                "some learned their numbers straight, others as a choice among bins; an ensemble "
                "wants the same bins= of all"
            )
        if "bins" not in self.spec:
            values = [
                out * out.new_tensor(task.spec["std"]) + out.new_tensor(task.spec["mean"])
                for out, task in zip(map(full, outs), tasks, strict=True)
            ]
            return self._standardised(torch.stack(values).mean(0))
        if any(task.spec["quantiles"] != self.spec["quantiles"] for task in tasks):
            raise UsageError(
                f"bins={self.spec['bins']} lie elsewhere in each network, as they learned from "
                "other data; an ensemble wants the same points of all"
            )
        columns = zip(*(self._choices(out) for out in outs), strict=True)
        return torch.cat([mean_of_shares(column) for column in columns], 1)

    def decode(self, out: Tensor, batch: Batch) -> list[Prediction]:
        """Raw numbers -> values_V in their own units."""
        out = out.detach().cpu().double()
        if "bins" in self.spec:
            pairs = zip(self._choices(out), self.points(), strict=True)
            values_BV = torch.stack([c.softmax(1) @ points for c, points in pairs], 1)
        else:
            mean_V, std_V = self._statistics(out)
            values_BV = out * std_V + mean_V
        return [Prediction(values_V=values_V.float()) for values_V in values_BV]

    def metric(self) -> "NumberScores":
        """R2 and the mean absolute error."""
        return NumberScores(self.names())

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The image with its numbers below."""
        given = (target or sample.target).values_V
        pairs = zip(self.names(), [] if given is None else given.tolist(), strict=False)
        return draw_lines(sample.image_CHW, [f"{name}: {value:.4g}" for name, value in pairs])

    def oracle(self, batch: Batch) -> Tensor:
        """The true numbers as the network would say them."""
        values_BV = batch.y["values"].double()
        if "bins" in self.spec:
            return torch.cat([s.clamp(min=SURE).log() for s in self._shares(values_BV)], 1)
        return self._standardised(values_BV).nan_to_num(0.0)

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always the mean."""
        values_NV = gather(train, len(self.names()))
        mean_V = torch.tensor(self.spec["mean"])
        scores = NumberScores(self.names())
        scores.update([Prediction(values_V=mean_V)] * len(values_NV),
                      [Target(values_V=v) for v in values_NV])  # fmt: skip
        return {"R2": 0.0, "nMAE": scores.compute()["nMAE"]}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Generated scenes at half their size, a few seconds an epoch."""
        return {"data": "shapes", "task": cls.name, "model": "resnet8_w32", "imgsz": 48,
                "epochs": 4}  # fmt: skip

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return like.new_tensor(self.spec["mean"]), like.new_tensor(self.spec["std"])

    def _standardised(self, values_BV: Tensor) -> Tensor:
        mean_V, std_V = self._statistics(values_BV)
        return (values_BV - mean_V) / std_V

    def _choices(self, out: Tensor) -> tuple[Tensor, ...]:
        """(B, all points) -> scores_BK of each number."""
        return out.split([len(points) for points in self.points()], 1)

    def _shares(self, values_BV: Tensor) -> list[Tensor]:
        """values_BV -> for each number shares_BK of the two points around it, whose expectation it
        is; what lies beyond the last point is that point.
        """
        return [
            shares(column, points.to(column))
            for column, points in zip(values_BV.T, self.points(), strict=True)
        ]


def shares(values_B: Tensor, points_K: Tensor) -> Tensor:
    """values_B, points_K ascending -> shares_BK of the two nearest points; NaN is as the first.

    >>> shares(torch.tensor([2.5, 9.0]), torch.tensor([1.0, 2.0, 4.0]))
    tensor([[0.0000, 0.7500, 0.2500],
            [0.0000, 0.0000, 1.0000]])
    """
    values_B = values_B.nan_to_num(float(points_K[0])).clamp(points_K[0], points_K[-1])
    high_B = torch.searchsorted(points_K, values_B).clamp(1, len(points_K) - 1)
    low, high = points_K[high_B - 1], points_K[high_B]
    share_B = (values_B - low) / (high - low)
    shares_BK = values_B.new_zeros(len(values_B), len(points_K))
    rows = torch.arange(len(values_B), device=values_B.device)
    shares_BK[rows, high_B - 1], shares_BK[rows, high_B] = 1 - share_B, share_B
    return shares_BK


def gather(train: SampleSet, count: int) -> Tensor:
    """values_NV of all samples, or of some where each costs reading a picture."""
    looked = (train[i] for i in spread_rows(len(train), LOOKS))
    return torch.stack([known(t.values_V, count) for t in targets_of(train, looked)])


class NumberScores(Metric):
    """Gathers numbers and truths; what is not known (NaN) is not counted.

    >>> scores = NumberScores(["size"])
    >>> said = [Prediction(values_V=torch.tensor([v])) for v in (1.0, 2.0, 4.0)]
    >>> scores.update(said, [Target(values_V=torch.tensor([v])) for v in (1.0, 2.0, 3.0)])
    >>> scores.compute()["R2"]
    0.5
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.table = list(names), Columns()

    @property
    def has_truths(self) -> bool:
        """Whether any cell is known."""
        return self.table.has_truths

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """One batch."""
        for said, target in zip(predictions, targets, strict=True):
            row = known(said.values_V, len(self.names))
            self.table.add(row, known(target.values_V, len(self.names)))

    def compute(self) -> dict[str, float]:
        """Means over the numbers, and R2 of each: R2, 0 where it is below; nMAE, the mean absolute
        error as a share of the range of the true ones, at most 1.
        """
        rows = {name: row for v, name in enumerate(self.names) if (row := self._of(v))}
        count = max(len(rows), 1)
        r2, miss = (sum(row[i] for row in rows.values()) / count for i in (0, 1))
        each = {f"R2/{name}": row[0] for name, row in rows.items() if len(self.names) > 1}
        return {"R2": r2, "nMAE": miss, **each}

    def _of(self, v: int) -> tuple[float, float] | None:
        column = self.table.of(v)
        if column is None:
            return None
        said_N, true_N = (cells_N.double() for cells_N in column)
        miss_N = (said_N - true_N).nan_to_num(torch.inf)
        spread = float((true_N - true_N.mean()).square().sum())
        width = float(true_N.max() - true_N.min())
        square, mean = float(miss_N.square().sum()), float(miss_N.abs().mean())
        if spread == 0:  # one number only: right, or not
            return float(mean < 1e-6 * max(1.0, float(true_N[0].abs()))), float(mean > 0)
        return max(0.0, 1 - square / spread), min(1.0, mean / width)


NUMBER_LOSSES: dict[str, Callable[..., Tensor]] = {
    "smooth-l1": F.smooth_l1_loss,
    "l1": F.l1_loss,
    "l2": F.mse_loss,
}

TASKS = {"regress": Regress}
