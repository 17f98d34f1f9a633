"""What several checks read out of a chart: finite series, trends, the weights that should learn."""

import math
from collections.abc import Iterable
from statistics import mean, median, variance
from typing import Any

from ..chart import Chart, Trace

REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
CROSS_ENTROPY = ("cross_entropy", "crossentropyloss")


def finite(values: Iterable[Any]) -> list[float]:
    """The finite numbers of a series, in order.

    >>> finite([1.0, None, float("nan"), 2])
    [1.0, 2.0]
    """
    numbers = (float(v) for v in values if isinstance(v, int | float))
    return [v for v in numbers if math.isfinite(v)]


def probed(chart: Chart, name: str) -> list[dict[str, Any]]:
    """What a behavioural probe saw, in order; empty where it was not asked."""
    return [*chart.probes.get(name, ())]


def num_optimizers(chart: Chart) -> int:
    """How many optimisers step; with more than one (a GAN) no single loss has to fall."""
    return int(chart.facts.get("num_optimizers") or 1)


def losses(chart: Chart) -> list[float]:
    """The finite training losses."""
    return finite(chart.column("loss"))


def ends(series: list[float]) -> tuple[float, float]:
    """Median of the first three values, and mean of the last fifth (three at least).

    >>> ends([4.0, 9.0, 4.0, 1.0, 1.0, 1.0])
    (4.0, 1.0)
    """
    return median(series[:3]), mean(series[-max(3, len(series) // 5) :])


def progress(chart: Chart) -> float:
    """By how much of its first size the loss fell; negative where it rose, 0 where unknown.

    Works for losses that go below zero (a Gaussian likelihood).
    """
    series = losses(chart)
    if len(series) < 2:
        return 0.0
    first, last = ends(series)
    return (first - last) / max(abs(first), 1e-12)


def is_flat(series: list[float], share: float) -> bool:
    """Whether two halves differ by less than a share of their size and twice their noise.

    >>> is_flat([2.3, 2.4, 2.2, 2.3, 2.4, 2.3], 0.02), is_flat([2.3, 2.2, 2.1, 1.0, 0.9, 0.8], 0.02)
    (True, False)
    """
    first, last = series[: len(series) // 2], series[len(series) // 2 :]
    if len(first) < 2:
        return False
    noise = math.sqrt(variance(first) / len(first) + variance(last) / len(last))
    return abs(mean(first) - mean(last)) < share * abs(mean(first)) + 2 * noise


def went_nonfinite(chart: Chart) -> bool:
    """Whether loss, weights or activations stopped being numbers."""
    return any(row.get("what") != "gradient" for row in chart.nonfinite)


def weights(chart: Chart, trainable: bool = True) -> list[Trace]:
    """The weight tensors (no biases, no norm scales), those that are to learn."""
    return [
        trace
        for trace in chart.params.values()
        if not (trace.facts.get("is_bias") or trace.facts.get("is_norm"))
        and (not trainable or trace.facts.get("requires_grad", True))
    ]


def update_ratios(chart: Chart, first: int = 20) -> list[tuple[float, str]]:
    """(median |dw|/|w| over the first sampled steps, name) of each weight that learns, sorted."""
    found = []
    for trace in weights(chart):
        ratios = finite(trace.column("update_ratio"))[:first]
        if ratios:
            found.append((median(ratios), trace.name))
    return sorted(found)


def rates(chart: Chart) -> list[float]:
    """The learning rates of the first optimiser."""
    return finite(row.get("lr") for row in chart.steps if not row.get("optimizer"))


def lr_now_and_peak(chart: Chart) -> tuple[float, float]:
    """The last and the highest learning rate seen; (0, 0) where unknown."""
    found = rates(chart)
    return (found[-1], max(found)) if found else (0.0, 0.0)


def lr_is_steady(chart: Chart) -> bool:
    """Whether the rate is neither warming up nor on its way to zero, as far as was seen."""
    found = rates(chart)
    return bool(found) and min(found) > 0.5 * max(found)


def num_classes(chart: Chart) -> int:
    """The output width that the loss saw, else what the user or the probe said; 0 if unknown."""
    seen = [row["classes"] for row in chart.loss_calls if row.get("classes")]
    return int(seen[0] if seen else chart.facts.get("classes") or 0)


def is_cross_entropy(chart: Chart) -> bool:
    """Whether the training minimises a softmax cross-entropy over classes."""
    if len(chart.loss_calls):
        return all(row.get("function") in CROSS_ENTROPY for row in chart.loss_calls)
    return _word(chart.facts.get("loss_fn")) in CROSS_ENTROPY


def first_loss_is_low(chart: Chart) -> bool:
    """Whether the first loss is that of a network that can do its task already."""
    classes, series = num_classes(chart), losses(chart)
    known = is_cross_entropy(chart) and classes > 1 and series
    return bool(known and series[0] < 0.6 * math.log(classes))


def starts_low(chart: Chart) -> bool:
    """Fine-tuning: statistics that have seen data, or the loss of a trained network."""
    return bool(chart.facts.get("pretrained")) or first_loss_is_low(chart)


def kind_of(trace: Trace) -> str:
    """A layer's kind, lower case: 'linear', 'conv2d', 'batchnorm2d', 'relu' ..."""
    return _word(trace.facts.get("kind"))


def activation_of(trace: Trace) -> str:
    """The nonlinearity that a layer is, lower case; '' where it is none."""
    return _word(trace.facts.get("activation"))


def has_weights(trace: Trace) -> bool:
    """Whether a layer is a linear map or a convolution."""
    return kind_of(trace).startswith(("linear", "conv", "lazylinear", "bilinear"))


def place(trace: Trace, **more: Any) -> dict[str, Any]:
    """A finding's `where` for a layer: module, and file and line where they are known."""
    spot = {key: trace.facts[key] for key in ("file", "line") if trace.facts.get(key)}
    return {"module": trace.facts.get("module", trace.name), **spot, **more}


def spoken(trace: Trace) -> str:
    """A parameter's name; one of no network that was called has only its place in an optimiser.

    >>> spoken(Trace("optimizer0.1.0")), spoken(Trace("fc1.weight"))
    ('parameter 0 of group 1 of the optimiser (of no network that was called)', 'fc1.weight')
    """
    kind, _, rest = trace.name.partition(".")
    group, _, number = rest.partition(".")
    if not kind.startswith("optimizer") or not (group + number).isdigit():
        return trace.name
    whose = "the optimiser" if kind == "optimizer0" else f"optimiser {kind[9:]}"
    return f"parameter {number} of group {group} of {whose} (of no network that was called)"


def parameter_place(trace: Trace) -> dict[str, Any]:
    """A finding's `where` for a parameter."""
    spot = {key: trace.facts[key] for key in ("module", "file", "line") if trace.facts.get(key)}
    return {"parameter": trace.name, **spot}


def surer(value: float, threshold: float, least: float = 0.6, most: float = 0.97) -> float:
    """A confidence that grows with each factor of ten beyond the threshold.

    >>> surer(1.0, 1.0), surer(100.0, 1.0)
    (0.6, 0.9)
    """
    if value <= 0 or threshold <= 0:
        return most
    decades = abs(math.log10(value / threshold))
    return round(min(most, least + 0.15 * decades), 2)


def one_digit(value: float) -> float:
    """A setting that a person would type.

    >>> one_digit(0.00274)
    0.003
    """
    return float(f"{value:.0e}")


def left_out(culprit: dict[str, Any]) -> str:
    """What a search that its time ended did not look at, for the end of a sentence; else ''.

    >>> left_out({"searched": 4_000, "searched_of": 1_000_000, "stopped_after": 10.0})
    '; searched 4,000 of 1,000,000 samples, stopped after 10 s: 996,000 not looked at'
    """
    searched, total = int(culprit.get("searched") or 0), int(culprit.get("searched_of") or 0)
    if not total > searched:
        return ""
    seconds = culprit.get("stopped_after", 0)
    return (f"; searched {searched:,} of {total:,} samples, stopped after {seconds:g} s:"
            f" {total - searched:,} not looked at")  # fmt: skip


def short(value: float) -> str:
    """A number for a sentence: three digits.

    >>> short(2.30258), short(1.5e-7)
    ('2.3', '1.5e-07')
    """
    return f"{value:.3g}"


def _word(value: Any) -> str:
    return str(value or "").rpartition(".")[2].lower()


def depth_factor(chart: Chart, least: int, *, head: bool = True) -> tuple[float, float, float]:
    """By what factor the outputs' std changes from weight layer to weight layer at step 0.

    (factor, first std, last std); (1, 1, 1) with norms between, or with fewer layers than `least`.
    """
    traces = list(chart.layers.values())
    if any("norm" in kind_of(trace) for trace in traces):
        return 1.0, 1.0, 1.0
    rows = [trace.rows[0] for trace in traces if has_weights(trace) and len(trace.rows)]
    stds = finite(row.get("std") for row in rows if row["step"] == 0)
    stds = stds if head else stds[:-1]
    if len(stds) < least or min(stds) <= 0:
        return 1.0, 1.0, 1.0
    return (stds[-1] / stds[0]) ** (1 / (len(stds) - 1)), stds[0], stds[-1]


def num(values: dict[str, Any], key: str) -> float | None:
    """A number of an examination, or None where it is missing or not finite."""
    value = values.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def label_entropy(chart: Chart) -> float:
    """The cross-entropy of always answering with the classes' shares: what chance costs."""
    counts = finite((chart.exams.get("counts") or {}).get("counts", {}).values())
    total = sum(counts)
    if total <= 0:
        return math.log(max(2, num_classes(chart)))
    return -sum(n / total * math.log(n / total) for n in counts if n > 0)
