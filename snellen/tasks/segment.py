"""Semantic segmentation: a class for each pixel. Notes 003.

x_BCHW -> logits_BKHW at the input's size -> cut, back to the picture's size -> the largest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError, UnknownName
from ..data.extent import extents, inside, told_apart
from ..data.inputs import Inputs
from ..data.letterbox import Letterbox, on_levels, padding_level
from ..data.sample import VOID, Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.dice import dice_loss
from ._framed import OneByOne, common_size, framed, frames_of, input_hw
from ._pixels import PixelScores
from ._pooling import mean_of_shares
from ._spread import spread_rows
from .heads import full
from .overlay import draw_map
from .task import Metric, Task

LIMIT = 320  # pixels that the input's longer side has at most, where the user says no other
LOOKS = 200  # samples that tell the size, and the baseline's class
SURE = 20.0  # a logit whose loss is 0 in single precision


class Segment(Task):
    """Semantic maps; VOID (255) is a pixel of which nothing is known or asked.

    spec: {"classes": [...], "inputs": Inputs.as_dict(), "shrinks": False, "loss": "cross_entropy"};
    `shrinks` tells that pictures are larger than the input, where thin things are lost.
    """

    name = "segment"
    about = "a class for each pixel of an image"
    score = "mIoU"
    default_model = "unet-small"
    settings = ("loss",)
    usual = {"augment": "flip+shade", "samples": 30_000, "batch": 16, "lr": 3e-3}

    @property
    def ceiling(self) -> float:  # type: ignore[override]
        """What a perfect answer scores at least: all, where the input is as fine as the picture."""
        return 0.5 if self.spec["shrinks"] else 1.0

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """Data with maps as they are; raises DataError for others."""
        if len(source.train) and source.train[0].target.semantic_HW is None:
            raise DataError(
                f"{source.name} ({source.format}) has no maps of classes; task=segment wants a "
                "picture of class numbers beside each picture, or outlines of things"
            )
        return source

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Segment":
        """Classes from the data; the input of the pictures' size where they have one. Raises
        DataError for one class, which every answer tells.
        """
        if len(source.classes) == 1:
            raise DataError(
                f"{source.name} ({source.format}) has one class, {source.classes[0]!r}; two are "
                "the least to tell apart, or a ground that classes.txt names"
            )
        part = source.train
        sizes = [part[row].size for row in spread_rows(len(part), LOOKS)]
        size = common_size(sizes, imgsz, limit=LIMIT, multiple=1)
        inputs = replace(on_levels(Inputs.of(part, max(size))), height=size[0], width=size[1])
        shrinks = any(Letterbox(old, size).inner < old for old in sizes)
        spec = {"classes": list(source.classes), "inputs": inputs.as_dict(), "shrinks": shrinks}
        return cls(spec)

    def check(self, sample: Sample) -> list[Problem]:
        """No map, one of another size than the picture, classes not known, or nothing but VOID."""
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        map_HW, count = sample.target.semantic_HW, len(self.names())
        if map_HW is None:
            text = "no map of classes"
            return [Problem("map-missing", text, do="give a class for each pixel", **place)]
        if map_HW.shape != sample.size:
            text = f"a map of {_said(map_HW.shape)} pixels for a picture of {_said(sample.size)}"
            return [Problem("map-size", text, do="give a class for each pixel", **place)]
        strange = map_HW[~_known(map_HW, count) & (map_HW != VOID)].unique().tolist()
        found = [
            Problem("label-out-of-range", f"pixels of class {k}", do=f"0..{count - 1} are known, "
                    f"{VOID} is none; they are left out", **place)
            for k in strange[:3]
        ]  # fmt: skip
        if not bool(_known(map_HW, count).any()):
            text = "no pixel has a class"
            found.append(Problem("map-empty", text, do="it teaches nothing", **place))
        return found

    def answer(self, fed: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of x -> shape of logits_BKHW."""
        return (fed[0], len(self.names()), *fed[2:])

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The network as it is. Raises UnknownName for an unknown loss."""
        assert backbone is not None
        self._loss()
        first: Any = getattr(backbone, "image", None)
        if hasattr(first, "padded"):
            first.padded = self._tells_padding()
        return backbone

    def _tells_padding(self) -> bool:
        """Whether 0 in every channel of what a network is fed is padding, and nothing else is;
        where black pads, pictures have it too.
        """
        return any(self.inputs().mean)

    def _loss(self) -> Any:
        name = self.spec.get("loss", USUAL_LOSS)
        if name not in MAP_LOSSES:
            raise UnknownName(name, MAP_LOSSES, "the losses of task=segment")
        return MAP_LOSSES[name]

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW padded to the input with a colour that nothing else in it has, y =
        {"semantic": (B, H, W) of uint8}.
        """
        frames, x = framed(samples, self.inputs())
        maps = [self._map(s, f) for s, f in zip(samples, frames, strict=True)]
        index = torch.tensor([s.index for s in samples])
        sizes = torch.tensor([s.size for s in samples])
        y = {"semantic": torch.stack(maps)}
        batch = Batch(x, y, index, sizes, extent_B4=extents(frames))
        std_C = torch.tensor(self.inputs().std)
        return self._told_apart(batch, padding_level(self.inputs(), x.dtype), std_C)

    def _told_apart(self, batch: Batch, level_C: Tensor, std_C: Tensor) -> Batch:
        if batch.extent_B4 is None or not self._tells_padding():
            return batch
        return replace(batch, x=told_apart(batch.x, inside(batch), level_C, std_C))

    def _map(self, sample: Sample, frame: Letterbox) -> Tensor:
        map_HW = sample.target.semantic_HW
        if map_HW is None or map_HW.shape != sample.size:
            if sample.target.given():  # of one to be predicted on nothing is given
                name = sample.path or f"sample {sample.index}"
                raise DataError(f"{name} has no map of its size; task=segment learns from maps")
            return torch.full(frame.new, VOID, dtype=torch.uint8)
        known_HW = torch.where(_known(map_HW, len(self.names())), map_HW, VOID).to(torch.uint8)
        inner = F.interpolate(known_HW[None, None], frame.inner, mode="nearest-exact")
        return frame.pad(inner[0, 0], VOID)

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The spec's loss over all pixels that have a class; auxiliary heads by their weight. What
        augmentation did to the padding is undone.
        """
        zeros_C = batch.x.new_zeros(batch.x.shape[1])  # of what is prepared
        batch = self._told_apart(batch, zeros_C, zeros_C + 1)
        logits_BKHW, true_BHW = net(batch.x), batch.y["semantic"].long()
        parts = {"loss": self._loss()(full(logits_BKHW), true_BHW)}
        for i, aux_BKhw in enumerate(getattr(net, "aux_logits", ()) if net.training else ()):
            aux_BKHW = F.interpolate(full(aux_BKhw), input_hw(batch), mode="bilinear")
            weight = getattr(net, "aux_weight", 0.5)
            parts[f"aux{i}"] = weight * self._loss()(aux_BKHW, true_BHW)
        return parts

    def pool(self, outs: Sequence[Tensor], tasks: Sequence[Task]) -> Tensor:
        """logits_BKHW of each -> logits_BKHW whose softmax is the mean of theirs."""
        return mean_of_shares(outs)

    def decode(self, out: Tensor, batch: Batch) -> Sequence[Prediction]:
        """logits_BKHW -> the class of each pixel of the picture, and of each class how sure."""
        frames, logits_BKHW = frames_of(batch), out.detach()
        return OneByOne(lambda i: _told(logits_BKHW[i].float(), frames[i]), len(frames))

    def metric(self) -> Metric:
        """Counts over all pixels of the data set."""
        return PixelScores(self.names())

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The picture under its map, and which colour is which class."""
        return draw_map(sample.image_CHW, (target or sample.target).semantic_HW, self.names())

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are sure of the truth; of what is not known, of nothing."""
        true_BHW, count = batch.y["semantic"].long(), len(self.names())
        one_hot = F.one_hot(true_BHW.clamp(max=count), count + 1)[..., :count]
        return SURE * one_hot.movedim(-1, 1).float()

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """The most frequent class everywhere."""
        metric, count = PixelScores(self.names()), len(self.names())
        seen_K = torch.zeros(count, dtype=torch.int64)
        for row in spread_rows(len(train), LOOKS):
            map_HW = train[row].target.semantic_HW
            if map_HW is not None:
                seen_K += map_HW[_known(map_HW, count)].bincount(minlength=count)
        metric.counts_KK[:, seen_K.argmax()] = seen_K
        return metric.compute()

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Drawn scenes, two epochs."""
        return {"data": "shapes", "model": "unet-small", "epochs": 2, "batch": 32}


def _cross_entropy(logits_BKHW: Tensor, true_BHW: Tensor) -> Tensor:
    """The mean over all pixels with a class; 0 where there is none."""
    total = F.cross_entropy(logits_BKHW, true_BHW, ignore_index=VOID, reduction="sum")
    return total / (true_BHW != VOID).sum().clamp(min=1)


def _with_dice(logits_BKHW: Tensor, true_BHW: Tensor) -> Tensor:
    return _cross_entropy(logits_BKHW, true_BHW) + dice_loss(logits_BKHW, true_BHW, ignore=VOID)


USUAL_LOSS = "cross_entropy"
MAP_LOSSES = {  # logits_BKHW, true_BHW -> loss
    "cross_entropy": _cross_entropy,
    "dice": _with_dice,
}


def _known(map_HW: Tensor, count: int) -> Tensor:
    return (map_HW >= 0) & (map_HW < count)


def _said(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def _told(logits_KHW: Tensor, frame: Letterbox) -> Prediction:
    """Where the input is coarser than the picture between its pixels, else by the nearest one."""
    high, wide = frame.inner
    best_HW, map_HW = _likeliest(logits_KHW[:, :high, :wide], frame)
    count = len(logits_KHW)
    sums = torch.zeros(count, device=best_HW.device).index_add(
        0, map_HW.flatten(), best_HW.flatten()
    )
    counts = map_HW.flatten().bincount(minlength=count)
    return Prediction(semantic_HW=map_HW.cpu(), scores_K=(sums / counts.clamp(min=1)).cpu())


def _likeliest(logits_KHW: Tensor, frame: Letterbox) -> tuple[Tensor, Tensor]:
    """Logits of the picture in the input -> of each pixel of the picture the best probability, and
    whose it is. A class at a time: all of them would be many times the picture.
    """
    finer = all(new >= old for new, old in zip(frame.inner, frame.old, strict=True))
    mode = "nearest-exact" if finer else "bilinear"
    best_HW = logits_KHW.new_full(frame.old, -torch.inf)
    total_HW = torch.zeros_like(best_HW)  # of exp(logit - best)
    map_HW = torch.zeros(frame.old, dtype=torch.int64, device=best_HW.device)
    for k, one in enumerate(logits_KHW):
        one_HW = one
        if frame.inner != frame.old:
            one_HW = F.interpolate(one[None, None], frame.old, mode=mode)[0, 0]
        map_HW.masked_fill_(one_HW > best_HW, k)
        higher_HW = torch.maximum(best_HW, one_HW)
        total_HW.mul_(best_HW.sub_(higher_HW).exp_()).add_((one_HW - higher_HW).exp_())
        best_HW = higher_HW
    return total_HW.reciprocal_(), map_HW


TASKS = {"segment": Segment}
