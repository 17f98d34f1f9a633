"""Faster R-CNN (arXiv:1506.01497; notes 003, 004): regions are proposed, then each one is judged.

Raw: for each map (B, A x (1 + 4), H, W): A logits that an anchor holds a thing, and A codes of its
box; then the regions (B, P, 4) that were read, in pixels, their logits (B, P, 1 + K) of nothing and
of K classes, and codes (B, P, (1 + K) x 4), a box for each class. A region without an area is none.

While it learns, the network is told the truth: it reads the true boxes too, and of all regions a
sample that holds a quarter of things. An anchor answers for a thing from an overlap of .7 on, or
where none overlaps it more, and for nothing below .3; a region for the thing it overlaps by half.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._labels import widen
from .anchors import grid_anchors
from .assign import sample_rois
from .box_code import clip_boxes, decode_boxes, encode_boxes
from .detector import Found, Style, Truth, matched
from .fast_rcnn import BEND, boxes_of, judged_things, region_loss, sample_regions
from .nms import non_maximum_suppression
from .region_align import USUAL_SIDE

PARTS = {
    "Faster R-CNN": Part(
        "Detection and segmentation", "sn.nn.TwoStage",
        "anchors .7/.3, 256 at 1:1; regions 512 at 1:3, class and box for each class", "003 004",
    )
}  # fmt: skip
ANCHOR = (0.7, 0.3)  # overlaps: a thing from, nothing below
ANCHOR_SHARE = 0.5  # of things among those that are learned from
DOUBLE, SMALLEST = 0.7, 1e-3  # overlap of proposals that say the same; pixels of a side
SURE = 20.0  # the logit of a perfect answer
PADDED = 32  # what torchvision makes the sides of a picture a multiple of


@dataclass(frozen=True)
class TwoStage(Style):
    """`sides` and `strides` of each map's anchors; `ratios` are heights over widths.

    Of each map's proposals the best `before` are looked at, in all `keep` are read. `anchors` and
    `regions` of an image are learned from. `corner`: anchors sit on the corners of cells and half
    their sides are whole pixels, as in torchvision. `usual` is the side in pixels of a region that
    is read from the map of 16 pixels a cell; half as large ones are from that of 8. Boxes are told
    from `score` on, and of those of a class that overlap by `overlap` the best.

    >>> style = TwoStage(2, ((8.0,), (16.0,)), (4, 8), keep=5)
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]))
    >>> raw = style.oracle([truth], (32, 32))
    >>> [tuple(m.shape) for m in raw]
    [(1, 15, 8, 8), (1, 15, 4, 4), (1, 5, 4), (1, 5, 3), (1, 5, 12)]
    >>> style.decode(raw, (32, 32), 0.5)[0].boxes_N4.tolist()
    [[3.0, 4.0, 11.0, 12.0]]
    """

    classes: int
    sides: Sequence[Sequence[float]]
    strides: Sequence[int]
    ratios: Sequence[float] = (0.5, 1.0, 2.0)
    before: int = 1000
    keep: int = 1000
    anchors: int = 256
    regions: int = 512
    corner: bool = False
    usual: float = USUAL_SIDE
    score: float = 0.05
    overlap: float = 0.5
    name = "two_stage"
    told = True

    @property
    def limits(self) -> tuple[float, float]:
        """Score and overlap."""
        return self.score, self.overlap

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        facts = asdict(self)
        facts["sides"] = [list(some) for some in self.sides]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in facts.items()}

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """Of proposals objectness and box, of regions class and box; means over those learned."""
        maps, *judged = self.split(raw)
        return {**self._first_loss(maps, truths), **region_loss(judged, truths)}

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """The probability of a class is the score, each class of a region has a box of its own."""
        return judged_things(self.split(raw)[1:], size, least)

    def oracle(self, truths: Sequence[Truth], size: tuple[int, int]) -> list[Tensor]:
        """Anchors that answer say so, the true boxes are the regions."""
        sound = [truth.sound() for truth in truths]
        keep = max([self.keep, *(len(truth.labels_N) for truth in sound)])
        regions = torch.zeros(len(truths), keep, 4)
        logits = torch.zeros(len(truths), keep, 1 + self.classes)
        logits[..., 0] = SURE
        for image, truth in enumerate(sound):
            rows = range(len(truth.labels_N))
            regions[image, rows] = truth.boxes_N4.float().cpu()
            logits[image, rows, 0] = 0
            logits[image, rows, 1 + truth.labels_N.cpu()] = SURE
        codes = torch.zeros(len(truths), keep, 4 * (1 + self.classes))
        return [*self._first_oracle(sound, size), regions, logits, codes]

    def propose(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Maps of the first stage -> the best proposals of each image in pixels, (B, keep, 4)."""
        regions = widen(maps[0].new_zeros(len(maps[0]), self.keep, 4))
        if regions.is_meta:  # how many there are depends on numbers
            return regions
        scores, boxes, levels = [], [], []
        for k, (m, anchors) in enumerate(zip(maps, self._anchors(maps), strict=True)):
            score, code = self._flat(m)
            best = score.topk(min(self.before, score.shape[1]), 1).indices
            scores.append(score.gather(1, best))
            code = code.take_along_dim(best[..., None], 1)
            boxes.append(clip_boxes(decode_boxes(code, anchors[best]), size))
            levels.append(torch.full_like(best[0], k))
        score, box, level = torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(levels)
        for image, (score_N, box_N4) in enumerate(zip(score, box, strict=True)):
            large = ((box_N4[:, 2:] - box_N4[:, :2]) >= SMALLEST).all(1).nonzero()[:, 0]
            rows = non_maximum_suppression(
                box_N4[large], score_N[large], DOUBLE, labels_N=level[large]
            )[: self.keep]
            regions[image, : len(rows)] = box_N4[large[rows]]
        return regions

    def sample(self, regions_BP4: Tensor, truths: Sequence[Truth]) -> Tensor:
        """Proposals and the truth -> a sample of both to learn from, (B, regions, 4)."""
        return sample_regions(regions_BP4, truths, self.regions)

    def split(self, raw: Sequence[Tensor]) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
        """Raw -> maps of the first stage; regions, their logits and codes."""
        *maps, regions, logits, codes = raw
        own, logits, codes = map(widen, (regions.detach(), logits, codes))
        return maps, own, logits, codes

    def _first_loss(self, maps: Sequence[Tensor], truths: Sequence[Truth]) -> dict[str, Tensor]:
        anchors = torch.cat(self._anchors(maps))
        score, code = (torch.cat(some, 1) for some in zip(*map(self._flat, maps), strict=True))
        rows, things, wanted = [], [], []
        for image, truth in enumerate(truths):
            match = matched(anchors, truth, ANCHOR)
            positive, negative = sample_rois(match, self.anchors, ANCHOR_SHARE)
            rows.append(torch.cat([positive, negative]) + image * len(anchors))
            things.append(positive + image * len(anchors))
            boxes = boxes_of(match[positive], truth)
            wanted.append(encode_boxes(boxes, anchors[positive]))
        learned, thing = torch.cat(rows), torch.cat(things)
        target = torch.zeros_like(score).flatten()
        target[thing] = 1
        missed = F.binary_cross_entropy_with_logits(
            score.flatten()[learned], target[learned], reduction="sum"
        )
        own = code.flatten(0, 1)[thing]
        box = F.smooth_l1_loss(own, torch.cat(wanted), reduction="sum", beta=BEND)
        count = max(len(learned), 1)
        return {"objectness": missed / count, "proposal": box / count}

    def _first_oracle(self, truths: Sequence[Truth], size: tuple[int, int]) -> list[Tensor]:
        cells = [(-(-size[0] // s), -(-size[1] // s)) for s in self.strides]
        count = [len(self.ratios) * len(some) for some in self.sides]
        maps = [torch.zeros(len(truths), 5 * a, *c) for a, c in zip(count, cells, strict=True)]
        for m, a, anchors in zip(maps, count, self._anchors(maps), strict=True):
            m[:, :a] = -SURE
            for image, truth in enumerate(truths):
                match = matched(anchors, truth, ANCHOR)
                code = encode_boxes(boxes_of(match, truth), anchors)
                said = torch.where(match >= 0, SURE, -SURE).view(*m.shape[2:], a)
                code = torch.where(match[:, None] >= 0, code, 0)
                m[image, :a] = said.permute(2, 0, 1)
                m[image, a:] = code.view(*m.shape[2:], 4 * a).permute(2, 0, 1)
        return maps

    def _flat(self, m: Tensor) -> tuple[Tensor, Tensor]:
        """A map -> logits (B, N) and codes (B, N, 4), ordered as the anchors are."""
        flat, count = widen(m).permute(0, 2, 3, 1), m.shape[1] // 5
        return flat[..., :count].flatten(1), flat[..., count:].reshape(len(m), -1, 4)

    def _anchors(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Of each map in the order of rows, columns, ratios, sides."""
        found = []
        for m, sides, stride in zip(maps, self.sides, self.strides, strict=True):
            kind = torch.promote_types(m.dtype, torch.float32)
            side, ratio = (torch.tensor(v, dtype=kind) for v in (sides, self.ratios))
            root = ratio.sqrt()[:, None]
            sizes = torch.stack([side / root, side * root], -1).view(-1, 2)
            sizes = 2 * (sizes / 2).round() if self.corner else sizes
            steps = self._steps(maps[0], stride)
            boxes = grid_anchors((m.shape[2], m.shape[3]), steps, sizes)
            shift = torch.tensor(steps[::-1] * 2) / 2 * self.corner
            found.append((boxes - shift).to(m.device))
        return found

    def _steps(self, finest: Tensor, stride: int) -> tuple[float, float]:
        """Pixels from an anchor to the next one, down and across, on the map of this stride."""
        if not self.corner:
            return stride, stride
        fine = self.strides[0]
        down, across = (-(-cells * fine // PADDED) * PADDED for cells in finest.shape[2:])
        return down // -(-down // stride), across // -(-across // stride)


STYLES = {TwoStage.name: TwoStage}
