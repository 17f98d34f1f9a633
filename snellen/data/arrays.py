"""Arrays of images and labels, from memory or from a file, made a Source.

Images may be N,H,W or N,C,H,W or N,H,W,C; labels whole numbers, words, one-hot rows or booleans.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..core.errors import DataError
from .classes import number_labels
from .pixels import as_tensor, channels_first, plain_dtype
from .sets import ArraySet
from .source import Problem, Source


def from_arrays(
    x: Any, y: Any, *, name: str = "arrays", names: Sequence[str] | None = None
) -> Source:
    """Images x, labels y -> Source with one part; `names` are the classes' where they are known.

    >>> source = from_arrays(np.zeros((4, 8, 8), np.uint8), ["cat", "dog", "cat", "cat"])
    >>> source.classes, source.train.labels().tolist()
    (('cat', 'dog'), [0, 1, 0, 0])
    """
    x_NCHW = images_tensor(x, name)
    values = label_values(y, name)
    if len(values) != len(x_NCHW):
        raise DataError(f"{name}: {len(x_NCHW)} images and {len(values)} labels; they must match")
    labels_N, classes, problems = number_labels(values, names, name)
    facts = {"images": len(x_NCHW), "shape": list(x_NCHW.shape[1:]), "dtype": str(x_NCHW.dtype)}
    train = ArraySet(x_NCHW, labels_N)
    return Source(name, "arrays", train, classes, problems=problems, facts=facts)


def from_numbers(x: Any, y: Any, task: str, *, name: str = "arrays") -> Source:
    """Images x, a row of numbers y for each -> Source: attributes for "tag", values for others.

    >>> y = np.array([[0.5, 3.0]] * 4)
    >>> from_numbers(np.zeros((4, 8, 8), np.uint8), y, "regress").train[1].target.values_V
    tensor([0.5000, 3.0000])
    """
    x_NCHW = images_tensor(x, name)
    rows = as_tensor(y, f"{name}: the numbers")
    rows = rows.float()[:, None] if rows.ndim == 1 else rows.float()
    if rows.ndim != 2 or len(rows) != len(x_NCHW):
        raise DataError(
            f"{name}: {len(x_NCHW)} images and numbers of shape {tuple(rows.shape)}; "
            f"a row for each image, ({len(x_NCHW)}, how many), is wanted for task={task}"
        )
    names = tuple(str(i) for i in range(rows.shape[1]))
    facts = {"images": len(x_NCHW), "shape": list(x_NCHW.shape[1:]), "dtype": str(x_NCHW.dtype)}
    same = [Problem("value-constant", f"{names[k]} is {float(cells[0]):g} for every image",
                    "harmless", do="nothing can be learned from it; leave the column out")
            for k, column in enumerate(rows.T) if len(cells := column[~column.isnan()]) > 1
            and bool((cells == cells[0]).all())]  # fmt: skip
    if task == "tag":
        train = ArraySet(x_NCHW, attributes_NA=rows)
        return Source(name, "arrays", train, (), problems=tuple(same), facts=facts,
                      attributes=names)  # fmt: skip
    train = ArraySet(x_NCHW, values_NV=rows)
    return Source(name, "arrays", train, (), problems=tuple(same), facts=facts, values=names)


def images_tensor(x: Any, name: str) -> Tensor:
    """Images in any usual layout -> x_NCHW, uint8 or float32; raises DataError where in doubt.

    >>> images_tensor(np.zeros((2, 8, 6, 3), np.uint8), "x").shape
    torch.Size([2, 3, 8, 6])
    """
    x = as_tensor(x, f"{name}: the images")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4:
        x = x if _channels_first(tuple(x.shape)) else x.permute(0, 3, 1, 2)
    else:
        raise DataError(_wrong_shape(x, name))
    if not x.numel():
        raise DataError(f"{name}: the images have shape {tuple(x.shape)}, so there are none")
    return plain_dtype(x).contiguous()


def _channels_first(shape: tuple[int, ...]) -> bool:
    """Whether four axes are N,C,H,W; where both can be, square pictures decide."""
    found = channels_first(shape[1:])
    return shape[2] == shape[3] or shape[1] != shape[2] if found is None else found


def label_values(y: Any, name: str) -> np.ndarray:
    """Labels as they come -> values_N: whole numbers or words; one-hot rows become numbers."""
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    try:
        values = np.asarray(y)
    except ValueError as error:  # ragged rows
        raise DataError(f"{name}: labels differ in size; one a picture is wanted") from error
    if values.dtype == object:
        values = _words(values, name)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and is_one_hot(values):
        values = values.argmax(1)
    if values.ndim != 1:
        raise DataError(f"{name}: labels have shape {values.shape}; {wanted(values.ndim - 1)}")
    if values.dtype.kind == "f":
        values = _whole(values, name)
    return values.astype(np.int64) if values.dtype.kind in "bui" else values.astype(str)


def wanted(axes: int) -> str:
    """What a label should have been, and what one of so many axes asks for.

    >>> wanted(2)
    'one class a picture is wanted; a class for each pixel: task=segment'
    """
    do = {-1: "as many as pictures", 1: "numbers: task=regress, yes or no of each: task=tag",
          2: "a class for each pixel: task=segment"}  # fmt: skip
    other = "an image there: (image, label) is the order"
    return f"one class a picture is wanted; {do.get(axes, other)}"


def _wrong_shape(x: Tensor, name: str) -> str:
    shape = tuple(x.shape)
    message = f"{name}: images of shape {shape}; N,H,W or N,C,H,W or N,H,W,C is wanted"
    side = round(shape[1] ** 0.5) if x.ndim == 2 else 0
    if side > 1 and side * side == shape[1]:
        return f"{message}: x.reshape(-1, {side}, {side}) if rows are flattened pictures"
    return message


def _words(values: np.ndarray, name: str) -> np.ndarray:
    for row, value in enumerate(values.ravel()):
        if not isinstance(value, str | int | np.integer):
            raise DataError(
                f"{name}: label {row} is {value!r} of {type(value).__name__}; "
                "whole numbers or words are wanted"
            )
    return values.astype(str)


def is_one_hot(values: np.ndarray) -> bool:
    """Whether each row of values_NK is 1 in one place and 0 elsewhere."""
    return bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all())


def _whole(values: np.ndarray, name: str) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(values) | (values != np.rint(np.nan_to_num(values))))
    if len(bad):
        do = "; numbers: task=regress" if np.isfinite(values[bad]).any() else ""
        raise DataError(
            f"{name}: label {bad[0]} is {values[bad[0]]}, no whole number "
            f"({len(bad)} such); a class for each picture is wanted{do}"
        )
    return values.astype(np.int64)
