"""SSD (arXiv:1512.02325; note 004): default boxes on several maps, a softmax with a class for none.

Raw: for each map (B, A x (4 + 1 + K), H, W): A codes of boxes, then A times the logits of nothing
and of K classes. A box is a code against its default box, divided by 0.1 (centre) and 0.2 (size).

A default box answers for the thing that it overlaps most, from a half on; before that each thing
gets a default box of its own, the pairs of largest overlap first. Of those without a thing only the
worst answered learn, three for each that has one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from .anchors import default_boxes
from .assign import hard_negatives, own_references
from .box_code import clip_boxes, decode_boxes, encode_boxes
from .detector import Found, Style, Truth, candidates, matched
from .iou import box_iou

PARTS = {
    "SSD": Part(
        "Detection and segmentation", "sn.nn.Ssd",
        "default boxes of six maps, smooth L1 and softmax, hard negatives 3:1", "004",
    )
}  # fmt: skip
SURE = 20.0  # the logit of a perfect answer
VARIANCES = (0.1, 0.1, 0.2, 0.2)
NATIVE = (300, 300)  # the input that the paper's steps are for


@dataclass(frozen=True)
class Ssd(Style):
    """scales and ratios of `sn.nn.default_boxes`; `strides` of the maps.

    `steps` are a map's pixels a cell as the paper's program has them, at 300 x 300 only; else, and
    without them, a map's cells share the picture evenly. `least` negatives are learned from an
    image without a thing; the paper has none.

    >>> style = Ssd(2, (0.3, 0.6, 0.9), ((2,), (2,)), (8, 16))
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]))
    >>> raw = style.oracle([truth], (32, 32))
    >>> [tuple(m.shape) for m in raw], style.decode(raw, (32, 32), 0.5)[0].boxes_N4.round().tolist()
    ([(1, 28, 4, 4), (1, 28, 2, 2)], [[3.0, 4.0, 11.0, 12.0]])
    """

    classes: int
    scales: Sequence[float]
    ratios: Sequence[Sequence[float]]
    strides: Sequence[int]
    steps: Sequence[float] = ()
    least: int = 0
    name = "ssd"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        facts = asdict(self)
        facts["ratios"] = [list(some) for some in self.ratios]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in facts.items()}

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """box: smooth L1 of codes; class: cross-entropy; over the number of boxes that answer."""
        code, logits = self._split(raw)
        default = self._default([m.shape[-2:] for m in raw], size).to(code.device)
        match, boxes, labels = self._matched(default, truths)
        image, slot = (match >= 0).nonzero(as_tuple=True)
        wanted = encode_boxes(boxes[image, slot], default[slot], VARIANCES)
        box = F.smooth_l1_loss(code[image, slot], wanted, reduction="sum")
        missed = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        missed = missed.view_as(labels)
        learned = (match >= 0) | hard_negatives(missed, match, 3.0, least=self.least)
        count = max(len(image), 1)
        return {"box": box / count, "class": missed[learned].sum() / count}

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """The probability of a class is the score; a box may be a candidate for several."""
        code, logits = self._split(raw)
        default = self._default([m.shape[-2:] for m in raw], size).to(code.device)
        boxes = clip_boxes(decode_boxes(code, default, VARIANCES), size)
        return candidates(boxes, logits.softmax(-1)[..., 1:], least)

    def oracle(
        self,
        truths: Sequence[Truth],
        size: tuple[int, int],
        cells: Sequence[tuple[int, int]] | None = None,
    ) -> list[Tensor]:
        """Every object in the default box that is its own."""
        cells = cells or [(-(-size[0] // s), -(-size[1] // s)) for s in self.strides]
        default = self._default(cells, size)
        code = torch.zeros(len(truths), len(default), 4)
        logits = torch.zeros(len(truths), len(default), 1 + self.classes)
        logits[..., 0] = SURE
        for image, truth in enumerate(truths):
            truth = truth.sound()
            boxes = truth.boxes_N4.float().cpu()
            slot = own_references(box_iou(default, boxes))
            has, slot = slot >= 0, slot[slot >= 0]
            code[image, slot] = encode_boxes(boxes[has], default[slot], VARIANCES)
            logits[image, slot, 0] = 0
            logits[image, slot, 1 + truth.labels_N.cpu()[has]] = SURE
        return self._joined(code, logits, cells)

    def _counts(self) -> list[int]:
        """Default boxes of each map's cell."""
        return [2 + 2 * len(some) for some in self.ratios]

    def _default(self, cells: Sequence[tuple[int, int]], size: tuple[int, int]) -> Tensor:
        steps = self.steps if tuple(size) == NATIVE else ()
        return default_boxes(cells, self.scales, self.ratios, image=size, steps=steps, clip=True)

    def _split(self, raw: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps -> codes (B, N, 4) and logits (B, N, 1 + K); N as `default_boxes` orders them."""
        codes, logits = [], []
        for m, count in zip(raw, self._counts(), strict=True):
            flat = m.float().permute(0, 2, 3, 1)
            code, logit = flat.split([4 * count, (1 + self.classes) * count], -1)
            codes.append(code.reshape(len(m), -1, 4))
            logits.append(logit.reshape(len(m), -1, 1 + self.classes))
        return torch.cat(codes, 1), torch.cat(logits, 1)

    def _joined(
        self, code: Tensor, logits: Tensor, cells: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """Undoes `_split`."""
        maps, low = [], 0
        for (height, width), count in zip(cells, self._counts(), strict=True):
            high = low + height * width * count
            parts = [x[:, low:high].reshape(len(x), height, width, -1) for x in (code, logits)]
            maps.append(torch.cat(parts, -1).permute(0, 3, 1, 2))
            low = high
        return maps

    def _matched(
        self, default_N4: Tensor, truths: Sequence[Truth]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of each default box of each image: the object or -1, its box, its class or 0."""
        match, boxes, labels = [], [], []
        for truth in truths:
            sound = truth.sound()
            here = sound.boxes_N4.float().to(default_N4.device)
            found = matched(default_N4, truth, (0.5, 0.5), own=True)
            row = torch.cat([here, here.new_zeros(1, 4)])  # the last one is for those without
            kind = torch.cat([1 + sound.labels_N.to(found.device), found.new_zeros(1)])
            match.append(found)
            boxes.append(row[found.clamp(min=-1)])
            labels.append(kind[found.clamp(min=-1)])
        return torch.stack(match), torch.stack(boxes), torch.stack(labels)


STYLES = {Ssd.name: Ssd}
