"""glibc's malloc told to keep what it has: a training asks for the same large blocks each step.

By default glibc maps every large tensor afresh and gives it back, and each page is zeroed by the
kernel again (`python bench/levers.py` prints what a step gains by keeping them). Pages are of
2 MiB where the kernel gives such to whoever asks: one entry for the processor to look up instead of
512. Linux with glibc only; anywhere else nothing happens. Only while a training runs, and never at
import.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.memory import free_memory

# from malloc.h: parameter -> (tuned, after). glibc raises its thresholds itself as large blocks are
# freed, until somebody sets one; so after a training they are what it would have raised them to.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4
VALUES = {
    M_MMAP_MAX: (0, 65_536),  # large blocks come from the heap, not from a mapping of their own
    M_MMAP_THRESHOLD: (32 * 2**20, 32 * 2**20),
    M_TRIM_THRESHOLD: (2**31 - 1, 64 * 2**20),  # the heap's end is not given back
    M_TOP_PAD: (64 * 2**20, 0),  # and grows by 64 MiB at a time
}
MADV_HUGEPAGE, HUGE = 14, 2 * 2**20  # from mman.h; bytes of a huge page
OPEN: list[ctypes.CDLL] = []  # one for each training of this process
ROOM = 1792 * 2**20  # bytes of the heap in huge pages at most: with its end, under the threshold


def is_glibc() -> bool:
    """Whether this process allocates through glibc."""
    return platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"


@contextmanager
def tuned(wanted: bool) -> Iterator[None]:
    """Keep freed memory inside, in huge pages; after, give it back, as glibc comes to do it.

    >>> with tuned(False): pass
    """
    if not wanted or not is_glibc():
        yield
        return
    libc = ctypes.CDLL(None)
    OPEN.append(libc)
    try:
        if len(OPEN) == 1:
            for parameter, (kept, _) in VALUES.items():
                libc.mallopt(parameter, kept)
            _ask_for_huge_pages(libc)
        yield
    finally:
        OPEN.pop()
        if not OPEN:
            for parameter, (_, own) in VALUES.items():
                libc.mallopt(parameter, own)
            libc.malloc_trim(0)


def _ask_for_huge_pages(libc: ctypes.CDLL) -> None:
    """For what the heap will grow by: a block as large is asked for, marked, and freed. No memory
    is used before somebody writes to it; a kernel without huge pages refuses, to no harm.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = min(ROOM, free_memory() // 2)
    start = libc.malloc(size)
    if start is None:
        return
    first = -(-start // HUGE) * HUGE
    libc.madvise(first, (start + size - first) // HUGE * HUGE, MADV_HUGEPAGE)
    libc.free(start)
