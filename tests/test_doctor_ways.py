"""Three ways in, one answer: the same findings from a script, from `with`, and from a recorded run.

And whatever breaks inside the doctor, the training and its exit code stay what they were.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from running import run_cli
from torch import nn

import snellen as sn
from snellen.doctor import check, trial
from snellen.doctor.probes import losses
from snellen.doctor.report import document
from snellen.doctor.sarif import sarif
from snellen.doctor.script import run_script
from snellen.doctor.watch import doctor

SETUP = """
import torch, torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(480, 1, 8, 8)
y = (x[:, 0, 0, 0] > 0).long() + 2 * (x[:, 0, 4, 4] > 0).long()
x[:, 0, :4, :4] += 2.0 * (y % 2)[:, None, None]
x[:, 0, 4:, 4:] += 2.0 * (y // 2)[:, None, None]
x = (x - x.mean()) / x.std()
lr, last = 0.05, nn.Identity()
{fault}
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4), last)
{more}
optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
loader = DataLoader(TensorDataset(x, y), 24, shuffle=True)
"""
LOOP = """
for epoch in range(3):
    for inputs, labels in loader:
        {zero}
        loss = F.cross_entropy(net(inputs), labels)
        loss.backward()
        {step}
"""
PARTS = {"fault": "", "more": "", "zero": "optimizer.zero_grad()", "step": "optimizer.step()"}
TRAININGS = {  # what is changed, the finding that comes first, the samples that it names
    "fine": ({}, None, ()),
    "nan": ({"fault": "x[[3, 77], 0, 1, 1] = float('nan')"}, "data-nonfinite", (3, 77)),
    "lr": ({"fault": "lr = 50.0"}, "lr-too-high", ()),
    "softmax": ({"fault": "last = nn.Softmax(1)"}, "loss-double-softmax", ()),
    "label": ({"fault": "y[100] = 4"}, "label-out-of-range", (100,)),
    "zero_init": ({"more": "[nn.init.zeros_(p) for p in net.parameters()]"}, "init-zero", ()),
    "no_zero_grad": ({"zero": "pass"}, "loop-no-zero-grad", ()),
    "no_step": ({"step": "pass"}, "loop-no-step", ()),
}


def named(findings):
    return [
        (f.id, f.level, tuple(f.samples), f.samples_of) for f in findings if f.level != "advice"
    ]


def as_script(setup, loop, folder, **more):
    path, report = folder / "train.py", folder / "found.json"
    path.write_text(setup + loop)
    code = run_script(path, json=report, **more)
    from snellen.doctor.finding import Finding

    data = json.loads(report.read_text())
    return [Finding.from_dict(row) for row in data["findings"]], code, data


@pytest.mark.parametrize("name", TRAININGS)
def test_a_script_and_with_say_the_same(name, tmp_path, capfd):
    change, first, samples = TRAININGS[name]
    parts = PARTS | change
    setup, loop = SETUP.format(**parts), LOOP.format(**parts)
    found, code, _ = as_script(setup, loop, tmp_path)
    space = {}
    exec(setup, space)
    with doctor(space["net"], space["optimizer"]) as doc:
        try:
            exec(loop, space)
        except IndexError:
            assert name == "label"
    assert named(found) == named(doc.findings)
    assert [f.id for f in found if f.level != "advice"][:1] == ([first] if first else [])
    if samples:
        assert found[0].samples == samples
    lost = any(s.id == "numerics-nan-loss" for f in found for s in (f, *f.symptoms))
    failed = any(f.level == "error" for f in found) or name == "label"
    assert code == (4 if lost else int(failed))


SCRIPTS = Path(__file__).parents[1] / "bench" / "peers"


@pytest.mark.parametrize(
    ("script", "fault", "first"),
    [
        ("plain", "fine", None),
        ("timm_style", "lr", "lr-too-high"),
        ("by_hand", "fine", None),
        ("by_hand", "lr", "lr-too-high"),
        ("by_data", "lr", "lr-too-high"),
        ("own_optimizer", "nan", "data-nonfinite"),
        ("own_optimizer", "fine", None),
        ("compiled", "softmax", "loss-double-softmax"),
        ("gan", "nan", "data-nonfinite"),
    ],
)
def test_scripts_that_know_nothing_of_a_doctor(script, fault, first, capsys):
    threads = torch.get_num_threads()
    got = {}
    then = [lambda o: got.update(found=o.findings, steps=o.doc.chart.step, notes=o.doc.notes)]
    try:
        run_script(SCRIPTS / f"{script}.py", [fault], then=then)
    finally:
        sys.modules.pop("_digits", None)
        torch.set_num_threads(threads)
    loud = [f for f in got["found"] if f.level != "advice"]
    assert [f.id for f in loud][:1] == ([first] if first else [])
    assert got["steps"] > 50
    assert got["notes"] == []
    if fault == "nan":
        assert loud[0].samples == (7, 42)
    if fault == "lr":
        assert Path(loud[0].where["file"]).name in (f"{script}.py", "_digits.py")


def test_steps_by_hand_are_counted_like_an_optimisers():
    def train(step):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        x = torch.randn(40, 6)
        with doctor(net) as doc:
            for _ in range(30):
                net.zero_grad()
                (net(x) - x.sum(1, keepdim=True)).pow(2).mean().backward()
                step(net, optimizer)
        return doc

    def by_hand(net, optimizer):
        for p in net.parameters():
            p.data -= 0.1 * p.grad.data
            p.grad = None

    hand, torchs = train(by_hand), train(lambda net, optimizer: optimizer.step())
    assert hand.chart.step == torchs.chart.step == 30
    assert hand.chart.column("loss") == pytest.approx(torchs.chart.column("loss"), rel=1e-5)
    assert hand.chart.column("lr") == pytest.approx(torchs.chart.column("lr"), rel=1e-2)
    for name, trace in torchs.chart.params.items():
        for key in ("grad_norm", "update_ratio", "weight_norm"):
            mine = hand.chart.params[name].column(key)
            assert mine == pytest.approx(trace.column(key), rel=1e-3)


def test_gradients_that_are_added_up_by_hand_are_one_step():
    net, x = nn.Linear(3, 1), torch.randn(8, 3)
    with doctor(net) as doc:
        for k in range(12):
            net(x).pow(2).mean().backward()
            if k % 4 == 3:
                with torch.no_grad():
                    for p in net.parameters():
                        p -= 0.01 * p.grad
                        p.grad = None
    assert doc.chart.step == 3
    assert doc.chart.column("backwards") == [4, 4, 4]


@pytest.mark.parametrize("broken", ["probe", "check", "culprit", "report", "json"])
def test_an_error_inside_the_doctor_costs_the_script_nothing(
    broken, tmp_path, monkeypatch, capfd
):  # fmt: skip
    parts = PARTS | TRAININGS["nan"][0]
    setup = SETUP.format(**parts)
    loop = LOOP.format(**parts) + "\nprint('the end', len(loader))\nraise SystemExit(6)\n"
    path, target = tmp_path / "train.py", tmp_path / "found.json"
    path.write_text(setup + loop)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    if broken == "probe":
        monkeypatch.setattr(losses.Losses, "called", fail)
    elif broken == "check":
        monkeypatch.setattr(type(check.all_checks()["lr-too-high"]), "look", fail)
    elif broken == "culprit":
        monkeypatch.setattr("snellen.doctor.culprit.Search._search", fail)
    elif broken == "report":
        monkeypatch.setattr("snellen.doctor.report.text", fail)
    else:
        monkeypatch.setattr("snellen.core.files.write_json", fail)
    code = run_script(path, json=target, fail_on="never", then=[fail] if broken == "report" else [])
    out, err = capfd.readouterr()
    assert code == 6
    assert "the end 20" in out
    assert "Traceback" not in err
    assert "No space left" in out + err
    if broken != "json":
        assert "data-nonfinite" in target.read_text()


def test_ignored_checks_are_noted_in_every_form(tmp_path, capsys):
    parts = PARTS | TRAININGS["softmax"][0]
    setup, loop = SETUP.format(**parts), LOOP.format(**parts)
    ignore = ("loss-double-softmax", "data-outlier")
    kept = {}
    found, _, data = as_script(setup, loop, tmp_path, ignore=ignore,
                                  then=[lambda o: kept.update(ignored=o.doc.ignored)])  # fmt: skip
    assert "loss-double-softmax" not in [f.id for f in found]
    said = {row["id"]: row["message"] for row in data["ignored"]}
    assert set(said) == set(ignore)
    assert said["loss-double-softmax"]
    assert said["data-outlier"] == ""
    out = capsys.readouterr().out
    assert "note: loss-double-softmax is ignored: the cross-entropy" in out
    assert "note: data-outlier is ignored: it had nothing to say" in out
    results = sarif([], kept["ignored"])["runs"][0]["results"]
    assert [r["ruleId"] for r in results] == ["loss-double-softmax"]
    assert results[0]["suppressions"][0]["kind"] == "external"
    assert "ignored" not in document(found)


def test_a_trial_of_the_fix_shows_both_curves(tmp_path, capsys):
    parts = PARTS | TRAININGS["lr"][0]
    _, _, data = as_script(SETUP.format(**parts), LOOP.format(**parts), tmp_path,
                           then=[trial.fix_trial])  # fmt: skip
    tried = data["trial"]
    assert tried["applied"]
    assert len(tried["before"]) == len(tried["after"]) == trial.STEPS
    assert tried["before"][0] == pytest.approx(tried["after"][0])  # the same start
    assert tried["after"][-1] < tried["after"][0]
    assert max(tried["before"]) > 10 * max(tried["after"])
    assert "as it is" in capsys.readouterr().out


def test_the_rate_that_is_proposed_for_plain_descent_learns(tmp_path, capsys):
    """A product of two inputs under lr = 20: slow to learn, and not at a thousandth of it."""
    script = tmp_path / "product.py"
    script.write_text("""
import torch, torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(600, 10)
y = (x[:, 0] * x[:, 1] > 0).long()
net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=20.0)
for epoch in range(3):
    for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
        loss = nn.functional.cross_entropy(net(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
""")
    report = tmp_path / "f.json"
    run_script(script, json=report, fail_on="never", then=[trial.fix_trial])
    tried = json.loads(report.read_text())["trial"]
    assert sum(tried["after"][-10:]) < 0.98 * sum(tried["after"][:10])
    assert "does not fall" not in capsys.readouterr().out
    assert len(set(trial.curves([0.7, 1e36, 1e36], [0.7, 0.5, 0.3])[1].split()[0])) == 3


@pytest.mark.parametrize(
    ("settings", "optimizers", "why"),
    [({"shuffle": True}, ["SGD"], "by hand"), ({"lr": 0.1}, ["Own"], "no torch optimiser")],
)
def test_a_fix_that_cannot_be_tried_says_so(settings, optimizers, why):
    changes, reason = trial.changes_of(settings, optimizers, 0.5)
    assert changes == {}
    assert why in reason


def test_a_page_for_a_script_shows_the_samples(tmp_path, capsys):
    parts = PARTS | TRAININGS["nan"][0]
    path, page = tmp_path / "train.py", tmp_path / "found.html"
    path.write_text(SETUP.format(**parts) + LOOP.format(**parts))
    assert run_cli("doctor", "--html", page, path).code == 4
    html = page.read_text()
    assert html.count("<img") == 2
    assert "loss by step: training from" in html
    assert "Not a finite number, and so not drawn: values from step" in html
    assert "train 77" in html
    assert "<script" not in html


RUNS = {
    "fine": ({}, None),
    "nan": ({}, "data-nonfinite"),
    "lr": ({"lr": 1000.0, "optim": "sgd"}, None),
    "low": ({"lr": 1e-9, "optim": "sgd"}, None),
    "raw": ({}, None),
    "one_class": ({}, None),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_is_judged_as_it_was_live(name, tmp_path, capsys):
    settings, first = RUNS[name]
    torch.manual_seed(1)
    x = torch.randn(160, 1, 8, 8)
    y = (x[:, 0, 0, 0] > 0).long()
    x[:, 0, :4] += 2.0 * y[:, None, None]
    if name == "nan":
        x[[4, 9], 0, 2, 2] = float("nan")
    if name == "raw":
        x = x * 4000 + 9000
    if name == "one_class":
        y[:150] = 0
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))
    run = sn.train((x, y), model=net, epochs=4, batch=16, split=0.2, seed=0,
                   project=str(tmp_path), **settings)  # fmt: skip
    report = tmp_path / "again.json"
    run_cli("doctor", "--json", report, "--fail-on", "never", run.path)
    again = [
        (f["id"], f["level"], tuple(f["samples"]))
        for f in json.loads(report.read_text())["findings"]
    ]
    assert again == [(f.id, f.level, tuple(f.samples)) for f in run.findings]
    if first:
        assert run.findings[0].id == first
        assert "<img" in (Path(run.path) / "report.html").read_text().partition("Findings")[2]


AWKWARD = """
import argparse, multiprocessing, os, sys
import torch
from parts.net import Net


def double(x):
    return 2 * x


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    parser.add_argument("--fail-on", default="nothing")
    args = parser.parse_args()
    os.chdir("/")
    print("größer 训练", args.json, args.fail_on, sys.stdin.readline().strip())
    print(__file__, sys.argv[0], __name__)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("spawned", pool.map(double, [21]))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print("forked", pool.map(double, [4]))
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        net(torch.randn(8, 3)).pow(2).mean().backward()
        optimizer.step()
    print("end", torch.rand(1).item() >= 0)


if __name__ == "__main__":
    main()
    sys.exit(9)
"""


def test_a_script_with_words_stdin_processes_and_modules_of_its_own(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "net.py").write_text("from .base import Net\n")
    (tmp_path / "parts" / "base.py").write_text(
        "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self):\n"
        "        super().__init__(3, 1)\n"
    )
    script = tmp_path / "awkward.py"
    script.write_text(AWKWARD, encoding="utf-8")
    words = [script.name, "--json", "mine", "--fail-on=own"]
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1",
           "PYTHONPATH": str(Path(__file__).parents[1])}  # fmt: skip

    def run(*before):
        done = subprocess.run([sys.executable, *before, *words], input="a line\n", env=env,
                              cwd=tmp_path, capture_output=True, text=True,
                              encoding="utf-8")  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    code, out, _ = run("-m", "snellen", "doctor", "--fail-on=never")
    bare = run()
    assert (code, bare[0]) == (9, 9)
    assert out.startswith(bare[1])
    assert "forked [8]" in bare[1]
    assert "30 steps" in out
