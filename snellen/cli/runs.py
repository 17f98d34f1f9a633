"""`snellen runs`: what was trained, read from the run folders alone."""

import json
import os
import time
from pathlib import Path
from typing import Any

import click

from ..core.runfolder import MARK, RunFolder
from ._output import existing, print_json, print_table
from ._verbs import HELP, Verb

TAIL = 4096  # bytes of the event log that surely hold its last line


@click.command(cls=Verb, context_settings=HELP)
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="For programs, with every metric.")
def command(folder: str, as_json: bool) -> None:
    """List the runs of a folder (runs), the newest last."""
    if folder == "runs" and not os.path.isdir(folder):
        click.echo("no runs here yet: `snellen train digits` makes the first", err=True)
        paths = []
    else:
        marks = [existing(folder) / MARK, *Path(folder).glob(f"*/{MARK}")]
        paths = [mark.parent for mark in marks if mark.is_file()]
    rows = sorted((summary(RunFolder(path)) for path in paths), key=lambda row: row["started"])
    if as_json:
        print_json(rows, 1)
        return
    keys = ("run", "task", "model", "data", "best", "epochs", "status", "started")
    print_table(keys, [[row[key] for key in keys] for row in rows])


def summary(folder: RunFolder) -> dict[str, Any]:
    """One run in a row; a value that its files do not tell is empty."""
    config = _yaml(folder.config)
    recipe = config.get("recipe", {})
    mark = _json(folder.weights / "last.json").get("meta", {})
    metrics = mark.get("metrics") or config.get("metrics", {})  # of an ensemble
    score = next((name for name in metrics if name != "loss"), None)
    status, started = _story(folder.events)
    return {
        "run": str(folder.path),
        "task": mark.get("task") or config.get("task") or recipe.get("task"),
        "model": recipe.get("model"),
        "data": recipe.get("data"),
        "best": f"{score} {metrics[score]:.4f}" if score else "",
        "epochs": _epochs(mark, recipe) if "members" not in config else "",
        "status": status,
        "started": started,
        "metrics": metrics,
    }


def _epochs(mark: dict[str, Any], recipe: dict[str, Any]) -> str:
    return f"{mark.get('epoch', 0)}/{recipe.get('epochs') or '?'}"


def _story(events: Path) -> tuple[str, str]:
    """(status, when it started), from the first line and the last of the event log."""
    try:
        with open(events, "rb") as file:
            first = file.readline()
            file.seek(max(0, os.path.getsize(events) - TAIL))
            last = file.read().rstrip().rpartition(b"\n")[2]
    except OSError:
        return "no log", ""
    began, end = _event(first), _event(last)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began.get("time", 0)))
    status = end.get("status", "") if end.get("kind") == "end" else "running"
    return status, when


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:  # half a line: the process was killed while it wrote
        return {}
    return event if isinstance(event, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    return _event(path.read_bytes()) if path.is_file() else {}


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}
