"""A DataLoader as data: its data set is taken, batches are dealt anew, and that is said."""

from typing import Any

from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
    default_convert,
)

from ..core.errors import DataError
from .source import Problem


def unloaded(data: Any) -> tuple[Any, tuple[Problem, ...]]:
    """A DataLoader -> its data set, or the rows that a SubsetRandomSampler chooses of it, and what
    of the loader is not used; anything else as it is.

    Raises DataError for a WeightedRandomSampler, which would have changed what is learned.

    >>> data, problems = unloaded(DataLoader([3, 4], batch_size=2, drop_last=True))
    >>> data, problems[0].message
    ([3, 4], 'of the DataLoader the data set is taken; batch_size=2, drop_last=True are not used')
    """
    if not isinstance(data, DataLoader):
        return data, ()
    dataset, sampler = data.dataset, data.sampler
    if isinstance(sampler, WeightedRandomSampler):
        raise DataError(
            "the DataLoader draws by a WeightedRandomSampler, and snellen deals every sample once "
            "an epoch; give loader.dataset, or in a (train, val) pair a Subset that repeats rows"
        )
    if isinstance(sampler, SubsetRandomSampler):
        dataset = Subset(dataset, [int(i) for i in sampler.indices])
    unused = _unused(data)
    if not unused:
        return dataset, ()
    are = "are" if len(unused) > 1 else "is"
    message = f"of the DataLoader the data set is taken; {', '.join(unused)} {are} not used"
    do = "batch= sets how many at once; what a collate_fn does to samples belongs in the data set"
    return dataset, (Problem("loader-not-used", message, harm="harmless", do=do),)


def _unused(loader: DataLoader[Any]) -> list[str]:
    """What of a loader differs from the usual, and is not followed."""
    batches, found = loader.batch_sampler, []
    if type(batches) not in (BatchSampler, type(None)):
        return [f"batch_sampler={type(batches).__name__}", *_collate(loader)]
    if loader.batch_size not in (None, 1):
        found.append(f"batch_size={loader.batch_size}")
    if loader.drop_last:
        found.append("drop_last=True")
    if type(loader.sampler) not in (SequentialSampler, RandomSampler, SubsetRandomSampler):
        found.append(f"sampler={type(loader.sampler).__name__}")
    return [*found, *_collate(loader)]


def _collate(loader: DataLoader[Any]) -> list[str]:
    own = loader.collate_fn
    if own in (default_collate, default_convert):
        return []
    return [f"collate_fn={getattr(own, '__name__', type(own).__name__)}"]
