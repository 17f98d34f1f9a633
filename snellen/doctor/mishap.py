"""What an exception's frames tell: the call of a loss that failed still holds its arguments."""

import math
import re
import traceback
from typing import Any

from torch import Tensor

from .calls import CLASS_LOSSES, LOSSES
from .chart import Chart
from .labels import IGNORED
from .patient import Patient
from .probes.losses import call_values

GREW = 100.0  # times the first loss or weight: the training had diverged before
REFUSED = r"out of bounds|Class values must be"  # of the losses and indexing; of F.one_hot


def read_traceback(engine: Any, error: BaseException) -> bool:
    """Emit a loss_call with the error where one of torch's losses raised it; whether one did.

    A label out of range shows that way at any step, though calls are heard in few.
    """
    known = engine.chart.loss_calls
    if len(known) and "error" in known[-1]:
        return True
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_name not in LOSSES or not code.co_filename.endswith("functional.py"):
            continue
        x, target = frame.f_locals.get("input"), frame.f_locals.get("target")
        if isinstance(x, Tensor) and isinstance(target, Tensor):
            more = {"ignore_index": frame.f_locals.get("ignore_index", IGNORED)}
            values = call_values(code.co_name, x, target, more, result=None, error=error)
            engine.emit("loss_call", engine.step, values=values)
            return True
    return False


def diverged(chart: Chart, patient: Patient) -> bool:
    """Whether loss or weights had grown out of all bounds before: then no sample did it."""
    losses = [v for v in chart.column("loss") if math.isfinite(v)]
    if len(losses) > 1 and max(map(abs, losses[-3:])) > GREW * (abs(losses[0]) + 1e-3):
        return True
    for name, p in patient.inner.named_parameters():
        trace = chart.params.get(patient.prefix + name)
        first = trace.column("weight_norm")[:1] if trace is not None else []
        if first and float(p.detach().norm()) > GREW * (first[0] + 1):
            return True
    return False


def refused_labels(chart: Chart, error: BaseException | None) -> tuple[int, int] | None:
    """What ended a training -> (outputs, ignored label) where a label outside of them may be it.

    A loop may have caught the exception itself; the loss was heard to refuse then.

    >>> refused_labels(Chart(), IndexError("index 4 is out of bounds for dimension 1 with size 4"))
    (4, -100)
    """
    call = chart.loss_calls[-1] if len(chart.loss_calls) else {}
    words = str(call.get("error") or error or "")
    known = isinstance(error, IndexError | RuntimeError | None)
    if not known or not re.search(REFUSED, words):
        return None
    if call.get("error") and call.get("function") in CLASS_LOSSES and call.get("classes"):
        return int(call["classes"]), int(call.get("ignore_index", IGNORED))
    size = re.search(r"with size (\d+)", words)
    layers = [list(layer.facts.get("out_shape") or ()) for layer in chart.layers.values()]
    last = layers[-1] if layers else []
    width = int(size[1]) if size else int(last[1]) if len(last) == 2 else 0
    return (width, IGNORED) if width > 1 else None
