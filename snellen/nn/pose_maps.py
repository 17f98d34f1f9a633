"""What the maps of OpenPose mean (arXiv:1611.08050): affinity fields, then confidence maps.

Raw: for each stage a map (B, 2 L + K + 1, H, W): x and y of every limb's field, a map for each
joint, and one for the ground, which is 1 where no joint is. The last stage is the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.parts import Part
from .affinity import affinity_fields, line_integral
from .crowd import Crowd, PoseStyle
from .heatmaps import confidence_maps, peaks
from .matching import Limb, best_pairs, joined

PARTS = {
    "OpenPose": Part(
        "Detection and segmentation", "sn.nn.PoseMaps, sn.nn.Crowd",
        "people bottom-up: joints off confidence maps, limbs off affinity fields, loss a stage",
        "001",
    )
}  # fmt: skip
MOST = 30  # candidates of a joint in an image


@dataclass(frozen=True)
class PoseMaps(PoseStyle):
    """`bones` are pairs of joints; sigma of the Gaussians and half the width of limbs in cells of
    `cell` pixels.

    >>> style = PoseMaps(2, ((0, 1),))
    >>> there = Crowd(torch.tensor([[[8.0, 8.0], [24.0, 8.0]]]), torch.ones(1, 2))
    >>> raw = style.oracle([there], (32, 32))
    >>> style.decode(raw, (32, 32))[0].points_NK2
    tensor([[[ 8.,  8.],
             [24.,  8.]]])
    """

    joints: int
    bones: tuple[tuple[int, int], ...]
    sigma: float = 1.0
    width: float = 1.0
    least: float = 0.1  # of a peak
    firm: float = 0.05  # of a limb's integral
    cell: int = 4

    @property
    def channels(self) -> int:
        """What each cell says."""
        return 2 * len(self.bones) + self.joints + 1

    def loss(
        self, raw: Sequence[Tensor], truths: Sequence[Crowd], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Squared differences of fields and maps, summed over channels and stages; a mean over
        cells, where cells of people that nobody labelled do not count.
        """
        goal = self.targets(truths, size, _cells(raw)).to(raw[-1].device)
        known_B1HW = _known(truths, size, _cells(raw)).to(goal)
        count = known_B1HW.sum().clamp(min=1)
        total = sum(((out.float() - goal) ** 2 * known_B1HW).sum((0, 2, 3)) for out in raw)
        fields, maps = (total / count).split([2 * len(self.bones), self.joints + 1])
        return {"fields": fields.sum(), "maps": maps.sum()}

    def targets(
        self, truths: Sequence[Crowd], size: tuple[int, int], cells: tuple[int, int]
    ) -> Tensor:
        """The maps (B, 2 L + K + 1, H, W) of a perfect network for an input of `size`."""
        points, seen = _together(truths, self.joints)
        points = points / _pixels(size, cells).to(points) - 0.5
        fields = affinity_fields(points, seen, self.bones, size=cells, width=self.width)
        maps = confidence_maps(points, seen, cells, sigma=self.sigma)
        return torch.cat([fields.flatten(1, 2), maps, 1 - maps.amax(1, keepdim=True)], 1)

    def decode(self, raw: Sequence[Tensor], size: tuple[int, int]) -> list[Crowd]:
        """The people of each image, in pixels of the input; a joint that was not found is not seen
        and lies where its nearest neighbour on the body does.
        """
        out = raw[-1].detach().float().cpu()
        fields, maps, _ = out.split([2 * len(self.bones), self.joints, 1], 1)
        place, points, scores = peaks(maps, self.least)
        pixels = _pixels(size, _cells(raw))
        crowds = []
        for i, field in enumerate(fields):
            mine = (place[:, 0] == i).nonzero()[:, 0]
            kinds, points_P2, scores_P = place[mine, 1], points[mine], scores[mine]
            kept = _best(kinds, scores_P)
            found = (kinds[kept], points_P2[kept], scores_P[kept])
            crowds.append(self._people(field.unflatten(0, (-1, 2)), found, pixels))
        return crowds

    def firmest(self, raw: Sequence[Tensor]) -> Tensor:
        """The peak of each confidence map."""
        first = 2 * len(self.bones)
        return raw[-1][:, first : first + self.joints].amax((2, 3))

    def _people(
        self, fields_L2HW: Tensor, found: tuple[Tensor, Tensor, Tensor], pixels: Tensor
    ) -> Crowd:
        """One image's fields, its candidates (joint, place in cells, score) -> its people."""
        kinds, points_P2, scores_P = found
        limbs: list[Limb] = []
        for (first, second), field in zip(self.bones, fields_L2HW, strict=True):
            a, b = ((kinds == k).nonzero()[:, 0] for k in (first, second))
            if not len(a) or not len(b):
                continue
            pairs = torch.cartesian_prod(a, b)
            score = line_integral(field, points_P2[pairs[:, 0]], points_P2[pairs[:, 1]])
            rows, columns = best_pairs(score.view(len(a), len(b)), self.firm)
            sure = score.view(len(a), len(b))[rows, columns]
            limbs += zip(sure.tolist(), a[rows].tolist(), b[columns].tolist(), strict=True)
        people = joined(kinds.tolist(), limbs)
        points_NK2 = torch.zeros(len(people), self.joints, 2)
        seen_NK = torch.zeros(len(people), self.joints)
        scores_N = torch.zeros(len(people))
        for n, (person, firm) in enumerate(people):
            rows_J = torch.tensor(list(person.values()))
            points_NK2[n, list(person)] = (points_P2[rows_J] + 0.5) * pixels
            seen_NK[n, list(person)] = 1.0
            for known, other in _beside(self.bones, set(person)):
                points_NK2[n, other] = points_NK2[n, known]
            scores_N[n] = (float(scores_P[rows_J].sum()) + firm) / (self.joints + len(self.bones))
        return Crowd(points_NK2, seen_NK, scores_N)

    def oracle(self, truths: Sequence[Crowd], size: tuple[int, int]) -> list[Tensor]:
        """The maps that mean the truth, of one stage."""
        cells = size[0] // self.cell, size[1] // self.cell
        return [self.targets(truths, size, cells)]


def _cells(raw: Sequence[Tensor]) -> tuple[int, int]:
    return raw[-1].shape[-2], raw[-1].shape[-1]


def _pixels(size: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """How many pixels a cell is wide and high."""
    return torch.tensor([size[1] / cells[1], size[0] / cells[0]])


def _together(truths: Sequence[Crowd], joints: int) -> tuple[Tensor, Tensor]:
    """People of B images -> points_BNK2, seen_BNK, with nobody in the rows that are left over."""
    most = max(len(t.points_NK2) for t in truths)
    device = truths[0].points_NK2.device
    points = torch.zeros(len(truths), most, joints, 2, device=device)
    seen = torch.zeros(len(truths), most, joints, device=device)
    for i, truth in enumerate(truths):
        points[i, : len(truth.points_NK2)] = truth.points_NK2
        seen[i, : len(truth.seen_NK)] = truth.seen_NK.to(seen)
    return points, seen


def _known(truths: Sequence[Crowd], size: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """1 for each cell (B, 1, H, W) but those whose middle is on somebody unlabelled."""
    known = torch.ones(len(truths), 1, *cells)
    wide, high = _pixels(size, cells).tolist()
    x = (torch.arange(cells[1]) + 0.5) * wide
    y = (torch.arange(cells[0]) + 0.5)[:, None] * high
    for i, truth in enumerate(truths):
        for x1, y1, x2, y2 in [] if truth.unknown_U4 is None else truth.unknown_U4.tolist():
            known[i, 0, (x1 <= x) & (x < x2) & (y1 <= y) & (y < y2)] = 0.0
    return known


def _beside(bones: Sequence[tuple[int, int]], known: set[int]) -> Iterator[tuple[int, int]]:
    """Walk from known joints along the bones to the others: (where from, where to)."""
    known = set(known)
    while steps := [(a, b) for bone in bones for a, b in (bone, bone[::-1])
                    if a in known and b not in known]:  # fmt: skip
        for a, b in steps:
            if b not in known:
                known.add(b)
                yield a, b


def _best(kinds: Tensor, scores_P: Tensor) -> Tensor:
    """The rows of the best candidates of each joint, in order."""
    rows = [
        mine[scores_P[mine].topk(min(MOST, len(mine))).indices]
        for mine in ((kinds == k).nonzero()[:, 0] for k in kinds.unique())
    ]
    return torch.cat(rows).sort().values if rows else kinds.new_zeros(0)
