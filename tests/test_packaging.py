"""The wheel holds all of the package and works outside the clone."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import snellen

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The wheel, built from a copy (setuptools leaves litter where it builds) and unpacked."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT / "snellen", source / "snellen", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
               "--no-index", "--quiet", "--wheel-dir", str(out), str(source)]  # fmt: skip
    subprocess.run(command, check=True)
    (wheel,) = out.glob("*.whl")
    assert wheel.name == f"snellen-{snellen.__version__}-py3-none-any.whl"
    zipfile.ZipFile(wheel).extractall(out / "site")
    return out / "site"


def test_wheel_holds_every_file_of_the_package(unpacked):
    kinds = {path for path in (ROOT / "snellen").rglob("*") if path.suffix}
    wanted = {path.relative_to(ROOT) for path in kinds if path.parent.name != "__pycache__"}
    there = {path.relative_to(unpacked) for path in (unpacked / "snellen").rglob("*.*")}
    assert {path for path in wanted if path not in there} == set()
    assert Path("snellen/py.typed") in there
    assert not (unpacked / "tests").exists()
    (metadata,) = unpacked.glob("snellen-*.dist-info/METADATA")
    assert "License-Expression: Apache-2.0" in metadata.read_text()
    assert list(unpacked.glob("snellen-*.dist-info/licenses/LICENSE"))


def test_wheel_works_outside_the_clone(unpacked, tmp_path):
    script = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        "import snellen as sn, snellen.tasks.task, snellen.train.checkpoint\n"
        "from snellen.core import registry\n"
        "from snellen.doctor.check import all_checks\n"
        "print(sn.__file__)\n"
        "assert 'resnet50' in sn.models() and all_checks()\n"
        "assert registry.collect('snellen.tasks', 'TASKS')\n"
        "assert registry.collect('snellen.data.formats', 'FORMATS')\n"
        "assert sum(p.numel() for p in sn.model('lenet5', classes=10).parameters()) > 1000\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(unpacked)


def test_no_extra_pins_torch_or_brings_a_licence_that_spreads():
    """torchvision and timm pin torch; AGPL packages would bind every user's own code."""
    text = (ROOT / "pyproject.toml").read_text() + (ROOT / "constraints.txt").read_text()
    for name in ("torchvision", "timm", "ultralytics", "nvidia", "+cpu", "triton"):
        assert name not in text, name
