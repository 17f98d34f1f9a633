"""A sample can be finite and still make the network divide by zero or take log(0)."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import seen, training
from ._readings import left_out, short

UNNAMED = "mend or drop these samples; where the loss takes a log, a root or a quotient of the" \
          " targets, add an epsilon there (torch.xlogy knows 0 * log 0)"  # fmt: skip
FAR = "mend or drop these samples, or clip the values where the data is read"


class PoisonSample(Check):
    """Finite samples whose own loss or gradient is not finite."""

    id = "data-poison-sample"
    level = "error"
    signal = "loss of each sample alone, with the weights from before the step that failed"
    threshold = 1
    source = "notes 000, cleaning data"
    why = "the sample is finite, but the network turns it into NaN or Inf, whatever the weights"
    do = "mend or drop these samples, and add an epsilon to the operation named here"
    bad = "x = x / x.std()            # a black image has std 0"
    good = "x = x / (x.std() + 1e-6)"
    explains = (
        "numerics-nan-loss", "lr-too-high", "grad-exploding", "arch-dead-relu", "arch-saturated",
        "output-constant", "weights-not-updating", "params-no-grad", "data-outlier", "lr-too-low",
        "gen-overfit", "loss-unstable-log",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """What the culprit search named."""
        for culprit in chart.culprits:
            if culprit.get("cause") != "sample":
                continue
            samples = tuple(culprit.get("samples", ()))
            layer, operation = culprit.get("module"), culprit.get("operation")
            where = {k: v for k, v in (("module", layer), ("operation", operation)) if v}
            size = _size(culprit)
            return self.finding(
                (_far(len(samples), *size) if size else _alone(len(samples), culprit))
                + left_out(culprit),
                do=FAR if size else self.do if where and not _is_outside(operation) else UNNAMED,
                where=where,
                samples=samples,
                samples_of=culprit.get("samples_of") or culprit.get("split") or "train",
                paths=tuple(culprit.get("paths", ())),
                since=culprit.get("step", 0),
                confidence=0.95,
                evidence={"values": culprit.get("values"), "searched": culprit.get("searched")},
            )
        return None


def _is_outside(operation: str | None) -> bool:
    """Whether the operation only received what was not finite: of the targets, not of the net."""
    return bool(operation and operation.endswith("'s input"))


def _alone(count: int, culprit: dict[str, Any]) -> str:
    """Samples whose own loss or gradient is not finite."""
    place = culprit.get("module") or culprit.get("operation")
    at, one = f" at {place}" if place else "", count == 1
    how = f"{culprit.get('searched', 'some')} were tried alone"
    if culprit.get("bad_batches"):
        it, good = "it" if one else "them", culprit.get("good_batches", 0)
        how = (f"all {culprit['bad_batches']} batches with a bad loss had {it}, and none of"
               f" {good} others since")  # fmt: skip
    return (f"{count} finite sample{'s' * (not one)} make{'s' * one} the loss NaN or"
            f" Inf{at}; {how}")  # fmt: skip


def _far(count: int, largest: float, median: float) -> str:
    """Samples that were found by their size: the weights were lost before the search."""
    one = count == 1
    return (f"{count} sample{'s' * (not one)} hold{'s' * one} values up to {short(largest)} where"
            f" {short(median)} is usual; the step on {'it' if one else 'one of them'} threw the"
            " weights out of all bounds")  # fmt: skip


def _size(culprit: dict[str, Any]) -> tuple[float, float] | None:
    """The largest value of those that stick out, and the usual; None where it is not their size."""
    values = culprit.get("values")
    shown = [v for v in values.values() if isinstance(v, dict)] if isinstance(values, dict) else []
    sizes = [(v["absmax"], v["median"]) for v in shown if "absmax" in v and "median" in v]
    return max(sizes, default=None)


def sick() -> list[Chart]:
    """Two black images divided by their own std; 0 * log 0 in a loss by hand; a huge one."""
    named = seen("culprit", 4, cause="sample", split="train", samples=[5, 90], searched=6400,
                 samples_of="train", module="norm", operation="aten::div")  # fmt: skip
    first = seen("nonfinite", 4, what="loss", module="norm")
    company = seen("culprit", 60, cause="sample", split="train", samples=[311], searched=1,
                   samples_of="train", bad_batches=3, good_batches=52)  # fmt: skip
    huge = seen("culprit", 4, cause="sample", split="train", samples=[7], searched=4100,
                samples_of="train", searched_of=9000, stopped_after=10.0,
                values={"7": {"field": "image", "absmax": 3e38, "median": 3.1}})  # fmt: skip
    return [training(5, sick=(first, named)), training(60, sick=(first, company)),
            training(5, sick=(first, huge))]  # fmt: skip


def healthy() -> list[Chart]:
    """Nothing to search for."""
    return [training()]


CHECKS = {PoisonSample.id: PoisonSample()}
