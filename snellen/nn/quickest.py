"""Two ways to compute the same, and which is quicker here: timed once, remembered per machine."""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..core.cache import cache_folder
from ..core.errors import DataError
from ..core.files import write_atomically

ROUNDS = 3  # of each way, in turn; the shortest counts, since noise only adds


class Quickest:
    """A table of key and thread count -> whether the second way was the quicker one.

    With `file` the table is read from there and written back as it grows; what is damaged or
    cannot be written is timed anew, for its only use is to save that time.

    >>> quickest = Quickest()
    >>> quickest.table[f"three {torch.get_num_threads()}t"] = True
    >>> quickest.of("three", lambda: torch.zeros(3), lambda: torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file, self.kept = file, _read(file)
        self.table: dict[str, bool] = {}  # of the keys that were asked for

    def of(self, key: str, first: Callable[[], Tensor], second: Callable[[], Tensor]) -> Tensor:
        """What the quicker of the two ways returns; a new key costs a few runs of each."""
        return second() if self.is_second(key, first, second) else first()

    def is_second(
        self, key: str, first: Callable[[], object], second: Callable[[], object]
    ) -> bool:
        """Whether the second way is the quicker one; a new key costs a few runs of each."""
        key = f"{key} {torch.get_num_threads()}t"
        if key not in self.table:
            if key not in self.kept:
                with torch.no_grad():
                    self.kept[key] = _is_quicker(second, first)
                self._write(key)
            self.table[key] = self.kept[key]
        return self.table[key]

    def _write(self, key: str) -> None:
        if self.file is None:
            return
        whole = {**_read(self.file), key: self.kept[key]}
        text = json.dumps(dict(sorted(whole.items())), indent=0)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.file, lambda path: _write_text(path, text))
        except (OSError, DataError):
            self.file = None  # a full or read-only disk; the table lasts as long as the process


def machine_table(name: str) -> Path:
    """Where the table `name` of this machine and this PyTorch is kept."""
    words = "-".join((name, platform.machine(), _processor(), f"torch{torch.__version__}"))
    return cache_folder() / (
        "".join(c if c.isalnum() or c in "-." else "_" for c in words) + ".json"
    )


def _is_quicker(one: Callable[[], object], other: Callable[[], object]) -> bool:
    """Whether `one` takes less time; both run once unmeasured, so that each has its memory."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best = {one: float("inf"), other: float("inf")}
    one(), other()
    for _ in range(ROUNDS):
        for way in best:
            start = clock()
            way()
            best[way] = min(best[way], clock() - start)
    return best[one] < best[other]


def _read(file: Path | None) -> dict[str, bool]:
    if file is None:
        return {}
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {key: value for key, value in table.items() if isinstance(value, bool)}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _processor() -> str:
    """The processor's name as the system tells it, or nothing."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            named = (line.partition(":")[2] for line in file if line.startswith("model name"))
            return next(named, "").strip()
    except OSError:
        return platform.processor()
