"""bench/peers/_tiny.py: other tools behind a line of text each, and what is said of absent ones."""

import io
import logging
import sys

import pytest

from bench.peers import _tiny


@pytest.fixture(autouse=True)
def _logging_as_before():
    yield
    logging.disable(logging.NOTSET)


def test_a_tool_that_breaks_at_import_is_left_out_with_its_reason(tmp_path, monkeypatch, capsys):
    """As Lightning does where torchvision's operations do not load."""
    reason = "operator torchvision::nms does not exist"
    (tmp_path / "lightning.py").write_text(f"raise RuntimeError({reason!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lightning", raising=False)
    _tiny.main("Lightning, default")
    assert capsys.readouterr().out == f"RuntimeError: {reason}\n"


def test_each_line_is_a_training_and_its_cpu_seconds_the_answer(monkeypatch, capsys):
    epochs = []

    def train(x, y, count):
        epochs.append(count)
        print("what a tool prints is no answer")
        _tiny.plain(x, y, count)

    monkeypatch.setattr(_tiny, "SAMPLES", 256)
    monkeypatch.setitem(_tiny.TOOLS, "plain", lambda: train)
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n2\n"))
    _tiny.main("plain")
    ready, *seconds = capsys.readouterr().out.splitlines()
    assert ready == "ready"
    assert epochs == [1, 2]
    assert all(float(second) > 0 for second in seconds)
    assert len(seconds) == 2
