"""A prediction as plain rows, one an object: what `predict` prints and predictions.csv holds."""

from collections.abc import Sequence
from typing import Any

from ..data.sample import Prediction

COLUMNS = ("file", "label", "score", "x1", "y1", "x2", "y2")
NUMBERS = ("file", "label", "value")


def objects(found: Prediction, names: Sequence[str]) -> list[dict[str, Any]]:
    """Prediction -> [{"label", "score"}], with "box" [x1, y1, x2, y2] for each box; {"label",
    "score"} of every attribute, held or not; {"label", "value"} of every number.

    >>> objects(Prediction(label=1, score=0.75), ["cat", "dog"])
    [{'label': 'dog', 'score': 0.75}]
    """
    if found.boxes_N4 is not None and found.labels is not None and found.scores_N is not None:
        rows = zip(found.labels.tolist(), found.scores_N.tolist(), found.boxes_N4, strict=True)
        return [
            {"label": names[label], "score": round(score, 6), "box": [round(v, 3) for v in box]}
            for label, score, box in ((k, s, b.tolist()) for k, s, b in rows)
        ]
    if found.values_V is not None:
        return _named("value", found.values_V.tolist(), names)
    if found.attributes_A is not None and found.scores_K is not None:
        return _named("score", found.scores_K.tolist(), names)
    if found.label is None:
        return []
    return [{"label": names[found.label], "score": round(found.score or 0.0, 6)}]


def _named(key: str, values: list[float], names: Sequence[str]) -> list[dict[str, Any]]:
    pairs = zip(names, values, strict=True)
    return [{"label": name, key: float(f"{value:.6g}")} for name, value in pairs]


def csv_table(
    files: Sequence[str], found: Sequence[Prediction], names: Sequence[str]
) -> list[list[Any]]:
    """Files, a prediction each -> predictions.csv: its head, then a row for each object.

    >>> csv_table(["a.jpg"], [Prediction(label=1, score=0.75)], ["cat", "dog"])
    [['file', 'label', 'score'], ['a.jpg', 'dog', 0.75]]
    """
    numbers = any(one.values_V is not None for one in found)
    rows = [
        [file, o["label"], o["value"] if numbers else o["score"], *o.get("box", ())]
        for file, one in zip(files, found, strict=True)
        for o in objects(one, names)
    ]
    width = max((len(row) for row in rows), default=3)
    return [list(NUMBERS if numbers else COLUMNS[:width]), *rows]
