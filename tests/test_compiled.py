"""A compiled loop computes what its Python does; what was compiled is kept in the cache folder."""

import os
import subprocess
import sys

import numpy as np
import pytest

from snellen.core import compiled

LOOP = """
import os, sys, warnings
warnings.simplefilter("error")
import numpy as np
from snellen.core.compiled import compiled

@compiled
def half(n):
    return n / 2

@compiled
def total(values):
    sum = 0.0
    for value in values:
        sum += half(value)
    return sum

assert total(np.arange(5.0)) == 5.0
print(getattr(total, "stats", None) and sum(total.stats.cache_hits.values()))
"""


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
"""


def run(tmp_path, cache, before_the_first_call="") -> str:
    file = tmp_path / "loop.py"
    file.write_text(LOOP.replace("\nassert", f"{before_the_first_call}\nassert"))
    variables = {**os.environ, "SNELLEN_CACHE": str(cache)}
    done = subprocess.run([sys.executable, file], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
def test_the_next_process_loads_what_was_compiled(tmp_path):
    cache = tmp_path / "cache"
    assert run(tmp_path, cache) == "0"
    assert list((cache / "compiled").rglob("*.nbi"))
    assert run(tmp_path, cache) == "1"


@pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
def test_a_folder_that_cannot_be_made_costs_only_the_compiling(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert run(tmp_path, tmp_path / "file" / "cache") == "0"


@pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")
def test_a_disk_that_fills_up_costs_only_the_compiling(tmp_path):
    assert run(tmp_path, tmp_path / "cache", FULL) == "0"
    assert not [file for file in tmp_path.rglob("*.nb?") if file.stat().st_size]


@pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
def test_damaged_files_are_compiled_anew(tmp_path):
    cache = tmp_path / "cache"
    run(tmp_path, cache)
    for file in cache.rglob("*.nb?"):
        file.write_bytes(b"" if "half" in file.name else b"\0" * 99)
    assert run(tmp_path, cache) == "0"
    assert run(tmp_path, cache) == "1"


def damaged(file, places):
    """A file with one wrong bit, at one place after the other; whole again at the end."""
    whole = file.read_bytes()
    for place in places(len(whole)):
        wrong = bytearray(whole)
        wrong[place] ^= 1 << place % 8
        file.write_bytes(wrong)
        yield place
    file.write_bytes(whole)


@pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wrong_bit_anywhere_is_no_error_and_never_run(tmp_path, monkeypatch):
    import numba
    from numba.core.registry import cpu_target

    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path))
    half = compiled.compiled(lambda n: n / 2)
    assert half(3) == 1.5
    (index,), (code,) = (list(tmp_path.rglob(f"*.{ending}")) for ending in ("nbi", "nbc"))
    before = index.read_bytes()

    def found():
        kept = half._cache.load_overload((numba.int64,), cpu_target.target_context)
        index.write_bytes(before)  # what was damaged has been emptied
        return kept

    assert found() is not None
    for _ in damaged(index, lambda size: range(0, size, 3)):
        found()
    for _ in damaged(code, lambda size: range(200, size - 200, size // 50)):
        assert found() is None
    assert found() is not None


def test_without_numba_a_loop_is_python(monkeypatch):
    monkeypatch.setattr(compiled, "is_here", lambda: False)

    def total(values):
        return sum(values)

    assert compiled.compiled(total) is total
    assert total(np.arange(4)) == 6
