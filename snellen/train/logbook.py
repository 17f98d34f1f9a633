"""What a training writes down as it goes: config, machine, events, metrics, log.

Both growing files can be cut back to a step, so that a resumed run goes on where its checkpoint
stands and no epoch is listed twice.
"""

import csv
import io
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
import yaml

from ..core.errors import DataError
from ..core.events import plain, read_events
from ..core.files import appended, write_json, write_text
from ..core.runfolder import RunFolder
from ..version import __version__
from .plan import Plan
from .recipe import Recipe, settings
from .speed import Choice

HEADER = ("step", "epoch", "split", "name", "value")


class Logbook:
    """The open files of a run. `close` is safe to call twice."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        new = not folder.metrics.exists()
        self.events = folder.open_events()
        self._metrics = appended(folder.metrics)
        self._rows = csv.writer(self._metrics, lineterminator="\n")
        if new:
            self._rows.writerow(HEADER)
        self._doubling, self._seen = 0, set[int]()
        self._log = appended(folder.log)

    def metrics(self, step: int, epoch: int, split: str, values: Mapping[str, float]) -> None:
        """One line a value, in metrics.csv and in the event log."""
        for name, value in values.items():
            self._rows.writerow((step, epoch, split, name, f"{value:.6g}"))
            self.events.write("metric", step, epoch=epoch, split=split, name=name, value=value)

    def measured(self, event: Mapping[str, Any]) -> None:
        """A measurement of the doctor's, thinned as the run grows: of each doubling of steps, the
        rows of about 512 single steps and of 64 steps that were looked at closely.
        """
        kind, step = event["kind"], event.get("step", 0)
        if kind == "step" and step >= 512 and step % (1 << (step.bit_length() - 9)):
            return
        if kind in ("layer", "param", "batch", "loss_call") and not self._room_for(step):
            return
        rest = {k: v for k, v in event.items() if k not in ("kind", "step", "time")}
        self.events.write(kind, step, **rest)

    def _room_for(self, step: int) -> bool:
        """Whether a closely looked-at step still fits in its doubling."""
        if step.bit_length() != self._doubling:
            self._doubling, self._seen = step.bit_length(), set()
        if len(self._seen) < 64:
            self._seen.add(step)
        return step in self._seen

    def say(self, text: str) -> None:
        """One line of log.txt."""
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def flush(self) -> None:
        """All that was written reaches the system: called before each checkpoint."""
        self.events.flush()
        self._metrics.flush()
        self._log.flush()

    def close(self) -> None:
        """Close every file."""
        for file in (self.events, self._metrics, self._log):
            file.close()


def cut_back(folder: RunFolder, step: int) -> None:
    """Drop metrics and measurements of steps after `step`."""
    if folder.metrics.exists():
        rows = list(csv.reader(io.StringIO(folder.metrics.read_text(encoding="utf-8"))))
        kept = [r for r in rows[1:] if len(r) == len(HEADER) and int(r[0]) <= step]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *kept])
        write_text(folder.metrics, text.getvalue())
    if folder.events.exists():
        lines = [json.dumps(plain(e), ensure_ascii=False) for e in read_events(folder.events)
                 if e["step"] <= step and e["kind"] != "end"]  # fmt: skip
        write_text(folder.events, "".join(line + "\n" for line in lines))


def write_config(folder: RunFolder, plan: Plan, facts: Mapping[str, Any]) -> None:
    """config.yaml: each value, who set it, every choice with its reason, and what was trained."""
    recipe = plan.recipe.as_dict()
    text = yaml.safe_dump(
        {
            "snellen": __version__,
            "recipe": recipe,
            "set_by": {name: plan.set_by.get(name, "default") for name in recipe},
            "choices": [vars(choice) for choice in plan.choices],
            **facts,
        },
        sort_keys=False,
        allow_unicode=True,
    )
    write_text(folder.config, "# What was trained, and who set each value.\n" + text)


def read_config(folder: RunFolder) -> dict[str, Any]:
    """config.yaml, or a DataError that says what is wrong with it."""
    try:
        config = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or "recipe" not in config:
            raise ValueError("it has no 'recipe'")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{folder.config} cannot be read: {error}") from error
    return config


def plan_of(config: Mapping[str, Any]) -> Plan:
    """The plan that a config records: resume computes the same."""
    known = {f.name for f in settings()}
    recipe = Recipe().change(**{k: v for k, v in config["recipe"].items() if k in known})
    choices = tuple(Choice(**choice) for choice in config.get("choices", ()))
    return Plan(recipe, config.get("set_by", {}), choices)


def write_surroundings(folder: RunFolder, threads: int | None) -> list[str]:
    """command.txt and env.json; a resumed run adds its command to the first.

    Returns what of the machine is not as it was when the run began.
    """
    command = shlex.join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]])
    before = folder.command.read_text(encoding="utf-8") if folder.command.exists() else ""
    write_text(folder.command, before + command + "\n")
    now, was = environment(threads), {}
    if folder.env.exists():
        was = json.loads(folder.env.read_text(encoding="utf-8"))
    write_json(folder.env, now)
    return [f"{k} {was[k]} -> {v}" for k, v in now.items() if k in was and was[k] != v]


def environment(threads: int | None) -> dict[str, Any]:
    """The machine and the versions that a result depends on."""
    gpu = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "snellen": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads or torch.get_num_threads(),
        "gpu": gpu,
    }
