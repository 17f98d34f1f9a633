"""A prediction as plain rows, one an object: what `predict` prints and predictions.csv holds."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.sample import Prediction
from .coco_results import run_lengths

COLUMNS = ("file", "label", "score", "x1", "y1", "x2", "y2")
NUMBERS = ("file", "label", "value")
MAPPED = ("file", "label", "score", "share")
TOLD = ("file", "text", "score")


def objects(found: Prediction, names: Sequence[str]) -> list[dict[str, Any]]:
    """Prediction -> [{"label", "score"}], "scores" of all classes where they are known; with "box"
    [x1, y1, x2, y2] for each box, "segmentation" (COCO's run lengths) for each mask and "keypoints"
    [[x, y, visibility], ...] for each person;
    {"text", "score"} of a sentence;
    {"label", "score"} of every attribute, held or not; {"label", "value"} of every number;
    {"label", "score", "share"} of every class that a map has, with its share of the pixels;
    {"label"}, width x height, of a picture.

    >>> objects(Prediction(label=1, score=0.75), ["cat", "dog"])
    [{'label': 'dog', 'score': 0.75}]
    """
    if found.boxes_N4 is not None and found.labels is not None and found.scores_N is not None:
        rows = zip(found.labels.tolist(), found.scores_N.tolist(), found.boxes_N4, strict=True)
        things = [
            {"label": names[label], "score": round(score, 6), "box": [round(v, 3) for v in box]}
            for label, score, box in ((k, s, b.tolist()) for k, s, b in rows)
        ]
        if found.masks_NHW is not None:
            runs = zip(things, run_lengths(found.masks_NHW), strict=True)
            return [one | {"segmentation": mask} for one, mask in runs]
        return things if found.keypoints_NK2 is None else _with_joints(things, found)
    if found.semantic_HW is not None and found.scores_K is not None:
        return _mapped(found.semantic_HW, found.scores_K, names)
    if found.values_V is not None:
        return _named("value", found.values_V.tolist(), names)
    if found.attributes_A is not None and found.scores_K is not None:
        return _named("score", found.scores_K.tolist(), names)
    if found.image_CHW is not None:
        return [{"label": "x".join(str(side) for side in reversed(found.image_CHW.shape[-2:]))}]
    score = round(found.score or 0.0, 6)
    if found.label is None:
        return [] if found.text is None else [{"text": found.text, "score": score}]
    said: dict[str, Any] = {"label": names[found.label], "score": score}
    if found.scores_K is None:
        return [said]
    scores = zip(names, found.scores_K.tolist(), strict=True)
    return [said | {"scores": {name: round(score, 6) for name, score in scores}}]


def _with_joints(things: list[dict[str, Any]], found: Prediction) -> list[dict[str, Any]]:
    assert found.keypoints_NK2 is not None
    assert found.visibility_NK is not None
    joints_NK3 = torch.cat([found.keypoints_NK2, found.visibility_NK[..., None]], 2)
    said = ([[round(x, 3), round(y, 3), int(seen)] for x, y, seen in person]
            for person in joints_NK3.tolist())  # fmt: skip
    return [one | {"keypoints": joints} for one, joints in zip(things, said, strict=True)]


def _named(key: str, values: list[float], names: Sequence[str]) -> list[dict[str, Any]]:
    pairs = zip(names, values, strict=True)
    return [{"label": name, key: float(f"{value:.6g}")} for name, value in pairs]


def _mapped(semantic_HW: Tensor, scores_K: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
    share_K = semantic_HW.flatten().bincount(minlength=len(names)) / semantic_HW.numel()
    rows = zip(names, scores_K.tolist(), share_K.tolist(), strict=True)
    return [{"label": name, "score": round(score, 6), "share": round(share, 6)}
            for name, score, share in rows if share]  # fmt: skip


def csv_table(
    files: Sequence[str], found: Sequence[Prediction], names: Sequence[str]
) -> list[list[Any]]:
    """Files, a prediction each -> predictions.csv: its head, then a row for each object.

    >>> csv_table(["a.jpg"], [Prediction(label=1, score=0.75)], ["cat", "dog"])
    [['file', 'label', 'score'], ['a.jpg', 'dog', 0.75]]
    """
    numbers = any(one.values_V is not None for one in found)
    mapped = any(one.semantic_HW is not None for one in found)
    told = any(one.text is not None for one in found)
    head = NUMBERS if numbers else MAPPED if mapped else TOLD if told else COLUMNS
    rows = [
        [file, *(o[word] for word in head[1:4] if word in o), *o.get("box", ())]
        for file, one in zip(files, found, strict=True)
        for o in objects(one, names)
    ]
    width = max((len(row) for row in rows), default=3)
    return [list(head[:width]), *rows]
