"""Where a trained network runs, and the samples that it is judged by."""

from ..data.source import SampleSet, Source
from ..tasks.compute import Compute, is_here
from ..tasks.task import Task
from .feed import Streamed
from .recipe import Recipe
from .residence import as_fed


def compute_of(recipe: Recipe) -> Compute:
    """Where the training ran; the processor where that device is not on this machine.

    >>> compute_of(Recipe(device="cuda:77")).device
    device(type='cpu')
    """
    if not is_here(recipe.device):
        return Compute.of("cpu")
    return Compute.of(recipe.device, recipe.amp, recipe.channels_last)


def feed_of(part: SampleSet, source: Source, task: Task, recipe: Recipe) -> Streamed:
    """A part of a source -> batches under the task's own class numbers, read as in training."""
    part = as_fed(task.aligned(part, source), task, recipe)
    return Streamed(part, task, recipe.batch or 64, 0, readers=recipe.readers or 0)
