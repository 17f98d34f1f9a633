"""What others use of the processors, against processes that are known to work."""

import subprocess
import sys

import pytest

from snellen.core import cores
from snellen.core.cores import Neighbours, usable_cores
from snellen.train.recipe import Recipe
from snellen.train.speed import Facts, Machine, choose

STAT = "cpu  0 0 0 0 0 0 0 0 0 0\n" + "".join(
    f"cpu{i} {{0}} 0 0 {{1}} 0 0 0 {{2}} 0 0\n" for i in range(4)
)


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Four processors whose counts the test writes, a hundred ticks a second."""
    monkeypatch.setattr(cores, "STAT", tmp_path / "stat")
    monkeypatch.setattr(cores.cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cores.cgroups, "OWN", tmp_path / "own")
    monkeypatch.setattr(cores, "seen_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(cores, "LOOK", 0.0)
    monkeypatch.setattr(cores, "FRESH", 0.0)
    monkeypatch.setattr(Neighbours, "_told", None)
    return tmp_path


def later(told, monkeypatch, *, work, stolen=0, own=0.0, paid=0):
    """What is said busy one second after, of ticks each processor worked and of the microseconds
    that the container was given.
    """

    def now():
        return cores._worked(), cores._paid()

    clock = iter([(10.0, 5.0), (11.0, 5.0 + own)])
    monkeypatch.setattr(Neighbours, "_now", staticmethod(lambda: (*next(clock), *now())))
    (told / "stat").write_text(STAT.format(1000, 9000, 0))
    (told / "cpu.stat").write_text("usage_usec 70\nuser_usec 60\n")
    neighbours = Neighbours()
    (told / "stat").write_text(STAT.format(1000 + work, 9100 - work, stolen))
    (told / "cpu.stat").write_text(f"usage_usec {70 + paid}\nuser_usec 60\n")
    return neighbours.busy()


def test_others_are_all_that_worked_but_ourselves(told, monkeypatch):
    assert later(told, monkeypatch, work=50) == pytest.approx(2.0)
    assert later(told, monkeypatch, work=50, own=1.5) == pytest.approx(0.5)
    assert later(told, monkeypatch, work=0, own=1.0) == 0.0
    assert later(told, monkeypatch, work=25, stolen=25) == pytest.approx(2.0)


def test_what_was_seen_a_moment_ago_holds_on_the_same_cores(told, monkeypatch):
    monkeypatch.setattr(cores, "FRESH", 1000.0)
    assert later(told, monkeypatch, work=50) == pytest.approx(2.0)
    assert later(told, monkeypatch, work=0, own=1.0) == pytest.approx(2.0)
    monkeypatch.setattr(cores, "seen_cores", lambda: [0, 1, 2])
    assert later(told, monkeypatch, work=0, own=1.0) == 0.0


def test_a_quota_counts_as_cores_and_what_lies_idle_beside_it_is_had(told, monkeypatch):
    (told / "cpu.max").write_text("150000 100000\n")
    assert usable_cores() == 2
    assert later(told, monkeypatch, work=25) == 0.0  # three of four are free, and two are ours
    assert later(told, monkeypatch, work=80) == pytest.approx(1.2)
    assert later(told, monkeypatch, work=50, paid=2_000_000) == 2.0  # two of four, but ours
    assert later(told, monkeypatch, work=50, own=1.5, paid=2_000_000) == pytest.approx(0.5)
    assert later(told, monkeypatch, work=80, paid=400_000) == pytest.approx(1.2)
    (told / "cpu.max").write_text("max 100000\n")
    assert usable_cores() == 4


def test_a_system_that_does_not_count_tells_its_load(told, monkeypatch):
    monkeypatch.setattr(cores.os, "getloadavg", lambda: (3.5, 0.0, 0.0))
    assert Neighbours().busy() == pytest.approx(2.5)


def test_the_system_counts_the_work_of_every_process():
    """Of one that has worked half a second; how long that took does not matter."""
    before = cores._worked()
    if not before:
        pytest.skip("the system does not count")
    work = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert cores._worked() - before > 0.4


def test_the_users_own_word_on_threads_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert Machine.here(Neighbours()).most_threads == 3
    quiet = Machine(8, 0.0, bf16=False, cuda=False, free_bytes=1 << 34, most_threads=3)
    chosen = {c.setting: c for c in choose(Recipe(batch=64), Facts(99, macs=10**9), quiet)}
    assert chosen["threads"].value == 3
    assert "OMP_NUM_THREADS=3" in chosen["threads"].reason
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert Machine.here(Neighbours()).most_threads is None
