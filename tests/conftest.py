"""Shared by all tests: one torch thread, and the way to real data where it lies."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads on a busy box cost ten times as much
os.environ.setdefault("MPLBACKEND", "Agg")


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


@pytest.fixture(autouse=True, scope="session")
def _time_to_ask():
    """On a busy machine too the doctor asks every network all that it has to ask."""
    from snellen.doctor.probes import replays

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replays, "FLOOR", 60.0)
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
