"""Arrays of pictures and key points: one body a picture, as large as the picture."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..core.errors import DataError
from .arrays import images_tensor
from .pixels import as_tensor
from .sample import Sample, Skeleton, Target
from .source import SampleSet, Source

BODY = "object"


@dataclass
class JointSet(SampleSet):
    """x_NCHW and joints_NK3: x, y in pixels, visibility 0, 1 or 2."""

    x_NCHW: Tensor
    joints_NK3: Tensor

    def __len__(self) -> int:
        return len(self.x_NCHW)

    def __getitem__(self, i: int) -> Sample:
        return Sample(self.x_NCHW[i], self.target(i), i)

    def target(self, i: int) -> Target:
        """The joints of picture i, and its borders as their box."""
        high, wide = self.x_NCHW.shape[2:]
        return Target(
            labels=torch.zeros(1, dtype=torch.int64),
            boxes_N4=torch.tensor([[0.0, 0.0, wide, high]]),
            keypoints_NK2=self.joints_NK3[i, None, :, :2],
            visibility_NK=self.joints_NK3[i, None, :, 2].long(),
        )

    def stacked(self) -> Tensor:
        """x_NCHW itself."""
        return self.x_NCHW


def from_joints(x: Any, xy: Any, *, name: str = "arrays") -> Source:
    """Images x, points (N, K, 2) in pixels or (N, K, 3) with visibility -> Source of one part.

    Points that are not finite are not labelled. Raises DataError for other shapes.

    >>> source = from_joints(torch.zeros(2, 8, 8), torch.ones(2, 5, 2))
    >>> source.train[0].target.visibility_NK.tolist()
    [[2, 2, 2, 2, 2]]
    """
    x_NCHW = images_tensor(x, name)
    joints = as_tensor(xy, f"{name}: the points").float()
    if joints.ndim != 3 or joints.shape[2] not in (2, 3) or len(joints) != len(x_NCHW):
        raise DataError(
            f"{name}: {len(x_NCHW)} images and points of shape {tuple(joints.shape)}; "
            f"({len(x_NCHW)}, K, 2) of x, y in pixels, or 3 with visibility, is wanted"
        )
    if joints.shape[2] == 2:
        joints = torch.cat([joints, torch.full_like(joints[..., :1], 2.0)], 2)
    joints_NK3 = joints.masked_fill(~joints.isfinite().all(2, keepdim=True), 0.0)
    facts = {"images": len(x_NCHW), "shape": list(x_NCHW.shape[1:]), "points": joints.shape[1]}
    names = tuple(str(k) for k in range(joints.shape[1]))
    train = JointSet(x_NCHW, joints_NK3)
    return Source(name, "arrays", train, (BODY,), facts=facts, skeleton=Skeleton(names))
