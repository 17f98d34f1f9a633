"""Predictions as COCO's results json has them: what pycocotools and other tools read."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.sample import Prediction


def coco_results(
    found: Prediction, image_id: int, category_ids: Sequence[int], *, kind: str = "bbox"
) -> list[dict[str, Any]]:
    """A prediction, the picture's id and those of the classes -> a row for each thing, of the kind
    "bbox", "segm" or "keypoints". People have no box there: pycocotools would compare it.

    >>> found = Prediction(labels=torch.tensor([0]), scores_N=torch.tensor([0.5]),
    ...                    boxes_N4=torch.tensor([[1.0, 2, 5, 4]]))
    >>> coco_results(found, 7, [1])
    [{'image_id': 7, 'category_id': 1, 'score': 0.5, 'bbox': [1.0, 2.0, 4.0, 2.0]}]
    """
    if found.labels is None or found.scores_N is None:
        return []
    tell: dict[str, Callable[[Prediction], list[Any]]] = {
        "bbox": _boxes, "segm": _masks, "keypoints": _joints,
    }  # fmt: skip
    told = tell[kind](found)
    if not told:
        return []
    key = "segmentation" if kind == "segm" else kind
    rows = zip(found.labels.tolist(), found.scores_N.tolist(), told, strict=True)
    return [
        {"image_id": image_id, "category_id": category_ids[k], "score": score, key: values}
        for k, score, values in rows
    ]


def xywh(boxes_N4: Tensor) -> list[list[float]]:
    """x1, y1, x2, y2 -> x, y, width, height, computed in double precision.

    >>> xywh(torch.tensor([[1.0, 2.0, 5.0, 4.0]]))
    [[1.0, 2.0, 4.0, 2.0]]
    """
    low, high = boxes_N4[:, :2].double(), boxes_N4[:, 2:].double()
    rows: list[list[float]] = torch.cat([low, high - low], 1).tolist()
    return rows


def flat_joints(points_NK2: Tensor, seen_NK: Tensor) -> list[list[float]]:
    """Key points and their visibility -> x, y, v of each in a row, as COCO has them.

    >>> flat_joints(torch.tensor([[[1.0, 2.0], [5.0, 4.0]]]), torch.tensor([[2, 0]]))
    [[1.0, 2.0, 2.0, 5.0, 4.0, 0.0]]
    """
    joints_NK3 = torch.cat([points_NK2.double(), seen_NK[..., None].double()], 2)
    rows: list[list[float]] = joints_NK3.flatten(1).tolist()
    return rows


def _boxes(found: Prediction) -> list[list[float]]:
    return [] if found.boxes_N4 is None else xywh(found.boxes_N4)


def run_lengths(masks_NHW: Tensor) -> list[dict[str, Any]]:
    """masks_NHW -> COCO's packed run lengths of each, as plain JSON; one mask is copied at a time.

    >>> run_lengths(torch.tensor([[[True, False], [True, True]]]))
    [{'size': [2, 2], 'counts': '021O'}]
    """
    from pycocotools import mask as coco

    each = (np.asfortranarray(mask.to(torch.uint8).cpu().numpy()) for mask in masks_NHW)
    packed = map(coco.encode, each)
    return [{"size": rle["size"], "counts": rle["counts"].decode()} for rle in packed]


def _masks(found: Prediction) -> list[dict[str, Any]]:
    return [] if found.masks_NHW is None else run_lengths(found.masks_NHW)


def _joints(found: Prediction) -> list[list[float]]:
    if found.keypoints_NK2 is None or found.visibility_NK is None:
        return []
    return flat_joints(found.keypoints_NK2, found.visibility_NK)
