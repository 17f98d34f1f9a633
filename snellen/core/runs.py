"""The runs of a folder as their files tell, for `snellen runs` and the studio.

Only the files are read, and nothing is believed of them: a run may be half-written, damaged or
still at work, and what its files do not tell is empty.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from .events import unplain
from .runfolder import MARK, RunFolder

EPOCHS = re.compile(rb"^  epochs: (\d{1,9})$", re.MULTILINE)
DEEP = 100
TAIL = 4096  # bytes of the event log that surely hold its last line


def run_folders(folder: str | Path) -> list[RunFolder]:
    """A folder of runs, or a run itself -> the runs, by name.

    >>> run_folders("snellen")
    []
    """
    here = Path(folder)
    return [RunFolder(path) for path in (here, *sorted(here.glob("*"))) if is_run(path)]


def is_run(folder: Path) -> bool:
    """Whether a training wrote here: its settings or its log are there.

    >>> is_run(Path("snellen"))
    False
    """
    return any(os.path.isfile(folder / name) for name in (MARK, "events.jsonl"))


def summary(folder: RunFolder) -> dict[str, Any]:
    """One run in a row; a value that its files do not tell is empty.

    >>> summary(RunFolder("absent"))["status"]
    'no log'
    """
    began, end = _ends(folder.events)
    recipe = _recipe(folder, began)
    mark = _dict(read_json(folder.weights / "last.json").get("meta"))
    config = {} if mark else read_settings(folder)  # an ensemble has no last weights
    told = _dict(mark.get("metrics") or config.get("metrics"))
    metrics = {k: v for k, v in told.items() if isinstance(v, int | float)}
    score = next((name for name in metrics if name != "loss"), None)
    return {
        "run": str(folder.path),
        "task": mark.get("task") or config.get("task") or recipe.get("task"),
        "model": recipe.get("model"),
        "data": recipe.get("data"),
        "best": f"{score} {metrics[score]:.4f}" if score else "",
        "epochs": "" if "members" in config else _epochs(mark, recipe),
        "status": _status(folder, end),
        "started": _when(began),
        "seconds": _seconds(folder, began, end),
        "metrics": metrics,
    }


def _epochs(mark: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    return f"{mark.get('epoch', 0)}/{recipe.get('epochs') or '?'}"


def read_json(path: Path) -> dict[str, Any]:
    """A file -> the JSON object in it; empty where there is none, or it is damaged.

    >>> read_json(Path("absent.json"))
    {}
    """
    try:
        return parsed(path.read_bytes())
    except OSError:
        return {}


def parsed(line: bytes) -> dict[str, Any]:
    """Bytes -> the JSON object that they are, else an empty one.

    >>> parsed(b'{"kind": "end"}'), parsed(b'{"kind": "e')
    ({'kind': 'end'}, {})
    """
    try:
        value = json.loads(line)
        value = unplain(value) if b'"$float"' in line else value  # rare, and half of the time
    except (ValueError, RecursionError):  # half a line: the process was killed while it wrote
        return {}
    return value if isinstance(value, dict) else {}


def read_settings(folder: RunFolder) -> dict[str, Any]:
    """config.yaml as it stands; empty where there is none, or it is damaged.

    >>> read_settings(RunFolder("absent"))
    {}
    """
    try:
        state = os.stat(folder.config)
    except OSError:
        return {}
    return _settings(folder.config, state.st_mtime_ns, state.st_size)


@lru_cache(1024)
def _settings(path: Path, changed: int, size: int) -> dict[str, Any]:
    """A version of a file is read once: YAML costs some 50 ms a run.

    Brackets that nest deeply are no settings of ours: PyYAML takes minutes for them, and libyaml
    ends the process.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        steps = (1 if sign in "[{" else -1 for sign in re.findall(r"[\[\]{}]", text))
        config = yaml.safe_load(text) if max(accumulate(steps), default=0) < DEEP else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}


def _recipe(folder: RunFolder, began: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe as the first event has it, without YAML; a resume may have given more epochs."""
    recipe = _dict(began.get("recipe"))
    if not recipe:
        return _dict(read_settings(folder).get("recipe"))
    try:
        epochs = EPOCHS.search(folder.config.read_bytes())
    except OSError:
        epochs = None
    return {**recipe, "epochs": int(epochs[1])} if epochs else recipe


def _ends(events: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first event of a log and the last one."""
    try:
        with open(events, "rb") as file:
            first = file.readline()
            file.seek(max(0, os.path.getsize(events) - TAIL))
            last = file.read().rstrip().rpartition(b"\n")[2]
    except OSError:
        return {}, {}
    return parsed(first), parsed(last)


def _status(folder: RunFolder, end: Mapping[str, Any]) -> str:
    if not os.path.isfile(folder.events):
        return "no log"
    return str(end.get("status", "")) if end.get("kind") == "end" else "running"


def _when(event: Mapping[str, Any]) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["time"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return ""


def _seconds(folder: RunFolder, began: Mapping[str, Any], end: Mapping[str, Any]) -> float | None:
    """How long it took, or has taken until its last sign of life."""
    try:
        if end.get("kind") == "end":
            return float(end["seconds"])
        return max(0.0, os.path.getmtime(folder.events) - began["time"])
    except (KeyError, TypeError, ValueError, OSError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
