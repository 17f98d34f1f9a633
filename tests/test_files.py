"""Atomic writing: whole or not at all, no litter, what was there before stays."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from snellen.core import files
from snellen.core.errors import DataError
from snellen.core.events import EventLog, read_events


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_text_and_json(tmp_path):
    files.write_text(tmp_path / "a.txt", "猫\n")
    files.write_json(tmp_path / "a.json", {"x": [1, None]})
    files.write_text(tmp_path / "a.txt", "狗\n")
    assert (tmp_path / "a.txt").read_bytes() == "狗\n".encode()
    assert (tmp_path / "a.json").read_text() == '{\n "x": [\n  1,\n  null\n ]\n}\n'
    assert names(tmp_path) == {"a.txt", "a.json"}


def test_a_failing_writer_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(beside: Path) -> None:
        beside.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(path, fail)
    assert (path.read_text(), names(tmp_path)) == ("old", {"a.txt"})


def test_together_renames_nothing_before_all_are_written(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("old")

    def write(beside: Path) -> None:
        assert [path.read_text() for path in paths] == ["old", "old"]
        beside.write_text("new")

    def fail(beside: Path) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.write_together({paths[0]: write, paths[1]: fail})
    assert [path.read_text() for path in paths] == ["old", "old"]
    files.write_together({paths[0]: write, paths[1]: write}, before=lambda: write(tmp_path / "c"))
    assert [path.read_text() for path in paths] == ["new", "new"]


def test_a_quota_is_a_full_disk(tmp_path):
    """The limit that `ulimit -f` sets answers EFBIG, not ENOSPC."""
    (tmp_path / "a").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataError, match=r"is full: 9\.8 KiB are needed.*a not written"):
            files.write_text(tmp_path / "a", "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("old", {"a"})


def test_other_refusals_name_file_and_folder(tmp_path):
    with pytest.raises(DataError, match=r"cannot write a\.txt in .*absent: No such file"):
        files.write_text(tmp_path / "absent" / "a.txt", "x")


def test_litter_of_the_dead_is_swept_and_of_the_living_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for name in (
            f".a.json.{dead.pid}.tmp",
            f".a.json.{living.pid}.tmp",
            ".mine.tmp",
            "b.1.tmp",
        ):
            (tmp_path / name).write_text("half")
        files.write_text(tmp_path / "a.json", "{}")
        assert names(tmp_path) == {"a.json", f".a.json.{living.pid}.tmp", ".mine.tmp", "b.1.tmp"}
        living.kill()
        os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)  # dead, and a zombie still
        assert [path.name for path in files.sweep(tmp_path)] == [f".a.json.{living.pid}.tmp"]
    finally:
        living.kill()
        living.communicate()


@pytest.mark.parametrize("hard_links", [True, False])
def test_second_name(tmp_path, monkeypatch, hard_links):
    if not hard_links:

        def refuse(source: Path, target: Path) -> None:
            raise PermissionError("exFAT has none")

        monkeypatch.setattr(files.os, "link", refuse)
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("new")
    b.write_text("old")
    files.link_over(a, b)
    files.link_over(a, b)
    assert (a.read_text(), b.read_text(), names(tmp_path)) == ("new", "new", {"a", "b"})
    files.write_text(a, "newer")
    assert b.read_text() == "new"


def test_a_log_that_a_kill_cut_goes_on(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write("note", 1, text="猫")
    log.close()
    whole = path.read_bytes()
    for cut in range(len(whole) - 1):
        path.write_bytes(whole + whole[:cut])
        assert [event["text"] for event in read_events(path)] == ["猫"]
        log = EventLog(path)
        log.write("note", 2, text="after")
        log.close()
        assert [event["text"] for event in read_events(path)] == ["猫", "after"]
    path.write_bytes(whole[:-5] + b"\n" + whole)
    with pytest.raises(DataError, match=r"events\.jsonl line 1 is not an event"):
        list(read_events(path))


def test_a_log_gives_words_and_numbers_back_as_they_were(tmp_path):
    """A class may be called nan: only numbers become numbers again."""
    numbers = [float("nan"), float("inf"), -float("inf"), 1.5]
    words = {"classes": ["nan", "inf", {"-inf": 2}], "$float": "nan", "lone": {"$float": "word"}}
    values = {"numbers": numbers, **words}
    log = EventLog(tmp_path / "events.jsonl")
    log.write("facts", 1, values=values)
    log.close()
    assert "NaN" not in log.path.read_text()
    (event,) = read_events(log.path)
    assert repr(event["values"]) == repr(values)
