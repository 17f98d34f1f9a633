"""What the demonstration promises of its two planted faults."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path(__file__).parents[1] / "examples" / "demo.py"
    spec = importlib.util.spec_from_file_location("demo", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_spoilt_image_is_named(demo, capsys):
    run = demo.train_on_a_spoilt_image(seed=1)
    assert run.findings[0].id == "data-nonfinite"
    assert run.findings[0].samples == (demo.SPOILT,)
    demo.show(run)
    assert f"train {demo.SPOILT}" in capsys.readouterr().out


def test_the_learning_rate_is_named_with_a_better_one(demo):
    run = demo.train_too_fast(seed=1)
    assert run.findings[0].id == "lr-too-high"
    assert run.findings[0].settings["lr"] <= 2.0
    assert run.path.joinpath("report.html").is_file()
