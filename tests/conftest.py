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


@pytest.fixture(scope="session")
def run_with_pictures(tmp_path_factory) -> Path:
    """A folder with one real run, two epochs on 48 pictures of two classes."""
    import numpy as np
    from PIL import Image

    import snellen as sn

    root = tmp_path_factory.mktemp("studio")
    rows = np.random.RandomState(0)
    for i in range(48):
        picture = root / "pets" / "cd"[i % 2] / f"{i}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        pixels = rows.randint(0, 100, (16, 16, 3)) + 150 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(picture)
    sn.train(root / "pets", model="lenet5_bn", imgsz=16, epochs=2, batch=8, quiet=True,
             project=root / "runs")  # fmt: skip
    for name in ("last", "previous"):  # large, and nothing that the studio reads
        for weights in (root / "runs" / "pets-1" / "weights").glob(f"{name}.*safetensors"):
            weights.unlink()
    return root / "runs"
