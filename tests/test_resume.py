"""A run that was broken off, at any step and in any way, goes on bit for bit."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

import snellen as sn
from snellen.train import checkpoint
from snellen.train.session import Session
from snellen.train.verb import MAY_CHANGE

DIGITS = {"model": "lenet5_bn", "imgsz": 16, "batch": 128, "epochs": 2, "augment": "affine+crop"}


class Broken(BaseException):
    """Stands for a power cut: nothing catches it, nothing is written after it."""


class Noisy(Dataset):
    """A user's own data set that draws noise at each reading."""

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return torch.randn(3, 8, 8) + np.random.rand() + i % 2, i % 2


class Own(nn.Module):
    """A user's own network with dropout, batch norm and no name in the zoo."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten()
        )
        self.head = nn.Linear(4 * 36, 2)

    def forward(self, x):
        return self.head(self.body(x))


def break_at(step, monkeypatch):
    """Save a checkpoint at `step`, then break off at the step after."""
    plain = Session.after_step

    def after_step(session, loss, lr, samples):
        plain(session, loss, lr, samples)
        if session.loop.position.step == step:
            session.save()
        if session.loop.position.step == step + 1:
            raise Broken

    monkeypatch.setattr(Session, "after_step", after_step)


def weights(run):
    saved, _ = checkpoint.load(run.path / "weights")
    return saved


def same(a, b):
    one, two = weights(a), weights(b)
    assert one.weights.keys() == two.weights.keys()
    assert all(torch.equal(one.weights[k], two.weights[k]) for k in one.weights)
    assert a.metrics == b.metrics
    assert (a.path / "metrics.csv").read_text() == (b.path / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two epochs that nothing broke off."""
    return sn.train("digits", **DIGITS, project=tmp_path_factory.mktemp("whole"), quiet=True)


@pytest.mark.parametrize("step", [1, 7, 12, 17])  # in the first epoch, at its end, in the second
def test_resume_is_bit_identical_from_the_middle_of_an_epoch(step, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_at(step, patch)
        with pytest.raises(Broken):
            sn.train("digits", **DIGITS, project=tmp_path / "cut", quiet=True)
    cut = sn.train(resume=tmp_path / "cut" / "digits-1", quiet=True)
    assert cut.status == "finished"
    same(whole, cut)


def test_resume_is_bit_identical_with_the_users_own_network_and_noisy_data(tmp_path, monkeypatch):
    settings = {"epochs": 3, "batch": 16, "optim": "adamw", "quiet": True}

    def start(project):
        torch.manual_seed(5)
        return sn.train(Noisy(), model=Own(), project=project, **settings)

    whole = start(tmp_path / "whole")
    with monkeypatch.context() as patch:
        break_at(5, patch)
        with pytest.raises(Broken):
            start(tmp_path / "cut")
    (folder,) = (tmp_path / "cut").iterdir()
    cut = sn.train(Noisy(), model=Own(), resume=folder, quiet=True)
    same(whole, cut)


class Columns(nn.Module):
    """A weight that lies column by column, as torch.linalg.qr gives it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(192, 32)).Q)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        return self.out(torch.relu(x.flatten(1) @ self.weight))


@pytest.mark.parametrize("optim", ["adam", "momentum"])
def test_moments_of_weights_in_any_order_go_on(optim, tmp_path):
    assert not Columns().weight.is_contiguous()
    x = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    data = (x.numpy(), np.arange(64) % 4)
    how = {"optim": optim, "lr": 1e-2, "schedule": "constant", "batch": 16, "quiet": True,
           "fused": True, "preflight": "off"}  # fmt: skip
    whole = sn.train(data, model=Columns(), epochs=2, project=tmp_path, **how)
    half = sn.train(data, model=Columns(), epochs=1, project=tmp_path, **how)
    again = sn.train(data, model=Columns(), resume=half.path, epochs=2, quiet=True)
    first, second = (checkpoint.load(run.folder.weights)[0].weights for run in (whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def boxes(folder, kinds):
    """Pictures with a box of kind 1 or 2 each, in COCO's form; kinds as (id, name, above)."""
    folder.mkdir(exist_ok=True)
    for i in range(12):
        Image.new("RGB", (16, 16), (20 * i, 0, 0)).save(folder / f"{i}.png")
    pictures = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 16} for i in range(12)]
    things = [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [2, 2, 9, 9], "area": 81}
              for i in range(12)]  # fmt: skip
    told = [{"id": id, "name": name, "supercategory": above} for id, name, above in kinds]
    document = {"images": pictures, "annotations": things, "categories": told}
    (folder / "_annotations.coco.json").write_text(json.dumps(document))
    return folder


def test_data_that_name_a_class_no_more_are_a_runs_own_if_they_hold_the_same(tmp_path, monkeypatch):
    settings = {"task": "localise", "model": "lenet5_bn", "imgsz": 16, "batch": 4, "epochs": 2,
                "augment": "off", "quiet": True}  # fmt: skip
    named = [(0, "pets", "none"), (1, "cat", "none"), (2, "dog", "none")]
    data = boxes(tmp_path / "data", named)
    whole = sn.train(data, **settings, project=tmp_path / "whole")
    with monkeypatch.context() as patch:
        break_at(2, patch)
        with pytest.raises(Broken):
            sn.train(data, **settings, project=tmp_path / "cut")
    boxes(data, [named[0], (1, "cat", "pets"), (2, "dog", "pets")])  # so 0 is read as no class
    cut = sn.train(resume=tmp_path / "cut" / "data-1", quiet=True)
    same(whole, cut)
    assert cut.config["classes"] == ["pets", "cat", "dog"]
    boxes(data, [named[0], named[1], (2, "wolf", "none")])
    with pytest.raises(sn.UsageError, match=r"classes were .*'dog'.*, are now .*'wolf'"):
        sn.train(resume=cut.path, epochs=3, quiet=True)


SCRIPT = """
import snellen as sn, sys
sn.train("digits", model="lenet5_bn", imgsz=16, batch=32, epochs=500, augment="affine",
         save_minutes=0.002, project=sys.argv[1])
"""


def start_training(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    last = tmp_path / "digits-1" / "weights" / "last.json"
    until = time.monotonic() + 300
    while not last.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert last.exists()
    time.sleep(0.7)
    return process


def test_kill_9_loses_nothing_but_the_steps_since_the_last_save(tmp_path):
    process = start_training(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = tmp_path / "digits-1"
    saved, refused = checkpoint.load(folder / "weights")
    assert not refused
    assert saved.meta["step"] > 0
    epochs = saved.meta["epoch"] + 1
    run = sn.train(resume=folder, epochs=epochs, quiet=True)
    steps = [int(line.split(",")[0]) for line in (folder / "metrics.csv").read_text().split()[1:]]
    assert steps == sorted(steps)
    assert len(set(steps)) == epochs  # every epoch once
    assert run.status == "finished"


def test_ctrl_c_saves_a_checkpoint_and_says_how_to_go_on(tmp_path):
    process = start_training(tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 0  # in Python the run comes back; the verb exits with 130
    run = sn.load(tmp_path / "digits-1")
    assert run.status == "interrupted"
    saved, _ = checkpoint.load(run.path / "weights")
    assert "resume=" in run.folder.log.read_text()
    again = sn.train(resume=run.path, epochs=saved.meta["epoch"] + 1, quiet=True)
    assert again.status == "finished"


def test_resume_refuses_what_would_compute_something_else(tmp_path):
    run = sn.train("digits", **{**DIGITS, "epochs": 1}, project=tmp_path, quiet=True)
    with pytest.raises(sn.UsageError, match=r"lr=0\.5 cannot be changed"):
        sn.train(resume=run.path, lr=0.5)
    with pytest.raises(sn.UsageError, match="workers=2 and readers=2 both read the data"):
        sn.train(resume=run.path, workers=2, readers=2)
    with pytest.raises(sn.UsageError, match="stands at epoch 1, and epochs=0 takes none"):
        sn.train(resume=run.path, epochs=0)
    with pytest.raises(sn.DataError, match="no run at"):
        sn.train(resume=tmp_path / "nothing")


def test_a_moved_run_goes_on(tmp_path):
    run = sn.train("digits", **{**DIGITS, "epochs": 1}, project=tmp_path / "a", quiet=True)
    elsewhere = tmp_path / "b"
    Path(run.path).rename(elsewhere)
    again = sn.train(resume=elsewhere, epochs=2, quiet=True)
    assert again.path == elsewhere
    assert "changed: epochs 1 -> 2; so the result" in again.folder.log.read_text()


def test_files_keep_the_names_that_were_typed_where_these_lead_to_them(tmp_path, monkeypatch):
    for i in range(20):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 12 * i, np.uint8)).save(path)
    monkeypatch.chdir(tmp_path)
    run = sn.train("photos", model="lenet5_bn", epochs=1, project=tmp_path / "runs", quiet=True)
    first = run.folder.predictions.read_text()
    assert "\nphotos/" in first
    sn.train(resume=run.path, epochs=2, quiet=True)
    assert "\nphotos/" in run.folder.predictions.read_text()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sn.train(resume=run.path, epochs=3, quiet=True)
    assert f"\n{tmp_path}/photos/" in run.folder.predictions.read_text()


def test_what_a_resumed_run_is_told_anew_is_said_once_and_on_the_page(tmp_path, capsys):
    config = {**DIGITS, "epochs": 1, "threads": 1}
    run = sn.train("digits", **config, project=tmp_path, quiet=True)
    sn.train(resume=run.path, threads=2, epochs=2)
    said = capsys.readouterr().out
    assert "; changed: epochs 1 -> 2, threads 1 -> 2; so the result will differ" in said
    page = (Path(__file__).parents[1] / "docs" / "run-folder.md").read_text()
    named = page[page.index("bit by bit;") : page.index("may be given")]
    assert set(re.findall(r"`(\w+)`", named)) == set(MAY_CHANGE)


def test_more_threads_than_cores_are_told_and_far_more_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("snellen.train.verb.usable_cores", lambda: 1)
    words = {**DIGITS, "epochs": 0, "project": tmp_path}
    sn.train("digits", **words, threads=2)
    assert "threads=2 are more than this process has cores (1)" in capsys.readouterr().out
    sn.train("digits", **words, threads=1)
    assert "more than" not in capsys.readouterr().out
    with pytest.raises(sn.UsageError, match=r"threads=9 is out of range; .* between 1 and 8,"):
        sn.train("digits", **words, threads=9)
    assert len(list(tmp_path.iterdir())) == 2


def test_none_says_nothing_whatever_it_is_said_of(tmp_path):
    """As of a value that a script hands on, where its own user gave none."""
    x = np.random.RandomState(0).randint(0, 256, (60, 8, 8)).astype(np.uint8)
    val = (x[:12], np.arange(12) % 3)
    how = {"model": "lenet5_bn", "project": tmp_path, "quiet": True}
    run = sn.train((x, np.arange(60) % 3), val=val, epochs=1, seed=None, split=None, **how)
    kept = ("lr", "channels_last", "epochs", "val", "val_data", "amp", "name")
    again = sn.train((x, np.arange(60) % 3), resume=run.path, quiet=True, val=val,
                     **{word: None for word in kept if word != "val"})  # fmt: skip
    assert again.config["samples"] == {"train": 60, "val": 12}
    assert "changed" not in again.folder.log.read_text()
    lent = sn.train(recipe="digits_lenet", lr=None, epochs=0, project=tmp_path, quiet=True)
    assert lent.config["recipe"]["lr"] == 0.3
    chosen = sn.train(recipe="digits_lenet", lr="auto", epochs=0, project=tmp_path, quiet=True)
    assert chosen.config["recipe"]["lr"] != 0.3


@pytest.mark.parametrize("words", [("lr", "learning_rate"), ("learning_rate", "lr")])
def test_a_word_said_twice_is_refused_in_either_order(words, tmp_path):
    with pytest.raises(sn.UsageError, match="lr is said twice"):
        sn.train("digits", **dict(zip(words, ("auto", 0.1), strict=True)), project=tmp_path)
