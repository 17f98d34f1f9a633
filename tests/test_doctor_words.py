"""What the verb prints and where: JSON on stdout, warnings once, hints, exit codes in the help."""

import json
import subprocess
import sys
import warnings

from snellen.doctor.chart import Chart, Trace
from snellen.doctor.check import all_checks
from snellen.doctor.checks._readings import spoken
from snellen.doctor.hushed import hushed

SCRIPT = """
import torch, torch.nn as nn, torch.nn.functional as F
torch.manual_seed(0)
x = torch.randn(256, 8)
y = x[:, 0]
net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for i in range(40):
    k = torch.randperm(256)[:64]
    loss = F.smooth_l1_loss(net(x[k]), y[k])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done")
"""


def doctor(tmp_path, *words):
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "snellen", "doctor", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)


def test_json_to_stdout_and_one_warning_at_the_users_line(tmp_path):
    ran = doctor(tmp_path, "--json", "-", "train.py")
    assert ran.returncode == 1
    own, _, rest = ran.stdout.partition("\n")
    assert own == "done"
    assert json.loads(rest)["findings"][0]["id"] == "loss-shape-broadcast"
    assert [*tmp_path.iterdir()] == [tmp_path / "train.py"]
    assert "1. error loss-shape-broadcast" in ran.stderr
    (warned,) = [line for line in ran.stderr.splitlines() if "UserWarning" in line]
    assert "train.py:10: " in warned


def test_an_option_behind_the_script_is_hinted_at(tmp_path):
    ran = doctor(tmp_path, "train.py", "--fail-on=never", "--lr", "1")
    assert ran.returncode == 1
    (hint,) = [line for line in ran.stderr.splitlines() if line.startswith("note: ")]
    assert "--fail-on=never goes to train.py" in hint


def test_the_help_says_the_exit_codes(tmp_path):
    said = " ".join(doctor(tmp_path, "--help").stdout.split())
    assert "130 interrupted; 4 where a loss, gradient or weight became NaN or Inf" in said


def test_what_was_warned_of_is_not_warned_of_again(capsys):
    def warn():
        warnings.warn("spoken", UserWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        heard = []
        warnings.showwarning = lambda message, *_, **__: heard.append(str(message))
        warn()
        with hushed():
            warn()
            warnings.warn("inside", UserWarning, stacklevel=1)
        warn()
    assert heard == ["spoken"]


def test_a_row_of_numbers_is_no_image_and_a_strange_parameter_has_words():
    culprit = {"cause": "data", "samples": [3], "field": "image", "searched": 9}
    event = {"kind": "culprit", "step": 0, "values": culprit}
    chart = Chart()
    chart.record(event)
    found = all_checks()["data-nonfinite"].look(chart)
    assert "in the input" in found.message
    chart.culprits[0]["field"] = "target"
    assert "in the target" in all_checks()["data-nonfinite"].look(chart).message
    assert spoken(Trace("optimizer1.0.2")).startswith("parameter 2 of group 0 of optimiser 1 ")
