"""One run as its files tell it; a file that is missing or damaged costs what it alone would say."""

import csv
import heapq
import os
import time
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from ..core.runfolder import RunFolder
from ..core.runs import read_json, read_settings, summary
from ..core.words import duration
from ..doctor.finding import Finding
from .shelf import is_within, key

QUIET = 900.0  # seconds without a word; Snellen writes every minute
ROWS = 200_000  # of predictions.csv that are looked through
TAIL = 64 * 2**10  # bytes of a log or a table whose end is shown


class Recorded:
    """What the pages ask of a run folder. Reading happens when something is asked for."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.key = folder, key(folder)

    @cached_property
    def row(self) -> dict[str, Any]:
        """Its row in the list of runs."""
        return summary(self.folder)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """config.yaml."""
        return read_settings(self.folder)

    def part(self, name: str, kind: type) -> Any:
        """A part of config.yaml, or an empty one where it is not of that kind."""
        value = self.settings.get(name)
        return value if isinstance(value, kind) else kind()

    @cached_property
    def environment(self) -> dict[str, Any]:
        """env.json."""
        return read_json(self.folder.env)

    @cached_property
    def findings(self) -> tuple[Finding, ...] | None:
        """findings.json; None where there is none that can be read."""
        told = read_json(self.folder.findings).get("findings")
        if not isinstance(told, list):
            return None
        return tuple(Finding.from_dict(one) for one in told)

    @cached_property
    def status(self) -> str:
        """How it ended; of a run without an end, whether it still gives signs of life."""
        if self.row["status"] != "running":
            return str(self.row["status"])
        silent = time.time() - os.path.getmtime(self.folder.events)
        return f"silent for {duration(silent)}: killed?" if silent > QUIET else "running"

    def tail(self, path: Path) -> list[str]:
        """The last lines of a text file of the run."""
        try:
            with open(path, "rb") as file:
                file.seek(max(0, os.path.getsize(path) - TAIL))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        return lines[1:] if len(lines) > 1 and os.path.getsize(path) > TAIL else lines

    def plots(self) -> list[str]:
        """The names of the pictures in plots/."""
        found = sorted(self.folder.plots.glob("*.png"))
        return [path.name for path in found if is_within(path, self.folder.path)]

    def extremes(self, count: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """The rows of predictions.csv with the lowest scores, and those with the highest."""
        rows = list(islice(self._scored(), ROWS))
        by = [(float(row["score"]), i) for i, row in enumerate(rows)]
        low, high = heapq.nsmallest(count, by), heapq.nlargest(count, by)
        return [rows[i] for _, i in low], [rows[i] for _, i in high]

    def _scored(self) -> Iterator[dict[str, str]]:
        try:
            with open(self.folder.predictions, newline="", encoding="utf-8",
                      errors="surrogateescape") as file:  # fmt: skip
                for row in csv.DictReader(file):
                    if row.get("file") and _is_number(row.get("score")):
                        yield row
        except (OSError, csv.Error):
            return

    def picture(self, file: str) -> Path | None:
        """A picture that the run names -> where it lies, within the folders of the run's data."""
        for root, typed in self._roots():
            inside = Path(file)
            if typed and inside.is_relative_to(typed):
                inside = inside.relative_to(typed)
            path = root / inside  # an absolute one stays as it is
            if is_within(path, root) and path.is_file():
                return path
        return None

    def _roots(self) -> Iterator[tuple[Path, str]]:
        """The folders of the data, each with how it was typed."""
        places, recipe = self.part("places", dict), self.part("recipe", dict)
        for name in ("data", "val"):
            typed, place = recipe.get(name), places.get(name)
            for word in (place, typed):
                if isinstance(word, str) and os.path.exists(word):
                    root = Path(word).absolute()
                    yield (root, str(typed)) if root.is_dir() else (root.parent, "")
                    break


def _is_number(word: str | None) -> bool:
    try:
        return float(word or "") == float(word or "")
    except ValueError:
        return False
