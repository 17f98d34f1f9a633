"""How many processors this program may use, and how many of them others keep busy.

A container may be allowed fewer than it sees, and a shared machine gives fewer than it has: two
threads of a step that wait for each other on one free core take ten times as long as one.
"""

import math
import os
import time
from pathlib import Path
from typing import ClassVar

from . import cgroups

STAT = Path("/proc/stat")
IDLE = (3, 4)  # columns of a processor's line: idle, and idle until a disk answers
LOOK = 0.3  # seconds that others are looked at, at least; the kernel counts in hundredths
FRESH = 10.0  # seconds for which what was seen of them holds: the next training need not wait

Now = tuple[float, float, float | None, float | None]


def seen_cores() -> list[int]:
    """The numbers of the processors that this process may run on.

    >>> len(seen_cores()) > 0
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """Of those it sees, as many as the quota of its container or job pays for; at least one.

    >>> 1 <= usable_cores() <= len(seen_cores())
    True
    """
    seen, limit = len(seen_cores()), cgroups.processors()
    return seen if limit is None else max(1, min(math.ceil(limit[0]), seen))


class Neighbours:
    """What other programs use of the processors, from its making until it is asked.

    >>> 0 <= Neighbours().busy() <= usable_cores()
    True
    """

    _told: ClassVar[tuple[float, int, int, float] | None] = None  # when, of which cores, how many

    def __init__(self) -> None:
        self._seen, self._usable = len(seen_cores()), usable_cores()
        self._start = self._now()

    def busy(self) -> float:
        """Cores that cannot be had of the usable ones: others keep them busy.

        Where the system does not count, by the load of the last minute without ourselves.
        """
        last, here = Neighbours._told, (self._seen, self._usable)
        if last is None or last[1:3] != here or time.monotonic() - last[0] >= FRESH:
            last = Neighbours._told = (time.monotonic(), *here, self._look())
        return last[3]

    def _look(self) -> float:
        time.sleep(max(0.0, LOOK - (time.monotonic() - self._start[0])))
        others, beside = self._others(self._start, self._now())
        if others is None:
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
            others = max(0.0, load - 1)
        free = min(self._usable - (beside or 0.0), self._seen - others)
        return self._usable - max(0.0, free)

    @staticmethod
    def _others(start: Now, end: Now) -> list[float | None]:
        """Cores' worth of work that was not ours: on the cores we see, and in our container."""
        seconds, own = end[0] - start[0], end[1] - start[1]
        return [None if a is None or b is None else max(0.0, (b - a - own) / seconds)
                for a, b in zip(start[2:], end[2:], strict=True)]  # fmt: skip

    @staticmethod
    def _now() -> Now:
        """Seconds on the clock, of this process, of all processes on the cores we see, and of those
        that share our container's quota.
        """
        return time.monotonic(), time.process_time(), _worked(), _paid()


def _paid() -> float | None:
    """Seconds of work that a container's quota has paid for; None without a quota."""
    limit = cgroups.processors()
    return None if limit is None else cgroups.worked(limit[1])


def _worked() -> float | None:
    """Seconds that the processors we see have worked, or were taken by another machine."""
    try:
        lines = STAT.read_text().splitlines()
    except OSError:
        return None
    columns = {line.split()[0]: line.split()[1:9] for line in lines if line.startswith("cpu")}
    mine = [columns[name] for name in (f"cpu{i}" for i in seen_cores()) if name in columns]
    ticks = [int(n) for one in mine for i, n in enumerate(one) if i not in IDLE]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if mine else None
