"""Where in the user's own code a training does what: the line of its loss, its step, its call.

Read from the frames of a few early steps; torch's, other packages' and our own frames are no
user's code. A finding that names no line gets the one that its kind of fault lies at.
"""

import os
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .chart import Chart
from .finding import Finding

MOST = 60  # frames
_LIBRARIES = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib", "scripts")]
_TORCH = str(Path(torch.__file__).parent) + os.sep  # may lie outside: a .pth file, a second venv
NOT_THEIRS = (str(Path(__file__).parent.parent), _TORCH, *_LIBRARIES)
PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
AT = {  # the first part of an id, or the whole -> what was called there
    "loss": "loss", "init-loss-unexpected": "loss", "target": "loss", "label": "loss",
    "numerics": "loss", "reg-penalty-dominates": "loss", "loop-no-zero-grad": "backward",
    "loop-no-step": "backward", "loop-train-mode-in-eval": "evaluation", "loop": "forward",
    "grad": "backward", "lr": "step", "optim": "step", "weights": "step", "params": "step",
    "graph": "backward", "arch": "forward", "init": "forward", "bn": "forward", "data": "forward",
}  # fmt: skip


def users_line() -> tuple[str, int] | None:
    """File and line of the innermost frame that is the user's own code."""
    frame: Any = sys._getframe(1)
    for _ in range(MOST):
        if frame is None:
            return None
        if is_users(frame):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def is_users(frame: Any) -> bool:
    """Whether a frame runs the user's own code."""
    file = frame.f_code.co_filename
    installed = any(folder in file for folder in PACKAGES)
    return not installed and not file.startswith(("<frozen", "<string", "<eval", *NOT_THEIRS))


def located(finding: Finding, chart: Chart) -> Finding:
    """The finding with file and line, where it has none and the chart knows them."""
    if finding.where.get("file"):
        return finding
    layer = chart.layers.get(str(finding.where.get("module", "")))
    places = chart.facts.get("places") or {}
    if layer is not None and layer.facts.get("file"):
        spot = [layer.facts["file"], layer.facts["line"]]
    else:
        kind = AT.get(finding.id) or AT.get(finding.id.partition("-")[0], "")
        spot = places.get(kind) or places.get("backward") or []
    if not spot:
        return finding
    return replace(finding, where={**finding.where, "file": spot[0], "line": spot[1]})
