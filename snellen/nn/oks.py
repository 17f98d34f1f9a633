"""Object keypoint similarity, COCO's measure of how near the joints of two people are.

exp(-d^2 / (2 area (2 sigma)^2)) for each joint, and its mean: sigma is how far apart two people
place the same joint, in shares of the size of the body.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.parts import Part

PARTS = {
    "Object keypoint similarity": Part(
        "Detection and segmentation", "sn.nn.keypoint_similarity, sn.nn.joint_sigmas",
        "OKS: exp(-d^2 / (2 area (2 sigma)^2)), the mean over the joints that are labelled",
    )
}  # fmt: skip
SIGMAS = {  # of COCO, by a word of the joint's name
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072,
    "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
OTHER = 0.079  # head, neck: as CrowdPose has them, arXiv:1812.00324


def joint_sigmas(names: Sequence[str]) -> list[float]:
    """Names of joints -> sigmas: COCO's where it has such a joint, else 0.079.

    >>> joint_sigmas(["left_eye", "right knee", "neck"])
    [0.025, 0.087, 0.079]
    """
    lower = [name.lower() for name in names]
    return [next((s for word, s in SIGMAS.items() if word in name), OTHER) for name in lower]


def keypoint_similarity(
    said_MK2: Tensor, true_NK2: Tensor, seen_NK: Tensor, *, areas_N: Tensor, sigmas_K: Tensor
) -> Tensor:
    """People said, people that are there with their areas -> oks_MN over their labelled joints.

    Someone without a labelled joint is like nobody: 0.

    >>> there = torch.tensor([[[3.0, 4.0]]])
    >>> keypoint_similarity(torch.zeros(1, 1, 2), there, torch.ones(1, 1),
    ...                     areas_N=torch.tensor([100.0]), sigmas_K=torch.tensor([0.25]))
    tensor([[0.6065]])
    """
    seen_NK = seen_NK > 0
    away_MNK = (said_MK2[:, None] - true_NK2).square().sum(-1)
    spread_NK = 2 * areas_N[:, None].clamp(min=1e-9) * (2 * sigmas_K) ** 2
    near_MNK = torch.where(seen_NK, torch.exp(-away_MNK / spread_NK), 0.0)
    return near_MNK.sum(-1) / seen_NK.sum(-1).clamp(min=1)
