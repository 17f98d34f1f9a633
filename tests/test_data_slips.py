"""What a data set as a whole says of a slip: axes that changed places, labels that count from 1."""

import json

import numpy as np
import pytest
from PIL import Image

from snellen.data.audit import audit
from snellen.data.open import open_path


def coco(root, boxes_of, size=(80, 50), count=20, names=("a", "b", "c"), first=0):
    """Pictures with three boxes each; `boxes_of(box)` is what is written, classes from `first`."""
    random = np.random.RandomState(0)
    (root / "images").mkdir(parents=True)
    images, things = [], []
    for i in range(count):
        pixels = random.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": size[0], "height": size[1]})
        for _ in range(3):
            w, h = random.randint(4, 20, 2).tolist()
            x, y = random.randint(0, size[0] - w), random.randint(0, size[1] - h)
            k = first + len(things) % (len(names) - first)
            things.append({"id": len(things), "image_id": i, "category_id": k,
                           "bbox": boxes_of([x, y, w, h])})  # fmt: skip
    kinds = [{"id": k, "name": name} for k, name in enumerate(names)]
    document = {"images": images, "annotations": things, "categories": kinds}
    (root / "train.json").write_text(json.dumps(document))
    return root


def exchanged(box):
    x, y, w, h = box
    return [y, x, h, w]


def enlarged(box):
    """As of pictures of twice the size: outside, and exchanged outside as well."""
    return [2 * v for v in box]


def ids(root):
    return {problem.id for problem in open_path(root).problems}


@pytest.mark.parametrize("size", [(80, 50), (50, 80)])
def test_boxes_with_their_axes_exchanged_are_told(tmp_path, size):
    root = coco(tmp_path / "a", exchanged, size)
    (said,) = [p for p in open_path(root).problems if p.id == "box-axes-exchanged"]
    assert "inside with x and y exchanged: are the axes exchanged?" in said.message
    assert "box-axes-exchanged" not in ids(coco(tmp_path / "b", list, size))


def test_boxes_that_lie_elsewhere_are_not_told_to_be_exchanged(tmp_path):
    assert "box-outside" in ids(coco(tmp_path / "a", enlarged))
    assert "box-axes-exchanged" not in ids(tmp_path / "a")
    square = ids(coco(tmp_path / "b", exchanged, (60, 60)))
    assert "box-axes-exchanged" not in square  # nobody can tell


@pytest.mark.parametrize(
    ("names", "first", "told"),
    [(("a", "b", "c"), 1, True), (("a", "b", "c"), 0, False), (("Background", "b", "c"), 1, False),
     (("a", "b"), 1, False)],
)  # fmt: skip
def test_labels_that_count_from_one_are_told(tmp_path, names, first, told):
    problems = audit(coco(tmp_path / "set", list, names=names, first=first))
    said = [p.message for p in problems if p.id == "label-off-by-one"]
    assert bool(said) == told
    assert not told or "class 0 (a) has no box in any part and each of the other 2" in said[0]
