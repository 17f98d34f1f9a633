"""Pictures of any shape in one input: what tasks share that measure in a letterbox."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..data.inputs import Inputs
from ..data.letterbox import Letterbox, input_size
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample
from ..data.source import SampleSet
from ..nn.anchors import kmeans_anchors
from ._spread import spread_rows

LOOKS = 300  # samples that tell sizes, anchors and baselines
COUNTS = (9, 5)  # anchors that styles ask for


def spread(part: SampleSet) -> Iterator[Sample]:
    """A spread of samples, one at a time: pictures and masks may be too large to hold together."""
    return (part[i] for i in spread_rows(len(part), LOOKS))


def described(part: SampleSet) -> list[Sample]:
    """A spread of samples without their pixels: sizes and targets, but no masks."""
    return [
        replace(
            s, image_CHW=s.image_CHW.new_zeros(()).expand(s.image_CHW.shape),
            target=replace(s.target, masks_NHW=None, semantic_HW=None),
        )
        for s in spread(part)
    ]  # fmt: skip


class OneByOne(Sequence[Prediction]):
    """Predictions that are made when they are asked for, and not held: masks of a batch of large
    pictures would not fit.

    >>> said = OneByOne(lambda i: Prediction(label=i), 3)
    >>> [one.label for one in said], said[-1].label, len(said[1:])
    ([0, 1, 2], 2, 2)
    """

    def __init__(self, tell: Callable[[int], Prediction], count: int) -> None:
        self.tell, self.rows = tell, range(count)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        chosen = self.rows[i]
        return [self.tell(k) for k in chosen] if isinstance(chosen, range) else self.tell(chosen)


def common_size(
    sizes: Sequence[tuple[int, int]], imgsz: int | None, *, limit: int, multiple: int
) -> tuple[int, int]:
    """H, W of pictures -> H, W of the input, in multiples: of the pictures' shape where they have
    one, else a square; its longer side is `imgsz`, or theirs up to `limit`.

    >>> common_size([(48, 80), (48, 80)], None, limit=320, multiple=32)
    (64, 96)
    >>> common_size([(48, 80), (300, 400)], None, limit=320, multiple=32)
    (320, 320)
    """
    if len(set(sizes)) == 1:
        return input_size(sizes[0], imgsz or min(limit, max(sizes[0])), multiple)
    side = imgsz or min(limit, max(max(size) for size in sizes))
    return input_size((side, side), side, multiple)


def framed(samples: Sequence[Sample], inputs: Inputs) -> tuple[list[Letterbox], Tensor]:
    """Samples -> how each lies in the input, and x_BCHW padded to it."""
    frames = [Letterbox(s.size, (inputs.height, inputs.width)) for s in samples]
    x = [f.fit(s.image_CHW, inputs) for f, s in zip(frames, samples, strict=True)]
    return frames, stack(x)


def frames_of(batch: Batch) -> list[Letterbox]:
    """How each picture of a batch lies in its x_BCHW."""
    return [Letterbox((int(h), int(w)), input_hw(batch)) for h, w in batch.sizes_B2.tolist()]


def input_hw(batch: Batch) -> tuple[int, int]:
    """H, W of a batch's pictures."""
    return batch.x.shape[-2], batch.x.shape[-1]


def box_anchors(sizes_N2: Tensor) -> dict[str, list[list[float]]]:
    """Widths and heights of boxes in the input's pixels -> for each count of COUNTS so many.

    >>> [len(found) for found in box_anchors(torch.rand(40, 2) + 1).values()]
    [9, 5]
    """
    while len(sizes_N2.unique(dim=0)) < max(COUNTS):  # few boxes, or all of one size
        spare = sizes_N2 if len(sizes_N2) else torch.tensor([[16.0, 16.0]])
        sizes_N2 = torch.cat([spare, spare * 1.25, spare * 0.8])
    return {str(count): kmeans_anchors(sizes_N2, count)[0].tolist() for count in COUNTS}
