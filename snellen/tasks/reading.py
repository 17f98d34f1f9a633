"""How files are read for a task: the same for training, evaluation and prediction."""

from ..data.near import Near
from ..data.pixel_cache import PixelCache
from .task import Task


def near(task: Task, decoding: str | None, kept: PixelCache | None = None) -> Near | None:
    """A reader at the size that the network is fed, copies in `kept`; None where pictures are read
    whole: by `decoding`, or as targets lie in the pixels.

    >>> from snellen.tasks.classify import Classify
    >>> shape = {"channels": 1, "height": 8, "width": 8, "mean": [0.5], "std": [0.25]}
    >>> task = Classify({"classes": ["a"], "inputs": {**shape, "pixels": "bytes"}})
    >>> near(task, "whole"), near(task, "near").inputs.height
    (None, 8)
    """
    inputs = task.inputs()
    if decoding != "near" or not task.squashes or inputs.pixels != "bytes":
        return None
    return Near(inputs, kept)
