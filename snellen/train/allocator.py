"""glibc's malloc told to keep what it has: a training asks for the same large blocks each step.

By default glibc maps every large tensor afresh and gives it back, and each page is zeroed by the
kernel again; keeping the pages is 5 to 35 % of a step (docs/performance.md). Linux with glibc only;
anywhere else nothing happens. Only while a training runs, and never at import.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# from malloc.h: parameter -> (tuned, glibc's own value)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
VALUES = {
    M_MMAP_MAX: (0, 65_536),  # large blocks come from the heap, not from a mapping of their own
    M_TRIM_THRESHOLD: (2**31 - 1, 128 * 1024),  # the heap's end is not given back
    M_TOP_PAD: (64 * 2**20, 0),  # and grows by 64 MiB at a time
}


def is_glibc() -> bool:
    """Whether this process allocates through glibc."""
    return platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"


@contextmanager
def tuned(wanted: bool) -> Iterator[None]:
    """Keep freed memory inside; glibc's own values after.

    >>> with tuned(False): pass
    """
    if not wanted or not is_glibc():
        yield
        return
    libc = ctypes.CDLL(None)
    for parameter, (kept, _) in VALUES.items():
        libc.mallopt(parameter, kept)
    try:
        yield
    finally:
        for parameter, (_, own) in VALUES.items():
            libc.mallopt(parameter, own)
        libc.malloc_trim(0)
