"""An output that cannot reach its targets cannot learn them."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ..reach import MARGIN, REACH
from ._cases import training
from ._readings import CROSS_ENTROPY, REGRESSION, activation_of, finite, place, short

CALLS, BEYOND = 5, 0.05


class OutputActivation(Check):
    """A last activation that cuts off what the loss or the targets need."""

    id = "loss-output-activation"
    signal = "the last activation's range beside the targets, or beside logits"
    threshold = "targets outside the range; logits that are never negative, or never beyond +-1"
    source = "DeepDiagnosis, NeuraLint, AUTOTRAINER"
    why = "what lies outside the range is out of reach, and at its edge gradients are zero"
    do = "take the last activation away (or scale the targets into its range)"
    bad = "net = nn.Sequential(..., nn.Linear(64, 10), nn.ReLU())"
    good = "net = nn.Sequential(..., nn.Linear(64, 10))"
    explains = ("output-constant", "arch-dead-relu", "arch-saturated", "lr-too-low",
                "params-no-grad", "gen-underfit")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """What is behind the loss's argument decides; the last layer where no call tells."""
        last = list(chart.layers.values())[-1] if chart.layers else None
        layer = activation_of(last) if last is not None else ""
        behind = _behind(chart)
        name = layer if behind is None else behind
        said = _received(chart)
        if not said and name in REACH:
            said = _of_logits(chart, name) or (_of_targets(chart, name) if behind is None else "")
        if not said:
            return None
        where = place(last) if last is not None and layer == name else {"operation": name}
        return self.finding(said, where=where, confidence=0.85)


def _behind(chart: Chart) -> str | None:
    """The activation whose values the loss calls received, "" for none; None where none tells."""
    names = [r["made_by"] for r in chart.loss_calls if "made_by" in r]
    return max(names, key=names.count, default=None)


def _received(chart: Chart) -> str:
    """A regression of an activation's values against targets that lie beyond its reach."""
    rows = [r for r in chart.loss_calls if r.get("function") in REGRESSION
            and r.get("made_by") in REACH and (r.get("beyond") or 0) > BEYOND]  # fmt: skip
    low, high = (finite(r.get(f"wanted_{end}") for r in rows) for end in ("min", "max"))
    if len(low) < CALLS or len(high) < CALLS:
        return ""
    return _apart(min(low), max(high), rows[-1]["made_by"])


def _of_logits(chart: Chart, activation: str) -> str:
    """Cross-entropy behind ReLU, sigmoid or tanh, or a softmax over the samples."""
    names = (*CROSS_ENTROPY, "binary_cross_entropy_with_logits")
    calls = [r for r in chart.loss_calls if r.get("function") in names]
    low = finite(r.get("input_min") for r in calls)
    high = finite(r.get("input_max") for r in calls)
    if len(low) < CALLS or len(high) < CALLS:
        return ""
    if activation == "softmax" and not _sums_off(calls):
        return ""  # loss-double-softmax says it
    floor, ceiling = REACH[activation]
    if min(low) < floor or (ceiling is not None and max(high) > ceiling):
        return ""
    if activation == "softmax":
        return (
            f"the logits come through a softmax whose rows do not sum to 1 in {len(low)} batches:"
            " it runs over another axis than the classes (dim=1)"
        )
    return (
        f"the logits come through {activation}: {short(min(low))} to {short(max(high))} in all of"
        f" {len(low)} batches"
    )


def _sums_off(calls: list[dict]) -> bool:
    """Whether no batch has rows that sum to 1."""
    sums = [(r.get("row_sum_min"), r.get("row_sum_max")) for r in calls]
    known = [finite(pair) for pair in sums if len(finite(pair)) == 2]
    return bool(known) and all(max(abs(a - 1), abs(b - 1)) > 0.01 for a, b in known)


def _of_targets(chart: Chart, activation: str) -> str:
    """A regression whose targets leave the range."""
    rows = [r for r in chart.batches.get("train", ()) if "float" in str(r.get("target_dtype"))]
    low = finite(r.get("target_min") for r in rows)
    high = finite(r.get("target_max") for r in rows)
    if len(low) < CALLS or not high or chart.facts.get("targets") == "class":
        return ""
    floor, ceiling = REACH[activation]
    if min(low) >= floor - MARGIN and (ceiling is None or max(high) <= ceiling + MARGIN):
        return ""
    return _apart(min(low), max(high), activation)


def _apart(low: float, high: float, activation: str) -> str:
    """What is wanted beside what can be had."""
    floor, ceiling = REACH[activation]
    reach = f"{floor:g} to {ceiling:g}" if ceiling is not None else f"{floor:g} and more"
    return f"targets run from {short(low)} to {short(high)}, but {activation} gives {reach}"


def sick() -> list[Chart]:
    """ReLU on the logits; a tanh that is to reach 12; a sigmoid of the loop's own."""
    relu = {"last": {"facts": {"kind": "ReLU", "activation": "relu"}}}
    tanh = {"last": {"facts": {"kind": "Tanh", "activation": "tanh"}}}
    far = {"target_dtype": "float32", "target_min": -3.0, "target_max": 12.0}
    facts = {"targets": "value", "classes": None, "loss_fn": "MSELoss"}
    softmax = {"last": {"facts": {"kind": "Softmax", "activation": "softmax"}}}
    sigmoid = {"last": {"facts": {"kind": "Sigmoid", "activation": "sigmoid"}}}
    unit = {"input_min": 0.01, "input_max": 0.97, "row_sum_min": 0.1, "row_sum_max": 0.5}
    bce = {**unit, "function": "binary_cross_entropy_with_logits", "classes": None}
    told = {"function": "mse_loss", "classes": None, "made_by": "sigmoid", "beyond": 0.6,
            "wanted_min": -2.1, "wanted_max": 1.9}  # fmt: skip
    return [training(layers=sigmoid, facts=facts, loss_call=told),
            training(facts=facts, loss_call=told),
            training(layers=relu, loss_call={"input_min": 0.0, "input_max": 0.9}),
            training(layers=softmax, loss_call=unit),
            training(layers=sigmoid, loss_call=bce, facts={"classes": None}),
            training(layers=tanh, batch=far, facts=facts,
                     loss_call={"function": "mse_loss", "classes": None})]  # fmt: skip


def healthy() -> list[Chart]:
    """An autoencoder of [0, 1], or scaled after its sigmoid; a counter; noise around 0; logits."""
    sigmoid = {"last": {"facts": {"kind": "Sigmoid", "activation": "sigmoid"}}}
    relu = {"last": {"facts": {"kind": "ReLU", "activation": "relu"}}}
    unit = {"target_dtype": "float32", "target_min": 0.0, "target_max": 1.0}
    facts = {"targets": "value", "classes": None, "loss_fn": "MSELoss"}
    mse = {"function": "mse_loss", "classes": None}
    far = {**unit, "target_min": -3.0, "target_max": 12.0}
    noisy = {**mse, "made_by": "relu", "beyond": 0.02, "wanted_min": -0.2, "wanted_max": 9.0}
    return [training(layers=sigmoid, batch=unit, facts=facts, loss_call=mse),
            training(layers=sigmoid, batch=far, facts=facts, loss_call={**mse, "made_by": ""}),
            training(layers=relu, batch=far, facts=facts, loss_call=noisy),
            training(layers=relu, batch={**unit, "target_max": 40.0}, facts=facts, loss_call=mse),
            training()]  # fmt: skip


CHECKS = {OutputActivation.id: OutputActivation()}
