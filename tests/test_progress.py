"""The display of a training: what is said, where it goes, and that saying it costs nothing."""

import io
import os
import pty
import re
import subprocess
import sys
from collections import Counter

import pytest

from snellen.train import progress as module
from snellen.train.progress import Progress, bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, epochs=3, steps=20, quiet=False, first=1, **more):
    with Progress(epochs, steps, quiet=quiet, stream=stream) as progress:
        progress.note("bf16: this processor has it")
        for epoch in range(first, epochs + 1):
            progress.start_epoch(epoch)
            for _ in range(steps):
                progress.step(0.5, 0.01, 64)
            progress.end_epoch(
                epoch, {"loss": 0.5, "val_accuracy": 0.9 + epoch / 100, "recall": 0.1, **more}, 1.5
            )
    return stream.getvalue()


def test_without_a_terminal_there_is_one_plain_line_an_epoch():
    lines = run(io.StringIO()).splitlines()
    assert lines[0] == "bf16: this processor has it"
    assert lines[1] == "epoch 1/3   loss 0.5000   val_accuracy 0.9100   1.5 s"
    assert len(lines) == 4
    assert all("\x1b" not in line for line in lines)


def test_a_long_epoch_reports_in_between_and_no_oftener_than_its_interval(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    stream = io.StringIO()
    with Progress(2, 100, stream=stream) as progress:
        progress.start_epoch(1)
        for _ in range(100):
            now[0] += 1.0
            progress.step(2.0, 0.1, 10)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "epoch 1/2   10%  3:10 left  loss 2.0000  lr 0.1  10 samples/s"


def test_short_epochs_say_enough_without_reports_in_between(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    stream = io.StringIO()
    with Progress(20, 9, stream=stream) as progress:
        for epoch in range(1, 21):
            progress.start_epoch(epoch)
            for _ in range(9):
                now[0] += 1.0
                progress.step(2.0, 0.1, 10)
            progress.end_epoch(epoch, {"loss": 2.0}, 9.0)
    assert len(stream.getvalue().splitlines()) == 20


def test_time_left_counts_only_the_steps_done_here_when_a_run_resumes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    stream = io.StringIO()
    with Progress(10, 100, stream=stream) as progress:
        progress.start_epoch(9, steps_done=90)
        for _ in range(10):
            now[0] += 2.0
            progress.step(None, None, 10)
    assert "100%  3:20 left  5 samples/s" in stream.getvalue().splitlines()[-1]


def test_a_terminal_keeps_every_epoch_line_once_and_gets_its_cursor_back(monkeypatch):
    monkeypatch.setattr(module._Live, "interval", 0.0)
    out = run(Terminal(), epochs=5)
    for epoch in range(1, 6):
        assert out.count(f"epoch {epoch}/5   loss") == 1
    assert "samples/s" in out
    assert out.rfind("\x1b[?25h") > out.rfind("\x1b[?25l") >= 0


def test_brackets_in_a_note_are_words_and_not_markup():
    stream = Terminal()
    with Progress(1, 1, stream=stream) as progress:
        progress.note("[red]x[/red] classes [0, 1]")
    assert "[red]x[/red] classes [0, 1]" in stream.getvalue()


def test_a_terminal_of_80_columns_shows_epoch_loss_and_rate(monkeypatch):
    monkeypatch.setattr(module._Live, "interval", 0.0)
    monkeypatch.setenv("COLUMNS", "80")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", run(Terminal(), epochs=12))
    shown = [line for line in re.split(r"[\r\n]", plain) if "samples/s" in line][-1]
    assert shown.startswith("epoch 12/12  ")
    assert "loss 0.5000" in shown


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setattr(module._Live, "interval", 0.0)
    monkeypatch.setenv("TERM", "xterm-256color")
    colours = re.compile(r"\x1b\[[0-9;]*(3[0-9]|9[0-7])[0-9;]*m")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colours.search(run(Terminal()))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours.search(run(Terminal()))


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in run(Terminal())


def test_quiet_says_nothing():
    assert run(io.StringIO(), quiet=True) == ""


def test_the_cursor_comes_back_after_an_error():
    stream = Terminal()
    with pytest.raises(ZeroDivisionError), Progress(1, 1, stream=stream) as progress:
        progress.note(str(1 / 0))
    assert stream.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_step_between_two_drawings_calls_next_to_nothing(stream, monkeypatch):
    monkeypatch.setattr(module.time, "perf_counter", lambda: 0.0)
    calls, steps = Counter(), 1000
    with Progress(1, steps, stream=stream()) as progress:
        progress.start_epoch(1)
        sys.setprofile(lambda frame, event, arg: calls.update([event]))
        for _ in range(steps):
            progress.step(0.5, 0.01, 64)
        sys.setprofile(None)
    assert calls["call"] + calls["c_call"] <= 4 * steps


def test_nan_is_shown_as_it_is(monkeypatch):
    monkeypatch.setattr(module._Lines, "interval", 0.0)
    stream = io.StringIO()
    with Progress(1, 2, stream=stream) as progress:
        progress.start_epoch(1)
        progress.step(float("nan"), 0.1, 1)
        progress.step(1.0, 0.1, 1)
    assert stream.getvalue().count("loss nan") == 2


def test_bar_yields_every_item_and_closes_when_the_work_stops_early(monkeypatch):
    monkeypatch.setattr(module._Live, "interval", 0.0)
    stream = Terminal()
    assert list(bar(range(5), "audit", stream=stream)) == [0, 1, 2, 3, 4]
    assert "audit" in stream.getvalue()
    assert "4 of 5" in stream.getvalue()
    stream = Terminal()
    items = bar(iter("abc"), "read", stream=stream)
    assert next(items) == "a"
    items.close()
    assert stream.getvalue().count("\x1b[?25h") == 1


def test_stdout_stays_clean_when_only_stderr_is_a_terminal():
    code = (
        "from snellen.train.progress import Progress\n"
        "with Progress(1, 1) as p:\n"
        "    p.start_epoch(1); p.step(1.0, 0.1, 1); p.end_epoch(1, {'loss': 1.0}, 1.0)\n"
        "    print('answer')\n"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, check=True,
        timeout=300, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    assert done.stdout == b"answer\n"
    assert b"epoch 1/1   loss 1.0000" in os.read(ours, 65536)
    os.close(ours)
