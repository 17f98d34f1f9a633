"""A trained network at work: from files, arrays or pictures to predictions."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..core.errors import DataError, UsageError
from ..data.datasets import pictures_of
from ..data.images import pictures_in, read_image
from ..data.inputs import Inputs
from ..data.pixels import as_tensor, image_tensor
from ..data.sample import Prediction, Sample, Target
from ..tasks.compute import Compute, at_once
from ..tasks.objects import objects
from ..tasks.overlay import map_picture
from ..tasks.reading import near
from ..tasks.task import Task
from ..train.rebuild import rebuild
from .names import Names

Item = TypeVar("Item")
Read = Callable[[str | Path], Tensor]
MASK = "_mask.png"  # how the file of a map ends


class Predictor:
    """A network, its task, and where they run.

    Built by `restore`; batch size changes nothing in what it says. `prepares` is no for a network
    that normalises its pictures itself: an exported one. Files are decoded as the training did.
    """

    def __init__(
        self,
        net: nn.Module,
        task: Task,
        compute: Compute,
        *,
        prepares: bool = True,
        decoding: str | None = None,
    ) -> None:
        self.net, self.task, self.compute = compute.place(net), task, compute
        self.net.eval()  # not chained: a user's own may return nothing
        self.prepares, self.decoding = prepares, decoding or "whole"
        self._near = near(task, decoding)

    def samples(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Samples -> one prediction each, in order."""
        for held in batched(samples, at_once(self.task.inputs())):
            batch = self.task.encode(held)
            if self.prepares:
                batch = self.compute.ready(self.task, batch)
            with torch.inference_mode(), self.compute.autocast():
                out = self.task.infer(self.net, batch)
            yield from self.task.decode(out, batch)

    def images(self, images: Any) -> list[Prediction]:
        """Images -> predictions: a path, a folder's pictures in the order of their paths, a PIL
        picture, an array HW, HWC or CHW, a tensor CHW, a batch of those in one array, a list of any
        of them, or the pictures of a Dataset. `as_images` says which is which.
        """
        found = as_images(images, self.task.inputs(), self.read)
        return list(self.samples(Sample(image, Target()) for image in found))

    def files(
        self, paths: str | Path | Iterable[str | Path]
    ) -> Iterator[tuple[str, Prediction | DataError]]:
        """Paths, also of folders -> (path, prediction) in order; a file that cannot be read gives
        its error.
        """
        for held in batched(pictures_in(paths), at_once(self.task.inputs())):
            read = [_read_or_say(self.read, path) for path in held]
            found = self.samples(Sample(image, Target()) for image in read
                                 if not isinstance(image, DataError))  # fmt: skip
            for path, image in zip(held, read, strict=True):
                yield path, image if isinstance(image, DataError) else next(found)

    def read(self, path: str | Path) -> Tensor:
        """image_CHW of a file; raises DataError that names it."""
        inputs = self.task.inputs()
        channels = 1 if inputs.channels == 1 else 3
        if self._near is not None:
            return self._near.read(str(path), channels)[0]
        return inputs.as_trained([read_image(path, channels)])[0]

    def rows(
        self,
        paths: str | Path | Iterable[str | Path],
        masks: str | Path | None = None,
        *,
        tell: Callable[[str, Prediction], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Files, folders -> {"file", "label", "score"} for each object, with "box" where the task
        finds boxes, "share" where it maps classes, and "value" for "score" where it tells numbers;
        a file that cannot be read has "error". In the folder `masks` each map becomes a PNG, a
        pixel's value its class, whose path is "mask": STEM_mask.png, STEM-2_mask.png of a second
        picture so called; raises UsageError where the task gives no maps.
        `tell` hears of each file that could be read and its prediction.
        """
        names, called = self.task.names(), Names(MASK)
        for path, found in self.files(paths):
            if isinstance(found, DataError):
                yield {"file": path, "error": str(found)}
                continue
            if tell is not None:
                tell(path, found)
            more = {}
            if masks is not None:
                more = {"mask": _write_mask(found, Path(masks) / called.of(path))}
            yield from ({"file": path, **one, **more} for one in objects(found, names))


def _write_mask(found: Prediction, file: Path) -> str:
    if found.semantic_HW is None:
        raise UsageError("masks are written of maps of classes, which task=segment gives")
    file.parent.mkdir(parents=True, exist_ok=True)
    map_picture(found.semantic_HW).save(file)
    return str(file)


def _read_or_say(read: Read, path: str | Path) -> Tensor | DataError:
    try:
        return read(path)
    except DataError as error:
        return error


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items -> lists of `size`, the last one shorter.

    >>> list(batched("abc", 2))
    [['a', 'b'], ['c']]
    """
    rest = iter(items)
    while held := list(islice(rest, size)):
        yield held


def restore(
    path: Path,
    model: nn.Module | None = None,
    compute: Compute | None = None,
    *,
    decoding: str | None = None,
) -> Predictor:
    """weights/best.safetensors -> predictor. A run of the user's own module needs that module."""
    net, task, _ = rebuild(path, model)
    return Predictor(net, task, compute or Compute.of("cpu"), decoding=decoding)


def as_images(images: Any, inputs: Inputs, read: Read) -> Iterator[Tensor]:
    """Anything that shows pictures -> image_CHW tensors as the network was trained on them, files
    by `read`.

    A Dataset, or that of a DataLoader, gives the pictures of its items in the order of its rows.
    An array of 2 axes is a gray image and one of 4 a batch. One of 3 axes is a single image where
    its last axis is 1, 3, 4 or the network's channels, or its first is 1 or the network's
    channels; else, and where its last two are the size that the network takes, a stack of gray
    images.
    """
    if isinstance(images, np.ndarray | Tensor):
        images = _apart(as_tensor(images, "the images"), images, inputs)
    if isinstance(images, Dataset | DataLoader):
        images = pictures_of(images)
    given = [images] if isinstance(images, str | Path | Image.Image) else images
    singles = [one for some in given for one in (
        pictures_in([some]) if isinstance(some, str | Path) else (some,))]  # fmt: skip
    arrays = {i: image_tensor(one, inputs.channels) for i, one in enumerate(singles)
              if not isinstance(one, str | Path)}  # fmt: skip
    arrays = dict(zip(arrays, inputs.as_trained(list(arrays.values())), strict=True))
    for i, one in enumerate(singles):
        if isinstance(one, str | Path):
            yield read(one)
        else:
            yield arrays[i]


def _apart(array: Tensor, given: Any, inputs: Inputs) -> list[Any]:
    """One array -> single images, arrays still."""
    shape, sizes = tuple(array.shape), (inputs.height, inputs.width)
    if len(shape) not in (2, 3, 4):
        raise UsageError(f"an image array has 2, 3 or 4 axes; this one has shape {shape}")
    if len(shape) == 2:
        return [given]
    first = shape[0] in (1, inputs.channels)
    last = shape[-1] in (1, 3, 4, inputs.channels) and shape[1:] != sizes
    return [given] if len(shape) == 3 and (first or last) else list(given)
