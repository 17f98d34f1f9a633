"""Shared by all tests: one torch thread, and the way to real data where it lies."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads on a busy box cost ten times as much
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["SNELLEN_PATIENCE"] = "400"  # nothing is left out, however slow or busy the machine
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Nothing is read from, or left in, the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNELLEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def undrawn():
    """Trainings without report.html: of a tiny one, drawing it takes nearly all the time."""
    from snellen.train import finish

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", lambda *args: None)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: SNELLEN_TEST_DATA, else shared/data beside the clone."""
    word = os.environ.get("SNELLEN_TEST_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(word) if word else beside
    if not folder.is_dir():
        pytest.skip("no real data: set SNELLEN_TEST_DATA to the folder that holds them")
    return folder
