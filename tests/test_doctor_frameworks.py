"""Trainers of other libraries under the doctor, where they are installed.

Each trains the same small classifier, once as it should be and once with two spoilt rows.
"""

import json

import pytest

from snellen.doctor.script import run_script

DATA = """
import sys, torch, torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x, y = torch.randn(480, 10), torch.arange(480) % 3
x[:, :3] += 2 * F.one_hot(y, 3)
if "nan" in sys.argv:
    x[[7, 42]] = float("nan")
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3))
rows = TensorDataset(x, y)
"""
TRAINERS = {
    "lightning": """
import lightning
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = net
    def training_step(self, batch, i):
        return F.cross_entropy(self.net(batch[0]), batch[1])
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)
lightning.Trainer(
    max_epochs=3, enable_progress_bar=False, logger=False, enable_checkpointing=False,
    enable_model_summary=False, accelerator="cpu",
).fit(Model(), DataLoader(rows, 24, shuffle=True))
""",
    "skorch": """
from skorch import NeuralNetClassifier
NeuralNetClassifier(
    net, criterion=nn.CrossEntropyLoss, max_epochs=3, lr=0.1, batch_size=24, train_split=None,
    iterator_train__shuffle=True, verbose=0,
).fit(x.numpy(), y.numpy())
""",
    "accelerate": """
from accelerate import Accelerator
accelerator = Accelerator(cpu=True)
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
net, optimizer, loader = accelerator.prepare(net, optimizer, DataLoader(rows, 24, shuffle=True))
for epoch in range(3):
    for a, b in loader:
        optimizer.zero_grad()
        accelerator.backward(F.cross_entropy(net(a), b))
        optimizer.step()
""",
}


@pytest.mark.parametrize("fault", ["fine", "nan"])
@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.filterwarnings("ignore")
def test_a_trainer_of_another_library(name, fault, tmp_path, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    script, report = tmp_path / "train.py", tmp_path / "found.json"
    script.write_text(DATA + TRAINERS[name])
    got = {}
    then = [lambda o: got.update(steps=o.doc.chart.step, notes=o.doc.notes)]
    code = run_script(script, [fault], json=report, then=then)
    found = [f for f in json.loads(report.read_text())["findings"] if f["level"] != "advice"]
    assert got["notes"] == []
    if fault == "fine":
        assert (code, found, got["steps"]) == (0, [], 60)
    else:
        assert (found[0]["id"], found[0]["samples"]) == ("data-nonfinite", [7, 42])
