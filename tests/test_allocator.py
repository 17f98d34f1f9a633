"""The heap of a training: kept, in huge pages where the kernel has them, and given back after."""

import subprocess
import sys
from pathlib import Path

import pytest

from snellen.train.allocator import is_glibc

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SCRIPT = """
import re
import sys
import torch
from snellen.train.allocator import tuned

def heap(word):
    inside, found = False, 0
    for line in open("/proc/self/smaps"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = "[heap]" in line
        elif inside and line.startswith(word + ":"):
            found += int(line.split()[1]) // 1024
    return found

print(heap("Rss"))
with tuned(sys.argv[1] == "keep"):
    print(heap("Rss"))
    block = torch.ones(32 * 2**20)
    print(heap("Rss"), heap("AnonHugePages"))
    del block
    with tuned(sys.argv[1] == "keep"):
        pass
    print(heap("Rss"))
    assert torch.ones(32 * 2**20).sum() == 2**25
print(heap("Rss"))
"""

pytestmark = pytest.mark.skipif(not is_glibc(), reason="malloc is another one than glibc's")


def memory(word):
    """MiB of the heap before, inside, with a block of 128 MiB (and how many in huge pages), without
    it, and after.
    """
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, word], capture_output=True, text=True, check=True
    )
    return [int(number) for number in ran.stdout.split()]


def test_what_is_freed_is_kept_while_a_training_runs_and_given_back_after():
    before, inside, full, _, kept, after = memory("keep")
    assert inside < before + 16  # room is reserved, and nothing of it used
    assert full > before + 120
    assert kept > before + 120
    assert after < before + 32


def test_blocks_of_a_usual_size_are_reused_after_a_training_too():
    script = """
import torch
from snellen.train.allocator import tuned

def faults():
    return int(open("/proc/self/stat").read().rpartition(")")[2].split()[7])

with tuned(True):
    pass
for _ in range(20):
    torch.ones(2**18)
before = faults()
for _ in range(100):
    torch.ones(2**18)
print(faults() - before)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 10_000  # 25,600 where each block is mapped anew


def test_the_heap_is_in_huge_pages_where_the_kernel_gives_them():
    if not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text():
        pytest.skip("this kernel gives no huge pages")
    assert memory("keep")[3] > 100


def test_the_system_is_left_alone_where_nothing_is_wanted():
    before, _, full, *_ = memory("system")
    assert full < before + 16  # a mapping of its own
