"""A sample can be finite and still make the network divide by zero or take log(0)."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import seen, training

UNNAMED = "mend or drop these samples; where the loss takes a log, a root or a quotient of the" \
          " targets, add an epsilon there (torch.xlogy knows 0 * log 0)"  # fmt: skip


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
            at = f" at {layer or operation}" if layer or operation else ""
            one = len(samples) == 1
            how = f"{culprit.get('searched', 'some')} were tried alone"
            if culprit.get("bad_batches"):
                it, good = "it" if one else "them", culprit.get("good_batches", 0)
                how = (f"all {culprit['bad_batches']} batches with a bad loss had {it}, and none of"
                       f" {good} others since")  # fmt: skip
            return self.finding(
                f"{len(samples)} finite sample{'s' * (not one)} make{'s' * one} the loss NaN or"
                f" Inf{at}; {how}",
                do=self.do if where else UNNAMED,
                where=where,
                samples=samples,
                samples_of=culprit.get("samples_of") or culprit.get("split") or "train",
                paths=tuple(culprit.get("paths", ())),
                since=culprit.get("step", 0),
                confidence=0.95,
                evidence={"values": culprit.get("values"), "searched": culprit.get("searched")},
            )
        return None


def sick() -> list[Chart]:
    """Two black images that a network divides by their own std; 0 * log 0 in a loss by hand."""
    named = seen("culprit", 4, cause="sample", split="train", samples=[5, 90], searched=6400,
                 samples_of="train", module="norm", operation="aten::div")  # fmt: skip
    first = seen("nonfinite", 4, what="loss", module="norm")
    company = seen("culprit", 60, cause="sample", split="train", samples=[311], searched=1,
                   samples_of="train", bad_batches=3, good_batches=52)  # fmt: skip
    return [training(5, sick=(first, named)), training(60, sick=(first, company))]


def healthy() -> list[Chart]:
    """Nothing to search for."""
    return [training()]


CHECKS = {PoisonSample.id: PoisonSample()}
