"""Limits of both versions of control groups, of the process's own group and of those around it."""

import pytest

from snellen.core import cgroups

HUGE = 9223372036854771712  # which version 1 says where there is no limit


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """What `write(path, text)` puts under the root; `write("own", ...)` is /proc/self/cgroup."""
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "root")
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")

    def write(path, text):
        file = tmp_path / (path if path == "own" else f"root/{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    return write


def second(write, folder, limit, used, idle=0):
    for name, text in (
        ("max", limit),
        ("current", used),
        ("stat", f"anon 5\ninactive_file {idle}"),
    ):
        write(f"{folder}memory.{name}", text)


def first(write, folder, limit, used, idle=0):
    write(f"memory/{folder}memory.limit_in_bytes", limit)
    write(f"memory/{folder}memory.usage_in_bytes", used)
    write(f"memory/{folder}memory.stat", f"cache 7\ntotal_inactive_file {idle}")


def test_a_system_without_groups_limits_nothing(tree):
    assert cgroups.memory_left() is None
    assert cgroups.processors() is None


@pytest.mark.parametrize("own", [None, "0::/", "0::/elsewhere/job"])
def test_a_container_is_the_root_of_its_tree(tree, own):
    """Also where the path that the kernel tells is that of the machine outside."""
    if own:
        tree("own", own)
    second(tree, "", 1_000_000, 700_000, idle=50_000)
    assert cgroups.memory_left() == 350_000
    second(tree, "", 1_000_000, 1_200_000)
    assert cgroups.memory_left() == 0
    second(tree, "", "max", 700_000)
    assert cgroups.memory_left() is None


def test_the_tightest_group_around_a_job_counts(tree):
    tree("own", "0::/slurm/job/step")
    second(tree, "slurm/", 5_000, 1_000)
    second(tree, "slurm/job/", 4_000, 3_500, idle=100)
    second(tree, "slurm/job/step/", "max", 3_000)
    second(tree, "slurm/other/", 10, 10)
    assert cgroups.memory_left() == 600


def test_version_1_has_a_tree_for_each_resource(tree):
    tree("own", "9:name=systemd:/\n4:memory:/job\n1:cpu,cpuacct:/job\n0::/")
    first(tree, "", HUGE, 10**9)
    first(tree, "job/", 900_000, 300_000, idle=20_000)
    assert cgroups.memory_left() == 620_000
    tree("own", "4:memory:/elsewhere\n1:cpu,cpuacct:/job\n0::/")
    assert cgroups.memory_left() > 10**15


def test_a_quota_pays_for_so_many_processors(tree):
    tree("own", "0::/job")
    tree("cpu.max", "max 100000")
    tree("job/cpu.max", "150000 100000")
    tree("job/cpu.stat", "usage_usec 2500000\nuser_usec 60")
    quota, folder = cgroups.processors()
    assert quota == 1.5
    assert cgroups.worked(folder) == 2.5
    tree("cpu.max", "50000 100000")
    assert cgroups.processors()[0] == 0.5
    assert cgroups.worked(cgroups.ROOT) is None


@pytest.mark.parametrize("names", ["cpu", "cpuacct"])
def test_a_quota_of_version_1(tree, names):
    """The work is counted in the same folder or, where the trees are apart, in its twin."""
    tree("own", "2:cpuacct:/job\n1:cpu:/job/step\n0::/")
    tree("cpu/job/cpu.cfs_quota_us", 250_000)
    tree("cpu/job/cpu.cfs_period_us", 100_000)
    tree("cpu/job/step/cpu.cfs_quota_us", -1)
    tree("cpu/job/step/cpu.cfs_period_us", 100_000)
    quota, folder = cgroups.processors()
    assert quota == 2.5
    assert cgroups.worked(folder) is None
    if names == "cpu":
        (cgroups.ROOT / "cpuacct").symlink_to(cgroups.ROOT / "cpu")
    tree("cpuacct/job/cpuacct.usage", 7 * 10**9)
    assert cgroups.worked(folder) == 7.0


def test_damaged_files_limit_nothing(tree):
    tree("own", "0::/\nnonsense")
    tree("memory.max", "12")
    tree("memory.current", "many")
    tree("cpu.max", "100000")
    assert cgroups.memory_left() is None
    assert cgroups.processors() is None
    tree("cpu.max", "100000 0")
    assert cgroups.processors() is None
