"""Folders of pictures spoilt in thirty-odd ways, from several seeds: all found, nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from snellen.data.audit import audit
from snellen.data.open import open_data, open_path
from tests.dirty_images import HARMLESS, IDS, bomb, encoded, folder, photo

CAPPED = """
import resource, sys, torch
from snellen.data.audit import audit
torch.set_num_threads(1)
audit("digits")  # everything is imported
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), -1))
for problem in audit(sys.argv[1]):
    print(problem)
"""


@pytest.mark.parametrize("seed", range(2))
def test_every_planted_kind_is_found_and_nothing_else(tmp_path, seed):
    faults = folder(tmp_path, seed)
    problems = audit(tmp_path)
    for kind, file in faults:
        said = [p for p in problems if p.id == IDS[kind] and p.file == str(file)]
        assert said, (kind, [str(p) for p in problems if p.file == str(file)])
        assert (said[0].harm == "harmless") == (kind in HARMLESS), kind
    files = {str(file) for _, file in faults}
    assert [str(p) for p in problems if p.harm != "harmless" and p.file not in files] == []
    assert [p.harm for p in problems if ".hidden" in str(p)] == ["harmless"]


def test_bombs_and_large_pictures_under_a_memory_cap(tmp_path):
    random = np.random.RandomState(0)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for i in range(4):
            photo(random).save(tmp_path / name / f"{i}.png")
    (tmp_path / "ant" / "bomb.png").write_bytes(bomb(30_000))
    (tmp_path / "ant" / "near.png").write_bytes(bomb(9_000))
    (tmp_path / "bee" / "large.jpg").write_bytes(encoded(photo(random, (5000, 4000))))
    done = subprocess.run([sys.executable, "-c", CAPPED, str(tmp_path), str(300 * 2**20)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout + done.stderr
    assert "claims too many pixels" in lines[0]
    assert "claims 9000 x 9000 pixels" in lines[1]
    assert "large.jpg: has 5000 x 4000" in lines[2]


def test_a_name_that_is_no_text_is_read_and_written(tmp_path):
    random = np.random.RandomState(3)
    names = [b"caf\xe9.png", b"new\nline.png", "日本 🐞.png".encode(), b"-rf.png", b"'\"$(x).png"]
    for kind in (b"ant", b"bee"):
        os.mkdir(os.fsencode(tmp_path) + b"/" + kind)
        for name in names:
            with open(os.path.join(os.fsencode(tmp_path), kind, name), "wb") as file:
                photo(random).save(file, "PNG")
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "snellen", "check", tmp_path, "--json", out], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    findings = json.loads(out.read_text())["findings"]
    assert {f["level"] for f in findings} == {"advice"}
    assert sum(f["id"] == "file-odd-name" for f in findings) == 6  # Latin-1, a line break, a quote
    assert len(open_path(tmp_path).train) == 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_opened_is_said(tmp_path):
    folder(tmp_path, 0)
    (tmp_path / "train" / "ant" / "0_01.jpg").chmod(0)
    (tmp_path / "train" / "bee").chmod(0)
    try:
        ids = {p.id for p in audit(tmp_path)}
    finally:
        (tmp_path / "train" / "bee").chmod(0o755)
    assert {"file-unreadable", "folder-unreadable"} <= ids


@pytest.mark.parametrize("way", ["bright", "flat", "swapped colours", "scaled", "same"])
def test_parts_made_in_different_ways(way):
    random = np.random.RandomState(1)
    x = (random.rand(120, 3, 16, 16) * 60 + np.array([40, 90, 160])[:, None, None]).astype(np.uint8)
    change = {
        "bright": lambda v: v + 60,
        "flat": lambda v: (v - v.mean((2, 3), keepdims=True)) * 0.3 + v.mean((2, 3), keepdims=True),
        "swapped colours": lambda v: v[:, ::-1],
        "scaled": lambda v: v / 255,
        "same": lambda v: v,
    }[way]
    val = np.clip(change(x[90:].astype(np.float32)), 0, 255)
    val = torch.from_numpy(np.ascontiguousarray(val if way == "scaled" else val.astype(np.uint8)))
    y = np.arange(120) % 2
    source = open_data((torch.from_numpy(x[:90]), y[:90]), val=(val, y[90:]))
    said = [p for p in audit(source) if p.id == "data-shift-train-val"]
    assert len(said) == (way != "same")
    assert all(p.part == "val" and p.harm == "suspect" for p in said)


def test_a_link_in_a_circle_is_told_once(tmp_path):
    random = np.random.RandomState(2)
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(3):
            photo(random).save(tmp_path / "set" / name / f"{i}.png")
    os.symlink(tmp_path / "set" / "bee", tmp_path / "set" / "ant" / "x")
    os.symlink(tmp_path / "set" / "ant", tmp_path / "set" / "bee" / "y")
    os.symlink(tmp_path / "nowhere", tmp_path / "set" / "bee" / "gone.png")
    source = open_path(tmp_path / "set")
    assert len(source.train) == 14  # each folder once more through the other's link
    assert sum(p.id == "folder-loop" for p in source.problems) == 2
    gone = [p for p in audit(source) if Path(p.file or "").name == "gone.png"]
    assert [p.id for p in gone] == ["file-unreadable"] * 2
