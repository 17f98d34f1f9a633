"""`--fix-trial`: the script again for at most 50 steps with the fix applied, beside its first run.

Only what an optimiser holds can be changed from outside: its learning rate, weight decay and
momentum. The learning rate is scaled at each step, so that schedules, warm-up and several groups
keep their shape. For all else the answer is that it cannot be tried automatically.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .finding import Finding

STEPS = 50
SECONDS = 300
CHANGEABLE = ("lr", "weight_decay", "momentum")
BARS, WIDTH = "▁▂▃▄▅▆▇█", 25
FALLS = 0.99  # of the first fifth's mean
CLIP = 3.0  # times the first loss: where the bars end


class Enough(BaseException):
    """Ends a trial; no `except Exception` of the script holds it back."""


def fix_trial(outcome: Any) -> dict[str, Any]:
    """An Outcome -> {"trial": ...} for its JSON, after printing both curves."""
    found = _first_with_settings(outcome.findings)
    if found is None:
        print("fix-trial: no finding has a setting that could be changed")
        return {"trial": {"applied": False, "reason": "no finding has settings"}}
    finding, settings = found
    chart = outcome.doc.chart
    rates = [v for v in chart.column("lr") if v == v]
    kinds = [o.get("name") for o in chart.facts.get("optimizers") or ()]
    changes, reason = changes_of(settings, kinds, max(rates, default=0.0))
    if not changes:
        print(f"fix-trial: {finding.id}: {reason}")
        said = {"finding": finding.id, "settings": settings, "applied": False, "reason": reason}
        return {"trial": said}
    before = [float(v) for v in chart.column("loss")][:STEPS]
    after, problem = again(outcome.script, outcome.argv, changes)
    problem = problem or _in_vain(after)
    words = ", ".join(f"{name}={value:g}" for name, value in settings.items())
    old, new = curves(before, after)
    print(f"fix-trial: {finding.id}, the first {STEPS} steps\n  {'as it is':<12} {old}\n"
          f"  {words:<12} {new}" + (f"\n  {problem}" if problem else ""))  # fmt: skip
    said = {"finding": finding.id, "settings": settings, "applied": bool(after), "before": before}
    return {"trial": {**said, "after": after, **({"reason": problem} if problem else {})}}


def _in_vain(losses: Sequence[float]) -> str:
    """What to say where the loss does not fall with the fix either.

    >>> _in_vain([0.7, 0.68] * 5), _in_vain([0.7 * 0.9**i for i in range(10)])
    ('the loss does not fall within these steps with it either; try a value between the two', '')
    """
    part = len(losses) // 5
    if part < 1 or sum(losses[-part:]) < FALLS * sum(losses[:part]):
        return ""
    return "the loss does not fall within these steps with it either; try a value between the two"


def _first_with_settings(findings: Sequence[Finding]) -> tuple[Finding, dict[str, Any]] | None:
    for finding in findings:
        for each in (finding, *finding.symptoms):
            if each.settings:
                return each, dict(each.settings)
    return None


def changes_of(
    settings: dict[str, Any], optimizers: Sequence[Any], lr: float
) -> tuple[dict[str, float], str]:
    """Settings of a finding -> what to change in the optimisers, or {} and why nothing can be.

    `lr` is the highest that the training had.

    >>> changes_of({"lr": 0.1}, ["SGD"], 10.0)
    ({'lr_factor': 0.01}, '')
    >>> changes_of({"shuffle": True}, ["SGD"], 10.0)[1]
    'shuffle cannot be changed from outside the script; change it by hand'
    """
    other = [name for name in settings if name not in CHANGEABLE]
    if other:
        return {}, f"{', '.join(other)} cannot be changed from outside the script; " \
                   "change it by hand"  # fmt: skip
    if not optimizers or optimizers[0] == "Own":
        return {}, "the steps are taken by no torch optimiser; change it by hand"
    changes = {name: float(value) for name, value in settings.items() if name != "lr"}
    if "lr" in settings:
        if not lr:
            return {}, "the learning rate was 0, which nothing scales"
        changes["lr_factor"] = float(settings["lr"]) / lr
    return changes, ""


def again(script: str, argv: Sequence[str], changes: dict[str, float]) -> tuple[list[float], str]:
    """Run the script in a process of its own with the changes -> its losses, and what went wrong.

    Its output is not shown and it reads nothing from the terminal.
    """
    with tempfile.TemporaryDirectory() as folder:
        losses = Path(folder) / "losses.json"
        order = json.dumps({"changes": changes, "losses": str(losses), "steps": STEPS})
        command = [sys.executable, "-c", "from snellen.doctor.trial import main; main()", order]
        try:
            subprocess.run([*command, script, *argv], stdin=subprocess.DEVNULL, check=False,
                           capture_output=True, timeout=SECONDS)  # fmt: skip
        except subprocess.TimeoutExpired:
            return [], f"the trial had not made {STEPS} steps in {SECONDS} s"
        if not losses.is_file():
            return [], "the trial ended before its first step"
        return [float(v) for v in json.loads(losses.read_text())], ""


def main() -> None:
    """The trial's own process: order, script and its arguments from sys.argv."""
    from .script import run_as_main

    order, script, *argv = sys.argv[1:]
    wanted = json.loads(order)
    seen: list[float] = []
    try:
        with _changed(wanted["changes"], seen, int(wanted["steps"])):
            run_as_main(script, argv)
    except BaseException:  # the script's own end, early or late, is no matter here
        pass
    if seen:
        Path(wanted["losses"]).write_text(json.dumps([str(v) for v in seen]))


@contextmanager
def _changed(changes: dict[str, float], seen: list[float], steps: int) -> Iterator[None]:
    """Every optimiser with the changes around its step; the losses go to `seen`."""
    from torch.optim.optimizer import (
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    from . import autograd

    first: list[int] = []  # the optimiser that counts
    pending: list[float] = []
    kept: dict[int, list[Any]] = {}

    def before(optimizer: Any, *_: Any) -> None:
        first[:] = first or [id(optimizer)]
        kept[id(optimizer)] = [group.get("lr") for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            if group.get("lr") is not None and "lr_factor" in changes:
                group["lr"] = group["lr"] * changes["lr_factor"]
            group.update({k: v for k, v in changes.items() if group.get(k)})

    def after(optimizer: Any, *_: Any) -> None:
        for group, lr in zip(optimizer.param_groups, kept.pop(id(optimizer), []), strict=False):
            group["lr"] = lr
        if first == [id(optimizer)]:
            seen.append(sum(pending) / max(1, len(pending)))
            pending.clear()
            if len(seen) >= steps:
                raise Enough

    def loss_seen(loss: Any) -> None:
        pending.append(float(loss.detach().float().mean()))

    handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
    with autograd.seen(loss_seen):
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def curves(*series: Sequence[float]) -> list[str]:
    """Loss curves -> a line each: bars on one scale, a logarithmic one, and first and last value.

    A loss beyond CLIP times the least first one is a full bar: it would flatten all others.

    >>> curves([1.0, 100.0], [1.0, 0.1])
    ['▆█  1 -> 100 in 2 steps', '▆▁  1 -> 0.1 in 2 steps']
    >>> curves([0.7, 1e30], [0.7, 0.35])
    ['▄█  0.7 -> 1e+30 in 2 steps', '▄▁  0.7 -> 0.35 in 2 steps']
    """
    thinned = [_thinned(losses) for losses in series]
    heights = [[math.log(v) if v > 0 and v < math.inf else None for v in part] for part in thinned]
    known = [h for part in heights for h in part if h is not None]
    firsts = [part[0] for part in heights if part and part[0] is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    high = max(min(high, min(firsts, default=high) + math.log(CLIP)), low)
    lines = []
    for losses, part in zip(series, heights, strict=True):
        bars = "".join("?" if h is None
                       else BARS[round(7 * (min(h, high) - low) / (high - low or 1))]
                       for h in part)  # fmt: skip
        ends = (
            f"{losses[0]:.4g} -> {losses[-1]:.4g} in {len(losses)} steps" if losses else "no step"
        )
        lines.append(f"{bars}  {ends}".strip())
    return lines


def _thinned(losses: Sequence[float]) -> list[float]:
    size = max(1, -(-len(losses) // WIDTH))
    return [sum(part) / len(part) for part in
            (losses[i : i + size] for i in range(0, len(losses), size))]  # fmt: skip
