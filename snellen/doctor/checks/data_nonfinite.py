"""One NaN or Inf in one item turns every weight into NaN within one step."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import seen, training
from ._readings import left_out


class DataNonfinite(Check):
    """Items or targets that hold NaN or Inf."""

    id = "data-nonfinite"
    level = "error"
    signal = "NaN or Inf in what reaches the network, or in an item that the culprit search read"
    threshold = 1
    source = "notes 000, cleaning data"
    why = "one value that is not a number makes the loss, then all weights, not a number"
    do = "repair or remove these items, and refuse such values where the data is read"
    bad = "x = torch.from_numpy(readings)"
    good = "assert np.isfinite(readings).all(); x = torch.from_numpy(readings)"
    explains = (
        "numerics-nan-loss", "data-poison-sample", "data-outlier", "data-unnormalised",
        "target-unscaled", "init-loss-unexpected", "lr-too-high", "lr-too-low", "grad-exploding",
        "grad-vanishing", "arch-dead-relu", "arch-saturated", "output-constant",
        "weights-not-updating", "params-no-grad", "init-too-large", "init-too-small",
        "loss-output-activation", "data-constant-input", "loop-no-zero-grad", "gen-overfit",
        "loss-unstable-log",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """The culprit search's items where there are any, else the batch's rows."""
        for culprit in chart.culprits:
            if culprit.get("cause") == "data":
                return self._named(culprit)
        for split, rows in chart.batches.items():
            for row in rows:
                if count := _count(row.get("nonfinite_rows")):
                    return self._in_batch(split, row, count)
        return None

    def _named(self, culprit: dict[str, Any]) -> Finding:
        samples, split = tuple(culprit.get("samples", ())), culprit.get("split") or "train"
        what = f"{len(samples)} {split} item{'s' * (len(samples) != 1)}"
        shown = f" ({_contents(culprit['values'])})" if culprit.get("values") else ""
        left = left_out(culprit)
        of = "" if left else f" of {culprit.get('searched', 'the')} searched"
        return self.finding(
            f"{what}{of} hold NaN or Inf in the {_part(culprit)}{shown}{left}",
            samples=samples,
            samples_of=culprit.get("samples_of") or split,
            paths=tuple(culprit.get("paths", ())),
            since=culprit.get("step", 0),
            confidence=0.99,
            evidence={"searched": culprit.get("searched"), "values": culprit.get("values")},
        )

    def _in_batch(self, split: str, row: dict[str, Any], count: int) -> Finding:
        rows = row["nonfinite_rows"]
        return self.finding(
            f"{count} of the rows of a {split} batch hold NaN or Inf at step {row['step']}",
            samples=tuple(rows) if isinstance(rows, list | tuple) else (),
            samples_of="batch",
            since=row["step"],
            confidence=0.95,
            evidence={"rows": rows},
        )


def _part(culprit: dict[str, Any]) -> str:
    """Input or target: what the log calls an image may as well be a row of numbers."""
    return "target" if culprit.get("field") == "target" else "input"


def _contents(values: Any) -> str:
    """What the search read, by item, the first three -> words.

    >>> _contents({"417": {"field": "image", "nan": 64, "inf": 0}})
    'item 417: 64 NaN'
    """
    if not isinstance(values, dict):
        return str(values)
    said = []
    for item, found in list(values.items())[:3]:
        counts = [f"{found[key]} {word}" for key, word in (("nan", "NaN"), ("inf", "Inf"))
                  if isinstance(found, dict) and found.get(key)]  # fmt: skip
        said.append(f"item {item}: {', '.join(counts) or found}")
    return "; ".join(said)


def _count(rows: Any) -> int:
    return len(rows) if isinstance(rows, list | tuple) else int(rows or 0)


def sick() -> list[Chart]:
    """A search that named three items; a batch with one bad row and nothing to search."""
    named = seen(
        "culprit", 7, cause="data", split="train", samples=[17, 803, 2211], samples_of="train",
        paths=[], module="", operation="", searched=6400, values="nan", field="image",
    )  # fmt: skip
    broken = {"loss": lambda t: 2.3 if t < 7 else float("nan")}
    first = seen("nonfinite", 7, what="input", module="fc1", parameter="", operation="")
    return [
        training(12, step=broken, sick=(first, named)),
        training(12, batch={"nonfinite_rows": lambda t: [5] if t == 7 else []}),
    ]


def healthy() -> list[Chart]:
    """Finite data; a search that found no data to blame."""
    return [training(), training(batch={"nonfinite_rows": 0})]


CHECKS = {DataNonfinite.id: DataNonfinite()}
