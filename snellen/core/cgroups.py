"""What the Linux control groups that this process is in leave it: a container's, a batch job's.

Groups lie in each other, and each may have a limit. Version 2 is one tree of folders; in version 1,
which older clusters run, each resource has a tree of its own. Inside a container the path that the
kernel tells is often not there: then the tree's root is the container's own group.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")  # lines such as "4:memory:/job" (version 1) or "0::/job" (2)
MEMORY = (  # limit, what is used of it, and what of that is pages of files that nobody read lately
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def memory_left() -> int | None:
    """Bytes that the tightest limit leaves, idle pages of files included; None without a limit."""
    found = [_left(folder, *names) for folder in _folders("memory") for names in MEMORY]
    return min((left for left in found if left is not None), default=None)


def processors() -> tuple[float, Path] | None:
    """As many processors' work as the tightest quota pays for, and its folder; None without one."""
    found = [(quota, folder) for folder in _folders("cpu") if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def worked(folder: Path) -> float | None:
    """Seconds of work of all processes under the quota of a folder."""
    usage = _facts(folder / "cpu.stat").get("usage_usec")
    if usage is not None:
        return usage / 1e6
    tree = ROOT / "cpu"
    beside = ROOT / "cpuacct" / folder.relative_to(tree) if folder.is_relative_to(tree) else folder
    try:
        return int((beside / "cpuacct.usage").read_text()) / 1e9
    except (OSError, ValueError):
        return None


def _folders(resource: str) -> Iterator[Path]:
    """The groups of this process for a resource, its own first and then those around it."""
    try:
        lines = [line.split(":", 2) for line in OWN.read_text().splitlines()]
    except OSError:
        lines = []
    known = [line[1:] for line in lines if len(line) == 3]
    paths = {name: path for names, path in known for name in names.split(",")}
    tree = ROOT / resource if resource in paths else ROOT
    own = tree / paths.get(resource, paths.get("", "/")).lstrip("/")
    for folder in (own, *own.parents):
        if folder.is_dir():
            yield folder
        if folder == tree:
            return


def _left(folder: Path, limit: str, used: str, idle: str) -> int | None:
    try:
        left = int((folder / limit).read_text()) - int((folder / used).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(0, left + _facts(folder / "memory.stat").get(idle, 0))


def _quota(folder: Path) -> float | None:
    """Microseconds of work in each so many."""
    try:
        work, each = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            work, each = ((folder / f"cpu.cfs_{n}_us").read_text() for n in ("quota", "period"))
        except OSError:
            return None
    try:
        quota = int(work) / int(each)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return quota if quota > 0 else None  # -1 is none


def _facts(file: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        rows = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
