"""Batches: whatever lies in them is moved and counted."""

import torch

from snellen.data.sample import Batch


def test_everything_in_a_batch_moves_and_counts():
    """Detection has a list of boxes a batch, retrieval may nest deeper."""
    boxes = [torch.zeros(3, 4), torch.zeros(0, 4)]
    y = {"label": torch.zeros(2, dtype=torch.int64), "boxes_N4": boxes, "text": ["a", "b"],
         "pair": {"near": torch.zeros(5), "far": (torch.zeros(7), None)}}  # fmt: skip
    batch = Batch(torch.zeros(2, 1, 4, 4), y, torch.arange(2), torch.zeros(2, 2))
    moved = batch.to(torch.device("meta"))
    there = [moved.x, moved.y["label"], *moved.y["boxes_N4"], moved.y["pair"]["near"],
             moved.y["pair"]["far"][0]]  # fmt: skip
    assert {tensor.device.type for tensor in there} == {"meta"}
    assert moved.y["text"] == ["a", "b"]
    assert [type(moved.y["boxes_N4"]), type(moved.y["pair"]["far"])] == [list, tuple]
    assert boxes[0].device.type == "cpu"
    floats = 2 * 16 + 12 + 5 + 7 + 4
    assert batch.nbytes == 4 * floats + 8 * (2 + 2)
