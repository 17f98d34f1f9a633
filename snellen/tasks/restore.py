"""Restoration: a larger or cleaner picture from a poor one. Notes 000: super-resolution, denoising.

What is trained on are good pictures. Each is made poor where it is fed (smaller by `scale`, with
`noise`), so that augmentation never parts the two; the noise of a training is new in each step.
Pictures to be restored are taken as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError, UnknownName, UsageError
from ..core.modes import evaluating
from ..data.inputs import Inputs
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.likeness import ssim
from ._poorer import Poorer
from ._spread import spread_rows
from .drawing import picture_of
from .heads import full
from .task import Metric, Task

LOOKS = 300  # samples that tell the size, and the baseline
LIMIT = 96  # pixels of a side that are cut from larger pictures where the user says no other
TRIED = 16  # pixels of the picture that tells how much a network enlarges


class Restore(Task):
    """Pictures of `scale` times the size, or without their noise.

    spec: {"inputs": Inputs.as_dict(), "scale": 2, "noise": 25.0, "loss": "l2"}; the last three may
    be missing. A network gives a picture of the size that it is fed, or `scale` times that; the
    first kind is fed the picture enlarged.
    """

    name = "restore"
    about = "a larger or cleaner picture from a poor one"
    score = "gain"
    default_model = "vdsr-small"
    settings = ("loss", "scale", "noise")
    usual = {"augment": "flip", "samples": 20_000, "batch": 16, "lr": 1e-3}

    def poorer(self) -> Poorer:
        """What the pictures that are restored have suffered."""
        noise = self.spec.get("noise", 0.0)
        return Poorer(self.spec.get("scale", 1 if noise else 2), noise)

    def num_outputs(self) -> int:
        """The channels of a picture."""
        return self.inputs().channels

    def aligned(self, part: SampleSet, source: Source) -> SampleSet:
        """A part of other data: pictures as well."""
        return part

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Restore":
        """The size that is cut from pictures: their own, or the least of theirs up to LIMIT.
        Raises DataError for floats that are no picture of 0..1.
        """
        part = source.train
        sizes = [part[row].size for row in spread_rows(len(part), LOOKS)]
        least = [min(side) for side in zip(*sizes, strict=True)]
        height, width = (min(side, imgsz or LIMIT) for side in least)
        inputs = Inputs.of(part, 1)
        if inputs.pixels == "own":
            raise DataError(f"{source.name} ({source.format}) holds floats outside of 0..1; "
                            "task=restore wants pictures: uint8, or floats in 0..1")  # fmt: skip
        ones = (1.0,) * inputs.channels  # centred alone: a network adds to what it is fed
        inputs = replace(inputs, height=height, width=width, std=ones)
        return cls({"inputs": inputs.as_dict()})

    def check(self, sample: Sample) -> list[Problem]:
        """A picture that is smaller than what is cut from it, or of one colour."""
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        size, inputs = sample.size, self.inputs()
        if size[0] < inputs.height or size[1] < inputs.width:
            text = f"{size[0]}x{size[1]} pixels where {inputs.height}x{inputs.width} are cut"
            return [Problem("picture-small", text, do="it is padded; imgsz= cuts less", **place)]
        if bool((sample.image_CHW == sample.image_CHW[:, :1, :1]).all()):
            text = "one colour all over"
            return [Problem("picture-empty", text, do="it teaches nothing", **place)]
        return []

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The network itself, after an enlargement where it gives the size that it is fed.

        Raises UsageError where it enlarges by another number than `scale`, or for unknown losses.
        """
        assert backbone is not None
        self._loss()
        scale, grows = self.poorer().scale, self._grows(backbone)
        if grows == scale:
            return backbone
        if grows != 1:
            raise UsageError(f"the network enlarges {grows} times, and scale={scale} is wanted; "
                             f"give scale={grows}, or another model")  # fmt: skip
        return nn.Sequential(Enlarge(scale), backbone)

    def _grows(self, net: nn.Module) -> int:
        """How many times larger what a network gives is."""
        like = next((p for p in net.parameters()), torch.zeros(()))
        x = like.detach().new_zeros(1, self.inputs().channels, TRIED, TRIED)
        with torch.no_grad(), evaluating(net):
            y = net(x)
        if not isinstance(y, Tensor) or y.shape[:2] != x.shape[:2] or y.shape[-1] % TRIED:
            said = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise UsageError(f"the network gives {said} for x of shape {tuple(x.shape)}; "
                             "task=restore wants a picture of as many channels")  # fmt: skip
        return y.shape[-1] // TRIED

    def _loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        name = self.spec.get("loss", "l2")
        if name not in PICTURE_LOSSES:
            raise UnknownName(name, PICTURE_LOSSES, "the losses of task=restore")
        return PICTURE_LOSSES[name]

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW: the middle of good pictures, still good, in the input's size; poor
        ones whole, padded to the largest. y = {"is_good": (B)} tells which they are.
        """
        goods = [s.target.image_CHW is not None for s in samples]
        size = self.inputs().height, self.inputs().width
        images = [self._fit(s.image_CHW) for s in samples]
        images = [middle(x, size) if good else x for x, good in zip(images, goods, strict=True)]
        sizes = torch.tensor([x.shape[-2:] for x in images])
        high, wide = sizes.amax(0).tolist()
        padded = [F.pad(x, (0, wide - x.shape[-1], 0, high - x.shape[-2])) for x in images]
        index = torch.tensor([s.index for s in samples])
        return Batch(stack(padded), {"is_good": torch.tensor(goods)}, index, sizes)

    def _fit(self, image_CHW: Tensor) -> Tensor:
        """The picture with the channels and numbers that were trained on."""
        height, width = image_CHW.shape[-2:]
        return replace(self.inputs(), height=height, width=width).fit(image_CHW)

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The mean over all pixels; a training's noise is new each time."""
        poor, good = self._pair(batch.x, fresh=net.training)
        return {"loss": self._loss()(full(net(poor)), good)}

    def _pair(self, x_BCHW: Tensor, *, fresh: bool = False) -> tuple[Tensor, Tensor]:
        """Good pictures, centred -> poor and good ones, centred too."""
        mean = self._mean(x_BCHW)
        poor, good = self.poorer().pair(x_BCHW + mean, fresh=fresh)
        return poor - mean, good - mean

    def _mean(self, like: Tensor) -> Tensor:
        return torch.tensor(self.inputs().mean, device=like.device).view(-1, 1, 1)

    def infer(self, net: nn.Module, batch: Batch) -> list[Tensor]:
        """Pictures restored one size at a time, so that padding never shows."""
        return [full(net(poor)) for poor in self._fed(batch)]

    def _fed(self, batch: Batch) -> Iterator[Tensor]:
        """What a network is fed: runs of pictures of one size, in order."""
        kinds = list(zip(batch.y["is_good"].tolist(), map(tuple, batch.sizes_B2.tolist()),
                         strict=True))  # fmt: skip
        low = 0
        for high in range(1, len(kinds) + 1):
            if high < len(kinds) and kinds[high] == kinds[low]:
                continue
            is_good, (height, width) = kinds[low]
            x = batch.x[low:high, :, :height, :width]
            yield self._pair(x)[0] if is_good else x
            low = high

    def decode(self, out: Sequence[Tensor], batch: Batch) -> list[Prediction]:
        """Restored pictures, centred -> uint8."""
        found = [one for some in out for one in (full(some.detach()) + self._mean(some)).cpu()]
        return [Prediction(image_CHW=to_bytes(one)) for one in found]

    def evidence(self, out: Any, batch: Batch) -> tuple[Tensor, list[str]]:
        """Refused: a picture is no score."""
        raise UsageError("task=restore tells a picture, and there is no score to explain")

    def metric(self) -> "Restored":
        """How much of the error is gone."""
        return Restored(self)

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The restored picture; without one the picture itself."""
        shown = (target or sample.target).image_CHW
        return picture_of(sample.image_CHW if shown is None else shown)

    def oracle(self, batch: Batch) -> list[Tensor]:
        """The good pictures themselves."""
        return [self._pair(self.inputs().prepare(batch.x))[1]]

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """The picture enlarged, its noise left on."""
        metric = self.metric()
        for row in spread_rows(len(train), LOOKS):
            target = train[row].target
            said = Prediction(image_CHW=to_bytes(self.enlarged(target)[0])[0])
            metric.update([said], [target])
        return metric.compute()

    def enlarged(self, target: Target) -> tuple[Tensor, Tensor]:
        """What is true of a picture -> it made poor and enlarged again, and as it should be; both
        (1, C, H, W) of whole levels in 0..1.
        """
        assert target.image_CHW is not None
        batch = self.encode([Sample(target.image_CHW, target)])
        poor, good = self.poorer().pair(self.inputs().prepare(batch.x) + self._mean(batch.x))
        return to_bytes(self.poorer().enlarged(poor)) / 255, to_bytes(good) / 255

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Drawn shapes, half their size and back."""
        return {"data": "shapes", "model": "vdsr-small", "epochs": 2, "batch": 32}


class Enlarge(nn.Module):
    """x_BCHW -> (B, C, H * scale, W * scale) by bicubic interpolation."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> larger."""
        return Poorer(self.scale).enlarged(x_BCHW)


class Restored(Metric):
    """gain, the share of the squared error that is gone: 0 is the enlarged picture itself, half is
    3 dB more PSNR; SSIM of the restored pictures, 0 where it is below.

    >>> from snellen.data.open import open_data
    >>> source = open_data("shapes", task="restore")
    >>> task = Restore.from_source(source)
    >>> scores, truth = task.metric(), source.train[0].target
    >>> scores.update([Prediction(image_CHW=truth.image_CHW)], [truth])
    >>> scores.compute()
    {'gain': 1.0, 'SSIM': 1.0}
    """

    def __init__(self, task: Restore) -> None:
        self.task, self.likeness = task, list[float]()
        self.left = self.before = 0.0  # squared errors

    @property
    def has_truths(self) -> bool:
        """Whether any picture was to be restored."""
        return bool(self.likeness)

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """One batch."""
        for said, target in zip(predictions, targets, strict=True):
            if said.image_CHW is None or target.image_CHW is None:
                continue
            enlarged, good = self.task.enlarged(target)
            restored = said.image_CHW[None].float() / 255
            self.left += float((restored - good).square().mean())
            self.before += float((enlarged - good).square().mean())
            self.likeness.append(float(ssim(restored, good)))

    def compute(self) -> dict[str, float]:
        """Over all pictures."""
        gain = 1 - self.left / self.before if self.before else float(not self.left)
        like = sum(self.likeness) / max(len(self.likeness), 1)
        return {"gain": max(0.0, gain), "SSIM": max(0.0, like)}


def middle(image_CHW: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of a picture in some size; a smaller one is continued by its edge.

    >>> middle(torch.arange(4).view(1, 1, 4), (1, 2)), middle(torch.ones(1, 1, 1), (2, 2)).shape
    (tensor([[[1, 2]]]), torch.Size([1, 2, 2]))
    """
    rows, columns = (_places(have, want) for have, want in zip(image_CHW.shape[-2:], size,
                                                               strict=True))  # fmt: skip
    return image_CHW[:, rows][:, :, columns]


def _places(have: int, want: int) -> Tensor:
    return (torch.arange(want) + (have - want) // 2).clamp(0, have - 1)


def to_bytes(x: Tensor) -> Tensor:
    """Pixels in 0..1 -> uint8, what is beyond cut off."""
    return (x.float().clamp(0, 1) * 255).round().to(torch.uint8)


PICTURE_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": F.mse_loss,
    "l1": F.l1_loss,
    "smooth-l1": F.smooth_l1_loss,
}

TASKS = {"restore": Restore}
