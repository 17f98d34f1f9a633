"""What a run's network sees in a picture: the task says what its answers are and how x shows it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..data.images import read_image
from ..data.sample import Batch, Sample, Target
from ..data.source import SampleSet
from ..explain.look import Explanation, Meaning
from ..explain.look import explain as look
from ..tasks.drawing import as_pixels
from .export import spread
from .predict import Predictor, as_images

LOOKS = 256  # further pictures that are looked at
Parts = Callable[[], tuple[SampleSet, SampleSet]]


def explain(
    predictor: Predictor,
    image: Any,
    method: str,
    *,
    style: Any = None,
    data: Parts | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
    **how: Any,
) -> Explanation:
    """A picture (path, PIL picture, array) -> what a method sees of the run's network in it.

    `style` is a second picture; `data` gives the parts of the run's data, of which the one that it
    is judged on is looked at; `how` is target, layer and the method's own settings.
    """
    task, compute = predictor.task, predictor.compute
    image_CHW = _single(predictor, image)
    batch = _batch(predictor, image_CHW)

    def answer(x_BCHW: Tensor) -> Tensor:
        with compute.autocast():
            out = task.infer(predictor.net, replace(batch, x=x_BCHW))
        return task.evidence(out, batch)[0]

    with torch.no_grad(), compute.autocast():
        names = task.evidence(task.infer(predictor.net, batch), batch)[1]
    meaning = Meaning(
        answer, names, _bounds(predictor, image_CHW), task.rivals, _shown(image, image_CHW),
        None if batch.extent_B4 is None else batch.extent_B4[0].round().int().tolist(), tell,
    )  # fmt: skip
    second = None if style is None else _batch(predictor, _single(predictor, style)).x
    others = None if data is None else lambda: _others(predictor, data()[1])
    return look(predictor.net, batch.x, method, meaning=meaning, style=second, data=others, **how)


def _single(predictor: Predictor, image: Any) -> Tensor:
    found = list(as_images(image, predictor.task.inputs(), predictor.read))
    if len(found) != 1:
        raise UsageError(f"one picture is wanted; {len(found)} came")
    return found[0]


def _batch(predictor: Predictor, image_CHW: Tensor, target: Target | None = None) -> Batch:
    task = predictor.task
    batch = predictor.compute.ready(task, task.encode([Sample(image_CHW, target or Target())]))
    return replace(batch, x=batch.x.detach())


def _bounds(predictor: Predictor, image_CHW: Tensor) -> tuple[Tensor, Tensor] | None:
    """Black and white as the network is fed them; None where only the user knows them."""
    inputs = predictor.task.inputs()
    if inputs.pixels == "0..1":
        return torch.tensor(0.0), torch.tensor(1.0)
    if image_CHW.dtype != torch.uint8:
        return None
    ends = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None]
    low, high = inputs.prepare(ends.expand(2, inputs.channels, 1, 1)).split(1)
    return low, high


def _shown(image: Any, image_CHW: Tensor) -> Image.Image:
    """The picture itself, in its own size."""
    if isinstance(image, str | Path):
        image_CHW = read_image(image, 3)
    pixels_HWC = as_pixels(image_CHW).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels_HWC[..., 0] if len(image_CHW) == 1 else pixels_HWC[..., :3])


def _others(predictor: Predictor, part: SampleSet) -> Iterator[tuple[Tensor, int | None]]:
    for sample in spread(part, LOOKS):
        yield _batch(predictor, sample.image_CHW).x, sample.target.label
