"""What fits in memory: asked before a file is unpacked, since a small one can claim much."""

from . import cgroups
from .errors import DataError

SHARE = 0.8  # of the free memory that one file may fill; the rest is for the training


def free_memory() -> int:
    """Bytes that can be had without swapping, of the machine and of the container or job that
    this runs in; 2 GiB where the system does not say.

    >>> free_memory() > 2**20
    True
    """
    known = [free for free in (_free_of_machine(), cgroups.memory_left()) if free is not None]
    return min(known, default=2 << 30)


def _free_of_machine() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def demand(num_bytes: int, what: str) -> None:
    """Raise DataError where `what` would not fit in `SHARE` of the free memory once unpacked.

    >>> demand(10**15, "x.npz")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snellen.core.errors.DataError: x.npz claims 931,322.6 GiB unpacked; ... GiB of memory are ...
    """
    free = free_memory()
    if num_bytes > SHARE * free:
        claimed, there = (f"{n / 2**30:,.1f} GiB" for n in (num_bytes, free))
        raise DataError(
            f"{what} claims {claimed} unpacked; {there} of memory are free; save it as pictures "
            "in folders, which are read one by one, or in parts"
        )
