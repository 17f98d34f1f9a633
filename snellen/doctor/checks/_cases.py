"""Charts of trainings that could have been: a healthy MLP, and what one changes to make it ill.

`training()` is 40 steps of a 784-64-64-10 ReLU network under Adam, each number as it is measured
on the real thing. Every argument overrides some of its values; a value is a number, or a function
of the step.
"""

import math
from collections.abc import Mapping
from typing import Any

from ..chart import Chart

Values = Mapping[str, Any]
FACTS = {
    "classes": 10, "num_samples": 6400, "batch_size": 64, "steps_per_epoch": 100,
    "num_params": 55_000, "has_norm": False, "device": "cpu", "loss_fn": "CrossEntropyLoss",
    "optimizers": [{"name": "Adam", "lr": 1e-3, "momentum": 0.0, "weight_decay": 0.0}],
    "num_optimizers": 1, "pretrained": False, "targets": "class",
}  # fmt: skip
STEP = {
    "loss": lambda t: 2.2 * math.exp(-t / 15) + 0.1, "lr": 1e-3, "batch": 64,
    "grad_norm": lambda t: 0.9 * math.exp(-t / 30), "backwards": 1, "carried": False,
    "train_mode": True,
}  # fmt: skip
LAYERS = {  # name -> (kind, out_shape)
    "fc1": ("Linear", [64, 64]), "relu1": ("ReLU", [64, 64]), "fc2": ("Linear", [64, 64]),
    "relu2": ("ReLU", [64, 64]), "head": ("Linear", [64, 10]),
}  # fmt: skip
LAYER = {
    "mean": 0.05, "std": 0.5, "absmax": 2.5, "zero_share": 0.0, "dead_share": 0.0,
    "saturated_share": 0.0, "nonfinite": 0, "constant": False,
    "grad_norm": 0.02, "grad_mean_abs": 3e-4,
}  # fmt: skip
PARAMS = {"fc1.weight": [64, 784], "fc2.weight": [64, 64], "head.weight": [10, 64]}
PARAM = {
    "weight_norm": 4.6, "grad_norm": 0.3, "grad_mean_abs": 1e-3, "grad_none": False,
    "update_norm": 4.6e-3, "update_ratio": 1e-3, "changed": True, "rows_identical": False,
    "grad_rows_identical": False, "lr": 1e-3,
}  # fmt: skip
BATCH = {
    "min": -0.4, "max": 2.8, "mean": 0.0, "std": 1.0, "absmax": 2.8, "nonfinite_rows": [],
    "whole_numbers": False, "dtype": "float32", "shape": [64, 784], "constant_share": 0.1,
    "target_min": 0, "target_max": 9, "target_dtype": "int64", "target_shape": [64],
}  # fmt: skip
LOSS_CALL = {
    "function": "cross_entropy", "input_shape": [64, 10], "target_shape": [64],
    "input_dtype": "float32", "target_dtype": "int64", "input_min": -0.6, "input_max": 0.7,
    "row_sum_min": -1.2, "row_sum_max": 1.4, "target_min": 0, "target_max": 9,
    "reduction": "mean", "value": lambda t: 2.2 * math.exp(-t / 15) + 0.1, "classes": 10,
}  # fmt: skip


def training(
    steps: int = 40,
    *,
    facts: Values | None = None,
    step: Values | None = None,
    layers: Mapping[str, Values] | None = None,
    params: Mapping[str, Values] | None = None,
    batch: Values | None = None,
    loss_call: Values | None = None,
    sick: tuple[dict[str, Any], ...] = (),
) -> Chart:
    """The chart of one training; `sick` are events (nonfinite, culprit, epoch) added at the end.

    `layers` and `params` map a name ("*" for all) to what differs from the healthy network; a key
    "facts" changes its facts, and a name that the network has not adds one.
    """
    chart = Chart()
    chart.record({"kind": "facts", "step": 0, "values": {**FACTS, **(facts or {})}})
    shapes = {name: {"kind": kind, "out_shape": shape} for name, (kind, shape) in LAYERS.items()}
    for t in range(steps):
        chart.record(_event("batch", t, {**BATCH, **(batch or {})}, split="train"))
        _traces(chart, "layer", t, shapes, LAYER, layers or {})
        chart.record(_event("loss_call", t, {**LOSS_CALL, **(loss_call or {})}))
        chart.record(_event("step", t, {**STEP, **(step or {})}))
        sizes = {name: {"shape": shape} for name, shape in PARAMS.items()}
        _traces(chart, "param", t, sizes, PARAM, params or {})
    for event in sick:
        chart.record(event)
    return chart


def seen(kind: str, step: int, **values: Any) -> dict[str, Any]:
    """One event of the log, for `training(sick=...)`."""
    return {"kind": kind, "step": step, "values": values}


def examined(name: str, **values: Any) -> dict[str, Any]:
    """One examination's event, for `training(sick=...)`."""
    return {"kind": "exam", "step": 0, "name": name, "values": values}


def answer(name: str, step: int, **values: Any) -> dict[str, Any]:
    """One event of a behavioural probe, for `training(sick=...)`."""
    return {"kind": "probe", "step": step, "name": name, "values": values}


def _traces(
    chart: Chart,
    kind: str,
    t: int,
    known: dict[str, Any],
    usual: Values,
    changed: Mapping[str, Values],
) -> None:
    names = [*known, *(name for name in changed if name not in known and name != "*")]
    for depth, name in enumerate(names):
        mine = {**changed.get("*", {}), **changed.get(name, {})}
        facts = {**known.get(name, {}), **mine.pop("facts", {})}
        facts = {"module": name.rpartition(".")[0] or name, **facts}
        if kind == "layer":
            activation = facts["kind"].lower() if "lu" in facts["kind"].lower() else None
            facts = {"depth": depth, "activation": activation, **facts}
        else:
            facts = {**_param_facts(name, facts), **facts}
        event = _event(kind, t, {**usual, **mine}, name=name)
        event["values"]["facts"] = facts
        chart.record(event)


def _param_facts(name: str, facts: Values) -> dict[str, Any]:
    shape = facts.get("shape", [1])
    numel = math.prod(shape)
    return {"requires_grad": True, "in_optimizer": True, "numel": numel, "kind": "Linear",
            "is_bias": name.endswith("bias"), "is_norm": False, "shape": shape}  # fmt: skip


def _event(kind: str, t: int, values: Values, **more: Any) -> dict[str, Any]:
    now = {key: value(t) if callable(value) else value for key, value in values.items()}
    return {"kind": kind, "step": t, "values": now, **more}
