"""What goes wrong while a command works: it goes on with a note, or ends with all that is saved."""

import json
import os
import signal
import subprocess
import sys

import pytest
from little_data import folders, pets, pickled, poisoned
from running import assert_well_said, run_cli, run_process

import snellen as sn

QUICK = ["epochs=1", "model=lenet5_bn", "imgsz=16", "project=runs"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A good run of three classes."""
    root = tmp_path_factory.mktemp("good")
    pets(root)
    return sn.train(root / "pets", epochs=1, model="lenet5_bn", imgsz=16, project=root / "runs",
                    quiet=True).path  # fmt: skip


# What goes on, with a note ------------------------------------------------------------------------


def test_an_unreadable_picture_is_named_and_the_rest_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path)
    (tmp_path / "pets/bee/bee3.png").write_bytes(b"no picture")
    ended = run_cli("train", "pets", *QUICK)
    assert ended.code == 0, ended.err
    assert "bee3.png" in ended.out
    assert (tmp_path / ended.last / "config.yaml").is_file()


def test_a_class_that_only_val_has_is_named_and_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path)
    folders(tmp_path / "held", "ant", "bee", "dog")
    ended = run_cli("train", "pets", "val=held", *QUICK)
    assert ended.code == 0, ended.err
    assert "'dog'" in ended.out


def test_an_alias_is_noted_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path)
    words = "pets epochs=1 model=lenet5_bn img_size=16 output_dir=out batch_size=4"
    ended = run_cli("train", *words.split())
    assert ended.code == 0, ended.err
    assert ended.err.count("is called") == 3
    assert ended.last == "out/pets-1"


def test_predict_goes_on_past_what_it_cannot_read(run, tmp_path):
    pets(tmp_path)
    (tmp_path / "pets/bee/bee3.png").write_bytes(b"no picture")
    words = [tmp_path / "gone.png", tmp_path / "pets/bee"]
    ended = run_cli("predict", run, *words, "--json")
    assert_well_said(ended, 3, ["2 of 7", "gone.png", "bee3.png"])
    answers = [json.loads(line) for line in ended.out.splitlines()]
    assert len(answers) == 5
    assert all(set(a) >= {"file", "label", "score"} for a in answers)
    assert all(a["label"] in ("ant", "bee", "cat") and 0 <= a["score"] <= 1 for a in answers)
    plain = run_cli("predict", run, tmp_path / "pets/ant")
    assert plain.code == 0
    assert [line.split("\t")[0] for line in plain.out.splitlines()] == sorted(
        map(str, (tmp_path / "pets/ant").iterdir())
    )


def test_a_pickle_that_runs_code_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickled(tmp_path)
    run_cli("train", "digits", "weights=bad.pt")
    assert not (tmp_path / "exploded").exists()


# What breaks while it runs ------------------------------------------------------------------------


def test_a_nan_in_a_picture_ends_with_4_and_names_the_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    poisoned(tmp_path)
    ended = run_cli("train", "poison.npz", *QUICK, "split=0", "batch=8")
    assert_well_said(ended, 4, ["data-nonfinite", "7"])
    folder = tmp_path / ended.last
    finding, *others = json.loads((folder / "findings.json").read_text())["findings"]
    assert finding["id"] == "data-nonfinite"
    assert finding["samples"] == [7]
    assert [other["id"] for other in others] == ["data-not-centred"]  # its floats lie in 0..1
    again = run_cli("doctor", folder, "--json", tmp_path / "again.json")
    assert again.code == 4
    assert json.loads((tmp_path / "again.json").read_text())["findings"][0]["samples"] == [7]


def test_a_full_disk_is_said_with_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path)
    run = tmp_path / "runs/pets-1"
    full = type("Full", (), {"f_bavail": 0, "f_frsize": 4096})()
    real = os.statvfs
    saved = run / "weights/last.json"
    monkeypatch.setattr(os, "statvfs", lambda path: full if saved.exists() else real(path))
    ended = run_cli("train", "pets", *QUICK[1:], "epochs=3")
    assert_well_said(ended, 3, ["the disk of", "is full", "are needed", "stays"])
    assert not list(tmp_path.rglob("*.tmp"))
    assert run_cli("verify", run).code == 0


def test_ctrl_c_saves_says_so_and_the_training_goes_on(tmp_path):
    pets(tmp_path)
    words = ["train", "pets", *QUICK[1:], "epochs=100000", "doctor=no", "save_minutes=60"]
    process = subprocess.Popen(
        [sys.executable, "-m", "snellen", *words],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 8
    last = out.rstrip().splitlines()[-1]
    assert f"snellen train resume={last}" in err
    assert run_cli("verify", tmp_path / last).out.endswith(": whole\n")
    (row,) = json.loads(run_cli("runs", tmp_path / "runs", "--json").out)
    assert row["status"] == "interrupted"


def test_a_script_with_a_syntax_error(tmp_path):
    (tmp_path / "s.py").write_text("import torch\nfor\n")
    ended = run_process("doctor", "s.py", cwd=tmp_path)
    assert ended.code != 0
    assert "s.py" in ended.err
    assert "line 2" in ended.err
