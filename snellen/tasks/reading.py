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
    return None if decoding != "near" or why_whole(task) else Near(task.inputs(), kept)


def why_whole(task: Task) -> str:
    """Why pictures of a task are read whole, whatever `decoding` says; empty where they need not.

    >>> from snellen.tasks.detect import Detect
    >>> why_whole(Detect({"classes": ["a"], "inputs": {}}))
    'task=detect has targets in the pixels'
    """
    if not task.squashes:
        return f"task={task.name} has targets in the pixels"
    return "" if task.inputs().pixels == "bytes" else "the pictures are no bytes"
