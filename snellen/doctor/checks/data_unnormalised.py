"""Inputs far from unit size make the first layer's gradients far too large or too small."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, has_weights, kind_of, progress, short, surer

LARGEST, LEAST_STD, MOST_STD = 20.0, 0.05, 10.0
FAR = 5.0  # mean over std: an offset
BYTES = 200, 255
TWICE = 0.9, 1.01  # 255 times the largest value of pixels that were divided twice
STANDARD = "subtract the mean and divide by the std of the training set"
SMALL = (  # what inputs that are too small lead to; large ones lead to all in `explains`
    "init-too-small",
    "grad-vanishing",
    "lr-too-low",
    "output-constant",
    "weights-not-updating",
    "params-no-grad",
    "arch-dead-relu",
    "loss-output-activation",
    "data-outlier",
)
SPARSE, LEARNT = 0.7, 0.5  # zeros among the inputs; how far the loss fell
TAMED = 4.0  # std after the first weight layer; raw bytes measure 30 and more there


class Unnormalised(Check):
    """Float inputs whose range is far from standard."""

    id = "data-unnormalised"
    signal = "range and spread of the float inputs that reach the first layer"
    threshold = {"absmax": LARGEST, "std": (LEAST_STD, MOST_STD)}
    source = "notes 002, preprocessing; torch-audit TA301 (50), UMLAUT ([-1, 1] is too strict)"
    why = "the first layer's gradient grows with its input: no one learning rate fits all layers"
    do = f"{STANDARD} (bytes: divide by 255 first)"
    bad = "x = torch.as_tensor(image).float()            # 0..255"
    good = "x = torch.as_tensor(image).float() / 255; x = (x - mean) / std"
    explains = (
        "data-not-centred", "data-outlier", "init-loss-unexpected", "init-too-large",
        "init-too-small", "arch-dead-relu", "arch-saturated", "grad-exploding", "grad-vanishing",
        "lr-too-high", "lr-too-low", "numerics-nan-loss", "output-constant",
        "weights-not-updating", "params-no-grad", "loss-output-activation", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Median over the training batches; whole numbers for an embedding do not count."""
        rows = [r for r in chart.batches.get("train", ()) if "float" in str(r.get("dtype"))]
        absmax, std = finite(r.get("absmax") for r in rows), finite(r.get("std") for r in rows)
        if not absmax or not std or _normalises_itself(chart):
            return None
        top, spread = median(absmax), median(std)
        if top <= LARGEST and LEAST_STD <= spread <= MOST_STD:
            return None
        if spread < 1e-5 or (spread < LEAST_STD and _is_sparse(rows, top)):
            return None
        if top > LARGEST and MOST_STD >= spread >= LEAST_STD and top < 20 * spread:
            return None
        is_harmless = spread < LEAST_STD and _forgives(chart)
        return self._say(rows, top, spread, level="advice" if is_harmless else self.level)

    def _say(self, rows: list[dict], top: float, spread: float, *, level: str) -> Finding:
        beyond = max(top / LARGEST, spread / MOST_STD, LEAST_STD / spread)
        low, mean = (median(finite(r.get(k) for r in rows) or [0.0]) for k in ("min", "mean"))
        is_small = spread < LEAST_STD
        size = (
            f"reach {short(top)} in size" if low < 0 else f"run from {short(low)} to {short(top)}"
        )
        hint, do = _hint(low, top, mean, spread)
        return self.finding(
            f"inputs are too {'small' if is_small else 'large'}: they {size} with a std of"
            f" {short(spread)}, and about 1 is wanted{hint}",
            level=level,
            do=f"{do}: {STANDARD}",
            confidence=surer(beyond, 1.0, 0.7),
            evidence={"absmax": top, "std": spread, "mean": mean},
            explains=SMALL if is_small else None,
        )


def _hint(low: float, top: float, mean: float, spread: float) -> tuple[str, str]:
    """What such a range looks like, and what to do first."""
    if spread < LEAST_STD and low >= 0 and TWICE[0] < top * 255 <= TWICE[1]:
        words = f"; {short(top)} is 1/255, so bytes were divided by 255 twice"
        return words, "divide by 255 once (ToTensor does it already), then standardise"
    if spread < LEAST_STD:
        return "; a scale may be taken out twice", "look for it, and standardise"
    if low >= 0 and BYTES[0] < top <= BYTES[1]:
        return "; bytes, it seems, that nobody divided by 255", "divide by 255, then standardise"
    if abs(mean) > FAR * spread:
        return f"; their mean is {short(mean)}", "take the offset out"
    return "", "standardise each feature"


def _normalises_itself(chart: Chart) -> bool:
    """Whether a norm comes before the first weights, or what leaves them is of normal size."""
    for trace in chart.layers.values():
        if "norm" in kind_of(trace):
            return True
        if has_weights(trace):
            first = finite(trace.column("std"))[:1]
            rows = chart.batches.get("train", ())
            large = any((r.get("absmax") or 0) > LARGEST for r in rows)
            return bool(large and first and first[0] < TAMED)
        if "embedding" in kind_of(trace):
            return True
        if kind_of(trace).startswith(("lstm", "gru", "rnn")):
            return False
    return False


def _is_sparse(rows: list[dict], top: float) -> bool:
    """Bags of words, one-hot and tf-idf rows: nearly all zero, so of a small std by nature."""
    zeros = median(finite(row.get("zero_share") for row in rows) or [0.0])
    return all(row.get("whole_numbers") for row in rows) or (zeros > SPARSE and top > 2 * LEAST_STD)


def _forgives(chart: Chart) -> bool:
    """Whether batch norm right after the first weights takes any scale out, and training works."""
    kinds = [kind_of(t) for t in chart.layers.values()]
    first = next((i for i, t in enumerate(chart.layers.values()) if has_weights(t)), len(kinds))
    return progress(chart) > LEARNT and any("norm" in kind for kind in kinds[first + 1 : first + 2])


def sick() -> list[Chart]:
    """Bytes; features of a ten-thousandth; bytes into an LSTM."""
    raw = {"min": 0, "max": 255, "absmax": 255, "mean": 33, "std": 78.6, "whole_numbers": True}
    loud = {"fc1": {"std": 31.0, "absmax": 190.0}}
    cell = {"lstm": {"facts": {"kind": "LSTM"}}}
    tiny = {"min": -3e-4, "max": 3e-4, "absmax": 3e-4, "std": 1e-4}
    recurrent = training(batch=raw, layers=cell)
    recurrent.layers = {name: recurrent.layers[name] for name in ("lstm", "head")}
    return [training(batch=raw, layers=loud), training(batch=tiny), recurrent]


def healthy() -> list[Chart]:
    """Standardised; in [0, 1]; a far tail; tokens; bytes divided inside; words; a quiet signal."""
    raw = {"min": 0, "max": 255, "absmax": 255, "mean": 33, "std": 78.6}
    quiet = {"min": -0.054, "max": 0.054, "absmax": 0.054, "std": 0.029}
    norm = {"fc1": {}, "norm": {"facts": {"kind": "BatchNorm1d"}}}
    normed = training(batch=quiet, layers=norm)
    normed.layers = {name: normed.layers[name] for name in ("fc1", "norm", "head")}
    rare = {"min": 0, "max": 0.43, "absmax": 0.43, "mean": 3e-3, "std": 0.025, "zero_share": 0.96}
    tokens = {**raw, "absmax": 9_000, "std": 2_500, "dtype": "int64", "whole_numbers": True}
    return [
        training(batch={"min": 0, "max": 1, "mean": 0.13, "std": 0.31, "absmax": 1}),
        training(batch={"max": 14.0, "absmax": 14.0}),
        training(batch=tokens),
        training(batch=raw, layers={"fc1": {"std": 0.4}}),
        training(batch={"whole_numbers": True, "min": 0, "max": 1, "mean": 1e-3, "std": 0.03}),
        training(batch=rare),
        normed,
    ]


CHECKS = {Unnormalised.id: Unnormalised()}
