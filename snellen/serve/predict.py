"""A trained network at work: from files, arrays or pictures to predictions."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..core import registry
from ..core.errors import DataError, UsageError
from ..data.images import read_image
from ..data.sample import Batch, Prediction, Sample, Target
from ..models import model as build_model
from ..tasks.task import Task
from ..train import checkpoint

AT_ONCE = 64


class Predictor:
    """A network, its task, and where they run.

    Built by `restore`; batch size changes nothing in what it says.
    """

    def __init__(self, net: nn.Module, task: Task, meta: dict[str, Any]) -> None:
        self.net, self.task, self.meta = net.eval(), task, meta

    def samples(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Samples -> one prediction each, in order."""
        held: list[Sample] = []
        for sample in samples:
            held.append(sample)
            if len(held) == AT_ONCE:
                yield from self._batch(held)
                held = []
        if held:
            yield from self._batch(held)

    def images(self, images: Any) -> list[Prediction]:
        """Images -> predictions: a path, a PIL picture, an array HW, HWC or CHW, a tensor CHW,
        a batch of those in one array, or a list of any of them.
        """
        return list(self.samples(Sample(image, Target()) for image in as_images(images)))

    def _batch(self, samples: Sequence[Sample]) -> list[Prediction]:
        batch = self.task.encode(samples)
        x = self.task.inputs().prepare(batch.x)
        ready = Batch(x, batch.y, batch.index_B, batch.sizes_B2)
        with torch.inference_mode():
            return self.task.decode(self.task.infer(self.net, ready), ready)


def restore(path: Path, model: nn.Module | None = None) -> Predictor:
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
    return Predictor(net, task, meta)


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
