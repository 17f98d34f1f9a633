"""A trained network at work: from files, arrays or pictures to predictions."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..core import registry
from ..core.errors import DataError, UsageError
from ..data.images import read_image
from ..data.sample import Prediction, Sample, Target
from ..models import model as build_model
from ..tasks.compute import Compute
from ..tasks.task import Task
from ..train import checkpoint

AT_ONCE = 64
Item = TypeVar("Item")


class Predictor:
    """A network, its task, and where they run.

    Built by `restore`; batch size changes nothing in what it says.
    """

    def __init__(self, net: nn.Module, task: Task, compute: Compute) -> None:
        self.net, self.task, self.compute = compute.place(net).eval(), task, compute

    def samples(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Samples -> one prediction each, in order."""
        for held in batched(samples, AT_ONCE):
            batch = self.compute.ready(self.task, self.task.encode(held))
            with torch.inference_mode(), self.compute.autocast():
                out = self.task.infer(self.net, batch)
            yield from self.task.decode(out, batch)

    def images(self, images: Any) -> list[Prediction]:
        """Images -> predictions: a path, a PIL picture, an array HW, HWC or CHW, a tensor CHW,
        a batch of those in one array, or a list of any of them.
        """
        return list(self.samples(Sample(image, Target()) for image in as_images(images)))

    def files(self, paths: Iterable[str | Path]) -> Iterator[tuple[str, Prediction | DataError]]:
        """Paths -> (path, prediction) in order; a file that cannot be read gives its error."""
        for held in batched(paths, AT_ONCE):
            read = [_read(path) for path in held]
            found = self.samples(Sample(image, Target()) for image in read
                                 if not isinstance(image, DataError))  # fmt: skip
            for path, image in zip(held, read, strict=True):
                yield str(path), image if isinstance(image, DataError) else next(found)


def _read(path: str | Path) -> Tensor | DataError:
    try:
        return read_image(Path(path))
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
    path: Path, model: nn.Module | None = None, compute: Compute | None = None
) -> Predictor:
    """weights/best.safetensors -> predictor. A run of the user's own module needs that module."""
    weights, meta = checkpoint.load_weights(path)
    if "spec" not in meta:
        raise DataError(f"{path} holds weights only, no task; train with weights={path} instead")
    task: Task = registry.get("snellen.tasks", "TASKS", meta["task"])(meta["spec"])
    how = dict(meta["model"])
    if model is None and how.get("name") is None:
        raise UsageError(
            f"{path.parent.parent} was trained with your own module {how.get('class')}; "
            f"give it: sn.load({str(path.parent.parent)!r}, model=net)"
        )
    net = task.build(build_model(**how) if model is None else model)
    checkpoint.fit_into(net, weights)
    return Predictor(net, task, compute or Compute.of("cpu"))


def as_images(images: Any) -> Iterator[Tensor]:
    """Anything that shows pictures -> image_CHW tensors, one after the other."""
    if isinstance(images, str | Path | Image.Image):
        images = [images]
    elif isinstance(images, np.ndarray | Tensor):
        array = torch.as_tensor(images)
        if array.ndim not in (2, 3, 4):
            raise UsageError(
                f"an image array has 2, 3 or 4 axes; this one has {tuple(array.shape)}"
            )
        images = [array] if array.ndim == 2 or _is_one_image(array) else list(array)
    for image in images:
        yield as_image(image)


def as_image(image: Any) -> Tensor:
    """A path, a picture or an array -> image_CHW."""
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        image = np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    array = torch.as_tensor(image)
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise UsageError(f"an image has 2 or 3 axes; this one has {tuple(array.shape)}")
    if array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        return array
    return array.movedim(-1, 0) if array.shape[-1] in (1, 3) else array


def _is_one_image(array: Tensor) -> bool:
    """Whether three axes are HWC or CHW, and not a stack of gray images."""
    return array.ndim == 3 and (array.shape[-1] in (1, 3) or array.shape[0] in (1, 3))
