"""What a run records stays true: provenance, findings, status, places, the divergence's word."""

import json
import os

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

import snellen as sn
from snellen.core.events import read_events
from snellen.train import checkpoint
from snellen.train.prepare import freeze
from snellen.train.session import Session

TINY = {"model": "lenet5_bn", "imgsz": 16, "batch": 256, "quiet": True}


def loud(count=240, seed=0):
    """Two classes of pictures 0..255 as floats: learnable, and the doctor has something to say."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    x = rng.normal(120, 40, (count, 1, 16, 16)).astype(np.float32)
    x[y == 1, :, 4:12, 4:12] += 80
    return x, y


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(),
                         nn.Flatten(), nn.Linear(72, 2))  # fmt: skip


def ids(run):
    return [finding.id for finding in run.findings]


def test_a_resumed_run_has_the_findings_and_events_of_an_unbroken_one(tmp_path, monkeypatch):
    class Cut(BaseException):
        pass

    def start(project, **more):
        return sn.train(loud(), model=net(), epochs=4, batch=16, optim="sgd", lr=1e-4, quiet=True,
                        project=project, **more)  # fmt: skip

    whole = start(tmp_path / "whole")
    assert "data-unnormalised" in ids(whole)
    with monkeypatch.context() as patch:
        plain = Session.after_epoch

        def after_epoch(session, means):
            on = plain(session, means)
            if session.loop.position.epoch == 2:
                raise Cut
            return on

        patch.setattr(Session, "after_epoch", after_epoch)
        with pytest.raises(Cut):
            start(tmp_path / "cut")
    (folder,) = (tmp_path / "cut").iterdir()
    assert sn.load(folder, model=net()).status == "failed"
    cut = sn.train(loud(), model=net(), resume=folder, quiet=True)
    assert ids(cut) == ids(whole)

    def steps(run):
        return [e["step"] for e in read_events(run.folder.events) if e["kind"] == "step"]

    assert steps(cut) == sorted(set(steps(cut)))
    assert set(steps(cut)) == set(steps(whole))
    again = sn.train(loud(), model=net(), resume=folder, quiet=True)  # nothing left to train
    assert ids(again) == ids(whole)


def test_resume_keeps_who_set_what_and_why(tmp_path):
    run = sn.train("digits", epochs=1, project=tmp_path, **TINY)
    before = yaml.safe_load(run.folder.config.read_text())
    sn.train(resume=run.path, epochs=2, quiet=True)
    after = yaml.safe_load(run.folder.config.read_text())
    assert after["choices"] == before["choices"]
    assert after["set_by"] == {**before["set_by"], "epochs": "you"}


def test_resuming_an_early_stopped_run_trains_no_further(tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (200, 8, 8)).astype(np.uint8)
    y = np.random.default_rng(1).integers(0, 2, 200)  # nothing to learn: it must stop early
    run = sn.train((x, y), epochs=30, patience=1, project=tmp_path, **TINY)
    assert run.status == "stopped early"
    epoch = checkpoint.load(run.path / "weights")[0].meta["epoch"]
    again = sn.train((x, y), resume=run.path, quiet=True)
    assert again.status == "stopped early"
    assert checkpoint.load(run.path / "weights")[0].meta["epoch"] == epoch


def test_eval_and_resume_find_the_data_from_another_folder(tmp_path, monkeypatch):
    x, y = loud()
    for name, images in (("here", x.astype(np.uint8)), ("there", 255 - x.astype(np.uint8))):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "d.npz", x=images, y=y)
    monkeypatch.chdir(tmp_path / "here")
    run = sn.train("d.npz", epochs=2, project="runs", **TINY)
    scores = run.evaluate()
    assert scores == pytest.approx(run.metrics, abs=1e-6)
    monkeypatch.chdir(tmp_path / "there")  # where another d.npz lies
    assert sn.load(tmp_path / "here" / run.path).evaluate() == pytest.approx(scores, abs=1e-6)


def test_eval_leaves_out_what_training_left_out(tmp_path, capsys):
    x, y = loud()
    labels = y.astype(np.int64)
    labels[7] = -1
    np.savez(tmp_path / "stray.npz", x=x.astype(np.uint8), y=labels)
    run = sn.train(tmp_path / "stray.npz", epochs=1, project=tmp_path, **TINY)
    assert 0 <= run.evaluate(tmp_path / "stray.npz")["accuracy"] <= 1
    assert "label" in capsys.readouterr().err


def test_a_crash_is_no_running_training_and_keeps_what_the_doctor_saw(tmp_path):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.calls = net(), 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 30:
                raise RuntimeError("broken on purpose")
            return self.body(x)

    with pytest.raises(RuntimeError, match="on purpose"):
        sn.train(loud(), model=Breaks(), epochs=9, batch=16, optim="sgd", lr=1e-4, quiet=True,
                 project=tmp_path)  # fmt: skip
    (folder,) = tmp_path.iterdir()
    run = sn.load(folder, model=Breaks())
    assert run.status == "failed"
    assert "data-unnormalised" in ids(run)


def test_a_last_step_that_blows_up_is_a_divergence(tmp_path):
    run = sn.train(loud(), model=net(), epochs=1, batch=400, optim="sgd", lr=1e38, split=0.1,
                   schedule="constant", quiet=True, project=tmp_path)  # fmt: skip
    assert run.status == "diverged"
    assert "no checkpoint" in run.folder.log.read_text()


def test_runs_of_one_module_do_not_share_weights(tmp_path):
    x, y = loud()
    first = sn.train((x / 255, y), model=net(), epochs=1, project=tmp_path, quiet=True)
    shared = net()
    second = sn.train((x / 255, y), model=shared, epochs=3, project=tmp_path, quiet=True)
    before = {k: v.clone() for k, v in shared.state_dict().items()}
    sn.load(first.path, model=shared).predict(torch.from_numpy(x[:4] / 255))
    assert all(torch.equal(v, before[k]) for k, v in shared.state_dict().items())
    config = yaml.safe_load(second.folder.config.read_text())
    assert config["recipe"]["model"] is None
    assert config["network"]["class"] == "Sequential"
    with pytest.raises(sn.UsageError, match="model=net"):
        sn.train((x / 255, y), resume=second.path, epochs=4)


def test_the_seed_fixes_what_a_random_data_set_measures(tmp_path):
    class Random(Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, i):
            return torch.randint(0, 256, (1, 16, 16), dtype=torch.uint8), i % 2

    def spec():
        run = sn.train(Random(), epochs=1, seed=3, project=tmp_path, **TINY)
        return run.predictor.task.spec

    torch.manual_seed(1)
    one = spec()
    torch.manual_seed(2)
    assert spec() == one


def test_freezing_goes_by_whole_names_and_holds_statistics_and_dropout(tmp_path):
    body = nn.ModuleDict({
        "layer1": nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Dropout()),
        "layer10": nn.Linear(4, 4),
        "fc": nn.Linear(4, 2),
    })  # fmt: skip

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = body

        def forward(self, x):
            x = self.parts["layer1"](x).mean((2, 3))
            return self.parts["fc"](self.parts["layer10"](x))

    freeze(body, "layer1")
    still = {name for name, p in body.named_parameters() if not p.requires_grad}
    assert still == {"layer1.0.weight", "layer1.0.bias"}
    x, y = loud()
    before = {k: v.clone() for k, v in body["layer1"].state_dict().items()}
    sn.train(
        (x / 255, y), model=Net(), epochs=2, freeze="parts.layer1", project=tmp_path, quiet=True
    )
    assert all(torch.equal(v, before[k]) for k, v in body["layer1"].state_dict().items())


def test_a_finished_run_can_be_moved_and_still_says_all(tmp_path):
    run = sn.train("digits", epochs=1, project=tmp_path / "a", **TINY)
    scores = run.metrics
    os.rename(run.path, tmp_path / "b")
    assert sn.load(tmp_path / "b").metrics == scores
    assert json.loads((tmp_path / "b" / "env.json").read_text())["threads"] == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_the_sample_at_fault_is_a_row_of_the_users_innermost_data_set(workers, tmp_path):
    x, y = loud(300)
    x = torch.from_numpy(x / 255)
    x[150, 0, 3, 3] = torch.nan
    whole = TensorDataset(x, torch.from_numpy(y))
    inner = Subset(whole, range(100, 300))  # row 50 of it is 150
    run = sn.train((inner, Subset(whole, range(100))), model=net(), epochs=1, batch=16,
                   workers=workers, project=tmp_path, quiet=True)  # fmt: skip
    assert run.findings[0].id == "data-nonfinite"
    assert run.findings[0].samples == (150,)
    assert run.findings[0].samples_of == "train"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 5)), ["shape (2, 5)", "(2, 2)", "last layer"]),
        (nn.Sequential(nn.Flatten(), nn.Linear(99, 2)), ["Sequential raised", "(2, 1, 16, 16)"]),
        (nn.Conv2d(3, 2, 3), ["Conv2d raised", "(2, 1, 16, 16)"]),
        (nn.LSTM(16, 2), ["LSTM raised"]),
    ],
)
def test_an_own_module_that_does_not_fit_is_said_before_anything_is_written(
    module, words, tmp_path
):
    x, y = loud()
    with pytest.raises(sn.UsageError) as caught:
        sn.train((x / 255, y), model=module, project=tmp_path / "runs")
    assert all(word in str(caught.value) for word in words)
    assert not (tmp_path / "runs").exists()


def test_resume_refuses_other_data(tmp_path):
    x, y = loud()
    run = sn.train((x / 255, y), model=net(), epochs=1, project=tmp_path, quiet=True)
    before = run.folder.config.read_text()
    with pytest.raises(sn.UsageError, match="the data are not those"):
        sn.train((x[:100] / 255, y[:100]), model=net(), resume=run.path, epochs=2)
    assert run.folder.config.read_text() == before
