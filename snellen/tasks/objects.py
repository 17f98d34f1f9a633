"""A prediction as plain rows, one an object: what `predict` prints and predictions.csv holds."""

from collections.abc import Sequence
from typing import Any

from ..data.sample import Prediction

COLUMNS = ("file", "label", "score", "x1", "y1", "x2", "y2")


def objects(found: Prediction, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Prediction -> [{"label", "score"}], with "box" [x1, y1, x2, y2] for each box.

    >>> objects(Prediction(label=1, score=0.75), ["cat", "dog"])
    [{'label': 'dog', 'score': 0.75}]
    """
    if found.boxes_N4 is not None and found.labels is not None and found.scores_N is not None:
        rows = zip(found.labels.tolist(), found.scores_N.tolist(), found.boxes_N4, strict=True)
        return [
            {"label": classes[label], "score": round(score, 6), "box": [round(v, 3) for v in box]}
            for label, score, box in ((k, s, b.tolist()) for k, s, b in rows)
        ]
    if found.label is None:
        return []
    return [{"label": classes[found.label], "score": round(found.score or 0.0, 6)}]


def csv_rows(file: str, found: Prediction, classes: Sequence[str]) -> list[list[Any]]:
    """The rows of predictions.csv for one file, in the order of COLUMNS.

    >>> csv_rows("a.jpg", Prediction(label=1, score=0.75), ["cat", "dog"])
    [['a.jpg', 'dog', 0.75]]
    """
    return [[file, o["label"], o["score"], *o.get("box", ())] for o in objects(found, classes)]
