"""One data set in the class numbers of another: whatever names a class is renumbered."""

import pytest
import torch

from snellen.core.errors import DataError
from snellen.data.classes import match_classes
from snellen.data.relabel import Relabelled, in_order_of, renumber
from snellen.data.sample import VOID, Sample, Target
from snellen.data.source import SampleSet


class Pictures(SampleSet):
    """Targets beside black pictures; `quick` says whether they are known without reading."""

    def __init__(self, *targets, quick=True):
        self.targets, self.quick = targets, quick

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return Sample(torch.zeros(1, 2, 3), self.targets[i], i)

    def target(self, i):
        return self.targets[i] if self.quick else None


BOXES = Target(
    labels=torch.tensor([0, 1, 2, 1]),
    boxes_N4=torch.arange(16.0).view(4, 4),
    keypoints_NK2=torch.arange(8.0).view(4, 1, 2),
    ignored_N=torch.arange(4) > 2,
)
MAP = Target(semantic_HW=torch.tensor([[0, 1, 2], [VOID, 1, 77]]))


def test_every_field_that_names_a_class_is_renumbered():
    whole = Pictures(Target(label=2), BOXES, MAP, Target(text="a"))
    now = [sample.target for sample in Relabelled(whole, [1, 2, 0])]
    assert now[0].label == 0
    assert now[1].labels.tolist() == [1, 2, 0, 2]
    assert now[1].boxes_N4 is not None
    assert now[2].semantic_HW.tolist() == [[1, 2, 0], [VOID, 2, VOID]]
    assert now[3].given() == {"text": "a"}
    assert MAP.semantic_HW[0].tolist() == [0, 1, 2]


def test_things_of_no_class_go_and_pixels_of_none_are_void():
    new = torch.tensor([1, -1, 0, -1])
    boxes, map_HW = renumber(BOXES, new), renumber(MAP, new).semantic_HW
    assert boxes.labels.tolist() == [1, 0]
    assert boxes.boxes_N4.tolist() == BOXES.boxes_N4[[0, 2]].tolist()
    assert boxes.keypoints_NK2.tolist() == BOXES.keypoints_NK2[[0, 2]].tolist()
    assert map_HW.tolist() == [[1, VOID, 0], [VOID, VOID, VOID]]


@pytest.mark.parametrize(("target", "quick"), [(BOXES, True), (MAP, False)])
def test_a_val_part_without_labels_is_matched(target, quick):
    part, problems = match_classes(
        ("b", "a"), ("a", "b", "c"), Pictures(target, target, quick=quick)
    )
    assert len(part) == 2
    assert "'c'" in problems[0].message
    now = part[1].target
    if quick:
        assert (now.labels.tolist(), part.target(1).labels.tolist()) == ([1, 0, 0], [1, 0, 0])
        assert "2 boxes" in problems[0].message
    else:
        assert now.semantic_HW.tolist() == [[1, 0, VOID], [VOID, 0, VOID]]
    with pytest.raises(DataError, match="share no class"):
        match_classes(("x",), ("a", "b", "c"), Pictures(target, quick=quick))


def test_a_class_that_the_data_only_name_is_no_harm():
    part = Pictures(BOXES)
    ordered = in_order_of(part, ("a", "b", "c", "unused"), ("c", "b", "a"))
    assert ordered.target(0).labels.tolist() == [2, 1, 0, 1]
    with pytest.raises(DataError, match="does not know: c; it knows a, b"):
        in_order_of(part, ("a", "b", "c", "unused"), ("a", "b"))
    with pytest.raises(DataError, match="does not know: a"):  # nothing in common, and no box
        in_order_of(Pictures(), ("a",), ("b",))
    with pytest.raises(DataError, match="does not know: b"):  # maps tell only when they are read
        in_order_of(Pictures(MAP, quick=False), ("a", "b"), ("a",))
