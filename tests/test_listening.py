"""The data as the doctor is told of them: the same items one by one and several at once."""

import pytest
import torch

from snellen.core import registry
from snellen.data.open import open_data
from snellen.data.source import Part
from snellen.doctor.loader import items_of
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
