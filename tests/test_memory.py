"""What memory is free: of the machine, of its container, of the GPU."""

import pytest
import torch

from snellen.core import memory
from snellen.data.open import open_data
from snellen.tasks.classify import Classify
from snellen.train import residence
from snellen.train.recipe import Recipe
from snellen.train.speed import Machine


def test_a_containers_memory_is_what_is_free(monkeypatch):
    free = memory.free_memory()
    for left, wanted in ((350_000, 350_000), (1 << 62, pytest.approx(free, rel=0.5)), (0, 0)):
        monkeypatch.setattr(memory.cgroups, "memory_left", lambda left=left: left)
        assert memory.free_memory() == wanted
    monkeypatch.setattr(memory.cgroups, "memory_left", lambda: None)
    assert memory.free_memory() > free / 2 > 350_000


def test_what_goes_to_a_gpu_is_weighed_against_its_memory(monkeypatch):
    source = open_data("shapes")
    task = Classify.from_source(source)
    machine = Machine(2, 0.0, bf16=False, cuda=True, free_bytes=1 << 34)
    monkeypatch.setattr(residence, "pick_device", lambda word: torch.device("cuda", 0))
    for free, where in ((1 << 34, "memory"), (1 << 16, "files")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 1 << 35))
        choice = residence.home(source, task, Recipe(device="cuda"), machine)
        assert choice.value == where
    assert "the GPU's free memory" in choice.reason
