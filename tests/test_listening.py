"""The data as the doctor is told of them: the same items one by one and several at once."""

import numpy as np
import pytest
import torch

import snellen as sn
from snellen.core import registry
from snellen.core.events import read_events
from snellen.data.open import open_data
from snellen.data.source import Part
from snellen.doctor.loader import items_of
from snellen.train import listening, residence
from snellen.train.listening import items

TASKS = registry.collect("snellen.tasks", "TASKS")
ROWS = [5, 0, 7, 3]


def flat(value):
    """Nested values -> their tensors."""
    if isinstance(value, torch.Tensor):
        return [value]
    inside = value.values() if isinstance(value, dict) else value
    return [t for part in inside for t in flat(part)] if not isinstance(value, str) else []


@pytest.fixture(params=sorted(TASKS))
def told(request, monkeypatch):
    """A task's tiny data, read two at once, as items; and how many it encoded at a time."""
    tiny = TASKS[request.param].tiny()
    source = open_data(tiny["data"], task=request.param)
    task = TASKS[request.param].from_source(source, tiny.get("imgsz"))
    sizes, encode = [], task.encode
    monkeypatch.setattr(
        task, "encode", lambda samples: sizes.append(len(samples)) or encode(samples)
    )
    monkeypatch.setattr("snellen.train.listening.at_once", lambda inputs: 3)
    return items(Part(source.train, list(range(9))), task), sizes


def test_items_are_the_same_one_by_one_and_together_and_few_are_held(told):
    data, sizes = told
    together = items_of(data, ROWS)
    assert sizes == [3, 1]
    for row, item in zip(ROWS, together, strict=True):
        alone, others = flat(data[row]), flat(item)
        assert len(alone) == len(others)
        assert all(torch.equal(a, b) for a, b in zip(alone, others, strict=True))


def skill(folder, monkeypatch, **patches):
    """A short training -> what the network answered at its end, and how many items were read."""
    read, plain = [], listening.Items.__getitems__
    with monkeypatch.context() as patch:
        patch.setattr(listening.Items, "__getitems__",
                      lambda self, rows: read.extend(rows) or plain(self, rows))  # fmt: skip
        for name, value in patches.items():
            patch.setattr(f"snellen.train.examine.{name}", value)
        run = sn.train("digits", epochs=1, model="lenet5_bn", batch=64, seed=0, project=folder)
    events = [e for e in read_events(run.path / "events.jsonl") if e["kind"] == "exam"]
    return next(e["values"] for e in events if e["name"] == "skill"), len(read)


@pytest.mark.parametrize("seconds", [0, 60])
@pytest.mark.parametrize("split", [0.1, 0.4])
def test_parts_are_compared_as_one_kind_of_numbers_however_much_is_read(
    seconds, split, tmp_path, monkeypatch
):
    """In no time a chunk of each part is read: all of the one, and not of the other."""
    monkeypatch.setattr(residence, "READ_AHEAD", seconds)
    monkeypatch.setattr("snellen.train.held.at_once", lambda inputs: 200)
    x_NHWC = np.random.RandomState(0).randint(0, 256, (1000, 12, 12, 3)).astype(np.uint8)
    how = {"model": "lenet5_bn", "epochs": 0, "project": tmp_path, "quiet": True, "split": split}
    run = sn.train((x_NHWC, np.arange(1000) % 10), **how)
    assert "data-shift-train-val" not in {f.id for f in run.findings}


def test_what_is_held_is_not_read_again_to_ask_the_network(tmp_path, monkeypatch):
    held, count = skill(tmp_path / "held", monkeypatch)
    anew, more = skill(tmp_path / "anew", monkeypatch, Prepared=lambda *given: None)
    assert held == anew
    assert held["train_count"] + held["val_count"] == more - count
