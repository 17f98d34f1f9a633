"""`loss=` of a recipe: every loss by name trains, is found again, and fits or says why not."""

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.core.fit import fit_into
from snellen.core.registry import collect
from snellen.nn.losses import Loss, fit_head

LOSSES: dict[str, Loss] = collect("snellen.nn", "LOSSES")
TINY = {"batch": 20, "lr": 0.01, "quiet": True, "split": 0.25}


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch):
    """A report takes longer to draw than all of these trainings."""
    monkeypatch.setattr("snellen.train.finish.write_report", lambda *args: None)


def data():
    torch.manual_seed(0)
    y = torch.arange(120) % 3
    return (torch.randn(3, 1, 6, 6)[y] + 0.5 * torch.randn(120, 1, 6, 6)).numpy(), y.numpy()


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 3))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_without_alarm_and_the_run_is_found_again(name, tmp_path):
    run = sn.train(data(), model=net(), loss=name, epochs=8, project=tmp_path, **TINY)
    assert run.metrics["accuracy"] > 0.9
    assert not [f for f in run.findings if f.level in ("warning", "error")]
    again = sn.load(run.path, model=net())
    x, _ = data()
    before, after = list(run.predict(x[:30])), list(again.predict(x[:30]))
    assert [p.label for p in before] == [p.label for p in after]
    assert f"loss: {name}" in run.folder.config.read_text()


def test_a_run_goes_on_with_its_loss(tmp_path):
    given = {"loss": "am-softmax", "project": tmp_path, "doctor": False}
    whole = sn.train(data(), model=net(), epochs=3, schedule="constant", **given, **TINY)
    part = sn.train(data(), model=net(), epochs=2, schedule="constant", **given, **TINY)
    more = sn.train(data(), model=net(), resume=part.path, epochs=3, quiet=True)
    assert more.folder.metrics.read_text() == whole.folder.metrics.read_text()


@pytest.mark.parametrize(("settings", "words"), [
    ({"loss": "hing"}, "did you mean hinge"),
    ({"loss": "hinge", "label_smoothing": 0.1}, "set it to 0"),
    ({"loss": "am-softmax", "model": "squeezenet1_1", "imgsz": 64},
     r"linear one of 3 outputs; this network ends in a convolution, head\.fc: Conv2d\(512, 3"),
])  # fmt: skip
def test_a_loss_that_does_not_fit_is_refused_before_anything_is_written(settings, words, tmp_path):
    with pytest.raises(sn.UsageError, match=words):
        sn.train(data(), **{"model": net(), **settings}, project=tmp_path, epochs=1, **TINY)
    assert not list(tmp_path.iterdir())


def test_a_network_of_the_zoo_ends_in_the_loss_own_layer_and_a_new_head_is_of_its_kind():
    body = sn.model("googlenet", classes=5, imgsz=64)
    fit_head(body, LOSSES["am-softmax"], 5)
    kinds = [type(m).__name__ for n, m in body.named_modules() if n.startswith("head")]
    assert kinds[-1] == "CosineLinear"
    net = nn.Sequential(nn.Linear(4, 8), sn.nn.CosineLinear(8, 5, scale=64.0))
    with pytest.raises(sn.UsageError, match=r"1, has scale 64.*scale=30"):
        fit_head(net, LOSSES["am-softmax"], 5)
    fit_head(body, LOSSES["am-softmax"], 5)  # once is enough
    assert [type(m).__name__ for m in body.modules()].count("CosineLinear") == 1
    other = body.head[-1].with_outputs(9)
    assert (other.in_features, other.out_features) == (body.head[-1].in_features, 9)


def test_the_last_layer_is_the_same_for_losses_heads_and_files():
    """A network that keeps a layer beside its head, made after it."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
            self.mirror = nn.Linear(3, 4)

    net = Beside()
    fit_head(net, LOSSES["am-softmax"], 3)
    assert type(net.head[1]).__name__ == "CosineLinear"
    body = {name: value for name, value in Beside().state_dict().items() if "mirror" in name}
    notes = fit_into(Beside(), body, allow_head=True)
    assert [note.split()[0] for note in notes] == ["head.1.weight", "head.1.bias"]


@pytest.mark.parametrize(("net", "said"), [
    (nn.Sequential(nn.ReLU()), "has neither a linear layer nor a convolution"),
    (nn.Linear(4, 3), "put it into a Sequential"),
    (nn.Sequential(nn.Linear(4, 5)), r"ends in 0: Linear\(in_features=4, out_features=5"),
])  # fmt: skip
def test_a_network_without_a_place_for_the_loss_layer_says_what_it_ends_in(net, said):
    with pytest.raises(sn.UsageError, match=said):
        fit_head(net, LOSSES["am-softmax"], 3)


def test_auxiliary_heads_keep_softmax_where_the_loss_has_a_layer_of_its_own(monkeypatch):
    from snellen.data.sample import Batch
    from snellen.tasks.classify import Classify

    class Aux(nn.Module):
        aux_weight = 0.5

        def __init__(self):
            super().__init__()
            self.side, self.head = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            self.aux_logits = (self.side(x),)
            return self.head(x)

    task = Classify({"classes": ["a", "b", "c"], "loss": "am-softmax"})
    two = task.build(Aux())
    assert type(two.head).__name__ == "CosineLinear"
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    batch = Batch(x, {"label": y}, torch.arange(6), torch.ones(6, 2))
    parts = task.loss(two, batch)
    torch.testing.assert_close(parts["aux0"], 0.5 * F.cross_entropy(two.side(x), y))
    cosines = sn.nn.cosines(x, two.head.weight)
    torch.testing.assert_close(parts["loss"], sn.nn.am_softmax(cosines, y))
    hinge = Classify({"classes": ["a", "b", "c"], "loss": "hinge"})
    parts = hinge.loss(Aux(), batch)
    assert parts["aux0"] >= 0


def test_a_task_that_takes_no_loss_says_so(monkeypatch, tmp_path):
    from snellen.tasks.classify import Classify

    monkeypatch.setattr(Classify, "settings", ("label_smoothing",))
    with pytest.raises(sn.UsageError, match="loss=hinge says nothing to task=classify"):
        sn.train(data(), model=net(), loss="hinge", project=tmp_path, epochs=1, **TINY)


def test_a_loss_of_ones_own_is_a_file_as_the_page_of_parts_shows_it(monkeypatch, tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "parts.md").read_text(encoding="utf-8")
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "LOSSES" in block
    ]
    (tmp_path / "nn").mkdir()
    (tmp_path / "nn" / "brier.py").write_text(code)
    monkeypatch.setenv("SNELLEN_PATH", str(tmp_path))
    collect.cache_clear()
    try:
        run = sn.train(data(), model=net(), loss="brier", epochs=6, project=tmp_path / "r",
                       doctor=False, **TINY)  # fmt: skip
    finally:
        collect.cache_clear()
        sys.modules.pop("snellen.nn.brier", None)
    assert run.metrics["accuracy"] > 0.9
